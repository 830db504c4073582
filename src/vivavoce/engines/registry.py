"""Entry points -> engine records with a status; one bad plugin never stops the server.

An engine declares itself under the entry point group of its slot, `vivavoce.transcribers` and its
like; the built-in ones come by the same door. Finding one imports its module, making one calls it
with the options of a recipe as keywords, and only entering it loads its model. What goes wrong on
the way becomes the status and the detail of its record (see `self_check` for the last of them).
"""

import inspect
from collections.abc import Callable, Collection, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Literal, cast, get_args, overload

from msgspec import Struct

from vivavoce.engines.api import (
    Engine,
    LanguageModel,
    SpeechModel,
    Synthesiser,
    Transcriber,
    TurnJudge,
    VoiceDetector,
)

Slot = Literal[
    "voice_detector",
    "transcriber",
    "turn_judge",
    "language_model",
    "synthesiser",
    "speech_model",
]
Status = Literal["enabled", "disabled", "failed to load", "misconfigured", "failed self-check"]
Options = Mapping[str, object]

SLOTS: tuple[Slot, ...] = get_args(Slot)
OWN_DISTRIBUTION = "vivavoce"
METHODS: dict[Slot, str] = {
    "voice_detector": "detect",
    "transcriber": "transcribe",
    "turn_judge": "judge",
    "language_model": "respond",
    "synthesiser": "speak",
    "speech_model": "converse",
}


class Record(Struct, frozen=True):
    """An engine that a distribution declares. *detail* says what was found, or what to do."""

    slot: Slot
    name: str
    status: Status
    detail: str
    distribution: str
    version: str


class EngineUnavailable(Exception):  # noqa: N818 - named by what the operator has to know
    """There is no such engine, or it cannot be used as it is; the message says what to do."""

    def __init__(self, message: str, status: Status = "misconfigured") -> None:
        super().__init__(message)
        self.status = status


class EngineFull(EngineUnavailable):
    """The engine has as much to do as it can; another session would wait too long."""


def records(disabled: Collection[tuple[Slot, str]] = ()) -> tuple[Record, ...]:
    """Every engine that any installed distribution declares, in the order of slots and names.

    Each is imported to see whether it can be; one in *disabled* is not even that.
    """
    return tuple(
        _record(slot, point, first, disabled)
        for slot in SLOTS
        for points in _declared(slot).values()
        for first, point in ((points[0], point) for point in points)
    )


def names(slot: Slot) -> tuple[str, ...]:
    """The engines declared for that slot, whatever their state."""
    return tuple(_declared(slot))


def find(slot: Slot, name: str) -> Callable[..., Engine]:
    """What makes engines of that name; imports its module, loads no model."""
    declared = _declared(slot)
    if name not in declared:
        there = ", ".join(declared) or "none"
        raise EngineUnavailable(f"no {_words(slot)} is called {name!r}; there are: {there}")
    return _loaded(slot, declared[name][0])


@overload
def make(
    slot: Literal["voice_detector"], name: str, options: Options | None = None
) -> VoiceDetector: ...
@overload
def make(
    slot: Literal["transcriber"], name: str, options: Options | None = None
) -> Transcriber: ...
@overload
def make(slot: Literal["turn_judge"], name: str, options: Options | None = None) -> TurnJudge: ...
@overload
def make(
    slot: Literal["language_model"], name: str, options: Options | None = None
) -> LanguageModel: ...
@overload
def make(
    slot: Literal["synthesiser"], name: str, options: Options | None = None
) -> Synthesiser: ...
@overload
def make(
    slot: Literal["speech_model"], name: str, options: Options | None = None
) -> SpeechModel: ...
@overload
def make(slot: Slot, name: str, options: Options | None = None) -> Engine: ...
def make(slot: Slot, name: str, options: Options | None = None) -> Engine:
    """An engine with those options, not entered yet; or `EngineUnavailable`."""
    maker = find(slot, name)
    _require_options(slot, name, maker, options or {})
    try:
        engine = maker(**(options or {}))
    except Exception as error:
        raise EngineUnavailable(f"{_words(slot)} {name}: {told(error)}") from error
    _require_shape(slot, name, engine)
    return engine


def _declared(slot: Slot) -> dict[str, list[EntryPoint]]:
    """The entry points of a slot by name; our own before a stranger of the same name."""
    found: dict[str, list[EntryPoint]] = {}
    for point in sorted(entry_points(group=f"vivavoce.{slot}s"), key=_rank):
        found.setdefault(point.name, []).append(point)
    return found


def _rank(point: EntryPoint) -> tuple[str, bool, str]:
    distribution = _distribution(point)
    return point.name, distribution != OWN_DISTRIBUTION, distribution


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "unknown"


def _record(
    slot: Slot, point: EntryPoint, first: EntryPoint, disabled: Collection[tuple[Slot, str]]
) -> Record:
    status, detail = _status(slot, point, first, disabled)
    version = point.dist.version if point.dist else "unknown"
    return Record(slot, point.name, status, detail, _distribution(point), version)


def _status(
    slot: Slot, point: EntryPoint, first: EntryPoint, disabled: Collection[tuple[Slot, str]]
) -> tuple[Status, str]:
    if point is not first:
        return "disabled", f"{_distribution(first)} declares this name too, and comes first"
    if (slot, point.name) in disabled:
        return "disabled", "turned off in the configuration"
    try:
        _loaded(slot, point)
    except EngineUnavailable as error:
        return error.status, str(error)
    return "enabled", point.value


def _loaded(slot: Slot, point: EntryPoint) -> Callable[..., Engine]:
    try:
        maker = point.load()
    except (Exception, SystemExit) as error:
        message = f"{_words(slot)} {point.name}: {point.value} cannot be imported: {told(error)}"
        raise EngineUnavailable(message, "failed to load") from error
    if not callable(maker) or (inspect.isclass(maker) and not hasattr(maker, METHODS[slot])):
        message = (
            f"{_words(slot)} {point.name}: {point.value} has to be a class or function that makes "
            f"engines with the method `{METHODS[slot]}`"
        )
        raise EngineUnavailable(message, "failed to load")
    return cast(Callable[..., Engine], maker)


def _require_options(slot: Slot, name: str, maker: Callable[..., Engine], options: Options) -> None:
    """Refuse an option that is unknown, or the lack of one that is needed, by its name."""
    try:
        parameters = inspect.signature(maker).parameters.values()
    except ValueError:  # a maker written in C may not tell
        return
    known = [each.name for each in parameters if each.kind in _BY_KEYWORD]
    takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters)
    there = ", ".join(known) or "none"
    for option in options:
        if option not in known and not takes_any:
            raise EngineUnavailable(
                f"{_words(slot)} {name}: there is no option `{option}`; there are: {there}"
            )
    for each in parameters:
        needed = each.default is inspect.Parameter.empty and each.kind in _BY_KEYWORD
        if needed and each.name not in options:
            raise EngineUnavailable(f"{_words(slot)} {name}: the option `{each.name}` is needed")


_BY_KEYWORD = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _require_shape(slot: Slot, name: str, engine: object) -> None:
    wanted = (METHODS[slot], "version", "__aenter__", "__aexit__")
    missing = [each for each in wanted if not hasattr(engine, each)]
    if missing:
        raise EngineUnavailable(
            f"{_words(slot)} {name}: {type(engine).__name__} lacks {', '.join(missing)}",
            "failed to load",
        )


def _words(slot: Slot) -> str:
    return slot.replace("_", " ")


def told(error: BaseException) -> str:
    """What went wrong, in one line."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
