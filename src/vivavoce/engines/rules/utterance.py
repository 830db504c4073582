# ruff: noqa: RUF001 - Cyrillic letters are meant
"""What one utterance offers to be taken as an argument: numbers, places, times, topics."""

import re
from collections.abc import Iterable, Sequence

from vivavoce.engines.rules.lexicon import (
    STOP,
    WORD,
    is_question,
    meanings,
    stem,
    with_digits,
    word_set,
)

_PLACES = word_set(
    "city town location place country region state area destination origin departure arrival "
    "address venue airport station restaurant hotel stadt ort land ville lieu pays ciudad lugar país cidade país "
    "plats город место страна"
)
_PEOPLE = word_set(
    "name person recipient contact user customer guest author who first last caller firstname "
    "lastname attendee sender"
)
_MOMENTS = word_set("date day time when datetime deadline due start end hour check in out")
_TIMES = word_set("time hour clock")
_TEXTS = word_set(
    "query question text message prompt search content input body note title subject topic term "
    "keyword keywords sentence phrase command request description reason summary q"
)
_FROM = word_set("origin departure source from sender")
_TO = word_set("destination arrival target to recipient")

_LINKS = word_set(
    "in at for to near around from of on about with by into named called saying through between "
    "für nach von bei über à pour chez vers au aux para por sobre de em en till för från om hos på в "
    "для о из на"
)
_NEVER_A_PLACE = word_set(
    "today tonight tomorrow yesterday now right please morning afternoon evening night noon weekend "
    "week month year moment minute minutes hour hours day days second seconds like is are will was "
    "and or but that it me you us them him her my your then there here this next last monday tuesday "
    "wednesday thursday friday saturday sunday because if when what how which who where do does can "
    "could would should i we they he she be been have has going thanks heute morgen jetzt bitte und "
    "oder ist aujourd'hui demain maintenant et est hoy mañana ahora y es hoje amanhã agora e é idag "
    "imorgon nu och är сегодня завтра сейчас и"
)
_FETCHING = word_set("add put buy order get bring fetch remove delete play open need")
_ARTICLES = word_set("the a an my our some der die das den dem")
_LITTLE = word_set("of de la le du da do del van von der upon am")
_CAPITALS = {"usa": "USA", "uk": "UK", "us": "US", "uae": "UAE", "nyc": "NYC", "eu": "EU"}
_NUMBER = re.compile(r"(?<![\w.,])-?\d{1,15}(?:\.\d{1,9})?(?![\w]|[.,]\d)")
_WEEKDAY = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
_MONTH = "january|february|march|april|may|june|july|august|september|october|november|december"
_DAY = re.compile(
    rf"\b(?:\d{{4}}-\d\d-\d\d|(?:the day after )?(?:today|tomorrow|yesterday|tonight)"
    rf"|(?:(?:next|this|last|coming) )?(?:{_WEEKDAY})|(?:next|this|last) (?:week|month|year|weekend)"
    rf"|(?:{_MONTH}) \d{{1,2}}(?:st|nd|rd|th)?(?:,? \d{{4}})?"
    rf"|(?:the )?\d{{1,2}}(?:st|nd|rd|th|\.)?(?: of)? (?:{_MONTH})(?:,? \d{{4}})?"
    rf"|heute|übermorgen|morgen|aujourd'hui|demain|hoy|mañana|hoje|amanhã|idag|imorgon|сегодня|завтра)\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"\b(?:\d{1,2}:\d\d(?: ?[ap]\.?m\b\.?)?|\d{1,2} ?[ap]\.?m\b\.?|\d{1,2} o'clock|noon|midnight"
    r"|(?<=at )\d{1,2}\b|(?:in the )(?:morning|afternoon|evening))",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“„«]([^\"“”„«»]{1,500})[\"”“»]|(?<!\w)'([^']{1,500})'(?!\w)")
_TEXT_AFTER = re.compile(
    r"\b(?:saying|that says|which says|says|that|:)\s+(.{1,500})$", re.IGNORECASE
)
_YES = re.compile(r"\b(?:yes|yeah|yep|sure|on|enable|please do|ja|oui|sí|sim|да)\b", re.IGNORECASE)
_NO = re.compile(
    r"\b(?:no|not|don't|without|off|disable|never|nein|non|não|nej|нет)\b", re.IGNORECASE
)


_BRIEF = 4  # words


class Utterance:
    """Gives its parts away, none of them twice. *about* are words that name the function itself."""

    def __init__(self, said: str, about: frozenset[str] = frozenset()) -> None:
        self._said = said
        self._about = about
        self._digits = with_digits(said)
        self._numbers = list(_NUMBER.finditer(self._digits))
        self._phrases = _phrases(said, about)
        self._quotes = [a or b for a, b in _QUOTED.findall(said)]

    def number(self, name: str, *, whole: bool) -> float | int | None:
        """A number that stands beside the words of *name*, or else the first one left."""
        usable = [each for each in self._numbers if not (whole and "." in each.group())]
        asked = set(meanings(name))
        beside = (each for each in usable if asked.intersection(self._around(each)))
        chosen = next(beside, None) or next(iter(usable), None)
        if chosen is None:
            return None
        self._numbers.remove(chosen)
        return float(chosen.group()) if "." in chosen.group() else int(chosen.group())

    def has_beside(self, name: str) -> bool:
        """Whether a number stands beside the words of *name*."""
        asked = set(meanings(name))
        return any(asked.intersection(self._around(each)) for each in self._numbers)

    def _around(self, number: re.Match[str]) -> list[str]:
        before = meanings(self._digits[max(0, number.start() - 40) : number.start()])
        return [*before[-1:], *meanings(self._digits[number.end() : number.end() + 30])[:1]]

    def truth(self, name: str) -> bool | None:
        """Yes or no, when the words of *name* are spoken of, or nothing but yes or no is said."""
        asked = set(meanings(name)) - self._about
        switched = re.search(r"\b(?:on|off)\b", self._said) and not asked - {"on", "stat", "enabl"}
        named = bool(switched or asked.intersection(meanings(self._said)))
        if not named and len(WORD.findall(self._said)) > _BRIEF:
            return None
        if _NO.search(self._said):
            return False
        return True if named or _YES.search(self._said) else None

    def choices(self, values: Sequence[object]) -> list[object]:
        """Those of *values* that are said, in the order in which they are."""
        spoken = f" {' '.join(map(stem, _lower(self._digits)))} "
        found = [
            (place, value)
            for value in values
            if isinstance(value, str | int | float) and not isinstance(value, bool)
            if (words := " ".join(map(stem, _lower(str(value).replace("_", " ")))))
            if (place := spoken.find(f" {words} ")) >= 0
        ]
        return [value for _, value in sorted(found, key=lambda each: each[0])]

    def text(self, name: str, description: str = "") -> str | None:
        """Words for a string called *name*: a time for a date, a place for a city, a topic else."""
        asked = frozenset(_lower(name))
        if asked & _MOMENTS:
            return self._moment(asked)
        if asked & _TEXTS:
            return self._quoted() or self._named(asked) or self._free(asked)
        if is_proper(name, description):
            return self._proper(asked)
        return self._quoted() or self._named(asked) or self._linked(asked) or self._object()

    def _quoted(self) -> str | None:
        return self._quotes.pop(0) if self._quotes else None

    def _moment(self, asked: frozenset[str]) -> str | None:
        day, clock = (
            found.group() if found else None
            for found in (_DAY.search(self._said), _CLOCK.search(self._said))
        )
        if asked & {"datetime", "when"} and day and clock:
            return f"{day} {clock}"
        return (clock or None if asked & _TIMES else day or clock) or None

    def _proper(self, asked: frozenset[str]) -> str | None:
        phrase = self._named(asked) or self._linked(asked) or self._capitalised()
        phrase = phrase or self._quoted() or self._rest()
        return proper(phrase) if phrase else None

    def _free(self, asked: frozenset[str]) -> str | None:
        found = _TEXT_AFTER.search(self._said)
        if found and asked & {"message", "text", "content", "body", "note", "reason"}:
            return found.group(1).strip(" .!?\"'")
        topic = re.search(
            r"\b(?:for|about|on|of|über|sobre|sur|om)\s+(.{1,500})$", self._said, re.IGNORECASE
        )
        return topic.group(1).strip(" .!?") if topic else None

    def _named(self, asked: frozenset[str]) -> str | None:
        """What follows the argument's own name: `with the title groceries`."""
        if is_question(self._said):
            return None
        spoken = list(WORD.finditer(self._said))
        for place, word in enumerate(spoken):
            if word.group().lower() in asked:
                follows = _run(
                    self._said,
                    spoken[place + 1 :],
                    skipping={"is", "to", "of", "as", "named", "called"},
                )
                if follows:
                    return follows
        return None

    def _linked(self, asked: frozenset[str]) -> str | None:
        wanted = {"from"} if asked & _FROM else {"to", "into", "for"} if asked & _TO else None
        for link, phrase in self._phrases:
            if wanted is None or link in wanted:
                self._phrases.remove((link, phrase))
                return phrase
        return None

    def _object(self) -> str | None:
        """What follows a verb of fetching: `put apples`."""
        spoken = list(WORD.finditer(self._said))
        for place, word in enumerate(spoken):
            if word.group().lower() in _FETCHING:
                phrase = _run(self._said, spoken[place + 1 :])
                return phrase if phrase and not set(meanings(phrase)) <= self._about else None
        return None

    def _capitalised(self) -> str | None:
        """A name by its capitals, where not every word has one."""
        spoken = WORD.findall(self._said)
        names = [word for word in spoken[1:] if word[0].isupper() and word.lower() not in STOP]
        names = [word for word in names if not self._about.intersection(meanings(word))]
        return " ".join(names[:4]) if names and len(names) < len(spoken) - 1 else None

    def _rest(self) -> str | None:
        """What is left of a short utterance: `weather paris`."""
        spoken = WORD.findall(self._said)
        if len(spoken) > _BRIEF:
            return None
        left = [
            word
            for word in spoken
            if word.lower() not in STOP | _NEVER_A_PLACE
            and not word[0].isdigit()
            and not self._about.intersection(meanings(word))
        ]
        return " ".join(left) or None

    def listed(self) -> list[str]:
        """The entries of `x, y and z`, wherever they stand."""
        spoken = re.split(
            r"\s*(?:,|;|\band\b|\bund\b|\bet\b|\boch\b|\bor\b|&)\s*",
            self._said,
            flags=re.IGNORECASE,
        )
        if len(spoken) < 2:
            phrase = self._object() or (self._phrases[0][1] if self._phrases else self._rest())
            return [phrase] if phrase else []
        head = [
            *re.split(
                r"[:]|\b(?:of|for|with|buy|add|get|to|from|about|in)\s+",
                spoken[0],
                flags=re.IGNORECASE,
            )
        ]
        last = _phrases("of " + spoken[-1], frozenset())
        entries = [head[-1], *spoken[1:-1], last[0][1] if last else spoken[-1]]
        return [bare for each in entries if (bare := _stripped(each))]


def is_proper(name: str, description: str = "") -> bool:
    """Whether an argument looks like the name of a place or a person, which has capitals."""
    named = frozenset(_lower(name))
    if named & (_PLACES | _PEOPLE):
        return True
    return not named & (_TEXTS | _MOMENTS) and bool(frozenset(_lower(description)[:6]) & _PLACES)


def is_text(name: str) -> bool:
    """Whether it wants free text."""
    return bool(frozenset(_lower(name)) & _TEXTS)


def proper(phrase: str) -> str:
    """*phrase* as a name is written: `new york` is `New York`."""
    words = phrase.split()
    return " ".join(
        _CAPITALS.get(word)
        or (
            word
            if word != word.lower() or (place and word in _LITTLE)
            else word[0].upper() + word[1:]
        )
        for place, word in enumerate(words)
    )


def _lower(text: str) -> list[str]:
    return [word.lower() for word in WORD.findall(text)]


def _phrases(said: str, about: frozenset[str]) -> list[tuple[str, str]]:
    """Each preposition with the words it governs."""
    spoken = list(WORD.finditer(said))
    found = []
    for place, word in enumerate(spoken):
        link = word.group().lower()
        if link in _LINKS or _is_swedish_in(word, spoken[place + 1 : place + 2]):
            phrase = _run(said, spoken[place + 1 :])
            if (
                phrase
                and not with_digits(phrase)[0].isdigit()
                and not set(meanings(phrase)) <= about
            ):
                found.append((link, phrase))
    return found


def _is_swedish_in(word: re.Match[str], following: Sequence[re.Match[str]]) -> bool:
    """`i Paris`, where the English `I` would be followed by a verb."""
    return word.group() == "i" and any(each.group()[0].isupper() for each in following)


def _run(said: str, spoken: Iterable[re.Match[str]], skipping: set[str] | None = None) -> str:
    """The words up to the next one that cannot belong to the same name."""
    taken: list[re.Match[str]] = []
    for word in spoken:
        lower = word.group().lower()
        if not taken and (lower in _ARTICLES or (skipping and lower in skipping)):
            continue
        gap = said[taken[-1].end() : word.start()] if taken else ""
        after_comma = gap.strip() == "," and word.group()[0].isupper()
        if gap.strip(" -'’.") and not after_comma:
            break
        if "." in gap and len(taken[-1].group()) > 2:
            break
        if lower in _NEVER_A_PLACE or (lower in _LINKS and lower not in _LITTLE) or len(taken) == 5:
            break
        taken.append(word)
    while taken and taken[-1].group().lower() in _LITTLE | _ARTICLES:
        taken.pop()
    return said[taken[0].start() : taken[-1].end()] if taken else ""


def _stripped(entry: str) -> str:
    words = entry.strip(" .!?").split()
    while words and words[0].lower() in _ARTICLES | {"please"}:
        words = words[1:]
    return " ".join(words)
