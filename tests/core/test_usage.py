"""What tokens are counted for."""

import pytest

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
from vivavoce.core.usage import estimate, of_input, of_item


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


def test_the_input_is_instructions_tools_and_items() -> None:
    items = (Message("a", "user", (InputText("one"),)), Message("b", "user", (InputText("two"),)))

    assert of_input("Be brief.", "tool", items, estimate) == Tokens(3 + 2 + 1 + 3 + 3)
    assert of_input("", "", items, estimate) == Tokens(6)
