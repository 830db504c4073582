"""A blocking model that many sessions share: whose turn it is, and the threads that do the work."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from vivavoce.engines.api import EngineFailure, Work
from vivavoce.engines.crew import MOST_WAITING, Crew, Rota, Shift, Turn, cores

NAMES = st.sampled_from("abcdef")


def rota(*, hands: int = 1, batch: int = 1) -> Rota[str, int]:
    return Rota(hands=hands, batch=batch)


def brought(rounds: Rota[str, int], who: str, count: int) -> None:
    for number in range(count):
        rounds.bring(who, number, 0.0)


def done_in_order(rounds: Rota[str, int]) -> str:
    """Who has a turn, one unit after the other, until nobody waits."""
    order = ""
    while turns := rounds.take(0.0):
        order += "".join(turn.who for turn in turns)
        rounds.finish(turns, 0.0)
    return order


def test_whoever_brings_much_at_once_delays_the_next_by_one_unit() -> None:
    rounds = rota()
    brought(rounds, "a", 60)
    brought(rounds, "b", 1)

    assert done_in_order(rounds)[:3] == "aba"


def test_sessions_have_turns_in_rounds() -> None:
    rounds = rota()
    for who in "abc":
        brought(rounds, who, 3)

    assert done_in_order(rounds) == "abcabcabc"


def test_units_of_one_session_are_never_at_work_together() -> None:
    rounds = rota(hands=2)
    brought(rounds, "a", 2)
    first = rounds.take(0.0)

    assert rounds.take(0.0) == []
    rounds.finish(first, 0.0)
    assert [turn.unit for turn in rounds.take(0.0)] == [1]


def test_a_batch_is_of_different_sessions() -> None:
    rounds = rota(batch=8)
    brought(rounds, "a", 3)
    brought(rounds, "b", 3)

    assert [(turn.who, turn.unit) for turn in rounds.take(0.0)] == [("a", 0), ("b", 0)]


def test_hands_that_are_free_share_what_waits() -> None:
    rounds = rota(hands=2, batch=8)
    for who in "abcde":
        brought(rounds, who, 1)

    assert [len(rounds.take(0.0)), len(rounds.take(0.0))] == [3, 2]


def test_what_is_dropped_is_not_done() -> None:
    rounds = rota()
    for who in "abc":
        brought(rounds, who, 2)
    rounds.drop("b")

    assert done_in_order(rounds) == "acac"


def test_one_who_left_at_work_may_come_again() -> None:
    rounds = rota()
    brought(rounds, "a", 2)
    turns = rounds.take(0.0)
    rounds.drop("a")
    brought(rounds, "a", 1)
    rounds.finish(turns, 0.0)

    assert done_in_order(rounds) == "a"


def test_a_turn_says_how_long_it_waited() -> None:
    rounds = rota()
    rounds.bring("a", 7, 10.0)

    assert rounds.take(12.5) == [Turn("a", 7, 2.5)]


def test_nobody_waits_for_an_idle_crew_however_slow_it_was() -> None:
    rounds = rota()
    brought(rounds, "a", 1)
    rounds.finish(rounds.take(0.0), 100.0)

    assert rounds.expected_wait_s == 0


def test_the_wait_to_expect_is_a_unit_of_everybody_who_waits_and_of_one_at_work() -> None:
    rounds = rota(hands=2)
    brought(rounds, "a", 1)
    rounds.finish(rounds.take(0.0), 3.0)
    for who in "abcde":
        brought(rounds, who, 9)
    rounds.take(0.0)
    rounds.take(0.0)

    assert rounds.expected_wait_s == 3.0 * (3 + 1) / 2


class Fairness(RuleBasedStateMachine):
    """Between the bringing and the turn of a unit, everybody else has at most one turn."""

    def __init__(self) -> None:
        super().__init__()
        self.rota: Rota[str, int] = rota(hands=3, batch=2)
        self.next_unit = 0
        self.waiting: dict[str, list[int]] = {}
        self.at_work: list[list[Turn[str, int]]] = []
        self.turns_since: dict[str, dict[str, int]] = {}  # since it was first in its own line

    @rule(who=NAMES, count=st.integers(1, 5))
    def bring(self, who: str, count: int) -> None:
        for _ in range(count):
            if not self.waiting.setdefault(who, []) and not self.working(who):
                self.turns_since[who] = {}
            self.rota.bring(who, self.next_unit, 0.0)
            self.waiting[who].append(self.next_unit)
            self.next_unit += 1

    @precondition(lambda self: len(self.at_work) < 3)
    @rule()
    def take(self) -> None:
        turns = self.rota.take(0.0)
        ready = [who for who in self.waiting if self.waiting[who] and not self.working(who)]
        assert bool(turns) == bool(ready)
        for turn in turns:
            assert turn.who in ready
            assert turn.unit == self.waiting[turn.who].pop(0)
            ready.remove(turn.who)
            for others in (self.turns_since[who] for who in ready):
                others[turn.who] = others.get(turn.who, 0) + 1
                assert others[turn.who] <= 1
        if turns:
            self.at_work.append(turns)

    @precondition(lambda self: self.at_work)
    @rule(which=st.integers(0, 2))
    def finish(self, which: int) -> None:
        turns = self.at_work.pop(which % len(self.at_work))
        self.rota.finish(turns, 0.1)
        for turn in turns:
            self.turns_since[turn.who] = {}

    @rule(who=NAMES)
    def drop(self, who: str) -> None:
        assert self.rota.drop(who) == len(self.waiting.pop(who, []))

    @invariant()
    def counts_what_waits(self) -> None:
        assert self.rota.units == sum(map(len, self.waiting.values()))
        ready = [who for who in self.waiting if self.waiting[who] and not self.working(who)]
        assert self.rota.waiting == len(ready)

    def working(self, who: str) -> bool:
        return any(turn.who == who for turns in self.at_work for turn in turns)


TestFairness = Fairness.TestCase


@given(st.lists(st.integers(1, 20), min_size=1, max_size=6), st.integers(1, 4))
def test_everything_is_done_once_and_in_order(counts: list[int], batch: int) -> None:
    rounds = rota(batch=batch)
    for who, count in zip("abcdef", counts, strict=False):
        brought(rounds, who, count)
    done: dict[str, list[int]] = {}
    while turns := rounds.take(0.0):
        for turn in turns:
            done.setdefault(turn.who, []).append(turn.unit)
        rounds.finish(turns, 0.0)

    assert done == {who: list(range(count)) for who, count in zip("abcdef", counts, strict=False)}


# The crew: real threads.


def echo(shifts: Sequence[Shift[str, str]]) -> None:
    for shift in shifts:
        for letter in shift.unit:
            shift.tell(letter)
        shift.audio_s = 0.5


class Gate:
    """Work that stands still until it is let through, and counts what it did."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()
        self.done: list[str] = []

    def __call__(self, shifts: Sequence[Shift[str, str]]) -> None:
        self.begun.set()
        self.open.wait()
        for shift in shifts:
            self.done.append(shift.unit)
            shift.tell(shift.unit)


@pytest.mark.anyio
async def test_results_come_in_order() -> None:
    async with Crew(echo, name="Echo", workers=2) as crew:
        with crew.place() as place:
            for word in ("one", "two", "three"):
                place.bring(word)
            assert "".join([letter async for letter in place]) == "onetwothree"


@pytest.mark.anyio
async def test_fifty_places_each_get_their_own() -> None:
    given: dict[int, str] = {}

    async def have(number: int) -> None:
        with crew.place() as place:
            for part in range(5):
                place.bring(f"{number}.{part} ")
            given[number] = "".join([letter async for letter in place])

    async with (
        Crew(echo, name="Echo", workers=3, batch=4) as crew,
        anyio.create_task_group() as all_,
    ):
        for number in range(50):
            all_.start_soon(have, number)

    assert given == {n: "".join(f"{n}.{part} " for part in range(5)) for n in range(50)}


@pytest.mark.anyio
async def test_whoever_leaves_drops_what_waits_and_what_is_at_work_is_told() -> None:
    gate = Gate()
    async with Crew(gate, name="Gate", workers=1) as crew:
        with crew.place() as place:
            place.bring("at work")
            place.bring("waits")
            await anyio.to_thread.run_sync(gate.begun.wait)
        assert crew.queued == 0
        assert place.left
        gate.open.set()
        with crew.place() as other:
            other.bring("other")
            assert [result async for result in other] == ["other"]
    assert gate.done == ["at work", "other"]


@pytest.mark.anyio
async def test_a_cancelled_reader_waits_for_no_work() -> None:
    gate = Gate()
    async with Crew(gate, name="Gate", workers=1) as crew:
        with anyio.CancelScope() as scope, crew.place() as place:
            place.bring("at work")
            await anyio.to_thread.run_sync(gate.begun.wait)
            scope.cancel()
            async for _ in place:
                pytest.fail("nothing was done yet")
        assert scope.cancelled_caught
        gate.open.set()


@pytest.mark.anyio
async def test_what_goes_wrong_ends_the_streams_it_was_done_for_and_no_other() -> None:
    def fussy(shifts: Sequence[Shift[str, str]]) -> None:
        if shifts[0].unit == "bad":
            raise ValueError("no such thing")
        shifts[0].tell(shifts[0].unit)

    async with Crew(fussy, name="Fuss", workers=1) as crew:
        with crew.place() as bad, crew.place() as good:
            bad.bring("bad")
            good.bring("good")
            assert [result async for result in good] == ["good"]
            with pytest.raises(EngineFailure, match="Fuss failed: ValueError: no such thing"):
                bad.told()
            with pytest.raises(EngineFailure):
                await anext(bad)


@pytest.mark.anyio
async def test_room_is_waited_for() -> None:
    gate = Gate()
    async with Crew(gate, name="Gate", workers=1) as crew:
        with crew.place() as place:
            place.bring("one")
            place.bring("two")
            with anyio.move_on_after(0) as scope:
                await place.room(2)
            assert scope.cancelled_caught
            gate.open.set()
            await place.room(2)
            assert place.undone < 2


@pytest.mark.anyio
async def test_work_is_reported() -> None:
    reports: list[Work] = []
    async with Crew(echo, name="Echo", workers=1, report=reports.append) as crew:
        with crew.place() as place:
            place.bring("one")
            place.bring("two")
            async for _ in place:
                pass
    assert [work.audio_s for work in reports] == [0.5, 0.5]
    assert all(work.busy_s > 0 and work.queued_s >= 0 for work in reports)


@pytest.mark.anyio
async def test_a_crew_is_full_when_another_would_wait_longer_than_is_patient() -> None:
    gate = Gate()
    async with Crew(gate, name="Gate", workers=1, patience_s=0.0) as crew:
        with crew.place() as place, crew.place() as other:
            gate.open.set()
            place.bring("measured")
            assert [result async for result in place] == ["measured"]
            assert not crew.full
            gate.open.clear()
            gate.begun.clear()
            place.bring("at work")
            await anyio.to_thread.run_sync(gate.begun.wait)
            other.bring("waits")
            assert (crew.full, crew.queued) == (True, 1)
            gate.open.set()


@pytest.mark.anyio
async def test_far_too_much_is_refused() -> None:
    gate = Gate()
    async with Crew(gate, name="Gate", workers=1) as crew:
        with crew.place() as place:
            place.bring("at work")
            await anyio.to_thread.run_sync(gate.begun.wait)
            for _ in range(MOST_WAITING):
                place.bring("waits")
            with pytest.raises(EngineFailure, match="overloaded") as failure:
                place.bring("one too many")
            assert failure.value.code == "overloaded"
        gate.open.set()


@pytest.mark.anyio
async def test_a_crew_that_is_dismissed_leaves_no_thread_and_says_so_to_those_who_wait() -> None:
    gate = Gate()
    with ExitStack() as staying:
        async with Crew(gate, name="Gate", workers=2) as crew:
            place = staying.enter_context(crew.place())
            place.bring("at work")
            await anyio.to_thread.run_sync(gate.begun.wait)
            gate.open.set()
    assert not [each for each in threading.enumerate() if each.name.startswith("Gate")]
    with pytest.raises(EngineFailure, match="Gate has been stopped"):
        place.told()
    with pytest.raises(EngineFailure, match="Gate has been stopped"):
        place.bring("too late")


def test_there_is_a_core() -> None:
    assert cores() >= 1
