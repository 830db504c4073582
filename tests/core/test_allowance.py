"""What a minute holds, and how it comes back (protocol reference, usage section 8)."""

import pytest

from vivavoce.core.allowance import LONGEST_OUTPUT, Allowance, Allowances, Quota
from vivavoce.core.errors import Refusal
from vivavoce.core.events import RateLimit

TIGHT = Quota(tokens_per_minute=20_000, requests_per_minute=3)


def test_what_is_taken_comes_back_evenly_within_a_minute() -> None:
    allowance = Allowance("tokens", 600)
    allowance.take(600, now=0)

    assert [allowance.left(now) for now in (0, 1, 30, 60, 90)] == [0, 10, 300, 600, 600]


@pytest.mark.parametrize(
    ("limit", "taken", "reset_seconds"),
    # The reference's own figures.
    [(20_000, 4518, 13.554), (15_000_000, 5490, 0.021)],
)
def test_the_reset_is_when_all_of_it_is_back(limit: int, taken: int, reset_seconds: float) -> None:
    allowance = Allowance("tokens", limit)
    allowance.take(taken, now=0)

    assert allowance.shown(0) == RateLimit("tokens", limit, limit - taken, reset_seconds)


def test_a_response_takes_the_most_that_it_may_need_and_gives_back_what_it_left() -> None:
    allowances = Allowances(TIGHT)

    allowances.reserve("resp_1", reads=400, says=None, now=0)
    assert [each.remaining for each in allowances.shown(0)] == [2, 20_000 - 400 - LONGEST_OUTPUT]
    allowances.settle("resp_1", spent=450, now=0)
    assert [each.remaining for each in allowances.shown(0)] == [2, 20_000 - 450]


def test_a_limit_of_the_response_is_all_that_it_may_say() -> None:
    allowances = Allowances(TIGHT)
    allowances.reserve("resp_1", reads=400, says=100, now=0)

    assert allowances.shown(0)[1].remaining == 20_000 - 500


def test_too_many_requests_are_refused_until_one_is_back() -> None:
    allowances = Allowances(TIGHT)
    for nth in range(3):
        allowances.reserve(f"resp_{nth}", reads=1, says=1, now=0)

    with pytest.raises(Refusal) as refused:
        allowances.reserve("resp_3", reads=1, says=1, now=0)
    assert refused.value.code == "rate_limit_exceeded"
    assert refused.value.message.endswith("Please try again in 20.000s.")
    allowances.reserve("resp_3", reads=1, says=1, now=20.0)


def test_what_is_refused_takes_nothing() -> None:
    allowances = Allowances(TIGHT)
    with pytest.raises(Refusal):
        allowances.reserve("resp_1", reads=20_001, says=1, now=0)

    assert [each.remaining for each in allowances.shown(0)] == [3, 20_000]


def test_a_response_that_was_refused_has_nothing_to_give_back() -> None:
    allowances = Allowances(TIGHT)
    allowances.settle("resp_1", spent=0, now=0)

    assert allowances.shown(0)[1].remaining == 20_000


def test_without_figures_nothing_is_told_or_kept() -> None:
    allowances = Allowances(Quota())
    allowances.reserve("resp_1", reads=10**9, says=None, now=0)
    allowances.settle("resp_1", spent=10**9, now=0)

    assert allowances.shown(0) == ()
