"""The real minter's ids: their layout, and that no two are the same."""

import re

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.runtime.clock import DIGITS, EPOCH, Clock, Minter, base62, worker_of
from vivavoce.testing import virtual_time


class StandingClock(Clock):
    """Shows one moment."""

    def __init__(self, wall: float) -> None:
        self._wall = wall

    def wall(self) -> float:
        """That moment."""
        return self._wall


def test_an_id_is_its_prefix_and_twenty_one_base62_characters() -> None:
    assert re.fullmatch(r"event_[0-9A-Za-z]{21}", Minter()("event_"))


def test_a_call_id_has_sixteen() -> None:
    assert re.fullmatch(r"call_[0-9A-Za-z]{16}", Minter()("call_"))


def test_the_first_five_characters_are_the_second_of_its_making() -> None:
    made = Minter(StandingClock(EPOCH + 62**4 + 61.9))("item_")
    assert made.startswith("item_1000z")


def test_ids_of_later_seconds_sort_after_those_of_earlier_ones() -> None:
    seconds = (EPOCH, EPOCH + 61, EPOCH + 62, EPOCH + 200_000_000)
    ids = [Minter(StandingClock(at))("resp_") for at in seconds]
    assert ids == sorted(ids)


def test_no_two_ids_are_the_same() -> None:
    minters = [Minter(StandingClock(EPOCH)) for _ in range(4)]
    assert len({mint("event_") for mint in minters for _ in range(5000)}) == 20000


@given(st.integers(0, 62**2 - 1))
def test_a_session_id_names_its_worker(worker: int) -> None:
    made = Minter().mint_session(worker)
    assert re.fullmatch(r"sess_[0-9A-Za-z]{21}", made)
    assert worker_of(made) == worker


def test_a_call_of_a_worker_names_it_too() -> None:
    assert worker_of(Minter().mint_session(7, prefix="rtc_u2_")) == 7


@pytest.mark.parametrize("given", ["", "sess_short", "sess_EmfOk--EnEjV36Vp2VFcj", "nonsense"])
def test_an_id_made_elsewhere_names_no_worker(given: str) -> None:
    assert worker_of(given) is None


def test_sessions_of_one_worker_differ() -> None:
    mint = Minter(StandingClock(EPOCH))
    assert len({mint.mint_session(1) for _ in range(5000)}) == 5000


def test_a_worker_beyond_two_characters_is_refused() -> None:
    with pytest.raises(ValueError, match="worker is 3844"):
        Minter().mint_session(3844)


@given(st.integers(0, 62**8 - 1))
def test_base62_can_be_read_back(number: int) -> None:
    read = 0
    for digit in base62(number, 8):
        read = read * 62 + DIGITS.index(digit)
    assert read == number


def test_the_clock_follows_the_loop_and_rings_when_asked() -> None:
    async def main() -> list[float]:
        clock, rung = Clock(), list[float]()
        clock.call_at(clock.now() + 5, lambda: rung.append(clock.now()))
        await anyio.sleep(10)
        return rung

    assert virtual_time.run(main) == [5]
