"""Everything the engines and the transport report back. Past tense; never a request."""

from typing import Literal

from msgspec import Struct

from vivavoce.core.items import Mark


class Connected(Struct, frozen=True):
    """The first channel is open. *wall_time* is Unix time in seconds, which enters only here."""

    wall_time: float


class Heard(Struct, frozen=True):
    """Probabilities of voice for the next frames of 32 ms of that stream (see `Listen`)."""

    stream: int
    probabilities: tuple[float, ...]


class DetectionFailed(Struct, frozen=True):
    """Nothing more is heard of that stream: its voice detection broke."""

    stream: int
    message: str


class TranscriptGrew(Struct, frozen=True):
    """More words of an item, never to be taken back."""

    item_id: str
    delta: str


class TranscriptFinished(Struct, frozen=True):
    """All words of an item."""

    item_id: str
    transcript: str


class TranscriptFailed(Struct, frozen=True):
    """There will be no words of this item."""

    item_id: str
    code: str
    message: str


class TranscriptPeeked(Struct, frozen=True):
    """The answer to the `PeekTranscript` of that number; None if there is none to be had."""

    item_id: str
    number: int
    transcript: str | None


class TurnJudged(Struct, frozen=True):
    """The answer to the `JudgeTurn` of that number: 0, more is to come, to 1, finished.

    None if the judge failed.
    """

    number: int
    finished: float | None


class TextProduced(Struct, frozen=True):
    """Words of a response, as the language model writes them."""

    response_id: str
    delta: str


class AudioProduced(Struct, frozen=True):
    """Speech of a response: PCM16 at the rate asked for, in playing order.

    *marks* count characters of the response's spoken text and samples of its audio so far.
    """

    response_id: str
    pcm: bytes
    marks: tuple[Mark, ...] = ()


class CallProduced(Struct, frozen=True):
    """A piece of function call number *index* of a response; *final* with its last piece."""

    response_id: str
    index: int
    name: str
    arguments: str = ""
    final: bool = False


class UsageCounted(Struct, frozen=True):
    """What the model itself counted for a response."""

    response_id: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0


class GenerationFinished(Struct, frozen=True):
    """Everything of a response was produced; with a *reason*, there would have been more."""

    response_id: str
    reason: Literal["max_output_tokens", "content_filter"] | None = None


class GenerationFailed(Struct, frozen=True):
    """An engine failed; nothing more of this response will come."""

    response_id: str
    code: str
    message: str


class Played(Struct, frozen=True):
    """The listener has heard that many samples of a response's audio; told where the server plays."""

    response_id: str
    samples: int
    finished: bool = False


Signal = (
    Connected
    | Heard
    | DetectionFailed
    | TranscriptGrew
    | TranscriptFinished
    | TranscriptFailed
    | TranscriptPeeked
    | TurnJudged
    | TextProduced
    | AudioProduced
    | CallProduced
    | UsageCounted
    | GenerationFinished
    | GenerationFailed
    | Played
)
