"""Client secrets: what a browser may have instead of a key, sealed so that only the server reads it.

All that a secret grants is inside it, encrypted and authenticated; the server stores none. Only the
ids of single-use secrets that were used are remembered, until those expire.
"""

import base64
import binascii
import heapq
import os
import secrets
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from vivavoce.config import ConfigError
from vivavoce.server.refusals import USED_SECRET, WRONG_SECRET, Denial, busy, expired_secret
from vivavoce.store import settle

PREFIX = "ek_"
MAX_TOKEN = 24 * 1024  # characters: it travels in a header
MAX_CONTENT = 256 * 1024  # bytes, before they are compressed
MAX_SPENT = 64 * 1024

KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16
STEP = 256  # contents are padded to a multiple, which blurs how long the instructions are
VERSION = b"\x01"
PURPOSE = b"vivavoce client secret" + VERSION


class ClientSecret(Struct, frozen=True, forbid_unknown_fields=True):
    """What its holder may do. *session* is the session object as it was sent, in JSON.

    *model* is the name that was asked for, *identity* who made it. The client can neither read nor
    change the fields in *locked*. An empty *origins* means any.
    """

    token_id: str
    deployment: str
    model: str
    dialect: Literal["ga", "preview"]
    session: bytes
    session_id: str
    created_at: int
    expires_at: int
    identity: str
    locked: tuple[str, ...] = ()
    session_seconds: int | None = None
    origins: tuple[str, ...] = ()
    single_use: bool = False
    transcription: bool = False

    def __repr__(self) -> str:  # the session may hold what nobody is to see
        return f"ClientSecret({self.token_id})"


class TooLarge(ValueError):  # noqa: N818 - it says what the matter is
    """A secret that holds more than fits: *length* of what may be *limit*."""

    def __init__(self, length: int, limit: int, what: str) -> None:
        super().__init__(
            f"The session is too large for a client secret: it makes {length} {what}, but there "
            f"may be {limit}. Shorten its instructions or tools."
        )
        self.length = length
        self.limit = limit


class Seal:
    """Closes secrets into tokens, and opens those that it or one with the same key has closed."""

    def __init__(self, key: bytes, wall: Callable[[], float]) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"the key has {len(key)} bytes, but {KEY_BYTES} are needed")
        self._cipher = AESGCM(key)
        self._wall = wall

    def close(self, secret: ClientSecret) -> str:
        """A token for *secret*, another one each time; TooLarge if it holds too much."""
        content = msgspec.msgpack.encode(secret)
        if len(content) > MAX_CONTENT:
            raise TooLarge(len(content), MAX_CONTENT, "bytes")
        packed = zlib.compress(content)
        padded = packed.ljust(-(-len(packed) // STEP) * STEP, b"\0")
        nonce = secrets.token_bytes(NONCE_BYTES)
        token = _text(VERSION + nonce + self._cipher.encrypt(nonce, padded, PURPOSE))
        if len(token) > MAX_TOKEN:
            raise TooLarge(len(token), MAX_TOKEN, "characters")
        return token

    def open(self, token: str) -> ClientSecret | Denial:
        """The secret in *token*, unless it was altered, made with another key, or has expired."""
        raw = _bytes(token)
        secret = self._decrypted(raw) if raw is not None else None
        if secret is None:
            return WRONG_SECRET
        if secret.expires_at <= self._wall():
            return expired_secret(secret.expires_at)
        return secret

    def _decrypted(self, raw: bytes) -> ClientSecret | None:
        nonce, sealed = raw[1 : 1 + NONCE_BYTES], raw[1 + NONCE_BYTES :]
        if raw[:1] != VERSION or len(sealed) < TAG_BYTES:
            return None
        try:
            return _unpacked(self._cipher.decrypt(nonce, sealed, PURPOSE))
        except InvalidTag:
            return None


def _unpacked(padded: bytes) -> ClientSecret | None:
    """What was packed. Only this server packs; yet a small token never becomes a large value."""
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(padded, MAX_CONTENT)
        # Were there more of it, the stream would not have come to its end.
        return msgspec.msgpack.decode(content, type=ClientSecret) if unpacking.eof else None
    except (zlib.error, msgspec.DecodeError):
        return None


def _text(raw: bytes) -> str:
    return PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(token: str) -> bytes | None:
    """The bytes of which *token* is the one spelling; base64 by itself knows several of them."""
    text = token.removeprefix(PREFIX)
    if len(token) > MAX_TOKEN:
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_")
    except ValueError:
        return None
    return raw if _text(raw) == token else None


class Spent:
    """The single-use secrets that were used, each remembered until it expires.

    Those made before this memory began may have been used then, and are refused.
    """

    def __init__(self, wall: Callable[[], float], limit: int = MAX_SPENT) -> None:
        self._wall = wall
        self._limit = limit
        self._began = int(wall())
        self._used: set[str] = set()
        self._queued: set[str] = set()  # those in the heap, some of which were given back
        self._expiries: list[tuple[int, str]] = []  # a heap
        self._forgotten_until = 0

    def __len__(self) -> int:
        return len(self._used)

    def spend(self, secret: ClientSecret) -> Denial | None:
        """Use it, if that can be done once only; or why it cannot be used.

        Expiry is looked at again: time has passed since the secret was opened, and what has expired
        is forgotten here.
        """
        if not secret.single_use:
            return None
        now = self._wall()
        self._forget(now)
        # A clock that is set back does not bring to life what was forgotten.
        if secret.expires_at <= max(now, self._forgotten_until):
            return expired_secret(secret.expires_at)
        if secret.token_id in self._used or secret.created_at < self._began:
            return USED_SECRET
        if len(self._queued) >= self._limit:
            return busy("Too many single-use secrets were used lately.", self._expiries[0][0] - now)
        self._used.add(secret.token_id)
        if secret.token_id not in self._queued:
            self._queued.add(secret.token_id)
            heapq.heappush(self._expiries, (secret.expires_at, secret.token_id))
        return None

    def restore(self, secret: ClientSecret) -> None:
        """It was used in vain, by no fault of its holder, and may be used again."""
        self._used.discard(secret.token_id)

    def _forget(self, now: float) -> None:
        while self._expiries and self._expiries[0][0] <= now:
            self._forgotten_until, token_id = heapq.heappop(self._expiries)
            self._used.discard(token_id)
            self._queued.discard(token_id)


class SealingKey(Struct, frozen=True):
    """A key for a Seal. *unkept* says why it will be another one at the next start, None if not."""

    key: bytes
    unkept: str | None = None

    def __repr__(self) -> str:
        return f"SealingKey(unkept={self.unkept!r})"


def sealing_key(data_dir: Path) -> SealingKey:
    """The key kept in *data_dir*, made at need; one for this process alone where none can be kept.

    ConfigError if the file holds something else.
    """
    path = data_dir / "sealing-key"
    try:
        return SealingKey(_kept(path))
    except OSError as error:
        return SealingKey(secrets.token_bytes(KEY_BYTES), f"{path}: {error.strerror or error}")


def _kept(path: Path) -> bytes:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        _make(path)
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{path}: holds no sealing key; delete it, and a new one is made")
    return key


def _make(path: Path) -> None:
    """Put a whole key there or nothing, and none in place of another process's."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    opened = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(opened, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        settle(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
