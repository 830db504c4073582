"""Visits of the pages: the link that invites to one, and the cookie by which a browser is known.

A cookie holds which key opened the server to that browser, and until when, sealed so that only the
server makes and reads it. Nothing is remembered of it here: it ends when its time is over, when the
key is gone, or when the browser forgets it.
"""

import base64
import hmac
import secrets
from collections.abc import Callable

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from vivavoce.server.handshake import Handshake

COOKIE = "vivavoce"
VISIT_SECONDS = 12 * 60 * 60
KEY_BYTES, NONCE_BYTES = 32, 12
MAX_COOKIE = 512  # characters
PURPOSE = b"vivavoce visit of the pages\x01"


class Visit(Struct, frozen=True, forbid_unknown_fields=True):
    """What a cookie says. *key* is the digest of the key that opened the server to the browser."""

    key: bytes
    expires_at: int


class Visits:
    """Closes visits into cookies, and opens those that it or one with the same key has closed."""

    def __init__(self, sealing_key: bytes, wall: Callable[[], float]) -> None:
        """Derive a key of its own from *sealing_key*, so that no client secret opens as a visit."""
        derived = HKDF(SHA256(), KEY_BYTES, salt=None, info=PURPOSE).derive(sealing_key)
        self._cipher = AESGCM(derived)
        self._wall = wall

    def close(self, key: bytes) -> str:
        """A cookie for a visit that begins now, by the digest of a key."""
        visit = Visit(key, int(self._wall()) + VISIT_SECONDS)
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, msgspec.msgpack.encode(visit), PURPOSE)
        return base64.urlsafe_b64encode(nonce + sealed).rstrip(b"=").decode()

    def open(self, cookie: str) -> Visit | None:
        """The visit in a cookie, None if it was altered, made with another key, or is over."""
        if len(cookie) > MAX_COOKIE:
            return None
        try:
            raw = base64.b64decode(cookie + "=" * (-len(cookie) % 4), altchars=b"-_", validate=True)
            content = self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], PURPOSE)
            visit = msgspec.msgpack.decode(content, type=Visit)
        except (ValueError, InvalidTag, msgspec.DecodeError):
            return None
        return visit if visit.expires_at > self._wall() else None


class Invitations:
    """The tokens of links that sign in, each good for one visit, in this process's memory alone."""

    def __init__(self) -> None:
        self._open: set[str] = set()

    def invite(self) -> str:
        """A token for one more visit."""
        token = secrets.token_urlsafe(24)
        self._open.add(token)
        return token

    def accept(self, token: str) -> bool:
        """Use it up; False if it was used, or is none."""
        given = token.encode("utf-8", "surrogateescape")
        found = [each for each in self._open if hmac.compare_digest(each.encode(), given)]
        self._open.difference_update(found)
        return bool(found)


def cookie_of(handshake: Handshake) -> str | None:
    """The cookie of ours among those that a browser sent; the first, if there are several."""
    for each in handshake.headers.get("cookie", "").split(";"):
        name, _, value = each.strip().partition("=")
        if name == COOKIE:
            return value
    return None


def set_cookie(value: str, *, secure: bool, seconds: int = VISIT_SECONDS) -> str:
    """The header that has a browser keep it: out of reach of scripts, and for our own pages alone."""
    attributes = [
        f"{COOKIE}={value}",
        "Path=/",
        f"Max-Age={seconds}",
        "HttpOnly",
        "SameSite=Strict",
    ]
    return "; ".join([*attributes, "Secure"] if secure else attributes)
