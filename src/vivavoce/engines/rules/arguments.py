"""Arguments for a function, taken from what was said."""

import json
from collections.abc import Mapping

from msgspec import Struct

from vivavoce.core.settings import FunctionTool
from vivavoce.engines.rules.lexicon import is_question, meanings, name_words, word_set, words
from vivavoce.engines.rules.phrasebook import Phrases
from vivavoce.engines.rules.schema import Field, bounded, fields_of, filler
from vivavoce.engines.rules.utterance import Utterance, is_proper, is_text, proper

_DROPPED = word_set(
    "never mind forget cancel stop nothing no nope abbrechen vergiss annuler annulez cancelar "
    "cancela avbryt glöm отмена"
)
_LEAD = word_set(
    "in for at to from about on the a an it it's is i i'm i'd mean meant want would like please "
    "well uh um oh yes make that be with by of für nach von aus bitte ich meine à pour en dans de "
    "s'il plaît para por till på för в на для"
)
_TAIL = word_set("please thanks thank you bitte s'il vous plaît por favor tack пожалуйста")


_LONGEST = 2000  # characters of a tool's description that are read


class Found(Struct, frozen=True):
    """*values* were said; the fields of *missing* are required and were not."""

    values: Mapping[str, object]
    missing: tuple[Field, ...] = ()


def find(tool: FunctionTool, said: str) -> Found:
    """Look in *said* for every argument of *tool*, what is required first."""
    fields = fields_of(tool)
    choices = " ".join(str(each) for field in fields for each in field.choices)
    utterance = Utterance(said, frozenset(meanings(f"{name_words(tool.name)} {choices}")))
    values: dict[str, object] = {}
    alone = sum(field.kind == "string" and field.required for field in fields) == 1
    for field in sorted(fields, key=lambda each: _urgency(each, utterance)):
        value = _value(field, utterance)
        sole = alone and field.required and field.kind == "string"
        if value is None and sole and is_text(name_words(field.name)):
            value = _all_of(said, tool)
        if value is not None:
            values[field.name] = value
    ordered = {field.name: values[field.name] for field in fields if field.name in values}
    return Found(ordered, tuple(f for f in fields if f.required and f.name not in values))


def _all_of(said: str, tool: FunctionTool) -> str | None:
    """The whole utterance, if it says more than that *tool* is wanted."""
    more = set(meanings(said)) - set(meanings(name_words(tool.name)))
    return said.strip(" .!?") if more else None


def _urgency(field: Field, utterance: Utterance) -> tuple[bool, bool, bool]:
    """Certain things first: numbers beside their name, then what is required, then names."""
    name = name_words(field.name)
    return (
        not (field.kind in ("number", "integer") and utterance.has_beside(name)),
        not field.required,
        not is_proper(name, field.description),
    )


def _value(field: Field, utterance: Utterance) -> object:
    """What was said for *field*, None for nothing."""
    name = name_words(field.name)
    match field.kind:
        case "string":
            return utterance.text(name, field.description)
        case "integer" | "number":
            return _number(field, utterance)
        case "boolean":
            return utterance.truth(name)
        case "choice":
            return next(iter(utterance.choices(field.choices)), None)
        case "array":
            return _entries(field, utterance) or None
        case "object":
            return _composed(field, utterance)
        case "null":
            return None


def _number(field: Field, utterance: Utterance) -> float | int | None:
    name = name_words(field.name)
    if not field.required and not utterance.has_beside(name):
        return None
    number = utterance.number(name, whole=field.kind == "integer")
    if number is None:
        return None
    kept = bounded(number, field)
    return number if kept == number else int(kept) if field.kind == "integer" else kept


def _entries(field: Field, utterance: Utterance) -> list[object]:
    item = field.item or Field(field.name)
    match item.kind:
        case "string":
            entries: list[object] = list(utterance.listed())
        case "choice":
            entries = utterance.choices(item.choices)
        case "number" | "integer":
            asked = Field(item.name, item.kind, required=True, least=item.least, most=item.most)
            entries = []
            while (number := _number(asked, utterance)) is not None:
                entries.append(number)
        case _:
            return []
    short = max(0, field.min_items - len(entries)) if entries else 0
    return [*entries, *[filler(item)] * short]


def _composed(field: Field, utterance: Utterance) -> dict[str, object] | None:
    """A nested object, made whole as soon as one of its parts was said."""
    said = {each.name: _value(each, utterance) for each in field.fields}
    said = {name: value for name, value in said.items() if value is not None}
    if not said:
        return None
    return {
        each.name: said.get(each.name, filler(each))
        for each in field.fields
        if each.required or each.name in said
    }


def dropped(answer: str) -> bool:
    """Whether it takes the wish back: `never mind`."""
    return bool(_DROPPED.intersection(words(answer)[:3]))


def given(field: Field, answer: str) -> object:
    """What *answer* says when it was asked for *field*; None when that is no answer to it."""
    spoken = words(answer)
    asking = is_question(answer.rstrip(" ?")) and "about" not in spoken
    if not spoken or asking or (dropped(answer) and field.kind != "boolean"):
        return None
    value = _value(field, Utterance(answer))
    if value is not None or field.kind not in ("string", "array"):
        return value
    text = _bare(answer)
    if not text or len(text.split()) > (60 if is_text(field.name) else 6):
        return None
    text = proper(text) if is_proper(name_words(field.name), field.description) else text
    return [text] if field.kind == "array" and field.item and field.item.kind == "string" else text


def _bare(answer: str) -> str:
    spoken = answer.strip(" .!?").split()
    while spoken and spoken[0].lower().strip(",") in _LEAD:
        spoken = spoken[1:]
    while spoken and spoken[-1].lower().strip(",") in _TAIL:
        spoken = spoken[:-1]
    return " ".join(spoken).strip(" ,")


def forced(tool: FunctionTool, found: Found) -> dict[str, object]:
    """All arguments that were found, and fillers for required ones that were not."""
    return {**found.values, **{field.name: filler(field) for field in found.missing}}


def asking_for(field: Field, phrases: Phrases) -> str:
    """The question for a missing argument."""
    thing = name_words(field.name) or field.name
    match field.kind:
        case "choice" if all(isinstance(each, str) for each in field.choices):
            *others, last = (str(each).replace("_", " ") for each in field.choices)
            choices = phrases.either.format(others=", ".join(others), last=last) if others else last
            return phrases.which_of.format(thing=thing, choices=choices)
        case "number" | "integer":
            return phrases.number.format(thing=thing)
        case "boolean":
            return phrases.whether.format(thing=thing)
        case "string" if is_text(thing):
            return phrases.what.format(thing=thing)
        case _:
            return phrases.which.format(thing=thing)


def as_json(arguments: Mapping[str, object]) -> str:
    """The arguments as the wire has them."""
    return json.dumps(arguments, ensure_ascii=False)


def telling_words(tool: FunctionTool) -> frozenset[str]:
    """What can be said of *tool* besides its name: its description, its arguments, its choices."""
    fields = fields_of(tool)
    choices = (str(each).replace("_", " ") for field in fields for each in field.choices)
    names = (name_words(field.name) for field in fields)
    return frozenset(meanings(" ".join([(tool.description or "")[:_LONGEST], *names, *choices])))
