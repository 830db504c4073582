"""What a response is given to read: what fits, what is left out for good, what was read before."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.context import Context, Reading
from vivavoce.core.errors import Refusal
from vivavoce.core.events import Tokens
from vivavoce.core.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputText,
    Item,
    Message,
    text_of,
)
from vivavoce.core.settings import RetentionRatio, Truncation

NO_HEAD = ("", "")
HALF = RetentionRatio(0.5)


def words(text: str) -> int:
    return len(text.split())


def context(limit: int) -> Context:
    return Context(limit, words)


def said(item_id: str, count: int) -> Message:
    """A message that costs that many tokens."""
    return Message(item_id, "user", (InputText(" ".join([item_id[:1]] * (count - 2))),))


def read(
    window: Context, items: Sequence[Item], truncation: Truncation = "auto", head: str = ""
) -> Reading:
    reading = window.of_conversation((head, ""), items, truncation)
    window.remember(reading, of_conversation=True, for_good=True)
    return reading


def ids(reading: Reading) -> list[str]:
    return [item.id for item in reading.items]


def test_what_fits_is_read_in_whole() -> None:
    reading = read(context(20), [said("a", 10), said("b", 10)])

    assert ids(reading) == ["a", "b"]
    assert reading.tokens == Tokens(20)


def test_the_oldest_items_are_left_out_until_the_rest_fits() -> None:
    assert ids(read(context(25), [said("a", 10), said("b", 10), said("c", 10)])) == ["b", "c"]


def test_instructions_and_tools_are_never_left_out() -> None:
    reading = context(30).of_conversation(
        ("be brief", "tool"), [said("a", 10), said("b", 10), said("c", 10)], "auto"
    )

    assert ids(reading) == ["b", "c"]
    assert reading.tokens == Tokens(2 + 2 + 1 + 20)


def test_a_retention_ratio_leaves_out_more_and_so_less_often() -> None:
    items = [said(name, 10) for name in "abcdefghij"]

    assert len(ids(read(context(100), items, HALF))) == 10
    assert ids(read(context(99), items, HALF)) == ["g", "h", "i", "j"]


def test_a_retention_ratio_may_have_a_limit_of_its_own() -> None:
    items = [said(name, 10) for name in "abcd"]

    assert ids(read(context(1000), items, RetentionRatio(0.5, post_instructions=30))) == ["d"]
    assert len(ids(read(context(1000), items, RetentionRatio(0.5, post_instructions=40)))) == 4


def test_what_was_left_out_stays_out() -> None:
    window = context(25)
    items = [said("a", 10), said("b", 10), said("c", 10)]
    read(window, items)

    assert ids(read(window, items[:2])) == ["b"]


def test_a_list_of_the_clients_own_leaves_the_conversation_as_it_is() -> None:
    window = context(25)
    items = [said("a", 10), said("b", 10), said("c", 10)]

    assert ids(window.of_list(NO_HEAD, items, "auto")) == ["b", "c"]
    assert ids(read(window, items[:2])) == ["a", "b"]


def test_with_truncation_disabled_too_much_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        read(context(25), [said("a", 10), said("b", 10), said("c", 10)], "disabled")

    assert refused.value.code == "context_length_exceeded"
    assert "30 tokens" in refused.value.message
    assert "25" in refused.value.message


def test_what_is_answered_is_never_left_out() -> None:
    with pytest.raises(Refusal) as refused:
        read(context(25), [said("a", 10), said("b", 30)])

    assert refused.value.code == "context_length_exceeded"


def test_a_call_and_its_output_leave_together() -> None:
    call = FunctionCall("call", "f", "call_1", "x")  # 10 tokens
    output = FunctionCallOutput("output", "call_1", "x " * 8)  # 10 tokens
    items: list[Item] = [call, said("a", 10), output, said("b", 10)]

    assert ids(read(context(35), items)) == ["a", "b"]


def test_a_call_stays_whose_output_is_answered() -> None:
    call = FunctionCall("call", "f", "call_1", "x")
    output = FunctionCallOutput("output", "call_1", "x " * 8)

    assert ids(read(context(25), [call, said("a", 10), output])) == ["call", "output"]


def test_a_first_request_has_nothing_cached() -> None:
    assert read(context(1000), [said("a", 100)]).cached == Tokens()


def test_what_was_read_before_is_cached_in_whole_steps() -> None:
    window = context(1000)
    read(window, [said("a", 100)])

    assert read(window, [said("a", 100), said("b", 50)]).cached == Tokens(64)
    assert read(window, [said("a", 100), said("b", 50), said("c", 9)]).cached == Tokens(128)


def test_audio_is_cached_apart_from_text() -> None:
    window = context(1000)
    spoken = Message("a", "user", (InputAudio(24000 * 10, 24000),))  # 6 text, 100 audio
    read(window, [spoken])

    known = Message("a", "user", (InputAudio(24000 * 10, 24000, "its words by now"),))
    assert read(window, [known]).cached == Tokens(6, 58)


def test_other_instructions_break_the_prefix() -> None:
    window = context(1000)
    read(window, [said("a", 100)], head="be brief")

    assert read(window, [said("a", 100)], head="be kind").cached == Tokens()


def test_leaving_something_out_breaks_the_prefix() -> None:
    window = context(150)
    read(window, [said("a", 70), said("b", 70)])

    assert read(window, [said("a", 70), said("b", 70), said("c", 70)]).cached == Tokens()


def test_an_item_counts_by_what_it_holds_and_not_by_its_name() -> None:
    window = context(1000)
    window.remember(
        window.of_list(NO_HEAD, [said("x1", 100)], "auto"), of_conversation=False, for_good=False
    )

    assert window.of_list(NO_HEAD, [said("x2", 100)], "auto").cached == Tokens(64)


def test_an_item_that_changed_is_counted_anew() -> None:
    window = context(1000)
    read(window, [said("a", 10)])

    assert read(window, [said("a", 30)]).tokens == Tokens(30)


@given(
    st.lists(st.integers(3, 40), min_size=1, max_size=12),
    st.integers(10, 200),
    st.sampled_from(["auto", HALF, RetentionRatio(0.0), RetentionRatio(1.0, 20)]),
)
def test_whatever_is_read_fits_and_ends_as_the_conversation_does(
    costs: list[int], limit: int, truncation: Truncation
) -> None:
    items = [said(str(at), cost) for at, cost in enumerate(costs)]
    try:
        reading = read(context(limit), items, truncation)
    except Refusal:
        assert costs[-1] > limit
        return

    assert reading.tokens.total <= limit
    assert list(reading.items) == items[len(items) - len(reading.items) :]
    assert reading.items
    assert all(map(text_of, reading.items))


def test_what_is_asked_and_not_remembered_never_was() -> None:
    window = context(25)
    items = [said("a", 10), said("b", 10), said("c", 10)]
    window.of_conversation(NO_HEAD, items, "auto")

    assert ids(read(window, items[:2])) == ["a", "b"]
    assert window.of_conversation(NO_HEAD, items[:1], "auto").cached == Tokens()


def test_an_item_that_is_listed_many_times_is_priced_once() -> None:
    counted: list[str] = []

    def count(text: str) -> int:
        counted.append(text)
        return 1

    item = said("a", 10)
    Context(10_000, count).of_list(NO_HEAD, [item] * 500, "auto")

    assert len([text for text in counted if text]) == 1


def test_a_limit_of_nothing_leaves_what_is_answered() -> None:
    items = [said("a", 10), said("b", 10)]

    assert ids(read(context(100), items, RetentionRatio(0.5, post_instructions=0))) == ["b"]
