"""The engines of all recipes: each loaded once, side by side, and shared by whom it serves.

An engine lives in a task of its own, which enters it and leaves it again, so that all load at once
and one that cannot says so without holding up the others.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal

import anyio
import msgspec
import structlog
from msgspec import Struct

from vivavoce.config import EngineChoice, RecipePlan
from vivavoce.engines import registry
from vivavoce.engines.registry import EngineUnavailable, Slot
from vivavoce.runtime.recipe import Recipe
from vivavoce.server.health import EngineReport

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

    def report(self) -> list[EngineReport]:
        """How each engine is, for whoever asks whether the server is ready."""
        return [
            EngineReport(each.slot, each.name, each.detail, each.state)
            for each in self._placed.values()
        ]

    def queues(self) -> dict[str, Callable[[], int]]:
        """How many streams wait for an engine, of those engines that have a queue."""
        return {
            each.name: partial(getattr, each.engine, "queued", 0)
            for each in self._placed.values()
            if hasattr(each.engine, "queued")
        }

    def recipe(self, name: str) -> Recipe:
        """The engines of that recipe; EngineUnavailable if one of them is not ready."""
        found = self._of(self._plans[name])
        for placed in found.values():
            if placed.state != "ready":
                raise EngineUnavailable(f"{placed.name} is {placed.state}: {placed.detail}")
        return Recipe(
            name,
            detector=found["voice_detector"].engine,
            transcriber=found["transcriber"].engine,
            language_model=found["language_model"].engine,
            synthesiser=found["synthesiser"].engine,
            judge=found["turn_judge"].engine,
        )

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

    def _of(self, plan: RecipePlan) -> dict[Slot, Placed]:
        return {slot: self._placed[_key(slot, choice)] for slot, choice in _choices(plan)}

    async def _keep(self, placed: Placed, closing: anyio.Event) -> None:
        """Enter one engine, hold it until the end, leave it."""
        try:
            async with placed.engine:
                placed.state, placed.detail = "ready", placed.engine.version
                log.info("engine ready", slot=placed.slot, engine=placed.detail)
                self._settle()
                await closing.wait()
        except Exception as failure:
            # A plugin may raise anything; the other engines and their sessions must not notice.
            placed.state, placed.detail = "failed", registry.told(failure)
            log.exception("engine failed", slot=placed.slot, engine=placed.name)
            self._settle()

    def _settle(self) -> None:
        if all(placed.state != "loading" for placed in self._placed.values()):
            self._settled.set()


def _choices(plan: RecipePlan) -> Iterable[tuple[Slot, EngineChoice]]:
    return (
        ("voice_detector", plan.detector),
        ("transcriber", plan.transcriber),
        ("turn_judge", plan.judge),
        ("language_model", plan.language_model),
        ("synthesiser", plan.synthesiser),
    )


def _key(slot: Slot, choice: EngineChoice) -> bytes:
    return msgspec.json.encode((slot, choice.engine, choice.options), order="sorted")


def _place(slot: Slot, choice: EngineChoice) -> Placed:
    try:
        engine = registry.make(slot, choice.engine, choice.options)
    except EngineUnavailable as unavailable:
        log.warning("engine cannot be made", slot=slot, engine=choice.engine, why=str(unavailable))
        return Placed(slot, choice.engine, None, "failed", str(unavailable))
    return Placed(slot, choice.engine, engine)
