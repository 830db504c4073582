"""From start to end of a server: signals, draining, failing, and the socket it listens on."""

import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest
from server_clients import HEADERS, KEY, OPENAI, next_frame
from test_http import Engines
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from vivavoce.config import Config, ConfigError
from vivavoce.runtime.channel import Live, Opening
from vivavoce.server.app import Address, Application, Certificate, application, bind, serve
from vivavoce.testing.echo import Echo
from vivavoce.testing.server import running_in_thread

pytestmark = pytest.mark.anyio


class Served:
    """A server started as the command does it, signals included."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._begun = anyio.Event()
        self.address = Address("", 0)
        self.status: int | None = None

    def _started(self, address: Address) -> None:
        self.address = address
        self._begun.set()

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Serve until the end."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._serve)
            await self._begun.wait()
            task_status.started()

    async def _serve(self) -> None:
        listener = bind("127.0.0.1", 0)
        self.status = await serve(self._app, listener=listener, started=self._started)


def echoing(drain_s: float) -> Application:
    """The echo, with that much time to finish."""
    return application(Config(api_keys=(KEY,), drain_s=drain_s), lambda _: Echo())


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_the_server_ends_with_status_0(which: signal.Signals) -> None:
    app = echoing(drain_s=30)
    served = Served(app)
    async with anyio.create_task_group() as tasks:
        await tasks.start(served.run)
        url = served.address.ws_url + OPENAI
        async with connect(url, additional_headers=HEADERS, ping_interval=None) as client:
            await next_frame(client)
            began = anyio.current_time()
            signal.raise_signal(which)
            await anyio.sleep(1)
            with pytest.raises(InvalidStatus) as refused:
                await connect(url, additional_headers=HEADERS)
            async with httpx.AsyncClient(base_url=served.address.url) as http:
                ready = await http.get("/readyz")
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
            assert anyio.current_time() - began == pytest.approx(30, abs=0.5)
    assert refused.value.response.status_code == 503
    assert (ready.status_code, ready.json()["status"]) == (503, "draining")
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (
        1001,
        "the server is shutting down",
    )
    assert served.status == 0


async def test_draining_is_over_as_soon_as_everybody_has_left() -> None:
    served = Served(echoing(drain_s=3600))
    async with anyio.create_task_group() as tasks:
        await tasks.start(served.run)
        url = served.address.ws_url + OPENAI
        async with connect(url, additional_headers=HEADERS) as client:
            await next_frame(client)
            signal.raise_signal(signal.SIGTERM)
            await anyio.sleep(1)
        began = anyio.current_time()
    assert anyio.current_time() - began < 5
    assert served.status == 0


async def test_the_second_signal_ends_everything_at_once() -> None:
    served = Served(echoing(drain_s=3600))
    async with anyio.create_task_group() as tasks:
        await tasks.start(served.run)
        url = served.address.ws_url + OPENAI
        async with connect(url, additional_headers=HEADERS) as client:
            await next_frame(client)
            began = anyio.current_time()
            signal.raise_signal(signal.SIGINT)
            await anyio.sleep(1)
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(ConnectionClosed):
                await client.recv()
    assert anyio.current_time() - began < 10


class Lingering(Echo):
    """An echo whose sessions take half a second to leave."""

    def __init__(self, steps: list[str]) -> None:
        super().__init__()
        self._steps = steps

    @asynccontextmanager
    async def open(self, opening: Opening) -> AsyncIterator[Live]:
        async with super().open(opening) as live:
            yield live
        await anyio.sleep(0.5)
        self._steps.append("left")


async def test_the_second_signal_unloads_the_engines_once_the_sessions_have_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    engines = Engines()
    engines.load.set()
    echo = Lingering(engines.steps)
    config = Config(api_keys=(KEY,), drain_s=3600)
    served = Served(application(config, lambda _: echo, engines=engines))
    async with anyio.create_task_group() as tasks:
        await tasks.start(served.run)
        url = served.address.ws_url + OPENAI
        async with connect(url, additional_headers=HEADERS) as client:
            await next_frame(client)
            signal.raise_signal(signal.SIGTERM)
            await anyio.sleep(1)
            signal.raise_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                await client.recv()
    assert engines.steps == ["loading", "loaded", "left", "unloaded"]
    assert served.status == 0
    assert [line for line in caplog.records if line.levelname == "ERROR"] == []


async def test_engines_that_cannot_be_loaded_end_the_server_with_status_1() -> None:
    engines = Engines(broken=True)
    app = application(Config(api_keys=(KEY,)), lambda _: Echo(), engines=engines)
    served = Served(app)
    async with anyio.create_task_group() as tasks:
        await tasks.start(served.run)
        engines.load.set()
    assert served.status == 1
    assert app.service.readiness.state == "failed"


def test_a_port_that_is_taken_is_named_with_the_remedy() -> None:
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match=f"--port {port}: is taken on 127.0.0.1; choose"):
            bind("127.0.0.1", port)


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(ConfigError, match=r"--port 0: cannot be opened on 192.0.2.1"):
        bind("192.0.2.1", 0)


def test_an_address_may_be_of_the_newer_internet() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    with bind("[::1]", 0) as listener:
        assert listener.family == socket.AF_INET6
    assert Address("::1", 80, secure=True).ws_url == "wss://[::1]:80"


def test_a_client_that_blocks_can_talk_to_a_server_in_another_thread() -> None:
    with running_in_thread(lambda: echoing(drain_s=0)) as address:
        assert httpx.get(f"{address.url}/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("content", [None, b"no certificate"])
async def test_a_certificate_that_cannot_be_used_is_the_operators_mistake(
    content: bytes | None, tmp_path: Path
) -> None:
    file = tmp_path / "cert.pem"
    if content is not None:
        file.write_bytes(content)
    with bind("127.0.0.1", 0) as listener, pytest.raises(ConfigError, match="--tls-cert"):
        await serve(echoing(1), certificate=Certificate(file, file), listener=listener)
