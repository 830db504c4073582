"""Model or deployment name -> which engines, and what its sessions have by default.

Out of the box the four names that clients know are there, all answered by the embedded recipe, or by
a scenario where the operator gave one. A table of the configuration changes one of them or adds
another. A dated name (`gpt-realtime-2025-08-28`) means the deployment without the date.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from vivavoce.config import Config, ConfigError, DeploymentPlan, EngineChoice, RecipePlan
from vivavoce.core.allowance import Quota
from vivavoce.core.settings import (
    AudioInputUpdate,
    AudioOutputUpdate,
    SemanticVad,
    ServerVad,
    SessionUpdate,
    TurnDetection,
)

DEFAULT_NAME = "gpt-realtime"
PREVIEW_NAMES = ("gpt-4o-realtime-preview", "gpt-4o-mini-realtime-preview")
DEFAULT_NAMES = (*PREVIEW_NAMES, "gpt-realtime", "gpt-realtime-mini")
# More than a session can use: clients that look at their limits see that there is enough.
TOKENS_PER_MINUTE, REQUESTS_PER_MINUTE = 15_000_000, 20_000
# What the recipe `local` hears and speaks with, by their names in the model store.
LOCAL_EARS, LOCAL_VOICE = "zipformer-en", "kokoro-en"
OLLAMA = "http://127.0.0.1:11434"
PREVIEW_INPUT_TOKENS = 123_904  # of a window of 128,000, less the longest output
DATE = re.compile(r"-20\d\d-\d\d-\d\d$")
TURN_DETECTIONS: dict[str, type[TurnDetection]] = {
    "server_vad": ServerVad,
    "semantic_vad": SemanticVad,
}


class Deployment(Struct, frozen=True):
    """What answers to a name. *defaults* hold until the client says otherwise."""

    name: str
    model: str
    recipe_name: str
    recipe: RecipePlan
    aliases: tuple[str, ...] = ()
    defaults: SessionUpdate = SessionUpdate()
    quota: Quota = Quota()


class UnknownDeployment(Exception):  # noqa: N818 - what the client is told
    """Nothing answers to that name; the message lists what exists."""

    def __init__(self, name: str | None, names: tuple[str, ...]) -> None:
        asked = f"There is no deployment or model {name!r}" if name else "No model was named"
        super().__init__(f"{asked}. There are: {', '.join(names)}.")
        self.name = name
        self.names = names


class Deployments:
    """Everything that answers, by name."""

    def __init__(self, config: Config) -> None:
        """Read the tables of *config*; ConfigError if they do not fit together."""
        self._strict = config.strict
        built_in = _built_in(config)
        recipes = built_in | config.recipes
        default_recipe = config.recipe or ("embedded" if config.scenario is None else "scripted")
        plans = {name: DeploymentPlan() for name in DEFAULT_NAMES} | config.deployments
        self._by_name = {
            name: _deployment(name, plan, plan.recipe or default_recipe, recipes)
            for name, plan in plans.items()
        }
        self._aliases = _aliases(self._by_name)
        if config.llm is not None:
            _require_use(built_in.keys() - config.recipes.keys(), self)

    def __iter__(self) -> Iterator[Deployment]:
        return iter(self._by_name.values())

    @property
    def names(self) -> tuple[str, ...]:
        """What can be asked for, without the other names of the same."""
        return tuple(self._by_name)

    @property
    def default(self) -> Deployment:
        """The one that answers where none was named."""
        return self._by_name[DEFAULT_NAME]

    def find(self, name: str | None) -> Deployment:
        """The one that answers to *name*; without a name the default one, in strict mode nobody."""
        if not name and not self._strict:
            return self.default
        for spelling in (name or "", DATE.sub("", name or "")):
            spelt = self._aliases.get(spelling, spelling)
            if spelt in self._by_name:
                return self._by_name[spelt]
        raise UnknownDeployment(name, self.names)


def _built_in(config: Config) -> dict[str, RecipePlan]:
    """The recipes that are there without a table."""
    options: dict[str, object] = {}
    if config.scenario is not None:
        options = {"scenario": str(config.scenario)}
    scripted = EngineChoice("scripted", options)
    writes = EngineChoice("responder") if config.llm is None else _chat(config)
    server = _server_options(config)
    return {
        "embedded": RecipePlan(language_model=writes),
        "scripted": RecipePlan(transcriber=scripted, language_model=scripted, synthesiser=scripted),
        "local": RecipePlan(
            transcriber=EngineChoice("sherpa", {"model": LOCAL_EARS}),
            language_model=writes,
            synthesiser=EngineChoice("sherpa", {"model": LOCAL_VOICE}),
        ),
        "openai-compatible": RecipePlan(
            transcriber=EngineChoice("http", server),
            language_model=_chat(config),
            synthesiser=EngineChoice("http", server),
        ),
    }


def _require_use(built_in: Set[str], deployments: Iterable[Deployment]) -> None:
    """ConfigError if nothing that is served would ask the model server of `--llm`."""
    serving = dict.fromkeys(each.recipe_name for each in deployments)
    if not serving.keys() & (built_in - {"scripted"}):
        raise ConfigError(
            f"--llm: would not be used, for what answers is {', '.join(serving)}; leave --llm away, "
            "or what chose that recipe (--recipe, --scenario or the file)"
        )


def _chat(config: Config) -> EngineChoice:
    model = {} if config.llm_model is None else {"model": config.llm_model}
    return EngineChoice("chat", {**_server_options(config), **model})


def _server_options(config: Config) -> dict[str, object]:
    key = {} if config.llm_key is None else {"key": config.llm_key}
    return {"url": config.llm or OLLAMA, **key}


def _deployment(
    name: str, plan: DeploymentPlan, recipe_name: str, recipes: dict[str, RecipePlan]
) -> Deployment:
    if recipe_name not in recipes:
        raise ConfigError(
            f"deployments.{name}.recipe: there is no recipe {recipe_name!r}; "
            f"there are: {', '.join(recipes)}"
        )
    return Deployment(
        name=name,
        model=plan.model or name,
        recipe_name=recipe_name,
        recipe=recipes[recipe_name],
        aliases=plan.aliases,
        defaults=SessionUpdate(
            instructions=plan.instructions,
            input=AudioInputUpdate(turn_detection=_turn_detection(name, plan)),
            output=AudioOutputUpdate(voice=plan.voice),
        ),
        quota=_quota(name, plan),
    )


def _quota(name: str, plan: DeploymentPlan) -> Quota:
    """How much its model reads, and what a minute holds."""
    reads = PREVIEW_INPUT_TOKENS if name in PREVIEW_NAMES else Quota().input_tokens
    tokens, requests = plan.tokens_per_minute, plan.requests_per_minute
    return Quota(
        plan.input_tokens or reads,
        TOKENS_PER_MINUTE if tokens is None else tokens or None,
        REQUESTS_PER_MINUTE if requests is None else requests or None,
    )


def _turn_detection(name: str, plan: DeploymentPlan) -> Any:  # what an update may hold there
    where = f"deployments.{name}.turn_detection"
    match plan.turn_detection:
        case False:
            return None
        case {"type": str(kind), **rest} if kind in TURN_DETECTIONS:
            return _converted(rest, TURN_DETECTIONS[kind], where)
        case dict():
            raise ConfigError(f"{where}.type: has to be one of: {', '.join(TURN_DETECTIONS)}")
        case _:
            return UNSET


def _converted(
    table: Mapping[Any, object], kind: type[TurnDetection], where: str
) -> ServerVad | SemanticVad:
    for key in table:
        if key not in kind.__struct_fields__:
            known = ", ".join(kind.__struct_fields__)
            raise ConfigError(f"{where}.{key}: no such key; there are: type, {known}")
    try:
        return msgspec.convert(table, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {str(error).replace('`', '')}") from None


def _aliases(by_name: dict[str, Deployment]) -> dict[str, str]:
    found: dict[str, str] = {}
    for deployment in by_name.values():
        for alias in deployment.aliases:
            other = alias if alias in by_name else found.get(alias)
            if other is not None:
                raise ConfigError(
                    f"deployments.{deployment.name}.aliases: {alias} already means {other}"
                )
            found[alias] = deployment.name
    return found
