"""eSpeak NG, heard through its worker processes."""

import itertools
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing

import anyio
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vivavoce.audio.pcm import Pcm
from vivavoce.engines import worker
from vivavoce.engines.api import EngineFailure, Spoken, SpokenMark, Voice
from vivavoce.engines.espeak import (
    PIECE_CHARACTERS,
    TIMBRES,
    Espeak,
    languages,
    pieces,
    speakable,
)
from vivavoce.engines.espeak_library import Utterance, Uttered, WordStart, WordTimes
from vivavoce.testing.engine_kit import check_synthesiser

pytestmark = pytest.mark.anyio

SENTENCE = "Would you like to hear a story about the sea, or shall we talk of the weather today?"
LONG = "The quick brown fox jumps over the lazy dog. " * 40


async def these(*phrases: str) -> AsyncIterator[str]:
    for phrase in phrases:
        yield phrase


async def say(espeak: Espeak, *phrases: str, voice: Voice | None = None) -> list[Spoken]:
    with anyio.fail_after(20):
        return [spoken async for spoken in espeak.speak(these(*phrases), voice or Voice())]


def duration_ms(stream: list[Spoken]) -> float:
    return sum(spoken.pcm.duration_ms for spoken in stream)


def marks_of(stream: list[Spoken]) -> list[SpokenMark]:
    return [mark for spoken in stream for mark in spoken.marks]


def marked_words(stream: list[Spoken], *phrases: str) -> list[str]:
    text = "".join(phrases)
    return [text[mark.text_start : mark.text_end] for mark in marks_of(stream)]


async def test_it_passes_the_checks_for_every_synthesiser() -> None:
    await check_synthesiser(Espeak)


def test_it_is_cheap_for_a_sentence_takes_a_worker_for_milliseconds() -> None:
    assert Espeak.cheap


async def test_it_speaks_at_its_own_rate_and_for_a_plausible_time() -> None:
    async with Espeak(workers=1) as espeak:
        spoken = await say(espeak, "Hello there.")

        assert espeak.version == "eSpeak NG 1.52.0"
        assert {s.pcm.rate_hz for s in spoken} == {22050}
        assert 800 < duration_ms(spoken) < 1500
        assert Pcm(b"".join(s.pcm.data for s in spoken), 22050).level_dbfs > -30


@pytest.mark.parametrize(
    ("phrases", "voice"),
    [
        (("Hello there.",), Voice()),
        (("I am at the end of a day, in it.", " To be or not to be?"), Voice()),
        (("It costs $3,141.59 at 12:30, ", "don't you\n\n think? (Mail x@y.com)"), Voice("ash")),
        (("Ärger über die Straße. ", "Schöne Grüße!"), Voice(language="de")),
        (("naïve café, 日本語 here",), Voice("verse", speed=1.5)),
        ((" leading", " and trailing "), Voice(speed=0.5)),
        ((LONG, LONG), Voice("coral")),
    ],
)
async def test_every_word_has_one_mark_in_order_within_the_audio(
    phrases: tuple[str, ...], voice: Voice
) -> None:
    async with Espeak(workers=1) as espeak:
        spoken = await say(espeak, *phrases, voice=voice)

    assert marked_words(spoken, *phrases) == "".join(phrases).split()
    times = [mark.at_ms for mark in marks_of(spoken)]
    assert times == sorted(times)
    heard_ms = 0.0
    for chunk in spoken:
        assert all(mark.at_ms >= heard_ms - 0.1 for mark in chunk.marks)
        heard_ms += chunk.pcm.duration_ms
        assert all(mark.at_ms < heard_ms for mark in chunk.marks)


async def test_a_later_phrase_is_marked_where_it_sounds() -> None:
    async with Espeak(workers=1) as espeak:
        first = await say(espeak, "One two three.")
        both = await say(espeak, "One two three.", " Four.")

    assert marks_of(both)[3].at_ms == pytest.approx(duration_ms(first), abs=20)


async def test_a_phrase_is_spoken_before_the_next_one_has_come() -> None:
    async def one_and_no_more() -> AsyncIterator[str]:
        yield "Hello."
        await anyio.sleep_forever()

    async with (
        Espeak(workers=1) as espeak,
        aclosing(espeak.speak(one_and_no_more(), Voice())) as waiting,
    ):
        assert (await anext(waiting)).pcm.count > 0

        assert await say(espeak, "Meanwhile, somebody else speaks.")


async def test_the_first_chunk_of_a_long_phrase_is_about_a_word() -> None:
    async with (
        Espeak(workers=1) as espeak,
        aclosing(espeak.speak(these(LONG), Voice())) as stream,
    ):
        assert 20 < (await anext(stream)).pcm.duration_ms < 500


async def test_phrases_of_one_sentence_run_on_without_gaps() -> None:
    async with Espeak(workers=1) as espeak:
        whole = duration_ms(await say(espeak, "Well, then let us go home now."))
        cut = duration_ms(await say(espeak, "Well,", " then let us", " go home", " now."))

    assert cut == pytest.approx(whole, rel=0.2)


async def test_a_sentence_is_followed_by_a_pause_and_a_part_of_one_is_not() -> None:
    async with Espeak(workers=1) as espeak:
        ended = await say(espeak, "We go home.")
        cut_off = await say(espeak, "We go home")

    assert closing_silence_ms(ended) > 200
    assert closing_silence_ms(cut_off) < 60


def closing_silence_ms(stream: list[Spoken]) -> float:
    audio = samples_of(stream)
    return float(len(audio) - np.flatnonzero(np.abs(audio) > 100)[-1]) * 1000 / 22050


def samples_of(stream: list[Spoken]) -> NDArray[np.float64]:
    return np.concatenate([spoken.pcm.samples for spoken in stream]).astype(np.float64)


@pytest.mark.parametrize("speed", [0.25, 0.4, 0.5, 0.75, 1.25, 1.5])
async def test_the_length_goes_with_the_speed(speed: float) -> None:
    async with Espeak(workers=1) as espeak:
        usual = duration_ms(await say(espeak, SENTENCE))
        changed = duration_ms(await say(espeak, SENTENCE, voice=Voice(speed=speed)))

    assert changed * speed / usual == pytest.approx(1, abs=0.12)


async def test_all_voices_differ_by_more_than_one_voice_from_itself() -> None:
    async with Espeak(workers=1) as espeak:
        once = {n: likeness(await say(espeak, SENTENCE, voice=Voice(n))) for n in TIMBRES}
        again = {n: likeness(await say(espeak, SENTENCE, voice=Voice(n))) for n in TIMBRES}

    same = max(float(np.abs(once[n] - again[n]).max()) for n in TIMBRES)
    other = min(
        float(np.abs(once[a] - once[b]).max()) for a, b in itertools.combinations(TIMBRES, 2)
    )
    assert len(TIMBRES) == 10
    assert other > 0.06 > 3 * same


def likeness(stream: list[Spoken]) -> NDArray[np.float64]:
    """Pitch, brightness and tempo, as logarithms."""
    audio = samples_of(stream)
    spectrum = np.abs(np.fft.rfft(audio))
    brightness = np.average(np.fft.rfftfreq(len(audio), 1 / 22050), weights=spectrum)
    return np.log([median_pitch(audio), brightness, len(audio)])


def median_pitch(audio: NDArray[np.float64]) -> float:
    frames = np.lib.stride_tricks.sliding_window_view(audio, 1102)[::441]
    frames = frames[frames.std(axis=1) > 800]
    echoes = np.fft.irfft(np.abs(np.fft.rfft(frames, 4096, axis=1)) ** 2, axis=1)
    lags = 22050 // 400 + echoes[:, 22050 // 400 : 22050 // 60].argmax(axis=1)
    return float(np.median(22050 / lags))


async def test_a_language_it_knows_is_spoken_and_any_other_is_spoken_as_english() -> None:
    async with Espeak(workers=1) as espeak:
        english, german, unknown, nonsense = [
            duration_ms(await say(espeak, "Die Sonne scheint heute.", voice=Voice(language=tag)))
            for tag in (None, "de", "xx", "../../etc")
        ]

    assert abs(german - english) > 30
    assert unknown == pytest.approx(english, abs=20)
    assert nonsense == pytest.approx(english, abs=20)


def test_languages_are_asked_for_from_the_particular_to_the_general() -> None:
    assert languages(None) == ("en-us",)
    assert languages("en") == ("en-us",)
    assert languages("de-AT") == ("de-at", "de", "en-us")
    assert languages("zh") == ("cmn", "en-us")
    assert languages("de/../fr") == ("en-us",)


@pytest.mark.parametrize(
    "text", ["", "  \n ", "...", "😀👍🏽❤️", "\x00\x1b\x07", "\ud83d", "—", "**"]
)
async def test_nothing_to_pronounce_yields_nothing(text: str) -> None:
    async with Espeak(workers=1) as espeak:
        assert await say(espeak, text) == []
        assert marked_words(await say(espeak, text, "word"), text, "word")[-1].endswith("word")


@pytest.mark.parametrize(
    "text",
    [
        "<b>bold</b> &amp; <",
        "[[hello]] %s",
        "a" * 2000,
        "1" * 700,
        "x\x00y",
        "\ud83d left",
        "é́́" * 400,
    ],
)
async def test_odd_text_is_spoken_and_the_worker_lives(text: str) -> None:
    async with Espeak(workers=1) as espeak:
        before = espeak.process_ids
        assert duration_ms(await say(espeak, text)) > 100
        assert espeak.process_ids == before


def test_mark_up_and_emoji_become_blanks_and_the_rest_stays_where_it_was() -> None:
    text = "# A **bold** `word`, 3 * 4, snake_case ❤️ *so* (_it_) 👩‍💻 C# #1"

    assert speakable(text) == ("  A   bold    word , 3 * 4, snake_case     so  ( it )     C# #1")


def test_a_long_text_is_cut_after_sentences_and_loses_nothing() -> None:
    cut = list(pieces(LONG))

    assert "".join(cut) == LONG
    assert max(map(len, cut)) <= PIECE_CHARACTERS
    assert all(piece.rstrip().endswith(".") for piece in cut[:-1])
    assert "".join(pieces("a" * 1000)) == "a" * 1000
    assert all(piece.endswith(" ") for piece in list(pieces("word " * 200))[:-1])


async def test_a_stream_closed_early_leaves_nothing_to_the_next() -> None:
    async with Espeak(workers=1) as espeak:
        usual = duration_ms(await say(espeak, "Hello there."))
        for _ in range(5):
            async with aclosing(espeak.speak(these(LONG * 50), Voice("echo"))) as stream:
                await anext(stream)

            spoken = await say(espeak, "Hello there.")

            assert marked_words(spoken, "Hello there.") == ["Hello", "there."]
            assert duration_ms(spoken) == pytest.approx(usual, abs=20)


async def test_a_worker_that_is_killed_fails_its_own_stream_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "UNREAD_BYTES", 1)  # so that both stand in the middle of a piece
    async with Espeak(workers=2) as espeak:
        one, two = (espeak.speak(these(LONG), Voice()) for _ in range(2))
        async with aclosing(one), aclosing(two):
            await anext(one)
            await anext(two)
            os.kill(espeak.process_ids[0], signal.SIGKILL)

            ends = [await end_of(one), await end_of(two)]

        assert sorted(ends) == ["The process of eSpeak NG ended (signal 9)", "finished"]
        assert await say(espeak, "Hello there.")


async def end_of(stream: AsyncIterator[Spoken]) -> str:
    try:
        with anyio.fail_after(20):
            async for _ in stream:
                pass
    except EngineFailure as failure:
        return failure.message.partition(" and is")[0]
    return "finished"


async def test_many_streams_share_one_worker() -> None:
    lengths: list[float] = []

    async def one(espeak: Espeak) -> None:
        lengths.append(duration_ms(await say(espeak, "Hello there.", " How are you?")))

    async with Espeak(workers=1) as espeak, anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(one, espeak)

    assert len(lengths) == 50
    assert max(lengths) - min(lengths) < 20


async def test_a_stream_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "UNREAD_BYTES", 1)
    async with (
        Espeak(workers=1, waiting=0) as espeak,
        aclosing(espeak.speak(these(LONG), Voice())) as stream,
    ):
        await anext(stream)
        with pytest.raises(EngineFailure) as refusal:
            await say(espeak, "Hello.")

    assert refusal.value.code == "overloaded"


@given(
    st.text("ab .,é", max_size=40),
    st.lists(st.tuples(st.integers(-3, 50), st.integers(0, 900)), max_size=12),
)
def test_whatever_is_reported_every_word_gets_one_time_in_order(
    text: str, reported: list[tuple[int, int]]
) -> None:
    times = WordTimes(text)
    words: list[WordStart] = []
    at = 0
    for position, step in reported:
        at += step
        words += times.hear(position, at)
    words += times.finish(at + 100)

    assert [text[word.start : word.end] for word in words] == text.split()
    assert [word.sample for word in words] == sorted(word.sample for word in words)


def test_a_word_without_a_report_shares_the_time_of_the_one_before() -> None:
    times = WordTimes("I am here now")

    assert times.hear(0, 0) == [WordStart(0, 1, 0)]
    assert times.hear(5, 1000) == [WordStart(2, 4, 500), WordStart(5, 9, 1000)]
    assert times.hear(6, 1600) == []
    assert times.finish(2000) == [WordStart(10, 13, 1600)]


def test_audio_is_told_when_the_words_in_it_are_known() -> None:
    told: list[Uttered] = []
    utterance = Utterance("one two", told.append)

    utterance.hear(bytes(100), [(0, 0)])
    assert told == []
    utterance.hear(bytes(100), [(4, 80)])
    assert told == [Uttered(bytes(160), (WordStart(0, 3, 0),))]
    utterance.finish()
    assert told[1:] == [Uttered(bytes(40), (WordStart(4, 7, 80),))]
