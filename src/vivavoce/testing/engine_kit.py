"""What any engine has to hold to, as checks that an author of one can run.

    async def test_my_synthesiser_keeps_the_contract() -> None:
        await engine_kit.check_synthesiser(MySynthesiser)

`CHECKS` holds the same checks one by one, by slot and by name, each a coroutine function of an
engine that was entered, so that a test can be parametrised over them. A check that finds fault
raises `Nonconformance`, which says what was expected. An engine gives the same for the same input,
alone, with another stream beside it or after one that was cancelled. Only a language model may say
something else each time; it then has to say something.

The checks have no clock of their own and pass in virtual time, where the engine does. A stream that
cannot be stopped at all keeps them waiting for ever, as it would keep a session.
"""

import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

import anyio
import msgspec
import numpy as np
from msgspec import Struct

from vivavoce.audio.pcm import Pcm, silence
from vivavoce.core.effects import GenerationRequest
from vivavoce.core.items import FunctionCall, FunctionCallOutput, InputText, Item, Message
from vivavoce.core.settings import FunctionTool
from vivavoce.engines.api import (
    FRAME_SAMPLES,
    HEARING_RATE_HZ,
    Engine,
    EngineFailure,
    Frames,
    LanguageModel,
    SpeechModel,
    Spoken,
    SpokenMark,
    Synthesiser,
    Transcriber,
    Transcript,
    TranscriptDelta,
    TranscriptionHints,
    TurnJudge,
    Voice,
    VoiceDetector,
    Written,
    WrittenCall,
    WrittenText,
)
from vivavoce.engines.registry import Slot
from vivavoce.testing import judge_kit, speech_model_kit
from vivavoce.testing.babble import babble
from vivavoce.testing.stopping import (
    Inputs,
    Nonconformance,
    Reader,
    brief,
    cancel,
    require,
    require_prompt,
)

Value = TypeVar("Value")
# Any, for each slot has its own engines, inputs and values; what is said of one slot is typed.
Check = Callable[[Any], Awaitable[None]]
Moment = Callable[[int, "Inputs[Any]", Reader], Awaitable[None]]

ANSWER_S = 30.0  # for a stream to say something


async def check_voice_detector(make: Callable[[], VoiceDetector]) -> None:
    """Run every check on a detector that *make* gives."""
    await _check("voice_detector", make())


async def check_transcriber(make: Callable[[], Transcriber]) -> None:
    """Run every check on a transcriber that *make* gives."""
    await _check("transcriber", make())


async def check_judge(make: Callable[[], TurnJudge]) -> None:
    """Run every check on a judge of turns that *make* gives."""
    await _check("turn_judge", make())


async def check_language_model(make: Callable[[], LanguageModel]) -> None:
    """Run every check on a language model that *make* gives."""
    await _check("language_model", make())


async def check_synthesiser(make: Callable[[], Synthesiser]) -> None:
    """Run every check on a synthesiser that *make* gives."""
    await _check("synthesiser", make())


async def check_speech_model(make: Callable[[], SpeechModel]) -> None:
    """Run every check on a speech model that *make* gives."""
    await _check("speech_model", make())


async def _check(slot: Slot, engine: Engine) -> None:
    async with engine:
        for check in CHECKS[slot].values():
            await check(engine)


class _Rig(Struct, frozen=True):
    """How the engines of one slot are played: two different inputs, and when answers are alike."""

    open: Callable[[Any, AsyncIterator[Any]], AsyncGenerator[Any, None]]
    one: tuple[Any, ...]
    other: tuple[Any, ...]
    alike: Callable[[list[Any], list[Any]], bool]
    repeats: bool = True  # what comes of an input is the same every time

    async def play(self, engine: Any, values: Sequence[Any]) -> list[Any]:
        """All that comes of an input, read slowly enough for other streams to get their turns."""
        given = []
        async with aclosing(self.open(engine, Inputs(values))) as stream:
            async for value in stream:
                given.append(value)
                await anyio.lowlevel.checkpoint()
        return given


class _Expectation:
    """What comes of an input to one rig, learnt by playing it alone, twice."""

    def __init__(self, rig: _Rig, values: Sequence[Any], given: list[Any], repeats: bool) -> None:
        self._rig = rig
        self._values = values
        self._repeats = repeats
        self.given = given

    async def hold(self, engine: Any, circumstance: str) -> None:
        """Play it once more and complain if something else comes of it."""
        given = await self._rig.play(engine, self._values)
        alike = self._rig.alike(self.given, given) if self._repeats else bool(given)
        require(
            alike,
            f"{circumstance}, a stream gave {brief(given)}, but alone {brief(self.given)}",
        )


async def _expect(rig: _Rig, engine: Any, values: Sequence[Any]) -> _Expectation:
    first, again = await rig.play(engine, values), await rig.play(engine, values)
    repeats = rig.alike(first, again)
    require(
        repeats or not rig.repeats,
        f"the same input gave {brief(first)}, and the next time {brief(again)}",
    )
    return _Expectation(rig, values, first, repeats)


# What holds in every slot.


async def _says_its_version(engine: Engine) -> None:
    require(bool(engine.version.strip()), "`version` is empty; it names what is at work")


async def _keeps_streams_apart(rig: _Rig, engine: Any) -> None:
    one = await _expect(rig, engine, rig.one)
    other = await _expect(rig, engine, rig.other)
    complaints: list[Nonconformance] = []

    async def hold(expectation: _Expectation) -> None:
        try:
            await expectation.hold(engine, "beside another stream")
        except Nonconformance as complaint:
            complaints.append(complaint)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hold, one)
        tasks.start_soon(hold, other)
    if complaints:
        raise complaints[0]


async def _stops_when_cancelled(rig: _Rig, engine: Any) -> None:
    expectation = await _expect(rig, engine, rig.one)
    total = len(expectation.given)
    series: tuple[tuple[Moment, range], ...] = (
        (_after_values, range(min(total, 4) + 1)),
        (_after_turns, range(16)),
        (_after_the_input, range(8)),
    )
    for moment, counts in series:
        for count in reversed(counts):  # the last are cut off early: they would leave the most
            inputs = Inputs(rig.one)
            await cancel(rig.open(engine, inputs), partial(moment, count, inputs))
        await expectation.hold(engine, "after streams that were cancelled")


async def _stops_while_it_waits_for_input(rig: _Rig, engine: Any) -> None:
    expectation = await _expect(rig, engine, rig.one)
    for count in range(min(len(rig.one), 2) + 1):
        inputs = Inputs(rig.one[:count], "wait")
        await cancel(rig.open(engine, inputs), partial(_after_the_input, 0, inputs))
    await expectation.hold(engine, "after streams that were cancelled as they waited for input")


async def _stops_when_closed(rig: _Rig, engine: Any) -> None:
    expectation = await _expect(rig, engine, rig.one)
    for count in (0, 1):
        stream = rig.open(engine, Inputs(rig.one))
        for _ in range(min(count, len(expectation.given))):
            await _next(stream, "a value")
        begun = anyio.current_time()
        try:
            await stream.aclose()
        except RuntimeError as error:
            raise Nonconformance(f"a stream that is closed has to end, but: {error}") from error
        require_prompt(anyio.current_time() - begun)
        async for value in stream:
            raise Nonconformance(f"a stream that was closed gave {brief(value)}")
    await expectation.hold(engine, "after streams that were closed early")


async def _tells_of_failing_input(rig: _Rig, engine: Any) -> None:
    expectation = await _expect(rig, engine, rig.one)
    for error in (EngineFailure("the input failed"), LookupError("the input failed")):
        for count in (0, 1):
            inputs = Inputs(rig.one[:count], error)
            with_care = (EngineFailure, type(error))
            try:
                async with aclosing(rig.open(engine, inputs)) as stream:
                    async for _ in stream:
                        pass
            except with_care:
                continue
            except Exception as other:
                raise Nonconformance(
                    f"an input that raises {type(error).__name__} has to end the stream with it or "
                    f"with EngineFailure, not with {type(other).__name__}: {other}"
                ) from other
            raise Nonconformance(
                f"an input that raised {type(error).__name__} was taken for one that ended"
            )
    await expectation.hold(engine, "after streams with failing input")


async def _gives_nothing_for_nothing(rig: _Rig, engine: Any) -> None:
    given = await rig.play(engine, ())
    require(not given, f"input that ends at once gives nothing, but {brief(given)} came of it")


async def _does_not_wait_for_more(rig: _Rig, engine: Any) -> None:
    async with aclosing(rig.open(engine, Inputs(rig.one[:1], "wait"))) as stream:
        await _next(stream, "something about its first input before the second comes")


async def _after_values(count: int, _inputs: Inputs[Any], reader: Reader) -> None:
    while reader.count < count:
        reader.news = anyio.Event()
        await reader.news.wait()


async def _after_turns(turns: int, _inputs: Inputs[Any], _reader: Reader) -> None:
    for _ in range(turns):
        await anyio.lowlevel.checkpoint()


async def _after_the_input(turns: int, inputs: Inputs[Any], reader: Reader) -> None:
    """So many turns of the loop after all input was taken, when engines are at their own work."""
    await inputs.exhausted.wait()
    await _after_turns(turns, inputs, reader)


async def _next(stream: AsyncGenerator[Value, None], wanted: str) -> Value:
    try:
        with anyio.fail_after(ANSWER_S):
            return await anext(stream)
    except (TimeoutError, StopAsyncIteration):
        raise Nonconformance(f"a stream has to give {wanted}") from None


# Voice detectors.


def _frames(pcm: Pcm) -> Frames:
    whole = pcm.count // FRAME_SAMPLES * FRAME_SAMPLES
    scaled = pcm.samples[:whole].astype(np.float32) / np.float32(32768)
    return scaled.reshape(-1, FRAME_SAMPLES)


def _apart(frames: Frames, sizes: Sequence[int]) -> tuple[Frames, ...]:
    return tuple(np.split(frames, np.cumsum(sizes)[:-1]))


_VOICED = _frames(babble(1440, 120))
_NOISE = np.random.default_rng(1).uniform(-0.3, 0.3, (45, FRAME_SAMPLES)).astype(np.float32)


def _detection(detector: VoiceDetector, frames: AsyncIterator[Frames]) -> AsyncGenerator[Any, None]:
    return detector.detect(frames)


def _close(one: list[tuple[float, ...]], other: list[tuple[float, ...]]) -> bool:
    """Batches of other sizes round differently in the last digits."""
    probabilities, others = (np.concatenate([(), *each]) for each in (one, other))
    return len(probabilities) == len(others) and np.allclose(probabilities, others, atol=1e-3)


_DETECTION = _Rig(
    open=_detection,
    one=_apart(_VOICED, (1, 3, 10, 31)),
    other=_apart(_NOISE, (2, 2, 20, 21)),
    alike=_close,
)


async def _gives_one_probability_per_frame(detector: VoiceDetector) -> None:
    for arrays in (_DETECTION.one, _DETECTION.other):
        given = await _DETECTION.play(detector, arrays)
        counts, sizes = [len(each) for each in given], [len(each) for each in arrays]
        require(counts == sizes, f"arrays of {sizes} frames gave {counts} probabilities")
        outside = [each for some in given for each in some if not 0 <= each <= 1]
        require(not outside, f"probabilities are between 0 and 1, but {brief(outside)} came")


async def _hears_no_voice_in_silence(detector: VoiceDetector) -> None:
    given = await _DETECTION.play(detector, [np.zeros((16, FRAME_SAMPLES), np.float32)])
    highest = max(given[0])
    require(highest < 0.5, f"silence is voice with probability {highest:.2f}, less than 0.5 wanted")


async def _hears_the_same_however_frames_are_gathered(detector: VoiceDetector) -> None:
    gathered = await _DETECTION.play(detector, _DETECTION.one)
    single = await _DETECTION.play(detector, _apart(_VOICED, (1,) * len(_VOICED)))
    require(_close(gathered, single), "frames one by one gave other probabilities than together")


# Transcribers.


def _transcription(
    transcriber: Transcriber, audio: AsyncIterator[Pcm]
) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
    return transcriber.transcribe(audio, TranscriptionHints())


def _pieces(pcm: Pcm, sizes: Sequence[int]) -> tuple[Pcm, ...]:
    """Cut off pieces of so many samples; what is left over is the last."""
    places = [0, *(int(place) for place in np.cumsum(sizes)), pcm.count]
    return tuple(Pcm(pcm.data[2 * start : 2 * end], pcm.rate_hz) for start, end in pairwise(places))


def _same_transcript(
    one: list[TranscriptDelta | Transcript], other: list[TranscriptDelta | Transcript]
) -> bool:
    return one[-1:] == other[-1:]


_TRANSCRIPTION = _Rig(
    open=_transcription,
    one=_pieces(babble(1200, 120), (1600,) * 11),
    other=_pieces(babble(2400, 180), (3200,) * 11),
    alike=_same_transcript,
)


async def _gives_one_transcript_last(transcriber: Transcriber) -> None:
    _require_transcript(await _TRANSCRIPTION.play(transcriber, _TRANSCRIPTION.one))


async def _takes_audio_in_any_pieces(transcriber: Transcriber) -> None:
    pieces = _pieces(babble(1200, 120), (0, 1, 7, 0, 511, 9000))
    _require_transcript(await _TRANSCRIPTION.play(transcriber, pieces))


async def _writes_nothing_of_silence(transcriber: Transcriber) -> None:
    quiet = silence(100, HEARING_RATE_HZ)
    for audio in ((), (Pcm(b"", HEARING_RATE_HZ),), (quiet, quiet, quiet)):
        given = await _TRANSCRIPTION.play(transcriber, audio)
        require(
            given == [Transcript("")],
            f"{sum(each.duration_ms for each in audio):.0f} ms of silence gave {brief(given)}, "
            "where an empty transcript alone is right",
        )


async def _takes_hints(transcriber: Transcriber) -> None:
    hints = TranscriptionHints(language="en", prompt="Names: Ada, Charles.")
    stream = transcriber.transcribe(Inputs(_TRANSCRIPTION.one), hints)
    async with aclosing(stream):
        _require_transcript([each async for each in stream])


def _require_transcript(given: list[TranscriptDelta | Transcript]) -> None:
    ends = [place for place, each in enumerate(given, 1) if isinstance(each, Transcript)]
    require(ends == [len(given)], f"one Transcript comes, last, but here: {brief(given)}")
    deltas, transcript = "".join(each.text for each in given[:-1]), given[-1].text
    require(
        transcript.startswith(deltas),
        f"deltas joined are a beginning of the transcript, but {brief(deltas)} is none of "
        f"{brief(transcript)}",
    )
    require(transcript == transcript.strip(), f"{brief(transcript)} has blanks at an end")


# Language models.

_WEATHER = FunctionTool(
    "get_weather",
    "How the weather is in a city.",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
)


def _asked(*context: Item) -> GenerationRequest:
    return GenerationRequest("You are brief.", context, temperature=0.0)


def _user(words: str) -> Message:
    return Message("item_user", "user", (InputText(words),))


async def _answer(
    model: LanguageModel, requests: AsyncIterator[GenerationRequest]
) -> AsyncGenerator[Written, None]:
    """A stream about each request, one after the other; there is but one in these checks."""
    async for request in requests:
        async with aclosing(model.respond(request)) as stream:
            async for value in stream:
                yield value


def _text(given: list[Written]) -> str:
    return "".join(each.text for each in given if isinstance(each, WrittenText))


_ANSWERING = _Rig(
    open=_answer,
    one=(_asked(_user("hello")),),
    other=(_asked(_user("What is the capital of France?")),),
    alike=lambda one, other: _text(one) == _text(other),
    repeats=False,
)


async def _answers_with_words(model: LanguageModel) -> None:
    for requests in (_ANSWERING.one, _ANSWERING.other):
        given = await _ANSWERING.play(model, requests)
        require(bool(_text(given).strip()), f"words are wanted, but {brief(given)} came")
        _require_calls(given, ())


async def _copes_with_an_empty_conversation(model: LanguageModel) -> None:
    _require_calls(await _ANSWERING.play(model, [GenerationRequest("", ())]), ())


async def _calls_only_what_is_offered(model: LanguageModel) -> None:
    asked = _asked(_user("How is the weather in Paris?"))
    offered = msgspec.structs.replace(asked, tools=(_WEATHER,))
    _require_calls(await _ANSWERING.play(model, [offered]), (_WEATHER.name,))
    forbidden = msgspec.structs.replace(offered, tool_choice="none")
    _require_calls(await _ANSWERING.play(model, [forbidden]), ())


async def _answers_after_a_result(model: LanguageModel) -> None:
    request = _asked(
        _user("How is the weather in Paris?"),
        FunctionCall("item_call", "get_weather", "call_1", '{"city":"Paris"}'),
        FunctionCallOutput("item_result", "call_1", '{"sky":"clear"}'),
    )
    given = await _ANSWERING.play(model, [msgspec.structs.replace(request, tools=(_WEATHER,))])
    require(bool(given), "nothing was said about the result of a function")
    _require_calls(given, (_WEATHER.name,))


def _require_calls(given: list[Written], offered: tuple[str, ...]) -> None:
    """Every call has one name, an index in order, JSON for arguments, and one last piece."""
    calls: dict[int, list[WrittenCall]] = {}
    for each in given:
        if isinstance(each, WrittenCall):
            calls.setdefault(each.index, []).append(each)
    require(
        list(calls) == list(range(len(calls))), f"calls are numbered 0, 1 ..., not {list(calls)}"
    )
    for pieces in calls.values():
        names = {piece.name for piece in pieces}
        require(len(names) == 1, f"one call has one name, not {sorted(names)}")
        require(names <= set(offered), f"{brief(pieces[0])} calls what was not offered")
        finals = [piece.final for piece in pieces]
        require(
            finals == [False] * (len(finals) - 1) + [True],
            f"the last piece of a call is final and no other: {brief(pieces)}",
        )
        _require_json("".join(piece.arguments for piece in pieces))


def _require_json(arguments: str) -> None:
    try:
        msgspec.json.decode(arguments, type=dict)
    except msgspec.DecodeError as error:
        raise Nonconformance(
            f"arguments are a JSON object, but {brief(arguments)}: {error}"
        ) from error


# Synthesisers.

_PHRASES = ("Hello there. ", "How are you ", "today?")


def _speech(synthesiser: Synthesiser, phrases: AsyncIterator[str]) -> AsyncGenerator[Spoken, None]:
    return synthesiser.speak(phrases, Voice())


def _duration_ms(given: Sequence[Spoken]) -> float:
    return sum(each.pcm.duration_ms for each in given)


def _marks(given: Sequence[Spoken]) -> list[SpokenMark]:
    return [mark for each in given for mark in each.marks]


def _sounds_alike(one: list[Spoken], other: list[Spoken]) -> bool:
    """The same words in about the same time: synthesisers may add a little noise of their own."""
    places, others = ([(m.text_start, m.text_end) for m in _marks(each)] for each in (one, other))
    return places == others and math.isclose(_duration_ms(one), _duration_ms(other), rel_tol=0.05)


_SPEECH = _Rig(
    open=_speech,
    one=_PHRASES,
    other=("One two three four five six seven. ", "Good bye."),
    alike=_sounds_alike,
)


async def _speaks_in_order_with_marks(synthesiser: Synthesiser) -> None:
    for phrases in (_SPEECH.one, _SPEECH.other):
        given = await _SPEECH.play(synthesiser, phrases)
        rates = {each.pcm.rate_hz for each in given}
        require(len(rates) == 1, f"the rate never changes, but here are {sorted(rates)} Hz")
        require(_duration_ms(given) >= 300, f"{_duration_ms(given):.0f} ms is too short for words")
        _require_marks(_marks(given), phrases, _duration_ms(given))


def _require_marks(marks: list[SpokenMark], phrases: Sequence[str], duration_ms: float) -> None:
    text, ends = "".join(phrases), np.cumsum([len(phrase) for phrase in phrases])
    for mark in marks:
        words = text[max(mark.text_start, 0) : mark.text_end]
        inside = 0 <= mark.text_start < mark.text_end <= len(text)
        require(inside and bool(words.strip()), f"{mark} marks no word of {text!r}")
        require(
            0 <= mark.at_ms <= duration_ms, f"{mark} is outside the {duration_ms:.0f} ms of audio"
        )
    for one, later in pairwise(marks):
        require(
            one.text_end <= later.text_start and one.at_ms <= later.at_ms,
            f"marks come in order of text and time, but {later} follows {one}",
        )
    marked = {int(np.searchsorted(ends, mark.text_start, side="right")) for mark in marks}
    require(marked == set(range(len(phrases))), f"not every phrase of {phrases} has a mark")


async def _brings_marks_no_later_than_their_audio(synthesiser: Synthesiser) -> None:
    begins_ms = 0.0
    for spoken in await _SPEECH.play(synthesiser, _PHRASES):
        late = [mark for mark in spoken.marks if mark.at_ms < begins_ms - 1]
        require(not late, f"{brief(late)} came with audio that begins at {begins_ms:.0f} ms")
        begins_ms += spoken.pcm.duration_ms


async def _says_nothing_where_nothing_is_pronounced(synthesiser: Synthesiser) -> None:
    given = await _SPEECH.play(synthesiser, ("", " ", "\n"))
    require(not given, f"blanks are not spoken, but {brief(given)} came of them")
    given = await _SPEECH.play(synthesiser, ("", "  ", "Yes."))
    first = _marks(given)[:1]
    require(
        bool(first) and first[0].text_start == 2,
        f"blanks that are not spoken count as text: {brief(first)} has to start at 2",
    )


async def _speaks_faster_at_a_higher_speed(synthesiser: Synthesiser) -> None:
    lengths_ms = []
    for speed in (0.5, 1.5):
        stream = synthesiser.speak(Inputs(_PHRASES), Voice(speed=speed))
        async with aclosing(stream):
            lengths_ms.append(_duration_ms([each async for each in stream]))
    slow_ms, fast_ms = lengths_ms
    require(
        fast_ms < 0.8 * slow_ms, f"{fast_ms:.0f} ms at speed 1.5 is hardly less than {slow_ms:.0f}"
    )


def _common(rig: _Rig) -> dict[str, Check]:
    return {
        "says its version": _says_its_version,
        "keeps streams apart": partial(_keeps_streams_apart, rig),
        "stops when cancelled": partial(_stops_when_cancelled, rig),
        "stops when closed": partial(_stops_when_closed, rig),
    }


def _fed(rig: _Rig) -> dict[str, Check]:
    """Of engines whose input is a stream."""
    return {
        "stops while it waits for input": partial(_stops_while_it_waits_for_input, rig),
        "tells of failing input": partial(_tells_of_failing_input, rig),
    }


def _immediate(rig: _Rig) -> dict[str, Check]:
    """Of engines that answer every piece of input."""
    return {
        "gives nothing for nothing": partial(_gives_nothing_for_nothing, rig),
        "does not wait for more": partial(_does_not_wait_for_more, rig),
    }


CHECKS: dict[Slot, dict[str, Check]] = {
    "voice_detector": {
        "gives one probability per frame": _gives_one_probability_per_frame,
        "hears no voice in silence": _hears_no_voice_in_silence,
        "hears the same however frames are gathered": _hears_the_same_however_frames_are_gathered,
        **_common(_DETECTION),
        **_fed(_DETECTION),
        **_immediate(_DETECTION),
    },
    "transcriber": {
        "gives one transcript, last": _gives_one_transcript_last,
        "takes audio in any pieces": _takes_audio_in_any_pieces,
        "writes nothing of silence": _writes_nothing_of_silence,
        "takes hints": _takes_hints,
        **_common(_TRANSCRIPTION),
        **_fed(_TRANSCRIPTION),
    },
    "turn_judge": {
        **judge_kit.CHECKS,
        "says its version": _says_its_version,
    },
    "language_model": {
        "answers with words": _answers_with_words,
        "copes with an empty conversation": _copes_with_an_empty_conversation,
        "calls only what is offered": _calls_only_what_is_offered,
        "answers after a result": _answers_after_a_result,
        **_common(_ANSWERING),
    },
    "synthesiser": {
        "speaks in order, with marks": _speaks_in_order_with_marks,
        "brings marks no later than their audio": _brings_marks_no_later_than_their_audio,
        "says nothing where nothing is pronounced": _says_nothing_where_nothing_is_pronounced,
        "speaks faster at a higher speed": _speaks_faster_at_a_higher_speed,
        **_common(_SPEECH),
        **_fed(_SPEECH),
        **_immediate(_SPEECH),
    },
}
CHECKS["speech_model"] = speech_model_kit.checks(CHECKS["language_model"])
