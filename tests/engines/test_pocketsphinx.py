"""The embedded recogniser, in its real processes."""

import os
import signal
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
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
from vivavoce.engines.pocketsphinx import PAUSE_S, PocketSphinx
from vivavoce.engines.pocketsphinx_decoder import (
    STEADY,
    UNSETTLED,
    Sphinx,
    Turn,
    Words,
    plain,
    reach,
)
from vivavoce.mailbox import Closed, Mailbox
from vivavoce.testing import virtual_time

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


class Silent:
    """A turn whose client says when more of it comes, and when it is over."""

    def __init__(self) -> None:
        self._said: Mailbox[bytes] = Mailbox(1000, 1 << 30)
        self.taken = anyio.Event()  # all that was said has been heard, and more is asked for
        self.words: list[str] = []
        self.transcript: str | None = None
        self.written = anyio.Event()

    def say(self, *audio: bytes) -> None:
        for each in audio:
            assert self._said.put_nowait(each)
        self.taken = anyio.Event()

    def finish(self) -> None:
        self._said.close()

    async def _audio(self) -> AsyncIterator[Pcm]:
        while True:
            if not len(self._said):
                self.taken.set()
            try:
                audio = await self._said.get()
            except Closed:
                return
            yield Pcm(audio, HEARING_RATE_HZ)

    async def be_heard(self, engine: PocketSphinx) -> None:
        async with aclosing(engine.transcribe(self._audio(), TranscriptionHints())) as stream:
            async for each in stream:
                if isinstance(each, Transcript):
                    self.transcript = each.text
                    self.written.set()
                else:
                    self.words.append(each.text)


class Letters:
    """Workers for whom each byte is a word, certain at once. They note what they are given."""

    def __init__(self, start: object, *, size: int, waiting: int, name: str) -> None:
        self._free = anyio.Semaphore(size)
        self.heard: list[bytes] = []  # by each lease, one after the other
        self.queued = 0
        self.process_ids = ()

    async def __aenter__(self) -> "Letters":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return None

    @asynccontextmanager
    async def lease(self) -> AsyncIterator["Spelling"]:
        await self._free.acquire()
        self.heard.append(b"")
        spelling = Spelling(self, len(self.heard) - 1, self._free)
        try:
            yield spelling
        finally:
            spelling.leave()


class Spelling:
    """A lease of theirs."""

    def __init__(self, workers: Letters, number: int, free: anyio.Semaphore) -> None:
        self._workers = workers
        self._number = number
        self._free = free
        self._left = False
        self._replies: list[bytes] = []

    async def send(self, message: bytes) -> None:
        assert not self._left
        self._workers.heard[self._number] += message
        self._replies.append(" ".join(message.decode()).encode())

    def finish(self) -> None:
        self._replies.append(b"end")

    def leave(self) -> None:
        if not self._left:
            self._left = True
            self._free.release()

    def __aiter__(self) -> "Spelling":
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        return self._replies.pop(0)


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """PocketSphinx with workers that spell."""
    monkeypatch.setattr("vivavoce.engines.pocketsphinx.Workers", Letters)


def heard_by(engine: PocketSphinx) -> list[bytes]:
    workers: object = engine._workers
    assert isinstance(workers, Letters)
    return workers.heard


@pytest.mark.usefixtures("letters")
def test_a_turn_that_falls_silent_gives_its_decoder_to_one_that_waits() -> None:
    async def main() -> None:
        silent, other = Silent(), Silent()
        async with PocketSphinx(workers=1) as engine, anyio.create_task_group() as turns:
            turns.start_soon(silent.be_heard, engine)
            silent.say(b"ab")
            await silent.taken.wait()
            turns.start_soon(other.be_heard, engine)
            other.say(b"xy")
            other.finish()
            await anyio.sleep(PAUSE_S - 0.1)
            assert not other.written.is_set()
            await anyio.sleep(0.2)

            assert other.transcript == "x y end"
            turns.cancel_scope.cancel()

    virtual_time.run(main)


@pytest.mark.usefixtures("letters")
def test_who_comes_when_two_have_long_been_silent_is_heard_at_once() -> None:
    async def main() -> None:
        async with PocketSphinx(workers=2) as engine, anyio.create_task_group() as turns:
            for silent in (Silent(), Silent()):
                turns.start_soon(silent.be_heard, engine)
                silent.say(b"ab")
            await anyio.sleep(60)
            others = Silent(), Silent(), Silent()
            for other in others:
                turns.start_soon(other.be_heard, engine)
                other.say(b"xy")
                other.finish()
            for other in others:
                await other.written.wait()

            assert anyio.current_time() == 60
            turns.cancel_scope.cancel()

    virtual_time.run(main)


@pytest.mark.usefixtures("letters")
def test_a_turn_that_gave_way_goes_on_behind_the_words_that_were_told() -> None:
    async def main() -> None:
        silent, other = Silent(), Silent()
        async with PocketSphinx(workers=1) as engine, anyio.create_task_group() as turns:
            turns.start_soon(silent.be_heard, engine)
            silent.say(b"ab")
            turns.start_soon(other.be_heard, engine)
            other.say(b"xy")
            other.finish()
            await anyio.sleep(10)
            silent.say(b"c", b"d")
            silent.finish()

        assert heard_by(engine) == [b"ab", b"xy", b"abcd"]
        assert silent.words == ["a b", " c", " d", " end"]
        assert silent.transcript == "a b c d end"

    virtual_time.run(main)


@pytest.mark.usefixtures("letters")
def test_a_turn_that_gave_way_and_says_no_more_has_its_transcript() -> None:
    async def main() -> None:
        silent, other = Silent(), Silent()
        async with PocketSphinx(workers=1) as engine, anyio.create_task_group() as turns:
            turns.start_soon(silent.be_heard, engine)
            silent.say(b"ab")
            turns.start_soon(other.be_heard, engine)
            other.say(b"xy")
            other.finish()
            await anyio.sleep(10)
            silent.finish()

        assert silent.transcript == "a b end"

    virtual_time.run(main)


@pytest.mark.usefixtures("letters")
def test_a_turn_that_falls_silent_keeps_its_decoder_while_nobody_waits() -> None:
    async def main() -> None:
        silent, other = Silent(), Silent()
        async with PocketSphinx(workers=2) as engine, anyio.create_task_group() as turns:
            turns.start_soon(silent.be_heard, engine)
            silent.say(b"ab")
            await anyio.sleep(60)
            turns.start_soon(other.be_heard, engine)
            other.say(b"xy")
            other.finish()
            await anyio.sleep(60)
            silent.say(b"c")
            silent.finish()

        assert heard_by(engine) == [b"abc", b"xy"]

    virtual_time.run(main)


@pytest.mark.usefixtures("letters")
def test_a_turn_that_goes_on_in_time_keeps_its_decoder() -> None:
    async def main() -> None:
        speaking, other = Silent(), Silent()
        async with PocketSphinx(workers=1) as engine, anyio.create_task_group() as turns:
            turns.start_soon(speaking.be_heard, engine)
            speaking.say(b"a")
            await speaking.taken.wait()
            turns.start_soon(other.be_heard, engine)
            other.say(b"x")
            other.finish()
            for _ in range(5):
                await anyio.sleep(PAUSE_S - 0.1)
                speaking.say(b"b")
            speaking.finish()

        assert heard_by(engine) == [b"abbbbb", b"x"]

    virtual_time.run(main)


@pytest.mark.shared
async def test_a_turn_that_gave_way_has_the_words_it_would_have_had(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vivavoce.engines.pocketsphinx.PAUSE_S", 0)
    pcm = recording(shared / "audio/harvard_1.wav")
    *pieces, last = chunks(pcm, 1000)
    silent = Silent()
    async with PocketSphinx(workers=1) as engine:
        _, alone = await transcript_of(engine, pcm)
        async with anyio.create_task_group() as turns:
            turns.start_soon(silent.be_heard, engine)
            silent.say(*pieces)
            await silent.taken.wait()
            _, other = await transcript_of(engine, pcm)
            silent.say(last)
            silent.finish()

    assert other == alone
    assert silent.transcript == alone
    assert "".join(silent.words) == alone


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
