"""Conversation items and their content parts, as values.

An item's audio itself is kept by the conversation (`core.conversation.Recordings`), which forgets
the oldest; a part keeps what must never be forgotten: its words, its length, and which word began
when.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct

ItemStatus = Literal["in_progress", "completed", "incomplete"]
Role = Literal["system", "user", "assistant"]


class Mark(Struct, frozen=True):
    """A word of a transcript and when it begins to sound.

    *text_start* and *text_end* count characters of the part's transcript, *sample* counts samples
    of the part's audio at its own rate.
    """

    text_start: int
    text_end: int
    sample: int


class InputText(Struct, frozen=True):
    """Words written by the client."""

    text: str


class InputAudio(Struct, frozen=True):
    """Speech of the user: *samples* at *rate_hz*. *transcript* is None until it was recognised."""

    samples: int
    rate_hz: int
    transcript: str | None = None

    @property
    def duration_ms(self) -> int:
        """Its length, in whole milliseconds."""
        return self.samples * 1000 // self.rate_hz


class InputImage(Struct, frozen=True):
    """A picture, as a data URI."""

    image_url: str
    detail: Literal["auto", "low", "high"] = "auto"


class OutputText(Struct, frozen=True):
    """Words written by the assistant."""

    text: str


class OutputAudio(Struct, frozen=True):
    """Speech of the assistant: *samples* at *rate_hz*.

    *transcript* is what the wire shows, *heard* what the model remembers of it: the same until a
    truncation clears the one and shortens the other to the words that had begun.
    """

    transcript: str
    heard: str
    samples: int
    rate_hz: int
    marks: tuple[Mark, ...] = ()

    @property
    def duration_ms(self) -> int:
        """Its length, in whole milliseconds."""
        return self.samples * 1000 // self.rate_hz


Part = InputText | InputAudio | InputImage | OutputText | OutputAudio


class Message(Struct, frozen=True):
    """Something said or written by one of the three roles."""

    id: str
    role: Role
    content: tuple[Part, ...]
    status: ItemStatus = "completed"


class FunctionCall(Struct, frozen=True):
    """The assistant asks the client to run a function; *arguments* is JSON text."""

    id: str
    name: str
    call_id: str
    arguments: str = ""
    status: ItemStatus = "completed"


class FunctionCallOutput(Struct, frozen=True):
    """What the function of that call returned."""

    id: str
    call_id: str
    output: str
    status: ItemStatus = "completed"


Item = Message | FunctionCall | FunctionCallOutput


def unwritten(item: Item) -> list[int]:
    """The parts of an item that hold speech whose words nobody has written down."""
    content = item.content if isinstance(item, Message) else ()
    return [
        index
        for index, part in enumerate(content)
        if isinstance(part, InputAudio) and part.transcript is None
    ]


def written(message: Message, content_index: int, words: str) -> Message:
    """The message with the words of that part of its speech."""
    content = list(message.content)
    content[content_index] = msgspec.structs.replace(content[content_index], transcript=words)
    return msgspec.structs.replace(message, content=tuple(content))


def measured(item: Item, audio: Mapping[int, bytes], rate_hz: int) -> Item:
    """The item with the length of the *audio* that came inside it, PCM16 by the part it is of."""
    if not isinstance(item, Message):
        return item
    content = tuple(
        InputAudio(len(audio[index]) // 2, rate_hz, part.transcript)
        if isinstance(part, InputAudio) and index in audio
        else part
        for index, part in enumerate(item.content)
    )
    return msgspec.structs.replace(item, content=content)


def words_of(part: Part) -> str:
    """The words of a part that a reader of the conversation may count on."""
    match part:
        case InputText(text=text) | OutputText(text=text):
            return text
        case InputAudio(transcript=transcript):
            return transcript or ""
        case OutputAudio(heard=heard):
            return heard
        case InputImage():
            return ""


def text_of(item: Item) -> str:
    """All words of an item: of its parts, its arguments or its output."""
    match item:
        case Message(content=content):
            return " ".join(filter(None, map(words_of, content)))
        case FunctionCall(arguments=arguments):
            return arguments
        case FunctionCallOutput(output=output):
            return output
