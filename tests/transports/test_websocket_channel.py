"""A channel over a WebSocket whose two ends are in memory."""

import threading
from collections.abc import Sequence

import anyio
import pytest
from starlette.types import Message
from starlette.websockets import WebSocket

from vivavoce.audio.pcm import silence
from vivavoce.core import commands, events
from vivavoce.core.commands import AnyCommand
from vivavoce.core.errors import Refusal
from vivavoce.core.events import ServerEvent
from vivavoce.testing import virtual_time
from vivavoce.transports.websocket import LARGE, WebSocketChannel, cut

pytestmark = pytest.mark.anyio

SCOPE = {"type": "websocket", "headers": [], "path": "/", "query_string": b"", "subprotocols": []}
CLEARED = events.AudioCleared(event_id="event_1")
LEFT: Message = {"type": "websocket.disconnect", "code": 1000}


class Words:
    """A codec: a frame is the id of a CommitAudio, `bad` is refused, events are said twice."""

    def __init__(self) -> None:
        self.read_in: list[int] = []

    def decode(self, frame: str | bytes) -> AnyCommand:
        """A frame as a command."""
        self.read_in.append(threading.get_ident())
        if frame in ("bad", b"bad"):
            raise Refusal("bad")
        return commands.CommitAudio(event_id=str(frame[:5]))

    def encode(self, event: ServerEvent) -> Sequence[bytes]:
        """An event as two frames."""
        return [event.event_id.encode(), b"\xc3\xa9"]


class Client:
    """The other end: what it sends, and what it got."""

    def __init__(self, *sends: str | bytes, fails: Exception | None = None) -> None:
        self._sends: list[Message] = [{"type": "websocket.connect"}]
        for frame in sends:
            key = "text" if isinstance(frame, str) else "bytes"
            self._sends.append({"type": "websocket.receive", key: frame})
        self._sends.append(LEFT)
        self._fails = fails
        self.got: list[Message] = []
        self.codec = Words()

    async def channel(self, closing_seconds: float = 5) -> WebSocketChannel:
        """A channel to this client."""
        websocket = WebSocket(SCOPE, self._receive, self._send)
        await websocket.accept()
        return WebSocketChannel(websocket, self.codec, closing_seconds=closing_seconds)

    async def _receive(self) -> Message:
        return self._sends.pop(0)

    async def _send(self, message: Message) -> None:
        if self._fails is not None and message["type"] != "websocket.accept":
            raise self._fails
        self.got.append(dict(message))


async def heard(client: Client) -> list[object]:
    """Everything the channel gives."""
    channel = await client.channel()
    return [said async for said in channel.inputs()]


async def test_commands_and_refusals_come_in_the_order_they_were_sent() -> None:
    said = await heard(Client("one", "bad", "two", b"bad", b"three"))
    assert said == [
        commands.CommitAudio(event_id="one"),
        Refusal("bad"),
        commands.CommitAudio(event_id="two"),
        Refusal("bad"),
        commands.CommitAudio(event_id="b'three'"),
    ]


async def test_inputs_end_when_the_client_has_left() -> None:
    channel = await Client().channel()
    assert [said async for said in channel.inputs()] == []
    assert [said async for said in channel.inputs()] == []


async def test_only_a_large_frame_is_read_beside_the_loop() -> None:
    client = Client("small", "x" * LARGE, "x" * (LARGE + 1), "small")
    await heard(client)
    here = threading.get_ident()
    assert [thread == here for thread in client.codec.read_in] == [True, True, False, True]


async def test_an_event_is_sent_as_the_text_frames_that_say_it() -> None:
    client = Client()
    await (await client.channel()).send(CLEARED)
    assert client.got[1:] == [
        {"type": "websocket.send", "text": "event_1"},
        {"type": "websocket.send", "text": "é"},
    ]


@pytest.mark.parametrize("error", [OSError(), RuntimeError("after sending 'websocket.close'")])
async def test_a_client_that_vanished_is_no_error(error: Exception) -> None:
    channel = await Client(fails=error).channel()
    await channel.send(CLEARED)
    await channel.send(CLEARED)
    await channel.close(1000, "")


@pytest.mark.parametrize("error", [OSError(), RuntimeError()])
async def test_closing_on_a_client_that_vanished_is_no_error(error: Exception) -> None:
    await (await Client(fails=error).channel()).close(1000, "")


async def test_a_channel_is_closed_once_and_says_nothing_more() -> None:
    client = Client()
    channel = await client.channel()
    await channel.close(1001, "so long")
    await channel.close(1000, "")
    await channel.send(CLEARED)
    assert client.got[1:] == [{"type": "websocket.close", "code": 1001, "reason": "so long"}]
    assert channel.closed_with == (1001, "so long")


async def test_a_client_that_does_not_read_cannot_hold_up_the_closing() -> None:
    class Stuck(Client):
        async def _send(self, message: Message) -> None:
            if message["type"] != "websocket.accept":
                await anyio.sleep_forever()

    async def main() -> float:
        channel = await Stuck().channel(closing_seconds=3)
        await channel.close(1008, "")
        return anyio.current_time()

    assert await anyio.to_thread.run_sync(virtual_time.run, main) == 3


@pytest.mark.parametrize("reason", ["", "short", "a" * 123, "a" * 124, "é" * 70, "a" + "é" * 70])
def test_a_reason_is_cut_to_what_fits_a_close_frame(reason: str) -> None:
    kept = cut(reason)
    assert len(kept.encode()) <= 123
    assert reason.startswith(kept)
    assert kept == reason or len(kept.encode()) >= 122


async def test_there_is_no_track_to_play_on_and_nothing_to_flush() -> None:
    channel = await Client().channel()
    channel.flush("resp_1")
    await channel.room("resp_1")
    with pytest.raises(RuntimeError, match="no audio track"):
        channel.play("resp_1", silence(20, 24000))
