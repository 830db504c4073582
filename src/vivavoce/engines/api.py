"""What an engine is: a stream in, a stream out.

Every engine is an async context manager that loads its model on entering and lets go of it on
leaving, has a `version`, and one method, which is an async generator (but for the judge of turns,
who answers one question). Engines hold models, streams hold sessions: two streams never share a buffer, and closing one (`aclose`, or cancelling the task
that reads it) stops its work promptly at whatever await it stands. What goes wrong inside is raised
as `EngineFailure`; it ends that stream and nothing else. Nothing here may block the event loop for
longer than a millisecond: heavy work lives in threads or processes of the engine's own.

Engines inherit nothing. They are found by entry point (see `registry`). Besides, an engine may have

- `cheap = True`: so quick and so idle that work may be done on speculation, before it is known
  whether the user has finished;
- `warms_up = True`: it does a little of its work (`self_check`) before the server says that it is
  ready, so that the first session does not wait for what a model does once;
- `voices`, of a synthesiser or a speech model: its own name for each voice of the API;
- `queued`, `full` and `report`, where sessions share it and wait for it: how many wait, whether
  another session would have to wait too long, and who is told of each piece of `Work`.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Literal, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from vivavoce.audio.pcm import Pcm
from vivavoce.core.effects import GenerationRequest

HEARING_RATE_HZ = 16000
FRAME_SAMPLES = 512  # of 16 kHz: 32 ms, the unit in which voice is detected


class EngineFailure(Exception):  # noqa: N818 - named by what it is in a conversation
    """An engine could not do its part. *code* and *message* reach the client in a failed response."""

    def __init__(self, message: str, *, code: str = "server_error") -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Engine(Protocol):
    """What all have in common."""

    @property
    def version(self) -> str:
        """What is at work, for people: `PocketSphinx 5.1.1`."""
        ...

    async def __aenter__(self) -> object:
        """Load the model."""
        ...

    async def __aexit__(self, *exc_info: object) -> None:
        """Let go of it, and of every thread and process."""
        ...


class Work(Struct, frozen=True):
    """A piece of work done: seconds of audio heard or made, seconds at work, seconds it waited."""

    audio_s: float
    busy_s: float
    queued_s: float


Frames = NDArray[np.float32]


class VoiceDetector(Engine, Protocol):
    """Says how likely each frame holds a voice."""

    def detect(self, frames: AsyncIterator[Frames]) -> AsyncGenerator[tuple[float, ...], None]:
        """For each array of shape [n, 512] (16 kHz, -1 to 1, n >= 1) yield n probabilities."""
        ...


class TranscriptDelta(Struct, frozen=True):
    """Words that will not be taken back; deltas joined are a beginning of the transcript."""

    text: str


class Transcript(Struct, frozen=True):
    """The last value of a transcription: all the words, without blanks at either end."""

    text: str


class TranscriptionHints(Struct, frozen=True):
    """What the client said about its speech: an ISO 639-1 language, a prompt."""

    language: str | None = None
    prompt: str | None = None


class Transcriber(Engine, Protocol):
    """Writes down one turn of speech."""

    def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        """Take 16 kHz audio as it arrives; yield any number of deltas, then one Transcript, last.

        No audio at all, or silence, gives a Transcript with empty text. Whether anybody speaks is
        not asked here: that was the detector's business.
        """
        ...


class Pause(Struct, frozen=True):
    """A turn at a moment of silence: the newest 8 s of its audio at 16 kHz, and its words so far.

    The audio ends with the silence, which has lasted for about 160 ms or longer. The words may lag
    behind it, or be missing where nobody transcribes.
    """

    pcm: Pcm
    words: str = ""
    language: str | None = None


class TurnJudge(Engine, Protocol):
    """Says whether somebody who pauses has finished."""

    async def judge(self, pause: Pause) -> float:
        """How finished the turn sounds: 0, more is to come, to 1, it is the other's turn."""
        ...


class WrittenText(Struct, frozen=True):
    """The next words of the answer."""

    text: str


class WrittenCall(Struct, frozen=True):
    """A piece of function call number *index* (0, 1 ...); *final* marks its last piece."""

    index: int
    name: str
    arguments: str = ""
    final: bool = False


class WrittenUsage(Struct, frozen=True):
    """What the model itself counted, told once, after everything else: tokens of text and audio."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0


class CutShort(Struct, frozen=True):
    """There was more to say: the model reached its limit, or its server does not let it through."""

    reason: Literal["max_output_tokens", "content_filter"]


Written = WrittenText | WrittenCall | WrittenUsage | CutShort


class LanguageModel(Engine, Protocol):
    """Answers."""

    def respond(self, request: GenerationRequest) -> AsyncGenerator[Written, None]:
        """Yield the answer as it comes to be: words (blanks included) and function calls.

        Closing the stream aborts the work, at its server too.
        """
        ...


class SpokenMark(Struct, frozen=True):
    """Characters [*text_start*, *text_end*) of all text spoken so far begin to sound at *at_ms*.

    Both count from the beginning of the stream, over all its phrases joined.
    """

    text_start: int
    text_end: int
    at_ms: float


class Spoken(Struct, frozen=True):
    """A stretch of speech, and the words that begin in it or lie ahead."""

    pcm: Pcm
    marks: tuple[SpokenMark, ...] = ()


class Voice(Struct, frozen=True):
    """How to speak: the engine's own voice name, a speed of 0.25 to 1.5, an ISO 639-1 language.

    The API's names have been mapped to it, by the engine's `voices` and the recipe's over them, and
    are not to be looked up again. A name that is not its own an engine speaks with some voice, for
    checks ask for `alloy` and clients for voices of their own.
    """

    name: str = "alloy"
    speed: float = 1.0
    language: str | None = None


class Synthesiser(Engine, Protocol):
    """Speaks phrases as they arrive."""

    def speak(self, phrases: AsyncIterator[str], voice: Voice) -> AsyncGenerator[Spoken, None]:
        """Yield audio with its word marks in playing order, at a rate that never changes.

        The stream's text is its phrases joined as they are, so a phrase brings its own blanks. A
        phrase with nothing to pronounce yields nothing.
        """
        ...


# The audio of the items of a request, by item id and content index, at any rate.
Recordings = Mapping[tuple[str, int], Pcm]


class SpeechModel(Engine, Protocol):
    """Hears and answers in one: in place of transcriber, language model and synthesiser."""

    def converse(
        self, request: GenerationRequest, recordings: Recordings, voice: Voice
    ) -> AsyncGenerator[Written | Spoken, None]:
        """Yield the answer as it comes to be: what is said (as text), its audio, function calls.

        With `request.output_modality` "text" there is no audio. Audio keeps one rate.
        """
        ...
