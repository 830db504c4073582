"""Turning what a caller says of himself towards him, and asking back."""

import re

from vivavoce.engines.rules.lexicon import WORD, word_set, words

_TURNED = {
    "i": "you",
    "i'm": "you are",
    "i've": "you have",
    "i'll": "you will",
    "i'd": "you would",
    "me": "you",
    "my": "your",
    "mine": "yours",
    "myself": "yourself",
    "am": "are",
    "you're": "I am",
    "you've": "I have",
    "you'll": "I will",
    "your": "my",
    "yours": "mine",
    "yourself": "myself",
}
_BEFORE_OBJECT = word_set(
    "to for with of at about on from by like love tell give help see hear know than ask call "
    "hate miss need want thank let make show"
)
_ASKING = (
    (r"i (?:don't|do not|can't|cannot|couldn't) (?P<it>.+)", "What keeps you from it?"),
    (r"i(?:'m| am) (?:so |very |a bit |really )?(?P<it>sad|unhappy|tired|angry|ill|sick|afraid|lonely|worried|sorry|bored|stressed)\b.*",
     "I am sorry to hear that{you}. What makes you {it}?"),
    (r"i(?:'m| am) (?:so |very |really )?(?P<it>happy|glad|excited|proud|relieved)\b.*",
     "I am glad to hear that{you}. What makes you {it}?"),
    (r"i feel (?P<it>.+)", "Since when do you feel {it}?"),
    (r"i (?:want|need|would like|'d like|wish) (?P<it>.+)", "What would change if you had that{you}?"),
    (r"i'd like (?P<it>.+)", "What would change if you had that{you}?"),
    (r"i (?:really )?(?:like|love|enjoy) (?P<it>.+)", "What do you like most about {it}?"),
    (r"i (?:really )?(?:hate|dislike) (?P<it>.+)", "What bothers you about {it}?"),
    (r"i (?:think|believe|guess|suppose) (?:that )?(?P<it>.+)", "What makes you think that {it}?"),
    (r"i remember (?P<it>.+)", "What brings back {it} just now?"),
    (r"because (?P<it>.+)", "Is that the only reason?"),
)  # fmt: skip
_PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), asking) for pattern, asking in _ASKING)
_MY = re.compile(
    r"\bmy ((?:(?:fellow|favou?rite|old|new|own|best|little|big|dear|poor|first|last) )?"
    r"(?!name\b)[^\W\d_]{2,30})\b",
    re.IGNORECASE,
)
_LONGEST = 14  # words; what is longer is not said back


def reflected(text: str) -> str:
    """*text* with speaker and listener changed over: `I lost my keys` is `you lost your keys`."""
    said = WORD.findall(text)
    turned: list[str] = []
    rest = text
    for place, word in enumerate(said):
        before, rest = rest.split(word, 1)
        turned += [before, _turned(said, place)]
    return "".join([*turned, rest])


def _turned(said: list[str], place: int) -> str:
    word = said[place].lower()
    before = said[place - 1].lower() if place else ""
    if word == "you":
        last = place == len(said) - 1
        return "me" if before in _BEFORE_OBJECT or (last and place > 0) else "I"
    if word in ("are", "were") and before == "you":
        return "am" if word == "are" else "was"
    if word == "was" and before == "i":
        return "were"
    return _TURNED.get(word, said[place])


def asked_back(said: str) -> str | None:
    """A question that takes up what was said, with `{you}` in it; None when nothing offers itself."""
    said = said.strip(" .!?,")
    short = len(words(said)) <= _LONGEST
    for pattern, asking in _PATTERNS:
        found = pattern.fullmatch(said)
        if found and (short or "{it}" not in asking):
            return asking.replace("{it}", _plain(reflected(found.groupdict().get("it") or "")))
    if found := _MY.search(said):
        return "Tell me more about your " + found.group(1) + "{you}."
    return None


def taken_up(said: str) -> str | None:
    """`You say` and what was said, when it is a statement of a length to be said back."""
    if not 4 <= len(words(said)) <= _LONGEST:
        return None
    first = words(said)[0]
    turned = _plain(reflected(said.strip(" .!?,")))
    if first in (
        "the",
        "a",
        "an",
        "this",
        "that",
        "it",
        "he",
        "she",
        "they",
        "we",
        "there",
        "these",
    ):
        turned = turned[0].lower() + turned[1:]
    return f"You say {turned}."


def _plain(text: str) -> str:
    """Braces would be taken for blanks of a line."""
    return text.replace("{", "(").replace("}", ")")
