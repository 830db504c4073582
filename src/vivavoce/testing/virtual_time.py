"""An asyncio loop whose clock is virtual: a minute of talk takes milliseconds.

When nothing is ready to run, the clock jumps to the next timer instead of waiting for it; while
anything is ready, it stands still. It starts at 0, so `anyio.current_time()` and `loop.time()` are
the same in every run. When nothing is ready and no timer is set, nothing can ever happen again:
real time would hang there, this loop raises `Deadlock` and names the tasks that wait.

    def test_an_hour_passes_at_once() -> None:
        async def main() -> float:
            await anyio.sleep(3600)
            return anyio.current_time()

        assert virtual_time.run(main) == 3600

Under pytest's anyio plugin, `("asyncio", {"loop_factory": VirtualLoop})` is an `anyio_backend`.

Sockets between tasks of this loop work, for the kernel hands over at once. Worker threads and
processes do not belong here: the clock cannot know that they are still at work, and jumps past them.
"""

import asyncio
import math
import selectors
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import TypeVar, TypeVarTuple

import anyio

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")
Ready = list[tuple[selectors.SelectorKey, int]]


class Deadlock(RuntimeError):  # noqa: N818 - named by what it is
    """Nothing is ready and no timer is set: whoever waits now waits for ever."""


class _JumpingSelector(selectors.DefaultSelector):
    """Polls where others wait, and adds the time it would have waited to *now*."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Ready:
        """What is ready this instant; if nothing is, the instant at which *timeout* has passed."""
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise Deadlock(_story(self.now))
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; its clock shows seconds since it was made."""

    def __init__(self) -> None:
        self._clock = _JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Virtual seconds."""
        return self._clock.now

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: object,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """As ever, but a timer at infinity (`anyio.sleep_forever`) is none to jump to."""
        if when == math.inf:
            return asyncio.TimerHandle(when, callback, args, self, context)
        return super().call_at(when, callback, *args, context=context)


def run(function: Callable[[*Arguments], Awaitable[Result]], *args: *Arguments) -> Result:
    """Run the coroutine function under anyio on a new virtual loop, and give what it returns."""
    return anyio.run(
        function, *args, backend="asyncio", backend_options={"loop_factory": VirtualLoop}
    )


def _story(now: float) -> str:
    """Which tasks wait; a thread or process that was waited for is the other usual cause."""
    waiting = sorted(task.get_name() for task in asyncio.all_tasks())
    return (
        f"at {now:.3f} virtual seconds nothing is ready and no timer is set, so these tasks wait "
        f"for ever: {', '.join(waiting)}. If they wait for a thread or a process, run them in "
        "real time."
    )
