"""Sentences the responder was told, and the one that answers a question."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from msgspec import Struct

from vivavoce.engines.rules.lexicon import is_question, meanings, sentences, word_set, words
from vivavoce.engines.rules.reflection import reflected

_LONGEST = 100_000  # characters of instructions that are read
_ORDER = re.compile(
    r"(?:please|always|never|do|don't|speak|talk|answer|respond|reply|use|be|keep|greet|say|act|call|"
    r"ask|help|follow|make|pretend|remember|avoid|stay|assist|tell|let|give|provide|you (?:should|must|"
    r"will|may|can|cannot|shall|are an? |are the user)|your (?:task|job|role|goal|name)|sei|antworte|"
    r"sprich|réponds|parle|responde|habla|fale|svara|отвечай|говори)\b",
    re.IGNORECASE,
)
_ADVICE = re.compile(
    r"\b(?:if|when|whenever)\b[^.\n]{1,200}?[,\s](?:say|tell (?:them|him|her|the \w+)|answer|reply)"
    r"(?:\s+that)?[:\s]+[\"“]?(?P<what>[^\"”\n]{3,400})",
    re.IGNORECASE,
)
_YOU = re.compile(r"your?\b", re.IGNORECASE)
_OWN = word_set("i i'm i've my me mine we our")
_SURE = 0.6  # the share of a question's telling words that a fact must have


class Fact(Struct, frozen=True):
    """*text* can be said as it is; *about* is what it is found by."""

    text: str
    about: frozenset[str]


@lru_cache(maxsize=16)
def told(instructions: str) -> tuple[Fact, ...]:
    """The facts among *instructions*: `Open from 9 to 5.`, not `Be polite.`"""
    return tuple(
        Fact(text, frozenset(meanings(each)))
        for each in sentences(instructions[:_LONGEST])
        if (text := _statement(each))
    )


def _statement(sentence: str) -> str | None:
    if advice := _ADVICE.search(sentence):
        return _full(advice["what"].strip())
    if _ORDER.match(sentence) or is_question(sentence):
        return None
    if _YOU.match(sentence):
        return _full(reflected(sentence))
    return _full(sentence)


def overheard(utterances: Iterable[str]) -> tuple[Fact, ...]:
    """The facts in what the caller said: `My dog is called Rex` is `Your dog is called Rex.`"""
    statements = (each for said in utterances for each in sentences(said) if not is_question(each))
    return tuple(
        Fact(_full(reflected(each) if _OWN.intersection(words(each)) else each), about)
        for each in statements
        if len(about := frozenset(meanings(each))) >= 2
    )


def answer_to(question: str, told: Sequence[Fact], heard: Sequence[Fact] = ()) -> str | None:
    """The fact that has most of what *question* is about, if any has enough.

    What was *heard* from the caller counts for questions about the caller, or with two words of
    it; `how old are you` does not ask for the old house that he spoke of.
    """
    asked = frozenset(meanings(question))
    own = bool(_OWN.intersection(words(question)))
    fitting = [fact for fact in told if _answers(asked, fact)]
    fitting += [
        fact for fact in heard if _answers(asked, fact) and (own or len(asked & fact.about) > 1)
    ]
    if not fitting:
        return None
    return max(reversed(fitting), key=lambda fact: len(asked & fact.about)).text


def _answers(asked: frozenset[str], fact: Fact) -> bool:
    common = len(asked & fact.about)
    label, colon, _ = fact.text[:60].partition(":")
    labelled = bool(colon) and asked.issuperset(meanings(label))
    return common > 0 and (labelled or common / len(asked) >= _SURE)


def _full(sentence: str) -> str:
    """It begins with a capital and ends with a stop."""
    sentence = sentence[:1].upper() + sentence[1:]
    return sentence if sentence[-1:] in ".!?…" else sentence + "."
