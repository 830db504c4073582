"""Reading events whose shape is not known to be right: what is missing reads as nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

Frame = Mapping[str, Any]  # what JSON decodes to


class Broken(Exception):  # noqa: N818 - named by what it says
    """A law is broken so that the rest of an event cannot be judged; the text is the sentence."""


def sums(name: str, usage: Frame) -> Iterator[str]:
    """The parts of a bill add up; what is not told is not added."""
    made, given = number_of(usage, "output_tokens"), number_of(usage, "input_tokens")
    whole = usage.get("total_tokens", made + given)
    if whole != made + given:
        yield f"usage of {name}: {whole} tokens in all are not {given} in and {made} out"
    for side, told in (("input", given), ("output", made)):
        details = object_of(usage, f"{side}_token_details")
        kinds = _whole(details)
        if details and kinds != told:
            yield f"usage of {name}: {told} tokens of {side} are not the {kinds} of its details"
        if number_of(details, "cached_tokens") > told:
            yield f"usage of {name}: more tokens are cached than there are"
        cached = object_of(details, "cached_tokens_details")
        if cached and _whole(cached) != number_of(details, "cached_tokens"):
            yield f"usage of {name}: the cached tokens are not the sum of their details"


def _whole(details: Frame) -> float:
    """All kinds of tokens together."""
    return sum(number_of(details, f"{kind}_tokens") for kind in ("text", "audio", "image"))


def parts_of(item: Frame) -> list[Frame]:
    """The content of an item."""
    content = item.get("content")
    members = content if isinstance(content, list) else []
    return [part for part in members if isinstance(part, dict)]


def words_of(part: Frame) -> object:
    """What a part says, whichever key its dialect and kind put it under."""
    return part.get("text", part.get("transcript"))


def is_outside(response: Frame) -> bool:
    """Whether a response is out of band. Early servers do not tell, and had no such responses."""
    return response.get("conversation_id", "") is None


def object_of(frame: Frame, key: str) -> Frame:
    value = frame.get(key)
    return value if isinstance(value, dict) else {}


def name_of(frame: Frame, key: str) -> str:
    value = frame.get(key)
    return value if isinstance(value, str) else f"no {key}"


def text_of(frame: Frame, key: str) -> str:
    value = frame.get(key)
    return value if isinstance(value, str) else ""


def number_of(frame: Frame, key: str) -> float:
    value = frame.get(key)
    return value if isinstance(value, int | float) else 0
