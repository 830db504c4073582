# ruff: noqa: RUF001 - Cyrillic letters are meant
"""Counting and sums."""

import re
from fractions import Fraction

from vivavoce.engines.rules.lexicon import with_digits
from vivavoce.engines.rules.phrasebook import Phrases

_MOST = 100
_COUNT = re.compile(
    r"(?:please |can you |could you |would you )*(?:count|zähle?|compte[zr]?|cuenta|cuente|conte|räkna|"
    r"посчитай(?:те)?)\b(?P<what>.{0,80})",
    re.IGNORECASE,
)
_NUMBER = r"-?\d{1,12}(?:[.,]\d{1,6})?"
_SIGNS = {
    "+": r"\+|plus|added to|и",
    "-": r"-|−|minus|less|moins|menos|минус",
    "*": r"\*|x|×|times|multiplied by|mal|fois|por|vezes|gånger|на",
    "/": r"/|÷|divided by|over|durch|divisé par|entre|dividido por|delat med|разделить на",
}
_SIGN = "|".join(f"(?P<{name}>{_SIGNS[sign]})" for sign, name in zip("+-*/", "pmty", strict=True))
_SUM = re.compile(
    r"(?:(?:and|please|can you|could you|tell me|so)\s+)*"
    r"(?:(?:what(?:'s| is| does| are)?|how much (?:is|are)|calculate|compute|was ist|was macht|"
    r"wie viel ist|rechne|combien font|cuánto (?:es|son)|quanto é|vad är|hur mycket är|"
    r"сколько будет)\s+)?"
    rf"(?P<a>{_NUMBER})\s*(?:{_SIGN})\s*(?P<b>{_NUMBER})(?:\s+(?:make|equal|please|bitte))?\s*=?",
    re.IGNORECASE,
)
_SPOKEN = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}


def counted(said: str) -> str | None:
    """The numbers asked for, in sentences of ten: `count from 5 down to 1`."""
    found = _COUNT.fullmatch(said)
    numbers = (
        [int(each) for each in re.findall(r"\d{1,6}", with_digits(found["what"]))] if found else []
    )
    if not found or not numbers:
        return None
    down = re.search(r"\b(?:down|backwards?|rückwärts)\b", found["what"]) is not None
    first, last = numbers[:2] if len(numbers) > 1 else (numbers[0], 1) if down else (1, numbers[0])
    step = 1 if last >= first else -1
    last = max(first - _MOST + 1, min(first + _MOST - 1, last))
    run = [str(each) for each in range(first, last + step, step)]
    return " ".join(", ".join(run[at : at + 10]) + "." for at in range(0, len(run), 10))


def worked_out(said: str, phrases: Phrases) -> str | None:
    """The result of one sum of two numbers: `what is twelve times 7`."""
    found = _SUM.fullmatch(with_digits(said).strip(" .!?="))
    if not found:
        return None
    a, b = (Fraction(found[side].replace(",", ".")) for side in "ab")
    sign = next(sign for sign, name in zip("+-*/", "pmty", strict=True) if found[name])
    if sign == "/" and b == 0:
        return phrases.no_division
    value = {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else a}[sign]
    spoken = _SPOKEN[sign] if phrases.clock.startswith("It") else sign
    return (
        f"{_written(a)} {spoken} {_written(b)} {'is' if spoken != sign else '='} {_written(value)}."
    )


def _written(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.4f}".rstrip("0").rstrip(".")
