import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.transports.webrtc.pace import Pace

HOUR = 180_000  # frames


def test_the_first_frame_is_due_at_the_start_and_each_next_one_20_ms_later() -> None:
    pace = Pace(100.0)

    assert [pace.due(at) for at in (99.99, 100.0, 100.01, 100.021, 100.039, 100.041)] == [
        *(0, 1, 0, 1, 0, 1)
    ]


def test_it_is_asked_for_nothing_before_the_next_frame() -> None:
    pace = Pace(5.0)

    assert pace.next_at == 5.0
    pace.due(5.0)
    assert pace.next_at == pytest.approx(5.02)
    pace.due(5.07)
    assert pace.next_at == pytest.approx(5.08)


@pytest.mark.parametrize("start", [0.0, 1e-9, 86_412.337, 4e6 + 1 / 3])
def test_whoever_sleeps_until_the_next_frame_finds_exactly_one(start: float) -> None:
    pace = Pace(start)

    assert all(pace.due(pace.next_at) == 1 for _ in range(HOUR))
    assert pace.next_at == pytest.approx(start + 3600, abs=1e-6)


def test_an_hour_of_late_wake_ups_ends_on_time() -> None:
    dice = random.Random(1)
    pace = Pace(1000.0)

    frames = 0
    last = now = 1000.0
    while now < 4600.0:
        last = now
        frames += pace.due(now)
        assert pace.skipped == 0
        # From a little early to a stall of 120 ms.
        now = pace.next_at + dice.choice([-0.001, 0.0, 0.0004, 0.003, 0.015, 0.12])

    assert frames == pytest.approx(HOUR, abs=7)
    assert 1000.0 + 0.02 * (frames - 1) <= last < 1000.0 + 0.02 * frames


def test_after_a_stall_the_oldest_frames_are_skipped_and_told_once() -> None:
    pace = Pace(0.0)
    pace.due(0.0)

    assert pace.due(1.001) == 10
    assert pace.skipped == 40
    assert pace.next_at == pytest.approx(1.02)
    assert pace.due(1.021) == 1
    assert pace.skipped == 0


def test_ten_frames_late_are_not_too_many() -> None:
    pace = Pace(0.0)

    assert pace.due(0.19) == 10
    assert pace.skipped == 0


def test_a_clock_that_steps_back_makes_nothing_due_twice() -> None:
    pace = Pace(0.0)
    pace.due(0.1)

    assert pace.due(0.05) == 0
    assert pace.skipped == 0
    assert pace.due(0.121) == 1


def test_frames_may_be_of_another_length() -> None:
    pace = Pace(0.0, frame_s=0.06)

    assert [pace.due(at) for at in (0.0, 0.05, 0.065, 0.2)] == [1, 0, 1, 2]


@given(st.floats(0, 1e6), st.lists(st.floats(0, 0.5), max_size=50))
def test_every_frame_is_told_or_skipped_once(start: float, sleeps: list[float]) -> None:
    pace = Pace(start)
    now = start
    passed = pace.due(now)

    for sleep in sleeps:
        now += sleep
        due = pace.due(now)
        passed += due + pace.skipped
        assert 0 <= due <= Pace.MOST_AT_ONCE
        assert pace.skipped == 0 or due == Pace.MOST_AT_ONCE
        assert pace.next_at > now

    assert abs(passed - 1 - (now - start) / 0.02) <= 1
