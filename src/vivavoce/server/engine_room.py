"""The engines of all recipes: each loaded once, side by side, and shared by whom it serves.

An engine lives in a task of its own, which enters it and leaves it again, so that all load at once
and one that cannot says so without holding up the others.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal, cast

import anyio
import msgspec
import structlog
from msgspec import Struct

from vivavoce.config import ConfigError, EngineChoice, RecipePlan
from vivavoce.deployments import Deployment
from vivavoce.engines import registry
from vivavoce.engines.api import EngineFailure, Work
from vivavoce.engines.registry import EngineFull, EngineUnavailable, Slot, Status
from vivavoce.engines.self_check import self_check
from vivavoce.runtime.recipe import Recipe
from vivavoce.server.health import EngineReport

# The voices of the API.
VOICES = (
    "alloy",
    "ash",
    "ballad",
    "coral",
    "echo",
    "sage",
    "shimmer",
    "verse",
    "marin",
    "cedar",
)

log = structlog.get_logger("vivavoce.engines")

State = Literal["loading", "ready", "failed"]
Plans = dict[str, RecipePlan]


class Placed(Struct):
    """One engine, and how it is. *detail* is its version, or what went wrong."""

    slot: Slot
    name: str
    engine: Any  # one of the six protocols, by its slot
    state: State = "loading"
    detail: str = ""
    fault: Status | None = None  # how it failed, in the registry's words


class EngineRoom:
    """All engines that the recipes name."""

    def __init__(self, plans: Plans) -> None:
        """Make the engines; load nothing yet."""
        self._plans = plans
        self._placed: dict[bytes, Placed] = {}
        for plan in plans.values():
            for slot, choice in _choices(plan):
                key = _key(slot, choice)
                if key not in self._placed:
                    self._placed[key] = _place(slot, choice)
        self._settled = anyio.Event()

    def mistakes(self) -> str | None:
        """What is wrong with the recipes as they are written; None if they can be tried."""
        wrong = [
            placed.detail for placed in self._placed.values() if placed.fault == "misconfigured"
        ]
        return "; ".join(wrong) or None

    def report(self) -> list[EngineReport]:
        """How each engine is, for whoever asks whether the server is ready."""
        return [
            EngineReport(each.slot, each.name, each.detail, each.fault or each.state)
            for each in self._placed.values()
        ]

    def queues(self) -> dict[str, Callable[[], int]]:
        """How many streams wait for an engine, of those engines that have a queue."""
        found: dict[str, list[Any]] = {}
        for each in self._placed.values():
            if hasattr(each.engine, "queued"):
                found.setdefault(self._label(each), []).append(each.engine)
        return {label: partial(_queued, engines) for label, engines in found.items()}

    def recipe(self, name: str) -> Recipe:
        """The engines of that recipe; EngineUnavailable if one of them is not ready, or is full."""
        found = self._of(self._plans[name])
        for placed in found.values():
            if placed.state != "ready":
                how = "failed" if placed.state == "failed" else "is loading"
                raise EngineUnavailable(f"{placed.name} {how}: {placed.detail}")
            if getattr(placed.engine, "full", False):
                raise EngineFull(f"{placed.name} has more to do than it can")
        plan = self._plans[name]
        engines = {slot: placed.engine for slot, placed in found.items()}
        return Recipe(
            name,
            detector=engines["voice_detector"],
            transcriber=engines["transcriber"],
            language_model=engines.get("language_model"),
            synthesiser=engines.get("synthesiser"),
            judge=engines["turn_judge"],
            speech_model=engines.get("speech_model"),
            voices=voices(plan, engines.get("speech_model") or engines.get("synthesiser")),
            speculates=speculates(plan, engines),
        )

    def report_work(self, report: Callable[[str, Work], None]) -> None:
        """Have each piece of work told, of those engines that tell of it."""
        for each in self._placed.values():
            if hasattr(each.engine, "report"):
                each.engine.report = partial(report, self._label(each))

    @asynccontextmanager
    async def open(self) -> AsyncIterator["EngineRoom"]:
        """Load everything; leaving lets go of everything.

        EngineUnavailable if no recipe is whole; with one that is, the server has work to do.
        """
        async with anyio.create_task_group() as tasks:
            closing = anyio.Event()
            for placed in self._placed.values():
                if placed.state == "loading":
                    tasks.start_soon(self._keep, placed, closing)
            try:
                self._settle()
                await self._settled.wait()
                lacking = self.lacking()
                if lacking is None:
                    yield self
            finally:
                closing.set()
        if lacking is not None:
            raise EngineUnavailable(lacking)

    def lacking(self) -> str | None:
        """Why no recipe can be served, now or once it is loaded; None if one can."""
        failures = [self.lacking_of(name) for name in self._plans]
        return None if None in failures else "; ".join(dict.fromkeys(filter(None, failures)))

    def lacking_of(self, name: str) -> str | None:
        """Why that recipe cannot be served; None if it can, or may once it is loaded."""
        failed = [each for each in self._of(self._plans[name]).values() if each.state == "failed"]
        return "; ".join(dict.fromkeys(each.detail for each in failed)) or None

    def lacking_voice(self, name: str, voice: str) -> str | None:
        """Why that recipe cannot speak in *voice*; None if it can, or may once it is loaded."""
        plan = self._plans[name]
        found = self._of(plan)
        speaker = found.get("speech_model") or found["synthesiser"]
        if speaker.state == "failed" or (
            speaker.state == "loading" and not getattr(speaker.engine, "voices", VOICES)
        ):
            return None
        known = voices(plan, speaker.engine)
        if voice in known:
            return None
        return f"there is no voice {voice!r}; there are: {', '.join(known)}"

    def _label(self, placed: Placed) -> str:
        """What metrics call an engine: by its slot too where engines of two slots share a name."""
        slots = {each.slot for each in self._placed.values() if each.name == placed.name}
        return placed.name if len(slots) == 1 else f"{placed.slot} {placed.name}"

    def _of(self, plan: RecipePlan) -> dict[Slot, Placed]:
        return {slot: self._placed[_key(slot, choice)] for slot, choice in _choices(plan)}

    async def _keep(self, placed: Placed, closing: anyio.Event) -> None:
        """Enter one engine, let it warm up, hold it until the end, leave it."""
        fault: Status = "failed to load"
        try:
            async with placed.engine:
                fault = "failed self-check"
                if getattr(placed.engine, "warms_up", False):
                    await self_check(placed.slot, placed.engine)
                placed.state, placed.detail = "ready", placed.engine.version
                log.info("engine ready", slot=placed.slot, engine=placed.detail)
                self._settle()
                await closing.wait()
        except Exception as failure:  # noqa: BLE001 - a plugin may raise anything
            # The other engines and their sessions must not notice.
            placed.state, placed.fault, placed.detail = "failed", fault, registry.told(failure)
            # What an engine says of its own failure is enough; of a fault the place is told too.
            tell = log.error if isinstance(failure, EngineFailure) else log.exception
            tell("engine failed", slot=placed.slot, engine=placed.name, why=placed.detail)
            self._settle()

    def _settle(self) -> None:
        if all(placed.state != "loading" for placed in self._placed.values()):
            self._settled.set()


def require_voices(room: EngineRoom, deployments: Iterable[Deployment]) -> None:
    """ConfigError if a deployment is to speak in a voice that its engine is known not to have."""
    for each in deployments:
        if (lacking := lacking_voice(room, each)) is not None:
            raise ConfigError(lacking)


def lacking_voice(room: EngineRoom, deployment: Deployment) -> str | None:
    """Why a deployment cannot speak in its voice; None if it can, or may once that is loaded."""
    voice = deployment.defaults.output.voice
    if not isinstance(voice, str):
        return None
    lacking = room.lacking_voice(deployment.recipe_name, voice)
    return lacking and f"deployments.{deployment.name}.voice: {lacking}"


def voices(plan: RecipePlan, engine: object) -> dict[str, str]:
    """The voices that clients may name, and the engine's own name for each."""
    known: Mapping[str, str] = getattr(engine, "voices", None) or {name: name for name in VOICES}
    return {**known, **plan.voices}


def speculates(plan: RecipePlan, engines: Mapping[Slot, object]) -> bool:
    """Whether answers are made ready in a pause: as the recipe says, else if that costs nothing."""
    if "speech_model" in engines:
        return False  # it would have to be paid for each pause
    if plan.speculation is not None:
        return plan.speculation
    worked: tuple[Slot, ...] = ("transcriber", "language_model", "synthesiser")
    return all(getattr(engines[slot], "cheap", False) for slot in worked)


def used(plans: Iterable[RecipePlan]) -> dict[tuple[Slot, str], list[EngineChoice]]:
    """The engines that some recipes use, each with the options it is used with."""
    found: dict[tuple[Slot, str], list[EngineChoice]] = {}
    for plan in plans:
        for slot, choice in _choices(plan):
            choices = found.setdefault((slot, choice.engine), [])
            if choice not in choices:
                choices.append(choice)
    return found


SLOT_OF: dict[str, Slot] = {"detector": "voice_detector", "judge": "turn_judge"}


def _choices(plan: RecipePlan) -> Iterable[tuple[Slot, EngineChoice]]:
    """What a recipe needs, by the registry's names for its slots."""
    for slot, choice in plan.engines.items():
        yield SLOT_OF.get(slot, cast(Slot, slot)), choice


def _queued(engines: Sequence[Any]) -> int:
    return sum(engine.queued for engine in engines)


def _key(slot: Slot, choice: EngineChoice) -> bytes:
    return msgspec.json.encode((slot, choice.engine, choice.options), order="sorted")


def _place(slot: Slot, choice: EngineChoice) -> Placed:
    try:
        engine = registry.make(slot, choice.engine, choice.options)
    except EngineUnavailable as unavailable:
        log.warning("engine cannot be made", slot=slot, engine=choice.engine, why=str(unavailable))
        why, fault = str(unavailable), unavailable.status
        return Placed(slot, choice.engine, None, "failed", why, fault)
    return Placed(slot, choice.engine, engine)
