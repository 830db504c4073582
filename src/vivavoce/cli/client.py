"""A small client of any realtime server, for the commands that talk to one."""

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
from msgspec import Struct
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

Dialect = Literal["ga", "preview"]
Json = dict[str, Any]  # one event of the protocol, as it is on the wire

MAX_FRAME_BYTES = 64 * 1024 * 1024


class CannotConnect(Exception):  # noqa: N818 - said to a person, with what to do
    """There is no session to be had at that address."""


class Address(Struct, frozen=True):
    """Where to talk, with what key, in which dialect; whom to trust besides the usual authorities."""

    url: str
    key: str | None
    dialect: Dialect
    authority: Path | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The key in both places, and the header that asks OpenAI's path for the preview."""
        headers: dict[str, str] = {}
        if self.key is not None:
            headers |= {"Authorization": f"Bearer {self.key}", "api-key": self.key}
        if self.dialect == "preview":
            headers["OpenAI-Beta"] = "realtime=v1"
        return headers


def address_of(
    url: str, key: str | None, dialect: Dialect, model: str, authority: Path | None = None
) -> Address:
    """Complete what a person types: `127.0.0.1:8642` will do for one's own server."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    if parts.scheme not in schemes:
        raise CannotConnect(f"{url}: an address begins with http, https, ws or wss")
    query = dict(parse_qsl(parts.query))
    path = parts.path.rstrip("/")
    if not path.endswith("/realtime"):
        ga = f"{path}/realtime" if path.endswith("/v1") else "/openai/v1/realtime"
        path = ga if dialect == "ga" else "/openai/realtime"
    if path == "/openai/realtime":
        query.setdefault("api-version", "2024-10-01-preview")
        query.setdefault("deployment", model)
    else:
        query.setdefault("model", model)
    whole = urlunsplit((schemes[parts.scheme], parts.netloc, path, urlencode(query), ""))
    return Address(whole, key, dialect, authority)


def key_at_hand(given: str | None, data_dir: Path) -> str | None:
    """The key that was named, that the environment holds, or that a server of ours left here."""
    for name in ("VIVAVOCE_API_KEY", "AZURE_OPENAI_API_KEY", "OPENAI_API_KEY"):
        given = given or os.environ.get(name)
    kept = data_dir / "api-key"
    if given is None and kept.is_file():
        return kept.read_text().strip()
    return given


class Call:
    """An open session, from its client's side."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def say(self, event: Json) -> None:
        """Send one event."""
        await self.say_encoded(msgspec.json.encode(event).decode())

    async def say_encoded(self, frame: str) -> None:
        """Send one event that is JSON already; to a server that hung up, nothing."""
        with suppress(ConnectionClosed):
            await self._connection.send(frame)

    async def heard(self) -> AsyncIterator[Json]:
        """Every event of the server, until either side hangs up."""
        try:
            async for frame in self._connection:
                yield msgspec.json.decode(frame)
        except ConnectionClosed:
            return

    async def frames(self) -> AsyncIterator[str | bytes]:
        """The same, not decoded."""
        try:
            async for frame in self._connection:
                yield frame
        except ConnectionClosed:
            return

    @property
    def farewell(self) -> str:
        """With what code and reason it was closed."""
        return f"{self._connection.close_code} {self._connection.close_reason}".strip()


@asynccontextmanager
async def call(address: Address) -> AsyncIterator[Call]:
    """Open a session and close it again."""
    tls = _trusting(address.authority) if address.url.startswith("wss:") else None
    try:
        connection = await connect(
            address.url,
            additional_headers=address.headers,
            max_size=MAX_FRAME_BYTES,
            compression=None,
            ssl=tls,
        )
    except InvalidStatus as refused:
        raise CannotConnect(_why(refused)) from None
    except ssl.SSLError as failed:
        raise CannotConnect(
            f"{address.url.partition('?')[0]}: {failed.reason or failed}. A server that is started "
            "without --tls is reached by http; one with a certificate of its own needs SSL_CERT_FILE."
        ) from None
    except (OSError, TimeoutError) as failed:
        raise CannotConnect(
            f"{address.url.partition('?')[0]}: {failed}. Does the server run there?"
        ) from None
    try:
        yield Call(connection)
    finally:
        await connection.close()


def _trusting(authority: Path | None) -> ssl.SSLContext:
    """The usual authorities, and the one that a server on this machine made for itself."""
    context = ssl.create_default_context()
    if authority is not None and authority.is_file():
        context.load_verify_locations(authority)
    return context


def _why(refused: InvalidStatus) -> str:
    """What the server said when it refused, in one line."""
    status = refused.response.status_code
    try:
        message = msgspec.json.decode(refused.response.body)["error"]["message"]
    except (msgspec.DecodeError, KeyError, TypeError):
        message = "no reason given"
    advice = (
        " Name the key with --key, set VIVAVOCE_API_KEY, or name the server's --data-dir."
        if status == 401
        else ""
    )
    return f"the server refused with {status}: {message}{advice}"
