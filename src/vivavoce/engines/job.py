"""A worker process from the inside: a blocking model does one job after another.

`worker` is the other end, and imports this; this imports next to nothing, because every worker
pays for it at its start. Frames go both ways over the socket that is the process's standard input:
one byte of kind, four of length, the body. The process lives until that socket closes, so it never
outlives its parent, and whatever the model prints goes to standard error.
"""

import importlib
import mmap
import signal
import struct
import sys
from collections.abc import Callable, Iterator

HEADER = struct.Struct("<cI")

MESSAGE = b"m"  # to the worker: for the job at hand, or the first of the next one
END = b"e"  # to the worker: there are no more messages for this job
READY = b"r"  # from the worker: the model is loaded
REPLY = b"p"  # from the worker: part of the answer
DONE = b"d"  # from the worker: the job is over, nothing of it will follow
FAILED = b"f"  # from the worker: the same, and why it came to nothing


class Aborted(Exception):  # noqa: N818 - an order, not an error
    """Nobody wants this job's answer any more."""


class Link:
    """The worker's end of the socket, and the byte in shared memory that says abort."""

    def __init__(self, abort_fd: int) -> None:
        self._incoming = open(0, "rb", closefd=False)  # noqa: SIM115 - as long as the process
        self._outgoing = open(0, "wb", closefd=False)  # noqa: SIM115
        self._abort = mmap.mmap(abort_fd, 1)

    @property
    def aborted(self) -> bool:
        """Whether the job at hand was called off. Costs no system call."""
        return self._abort[0] != 0

    def read(self) -> tuple[bytes, bytes]:
        """The next frame; waits for it, and ends the process when the parent has gone."""
        header = self._incoming.read(HEADER.size)
        if len(header) < HEADER.size:
            raise SystemExit
        kind, size = HEADER.unpack(header)
        return kind, self._incoming.read(size)

    def write(self, kind: bytes, body: bytes = b"") -> None:
        """Send one frame; waits until it is on its way."""
        try:
            self._outgoing.write(HEADER.pack(kind, len(body)))
            self._outgoing.write(body)
            self._outgoing.flush()
        except OSError:
            raise SystemExit from None


class Job:
    """One lease as its worker sees it: iterate over its messages, reply, and return.

    Iteration ends when the lessee has finished, and raises `Aborted` when it has left; let that
    rise. Work that goes on for long between messages looks at `aborted` and gives up.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._first: bytes | None = None
        self._ended = False

    @property
    def aborted(self) -> bool:
        """Whether the lessee has left. Costs no system call."""
        return self._link.aborted

    def __iter__(self) -> Iterator[bytes]:
        while (message := self._next()) is not None:
            if self.aborted:
                raise Aborted
            yield message
        if self.aborted:
            raise Aborted

    def reply(self, message: bytes) -> None:
        """Hand the lessee part of the answer; waits while it is too far behind."""
        if self.aborted:
            raise Aborted
        self._link.write(REPLY, message)

    def await_first(self) -> None:
        """Wait until somebody has work."""
        self._first = self._next()

    def skip_rest(self) -> None:
        """Read and forget what the lessee sent beyond what was wanted."""
        while self._next() is not None:
            pass

    def _next(self) -> bytes | None:
        if self._first is not None:
            message, self._first = self._first, None
            return message
        if self._ended:
            return None
        kind, body = self._link.read()
        self._ended = kind == END
        return None if self._ended else body


Work = Callable[[Job], None]
Start = Callable[[], Work]  # loads the model and gives what does the jobs; must be importable


def do_one(work: Work, link: Link) -> None:
    """See one job through, from its first message to its last."""
    job = Job(link)
    job.await_first()
    try:
        work(job)
    except Aborted:
        link.write(DONE)
    except Exception as fault:  # noqa: BLE001 - whatever it is, it ends this job and no other
        link.write(FAILED, f"{type(fault).__name__}: {fault}".encode())
    else:
        link.write(DONE)
    job.skip_rest()


def main() -> None:
    """What a worker process runs: `module function descriptor` are its arguments."""
    # A terminal's Ctrl-C and a supervisor's SIGTERM reach the whole group at once. When to stop is
    # the parent's decision: it may have conversations to bring to an end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    module, function, abort_fd = sys.argv[1:]
    start: Start = getattr(importlib.import_module(module), function)
    link = Link(int(abort_fd))
    try:
        work = start()
    except Exception as fault:
        link.write(FAILED, f"{type(fault).__name__}: {fault}".encode())
        raise
    link.write(READY)
    while True:
        do_one(work, link)
