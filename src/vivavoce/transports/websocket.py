"""A Channel over a WebSocket: frames in and out, nothing decided."""

from collections.abc import AsyncIterator

import anyio
from anyio import to_thread
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from vivavoce.audio.pcm import Pcm
from vivavoce.core.commands import AnyCommand
from vivavoce.core.errors import Refusal
from vivavoce.core.events import ServerEvent
from vivavoce.core.signals import Played
from vivavoce.dialects.api import Codec

LARGE = 256 * 1024  # a longer frame takes more than a millisecond to decode
REASON_BYTES = 123  # what a close frame holds beside its code
NORMAL = 1000


class WebSocketChannel:
    """A connection whose upgrade has been answered. A client that vanished is no error.

    *closed_with* is the code and reason with which this side hung up, None while it has not.
    """

    def __init__(self, websocket: WebSocket, codec: Codec, *, closing_seconds: float = 5) -> None:
        """*closing_seconds*: how long `close` waits for a client that does not read."""
        self._websocket = websocket
        self._codec = codec
        self._closing_seconds = closing_seconds
        self._closed = False
        self.closed_with: tuple[int, str] | None = None

    async def inputs(self) -> AsyncIterator[AnyCommand | Refusal | Played]:
        """What the client sends, in order, until it leaves; what cannot be read is a Refusal.

        The next frame is taken when the last input has been; until then the client's sending backs
        up into its socket.
        """
        while self._websocket.client_state is not WebSocketState.DISCONNECTED:
            message = await self._websocket.receive()
            if message["type"] != "websocket.receive":
                return
            text = message.get("text")
            yield await self._read(text if text is not None else message["bytes"])

    async def _read(self, frame: str | bytes) -> AnyCommand | Refusal:
        try:
            if len(frame) > LARGE:
                return await to_thread.run_sync(self._codec.decode, frame)
            return self._codec.decode(frame)
        except Refusal as refusal:
            return refusal

    async def ready(self) -> None:
        """At once."""

    async def send(self, event: ServerEvent) -> None:
        """Hand one event to the client; returns when the connection can take more."""
        for frame in self._codec.encode(event):
            await self._send(frame.decode())

    async def _send(self, frame: str) -> None:
        if self._closed or self._websocket.application_state is not WebSocketState.CONNECTED:
            return
        try:
            await self._websocket.send({"type": "websocket.send", "text": frame})
        except (WebSocketDisconnect, RuntimeError):
            # RuntimeError is uvicorn's when it closed by itself in the meantime, as it does after
            # an oversized frame or a missing pong.
            self._closed = True

    def play(self, response_id: str, audio: Pcm) -> None:
        """There is no track to play on: it is a mistake to ask."""
        raise RuntimeError("a WebSocket has no audio track; its audio travels in events")

    def conclude(self, response_id: str) -> None:
        """Nothing is played here."""

    def flush(self, response_id: str) -> None:
        """Nothing is kept here that could be thrown away."""

    async def room(self, response_id: str) -> None:
        """There always is: nothing is played here."""

    async def close(self, code: int, reason: str) -> None:
        """Hang up; the second time does nothing. A reason that is too long is cut."""
        if self._closed or self._websocket.application_state is not WebSocketState.CONNECTED:
            return
        self._closed = True
        self.closed_with = (code, cut(reason))
        with anyio.move_on_after(self._closing_seconds):
            try:
                await self._websocket.close(code, cut(reason))
            except (WebSocketDisconnect, RuntimeError):
                return


def cut(reason: str) -> str:
    """As many whole characters of *reason* as fit a close frame."""
    return reason.encode()[:REASON_BYTES].decode(errors="ignore")
