"""The conformance kit over every engine that is declared, and over engines that break a promise."""

import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from functools import partial

import anyio
import pytest

from vivavoce.audio.pcm import Pcm, of_samples
from vivavoce.core.effects import GenerationRequest
from vivavoce.engines import registry
from vivavoce.engines.api import (
    Engine,
    EngineFailure,
    Frames,
    Pause,
    Spoken,
    SpokenMark,
    Transcript,
    TranscriptDelta,
    TranscriptionHints,
    Voice,
    WrittenCall,
    WrittenText,
)
from vivavoce.engines.registry import SLOTS, Slot
from vivavoce.engines.scenario import Call, Hearing, Scenario, Speech, Turn
from vivavoce.engines.scripted import (
    ScriptedLanguageModel,
    ScriptedSynthesiser,
    ScriptedTranscriber,
)
from vivavoce.testing import engine_kit, virtual_time
from vivavoce.testing.engine_kit import CHECKS
from vivavoce.testing.stopping import Nonconformance

# One process is as good as two for what the kit looks at, and starts in half the time.
OPTIONS = {"pocketsphinx": {"workers": 1}, "espeak": {"workers": 1}}

UNHURRIED = Scenario(
    heard=(
        Hearing(up_to_ms=1500, transcript="a short turn", pause_ms=300, word_ms=50),
        Hearing(transcript="a turn that goes on for longer", pause_ms=300, word_ms=50),
    ),
    turns=(
        Turn(hears="hello", say="Hello to you too.", pause_ms=300, word_ms=50),
        Turn(hears="capital", say="It is Paris.", pause_ms=300, word_ms=50),
    ),
    speech=Speech(first_ms=200, pace=2.0),
)


async def _run(slot: Slot, check: str, make: Callable[[], Engine]) -> None:
    engine = make()
    async with engine:
        await CHECKS[slot][check](engine)


def _cases(*leading: tuple[Slot, object]) -> list[tuple[object, ...]]:
    """Each of them with every check of its slot."""
    return [(slot, other, check) for slot, other in leading for check in CHECKS[slot]]


DECLARED = {(slot, name) for slot in SLOTS for name in registry.names(slot)}
# Those that need a server or a model are put through the same checks where their tests bring one.
ELSEWHERE: set[tuple[Slot, str]] = {
    ("transcriber", "http"),  # test_http_speech
    ("synthesiser", "http"),
    ("language_model", "chat"),  # test_chat
    ("speech_model", "chat-audio"),  # test_omni
    ("transcriber", "sherpa"),  # tests/engines_extra
    ("synthesiser", "sherpa"),
    ("transcriber", "faster-whisper"),
    ("turn_judge", "smart-turn"),
}


def test_what_is_checked_elsewhere_is_declared() -> None:
    assert ELSEWHERE < DECLARED


@pytest.mark.parametrize(
    ("slot", "name", "check"),
    _cases(*sorted(DECLARED - ELSEWHERE)),
)
def test_a_declared_engine_keeps_the_contract(slot: Slot, name: str, check: str) -> None:
    anyio.run(_run, slot, check, partial(registry.make, slot, name, OPTIONS.get(name)))


@pytest.mark.parametrize(
    ("slot", "make", "check"),
    _cases(
        ("transcriber", ScriptedTranscriber),
        ("language_model", ScriptedLanguageModel),
        ("synthesiser", ScriptedSynthesiser),
    ),
)
def test_a_scripted_engine_that_takes_its_time_keeps_the_contract(
    slot: Slot, make: Callable[..., Engine], check: str
) -> None:
    virtual_time.run(_run, slot, check, partial(make, scenario=UNHURRIED))


class Plain:
    """What every engine below has."""

    version = "Plain 1"

    async def __aenter__(self) -> object:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return None


class Loudness(Plain):
    """A detector that keeps the contract; the broken ones differ from it in one thing."""

    async def detect(
        self, frames: AsyncIterator[Frames]
    ) -> AsyncGenerator[tuple[float, ...], None]:
        async for array in frames:
            yield tuple(min(1.0, float(abs(frame).max())) for frame in array)


class OutOfRange(Loudness):
    async def detect(
        self, frames: AsyncIterator[Frames]
    ) -> AsyncGenerator[tuple[float, ...], None]:
        async for array in frames:
            yield tuple(10 * float(abs(frame).max()) for frame in array)


class OnePerArray(Loudness):
    async def detect(
        self, frames: AsyncIterator[Frames]
    ) -> AsyncGenerator[tuple[float, ...], None]:
        async for array in frames:
            yield (min(1.0, float(abs(array).max())),)


class Smoothing(Loudness):
    """Remembers the last probability in the engine, where it belongs to the stream."""

    def __init__(self) -> None:
        self._last = 0.0

    async def detect(
        self, frames: AsyncIterator[Frames]
    ) -> AsyncGenerator[tuple[float, ...], None]:
        async for array in frames:
            given = []
            for frame in array:
                self._last = (self._last + min(1.0, float(abs(frame).max()))) / 2
                given.append(self._last)
            yield tuple(given)


class Gathering(Loudness):
    async def detect(
        self, frames: AsyncIterator[Frames]
    ) -> AsyncGenerator[tuple[float, ...], None]:
        arrays = [array async for array in frames]
        for array in arrays:
            yield tuple(min(1.0, float(abs(frame).max())) for frame in array)


class SilenceIsVoice(Loudness):
    async def detect(
        self, frames: AsyncIterator[Frames]
    ) -> AsyncGenerator[tuple[float, ...], None]:
        async for array in frames:
            yield (0.9,) * len(array)


class PerArrayScale(Loudness):
    async def detect(
        self, frames: AsyncIterator[Frames]
    ) -> AsyncGenerator[tuple[float, ...], None]:
        async for array in frames:
            peak = max(1e-9, float(abs(array).max()))
            yield tuple(float(abs(frame).max()) / peak for frame in array)


class Counting(Plain):
    """A transcriber that keeps the contract: it writes down how many bytes were not silent."""

    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        count = 0
        async for pcm in audio:
            count += len(pcm.data.strip(b"\0"))
        if count:
            yield TranscriptDelta("bytes:")
        yield Transcript(f"bytes: {count}" if count else "")


class Unnamed(Counting):
    version = ""


class SharedBuffer(Counting):
    """Gathers audio in the engine: two streams at once mix."""

    def __init__(self) -> None:
        self._count = 0

    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        self._count = 0
        async for pcm in audio:
            self._count += len(pcm.data.strip(b"\0"))
        yield Transcript(f"bytes: {self._count}" if self._count else "")


class Leftover(Counting):
    """Clears its buffer only when a turn comes to its end."""

    def __init__(self) -> None:
        self._audio = b""

    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        async for pcm in audio:
            self._audio += pcm.data.strip(b"\0")
        transcript, self._audio = f"bytes: {len(self._audio)}", b""
        yield Transcript(transcript)


class Swallowing(Counting):
    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        try:
            async for _ in audio:
                pass
        except anyio.get_cancelled_exc_class():
            yield Transcript("")
        yield Transcript("")


class EndingWhenCancelled(Counting):
    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        try:
            async for _ in audio:
                pass
        except anyio.get_cancelled_exc_class():
            return
        yield Transcript("")


class FailingWhenCancelled(Counting):
    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        try:
            async for _ in audio:
                pass
        except anyio.get_cancelled_exc_class():
            raise EngineFailure("interrupted") from None
        yield Transcript("")


class Stubborn(Counting):
    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        async for _ in audio:
            pass
        for _ in range(200):
            try:
                await anyio.sleep(0.01)
            except anyio.get_cancelled_exc_class():
                continue
        yield Transcript("")


class Lingering(Counting):
    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        try:
            async for _ in audio:
                pass
            yield Transcript("")
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)


class IgnoringClose(Counting):
    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        async for _ in audio:
            pass
        try:
            yield TranscriptDelta("")
        except GeneratorExit:
            yield Transcript("")


class Grouping(Counting):
    """Reads its input in a task group and lets the group's own exception out."""

    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        async def read() -> None:
            async for _ in audio:
                pass

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
        yield Transcript("")


class Deaf(Counting):
    """Takes an input that failed for one that ended."""

    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        try:
            async for _ in audio:
                pass
        except (EngineFailure, LookupError):
            pass
        yield Transcript("")


class TwoTranscripts(Counting):
    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        async for _ in audio:
            yield Transcript("again")


class TakingBack(Counting):
    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        async for _ in audio:
            pass
        yield TranscriptDelta("two")
        yield Transcript("too")


class Untrimmed(Counting):
    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        async for _ in audio:
            pass
        yield Transcript(" hello")


class WantingEvenPieces(Counting):
    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        async for pcm in audio:
            if not pcm.count:
                raise EngineFailure("empty audio")
        yield Transcript("")


class Hallucinating(Counting):
    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        async for _ in audio:
            pass
        yield Transcript("Thanks for watching!")


class Hintless(Counting):
    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        if hints.prompt:
            raise EngineFailure("no prompts")
        async for _ in audio:
            pass
        yield Transcript("")


class Wordy(Plain):
    """A judge that keeps the contract: the more words, the more finished."""

    async def judge(self, pause: Pause) -> float:
        await anyio.lowlevel.checkpoint()
        return min(1.0, len(pause.words.split()) / 10)


class Overconfident(Wordy):
    async def judge(self, pause: Pause) -> float:
        return float(len(pause.words))


class Unsure(Wordy):
    async def judge(self, pause: Pause) -> float:
        return math.nan if not pause.pcm.count else 0.5


class Impressionable(Wordy):
    """Remembers its last verdict, where pauses are of many sessions."""

    def __init__(self) -> None:
        self._last = 0.0

    async def judge(self, pause: Pause) -> float:
        self._last = (self._last + await super().judge(pause)) / 2
        return self._last


class Insistent(Wordy):
    async def judge(self, pause: Pause) -> float:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(5)
        return 0.5


class Sulking(Wordy):
    """Was cancelled once, and judges no more as before."""

    def __init__(self) -> None:
        self._hurt = False

    async def judge(self, pause: Pause) -> float:
        try:
            return 0.0 if self._hurt else await super().judge(pause)
        except anyio.get_cancelled_exc_class():
            self._hurt = True
            raise


class Mute(Plain):
    async def respond(
        self, request: GenerationRequest
    ) -> AsyncGenerator[WrittenText | WrittenCall, None]:
        yield WrittenText(" ")


class Needy(Plain):
    async def respond(
        self, request: GenerationRequest
    ) -> AsyncGenerator[WrittenText | WrittenCall, None]:
        yield WrittenText(request.context[-1].id)


class Uncertain(Plain):
    """Calls where it should not, or in the wrong form."""

    def __init__(self, *pieces: WrittenCall) -> None:
        self._pieces = pieces

    async def respond(
        self, request: GenerationRequest
    ) -> AsyncGenerator[WrittenText | WrittenCall, None]:
        yield WrittenText("Well.")
        for piece in self._pieces if request.tools else ():
            yield piece


class Tongue(Plain):
    """A synthesiser that keeps the contract: a tenth of a second for each word."""

    async def speak(
        self, phrases: AsyncIterator[str], voice: Voice
    ) -> AsyncGenerator[Spoken, None]:
        start, at_ms = 0, 0.0
        async for phrase in phrases:
            for word in phrase.split():
                place = start + phrase.index(word)
                yield self.say(SpokenMark(place, place + len(word), at_ms), voice.speed)
                at_ms += 100 / voice.speed
            start += len(phrase)

    def say(self, mark: SpokenMark, speed: float) -> Spoken:
        import numpy as np

        return Spoken(of_samples(np.ones(round(2400 / speed), np.int16), 24000), (mark,))


class MarksBackwards(Tongue):
    def say(self, mark: SpokenMark, speed: float) -> Spoken:
        return super().say(SpokenMark(mark.text_start, mark.text_end, 500 - mark.at_ms), speed)


class MarksOutsideTheText(Tongue):
    def say(self, mark: SpokenMark, speed: float) -> Spoken:
        return super().say(SpokenMark(mark.text_start, mark.text_end + 9, mark.at_ms), speed)


class MarksAfterTheAudio(Tongue):
    def say(self, mark: SpokenMark, speed: float) -> Spoken:
        return super().say(SpokenMark(mark.text_start, mark.text_end, mark.at_ms + 150), speed)


class MarksTooLate(Tongue):
    def say(self, mark: SpokenMark, speed: float) -> Spoken:
        return super().say(SpokenMark(mark.text_start, mark.text_end, mark.at_ms / 2), speed)


class MarksForgotten(Tongue):
    def say(self, mark: SpokenMark, speed: float) -> Spoken:
        spoken = super().say(mark, speed)
        return Spoken(spoken.pcm, spoken.marks if mark.at_ms < 300 else ())


class RateChanging(Tongue):
    def say(self, mark: SpokenMark, speed: float) -> Spoken:
        spoken = super().say(mark, speed)
        return Spoken(Pcm(spoken.pcm.data, 24000 if mark.at_ms < 300 else 16000), spoken.marks)


class OneSpeed(Tongue):
    def say(self, mark: SpokenMark, speed: float) -> Spoken:
        return super().say(mark, 1.0)


class Clipped(Tongue):
    def say(self, mark: SpokenMark, speed: float) -> Spoken:
        return super().say(mark, 10.0)


class SpeakingBlanks(Tongue):
    async def speak(
        self, phrases: AsyncIterator[str], voice: Voice
    ) -> AsyncGenerator[Spoken, None]:
        async for phrase in phrases:
            yield self.say(SpokenMark(0, len(phrase), 0), voice.speed)


class ForgettingBlanks(Tongue):
    async def speak(
        self, phrases: AsyncIterator[str], voice: Voice
    ) -> AsyncGenerator[Spoken, None]:
        async for phrase in phrases:
            if phrase.strip():
                yield self.say(SpokenMark(0, len(phrase), 0), voice.speed)


class ReadingToTheEnd(Tongue):
    async def speak(
        self, phrases: AsyncIterator[str], voice: Voice
    ) -> AsyncGenerator[Spoken, None]:
        for phrase in [phrase async for phrase in phrases]:
            yield self.say(SpokenMark(0, len(phrase), 0), voice.speed)


class Greeting(Tongue):
    async def speak(
        self, phrases: AsyncIterator[str], voice: Voice
    ) -> AsyncGenerator[Spoken, None]:
        yield self.say(SpokenMark(0, 1, 0), voice.speed)
        async for _ in phrases:
            pass


@pytest.mark.parametrize(
    ("slot", "make"),
    [
        ("voice_detector", Loudness),
        ("transcriber", Counting),
        ("turn_judge", Wordy),
        ("synthesiser", Tongue),
    ],
)
def test_the_plain_engines_that_the_broken_ones_differ_from_pass(
    slot: Slot, make: Callable[[], Engine]
) -> None:
    check = {
        "voice_detector": engine_kit.check_voice_detector,
        "transcriber": engine_kit.check_transcriber,
        "turn_judge": engine_kit.check_judge,
        "synthesiser": engine_kit.check_synthesiser,
    }[slot]
    virtual_time.run(check, make)  # type: ignore[arg-type]  # each check with its own slot's engine


def test_a_whole_language_model_is_checked_at_once() -> None:
    virtual_time.run(engine_kit.check_language_model, ScriptedLanguageModel)


CALL = WrittenCall(0, "get_weather", "{}", final=True)


@pytest.mark.parametrize(
    ("make", "slot", "check", "complaint"),
    [
        (OutOfRange, "voice_detector", "gives one probability per frame", "between 0 and 1"),
        (OnePerArray, "voice_detector", "gives one probability per frame", "gave .1, 1, 1, 1. p"),
        (SilenceIsVoice, "voice_detector", "hears no voice in silence", r"probability 0\.90"),
        (
            PerArrayScale,
            "voice_detector",
            "hears the same however frames are gathered",
            "frames one by one gave other",
        ),
        (Smoothing, "voice_detector", "keeps streams apart", "the same input gave"),
        (Gathering, "voice_detector", "does not wait for more", "before the second comes"),
        (Unnamed, "transcriber", "says its version", "`version` is empty"),
        (SharedBuffer, "transcriber", "keeps streams apart", "beside another stream"),
        (Leftover, "transcriber", "stops when cancelled", "after streams that were cancelled"),
        (
            Leftover,
            "transcriber",
            "stops while it waits for input",
            "cancelled as they waited for input",
        ),
        (Leftover, "transcriber", "tells of failing input", "after streams with failing input"),
        (Swallowing, "transcriber", "stops when cancelled", "cancelled, a stream gave Transcr"),
        (Swallowing, "transcriber", "stops while it waits for input", "cancelled, a stream gave"),
        (
            EndingWhenCancelled,
            "transcriber",
            "stops while it waits for input",
            "ended as if it was done",
        ),
        (
            FailingWhenCancelled,
            "transcriber",
            "stops while it waits for input",
            "raised EngineFailure",
        ),
        (Stubborn, "transcriber", "stops when cancelled", "again and again"),
        (Lingering, "transcriber", "stops when cancelled", r"took 5\.0 s"),
        (Lingering, "transcriber", "stops when closed", r"took 5\.0 s"),
        (IgnoringClose, "transcriber", "stops when closed", "ignored GeneratorExit"),
        (Grouping, "transcriber", "tells of failing input", "not with ExceptionGroup"),
        (Deaf, "transcriber", "tells of failing input", "taken for one that ended"),
        (TwoTranscripts, "transcriber", "gives one transcript, last", "one Transcript comes"),
        (TwoTranscripts, "transcriber", "writes nothing of silence", "0 ms of silence"),
        (TakingBack, "transcriber", "gives one transcript, last", "beginning of the transcript"),
        (Untrimmed, "transcriber", "takes hints", "blanks at an end"),
        (Hintless, "transcriber", "takes hints", "no prompts"),
        (WantingEvenPieces, "transcriber", "takes audio in any pieces", "empty audio"),
        (Hallucinating, "transcriber", "writes nothing of silence", "Thanks for watching"),
        (Overconfident, "turn_judge", "gives a verdict on any pause", "between 0 and 1, not 28"),
        (Unsure, "turn_judge", "gives a verdict on any pause", "not nan of 0 ms"),
        (Impressionable, "turn_judge", "judges each pause alone", "and all together"),
        (Insistent, "turn_judge", "stops judging when cancelled", r"took 5\.0 s"),
        (Sulking, "turn_judge", "stops judging when cancelled", r"one was 0\.0, but before 0\.6"),
        (Mute, "language_model", "answers with words", "words are wanted"),
        (Needy, "language_model", "copes with an empty conversation", "index out of range"),
        (
            lambda: Uncertain(WrittenCall(0, "delete_all", "{}", final=True)),
            "language_model",
            "calls only what is offered",
            "what was not offered",
        ),
        (
            lambda: Uncertain(CALL),
            "language_model",
            "calls only what is offered",
            "what was not offered",
        ),
        (
            lambda: Uncertain(WrittenCall(1, "get_weather", "{}", final=True)),
            "language_model",
            "answers after a result",
            r"numbered 0, 1 \.\.\., not \[1\]",
        ),
        (
            lambda: Uncertain(WrittenCall(0, "get_weather", "{}")),
            "language_model",
            "answers after a result",
            "last piece of a call is final",
        ),
        (
            lambda: Uncertain(WrittenCall(0, "get_weather"), WrittenCall(0, "wave", "{}")),
            "language_model",
            "answers after a result",
            "one call has one name",
        ),
        (
            lambda: Uncertain(WrittenCall(0, "get_weather", "{", final=True)),
            "language_model",
            "answers after a result",
            "arguments are a JSON object",
        ),
        (
            lambda: ScriptedLanguageModel(
                scenario=Scenario(turns=(Turn(say="?", calls=(Call(name="hello"),)),))
            ),
            "language_model",
            "answers with words",
            "what was not offered",
        ),
        (MarksBackwards, "synthesiser", "speaks in order, with marks", "order of text and time"),
        (MarksOutsideTheText, "synthesiser", "speaks in order, with marks", "marks no word|order"),
        (MarksAfterTheAudio, "synthesiser", "speaks in order, with marks", "outside the 600 ms"),
        (MarksForgotten, "synthesiser", "speaks in order, with marks", "not every phrase"),
        (RateChanging, "synthesiser", "speaks in order, with marks", "rate never changes"),
        (Clipped, "synthesiser", "speaks in order, with marks", "too short"),
        (MarksTooLate, "synthesiser", "brings marks no later than their audio", "came with audio"),
        (OneSpeed, "synthesiser", "speaks faster at a higher speed", "hardly less than"),
        (
            SpeakingBlanks,
            "synthesiser",
            "says nothing where nothing is pronounced",
            "blanks are not spoken",
        ),
        (
            ForgettingBlanks,
            "synthesiser",
            "says nothing where nothing is pronounced",
            "has to start at 2",
        ),
        (ReadingToTheEnd, "synthesiser", "does not wait for more", "before the second comes"),
        (Greeting, "synthesiser", "gives nothing for nothing", "came of it"),
    ],
)
def test_an_engine_that_breaks_a_promise_is_caught(
    make: Callable[[], Engine], slot: Slot, check: str, complaint: str
) -> None:
    with pytest.raises((Nonconformance, EngineFailure, IndexError), match=complaint):
        virtual_time.run(_run, slot, check, make)
