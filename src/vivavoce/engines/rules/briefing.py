"""What the instructions want of the responder: who to be, how long to speak, what to say."""

import re
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from vivavoce.core.settings import DEFAULT_INSTRUCTIONS
from vivavoce.engines.rules.lexicon import STOP, meanings, sentences, word_set, words

Length = Literal["word", "sentence", "free"]

_NAME = r"((?-i:[A-Z\u00c0-\u00de\u0410-\u042f])[\w'-]{1,30})"
_PERSONA = (
    re.compile(
        rf"\b(?:your name is|call yourself|named|dein name ist|ihr name ist|tu t'appelles|"
        rf"vous vous appelez|te llamas|du heter|тебя зовут)\s+{_NAME}",
        re.IGNORECASE,
    ),
    re.compile(
        rf"\b(?:you are|you're|du bist|sie sind|tu es|vous êtes|eres|você é|du är|ты)\s+{_NAME}",
        re.IGNORECASE,
    ),
)
_NO_NAMES = word_set("a an the i ai not now only always never ein eine un une uma en ett")
_ONE_WORD = re.compile(
    r"\b(?:one|a single|single)[ -]word\b|\bein(?:em)? wort\b|\bun seul mot\b", re.IGNORECASE
)
_SHORT = re.compile(
    r"\b(?:brief|briefly|short|shortly|concise|concisely|terse|succinct|succinctly|one sentence|"
    r"single sentence|few words|kurz|knapp|bref|brièvement|breve|brevemente|corto|curto|kort|"
    r"кратко|коротко)\b",
    re.IGNORECASE,
)
_QUOTED = r"[\"“”„«'](?P<quoted>[^\"“”«»]{1,1000}?)[\"“”»'](?![^\W_])"
_GREETING = re.compile(
    rf"\b(?:greet|welcome|begrüße|open|start|begin)\b[^.\n\"“]{{0,80}}?\b(?:with|by saying|saying|mit)\b"
    rf"[:,\s]*(?:{_QUOTED}|(?P<bare>[^.!?\n\"“,]{{1,80}}[!?]?))",
    re.IGNORECASE,
)
_SAY = re.compile(
    rf"^(?:(?:please|just|now|only|always|simply)\s+)*"
    rf"(?:say|answer|reply|respond|repeat|sage|dis|di|diga|säg|скажи)\b"
    rf"(?:\s+(?:with|only|just|exactly|verbatim|the|this|following|words?|phrase|sentence|text|single|"
    rf"one|to the user))*\s*:?\s*(?:{_QUOTED}|(?<=:)\s*(?P<bare>.{{1,1000}}))[.!]?$",
    re.IGNORECASE | re.DOTALL,
)


_TOKEN = re.compile(r"[^\W_]+(?:[':.,-]?[^\W_]+)*")


_LONGEST = 6000  # characters in which wishes are looked for; what comes later is only knowledge


class Briefing(Struct, frozen=True):
    """*name* is the persona's, *greeting* what to greet with, *line* exact words to be said now."""

    text: str = ""
    name: str | None = None
    length: Length = "free"
    greeting: str | None = None
    line: str | None = None


@lru_cache(maxsize=16)
def briefing_of(instructions: str) -> Briefing:
    """Read *instructions*; the server's own default ones ask for nothing the rules can do."""
    text = instructions.replace(DEFAULT_INSTRUCTIONS, "").replace("’", "'").strip()
    text = text[:_LONGEST]
    return Briefing(text, _persona(text), _length(text), _greeting(text), _line(text))


def shortened(text: str) -> str:
    """The first sentence of *text*, and the one after it when the first is a mere `Hello!`"""
    first, *rest = sentences(text) or [""]
    return f"{first} {rest[0]}" if rest and len(first.split()) < 3 else first


def in_one_word(text: str, question: str) -> str:
    """The word of *text* that answers *question*, or else the first that says anything."""
    asked = frozenset(meanings(question))
    tokens: list[str] = _TOKEN.findall(text)
    telling = [word for word in tokens if words(word) and not STOP.issuperset(words(word))]
    news = [word for word in telling if not asked.intersection(meanings(word))]
    if asked.intersection(meanings(text)) and news:
        return news[-1] + "."
    return next(iter(tokens), "") + "."


def _persona(text: str) -> str | None:
    names = (found.group(1) for pattern in _PERSONA if (found := pattern.search(text)))
    return next((name for name in names if name.lower() not in _NO_NAMES), None)


def _length(text: str) -> Length:
    if _ONE_WORD.search(text):
        return "word"
    return "sentence" if _SHORT.search(text) else "free"


def _greeting(text: str) -> str | None:
    found = _GREETING.search(text)
    return (found["quoted"] or found["bare"]).strip() if found else None


def _line(text: str) -> str | None:
    found = _SAY.match(text)
    return (found["quoted"] or found["bare"]).strip() if found else None
