# ruff: noqa: RUF001 - Cyrillic letters are meant
"""Words: cutting text into them, what they have in common, which of them carry meaning."""

import re
from collections.abc import Iterator, Sequence

WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?![a-zà-öø-ÿа-я])|\n+")
_BULLET = re.compile(r"^[\s#*•\-]+")


def word_set(text: str) -> frozenset[str]:
    """The words of *text*, which has blanks between them."""
    return frozenset(text.split())


STOP = word_set(
    """
    a about actually after again all also am an and any anything are aren't as at be been being but
    by can can't cannot could couldn't did didn't do does doesn't doing don't each exactly few for
    from give got had happen has have having he her here hers him his how how's i i'd i'll i'm i've
    if in into is isn't it it's its just kind know let let's like look made make many may maybe me
    might mine more most much must my myself near need no not now of off oh ok okay on once one
    only or other our out over own please quite really right say shall she should show so some
    something such sure tell than thank thanks that that's the their them then there there's these
    they thing things think this those through to today too uh um under until up us very want was
    we well were what what's when where where's which while who who's whom whose why will with
    won't would yes you you'd you're you've your yours hello hi hey going go get find let
    der die das den dem des ein eine einen einem einer und oder aber ist sind war wie was wer wo wann
    warum welche welcher welches ich du er sie wir ihr es mir mich dir dich mein meine dein deine auf
    mit für von zu bei nicht bitte heute gibt hat haben kannst sag
    le la les un une des et ou mais est sont qui que quoi où quand comment pourquoi quel quelle quels
    je tu il elle nous vous ils ce cette mon ma mes ton ta tes de du au aux pour dans sur avec pas
    el los las una unos y o pero es son qué quién dónde cuándo cómo cuál cuánto yo tú él ella mi tu su
    del al por para en con se me te lo hoy hay está
    os as uma uns e mas é são quem onde quando como qual quanto eu você ele ela meu minha seu sua do
    da dos das no na nos nas em com não
    och eller men är var vad vem när hur varför vilken jag du han hon vi ni min mitt din ditt på med
    för av till inte det den ett en i som idag
    и или но не что кто где когда как почему какой какая какое сколько я ты он она мы вы они мой моя
    твой твоя это на в с по для из о у за ли есть сегодня
    """
)

# What a caller says and what a function or a fact calls it.
_SAME = {
    "plu": "sum",
    "add": "sum",
    "total": "sum",
    "forecast": "weather",
    "temperatur": "weather",
    "rain": "weather",
    "wetter": "weather",
    "météo": "weather",
    "clima": "weather",
    "temp": "weather",
    "températur": "weather",
    "temperatura": "weather",
    "tiempo": "weather",
    "tempo": "weather",
    "väder": "weather",
    "vädret": "weather",
    "погода": "weather",
    "погоду": "weather",
    "clock": "tim",
    "uhrzeit": "tim",
    "heur": "tim",
    "hora": "tim",
    "klockan": "tim",
    "mail": "email",
    "lamp": "light",
    "cost": "pric",
    "hour": "tim",
    "clos": "open",
}

_QUESTION_OPENERS = word_set(
    """
    what what's who who's whom whose where where's when when's why why's which how how's is are am
    was were do does did can could will would shall should may might has have had isn't aren't tell
    was wer wo wann wie warum welche welcher welches wieviel ist sind hat kann kannst
    qui que quoi où quand comment pourquoi quel quelle combien est-ce
    qué quién dónde cuándo cómo cuál cuánto cuánta quem onde quando como qual quanto
    vad vem var när hur varför vilken är har
    что кто где когда как почему какой какая какое сколько
    """
)

_SMALL = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
_SMALL += " fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_VALUES = {word: value for value, word in enumerate(_SMALL.split())} | {
    word: value for value, word in zip(range(20, 100, 10), _TENS.split(), strict=True)
}
_NUMERAL = "(?:" + "|".join([*_VALUES, "hundred", "thousand"]) + ")"
_NUMERALS = re.compile(
    rf"\b{_NUMERAL}\b(?:(?:(?<=hundred)\s+and|(?<=thousand)\s+and)?[\s-]+{_NUMERAL}\b)*",
    re.IGNORECASE,
)


def words(text: str) -> list[str]:
    """The words of *text* in lower case, possessive endings taken off."""
    return [_bare(word) for word in WORD.findall(text.replace("’", "'").lower())]


def _bare(word: str) -> str:
    return word[:-2] if word.endswith("'s") and word not in STOP else word


def stem(word: str) -> str:
    """What *word* shares with its plural, its past and its -ing form, nearly always."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    for ending in ("ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def meanings(text: str) -> list[str]:
    """The words that carry meaning, stemmed, one for all its synonyms, in order."""
    stems = (stem(word) for word in words(text) if word not in STOP)
    return [_SAME.get(each, each) for each in stems]


def name_words(name: str) -> str:
    """`getWeather` and `get_weather` as people write it: `get weather`."""
    return " ".join(WORD.findall(_CAMEL.sub(" ", name))).lower()


def sentences(text: str) -> list[str]:
    """The sentences and list entries of *text*, without their bullets."""
    return [bare for each in _SENTENCE_END.split(text) if (bare := _BULLET.sub("", each).strip())]


def is_question(text: str) -> bool:
    """Whether it wants to be answered, with or without a question mark."""
    if text.rstrip().endswith("?"):
        return True
    first = WORD.search(text.replace("’", "'").lower())
    return first is not None and first.group() in _QUESTION_OPENERS


def with_digits(text: str) -> str:
    """*text* with its English number words written as digits: `twenty five` is `25`."""
    return _NUMERALS.sub(lambda run: " ".join(map(str, _values(words(run.group())))), text)


def _values(numerals: Sequence[str]) -> Iterator[int]:
    whole = current = 0
    begun = False
    for numeral in numerals:
        if numeral == "and":
            continue
        if numeral == "hundred":
            current = max(current, 1) * 100
        elif numeral == "thousand":
            whole, current = whole + max(current, 1) * 1000, 0
        elif begun and not _joins(current or whole, _VALUES[numeral]):
            yield whole + current
            whole, current = 0, _VALUES[numeral]
        else:
            current += _VALUES[numeral]
        begun = True
    yield whole + current


def _joins(current: int, value: int) -> bool:
    """Whether *value* continues the number so far: `twenty` `five`, not `two` `five`."""
    room = current % 100
    return (room == 0 and current > 0) or (room >= 20 and room % 10 == 0 and 0 < value < 10)
