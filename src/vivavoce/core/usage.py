"""Token accounting by the protocol reference, usage sections 2 and 3.

Text is estimated, at one token for four characters and at least one a word; audio is exact. The
framing of messages costs what it was seen to cost at the hosted service.
"""

from collections.abc import Callable, Iterable

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

PER_ITEM = 2
PER_AUDIO_ITEM = 6
PER_CALL_OUTPUT = 8
TEXT_OUTPUT = 2
AUDIO_OUTPUT = 4
PER_BURST = 2
USER_AUDIO_MS = 100
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


def of_input(instructions: str, tools: str, items: Iterable[Item], count: CountTokens) -> Tokens:
    """What a response's whole context costs."""
    text = count(instructions) + PER_ITEM + count(tools) if instructions or tools else 0
    audio = 0
    for cost in (of_item(item, count) for item in items):
        text, audio = text + cost.text, audio + cost.audio
    return Tokens(text, audio)
