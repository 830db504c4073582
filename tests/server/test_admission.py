"""How many sessions may live, and how they end together; in virtual time."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from vivavoce.server.admission import Admission, Seat
from vivavoce.server.refusals import Denial
from vivavoce.testing import virtual_time


def seated(admission: Admission) -> Seat:
    """A seat, which there has to be."""
    seat = admission.enter()
    assert isinstance(seat, Seat)
    return seat


def refused(admission: Admission) -> Denial:
    """A denial, which there has to be."""
    denial = admission.enter()
    assert isinstance(denial, Denial)
    return denial


def test_whoever_comes_when_all_seats_are_taken_is_told_when_to_come_again() -> None:
    async def main() -> Denial:
        admission = Admission(2)
        seated(admission)
        seated(admission)
        return refused(admission)

    denial = virtual_time.run(main)
    assert (denial.status, denial.azure_code) == (429, "429")
    assert denial.headers == {"Retry-After": "5", "retry-after-ms": "5000"}
    assert "in 5 seconds" in denial.message


def test_a_seat_that_was_left_is_free() -> None:
    async def main() -> None:
        admission = Admission(1)
        with seated(admission):
            assert admission.live == 1
            refused(admission)
        assert admission.live == 0
        seated(admission)

    virtual_time.run(main)


def test_a_seat_is_left_when_the_session_fails() -> None:
    async def main() -> None:
        admission = Admission(1)
        with pytest.raises(KeyError), seated(admission):
            raise KeyError
        assert admission.live == 0

    virtual_time.run(main)


class Talk:
    """A session of some length, and what became of it. Deaf ones do not hear the hang-up."""

    def __init__(self, admission: Admission, seconds: float, *, deaf: bool = False) -> None:
        self._seat = seated(admission)
        self._seconds = seconds
        self._deaf = deaf
        self.ended: str | None = None
        self.ended_at = 0.0

    async def run(self) -> None:
        """Talk, until it is over one way or the other."""
        over = anyio.Event()

        async def hang_up(code: int, reason: str) -> None:
            self.ended = f"{code} {reason}"
            if self._deaf:
                await anyio.sleep_forever()
            over.set()

        with self._seat:
            self._seat.hang_up = hang_up
            with anyio.move_on_after(self._seconds):
                await over.wait()
        if self._seat.scope.cancelled_caught:
            self.ended = "cancelled"
        self.ended = self.ended or "finished"
        self.ended_at = anyio.current_time()


def drained(seconds: float, *talks: tuple[float, bool]) -> list[tuple[str | None, float]]:
    """How talks of those lengths end when the server drains, and when; the drain's end is last."""

    async def main() -> list[tuple[str | None, float]]:
        admission = Admission(10)
        running = [Talk(admission, length, deaf=deaf) for length, deaf in talks]
        async with anyio.create_task_group() as tasks:
            for talk in running:
                tasks.start_soon(talk.run)
            await checkpoint()
            await admission.drain(seconds)
            assert admission.live == 0
            refused(admission)
        ends = [(talk.ended, talk.ended_at) for talk in running]
        return [*ends, (None, anyio.current_time())]

    return virtual_time.run(main)


def test_draining_nobody_takes_no_time() -> None:
    assert drained(10) == [(None, 0)]


def test_draining_ends_with_the_last_session() -> None:
    assert drained(10, (3, False), (5, False)) == [("finished", 3), ("finished", 5), (None, 5)]


def test_who_came_and_went_before_the_draining_does_not_shorten_it() -> None:
    async def main() -> float:
        admission = Admission(2)
        with seated(admission):
            pass
        later = Talk(admission, 5)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(later.run)
            await checkpoint()
            await admission.drain(10)
        return later.ended_at

    assert virtual_time.run(main) == 5


def test_sessions_that_last_longer_are_told_that_the_server_goes() -> None:
    goodbye = "1001 the server is shutting down"
    assert drained(10, (3, False), (60, False)) == [("finished", 3), (goodbye, 10), (None, 10)]


def test_a_session_that_does_not_hear_is_cancelled() -> None:
    assert drained(10, (60, True)) == [("cancelled", 12), (None, 12)]


def test_a_session_that_is_still_being_let_in_is_cancelled() -> None:
    async def main() -> bool:
        admission = Admission(1)
        seat = seated(admission)

        async def enter() -> None:
            with seat:
                await anyio.sleep_forever()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(enter)
            await checkpoint()
            await admission.drain(0)
        return seat.scope.cancelled_caught

    assert virtual_time.run(main)


def test_who_comes_while_the_server_drains_is_refused() -> None:
    async def main() -> Denial:
        admission = Admission(1)
        await admission.drain(0)
        return refused(admission)

    denial = virtual_time.run(main)
    assert (denial.status, denial.azure_code) == (503, "ServiceUnavailable")
