"""A running server for tests: real sockets on a free loopback port."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial

import anyio
from anyio.from_thread import start_blocking_portal

from vivavoce.server.app import Address, Application, Certificate, bind, serve

LOOPBACK = "127.0.0.1"


@asynccontextmanager
async def running(
    app: Application, *, certificate: Certificate | None = None, warm: bool = True
) -> AsyncIterator[Address]:
    """Serve *app* in this loop; with *warm*, from when its engines are. Leaving drains it."""
    listener = bind(LOOPBACK, 0)
    addresses: list[Address] = []
    begun, stop = anyio.Event(), anyio.Event()

    def started(address: Address) -> None:
        addresses.append(address)
        begun.set()

    call = partial(
        serve,
        app,
        certificate=certificate,
        listener=listener,
        started=started,
        stop=stop,
        signals=False,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        try:
            await begun.wait()
            if warm:
                await app.service.readiness.settled.wait()
            yield addresses[0]
        finally:
            stop.set()
            if not begun.is_set():
                listener.close()


@contextmanager
def running_in_thread(
    make: Callable[[], Application], *, certificate: Certificate | None = None
) -> Iterator[Address]:
    """Serve what *make* makes in a loop of another thread, for clients that block this one."""

    @asynccontextmanager
    async def serving() -> AsyncIterator[Address]:
        async with running(make(), certificate=certificate) as address:
            yield address

    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving()) as address,
    ):
        yield address
