"""An engine made to do a little of its work, to see whether it can before anybody needs it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

import anyio
import msgspec
import numpy as np

from vivavoce.audio.pcm import silence
from vivavoce.core.effects import GenerationRequest
from vivavoce.core.items import InputText, Message
from vivavoce.engines.api import (
    FRAME_SAMPLES,
    HEARING_RATE_HZ,
    Engine,
    EngineFailure,
    LanguageModel,
    Pause,
    SpeechModel,
    Spoken,
    Synthesiser,
    Transcriber,
    Transcript,
    TranscriptionHints,
    TurnJudge,
    Voice,
    VoiceDetector,
    WrittenText,
)
from vivavoce.engines.registry import EngineUnavailable, Options, Record, Slot, make, told

Value = TypeVar("Value")

LONGEST_SECONDS = 60.0  # a large model on a slow disk takes most of a minute to load


async def examine(record: Record, options: Options | None = None) -> Record:
    """Make the engine, load it and let it check itself: the record with what came of it."""
    if record.status != "enabled":
        return record
    try:
        engine = make(record.slot, record.name, options)
        with anyio.move_on_after(LONGEST_SECONDS):
            async with engine:
                detail = f"{engine.version}: {await self_check(record.slot, engine)}"
            return msgspec.structs.replace(record, detail=detail)
        detail = f"did not finish within {LONGEST_SECONDS:.0f} s"
    except EngineUnavailable as error:
        return msgspec.structs.replace(record, status=error.status, detail=str(error))
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        detail = told(error)
    return msgspec.structs.replace(record, status="failed self-check", detail=detail)


async def self_check(slot: Slot, engine: Engine) -> str:
    """Let an entered engine do a little of its work; say what happened or raise EngineFailure."""
    check = _SELF_CHECKS[slot]
    return await check(engine)


async def _detects(detector: VoiceDetector) -> str:
    quiet = np.zeros((16, FRAME_SAMPLES), np.float32)
    noise = np.random.default_rng(1).uniform(-0.3, 0.3, quiet.shape).astype(np.float32)
    async with aclosing(detector.detect(_each([quiet, noise]))) as stream:
        given = [each async for each in stream]
    if [len(each) for each in given] != [len(quiet), len(noise)]:
        raise EngineFailure(f"gave {list(map(len, given))} probabilities for 16 and 16 frames")
    if not all(0 <= each <= 1 for each in given[0] + given[1]):
        raise EngineFailure("gave probabilities that are not between 0 and 1")
    if max(given[0]) >= 0.5:
        raise EngineFailure(f"takes silence for voice, with probability {max(given[0]):.2f}")
    return f"half a second of silence is voice with probability {max(given[0]):.2f} at most"


async def _transcribes(transcriber: Transcriber) -> str:
    audio = _each([silence(100, HEARING_RATE_HZ)] * 3)
    async with aclosing(transcriber.transcribe(audio, TranscriptionHints())) as stream:
        given = [each async for each in stream]
    if not given or not isinstance(given[-1], Transcript):
        raise EngineFailure("gave no transcript of 300 ms of silence")
    return f"300 ms of silence is transcribed as {given[-1].text!r}"


async def _judges(judge: TurnJudge) -> str:
    finished = await judge.judge(Pause(silence(600, HEARING_RATE_HZ), "thank you"))
    if not 0 <= finished <= 1:
        raise EngineFailure(f"gave a verdict of {finished}, which is not between 0 and 1")
    return f"'thank you' and a pause is finished with probability {finished:.2f}"


async def _answers(model: LanguageModel) -> str:
    hello = Message("item_hello", "user", (InputText("hello"),))
    async with aclosing(model.respond(GenerationRequest("", (hello,)))) as stream:
        given = [each async for each in stream]
    words = "".join(each.text for each in given if isinstance(each, WrittenText)).strip()
    if not words:
        raise EngineFailure("gave no words in answer to 'hello'")
    return f"answered 'hello' with {len(words.split())} words"


async def _speaks(synthesiser: Synthesiser) -> str:
    async with aclosing(synthesiser.speak(_each(["Hello."]), Voice())) as stream:
        given = [each async for each in stream]
    duration_ms = sum(each.pcm.duration_ms for each in given)
    marks = [mark for each in given for mark in each.marks]
    if duration_ms < 100:
        raise EngineFailure(
            f"gave {duration_ms:.0f} ms of audio for 'Hello.', at least 100 expected"
        )
    if not marks or not all(0 <= mark.at_ms <= duration_ms for mark in marks):
        raise EngineFailure("gave no marks for 'Hello.', or some outside its audio")
    return f"spoke 'Hello.' in {duration_ms:.0f} ms at {given[0].pcm.rate_hz} Hz"


async def _converses(model: SpeechModel) -> str:
    hello = Message("item_hello", "user", (InputText("hello"),))
    async with aclosing(model.converse(GenerationRequest("", (hello,)), {}, Voice())) as stream:
        given = [each async for each in stream]
    words = "".join(each.text for each in given if isinstance(each, WrittenText)).strip()
    duration_ms = sum(each.pcm.duration_ms for each in given if isinstance(each, Spoken))
    if not words or duration_ms < 100:
        raise EngineFailure(
            f"answered 'hello' with {len(words.split())} words in {duration_ms:.0f} ms of audio, "
            "at least one and 100 expected"
        )
    return f"answered 'hello' with {len(words.split())} words in {duration_ms:.0f} ms of audio"


# Any, for each check takes the engines of its own slot.
_SELF_CHECKS: dict[Slot, Callable[[Any], Awaitable[str]]] = {
    "voice_detector": _detects,
    "transcriber": _transcribes,
    "turn_judge": _judges,
    "language_model": _answers,
    "synthesiser": _speaks,
    "speech_model": _converses,
}


async def _each(values: Sequence[Value]) -> AsyncIterator[Value]:
    for value in values:
        yield value
