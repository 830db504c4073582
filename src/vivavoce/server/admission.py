"""How many sessions may live, and how they all come to an end.

A session takes a seat before its upgrade is answered and leaves it when it is over. Draining lets
nobody new in, gives those inside some time to finish, then hangs up, and at last cancels whoever
does not go.
"""

from collections.abc import Awaitable, Callable
from types import TracebackType

import anyio

from vivavoce.server.refusals import Denial, full, unavailable

GOING_AWAY = 1001
GOODBYE = "the server is shutting down"
LEAVING_SECONDS = 2.0  # from hanging up to cancelling

HangUp = Callable[[int, str], Awaitable[None]]


class Seat:
    """A session's place among the living, from entering the context until leaving it."""

    def __init__(self, admission: "Admission") -> None:
        self._admission = admission
        self.scope = anyio.CancelScope()
        self.hang_up: HangUp | None = None

    def __enter__(self) -> "Seat":
        self.scope.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        try:
            return self.scope.__exit__(kind, error, trace)
        finally:
            self._admission.leave(self)

    async def end(self, code: int, reason: str) -> None:
        """Hang up; without a line to hang up on, as before the upgrade, cancel."""
        if self.hang_up is None:
            self.scope.cancel()
        else:
            await self.hang_up(code, reason)


class Admission:
    """Counts the living, and says no in time."""

    def __init__(self, max_sessions: int) -> None:
        self._max_sessions = max_sessions
        self._seats: set[Seat] = set()
        self._empty = anyio.Event()
        self.draining = False

    @property
    def live(self) -> int:
        """How many sessions there are."""
        return len(self._seats)

    def enter(self) -> Seat | Denial:
        """A seat, to be entered as a context at once; or why there is none."""
        if self.draining:
            return unavailable("The server is shutting down.")
        if self.live >= self._max_sessions:
            return full(self._max_sessions)
        seat = Seat(self)
        self._seats.add(seat)
        return seat

    def leave(self, seat: Seat) -> None:
        """The session of that seat is over."""
        self._seats.discard(seat)
        if self.draining and not self._seats:
            self._empty.set()

    async def drain(self, seconds: float) -> None:
        """Let nobody in; return when nobody is left, which takes little more than *seconds*."""
        self.draining = True
        if not self._seats:
            return
        with anyio.move_on_after(seconds):
            await self._empty.wait()
        with anyio.move_on_after(LEAVING_SECONDS):
            async with anyio.create_task_group() as tasks:
                for seat in list(self._seats):
                    tasks.start_soon(seat.end, GOING_AWAY, GOODBYE)
                await self._until_empty()
        for seat in list(self._seats):
            seat.scope.cancel()
        await self._until_empty()

    async def _until_empty(self) -> None:
        if self._seats:
            await self._empty.wait()
