"""What knocks without speaking HTTP or WebSocket properly, over a bare socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketStream
from server_clients import KEY, OPENAI, House, house, next_frame

from vivavoce.server import wire

pytestmark = pytest.mark.anyio

UPGRADE = (
    f"GET {OPENAI} HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
).encode()
LET_IN = UPGRADE + b"api-key: %b\r\n\r\n" % KEY.encode()
EMPTY_PING = b"\x89\xfd" + bytes(4) + bytes(125)


@asynccontextmanager
async def socket_to(at: House) -> AsyncIterator[SocketStream]:
    """A connection on which anything can be said; whatever hangs fails the test."""
    with anyio.fail_after(20):
        async with await anyio.connect_tcp("127.0.0.1", at.address.port) as line:
            yield line


async def everything(line: SocketStream) -> bytes:
    """All that comes until the server hangs up."""
    said = b""
    try:
        async for data in line:
            said += data
    except anyio.BrokenResourceError:
        pass
    return said


@pytest.mark.parametrize(
    "wrong",
    [
        UPGRADE + b"Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.\xc3\xa4\r\n\r\n",
        LET_IN.replace(b"GET", b"POST"),
    ],
)
async def test_an_upgrade_that_cannot_be_read_is_answered_and_forgotten(wrong: bytes) -> None:
    async with house() as at, socket_to(at) as line:
        await line.send(wrong)
        answer = await everything(line)
        # Leaving the house stops the server, which fails if it still counts that connection.
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"bad_request"' in answer


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nX-Slow: "])
async def test_who_never_ends_its_headers_is_hung_up_on(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "HEADERS_SECONDS", 0.05)
    async with house() as at, socket_to(at) as line:
        if said:
            await line.send(said)
        assert await everything(line) == b""


async def test_an_upgraded_connection_has_no_headers_to_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timers = []
    expect = wire.HttpProtocol._expect_headers

    def noted(line: wire.HttpProtocol) -> None:
        expect(line)
        timers.append(line._patience)

    monkeypatch.setattr(wire.HttpProtocol, "_expect_headers", noted)
    async with house() as at, at.talk() as client:
        await next_frame(client)
        assert timers
        assert all(timer is not None and timer.cancelled() for timer in timers)


class Pipe:
    """As much of a transport as a protocol needs to write."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data


@pytest.mark.parametrize(("reads", "pongs"), [(True, 1), (False, 0)])
def test_pings_of_a_client_that_does_not_read_pile_up_no_pongs(reads: bool, pongs: int) -> None:
    line = _line()
    line.conn.receive_data(EMPTY_PING)
    line.conn.events_received()
    if not reads:
        line.pause_writing()
    line.handle_ping()
    assert line.transport.written.count(b"\x8a") == pongs  # type: ignore[attr-defined]


@pytest.mark.parametrize("listening", [True, False])
async def test_only_a_peer_that_is_listened_to_can_be_too_late_with_its_pong(
    listening: bool,
) -> None:
    line = _line()
    line.loop = _Loop()  # type: ignore[assignment]
    line.read_paused = not listening
    line.transport.is_closing = lambda: False  # type: ignore[method-assign]
    line.transport.close = lambda: None  # type: ignore[method-assign]
    line.keepalive_timeout()
    assert line.close_sent is listening
    assert (line.ping_timer is None) is listening


class _Loop:
    def call_later(self, seconds: float, call: object) -> object:
        """A timer that never rings."""
        return (seconds, call)


def _line() -> wire.WebSocketProtocol:
    """A connection without a network, its upgrade done."""
    from uvicorn import Config
    from uvicorn.server import ServerState
    from websockets.protocol import State

    config = Config("nothing:here", interface="asgi3", ws_ping_interval=20, log_config=None)
    config.loaded, config.loaded_app = True, None
    line = wire.WebSocketProtocol(config, ServerState(), {}, _Loop())  # type: ignore[arg-type]
    line.transport = Pipe()  # type: ignore[assignment]
    line.conn.state = State.OPEN
    line.conn.parser = line.conn.parse()
    next(line.conn.parser)
    line.handshake_complete = True
    return line
