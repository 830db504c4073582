"""A blocking model in processes of its own, each leased to one stream at a time.

A worker does one job per lease. It is free for the next as soon as it has said that the job is
over, even while the lessee still reads what was replied: a slow listener holds no worker. One who
leaves early costs the worker an abort, which it must acknowledge within the grace period or be
replaced; so nothing of a job ever reaches the next lessee. One task per worker starts the process,
reads it, and starts another when it dies. `job` is the other end.
"""

import asyncio
import math
import mmap
import os
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from vivavoce.engines.api import EngineFailure
from vivavoce.engines.job import END, FAILED, HEADER, MESSAGE, READY, REPLY, Start

START_S = 30.0  # to load the model, on a busy machine
GRACE_S = 2.0  # to acknowledge an abort
UNREAD_BYTES = 8 * 2**20  # replies that may wait for a lessee before its worker has to
QUICK_DEATHS = 3  # in a row, without a job done: from then on there is a pause before each start
LONGEST_PAUSE_S = 30.0


class Workers:
    """*size* processes that each run what *start* loads; *waiting* leases may queue for them.

    *start* is a function of a module that can be imported: it runs in the process, loads the model
    and gives what does the jobs. Entering waits until every worker is ready, or raises
    `EngineFailure`; enter and leave in the same task.
    """

    def __init__(self, start: Start, *, size: int, waiting: int, name: str) -> None:
        self.name = name
        self._waiting = waiting
        self._workers = [Worker(start, self) for _ in range(size)]
        self._free: deque[Worker] = deque()
        self._queue: deque[asyncio.Future[Lease]] = deque()
        self._tasks: TaskGroup  # from entering on, for a task group needs a running loop

    async def __aenter__(self) -> "Workers":
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        try:
            await self._begin()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._end()

    async def _begin(self) -> None:
        for worker in self._workers:
            self._tasks.start_soon(worker.keep)
        for worker in self._workers:
            await worker.settled.wait()
            if worker.broken:
                raise EngineFailure(worker.broken)

    async def _end(self) -> None:
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The processes that run now."""
        return tuple(worker.pid for worker in self._workers if worker.pid is not None)

    @property
    def queued(self) -> int:
        """How many leases wait for a worker."""
        return len(self._queue)

    @asynccontextmanager
    async def lease(self) -> "AsyncIterator[Lease]":
        """Exclusive use of a worker for one job; first come, first served.

        Raises `EngineFailure` when too many wait already, or when no worker can be started.
        """
        lease = await self._next_lease()
        try:
            yield lease
        finally:
            lease.leave()

    async def _next_lease(self) -> "Lease":
        if self._free:
            return self._free.popleft().let()
        if all(worker.broken for worker in self._workers):
            raise EngineFailure(self._workers[0].broken)
        if len(self._queue) >= self._waiting:
            raise EngineFailure(
                f"{self.name} is overloaded: {len(self._workers)} at work and "
                f"{len(self._queue)} waiting. Try again in a moment.",
                code="overloaded",
            )
        turn: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn in self._queue:
                self._queue.remove(turn)
            elif not turn.cancelled() and not turn.exception():
                turn.result().leave()  # the turn came in the very moment of leaving
            raise

    def offer(self, worker: "Worker") -> None:
        """*worker* can take a job: it goes to whoever has waited longest."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(worker.let())
                return
        self._free.append(worker)

    def withdraw(self, worker: "Worker") -> None:
        """*worker* has died. If none can be started any more, nobody need wait."""
        if worker in self._free:
            self._free.remove(worker)
        if all(each.broken for each in self._workers):
            self._turn_away(worker.broken)

    def _turn_away(self, why: str) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_exception(EngineFailure(why))


class Lease:
    """One job of one worker, as its lessee sees it: send, finish, and iterate over the replies.

    Replies wait for their reader up to a bound beyond which the worker waits too, so a lessee with
    much to send reads meanwhile. Both raise `EngineFailure` if the worker fails or dies.
    """

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._finished = self._over = self._left = False
        self._fault: EngineFailure | None = None

    async def send(self, message: bytes) -> None:
        """Hand over the next message; waits while the worker is too far behind with reading."""
        if self._fault:
            raise self._fault
        if not self._over:
            await self._worker.write(MESSAGE, message)

    def finish(self) -> None:
        """Say that there are no more messages."""
        if not (self._finished or self._over):
            self._finished = True
            self._worker.post(END)

    def leave(self) -> None:
        """Take no more replies; the worker stops at once if it was not done."""
        self._left = True
        self._unread.clear()
        self._room.set()
        if not self._over:
            self._worker.abort()
            self.finish()

    def __aiter__(self) -> "Lease":
        return self

    async def __anext__(self) -> bytes:
        while not self._unread:
            if self._fault:
                raise self._fault
            if self._over:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        reply = self._unread.popleft()
        self._unread_bytes -= len(reply)
        if self._unread_bytes < UNREAD_BYTES:
            self._room.set()
        return reply

    async def deliver(self, reply: bytes) -> None:
        """Keep *reply* for the lessee; waits while too much is unread."""
        if self._left:
            return
        self._unread.append(reply)
        self._unread_bytes += len(reply)
        self._news.set()
        if self._unread_bytes >= UNREAD_BYTES:
            self._room.clear()
            await self._room.wait()

    def conclude(self, fault: str = "") -> None:
        """The worker is done, or there is a *fault*."""
        self._over = True
        self._fault = EngineFailure(fault) if fault else None
        self._news.set()


class Worker:
    """One place in the pool, and the process that holds it at present."""

    def __init__(self, start: Start, workers: Workers) -> None:
        self._start = start
        self._workers = workers
        self._lease: Lease | None = None
        self._deaths = 0
        self._last_words = ""
        self.settled = anyio.Event()  # it has once been ready, or broken
        self.broken = ""  # why it cannot be started
        self.pid: int | None = None

    def let(self) -> Lease:
        """Begin a job."""
        self._lease = Lease(self)
        return self._lease

    def post(self, kind: bytes, body: bytes = b"") -> None:
        """Send without waiting; what the dead are sent is lost."""
        if not self._writer.transport.is_closing():
            self._writer.write(HEADER.pack(kind, len(body)) + body)

    async def write(self, kind: bytes, body: bytes) -> None:
        """Send, and wait while much is on its way; that the worker died is told to the lease."""
        self.post(kind, body)
        with suppress(ConnectionError):
            await self._writer.drain()

    def abort(self) -> None:
        """Make the worker drop its job, and stop it by force if it does not."""
        self._abort[0] = 1
        self._patience.deadline = anyio.current_time() + GRACE_S

    async def keep(self) -> None:
        """Have a process running for as long as the pool is open."""
        with tempfile.TemporaryFile() as shared:
            shared.truncate(1)
            with mmap.mmap(shared.fileno(), 1) as self._abort:
                try:
                    await self._live_and_live_again(shared.fileno())
                finally:
                    self.broken = f"{self._workers.name} has been stopped."
                    self._bury(self.broken)

    async def _live_and_live_again(self, abort_fd: int) -> None:
        while True:
            try:
                end = await self._live(abort_fd)
            except OSError as fault:  # too many open files, no memory
                end = str(fault)
            name = self._workers.name
            self._deaths += 1
            if self._deaths >= QUICK_DEATHS:
                self.broken = f"{name} cannot be started: {self._last_words or end}"
                self.settled.set()
            self._bury(f"The process of {name} ended ({end}) and is being restarted.")
            if self.broken:
                pause_s = 2.0 ** (self._deaths - QUICK_DEATHS)
                await anyio.sleep(min(pause_s, LONGEST_PAUSE_S))

    def _bury(self, why: str) -> None:
        self.pid = None
        if self._lease:
            self._lease.conclude(why)
            self._lease = None
        self._workers.withdraw(self)

    async def _live(self, abort_fd: int) -> str:
        """Run one process from its beginning to its end, and say what that was."""
        self._last_words = ""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await to_thread.run_sync(spawn, self._start, theirs, abort_fd)
        self.pid = process.pid
        try:
            with anyio.CancelScope(deadline=anyio.current_time() + START_S) as self._patience:
                reader, self._writer = await asyncio.open_unix_connection(sock=ours)
                try:
                    await self._listen(reader)
                finally:
                    self._writer.transport.abort()
        finally:
            process.kill()
            with anyio.CancelScope(shield=True):
                status = await to_thread.run_sync(process.wait)
        if self._patience.cancelled_caught:
            return "it did not answer in time"
        return f"signal {-status}" if status < 0 else f"exit status {status}"

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, size = HEADER.unpack(await reader.readexactly(HEADER.size))
                await self._hear(kind, await reader.readexactly(size))

    async def _hear(self, kind: bytes, body: bytes) -> None:
        if kind == REPLY and self._lease:
            await self._lease.deliver(body)
        elif kind == READY:
            self.broken = ""
            self.settled.set()
            self._be_free()
        elif kind == FAILED and not self._lease:
            self._last_words = body.decode()
        elif self._lease:  # DONE or FAILED
            self._deaths = 0
            fault = f"{self._workers.name} failed: {body.decode()}" if kind == FAILED else ""
            self._lease.finish()
            self._lease.conclude(fault)
            self._be_free()

    def _be_free(self) -> None:
        self._lease = None
        self._abort[0] = 0
        self._patience.deadline = math.inf
        self._workers.offer(self)


def spawn(start: Start, link: socket.socket, abort_fd: int) -> "subprocess.Popen[bytes]":
    """Start a process for *start* that talks over *link*. Blocks for a few milliseconds."""
    return subprocess.Popen(
        [
            *(sys.executable, "-P", "-c", "from vivavoce.engines.job import main; main()"),
            *(start.__module__, start.__qualname__, str(abort_fd)),
        ],
        stdin=link.fileno(),
        stdout=2,  # standard error, whatever the model prints
        pass_fds=(abort_fd,),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
