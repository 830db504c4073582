"""What the tests of the running server have in common."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import websockets
from websockets.asyncio.client import ClientConnection, connect

from vivavoce.config import Config
from vivavoce.server.app import Address, Application, application
from vivavoce.testing.echo import Echo
from vivavoce.testing.server import running

KEY = "a-key-that-nobody-may-see"
HEADERS = {"api-key": KEY}
GA = "/openai/v1/realtime?model=gpt-realtime"
OPENAI = "/v1/realtime?model=gpt-realtime"
PREVIEW = "/openai/realtime?api-version=2024-10-01-preview&deployment=gpt-4o-realtime-preview"

Frame = dict[str, Any]  # what JSON decodes to


class House:
    """A running server that echoes, and ways to knock at it."""

    def __init__(self, app: Application, echo: Echo, address: Address) -> None:
        self.app = app
        self.echo = echo
        self.address = address

    @asynccontextmanager
    async def talk(
        self,
        path: str = OPENAI,
        headers: Mapping[str, str] = HEADERS,
        subprotocols: Sequence[str] | None = None,
        **options: Any,  # whatever the websockets client takes
    ) -> AsyncIterator[ClientConnection]:
        """A WebSocket client that was let in."""
        async with connect(
            self.address.ws_url + path,
            additional_headers=headers,
            subprotocols=subprotocols,  # type: ignore[arg-type]  # Subprotocol is a NewType of str
            max_size=None,
            **options,
        ) as client:
            yield client

    async def refusal(
        self,
        path: str = OPENAI,
        headers: Mapping[str, str] = HEADERS,
        subprotocols: Sequence[str] | None = None,
    ) -> tuple[int, Frame, Mapping[str, str]]:
        """Status, error and headers with which an upgrade is turned down."""
        try:
            async with self.talk(path, headers, subprotocols):
                raise AssertionError("the upgrade was accepted")
        except websockets.InvalidStatus as error:
            body = msgspec.json.decode(error.response.body or b"null", type=dict[str, Frame])
            return error.response.status_code, body["error"], error.response.headers

    async def get(
        self, path: str, headers: Mapping[str, str] = HEADERS, method: str = "GET"
    ) -> httpx.Response:
        """The answer to a plain request."""
        async with httpx.AsyncClient(base_url=self.address.url) as client:
            return await client.request(method, path, headers=dict(headers))


@asynccontextmanager
async def house(**settings: Any) -> AsyncIterator[House]:  # the fields of Config
    """Serve the echo with that configuration, and the one key unless it says otherwise."""
    if not settings.get("no_auth"):
        settings.setdefault("api_keys", ("another", KEY))
    echo = Echo()
    app = application(Config(**settings), lambda _: echo)
    async with running(app) as address:
        yield House(app, echo, address)


async def next_frame(client: ClientConnection) -> Frame:
    """The next event."""
    return msgspec.json.decode(await client.recv(), type=Frame)
