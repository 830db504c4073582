"""Which function fits what was said, and whether a question for an argument is still open."""

import re
from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from vivavoce.core.settings import FunctionTool, NamedTool, ToolChoice
from vivavoce.engines.rules.arguments import (
    Found,
    asking_for,
    dropped,
    find,
    forced,
    given,
    telling_words,
)
from vivavoce.engines.rules.dialogue import Dialogue
from vivavoce.engines.rules.lexicon import is_question, meanings, name_words, stem, word_set, words
from vivavoce.engines.rules.phrasebook import PHRASES, Phrases
from vivavoce.engines.rules.schema import Field, fields_of

# Verbs that nearly every function's name has: none of them tells which function it is.
_COMMON = word_set(
    "get find look let go do fetch create set lookup search check read update run call use calculate "
    "compute generate handle query list retrieve return perform current function tool info "
    "information data api user value details start add put remove delete send make show turn switch "
    "control to on off for of the a in by with and"
)
_COMMON_STEMS = frozenset(map(stem, _COMMON))
_STATEMENT = re.compile(
    r"(?:i|i'm|i've|my|we|our|it|it's|the|this|that|he|she|they|there)\b", re.IGNORECASE
)
_WISH = re.compile(
    r"(?:i|we)(?:'d| would)? (?:want|need|like|have to|would like|wonder|wish)\b", re.IGNORECASE
)
_AND = re.compile(r"\s*(?:,?\s+(?:and|und|et|och)\b|,\s+|;)\s*(?:also\s+|then\s+)?", re.IGNORECASE)
_FRAGMENT_WORDS = 4
_OPEN_EXCHANGES = 8


class Match(Struct, frozen=True):
    """A function and the arguments said for it."""

    tool: FunctionTool
    found: Found


class Question(Struct, frozen=True):
    """An argument has to be asked for first."""

    text: str


class Call(Struct, frozen=True):
    """A function and the arguments to call it with."""

    name: str
    arguments: dict[str, object]


def calls_for(
    dialogue: Dialogue,
    tools: Sequence[FunctionTool],
    choice: ToolChoice,
    *,
    parallel: bool,
    phrases: Phrases,
    social: bool,
) -> tuple[Call, ...] | Question | None:
    """The calls that *choice* allows or demands, a question, or None: then words are wanted.

    *social* utterances, greetings and the like, call nothing unless a call is demanded.
    """
    if choice == "none" or not tools:
        return None
    said = dialogue.said or ""
    if isinstance(choice, NamedTool):
        named = [tool for tool in tools if tool.name == choice.name][:1]
        return tuple(Call(tool.name, forced(tool, find(tool, said))) for tool in named) or None
    if choice == "required":
        return _demanded(dialogue, tools, parallel=parallel, social=social)
    if continued := _continued(dialogue, tools, social=social):
        return _call_or_question((continued,), phrases)
    if social or not said:
        return None
    return _call_or_question(_matches(tools, said, parallel=parallel), phrases)


def _demanded(
    dialogue: Dialogue, tools: Sequence[FunctionTool], *, parallel: bool, social: bool
) -> tuple[Call, ...]:
    said = dialogue.said or ""
    continued = _continued(dialogue, tools, social=social)
    matches = (continued,) if continued else _matches(tools, said, parallel=parallel)
    if not matches:
        tool = max(tools, key=lambda each: _overlap(each, said))
        matches = (Match(tool, find(tool, said)),)
    return tuple(Call(match.tool.name, forced(match.tool, match.found)) for match in matches)


def _call_or_question(
    matches: Sequence[Match], phrases: Phrases
) -> tuple[Call, ...] | Question | None:
    complete = [match for match in matches if not match.found.missing]
    if complete:
        return tuple(Call(match.tool.name, dict(match.found.values)) for match in complete)
    for match in matches:
        return Question(asking_for(match.found.missing[0], phrases))
    return None


def _matches(tools: Sequence[FunctionTool], said: str, *, parallel: bool) -> tuple[Match, ...]:
    """Every function that *said* asks for, the clauses joined by `and` each on its own."""
    parts = [part for part in _AND.split(said) if part] if parallel else []
    split: list[Match] = []
    for part in parts:
        tool = best(tools, part)
        if tool is None and split and _is_another(part, split[-1].tool):
            tool = split[-1].tool
        if tool is not None:
            split.append(Match(tool, find(tool, part)))
    if len(split) > 1 and all(not match.found.missing for match in split):
        return tuple(split)
    tool = best(tools, said)
    return (Match(tool, find(tool, said)),) if tool else ()


def _is_another(part: str, tool: FunctionTool) -> bool:
    """Whether *part* names only another value for the function before: `and london`."""
    fields = [field for field in fields_of(tool) if field.required]
    spoken = words(part)
    return (
        len(fields) == 1
        and fields[0].kind in ("string", "choice")
        and len(spoken) <= _FRAGMENT_WORDS
        and not any(field.kind == "array" for field in fields_of(tool))
        and not is_question(part)
        and len(meanings(part)) >= len(spoken) - 1
        and not find(tool, part).missing
    )


def best(tools: Sequence[FunctionTool], said: str) -> FunctionTool | None:
    """The function that *said* clearly asks for."""
    fitting = [tool for tool in tools if _fits(tool, said)]
    return max(fitting, key=lambda each: _overlap(each, said), default=None)


@lru_cache(maxsize=256)
def _names(name: str) -> frozenset[str]:
    """What the name alone tells, without the verbs that all names share."""
    spoken = name_words(name)
    telling = " ".join(word for word in words(spoken) if word not in _COMMON)
    return frozenset(meanings(telling)) or frozenset(meanings(spoken))


def _hits(tool: FunctionTool, said: str) -> tuple[frozenset[str], frozenset[str]]:
    spoken = frozenset(meanings(said))
    named = spoken & _names(tool.name)
    return named, (spoken & telling_words(tool)) - named - _COMMON_STEMS


def _overlap(tool: FunctionTool, said: str) -> float:
    named, described = _hits(tool, said)
    alike = set(words(name_words(tool.name))).intersection(words(said))
    share = len(named) / (len(_names(tool.name)) or 1)
    return 2 * len(named) + share + len(described) + len(alike) / 2


def _fits(tool: FunctionTool, said: str) -> bool:
    named, described = _hits(tool, said)
    if _is_statement(said):
        return len(named) >= 2 or (bool(named) and bool(described))
    if 2 * len(named) > len(_names(tool.name)):
        return True
    return len(named) + len(described) >= 2


def _is_statement(said: str) -> bool:
    return (
        _STATEMENT.match(said) is not None
        and _WISH.match(said) is None
        and not is_question(said)
        and len(words(said)) > _FRAGMENT_WORDS
    )


def _continued(dialogue: Dialogue, tools: Sequence[FunctionTool], *, social: bool) -> Match | None:
    """The call whose missing argument was asked for last and is answered by *said*.

    Nothing is stored: what was asked is found out again from the exchanges before.
    """
    if not dialogue.said or not _is_asked(dialogue.last_answer, tools):
        return None
    pending: Match | None = None
    for exchange in dialogue.past[-_OPEN_EXCHANGES:]:
        pending = _answered(pending, exchange.said, tools) or _asked_first(exchange.said, tools)
        if pending and not _asks(exchange.answered, pending.found.missing[:1]):
            pending = None
    if pending and social and pending.found.missing[0].kind != "boolean":
        return None
    return _answered(pending, dialogue.said, tools)


def _asked_first(said: str, tools: Sequence[FunctionTool]) -> Match | None:
    tool = best(tools, said)
    return Match(tool, find(tool, said)) if tool else None


def _answered(pending: Match | None, said: str, tools: Sequence[FunctionTool]) -> Match | None:
    """*pending* with one argument more, unless *said* is something else altogether."""
    other = best(tools, said)
    if pending is None or (other and other is not pending.tool):
        return None
    field, *left = pending.found.missing
    value = given(field, said)
    if value is None:
        return pending if _misses(said) else None
    choices = {each.name: given(each, said) for each in left if each.kind == "choice"}
    also = {name: choice for name, choice in choices.items() if choice is not None}
    values = {**pending.found.values, **also, field.name: value}
    missing = tuple(each for each in left if each.name not in values)
    return Match(pending.tool, Found(values, missing))


def _misses(said: str) -> bool:
    """Whether *said* seems meant as an answer, so that asking again makes sense."""
    return (
        0 < len(words(said)) <= _FRAGMENT_WORDS - 1 and not is_question(said) and not dropped(said)
    )


def _is_asked(answer: str, tools: Sequence[FunctionTool]) -> bool:
    return bool(answer) and any(
        _asks(answer, [field for field in fields_of(tool) if field.required]) for tool in tools
    )


def _asks(answer: str, fields: Sequence[Field]) -> bool:
    """Whether *answer* is the question for one of *fields*, or as much as was heard of it."""
    questions = (asking_for(field, phrases) for field in fields for phrases in PHRASES.values())
    heard = answer.strip()
    return any(question == heard or _begins(question, heard) for question in questions)


def _begins(question: str, heard: str) -> bool:
    return len(heard.split()) >= 3 and question.startswith(heard)
