"""One WebSocket upgrade as it was asked for: a line, or why there is none and what to do."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from vivavoce.cli.address import Address
from vivavoce.conformance.knock import HungUp, Knock, NoSession, TurnedAway

AZURE_PREVIEW = "/openai/realtime"
PREVIEW_VERSION = "2024-10-01-preview"
WRONG_KEY = "not-the-key-of-anybody"
KEY_SUBPROTOCOL = "openai-insecure-api-key."
MAX_FRAME_BYTES = 64 * 1024 * 1024
OPENING_S = 10.0  # for an upgrade to be answered
CLOSING_S = 2.0  # for a server that does not answer a close
ADVICE = {
    401: "Name the right key with --key, set VIVAVOCE_API_KEY, or name the server's --data-dir.",
    403: "The key has no access there.",
    404: "Is the path right, and --model the name of something that the server has?",
    426: "Is the path that of the realtime endpoint?",
    429: "It is busy: try again later.",
    503: "It is not ready yet: try again.",
}


class Phone:
    """An open connection as the conformance driver's `Line`."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def say(self, frame: str | bytes) -> None:
        """See `Line`."""
        try:
            await self._connection.send(frame)
        except ConnectionClosed:
            raise HungUp from None

    async def frames(self) -> AsyncIterator[str | bytes]:
        """See `Line`."""
        try:
            async for frame in self._connection:
                yield frame
        except ConnectionClosed:
            return

    @property
    def farewell(self) -> str:
        """See `Line`."""
        code, reason = self._connection.close_code, self._connection.close_reason
        return "" if code is None else f"{code} {reason or ''}".strip()

    @property
    def subprotocol(self) -> str | None:
        """See `Line`."""
        return self._connection.subprotocol


@asynccontextmanager
async def knocked(address: Address, knock: Knock, limit_s: float) -> AsyncIterator[Phone]:
    """Ask for a connection, and close it again; NoSession says why there is none, and what to do."""
    url = url_of(address, knock)
    offered = [*knock.subprotocols, *_key_subprotocol(address, knock)]
    where = url.partition("?")[0]
    try:
        connection = await connect(
            url,
            additional_headers=headers_of(address, knock),
            subprotocols=[Subprotocol(each) for each in offered] or None,
            max_size=MAX_FRAME_BYTES,
            compression=None,
            ssl=_trusting(address.authority) if url.startswith("wss:") else None,
            open_timeout=limit_s,
            close_timeout=CLOSING_S,
        )
    except InvalidStatus as refused:
        raise _turned_away(where, refused) from None
    except ssl.SSLCertVerificationError as failed:
        raise NoSession(
            f"{where}: its certificate is not trusted here ({failed.verify_message}). Name the file "
            "of its authority in SSL_CERT_FILE, or with --data-dir the folder of a server of ours."
        ) from None
    except ssl.SSLError as failed:
        raise NoSession(
            f"{where}: {failed.reason or failed}. A server without TLS is reached by http or ws."
        ) from None
    except TimeoutError:
        raise NoSession(
            f"{where}: no answer within {limit_s:g} s. Is this the address of a realtime server?"
        ) from None
    except OSError as failed:
        why = failed.strerror or failed
        raise NoSession(f"{where}: {why}. Does the server run, and is this its address?") from None
    except (WebSocketException, EOFError) as failed:
        raise NoSession(f"{where}: {failed}. Is this the address of a realtime server?") from None
    try:
        yield Phone(connection)
    finally:
        await connection.close()


def url_of(address: Address, knock: Knock) -> str:
    """The address with what the knock says of intent, path, model, version and key."""
    parts = urlsplit(address.url)
    query = dict(parse_qsl(parts.query))
    named = query.pop("deployment", None) or query.pop("model", None)
    wanted = knock.model if knock.model is not None else named
    path = parts.path if knock.path is None else knock.path
    on_azure = path.startswith("/openai/")
    preview = path.rstrip("/") == AZURE_PREVIEW
    if preview:
        query["api-version"] = knock.version or query.get("api-version", PREVIEW_VERSION)
    elif knock.path is not None:
        query.pop("api-version", None)
    # OpenAI refuses a model where the intent is to transcribe.
    if wanted and (preview or knock.intent != "transcription"):
        query["deployment" if preview else "model"] = wanted
    if knock.intent is not None:
        query["intent"] = knock.intent
    key = _key(address, knock)
    if knock.place == "query" and key is not None:
        query |= {"api-key": key} if on_azure else {"Authorization": f"Bearer {key}"}
    return urlunsplit(SplitResult(parts.scheme, parts.netloc, path, urlencode(query), ""))


def headers_of(address: Address, knock: Knock) -> dict[str, str]:
    """The key where it goes, and what asks OpenAI's path for the preview."""
    headers = {}
    key = _key(address, knock)
    if key is not None and knock.place in (None, "bearer"):
        headers["Authorization"] = f"Bearer {key}"
    if key is not None and knock.place in (None, "api-key"):
        headers["api-key"] = key
    if address.dialect == "preview" if knock.beta is None else knock.beta:
        headers["OpenAI-Beta"] = "realtime=v1"
    return headers


def _key(address: Address, knock: Knock) -> str | None:
    return {"right": address.key, "wrong": WRONG_KEY, "none": None}[knock.key]


def _key_subprotocol(address: Address, knock: Knock) -> list[str]:
    key = _key(address, knock)
    return [KEY_SUBPROTOCOL + key] if knock.place == "subprotocol" and key is not None else []


def _trusting(authority: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if authority is not None and authority.is_file():
        context.load_verify_locations(authority)
    return context


def _turned_away(where: str, refused: InvalidStatus) -> TurnedAway:
    status = refused.response.status_code
    body: dict[str, Any] = {}
    try:
        body = msgspec.json.decode(refused.response.body or b"", type=dict[str, Any])
        message = f": {body['error']['message']}"
    except (msgspec.DecodeError, KeyError, TypeError):
        message = ""
    advice = ADVICE.get(status, "Is this the address of a realtime server?")
    text = f"{where}: the server refused with {status}{message}".rstrip(".")
    return TurnedAway(f"{text}. {advice}", status, body)
