"""Who knocks: the credential in a handshake, held against the keys and the seal of the server.

A credential may come in any of the places that clients of either service use. The first place, in
the order of `PLACES`, that holds anything counts; when it is wrong, no other is looked at. Last comes
the cookie of a browser that has signed in.
"""

import hashlib
import hmac
from collections.abc import Callable, Sequence

from msgspec import Struct

from vivavoce.server.handshake import Handshake
from vivavoce.server.refusals import (
    NEEDS_KEY,
    NO_KEY,
    SIGNED_OUT,
    WRONG_KEY,
    WRONG_SECRET,
    Denial,
)
from vivavoce.server.sealing import PREFIX, ClientSecret, Seal
from vivavoce.server.visits import Visits, cookie_of

KEY_SUBPROTOCOL = "openai-insecure-api-key."


class Identity(Struct, frozen=True):
    """Who was let in, by a name that may be logged; and by which client secret, if by one."""

    name: str
    secret: ClientSecret | None = None


def identify(
    handshake: Handshake,
    keys: Sequence[str] | None,
    seal: Seal | None = None,
    visits: Visits | None = None,
) -> Identity | Denial:
    """Whose credential it is; with *keys* None whoever has no client secret is let in as anybody.

    What looks like a client secret is one or is refused: whether it serves as a key, or whether the
    server is open to all, is not asked then. Without *visits* no cookie counts: browsers send them
    whoever's page asks, so they are to be given only where one of our own does.
    """
    given = credential(handshake)
    if given is not None and given.startswith(PREFIX):
        return _holder(given, seal)
    if keys is None:
        return Identity("anybody")
    if given is None:
        return _visitor(handshake, keys, visits)
    return owner(given, keys)


def needs_key(identity: Identity) -> Denial | None:
    """Why they may not do what only the server's own people may."""
    return NEEDS_KEY if identity.secret is not None else None


def credential(handshake: Handshake) -> str | None:
    """The credential that counts, None if there is none; the empty one is always wrong."""
    found = (place(handshake) for place in PLACES)
    return next((given for given in found if given is not None), None)


def owner(given: str, keys: Sequence[str]) -> Identity | Denial:
    """Whose key it is."""
    number = _number(digest(given), keys)
    return Identity(_owner_of(number)) if number is not None else WRONG_KEY


def key_of(identity: Identity, keys: Sequence[str]) -> str | None:
    """The key by which they came in, by themselves or by their browser; None if by none."""
    for number, key in enumerate(keys, start=1):
        if identity.name in (_owner_of(number), _page_of(number)):
            return key
    return None


def digest(key: str) -> bytes:
    """What stands for a key where the key itself is not to be."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _holder(token: str, seal: Seal | None) -> Identity | Denial:
    opened = seal.open(token) if seal is not None else WRONG_SECRET
    if isinstance(opened, Denial):
        return opened
    return Identity(f"client secret of {opened.identity}", opened)


def _visitor(handshake: Handshake, keys: Sequence[str], visits: Visits | None) -> Identity | Denial:
    cookie = cookie_of(handshake) if visits is not None else None
    if visits is None or not cookie:
        return NO_KEY
    visit = visits.open(cookie)
    number = _number(visit.key, keys) if visit is not None else None
    return Identity(_page_of(number)) if number is not None else SIGNED_OUT


def _number(wanted: bytes, keys: Sequence[str]) -> int | None:
    """Which key has that digest, counted from 1."""
    # Every key is compared, and digests of one length, so time tells nothing about any of them.
    matches = [hmac.compare_digest(wanted, digest(key)) for key in keys]
    return matches.index(True) + 1 if any(matches) else None


def _owner_of(number: int) -> str:
    return f"key {number}"


def _page_of(number: int) -> str:
    return f"page of key {number}"


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
