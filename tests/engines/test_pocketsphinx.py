"""The embedded recogniser, in its real processes."""

import os
import signal
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import anyio
import numpy as np
import pytest

from vivavoce.audio.pcm import Pcm, of_samples, silence
from vivavoce.audio.resample import Resampler
from vivavoce.engines.api import (
    HEARING_RATE_HZ,
    EngineFailure,
    Transcript,
    TranscriptDelta,
    TranscriptionHints,
)
from vivavoce.engines.pocketsphinx import PocketSphinx
from vivavoce.engines.pocketsphinx_decoder import (
    STEADY,
    UNSETTLED,
    Sphinx,
    Turn,
    Words,
    plain,
    reach,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def sphinx() -> Sphinx:
    """The library, in this process."""
    return Sphinx()


def recording(path: Path) -> Pcm:
    """A recording as engines hear it."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        resampler = Resampler(file.getframerate(), HEARING_RATE_HZ, prompt=True)
    return of_samples(resampler.push(samples), HEARING_RATE_HZ)


def chunks(pcm: Pcm, ms: int) -> Iterator[bytes]:
    size = 2 * HEARING_RATE_HZ * ms // 1000
    return (pcm.data[start : start + size] for start in range(0, len(pcm.data), size))


async def arriving(pcm: Pcm, ms: int = 100) -> AsyncIterator[Pcm]:
    for chunk in chunks(pcm, ms):
        await anyio.lowlevel.checkpoint()
        yield Pcm(chunk, HEARING_RATE_HZ)


async def transcript_of(engine: PocketSphinx, pcm: Pcm, **hints: str) -> tuple[list[str], str]:
    """The deltas and the transcript."""
    *deltas, last = [
        each async for each in engine.transcribe(arriving(pcm), TranscriptionHints(**hints))
    ]
    assert isinstance(last, Transcript)
    return [each.text for each in deltas if isinstance(each, TranscriptDelta)], last.text


def heard(sphinx: Sphinx, pcm: Pcm, ms: int = 100) -> str:
    turn = Turn(sphinx)
    words = [word for chunk in chunks(pcm, ms) for word in turn.feed(chunk)]
    return " ".join(words + turn.finish())


def noise(seconds: float) -> Pcm:
    """A hiss that is loud enough to sound."""
    samples = np.random.default_rng(1).normal(0, 2000, int(seconds * HEARING_RATE_HZ))
    return of_samples(samples.astype(np.int16), HEARING_RATE_HZ)


@pytest.mark.shared
async def test_a_person_who_asks_about_the_weather_in_paris_is_understood(shared: Path) -> None:
    async with PocketSphinx(workers=1) as engine:
        deltas, text = await transcript_of(engine, recording(shared / "audio/weather_question.wav"))

    assert "weather" in text
    assert "paris" in text
    assert "".join(deltas) == text


@pytest.mark.shared
async def test_words_come_while_a_person_speaks_and_are_never_taken_back(shared: Path) -> None:
    jfk = recording(shared / "audio/jfk.wav")
    async with PocketSphinx(workers=1) as engine:
        deltas, text = await transcript_of(engine, jfk)

    assert len(deltas) > 3
    assert text.startswith("".join(deltas[:-1]))
    assert "your country" in text


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "last"),
    [("harvard_2", "figures"), ("weather_question", "paris"), ("hello_world", "world")],
)
def test_the_last_words_before_a_pause_come_while_it_lasts(
    shared: Path, sphinx: Sphinx, name: str, last: str
) -> None:
    speech = recording(shared / f"audio/{name}.wav")
    turn = Turn(sphinx)

    words = turn.feed(speech.data + silence(300, HEARING_RATE_HZ).data)

    assert words[-1:] == [last]
    assert turn.finish() == []


@pytest.mark.shared
def test_the_words_depend_neither_on_the_chunks_nor_on_what_came_before(
    shared: Path, sphinx: Sphinx
) -> None:
    pcm = recording(shared / "audio/harvard_1.wav")

    alone = heard(sphinx, pcm)
    heard(sphinx, noise(1))  # of which the front end would learn what to take for noise

    assert heard(sphinx, pcm, ms=20) == alone
    assert "child" in alone


@pytest.mark.shared
def test_after_a_turn_that_was_called_off_the_next_one_is_heard_as_ever(
    shared: Path, sphinx: Sphinx
) -> None:
    pcm = recording(shared / "audio/harvard_1.wav")
    alone = heard(sphinx, pcm)
    Turn(sphinx).feed(pcm.data[: len(pcm.data) // 2])

    assert heard(sphinx, pcm) == alone


@pytest.mark.parametrize("pcm", [Pcm(b"", HEARING_RATE_HZ), silence(1000, HEARING_RATE_HZ)])
async def test_silence_has_no_words(pcm: Pcm) -> None:
    async with PocketSphinx(workers=1) as engine:
        assert await transcript_of(engine, pcm) == ([], "")


async def test_another_language_is_refused_with_advice() -> None:
    engine = PocketSphinx(workers=1)

    with pytest.raises(EngineFailure, match="another transcriber") as failed:
        await transcript_of(engine, noise(0.1), language="de")

    assert failed.value.code == "unsupported_language"


async def test_a_process_that_is_killed_fails_its_turn_and_no_other() -> None:
    async def until_killed(engine: PocketSphinx) -> AsyncIterator[Pcm]:
        yield noise(0.5)
        (worker,) = engine.process_ids
        os.kill(worker, signal.SIGKILL)
        for _ in range(100):
            yield noise(0.5)

    async with PocketSphinx(workers=1) as engine:
        with pytest.raises(EngineFailure, match="PocketSphinx"):
            async for _ in engine.transcribe(until_killed(engine), TranscriptionHints()):
                pass
        _, text = await transcript_of(engine, silence(300, HEARING_RATE_HZ))

    assert text == ""


async def test_a_turn_that_is_called_off_leaves_its_decoder_to_the_next() -> None:
    under_way = anyio.Event()

    async def without_end() -> AsyncIterator[Pcm]:
        for _ in range(3):
            yield noise(0.5)
        under_way.set()
        await anyio.sleep_forever()

    async def hear(engine: PocketSphinx) -> None:
        async with aclosing(engine.transcribe(without_end(), TranscriptionHints())) as stream:
            async for _ in stream:
                pass

    async with PocketSphinx(workers=1) as engine:
        (worker,) = engine.process_ids
        async with anyio.create_task_group() as turns:
            turns.start_soon(hear, engine)
            await under_way.wait()
            turns.cancel_scope.cancel()
        with anyio.fail_after(20):
            _, text = await transcript_of(engine, silence(300, HEARING_RATE_HZ))

        assert text == ""
        assert engine.process_ids == (worker,)


@pytest.mark.shared
async def test_two_people_at_one_decoder_are_heard_one_after_the_other(shared: Path) -> None:
    pcm = [recording(shared / f"audio/harvard_{n}.wav") for n in (1, 5)]
    heard_together = {}

    async def hear(engine: PocketSphinx, which: int) -> None:
        heard_together[which] = await transcript_of(engine, pcm[which])

    async with PocketSphinx(workers=1) as engine:
        heard_alone = [await transcript_of(engine, each) for each in pcm]
        async with anyio.create_task_group() as people:
            people.start_soon(hear, engine, 0)
            people.start_soon(hear, engine, 1)

    assert [heard_together[0], heard_together[1]] == heard_alone


@pytest.mark.parametrize("samples", [1, 400, 1599, 1600, 1700])
def test_a_click_is_no_word_and_no_trouble(sphinx: Sphinx, samples: int) -> None:
    turn = Turn(sphinx)

    assert turn.feed(noise(1).data[: 2 * samples]) == []
    assert turn.finish() == []


def test_half_a_sample_at_the_end_is_left_out(sphinx: Sphinx) -> None:
    turn = Turn(sphinx)

    assert turn.feed(b"\1") == []
    assert turn.finish() == []


SENTENCE = ["the", "child", "almost", "hurt", "the", "small", "dog"]


def test_a_word_is_certain_once_hypotheses_have_agreed_on_it_for_a_while() -> None:
    words = Words()

    for _ in range(STEADY - 1):
        assert words.hear(SENTENCE) == []

    assert words.hear(SENTENCE) == SENTENCE[:-UNSETTLED]
    assert words.hear(SENTENCE) == []


def test_a_word_that_was_another_a_moment_ago_is_not_certain() -> None:
    words = Words()
    for _ in range(STEADY - 1):
        words.hear(SENTENCE)

    assert words.hear(["the", "mild", *SENTENCE[2:]]) == ["the"]


def test_nothing_is_certain_behind_a_word_that_turns_out_wrong() -> None:
    words = Words()
    for _ in range(STEADY):
        words.hear(SENTENCE)

    certain = [words.hear(["a", *SENTENCE[1:], *SENTENCE]) for _ in range(STEADY)]

    assert certain == [[]] * STEADY


def test_a_conclusion_goes_on_where_the_certain_words_end() -> None:
    words = Words()
    for _ in range(STEADY):
        words.hear(SENTENCE)

    assert words.conclude(["a", *SENTENCE[1:]]) == SENTENCE[-UNSETTLED:]
    assert words.conclude(["next"]) == ["next"]


def test_how_far_other_words_have_told_the_same() -> None:
    assert reach(["a", "b"], ["a", "b", "c"]) == 2
    assert reach([], ["a", "b"]) == 0
    assert reach(["a", "x"], ["a", "b", "c"]) == 2


def test_numbers_of_pronunciations_are_no_words() -> None:
    assert plain("the(2) child") == ["the", "child"]
