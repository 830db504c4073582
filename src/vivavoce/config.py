"""One frozen Config from TOML, environment and flags.

A value is taken from the first source that has it: flags, environment, file, default. Its name is
the same everywhere: `--max-sessions`, `VIVAVOCE_MAX_SESSIONS`, and `max_sessions` in the file. The
tables `recipes` and `deployments` have no flags; in the environment their levels are joined by two
underscores, and one underscore may stand for a hyphen of a name:
`VIVAVOCE_DEPLOYMENTS__GPT_REALTIME__VOICE`.

`load` decides and waits for nothing but the reading of one file; `ensure_key` alone writes.
"""

import difflib
import ipaddress
import os
import secrets
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from urllib.parse import urlsplit

import msgspec
import platformdirs
from msgspec import UNSET, Meta, Struct, UnsetType

DEFAULT_PORT = 8642
PREFIX = "VIVAVOCE_"
FOREIGN = frozenset({"VIVAVOCE_SHARED", "VIVAVOCE_REQUIRE_SHARED"})  # read by the tests alone
AUTO = "auto"  # of --llm: the model server of this machine
MAY_BE_EMPTY = ("llm", "llm_model", "llm_key")  # as compose files give what is not set
LISTS = ("api_key", "allow_origin", "rtc_address", "ice_server")  # may be given several times
TABLES = ("recipes", "deployments")
OF_RECIPE: dict[str, Any] = {"voices": dict[str, str], "speculation": bool}  # besides its slots

Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(ge=0)]
Table = dict[str, Any]  # what TOML decodes to


class ConfigError(Exception):
    """The operator's mistake: where it is, what is wrong, and what would be right."""


class EngineChoice(Struct, frozen=True):
    """An engine by name, and the options it is made with."""

    engine: str
    options: dict[str, object] = {}


class RecipePlan(Struct, frozen=True, forbid_unknown_fields=True):
    """Which engine for which slot; what a table does not name is the embedded one.

    A *speech_model* answers in place of language model and synthesiser. *voices* are the
    synthesiser's own names by those that clients use, beside what it knows itself. *speculation*:
    whether answers are made ready in a pause; None leaves it to the engines.
    """

    detector: EngineChoice = EngineChoice("silero")
    transcriber: EngineChoice = EngineChoice("pocketsphinx")
    judge: EngineChoice = EngineChoice("cadence")
    language_model: EngineChoice = EngineChoice("responder")
    synthesiser: EngineChoice = EngineChoice("espeak")
    speech_model: EngineChoice | None = None
    voices: dict[str, str] = {}
    speculation: bool | None = None

    @property
    def engines(self) -> "dict[str, EngineChoice]":
        """The engines that it needs, by its own slots."""
        hears = {"detector": self.detector, "transcriber": self.transcriber, "judge": self.judge}
        if self.speech_model is not None:
            return {**hears, "speech_model": self.speech_model}
        return {**hears, "language_model": self.language_model, "synthesiser": self.synthesiser}


class DeploymentPlan(Struct, frozen=True, forbid_unknown_fields=True):
    """What answers to a name, and what its sessions have unless their client says otherwise.

    *model* is what the deployment is said to be made from. *turn_detection* has the keys of the
    API's object; False turns it off. *input_tokens* is how much its model reads. Nought of a minute's
    allowance means that none is told or kept.
    """

    recipe: str | None = None
    model: str | None = None
    aliases: tuple[str, ...] = ()
    voice: str | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    turn_detection: Table | bool | UnsetType = UNSET
    input_tokens: Count | None = None
    tokens_per_minute: Annotated[int, Meta(ge=0)] | None = None
    requests_per_minute: Annotated[int, Meta(ge=0)] | None = None


class Config(
    Struct,
    frozen=True,
    rename={
        "api_keys": "api_key",
        "allowed_origins": "allow_origin",
        "rtc_addresses": "rtc_address",
        "ice_servers": "ice_server",
        "drain_s": "drain",
        "grace_s": "grace",
    },
):
    """Everything an operator may decide."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = DEFAULT_PORT
    api_keys: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    no_auth: bool = False
    allowed_origins: tuple[str, ...] = ()
    rtc_addresses: tuple[str, ...] = ()
    rtc_ports: str | None = None
    ice_servers: tuple[str, ...] = ()
    data_dir: Path = msgspec.field(default_factory=lambda: platformdirs.user_data_path("vivavoce"))
    tls: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    strict: bool = False
    preview: bool = True
    conversation_created: bool = False
    vocabulary: Path | None = None
    scenario: Path | None = None
    recipe: str | None = None
    llm: str | None = None
    llm_model: str | None = None
    llm_key: str | None = None
    drain_s: Seconds = 10.0
    grace_s: Seconds = 20.0
    max_sessions: Count = 1000
    session_seconds: Count | None = None  # None: 1800 in the preview dialect, 3600 in GA
    inbox_bytes: Count = 48 * 1024 * 1024
    outbox_bytes: Count = 4 * 1024 * 1024
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "text", "json"] = "auto"
    recipes: dict[str, RecipePlan] = {}
    deployments: dict[str, DeploymentPlan] = {}

    def __repr__(self) -> str:
        return f"Config({self.host}:{self.port}, {len(self.api_keys)} keys)"

    @property
    def key_file(self) -> Path:
        """Where the key is kept that was made because none was given."""
        return self.data_dir / "api-key"

    @property
    def loopback(self) -> bool:
        """Only this machine can reach the address."""
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def secure(self) -> bool:
        """Served over TLS, by a certificate of our own making or of the operator's."""
        return self.tls or self.tls_cert is not None


class Source(Struct, frozen=True):
    """Values by the name of their option, and how that source calls an option."""

    values: Mapping[str, object]
    call: Callable[[str], str]
    textual: bool  # its numbers and booleans are spelt out


_FIELDS = {field.encode_name: field for field in msgspec.structs.fields(Config)}
OPTIONS = tuple(name for name in _FIELDS if name not in TABLES)


def load(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    read_file: Callable[[Path], bytes] = Path.read_bytes,
) -> Config:
    """The configuration, or ConfigError. *flags* have underscores; those not given are None."""
    told = Source({k: v for k, v in flags.items() if v is not None}, _flag, textual=True)
    around = Source(_of_environment(environ), _variable, textual=True)
    path = _config_path(told, around)
    written = Source({}, str, textual=False)
    if path is not None:
        table = _parsed(path, read_file)
        written = Source(table, lambda name: f"{path}: {name}", textual=False)
    sources = (told, around, written)
    for source in sources:
        _require_known(source)
    values = {name: value for name in OPTIONS if (value := _value(name, sources)) is not UNSET}
    config = Config(
        **{_FIELDS[name].name: value for name, value in values.items()},  # type: ignore[arg-type]
        recipes=_tables("recipes", sources, _recipe),
        deployments=_tables("deployments", sources, deployment_plan),
    )
    _require_consistent(config)
    return config


def ensure_key(config: Config) -> Config:
    """With a key in it: the one that was given, or the one kept in the data folder, made at need."""
    if config.no_auth or config.api_keys:
        return config
    try:
        key = _kept_key(config.key_file)
    except OSError as error:
        raise ConfigError(
            f"{config.key_file}: {error.strerror}; set --data-dir to a folder that can be written, "
            "or give a key by --api-key"
        ) from error
    return msgspec.structs.replace(config, api_keys=(key,))


def _kept_key(path: Path) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        key = path.read_bytes().decode(errors="replace").strip()
        if not key or not key.isprintable() or "\N{REPLACEMENT CHARACTER}" in key:
            raise ConfigError(f"{path}: holds no key; delete it, and a new one is made") from None
        return key
    with os.fdopen(opened, "w") as file:
        key = f"vv-{secrets.token_urlsafe(24)}"
        file.write(f"{key}\n")
    return key


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _variable(name: str) -> str:
    return PREFIX + name.upper().replace("-", "_").replace(".", "__")


def _of_environment(environ: Mapping[str, str]) -> dict[str, object]:
    """Our variables by the name of their option; those of tables nested."""
    found: dict[str, object] = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable in FOREIGN:
            continue
        *above, last = variable.removeprefix(PREFIX).lower().split("__")
        level: Table = found
        for name in above:
            level = level.setdefault(name, {})
            if not isinstance(level, dict):
                raise ConfigError(f"{variable}: {_variable(name)} is set to a value already")
        level[last] = value
    for name in LISTS:
        if isinstance(given := found.get(name), str):
            found[name] = _listed(given)
    return found


def _listed(text: str) -> list[str]:
    return [each for part in text.split(",") if (each := part.strip())]


def _config_path(*sources: Source) -> Path | None:
    for source in sources:
        if (given := source.values.get("config")) is not None:
            return Path(str(given))
    return None


def _parsed(path: Path, read_file: Callable[[Path], bytes]) -> Table:
    try:
        return tomllib.loads(read_file(path).decode())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8, which TOML has to be") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error


def _require_known(source: Source) -> None:
    known = [*OPTIONS, *TABLES] if source.call is not _flag else list(OPTIONS)
    if source.textual:
        known.append("config")
    for name in source.values:
        if name not in known:
            raise ConfigError(f"{source.call(name)}: no such option; {_meant(name, known)}")


def _meant(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(known))}"


def _value(name: str, sources: Iterable[Source]) -> object:
    for source in sources:
        if name in source.values:
            value = source.values[name]
            if name in MAY_BE_EMPTY and value == "":
                continue
            if name in LISTS and isinstance(value, str):
                value = [value]
            return _converted(value, _FIELDS[name].type, source.call(name), source.textual)
    return UNSET


def _converted(value: object, kind: Any, where: str, textual: bool) -> Any:
    """*value* as *kind*, which is a type that Config names, hence Any."""
    try:
        return msgspec.convert(value, kind, strict=not textual, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {_complaint(error)}") from None


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str | Path):
        return Path(value).expanduser()
    raise msgspec.ValidationError(f"Expected a path, got {value!r}")


def _complaint(error: msgspec.ValidationError) -> str:
    """What msgspec says, with its `$.path` in front and in our spelling."""
    message, _, at = str(error).partition(" - at `$")
    message = message[:1].lower() + message[1:].replace("`", "")
    field = at.removesuffix("`").lstrip(".")
    return f"{field}: {message}" if field else message


Make = Callable[[Table, str, bool], Any]


def _tables(name: str, sources: Iterable[Source], make: Make) -> Any:
    """The tables of one kind, each made of what all sources say of it, the first to speak first."""
    said: dict[str, Table] = {}
    origin: dict[str, Source] = {}
    for source in reversed(list(sources)):
        tables = source.values.get(name, {})
        if not isinstance(tables, dict):
            raise ConfigError(f"{source.call(name)}: has to be a table of tables")
        for spelt, table in tables.items():
            if not isinstance(table, dict):
                raise ConfigError(f"{source.call(f'{name}.{spelt}')}: has to be a table")
            key = _spelling(spelt, said) if source.textual else spelt
            said[key] = said.get(key, {}) | table
            origin[key] = source
    return {
        key: make(table, origin[key].call(f"{name}.{key}"), origin[key].textual)
        for key, table in said.items()
    }


def _spelling(spelt: str, known: Iterable[str]) -> str:
    """The name that a variable means: one known already, else with hyphens."""
    hyphened = spelt.replace("_", "-")
    same = (name for name in known if name.lower().replace("_", "-").replace(".", "-") == hyphened)
    return next(same, hyphened)


def _recipe(table: Table, where: str, textual: bool) -> RecipePlan:
    slots = RecipePlan.__struct_fields__
    values: dict[str, Any] = {}
    for slot, value in table.items():
        if slot not in slots:
            raise ConfigError(f"{where}.{slot}: no such slot; {_meant(slot, slots)}")
        kind = OF_RECIPE.get(slot)
        if kind is None:
            values[slot] = _engine(value, f"{where}.{slot}")
        else:
            values[slot] = _converted(value, kind, f"{where}.{slot}", textual)
    return RecipePlan(**values)


def _engine(choice: object, where: str) -> EngineChoice:
    match choice:
        case str() if choice:
            return EngineChoice(choice)
        case {"engine": str(engine), **options}:
            return EngineChoice(engine, cast(dict[str, object], options))
        case _:
            raise ConfigError(
                f"{where}: has to be the name of an engine, or a table whose `engine` is that name"
            )


def deployment_plan(table: Table, where: str, textual: bool) -> DeploymentPlan:
    """What a table says of a deployment; ConfigError tells the place, which *where* is in front of.

    *textual*: numbers and booleans are spelt out, as in the environment.
    """
    known = DeploymentPlan.__struct_fields__
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}.{key}: no such key; {_meant(key, known)}")
    table = dict(table)
    if isinstance(table.get("aliases"), str):
        table["aliases"] = _listed(table["aliases"])
    if table.get("turn_detection") in ("none", "false"):
        table["turn_detection"] = False
    if table.get("turn_detection") is True:
        raise ConfigError(
            f"{where}.turn_detection: has to be a table with a type, or false to turn it off"
        )
    return cast(DeploymentPlan, _converted(table, DeploymentPlan, where, textual))


def _require_consistent(config: Config) -> None:
    if config.no_auth and not config.loopback:
        raise ConfigError(
            f"--no-auth: anybody could use {config.host}; serve a loopback address such as "
            "127.0.0.1, or leave --no-auth away"
        )
    if config.no_auth and config.api_keys:
        raise ConfigError("--no-auth: a key is given as well; leave one of the two away")
    if config.llm is None and (config.llm_model or config.llm_key):
        raise ConfigError("--llm-model and --llm-key: belong to --llm, which is not given")
    if config.llm not in (None, AUTO) and (fault := _fault_of_address(config.llm)):
        raise ConfigError(f"--llm: {fault}")
    if (config.tls_cert is None) != (config.tls_key is None):
        raise ConfigError("--tls-cert and --tls-key: each needs the other")
    if config.tls and config.tls_cert is not None:
        raise ConfigError("--tls: makes a certificate, but --tls-cert gives one; leave one away")


def _fault_of_address(url: str) -> str | None:
    """Why no model server can be there, without the address: it may hold a password."""
    if "@" in url:
        return "a name or password has no place in an address; give the key by VIVAVOCE_LLM_KEY"
    wanted = "give an address such as http://127.0.0.1:11434, or auto"
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError:
        return f"host and port cannot be read; {wanted}"
    if parts.scheme not in ("http", "https"):
        return f"model servers are reached by http or https alone; {wanted}"
    if not parts.hostname or port == 0 or not url.isprintable() or " " in url:
        return f"that is no address; {wanted}"
    return None
