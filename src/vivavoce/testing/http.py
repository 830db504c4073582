"""Any ASGI application behind a real socket on a free loopback port: the fakes of model servers."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import uvicorn
from starlette.types import ASGIApp


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """Serve *app* in this loop; gives its address, `http://127.0.0.1:PORT`. Leaving ends it at once."""
    made = socket.create_server(("127.0.0.1", 0))
    with socket.socket(made.family, made.type, socket.IPPROTO_TCP, made.detach()) as listener:
        port = listener.getsockname()[1]
        server = _Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server._serve, [listener])
            await server.begun.wait()
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await server.end()


class _Server(uvicorn.Server):
    """Says when it has begun, and ends without waiting for a second to pass."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.begun = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.begun.set()

    async def end(self) -> None:
        """Close everything, and let what was closed come to its end."""
        for each in self.servers:
            each.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        for task in list(self.server_state.tasks):
            task.cancel()
        while self.server_state.tasks or self.server_state.connections:
            await anyio.lowlevel.checkpoint()
