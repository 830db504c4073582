"""Answers made ready in a pause, over a whole session in virtual time."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import anyio
from runtime_engines import Engine
from test_runner import append, quiet, session, voice

from vivavoce.audio.pcm import Pcm, silence
from vivavoce.core import events
from vivavoce.core.effects import GenerationRequest
from vivavoce.core.items import text_of
from vivavoce.core.settings import AudioInput, ServerVad, SessionSettings
from vivavoce.engines.api import (
    Spoken,
    Transcript,
    TranscriptionHints,
    Voice,
    WrittenText,
)
from vivavoce.runtime.recipe import Recipe
from vivavoce.testing import virtual_time
from vivavoce.testing.level_detector import LevelDetector
from vivavoce.testing.line import Line

HALF_A_SECOND = SessionSettings(input=AudioInput(turn_detection=ServerVad(silence_duration_ms=500)))


class Transcriber(Engine):
    """Takes a while once all the audio is there, and writes how long it was, in tenths."""

    def __init__(self) -> None:
        self.begun = 0

    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[Transcript, None]:
        self.begun += 1
        loud = 0
        async for pcm in audio:
            loud += int((abs(pcm.samples) > 100).sum())
        await anyio.sleep(0.05)
        yield Transcript(f"{round(loud / 1600)} tenths")


class LanguageModel(Engine):
    """Takes a while, and remembers whom it answered, and who left before the end."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.left = 0

    async def respond(self, request: GenerationRequest) -> AsyncGenerator[WrittenText, None]:
        self.asked.append(text_of(request.context[-1]))
        try:
            await anyio.sleep(0.1)
            yield WrittenText(f"You said {self.asked[-1]}.")
        except (anyio.get_cancelled_exc_class(), GeneratorExit):
            self.left += 1
            raise


class Synthesiser(Engine):
    """Takes a while for its first sound."""

    async def speak(
        self, phrases: AsyncIterator[str], voice: Voice
    ) -> AsyncGenerator[Spoken, None]:
        async for _ in phrases:
            await anyio.sleep(0.05)
            yield Spoken(silence(300, 24000))


class House:
    """A session whose engines can be looked at."""

    def __init__(self, *, speculates: bool) -> None:
        self.transcriber, self.model = Transcriber(), LanguageModel()
        self.recipe = Recipe(
            "haste",
            LevelDetector(),
            self.transcriber,
            self.model,
            Synthesiser(),
            speculates=speculates,
        )
        self.line = Line()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Line]:
        async with session(self.line, HALF_A_SECOND, recipe=self.recipe):
            yield self.line

    def wait_s(self) -> float:
        """From the end of speech to the first sound of the answer."""
        stopped = next(at for at, e in self.line.heard if isinstance(e, events.SpeechStopped))
        sounded = next(at for at, e in self.line.heard if isinstance(e, events.AudioDelta))
        return sounded - stopped


def answered(*, speculates: bool, speech: bytes) -> House:
    house = House(speculates=speculates)

    async def main() -> None:
        async with house.open() as line:
            await append(line, speech)
            await line.wait_for(events.ResponseDone)

    virtual_time.run(main)
    return house


SPEECH = quiet(500) + voice(1000) + quiet(800)


def test_an_answer_that_was_made_ready_is_heard_as_soon_as_the_turn_is_over() -> None:
    assert answered(speculates=True, speech=SPEECH).wait_s() < 0.001
    assert answered(speculates=False, speech=SPEECH).wait_s() > 0.19


def test_it_says_what_it_would_have_said_otherwise() -> None:
    said = [
        [
            (type(event), getattr(event, "delta", None))
            for _, event in answered(speculates=speculates, speech=SPEECH).line.heard
        ]
        for speculates in (True, False)
    ]

    assert said[0] == said[1]


def test_of_an_answer_to_a_pause_that_was_none_nothing_is_ever_seen() -> None:
    house = answered(
        speculates=True,
        speech=quiet(500) + voice(600) + quiet(350) + voice(600) + quiet(800),
    )

    assert house.model.asked == ["6 tenths", "12 tenths"]
    created = house.line.events(events.ResponseCreated)
    assert len(created) == 1
    words = "".join(each.delta for each in house.line.events(events.AudioTranscriptDelta))
    assert words == "You said 12 tenths."
    (done,) = house.line.events(events.ResponseDone)
    assert done.response.usage is not None
    assert done.response.usage.cached == events.Tokens()


def test_a_model_that_is_still_at_it_when_the_user_goes_on_is_stopped() -> None:
    house = answered(
        speculates=True,
        speech=quiet(500) + voice(600) + quiet(200) + voice(600) + quiet(800),
    )

    assert house.model.asked == ["6 tenths", "12 tenths"]
    assert house.model.left == 1
    assert len(house.line.events(events.ResponseCreated)) == 1


def test_a_pause_within_a_word_bothers_nobody() -> None:
    house = answered(
        speculates=True, speech=quiet(500) + voice(600) + quiet(64) + voice(600) + quiet(800)
    )

    assert house.model.asked == ["12 tenths"]


def test_without_speculation_nothing_is_begun_before_the_turn_is_over() -> None:
    house = answered(
        speculates=False,
        speech=quiet(500) + voice(600) + quiet(350) + voice(600) + quiet(800),
    )

    assert house.model.asked == ["12 tenths"]
    assert house.transcriber.begun == 1


def test_who_leaves_in_a_pause_leaves_nothing_behind() -> None:
    house = House(speculates=True)

    async def main() -> None:
        async with house.open() as line:
            await append(line, quiet(500) + voice(1000) + quiet(300))

    virtual_time.run(main)
    assert house.line.events(events.ResponseCreated) == []
