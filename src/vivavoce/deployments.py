"""Model or deployment name -> which engines, and what its sessions have by default.

Out of the box the four names that clients know are there, all answered by the embedded recipe, or by
a scenario where the operator gave one. A table of the configuration changes one of them or adds
another. A dated name (`gpt-realtime-2025-08-28`) means the deployment without the date.

Those of the configuration stay as they are while the server runs. Beside them there are stored ones,
which come, change and go. One that no longer fits, because its recipe is gone, say, is kept aside
with the reason.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct

from vivavoce.config import (
    Config,
    ConfigError,
    DeploymentPlan,
    EngineChoice,
    RecipePlan,
    Table,
    deployment_plan,
)
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
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # of what is stored, as it goes in a path
Source = Literal["built-in", "configuration", "stored"]
TURN_DETECTIONS: dict[str, type[TurnDetection]] = {
    "server_vad": ServerVad,
    "semantic_vad": SemanticVad,
}


class Deployment(Struct, frozen=True):
    """What answers to a name. *defaults* hold until the client says otherwise.

    *plan* is what it was made of.
    """

    name: str
    model: str
    recipe_name: str
    recipe: RecipePlan
    aliases: tuple[str, ...] = ()
    defaults: SessionUpdate = SessionUpdate()
    quota: Quota = Quota()
    plan: DeploymentPlan = DeploymentPlan()
    source: Source = "configuration"

    @property
    def served_by(self) -> dict[str, str]:
        """The recipe and its engines by their slots: who answers is always said openly."""
        return {"recipe": self.recipe_name, **engines_of(self.recipe)}


class UnknownDeployment(Exception):  # noqa: N818 - what the client is told
    """Nothing answers to that name; the message lists what exists, or says why it does not."""

    def __init__(self, name: str | None, names: tuple[str, ...], broken: str | None = None) -> None:
        asked = f"There is no deployment or model {name!r}" if name else "No model was named"
        told = f"{asked}. There are: {', '.join(names)}."
        if broken is not None:
            told = f"The deployment {name!r} is stored, but cannot be served: {broken}."
        super().__init__(told)
        self.name = name
        self.names = names


class NameTaken(Exception):  # noqa: N818 - said to whoever asks, with what to do
    """Something answers to that name already."""


class FixedDeployment(Exception):  # noqa: N818 - said to whoever asks, with what to do
    """It can be changed where it comes from, not here."""


class Deployments:
    """Everything that answers, by name."""

    def __init__(self, config: Config) -> None:
        """Read the tables of *config*; ConfigError if they do not fit together."""
        self._strict = config.strict
        built_in = _built_in(config)
        self.recipes: Mapping[str, RecipePlan] = built_in | config.recipes
        self._default_recipe = config.recipe or (
            "embedded" if config.scenario is None else "scripted"
        )
        plans = {name: DeploymentPlan() for name in DEFAULT_NAMES} | config.deployments
        self._by_name = {
            name: _deployment(
                name,
                plan,
                plan.recipe or self._default_recipe,
                self.recipes,
                "configuration" if name in config.deployments else "built-in",
            )
            for name, plan in plans.items()
        }
        self._aliases = _aliases(self._by_name)
        # Engines are loaded at the start, for those that are known then.
        self.served = tuple(dict.fromkeys(each.recipe_name for each in self))
        self._stored: dict[str, Table] = {}
        self._broken: dict[str, str] = {}
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
        for spelling in (name or "", undated(name or "")):
            spelt = self._aliases.get(spelling, spelling)
            if spelt in self._by_name:
                return self._by_name[spelt]
            if spelt in self._broken:
                raise UnknownDeployment(name, self.names, self._broken[spelt])
        raise UnknownDeployment(name, self.names)

    @property
    def broken(self) -> Mapping[str, str]:
        """Why those that are stored and cannot be served cannot, by name."""
        return self._broken

    def stored(self, name: str) -> Table:
        """What is stored of it; FixedDeployment or UnknownDeployment if nothing is."""
        if name in self._stored:
            return self._stored[name]
        self._require_own(name)
        raise UnknownDeployment(name, (*self.names, *self._broken))

    def require_free(self, name: str) -> None:
        """NameTaken if something answers to it."""
        if name in self._stored:
            raise NameTaken(
                f"There is a deployment {name} already; change it, or take another name."
            )
        if name in self._by_name:
            why = _provenance(self._by_name[name])
            raise NameTaken(f"{name} is taken: it {why}. Take another name.")
        if name in self._aliases:
            raise NameTaken(
                f"{name} is taken: it is another name of {self._aliases[name]}. Take another name."
            )

    def draft(self, name: str, table: Table) -> Deployment:
        """What that would be as a stored deployment; nothing changes.

        ConfigError names the field; FixedDeployment if the configuration has one of that name.
        """
        self._require_own(name)
        where = f"deployments.{name}"
        if name in self._aliases:
            raise ConfigError(f"{where}: the name is another one of {self._aliases[name]}")
        plan = deployment_plan(table, where, textual=False)
        recipe = plan.recipe or self._default_recipe
        if recipe not in self.served:
            raise ConfigError(f"{where}.recipe: {self.why_unserved(recipe)}")
        made = _deployment(name, plan, recipe, self.recipes, "stored")
        self._require_aliases(made)
        return made

    def keep(self, deployment: Deployment, table: Table) -> None:
        """Have that draft answer from now on, in place of what was stored by its name."""
        self._stored[deployment.name] = table
        self._place(deployment)
        self._mend()

    def drop(self, name: str) -> None:
        """Have what is stored by that name answer no more."""
        del self._stored[name]
        if self._broken.pop(name, None) is None:
            del self._by_name[name]
        self._name_again()
        self._mend()

    def restore(self, tables: Mapping[str, Table]) -> None:
        """Take in what was stored; what does not fit is `broken`, and looked at again later."""
        for name, table in tables.items():
            self._stored[name] = table
            self._broken[name] = ""
        self._mend()

    def why_unserved(self, recipe: str) -> str:
        """Why a recipe that is not among those `served` cannot be had."""
        there = f"there are: {', '.join(self.served)}"
        if recipe not in self.recipes:
            return f"there is no recipe {recipe!r}; {there}"
        return (
            f"the engines of the recipe {recipe!r} are not loaded; only recipes that a deployment of "
            f"the configuration names can serve others; {there}"
        )

    def _mend(self) -> None:
        """Have those answer that can by now: a name may have become free."""
        for name in list(self._broken):
            try:
                self._place(self.draft(name, self._stored[name]))
            except (ConfigError, FixedDeployment) as wrong:
                self._broken[name] = str(wrong).removesuffix(".")

    def _place(self, deployment: Deployment) -> None:
        self._broken.pop(deployment.name, None)
        self._by_name[deployment.name] = deployment
        self._name_again()

    def _name_again(self) -> None:
        self._aliases = _aliases(self._by_name)

    def _require_own(self, name: str) -> None:
        """FixedDeployment if the configuration has one of that name, or it is built in."""
        there = self._by_name.get(name)
        if there is not None and there.source != "stored":
            raise FixedDeployment(f"{name} {_provenance(there)}.")

    def _require_aliases(self, deployment: Deployment) -> None:
        """ConfigError if another name of it is none, or means another one."""
        where = f"deployments.{deployment.name}.aliases"
        for alias in deployment.aliases:
            if (fault := fault_of_name(alias)) is not None:
                raise ConfigError(f"{where}: {fault}")
            is_name = alias in self._by_name or alias in self._stored or alias == deployment.name
            meant = alias if is_name else self._aliases.get(alias, deployment.name)
            if is_name or meant != deployment.name:
                raise ConfigError(f"{where}: {alias} already means {meant}")
        if len(set(deployment.aliases)) < len(deployment.aliases):
            raise ConfigError(f"{where}: one of them is there twice")


def engines_of(recipe: RecipePlan) -> dict[str, str]:
    """The names of the engines of a recipe, by its slots."""
    return {slot: choice.engine for slot, choice in recipe.engines.items()}


def undated(name: str) -> str:
    """The model, of a name that may have its version at the end."""
    return DATE.sub("", name)


def fault_of_name(name: str) -> str | None:
    """Why nothing can be stored by that name; None if it can."""
    if NAME.fullmatch(name):
        return None
    return f"{name[:64]!r} has to be 1 to 64 letters, digits, '.', '_' and '-', a letter or digit first"


def _provenance(deployment: Deployment) -> str:
    """Where something fixed comes from."""
    if deployment.source == "built-in":
        return (
            "is built in; a table "
            f"[deployments.{deployment.name}] of the configuration changes it at the next start"
        )
    return (
        f"comes from the configuration, where its table is [deployments.{deployment.name}]; it can "
        "be changed there, for the next start"
    )


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
    name: str,
    plan: DeploymentPlan,
    recipe_name: str,
    recipes: Mapping[str, RecipePlan],
    source: Source,
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
        plan=plan,
        source=source,
    )


def _quota(name: str, plan: DeploymentPlan) -> Quota:
    """How much its model reads, and what a minute holds."""
    preview = undated(plan.model or name) in PREVIEW_NAMES
    reads = PREVIEW_INPUT_TOKENS if preview else Quota().input_tokens
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
