"""What an item says."""

import pytest

from vivavoce.core.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    Item,
    Message,
    OutputAudio,
    OutputText,
    text_of,
)


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (
            Message("a", "user", (InputText("look"), InputImage("data:"), InputText("there"))),
            "look there",
        ),
        (Message("a", "user", (InputAudio(24, 24000, "hello"), InputAudio(24, 24000))), "hello"),
        (Message("a", "assistant", (OutputText("hi"),)), "hi"),
        (Message("a", "assistant", (OutputAudio("", "one two", 24, 24000),)), "one two"),
        (Message("a", "system", ()), ""),
        (FunctionCall("a", "f", "call_1", "{}"), "{}"),
        (FunctionCallOutput("a", "call_1", "done"), "done"),
    ],
)
def test_an_item_says_what_its_parts_say(item: Item, text: str) -> None:
    assert text_of(item) == text
