"""The composition root: a configuration and backends in, an application out; and serving it."""

import asyncio
import errno
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import anyio
import structlog
import uvicorn
from msgspec import Struct
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vivavoce.config import Config, ConfigError
from vivavoce.deployments import Deployment
from vivavoce.observe import Metrics, hush_libraries
from vivavoce.runtime.channel import Backend
from vivavoce.runtime.clock import Clock, Minter
from vivavoce.server import routes
from vivavoce.server.calls import Calls
from vivavoce.server.health import EngineReport, Readiness
from vivavoce.server.origins import Cors, origin_of
from vivavoce.server.pages import Guarded
from vivavoce.server.service import Service
from vivavoce.server.wire import HttpProtocol, WebSocketProtocol
from vivavoce.transports.network_plan import NetworkPlan, plan_of

MAX_FRAME_BYTES = 32 * 1024 * 1024  # 15 MiB of audio in an append are 20 MiB of base64
PING_SECONDS = 20
UNLOAD_SECONDS = 10
LEAVING_SECONDS = 2  # for sessions that were disconnected
STUCK_SECONDS = 30  # a peer that takes nothing for so long is disconnected by the kernel
BACKLOG = 2048

log = structlog.get_logger(__name__)


class Application:
    """The server as an ASGI application."""

    def __init__(self, service: Service, engines: AbstractAsyncContextManager[object]) -> None:
        self.service = service
        self._calls = Calls(service, network_plan(service.config))
        self._app = Starlette(
            routes=routes.routes(service, self._calls),
            lifespan=lambda _: self._living(engines),
            exception_handlers={
                404: partial(routes.not_found, service),
                405: partial(routes.wrong_method, service),
                Exception: partial(routes.fault, service),
            },
        )
        self._app.router.redirect_slashes = False
        self._asgi: ASGIApp = _Numbered(Cors(Guarded(self._app)), service.mint)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or the lifespan."""
        await self._asgi(scope, receive, send)

    @asynccontextmanager
    async def _living(self, engines: AbstractAsyncContextManager[object]) -> AsyncIterator[None]:
        """Load the engines while health can be asked already; unload them at the end."""
        over = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep, engines, over)
            async with anyio.create_task_group() as calls:
                self.service.tasks = calls
                yield
                calls.cancel_scope.cancel()
            await self._calls.close()
            over.set()
            tasks.cancel_scope.deadline = anyio.current_time() + UNLOAD_SECONDS

    async def _keep(self, engines: AbstractAsyncContextManager[object], over: anyio.Event) -> None:
        """Enter and leave the engines in one task, as their task groups need it."""
        readiness = self.service.readiness
        try:
            async with engines:
                readiness.warm()
                await over.wait()
        except Exception as error:  # whatever it is, there is nothing to serve with
            log.exception("the engines failed", reason=str(error))
            readiness.fail()


def network_plan(config: Config) -> NetworkPlan:
    """How pages and media come and go; ConfigError names the option that is wrong."""
    for each in config.allowed_origins:
        try:
            origin_of(each)
        except ValueError as wrong:
            raise ConfigError(f"--allow-origin: {wrong}") from None
    try:
        return plan_of(config.rtc_addresses, config.rtc_ports, config.ice_servers)
    except ValueError as wrong:
        raise ConfigError(str(wrong)) from None


def application(
    config: Config,
    backend_for: Callable[[Deployment], Backend],
    *,
    engines: AbstractAsyncContextManager[object] | None = None,
    report: Callable[[], Sequence[EngineReport]] = tuple,
    metrics: Metrics | None = None,
    clock: Clock | None = None,
    worker: int = 0,
) -> Application:
    """An application that answers sessions of a deployment by *backend_for* it.

    *engines* is entered before the first session, and left after the last one; until it has been
    entered, *backend_for* is not asked. *report* says for `/readyz` which engines those are.
    ConfigError if the tables of *config* do not fit together.
    """
    service = Service(
        config, backend_for, Readiness(report), metrics=metrics, clock=clock, worker=worker
    )
    return Application(service, engines if engines is not None else nullcontext())


API_VERSION = b"2020-10-01"  # what every answer of the API bears


class _Numbered:
    """Gives every answer the id by which a client can ask about it, and drops a slash at the end."""

    def __init__(self, app: ASGIApp, mint: Minter) -> None:
        self._app = app
        self._mint = mint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        path = scope["path"].rstrip("/") or "/"
        name = b"apim-request-id" if path.startswith("/openai") else b"x-request-id"
        number = self._mint("req_").encode()

        async def send_numbered(message: Message) -> None:
            if message["type"] in STARTS:
                headers = [*message.get("headers", ()), (name, number)]
                if name != b"x-request-id":
                    headers.append((b"x-request-id", number))
                else:
                    headers.append((b"openai-version", API_VERSION))
                message = {**message, "headers": headers}
            await send(message)

        await self._app({**scope, "path": path}, receive, send_numbered)


STARTS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})


class Address(Struct, frozen=True):
    """Where the server listens."""

    host: str
    port: int
    secure: bool = False

    @property
    def netloc(self) -> str:
        """Host and port, as in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """For HTTP."""
        return f"http{'s' if self.secure else ''}://{self.netloc}"

    @property
    def ws_url(self) -> str:
        """For WebSocket."""
        return f"ws{'s' if self.secure else ''}://{self.netloc}"


class Certificate(Struct, frozen=True):
    """What a TLS server shows, in PEM files."""

    cert_file: Path
    key_file: Path


class Server(uvicorn.Server):
    """uvicorn, with its signals left to us and a word said when it has started."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell_started = started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone: a signal begins a drain, and uvicorn would end the sessions at once."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self._tell_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, and unload the engines even if nothing is waited for.

        uvicorn leaves them then, and what the end of the loop cuts off it would show as errors.
        """
        await super().shutdown(sockets)
        if self.force_exit:
            if tasks := self.server_state.tasks:
                await asyncio.wait(tasks, timeout=LEAVING_SECONDS)
            await self.lifespan.shutdown()

    def stop(self) -> None:
        """End within a tenth of a second."""
        self.should_exit = True

    def stop_at_once(self) -> None:
        """End without waiting for any connection."""
        self.force_exit = True
        self.should_exit = True


async def serve(
    app: Application,
    *,
    certificate: Certificate | None = None,
    listener: socket.socket | None = None,
    started: Callable[[Address], None] = lambda address: None,
    stop: anyio.Event | None = None,
    signals: bool = True,
) -> int:
    """Serve until a signal or *stop*; the exit status: 1 if the engines failed, else 0.

    The first SIGTERM or SIGINT drains: nobody new is let in, live sessions have `drain` seconds.
    The second ends it all at once.
    """
    service = app.service
    config = service.config
    listener = listener or bind(config.host, config.port)
    host, port = listener.getsockname()[:2]
    address = Address(host, port, secure=certificate is not None)
    server = Server(_uvicorn_config(app, certificate), partial(started, address))
    over = stop or anyio.Event()
    async with anyio.create_task_group() as tasks:
        if signals:
            await tasks.start(_obey_signals, over, server)
        tasks.start_soon(_drain, service, over, server)
        tasks.start_soon(_give_up, service, server)
        await server.serve([listener])
        tasks.cancel_scope.cancel()
    return 1 if service.readiness.failed.is_set() else 0


def run(
    app: Application,
    *,
    certificate: Certificate | None = None,
    started: Callable[[Address], None] = lambda address: None,
) -> int:
    """`serve` on an event loop of its own, the fastest there is."""
    call = partial(serve, app, certificate=certificate, started=started)
    return anyio.run(call, backend_options={"use_uvloop": find_spec("uvloop") is not None})


async def _obey_signals(
    over: anyio.Event, server: Server, *, task_status: anyio.abc.TaskStatus[None]
) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
        task_status.started()
        async for _ in received:
            if over.is_set():
                server.stop_at_once()
            over.set()


async def _drain(service: Service, over: anyio.Event, server: Server) -> None:
    await over.wait()
    log.info("draining", sessions=service.admission.live, seconds=service.config.drain_s)
    await service.drain(service.config.drain_s)
    server.stop()


async def _give_up(service: Service, server: Server) -> None:
    await service.readiness.failed.wait()
    server.stop_at_once()


def _uvicorn_config(app: Application, certificate: Certificate | None) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        loop="none",
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_max_size=MAX_FRAME_BYTES,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
        ssl_certfile=certificate.cert_file if certificate else None,
        ssl_keyfile=certificate.key_file if certificate else None,
    )
    try:
        config.load()
    except OSError as error:  # an SSLError is one too
        raise ConfigError(
            f"--tls-cert and --tls-key: cannot be used: {error.strerror or error}; give a "
            "certificate and its key, both PEM"
        ) from error
    hush_libraries()
    return config


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, or ConfigError; port 0 takes any that is free."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        made = socket.create_server(address[:2], family=family, backlog=BACKLOG)
        # Said to be TCP, since asyncio looks: else small answers wait for those before them.
        listener = socket.socket(made.family, made.type, socket.IPPROTO_TCP, made.detach())
    except socket.gaierror as error:
        raise ConfigError(f"--host {host}: there is no such address: {error.strerror}") from error
    except OSError as error:
        raise ConfigError(f"--port {port}: {_why_not(error, host)}") from error
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Every accepted connection inherits it. uvicorn closes a connection once its buffer is
        # written out, which without this a peer that never reads puts off for ever.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK_SECONDS * 1000)
    return listener


def _why_not(error: OSError, host: str) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"is taken on {host}; choose another, or stop what listens there"
        case errno.EACCES:
            return "may not be opened by this user; choose one above 1023"
        case _:
            return f"cannot be opened on {host}: {error.strerror}"
