"""Who knocks: the credential in a handshake, held against the keys and the seal of the server.

A credential may come in any of the places that clients of either service use. The first place, in
the order of `PLACES`, that holds anything counts; when it is wrong, no other is looked at.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence

from msgspec import Struct

from vivavoce.server.handshake import Handshake
from vivavoce.server.refusals import NEEDS_KEY, NO_KEY, WRONG_KEY, WRONG_SECRET, Denial
from vivavoce.server.sealing import PREFIX, ClientSecret, Seal

KEY_SUBPROTOCOL = "openai-insecure-api-key."


class Identity(Struct, frozen=True):
    """Who was let in, by a name that may be logged; and by which client secret, if by one."""

    name: str
    secret: ClientSecret | None = None


def identify(
    handshake: Handshake, keys: Sequence[str] | None, seal: Seal | None = None
) -> Identity | Denial:
    """Whose credential it is; with *keys* None whoever has no client secret is let in as anybody.

    What looks like a client secret is one or is refused: whether it serves as a key, or whether the
    server is open to all, is not asked then.
    """
    given = credential(handshake)
    if given is not None and given.startswith(PREFIX):
        return _holder(given, seal)
    if keys is None:
        return Identity("anybody")
    if given is None:
        return NO_KEY
    return _owner(given, keys)


def needs_key(identity: Identity) -> Denial | None:
    """Why they may not do what only the server's own people may."""
    return NEEDS_KEY if identity.secret is not None else None


def credential(handshake: Handshake) -> str | None:
    """The credential that counts, None if there is none; the empty one is always wrong."""
    found = (place(handshake) for place in PLACES)
    return next((given for given in found if given is not None), None)


def _holder(token: str, seal: Seal | None) -> Identity | Denial:
    opened = seal.open(token) if seal is not None else WRONG_SECRET
    if isinstance(opened, Denial):
        return opened
    return Identity(f"client secret of {opened.identity}", opened)


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
