"""A blocking model that many sessions share: threads, and the rota by which everybody has a turn.

Work comes in units, a second of audio or a phrase. A session's units are done in order and never
two at once; between sessions it goes round. Whoever brings a unit waits for at most one unit of
every other session, however much those brought before. The model has to let go of Python's lock
while it works; one that does not belongs in `worker`'s processes.

`Rota` decides and knows of no thread; `Crew` has the threads; `Place` is what a session holds.
"""

import asyncio
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

import anyio
from anyio import to_thread
from msgspec import Struct

from vivavoce.engines.api import EngineFailure, Work

Unit = TypeVar("Unit")
Result = TypeVar("Result")
Who = TypeVar("Who", bound=Hashable)

MOST_WAITING = 4096  # units of all sessions
PATIENCE_S = 1.0  # a new session that would have to wait longer had better not come
NEWEST_SHARE = 0.2  # of a unit's time in the mean of them all


class Turn(Struct, Generic[Who, Unit], frozen=True):
    """A unit whose turn has come, and how long it waited."""

    who: Who
    unit: Unit
    queued_s: float


class Rota(Generic[Who, Unit]):
    """Whose turn it is. Time arrives as an argument; who brings units is anything hashable."""

    def __init__(self, *, hands: int, batch: int = 1) -> None:
        """*hands* work side by side, each on up to *batch* units, of as many sessions."""
        self._hands = hands
        self._batch = batch
        self._units: dict[Who, deque[tuple[Unit, float]]] = {}
        self._round: deque[Who] = deque()  # those who wait, the next one first
        self._at_work: set[Who] = set()
        self._busy_hands = 0
        self._unit_s = 0.0

    @property
    def waiting(self) -> int:
        """How many sessions wait for a turn."""
        return len(self._round)

    @property
    def units(self) -> int:
        """How many units wait."""
        return sum(map(len, self._units.values()))

    @property
    def expected_wait_s(self) -> float:
        """How long one who came now would wait for the first turn, as fast as it goes at present."""
        ahead = self.waiting + (1 if self._busy_hands >= self._hands else 0)
        return self._unit_s * ahead / self._hands

    def bring(self, who: Who, unit: Unit, now: float) -> None:
        """Put a unit behind all others of *who*."""
        self._units.setdefault(who, deque()).append((unit, now))
        if len(self._units[who]) == 1 and who not in self._at_work:
            self._round.append(who)

    def take(self, now: float) -> list[Turn[Who, Unit]]:
        """The next turns for a hand that is free; none if nobody waits.

        The hands share what waits, so that none is idle while another works at a batch.
        """
        free = max(self._hands - self._busy_hands, 1)
        count = min(self._batch, math.ceil(len(self._round) / free))
        turns = [self._begin(self._round.popleft(), now) for _ in range(count)]
        self._busy_hands += bool(turns)
        return turns

    def _begin(self, who: Who, now: float) -> Turn[Who, Unit]:
        self._at_work.add(who)
        unit, brought_at = self._units[who].popleft()
        if not self._units[who]:
            del self._units[who]
        return Turn(who, unit, now - brought_at)

    def finish(self, turns: Sequence[Turn[Who, Unit]], busy_s: float) -> None:
        """What was taken together is done, and took *busy_s*; who has more goes to the end."""
        self._busy_hands -= 1
        share_s = busy_s / len(turns)
        known = self._unit_s or share_s
        self._unit_s = known + NEWEST_SHARE * (share_s - known)
        for who in (turn.who for turn in turns):
            self._at_work.discard(who)
            if who in self._units:
                self._round.append(who)

    def drop(self, who: Who) -> int:
        """Forget all that *who* brought and that is not at work; how many units that was."""
        dropped = len(self._units.pop(who, ()))
        if dropped and who not in self._at_work:
            self._round.remove(who)
        return dropped


class Shift(Generic[Unit, Result]):
    """One unit at work, as the thread sees it. Set *audio_s* to the audio it heard or made."""

    def __init__(self, turn: "Turn[Place[Unit, Result], Unit]", post: Callable[..., None]) -> None:
        self.unit = turn.unit
        self.audio_s = 0.0
        self.place = turn.who
        self._queued_s = turn.queued_s
        self._post = post

    @property
    def dropped(self) -> bool:
        """Whether nobody wants the results any more."""
        return self.place.left

    def tell(self, result: Result) -> None:
        """Hand over a result, or one of several."""
        self._post(self.place.hear, result)

    def work(self, busy_s: float) -> Work:
        """What there is to report, if it took so long."""
        return Work(self.audio_s, busy_s, self._queued_s)


Do = Callable[[Sequence[Shift[Unit, Result]]], None]


class Crew(Generic[Unit, Result]):
    """Threads that *do* the units of all places, in fair order.

    *do* takes up to *batch* shifts of different places at once and returns when all are done; what
    it raises ends the streams of those places with `EngineFailure`. *report* is called on the event
    loop. Enter and leave in the same task.
    """

    def __init__(
        self,
        do: Do[Unit, Result],
        *,
        name: str,
        workers: int | None = None,
        batch: int = 1,
        patience_s: float = PATIENCE_S,
        report: Callable[[Work], None] = lambda _: None,
    ) -> None:
        self.name = name
        self._do = do
        self._report = report
        self._patience_s = patience_s
        count = workers or cores()
        self._rota: Rota[Place[Unit, Result], Unit] = Rota(hands=count, batch=batch)
        self._news = threading.Condition()
        self._closing = False
        self._places: set[Place[Unit, Result]] = set()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name} {number}", daemon=True)
            for number in range(count)
        ]

    async def __aenter__(self) -> "Crew[Unit, Result]":
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for place in tuple(self._places):
            place.fail(f"{self.name} has been stopped.")
            place.leave()
        with self._news:
            self._closing = True
            self._news.notify_all()
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(self._join)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()

    @property
    def queued(self) -> int:
        """How many sessions wait for a turn."""
        with self._news:
            return self._rota.waiting

    @property
    def full(self) -> bool:
        """Whether another session would wait for longer than is patient, at the present rate."""
        with self._news:
            return self._rota.expected_wait_s > self._patience_s

    @contextmanager
    def place(self) -> "Iterator[Place[Unit, Result]]":
        """A place in the rota, for one stream; leaving it drops what waits."""
        place = Place(self)
        self._places.add(place)
        try:
            yield place
        finally:
            self._places.discard(place)
            place.leave()

    def bring(self, place: "Place[Unit, Result]", unit: Unit) -> None:
        """Queue a unit of *place*; `EngineFailure` if far too many wait."""
        with self._news:
            if self._closing:
                raise EngineFailure(f"{self.name} has been stopped.")
            if self._rota.units >= MOST_WAITING:
                raise EngineFailure(
                    f"{self.name} is overloaded: {self._rota.waiting} sessions wait for it. "
                    "Try again in a moment.",
                    code="overloaded",
                )
            self._rota.bring(place, unit, time.monotonic())
            self._news.notify()

    def drop(self, place: "Place[Unit, Result]") -> None:
        """Forget what *place* brought."""
        with self._news:
            self._rota.drop(place)

    def _work(self) -> None:
        while turns := self._next():
            shifts = [Shift(turn, self._post) for turn in turns]
            begun = time.perf_counter()
            fault = self._fault_of(shifts)
            busy_s = time.perf_counter() - begun
            # Told before the next unit of a place can begin, or its results might come first.
            self._post(self._conclude, shifts, busy_s, fault)
            with self._news:
                self._rota.finish(turns, busy_s)
                if self._rota.waiting:
                    self._news.notify()

    def _next(self) -> "list[Turn[Place[Unit, Result], Unit]]":
        """The next turns; waits for them. None at all when the crew is dismissed."""
        with self._news:
            while not self._closing:
                if turns := self._rota.take(time.monotonic()):
                    return turns
                self._news.wait()
        return []

    def _fault_of(self, shifts: "Sequence[Shift[Unit, Result]]") -> str:
        try:
            self._do(shifts)
        except Exception as error:  # noqa: BLE001 - whatever a model may raise ends these streams
            return f"{self.name} failed: {type(error).__name__}: {error}"
        return ""

    def _post(self, call: Callable[..., None], *values: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: there is nobody left to tell
            self._loop.call_soon_threadsafe(call, *values)

    def _conclude(self, shifts: "Sequence[Shift[Unit, Result]]", busy_s: float, fault: str) -> None:
        for shift in shifts:
            shift.place.conclude(fault)
            self._report(shift.work(busy_s / len(shifts)))


class Place(Generic[Unit, Result]):
    """One stream's place: bring units, and iterate over the results until all units are done."""

    def __init__(self, crew: Crew[Unit, Result]) -> None:
        self._crew = crew
        self._unread: deque[Result] = deque()
        self._news = asyncio.Event()
        self._fault: EngineFailure | None = None
        self.undone = 0  # units that wait or are at work
        self.left = False

    def bring(self, unit: Unit) -> None:
        """Queue the next unit; never waits."""
        self._crew.bring(self, unit)
        self.undone += 1

    def told(self) -> list[Result]:
        """The results that have come since; never waits."""
        if self._fault:
            raise self._fault
        results = list(self._unread)
        self._unread.clear()
        return results

    async def room(self, units: int) -> None:
        """Wait until fewer than so many units are undone."""
        while self.undone >= units and not self._fault:
            self._news.clear()
            await self._news.wait()

    def __aiter__(self) -> "Place[Unit, Result]":
        return self

    async def __anext__(self) -> Result:
        while not self._unread:
            if self._fault:
                raise self._fault
            if not self.undone:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._unread.popleft()

    def leave(self) -> None:
        """Want nothing more: what waits is dropped, what is at work may stop."""
        self.left = True
        self._unread.clear()
        self._crew.drop(self)

    def hear(self, result: Result) -> None:
        """A result has come."""
        if not self.left:
            self._unread.append(result)
            self._news.set()

    def conclude(self, fault: str) -> None:
        """A unit is done, or came to nothing."""
        self.undone -= 1
        if fault:
            self.fail(fault)
        self._news.set()

    def fail(self, fault: str) -> None:
        """Nothing more will come, and why."""
        self._fault = self._fault or EngineFailure(fault)
        self._news.set()


def cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
