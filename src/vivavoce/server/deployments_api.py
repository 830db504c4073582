"""Deployments over JSON: to see, make, change and delete them while the server runs.

A change is checked, stored, and then answers, in that order; one is made at a time, so that two at
once are both in what remains. Sessions that live keep what they began with.
"""

import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import structlog
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from vivavoce.config import ConfigError, Table
from vivavoce.deployments import (
    Deployment,
    FixedDeployment,
    NameTaken,
    UnknownDeployment,
    engines_of,
    fault_of_name,
    undated,
)
from vivavoce.engines.registry import EngineFull, EngineUnavailable
from vivavoce.server.answers import as_json, body_of, turned_down
from vivavoce.server.engine_room import lacking_voice
from vivavoce.server.refusals import Denial
from vivavoce.server.service import Service
from vivavoce.server.sign_in import signed_in
from vivavoce.store import Exists, StoreError

PATH = "/api/deployments"
EXAMPLE = 'send a JSON object such as {"name": "my-assistant", "model": "gpt-realtime"}'
FIELD = re.compile(r"([\w.\[\]-]+): ")
NOT_JSON = Denial(400, f"The body cannot be read; {EXAMPLE}.", code="invalid_json")

log = structlog.get_logger(__name__)


class Model(Struct, frozen=True):
    """A model that the documents describe, with its versions."""

    name: str
    versions: tuple[str, ...]


MODELS = (
    Model("gpt-4o-realtime-preview", ("2024-10-01", "2024-12-17")),
    Model("gpt-4o-mini-realtime-preview", ("2024-12-17",)),
    Model("gpt-realtime", ("2025-08-28",)),
    Model("gpt-realtime-mini", ("2025-10-06",)),
)


class Condition(Struct, frozen=True):
    """How something that is to answer is, and what is wrong with it."""

    state: str  # ready, loading, failed, broken, not loaded
    problem: str | None = None
    voices: tuple[str, ...] = ()  # in which it speaks, as far as that is known


Act = Callable[[Request], Coroutine[Any, Any, Response]]


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """What was asked for is turned down."""

    def __init__(self, denial: Denial) -> None:
        super().__init__(denial.message)
        self.denial = denial


def routes(service: Service) -> list[BaseRoute]:
    """The paths of this API."""
    return Desk(service).routes


class Desk:
    """Where deployments are asked for and changed."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._deployments = service.deployments
        self._changing = anyio.Lock()

    @property
    def routes(self) -> list[BaseRoute]:
        """The paths that it answers."""
        every = {"GET": self._list, "POST": self._create}
        one = {"GET": self._show, "PATCH": self._change, "DELETE": self._delete}
        return [
            self._route(PATH, every),
            self._route(f"{PATH}/{{name:path}}", one),
            self._route("/api/catalogue", {"GET": self._catalogue}),
        ]

    def _route(self, path: str, acts: Mapping[str, Act]) -> Route:
        async def answer(request: Request) -> Response:
            identity = signed_in(self._service, request)
            if isinstance(identity, Denial):
                return turned_down(self._service, request, identity)
            request.state.by = identity.name
            act = acts["GET" if request.method == "HEAD" else request.method]
            try:
                answered = await act(request)
            except Refused as refused:
                return turned_down(self._service, request, refused.denial)
            answered.headers["Cache-Control"] = "no-store"
            return answered

        return Route(path, answer, methods=list(acts))

    async def _list(self, _request: Request) -> Response:
        fine = [self._shown(each) for each in self._deployments]
        broken = [self._shown_broken(name) for name in self._deployments.broken]
        return as_json({"deployments": [*fine, *broken]})

    async def _show(self, request: Request) -> Response:
        name = request.path_params["name"]
        for each in self._deployments:
            if each.name == name:
                return as_json(self._shown(each))
        if name in self._deployments.broken:
            return as_json(self._shown_broken(name))
        raise Refused(_unknown(UnknownDeployment(name, self._names)))

    async def _create(self, request: Request) -> Response:
        table = await _table_of(request)
        name = table.pop("name", None)
        if not isinstance(name, str):
            raise Refused(_wrong("name", f"is missing, or no text; {EXAMPLE}"))
        if (fault := fault_of_name(name)) is not None:
            raise Refused(_wrong("name", fault))
        table = _merged({}, table)
        async with self._changing:
            try:
                self._deployments.require_free(name)
                made = self._draft(name, table)
                await self._kept(self._service.store.add_deployment, name, table)
            except (NameTaken, Exists) as taken:
                told = str(taken) if isinstance(taken, NameTaken) else _ELSEWHERE.format(name=name)
                raise Refused(_conflict(told, "deployment_exists")) from None
            self._deployments.keep(made, table)
        log.info("deployment made", deployment=name, by=request.state.by)
        return as_json(self._shown(made), 201, {"Location": f"{PATH}/{name}"})

    async def _change(self, request: Request) -> Response:
        name = request.path_params["name"]
        changes = await _table_of(request)
        if changes.pop("name", name) != name:
            why = "cannot be changed; create another deployment, and delete this one"
            raise Refused(_wrong("name", why))
        async with self._changing:
            table = _merged(self._stored(name), changes)
            made = self._draft(name, table)
            await self._kept(self._service.store.change_deployment, name, table)
            self._deployments.keep(made, table)
        log.info("deployment changed", deployment=name, by=request.state.by)
        return as_json(self._shown(made))

    async def _delete(self, request: Request) -> Response:
        name = request.path_params["name"]
        async with self._changing:
            self._stored(name)
            await self._kept(self._service.store.remove_deployment, name)
            self._deployments.drop(name)
        log.info("deployment deleted", deployment=name, by=request.state.by)
        return as_json({"name": name, "deleted": True})

    async def _catalogue(self, _request: Request) -> Response:
        return as_json(
            {
                "models": [self._shown_model(each) for each in MODELS],
                "recipes": [self._shown_recipe(name) for name in self._deployments.recipes],
            }
        )

    @property
    def _names(self) -> tuple[str, ...]:
        return (*self._deployments.names, *self._deployments.broken)

    def _stored(self, name: str) -> Table:
        """What is stored of it; Refused if nothing is."""
        try:
            return self._deployments.stored(name)
        except FixedDeployment as fixed:
            raise Refused(_conflict(str(fixed), "deployment_fixed")) from None
        except UnknownDeployment as unknown:
            raise Refused(_unknown(unknown)) from None

    def _draft(self, name: str, table: Table) -> Deployment:
        """The deployment that this is, as it could be served; Refused."""
        try:
            made = self._deployments.draft(name, table)
            self._require_voice(made)
        except FixedDeployment as fixed:
            raise Refused(_conflict(str(fixed), "deployment_fixed")) from None
        except ConfigError as wrong:
            told = str(wrong).removeprefix(f"deployments.{name}").lstrip(".: ")
            found = FIELD.match(told)
            raise Refused(_wrong(found and found[1], told[found.end() if found else 0 :])) from None
        return made

    def _require_voice(self, deployment: Deployment) -> None:
        room = self._service.room
        if room is not None and (lacking := lacking_voice(room, deployment)) is not None:
            raise ConfigError(lacking)

    async def _kept(self, write: Callable[..., None], *what: object) -> None:
        """Have the store do it, in a thread: another process may be writing."""
        try:
            await anyio.to_thread.run_sync(write, *what)
        except StoreError as failed:
            log.warning("a deployment cannot be stored", reason=str(failed))
            raise Refused(
                Denial(
                    500, f"Nothing was changed: {failed}.", "storage_failed", kind="server_error"
                )
            ) from None

    def _shown(self, deployment: Deployment) -> dict[str, object]:
        plan = deployment.plan
        condition = self._condition(deployment)
        return {
            "name": deployment.name,
            "model": deployment.model,
            "recipe": deployment.recipe_name,
            "aliases": plan.aliases,
            **{name: _json(getattr(plan, name)) for name in OTHER_FIELDS},
            "served_by": deployment.served_by,
            "source": deployment.source,
            "state": condition.state,
            "problem": condition.problem,
        }

    def _shown_broken(self, name: str) -> dict[str, object]:
        table = self._deployments.stored(name)
        return {
            "name": name,
            "model": table.get("model", name),
            "recipe": table.get("recipe"),
            "aliases": table.get("aliases", ()),
            **{field: table.get(field) for field in OTHER_FIELDS},
            "served_by": None,
            "source": "stored",
            "state": "broken",
            "problem": self._deployments.broken[name],
        }

    def _shown_model(self, model: Model) -> dict[str, object]:
        made = [each.name for each in self._deployments if undated(each.model) == model.name]
        return {
            "name": model.name,
            "versions": model.versions,
            "served_by": self._deployments.find(model.name).served_by,
            "deployments": made,
        }

    def _shown_recipe(self, name: str) -> dict[str, object]:
        condition = self._condition_of_recipe(name)
        return {
            "name": name,
            "engines": engines_of(self._deployments.recipes[name]),
            "state": condition.state,
            "problem": condition.problem,
            "voices": condition.voices,
        }

    def _condition(self, deployment: Deployment) -> Condition:
        room = self._service.room
        condition = self._condition_of_recipe(deployment.recipe_name)
        if room is not None and condition.problem is None:
            lacking = lacking_voice(room, deployment)
            return Condition("failed", lacking) if lacking else condition
        return condition

    def _condition_of_recipe(self, name: str) -> Condition:
        if name not in self._deployments.served:
            return Condition("not loaded", self._deployments.why_unserved(name))
        room = self._service.room
        if room is None:
            return Condition(self._service.readiness.state)
        if (lacking := room.lacking_of(name)) is not None:
            return Condition("failed", lacking)
        try:
            recipe = room.recipe(name)
        except EngineFull:
            return Condition("ready")
        except EngineUnavailable as loading:
            return Condition("loading", str(loading))
        return Condition("ready", voices=tuple(recipe.voices))


OTHER_FIELDS = (
    "voice",
    "instructions",
    "turn_detection",
    "input_tokens",
    "tokens_per_minute",
    "requests_per_minute",
)
_ELSEWHERE = (
    "Another server on this data folder has made a deployment {name}; it is served here from the "
    "next start on. Take another name."
)


async def _table_of(request: Request) -> Table:
    body = await body_of(request)
    if isinstance(body, Denial):
        raise Refused(body)
    try:
        return msgspec.json.decode(body, type=Table)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise Refused(NOT_JSON) from None


def _merged(table: Table, changes: Table) -> Table:
    """What a change makes of it: null takes a field away, so that its default holds again."""
    return {name: value for name, value in (table | changes).items() if value is not None}


def _json(value: Any) -> object:  # a field of a plan
    return None if value is msgspec.UNSET else value


def _wrong(field: str | None, why: str) -> Denial:
    told = f"{field}: {why}" if field else why
    return Denial(400, f"{told}.", code="invalid_value", param=field)


def _conflict(told: str, code: str) -> Denial:
    return Denial(409, told, code=code, param="name")


def _unknown(unknown: UnknownDeployment) -> Denial:
    return Denial(404, str(unknown), code="deployment_not_found", param="name")
