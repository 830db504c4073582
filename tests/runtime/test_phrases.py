"""Text deltas in, speakable phrases out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.runtime.phrases import LONGEST, PhraseCutter

TEXTS = st.text(st.sampled_from("ab ,.;!?…\n。“”)")) | st.text(max_size=500)


def cut(text: str, *sizes: int) -> list[str]:
    """The phrases of a text that is written in pieces of those sizes, and then the rest."""
    cutter, phrases = PhraseCutter(), []
    for size in sizes:
        phrases += cutter.push(text[:size])
        text = text[size:]
    return [*phrases, *cutter.push(text), *cutter.finish()]


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("It is late. Good night!", ["It is late. ", "Good night!"]),
        ("Really?! Yes.", ["Really?! ", "Yes."]),
        ('He said "no." Then he left.', ['He said "no." ', "Then he left."]),
        ("one\ntwo", ["one\n", "two"]),
        ("今日は。元気？はい", ["今日は。", "元気？", "はい"]),
        ("3.5 is pi, roughly", ["3.5 is pi, roughly"]),
        ("", []),
    ],
)
def test_a_sentence_is_a_phrase(text: str, phrases: list[str]) -> None:
    assert cut(text) == phrases


def test_a_sentence_is_given_as_soon_as_the_blank_behind_it_is_there() -> None:
    cutter = PhraseCutter()

    assert cutter.push("It is late.") == []
    assert cutter.push(" Good") == ["It is late. "]


def test_the_first_phrase_may_be_a_clause_and_the_others_are_longer() -> None:
    clause = "which is a longer clause, "

    phrases = cut(f"Well, let me think of it, {clause * 4}that is all.")

    assert phrases[0] == "Well, let me think of it, "
    assert [len(phrase) >= 60 for phrase in phrases[1:-1]] == [True]


def test_a_text_without_any_end_is_cut_at_a_blank() -> None:
    phrases = cut("word " * 60 + "is the word. And so on")

    assert [len(phrase) for phrase in phrases] == [200, 113, 9]
    assert phrases[0].endswith(" ")


def test_a_word_without_any_blank_is_cut_where_it_gets_too_long() -> None:
    assert [len(phrase) for phrase in cut(" " + "x" * 450)] == [200, 200, 51]


def test_a_cutter_that_has_finished_holds_nothing_back() -> None:
    cutter = PhraseCutter()
    cutter.push("half a")

    assert (cutter.finish(), cutter.finish()) == (["half a"], [])


@given(TEXTS)
def test_phrases_joined_are_the_text(text: str) -> None:
    phrases = cut(text)

    assert "".join(phrases) == text
    assert all(0 < len(phrase) <= LONGEST + 1 for phrase in phrases)


@given(TEXTS, st.lists(st.integers(1, 60), max_size=20))
def test_however_it_is_written_the_phrases_are_the_same(text: str, sizes: list[int]) -> None:
    assert cut(text, *sizes) == cut(text, *[1] * len(text)) == cut(text)
