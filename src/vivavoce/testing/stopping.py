"""Stopping a stream, and seeing what becomes of the cancellation."""

import math
from asyncio import CancelledError
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Sequence
from contextlib import aclosing
from typing import Any, Generic, Literal, TypeVar

import anyio

Value = TypeVar("Value")

PROMPT_S = 2.0  # for a stream to stop, on a busy machine; far less is usual
STUBBORN = 20  # cancellations swallowed in one step before it is given up


class Nonconformance(AssertionError):  # noqa: N818 - named by what it is
    """The engine does not do what `engines.api` promises of it."""


def require(holds: bool, complaint: str) -> None:
    """Complain unless it does."""
    if not holds:
        raise Nonconformance(complaint)


def require_prompt(took_s: float) -> None:
    """Complain if stopping took that long."""
    require(took_s < PROMPT_S, f"a stream has to stop promptly, but took {took_s:.1f} s")


def brief(value: object) -> str:
    """A value for a complaint, its middle left out if it is long."""
    text = repr(value)
    return text if len(text) < 300 else f"{text[:140]} ... {text[-140:]}"


class Inputs(Generic[Value]):
    """An input stream: some values, and then its end, an error, or silence for ever."""

    def __init__(
        self, values: Sequence[Value], then: Exception | Literal["end", "wait"] = "end"
    ) -> None:
        self._values = deque(values)
        self._then = then
        self.exhausted = anyio.Event()  # all values were taken, and more was asked for

    def __aiter__(self) -> AsyncIterator[Value]:
        return self

    async def __anext__(self) -> Value:
        await anyio.lowlevel.checkpoint()
        if self._values:
            return self._values.popleft()
        self.exhausted.set()
        if self._then == "wait":
            await anyio.sleep_forever()
        if isinstance(self._then, Exception):
            raise self._then
        raise StopAsyncIteration


class Reader:
    """Reads a stream until it ends or is cancelled, with *news* of each value."""

    def __init__(self, stream: AsyncGenerator[Any, None]) -> None:
        self._stream = stream
        self.scope = anyio.CancelScope()
        self.over = anyio.Event()
        self.count = 0
        self.complaint: str | None = None
        self.cancelled_at = math.inf
        self.news = anyio.Event()

    async def cancel(self, moment: "Callable[[Reader], Awaitable[None]]") -> None:
        """Cancel the reading when *moment* returns."""
        await moment(self)
        self.cancelled_at = anyio.current_time()
        self.scope.cancel()

    async def read(self) -> None:
        """Never raises: what it finds fault with is its *complaint*."""
        with self.scope:
            try:
                async with aclosing(self._stream):
                    await self._read()
            except Exception as error:  # noqa: BLE001 - whatever an engine may raise
                self._complain(f"a stream has failed: {type(error).__name__}: {error}")
        self.over.set()

    async def _read(self) -> None:
        while True:
            step = _Step(anext(self._stream), self.scope)
            try:
                await step
            except StopAsyncIteration:
                return
            except Nonconformance as complaint:
                self._complain(str(complaint))
                return
            self.count += 1
            self.news.set()

    def _complain(self, complaint: str) -> None:
        self.complaint = self.complaint or complaint


class _Step:
    """One step of a stream: a cancellation that goes into it has to come out of it again."""

    def __init__(self, step: Awaitable[object], scope: anyio.CancelScope) -> None:
        self._step = step
        self._scope = scope

    def __await__(self) -> Generator[Any, Any, object]:
        inner = self._step.__await__()
        cancellation: CancelledError | None = None
        cancellations = 0
        while cancellations <= STUBBORN:
            try:
                awaited = inner.throw(cancellation) if cancellation else next(inner)
            except StopIteration as end:
                if cancellations:
                    raise Nonconformance(f"cancelled, a stream gave {brief(end.value)}") from None
                return end.value
            except StopAsyncIteration:
                if cancellations:
                    raise Nonconformance("cancelled, a stream ended as if it was done") from None
                raise
            except Exception as error:
                if cancellations:
                    raise Nonconformance(f"cancelled, a stream raised {error!r}") from error
                raise
            try:
                cancellation = None
                yield awaited
            except CancelledError as error:
                cancellation = error
                cancellations += self._scope.cancel_called
        inner.close()
        raise Nonconformance("cancelled again and again, a stream went on waiting")


async def cancel(
    stream: AsyncGenerator[Any, None], moment: Callable[[Reader], Awaitable[None]]
) -> None:
    """Cancel the reading of *stream* at that moment, and complain unless that ends it."""
    reader = Reader(stream)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reader.read)
        tasks.start_soon(reader.cancel, moment)
        await reader.over.wait()
        took_s = anyio.current_time() - reader.cancelled_at
        tasks.cancel_scope.cancel()
    require(reader.complaint is None, reader.complaint or "")
    require_prompt(took_s)
