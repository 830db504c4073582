"""Token accounting by the protocol reference, usage sections 2 and 3.

Text is estimated, at one token for four characters and at least one a word; audio is exact. The
framing of messages costs what it was seen to cost at the hosted service.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence

from vivavoce.core.events import Tokens
from vivavoce.core.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    Item,
    Message,
    OutputAudio,
    Part,
    words_of,
)

CountTokens = Callable[[str], int]

WORD = re.compile(r"\s*\S+")
LONGEST_WORD = 40
PER_ITEM = 2
PER_AUDIO_ITEM = 6
PER_CALL_OUTPUT = 8
TEXT_OUTPUT = 2
AUDIO_OUTPUT = 4
PER_BURST = 2
USER_AUDIO_MS = 100
STRETCH_CHARACTERS = 400  # of a growing text: beyond it, what was counted is not counted again
ASSISTANT_AUDIO_MS = 50


def estimate(text: str) -> int:
    """About as many tokens as a model's tokeniser would make of *text*."""
    return max(-(-len(text) // 4), len(text.split()))


def of_item(item: Item, count: CountTokens) -> Tokens:
    """What one item costs as input."""
    match item:
        case Message(content=content):
            return _of_message(content, count)
        case FunctionCall(name=name, arguments=arguments):
            return Tokens(text=count(name) + count(arguments) + PER_CALL_OUTPUT)
        case FunctionCallOutput(output=output):
            return Tokens(text=count(output) + PER_ITEM)


def _of_message(content: Iterable[Part], count: CountTokens) -> Tokens:
    text, audio = PER_ITEM, 0
    for part in content:
        match part:
            case InputAudio():
                text, audio = PER_AUDIO_ITEM, audio + part.duration_ms // USER_AUDIO_MS
            case OutputAudio():
                text, audio = PER_AUDIO_ITEM, audio + part.duration_ms // ASSISTANT_AUDIO_MS
            case _:
                text += count(words_of(part))
    return Tokens(text, audio)


def of_head(instructions: str, tools: str, count: CountTokens) -> Tokens:
    """What stands before all items costs."""
    return Tokens(count(instructions) + PER_ITEM + count(tools) if instructions or tools else 0)


def shortened(text: str, tokens: int, count: CountTokens) -> str:
    """The longest beginning of *text*, in whole words, that is no more than so many tokens.

    A text without blanks may be cut anywhere.
    """
    if tokens >= len(text) or count(text) <= tokens:
        return text
    ends: Sequence[int] = [0, *(word.end() for word in WORD.finditer(text))]
    if len(ends) == 2 and len(text) > LONGEST_WORD:
        ends = range(len(text) + 1)
    return text[: ends[bisect_right(ends, tokens, key=lambda end: count(text[:end])) - 1]]


class Meter:
    """Counts the tokens of a text that grows, each stretch of it once."""

    def __init__(self, count: CountTokens) -> None:
        self._count = count
        self._counted = 0
        self._newest = ""
        self._of_newest = 0

    def push(self, text: str) -> None:
        """There is more of it."""
        self._newest += text
        if len(self._newest) > STRETCH_CHARACTERS:
            end = self._newest.rfind(" ")
            if end <= 0:  # not every language has blanks
                end = len(self._newest)
            self._counted += self._count(self._newest[:end])
            self._newest = self._newest[end:]
        self._of_newest = self._count(self._newest)

    @property
    def tokens(self) -> int:
        """How many there are by now."""
        return self._counted + self._of_newest
