"""A session over a socket, as its transport has it."""

import contextlib
import socket
from base64 import b64encode

import anyio
import msgspec
import pytest
from anyio.lowlevel import checkpoint
from server_clients import HEADERS, OPENAI, PREVIEW, house, next_frame
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from vivavoce.config import Config
from vivavoce.deployments import Deployment
from vivavoce.runtime.channel import Backend
from vivavoce.runtime.clock import worker_of
from vivavoce.server.app import application, bind
from vivavoce.testing.server import running

pytestmark = pytest.mark.anyio
with_threads = pytest.mark.parametrize("anyio_backend", ["asyncio"])  # large frames are read in one


def append(size: int) -> str:
    """An append of so many bytes of audio."""
    audio = b64encode(bytes(size)).decode()
    return f'{{"type":"input_audio_buffer.append","audio":"{audio}"}}'


async def test_what_is_sent_before_the_session_is_created_is_not_lost() -> None:
    async with house() as at, at.talk() as client:
        await client.send('{"type":"session.update","session":{"type":"realtime"}}')
        seen = [(await next_frame(client))["type"] for _ in range(2)]
    assert seen == ["session.created", "session.updated"]


async def test_an_event_may_become_two_frames_or_one_by_dialect() -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}
    said = msgspec.json.encode({"type": "conversation.item.create", "item": item}).decode()
    seen: dict[str, list[str]] = {}
    async with house() as at:
        for path in (OPENAI, PREVIEW):
            async with at.talk(path) as client:
                await client.send(said)
                await client.send('{"type":"input_audio_buffer.clear"}')
                frames = [await next_frame(client)]
                while frames[-1]["type"] != "input_audio_buffer.cleared":
                    frames.append(await next_frame(client))
                seen[path] = [frame["type"] for frame in frames[1:-1]]
    assert seen[OPENAI] == ["conversation.item.added", "conversation.item.done"]
    assert seen[PREVIEW] == ["conversation.item.created"]


async def test_a_frame_that_is_no_event_is_an_error_and_the_session_lives() -> None:
    async with house() as at, at.talk() as client:
        await next_frame(client)
        await client.send("nonsense")
        assert (await next_frame(client))["error"]["code"] == "invalid_event"
        await client.send('{"type":"input_audio_buffer.clear"}')
        assert (await next_frame(client))["type"] == "input_audio_buffer.cleared"


async def test_a_binary_frame_is_read_as_if_it_were_text() -> None:
    async with house() as at, at.talk() as client:
        await next_frame(client)
        await client.send(b'{"type":"input_audio_buffer.clear"}')
        assert (await next_frame(client))["type"] == "input_audio_buffer.cleared"
        await client.send(b"\xff\x00")
        assert (await next_frame(client))["error"]["code"] == "invalid_event"


@with_threads
async def test_fifteen_megabytes_of_audio_fit_one_frame() -> None:
    size = 15 * 1024 * 1024
    async with house() as at, at.talk() as client:
        await next_frame(client)
        await client.send(append(size))
        await client.recv()
    assert at.echo.appended == [size]


async def test_a_frame_beyond_the_limit_ends_the_connection_with_1009() -> None:
    async with house() as at, at.talk() as client:
        await next_frame(client)
        with contextlib.suppress(ConnectionClosed):  # it may come before all is sent
            await client.send("x" * (32 * 1024 * 1024 + 1))
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        await at.echo.left.wait()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


async def test_a_client_that_vanishes_ends_its_session() -> None:
    async with house() as at, at.talk() as client:
        await next_frame(client)
        client.transport.abort()
        await at.echo.left.wait()


async def test_a_client_that_answers_no_ping_is_taken_for_dead() -> None:
    async with house() as at, at.talk(ping_interval=None) as client:
        await next_frame(client)
        began = anyio.current_time()
        client.transport.pause_reading()
        await at.echo.left.wait()
        assert anyio.current_time() - began == pytest.approx(40, abs=0.5)
        client.transport.abort()


async def test_a_client_that_is_silent_but_alive_stays() -> None:
    async with house() as at, at.talk(ping_interval=None) as client:
        await next_frame(client)
        await anyio.sleep(600)
        await client.send('{"type":"input_audio_buffer.clear"}')
        assert (await next_frame(client))["type"] == "input_audio_buffer.cleared"


async def test_a_client_that_leaves_politely_gets_its_own_code_back() -> None:
    async with house() as at, at.talk() as client:
        await next_frame(client)
        await client.close(1000, "bye")
        assert client.close_code == 1000


@with_threads
async def test_a_client_that_does_not_read_stops_the_server_from_sending() -> None:
    async with house() as at, at.talk(max_queue=1) as client:
        client.transport.pause_reading()
        async with anyio.create_task_group() as tasks:

            async def pour() -> None:
                for _ in range(200):
                    await client.send(append(200_000))

            tasks.start_soon(pour)
            # The echo stops when all buffers between it and its client are full.
            taken = -1
            while taken != len(at.echo.appended):
                taken = len(at.echo.appended)
                for _ in range(2000):
                    await checkpoint()
            assert 0 < taken < 200
            tasks.cancel_scope.cancel()
        client.transport.abort()
        await at.echo.left.wait()


async def test_a_session_has_an_id_that_names_its_worker() -> None:
    async with house() as at:
        sessions = []
        for _ in range(2):
            async with at.talk() as client:
                sessions.append((await next_frame(client))["session"]["id"])
    assert len(set(sessions)) == 2
    assert [worker_of(session) for session in sessions] == [0, 0]


async def test_a_backend_that_fails_ends_its_own_session_only() -> None:
    class Failing:
        """Fails when it is asked."""

        def open(self, opening: object) -> object:
            raise KeyError("a secret word")

    def backend_for(deployment: Deployment) -> Backend:
        return Failing()  # type: ignore[return-value]  # fails before anybody could notice

    app = application(Config(api_keys=("k",)), backend_for)
    async with running(app) as address:
        async with connect(address.ws_url + OPENAI, additional_headers={"api-key": "k"}) as client:
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (
            1011,
            "the server made a mistake",
        )
        assert app.service.readiness.state == "ready"


async def test_every_connection_inherits_the_limit_on_peers_that_take_nothing() -> None:
    if not hasattr(socket, "TCP_USER_TIMEOUT"):
        pytest.skip("this system has no TCP_USER_TIMEOUT")
    with bind("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


async def test_headers_that_are_none_of_our_business_are_ignored() -> None:
    extra = {
        "OpenAI-Organization": "o",
        "OpenAI-Project": "p",
        "OpenAI-Safety-Identifier": "s",
        "x-ms-client-request-id": "x",
        "x-ms-useragent": "u",
    }
    async with house() as at, at.talk(headers={**HEADERS, **extra}) as client:
        assert (await next_frame(client))["type"] == "session.created"
