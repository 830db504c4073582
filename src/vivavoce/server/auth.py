"""Who knocks: the credential in a handshake, held against the keys of the server.

A credential may come in any of the places that clients of either service use. The first place, in
the order of `PLACES`, that holds anything counts; when it is wrong, no other is looked at.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence

from msgspec import Struct

from vivavoce.server.handshake import Handshake
from vivavoce.server.refusals import NO_KEY, WRONG_KEY, Denial

KEY_SUBPROTOCOL = "openai-insecure-api-key."


class Identity(Struct, frozen=True):
    """Who was let in, by a name that may be logged."""

    name: str


def identify(handshake: Handshake, keys: Sequence[str] | None) -> Identity | Denial:
    """Whose credential it is; with *keys* None everybody is let in."""
    if keys is None:
        return Identity("anybody")
    given = credential(handshake)
    if given is None:
        return NO_KEY
    return _owner(given, keys)


def credential(handshake: Handshake) -> str | None:
    """The credential that counts, None if there is none; the empty one is always wrong."""
    found = (place(handshake) for place in PLACES)
    return next((given for given in found if given is not None), None)


def _owner(given: str, keys: Sequence[str]) -> Identity | Denial:
    # Every key is compared, and digests of one length, so time tells nothing about any of them.
    digest = _digest(given)
    matches = [hmac.compare_digest(digest, _digest(key)) for key in keys]
    return Identity(f"key {matches.index(True) + 1}") if any(matches) else WRONG_KEY


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _bearer(authorization: str | None) -> str | None:
    """The token; another scheme than Bearer counts as a credential, which no key equals."""
    if authorization is None:
        return None
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _of_subprotocol(handshake: Handshake) -> str | None:
    for offered in handshake.subprotocols:
        if offered.startswith(KEY_SUBPROTOCOL):
            return offered.removeprefix(KEY_SUBPROTOCOL)
    return None


PLACES: tuple[Callable[[Handshake], str | None], ...] = (
    lambda handshake: handshake.headers.get("api-key"),
    lambda handshake: handshake.query.get("api-key"),
    lambda handshake: _bearer(handshake.headers.get("authorization")),
    lambda handshake: _bearer(handshake.query.get("authorization")),
    _of_subprotocol,
)
