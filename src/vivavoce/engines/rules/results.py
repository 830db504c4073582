"""What a function returned, as a sentence."""

import json
import re
from collections.abc import Mapping, Sequence

from vivavoce.engines.rules.dialogue import Result
from vivavoce.engines.rules.lexicon import name_words
from vivavoce.engines.rules.phrasebook import ENGLISH, Phrases

_VERBS = re.compile(
    r"^(?:get|set|fetch|find|look ?up|search|check|read|list|retrieve|calculate|compute|generate|show)"
    r"(?: for)?(?: current)? "
)
_ERRORS = ("error", "errors", "exception")
_PLAIN = frozenset(
    {
        "result",
        "results",
        "value",
        "answer",
        "output",
        "response",
        "data",
        "text",
        "message",
        "content",
    }
)
_UNITS = {
    "c": "degrees Celsius",
    "celsius": "degrees Celsius",
    "f": "degrees Fahrenheit",
    "fahrenheit": "degrees Fahrenheit",
    "percent": "percent",
    "kmh": "km/h",
    "kph": "km/h",
    "mph": "mph",
    "mm": "mm",
    "km": "km",
    "kg": "kg",
    "usd": "dollars",
    "eur": "euros",
    "ms": "ms",
}
_LONGEST = 500  # characters of one result that are spoken
_MOST_ENTRIES = 5
_DEEPEST = 4


def told_results(results: Sequence[Result], phrases: Phrases) -> str:
    """All results, one after the other."""
    return " ".join(_told(result, phrases) for result in results)


def _told(result: Result, phrases: Phrases) -> str:
    value = _parsed(result.output)
    why = _error(value)
    if why is not None:
        if not why:
            return phrases.failed.split(":")[0].rstrip() + "."
        return phrases.failed.format(why=_stopped(_cut(why)))
    if value is None or value is True or value == "" or value in ([], {}):
        return phrases.done
    if isinstance(value, str):
        return _stopped(_cut(value))
    return _stopped(_cut(_sentence(value, result, phrases)))


def _sentence(value: object, result: Result, phrases: Phrases) -> str:
    title = _VERBS.sub("", name_words(result.name)) or "result"
    if isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in _PLAIN:
        value = next(iter(value.values()))
        if isinstance(value, str):
            return value
    if isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        return f"{title[0].upper()}{title[1:]}: {_spoken(value, phrases)}"
    if not isinstance(value, Mapping):
        return phrases.result.format(title=title, value=_spoken(value, phrases)).rstrip(".")
    subject = _subject(result.arguments)
    facts = _facts(value, phrases, besides=subject)
    if phrases is not ENGLISH:
        return f"{title}{f' ({subject})' if subject else ''}: {facts}"
    return f"The {title}{f' for {subject}' if subject else ''}: {facts}"


def _parsed(output: str) -> object:
    try:
        return json.loads(output)
    except (ValueError, RecursionError):
        return output.strip()


def _error(value: object) -> str | None:
    """Why it failed, empty if it does not say; None when it did not fail."""
    if value is False:
        return ""
    if isinstance(value, str):
        return value if re.match(r"(?:error|exception|failed)\b", value, re.IGNORECASE) else None
    if not isinstance(value, Mapping):
        return None
    for key in _ERRORS:
        if value.get(key):
            return _reason(value[key])
    failed = value.get("success") is False or value.get("ok") is False
    if failed or value.get("status") in ("error", "failed", "failure"):
        return _reason(value.get("message") or value.get("reason") or "")
    return None


def _reason(why: object) -> str:
    if isinstance(why, Mapping):
        why = why.get("message") or why.get("code") or ""
    return _spoken(why, ENGLISH) if why is not True else ""


def _subject(arguments: str) -> str:
    """The first words among the call's arguments: the city that was asked for."""
    parsed = _parsed(arguments)
    values = parsed.values() if isinstance(parsed, Mapping) else ()
    return next((each for each in values if isinstance(each, str) and 0 < len(each) <= 60), "")


def _facts(value: Mapping[str, object], phrases: Phrases, besides: str = "", depth: int = 0) -> str:
    unit = next((value[key] for key in ("unit", "units") if isinstance(value.get(key), str)), None)
    numbers = [key for key in value if _is_number(value[key])]
    told = []
    for key, each in value.items():
        if (
            each is None
            or (besides and each == besides)
            or (unit and key in ("unit", "units") and numbers)
        ):
            continue
        name, suffix = _named(key)
        if _is_number(each) and key == numbers[0] and unit and not suffix:
            suffix = f" {_UNITS.get(str(unit).lower(), unit)}"
        told.append(_fact(name, _spoken(each, phrases, depth + 1) + suffix, phrases, each))
    return ", ".join(told)


def _fact(name: str, spoken: str, phrases: Phrases, value: object) -> str:
    if phrases is not ENGLISH:
        return f"{name} {spoken}"
    nested = value[0] if isinstance(value, list) and value else value
    if isinstance(nested, Mapping):
        return f"{name}: {spoken}"
    return f"{name} {'are' if isinstance(value, list) and len(value) > 1 else 'is'} {spoken}"


def _named(key: str) -> tuple[str, str]:
    """`wind_kmh` as a name and its unit: `wind` and ` km/h`."""
    *stem, last = name_words(key).split() or [key]
    return (
        (" ".join(stem), f" {_UNITS[last]}")
        if stem and last in _UNITS
        else (name_words(key) or key, "")
    )


def _spoken(value: object, phrases: Phrases, depth: int = 0) -> str:
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        return _facts(value, phrases, depth=depth)
    if isinstance(value, list):
        return _listed([_spoken(each, phrases, depth + 1) for each in value])
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _listed(entries: Sequence[str]) -> str:
    shown = list(entries[:_MOST_ENTRIES])
    left = len(entries) - len(shown)
    if left:
        shown.append(f"{left} more")
    nested = any("," in each for each in shown)
    if len(shown) < 2:
        return "".join(shown)
    return "; ".join(shown) if nested else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cut(text: str) -> str:
    """The beginning of a long text, up to a sentence if one ends there, or else a word."""
    text = " ".join(text.split())
    if len(text) <= _LONGEST:
        return text
    cut = text[:_LONGEST]
    end = max(cut.rfind(". "), cut.rfind("! "), cut.rfind("? "))
    return cut[: end + 1] if end > _LONGEST // 3 else (cut.rsplit(" ", 1)[0].rstrip(",;:") + "…")


def _stopped(text: str) -> str:
    return text if text[-1:] in ".!?…" else text + "."
