"""The conformance kit over speech models that break a promise, and over one that keeps them all."""

from collections.abc import AsyncGenerator, Callable

import anyio
import pytest

from vivavoce.audio.pcm import Pcm, silence
from vivavoce.core.effects import GenerationRequest
from vivavoce.core.items import text_of
from vivavoce.engines.api import (
    Recordings,
    Spoken,
    SpokenMark,
    Voice,
    Written,
    WrittenText,
    WrittenUsage,
)
from vivavoce.testing.engine_kit import CHECKS, check_speech_model
from vivavoce.testing.stopping import Nonconformance

pytestmark = pytest.mark.anyio


class Talker:
    """Keeps the contract; the others differ from it in one thing."""

    version = "Talker 1"
    in_text_mode = False
    spoken: tuple[Spoken, ...] = (Spoken(silence(300, 24000)), Spoken(silence(100, 24000)))
    usage_first = False

    async def __aenter__(self) -> object:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return None

    async def converse(
        self, request: GenerationRequest, recordings: Recordings, voice: Voice
    ) -> AsyncGenerator[Written | Spoken, None]:
        if self.usage_first:
            yield WrittenUsage(1, 1)
        async for text in self.words(request, recordings):
            yield text
        if request.output_modality == "audio" or self.in_text_mode:
            for spoken in self.spoken:
                await anyio.lowlevel.checkpoint()
                yield spoken
        yield WrittenUsage(1, 1)

    async def words(
        self, request: GenerationRequest, recordings: Recordings
    ) -> AsyncGenerator[WrittenText, None]:
        await anyio.lowlevel.checkpoint()
        yield WrittenText(f"You said: {' '.join(map(text_of, request.context))}")


class Mute(Talker):
    spoken = ()


class SpeaksWhateverIsWanted(Talker):
    in_text_mode = True


class TwoRates(Talker):
    spoken = (Spoken(silence(300, 24000)), Spoken(silence(100, 16000)))


class HalfSamples(Talker):
    spoken = (Spoken(Pcm(bytes(14401), 24000)), Spoken(Pcm(bytes(14401), 24000)))


class MarksTheFuture(Talker):
    spoken = (Spoken(silence(300, 24000), (SpokenMark(0, 3, 5000),)),)


class CountsTwice(Talker):
    usage_first = True


class SaysNothing(Talker):
    async def words(
        self, request: GenerationRequest, recordings: Recordings
    ) -> AsyncGenerator[WrittenText, None]:
        await anyio.lowlevel.checkpoint()
        for _ in ():
            yield WrittenText("")


class Forgetful(Talker):
    """Fails when a recording is gone."""

    async def words(
        self, request: GenerationRequest, recordings: Recordings
    ) -> AsyncGenerator[WrittenText, None]:
        if any(item.id == "item_user" for item in request.context) and not recordings:
            raise LookupError("no such recording")
        async for text in super().words(request, recordings):
            yield text


class Stubborn(Talker):
    async def words(
        self, request: GenerationRequest, recordings: Recordings
    ) -> AsyncGenerator[WrittenText, None]:
        try:
            await anyio.sleep(0.01)
        except anyio.get_cancelled_exc_class():
            yield WrittenText("never mind")
        yield WrittenText("hello")


async def test_a_model_that_keeps_every_promise_passes() -> None:
    await check_speech_model(Talker)


@pytest.mark.parametrize(
    ("make", "check"),
    [
        (Mute, "speaks what it writes"),
        (TwoRates, "speaks what it writes"),
        (HalfSamples, "speaks what it writes"),
        (MarksTheFuture, "speaks what it writes"),
        (SaysNothing, "speaks what it writes"),
        (SaysNothing, "answers with words"),
        (SaysNothing, "remembers what it said"),
        (SpeaksWhateverIsWanted, "writes alone where text is wanted"),
        (CountsTwice, "counts once, and last"),
        (Forgetful, "answers what it hears"),
        (Stubborn, "stops when cancelled"),
    ],
)
async def test_a_broken_promise_is_found(make: Callable[[], Talker], check: str) -> None:
    with pytest.raises((Nonconformance, LookupError)):
        await CHECKS["speech_model"][check](make())
