"""What tokens are counted for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.events import Tokens
from vivavoce.core.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputText,
    Item,
    Message,
    OutputAudio,
)
from vivavoce.core.usage import Meter, estimate, of_head, of_item, shortened


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("four", 1), ("fives", 2), ("a b c", 3)]
)
def test_text_is_a_token_for_four_letters_and_at_least_one_a_word(text: str, tokens: int) -> None:
    assert estimate(text) == tokens


@pytest.mark.parametrize(
    ("item", "tokens"),
    [
        (Message("a", "user", (InputText("hello you"),)), Tokens(3 + 2)),
        # The reference's own figures: 2796 ms gave 27 tokens, 7.30 s gave 146.
        (Message("a", "user", (InputAudio(2796 * 24, 24000, "hello"),)), Tokens(6, 27)),
        (Message("a", "assistant", (OutputAudio("x", "x", 7300 * 24, 24000),)), Tokens(6, 146)),
        (FunctionCall("a", "get_time", "call_1", "{}"), Tokens(2 + 1 + 8)),
        (FunctionCallOutput("a", "call_1", "noon"), Tokens(1 + 2)),
    ],
)
def test_each_item_costs_its_content_and_its_frame(item: Item, tokens: Tokens) -> None:
    assert of_item(item, estimate) == tokens


def test_instructions_and_tools_stand_before_the_items() -> None:
    assert of_head("Be brief.", "tool", estimate) == Tokens(3 + 2 + 1)
    assert of_head("", "", estimate) == Tokens()


def test_a_text_that_grows_is_counted_as_it_is_in_whole() -> None:
    meter = Meter(lambda text: len(text.split()))
    for word in range(300):
        meter.push(f"word{word} ")
        assert meter.tokens == word + 1


def test_what_was_counted_of_a_growing_text_is_not_counted_again() -> None:
    counted: list[int] = []
    meter = Meter(lambda text: counted.append(len(text)) or 1)  # type: ignore[func-returns-value]
    for _ in range(1000):
        meter.push("and so on ")

    assert max(counted) <= 420


@given(st.text("ab, ", max_size=60), st.integers(0, 20))
def test_a_text_is_shortened_to_whole_words_and_no_more_than_needed(text: str, tokens: int) -> None:
    short = shortened(text, tokens, estimate)

    assert text.startswith(short)
    assert estimate(short) <= tokens
    rest = text[len(short) :]
    if rest.strip():
        assert rest[0].isspace() or not short
        longer = short + rest[: len(rest) - len(rest.lstrip())] + rest.split()[0]
        assert estimate(longer) > tokens
