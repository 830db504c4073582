"""How words sound, by the real library in its real process."""

from collections.abc import AsyncIterator

import pytest

from vivavoce.engines.phonemes import Phonemes, Wording, clauses

pytestmark = pytest.mark.anyio


@pytest.fixture
async def phonemes() -> AsyncIterator[Phonemes]:
    async with Phonemes() as asked:
        yield asked


async def test_sentences_keep_their_punctuation(phonemes: Phonemes) -> None:
    said = await phonemes.of(Wording("en-us", "Hello there, how are you? I am fine."))

    assert [sentence[-1] for sentence in said] == ["?", "."]
    assert said[0].count(",") == 1
    assert said[0].startswith("həl\u02c8oʊ")


async def test_a_language_has_its_own_sounds(phonemes: Phonemes) -> None:
    english = await phonemes.of(Wording("en-us", "Restaurant"))
    french = await phonemes.of(Wording("fr", "Restaurant"))

    assert english != french


async def test_an_unknown_voice_reads_as_american_english(phonemes: Phonemes) -> None:
    await phonemes.of(Wording("fr", "Restaurant"))

    assert await phonemes.of(Wording("xx-none", "Restaurant")) == await phonemes.of(
        Wording("en-us", "Restaurant")
    )


@pytest.mark.parametrize("text", ["", "  ", "(", "..."])
async def test_there_are_none_where_nothing_is_pronounced(phonemes: Phonemes, text: str) -> None:
    assert await phonemes.of(Wording("en-us", text)) == []


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("It costs 3.50 at 10:30, or 1,000.", ",."),
        ("Dr. Smith, e.g. there", ","),
        ("Yes - no!", ",!"),
        ("你好。世界！", ".!"),
        ("Really...", "."),
        ('He said "no." Then he left', "."),
    ],
)
async def test_clauses_end_where_a_reader_pauses(text: str, marks: str) -> None:
    assert "".join(mark for _, mark in clauses(text)) == marks


async def test_nothing_is_left_out_of_the_clauses() -> None:
    text = "Hello there, how are you? I am fine"

    assert [part.strip() for part, _ in clauses(text)] == [
        "Hello there",
        "how are you",
        "I am fine",
    ]
