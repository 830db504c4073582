"""`vivavoce serve`: the server."""

import argparse
import os
import shlex
import shutil
import ssl
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import msgspec
from msgspec import Struct
from rich.text import Text

from vivavoce import __version__
from vivavoce.cli.address import fault_of_key
from vivavoce.cli.data_folder import show_to_engines
from vivavoce.cli.llm import with_model_server
from vivavoce.cli.parser import MISUSE, key, one_of, seconds, whole
from vivavoce.cli.scenario import require_scenario
from vivavoce.cli.terminal import terminal
from vivavoce.config import Config, ConfigError, ensure_key, load
from vivavoce.deployments import Deployments
from vivavoce.observe import start_logging
from vivavoce.transports.network_plan import plan_of

if TYPE_CHECKING:
    from vivavoce.server.app import Address, Application, Certificate

EPILOG = """\
examples:
  vivavoce serve                          on http://127.0.0.1:8642, with a key
                                          of its own making
  vivavoce serve --tls                    as https and wss, with a certificate
                                          for this machine
  vivavoce serve --scenario talk.toml     answer by a script: for tests
  vivavoce serve --llm auto               let a local Ollama think of what to
                                          answer
  vivavoce serve --config vivavoce.toml   deployments, recipes and everything
                                          else from a file

Every option is also an environment variable (--max-sessions is
VIVAVOCE_MAX_SESSIONS) and a key of the file (max_sessions = 100). Flags win
over the environment, the environment over the file.
"""

FLAGS: tuple[tuple[str, dict[str, object]], ...] = (
    (
        "--config",
        {"type": Path, "metavar": "FILE", "help": "read the configuration from a TOML file"},
    ),
    ("--host", {"help": "the address to listen on (127.0.0.1)"}),
    (
        "--port",
        {
            "type": whole(0, 65535),
            "metavar": "PORT",
            "help": "the port to listen on (8642); 0 takes any that is free",
        },
    ),
    (
        "--api-key",
        {
            "action": "append",
            "type": key,
            "metavar": "KEY",
            "help": "a key that opens the server; repeatable",
        },
    ),
    ("--no-auth", {"action": "store_true", "help": "ask for no key; only on a loopback address"}),
    (
        "--allow-origin",
        {
            "action": "append",
            "metavar": "ORIGIN",
            "help": "a web page's origin that may use a key itself; repeatable",
        },
    ),
    (
        "--rtc-address",
        {
            "action": "append",
            "metavar": "IP",
            "help": "where WebRTC media reaches this server from outside; repeatable",
        },
    ),
    (
        "--rtc-ports",
        {"metavar": "PORTS", "help": "the UDP port of WebRTC media, or a range: 50000-50010"},
    ),
    (
        "--ice-server",
        {
            "action": "append",
            "metavar": "URL",
            "help": "a STUN or TURN server; repeatable (turn:user:password@host:port)",
        },
    ),
    (
        "--data-dir",
        {"type": Path, "metavar": "DIR", "help": "where the key, certificates and models are kept"},
    ),
    ("--tls", {"action": "store_true", "help": "make and use a certificate for this machine"}),
    ("--tls-cert", {"type": Path, "metavar": "FILE", "help": "a certificate of your own, PEM"}),
    ("--tls-key", {"type": Path, "metavar": "FILE", "help": "and its key"}),
    ("--scenario", {"type": Path, "metavar": "FILE", "help": "answer by this script (TOML)"}),
    (
        "--recipe",
        {
            "metavar": "NAME",
            "help": "which engines: embedded, local, openai-compatible, or one of the file (embedded)",
        },
    ),
    (
        "--llm",
        {
            "metavar": "URL",
            "help": "answer by the model server at this address; auto finds a local Ollama",
        },
    ),
    ("--llm-model", {"metavar": "NAME", "help": "which of its models (the first that it names)"}),
    ("--llm-key", {"type": key, "metavar": "KEY", "help": "the key that it asks for"}),
    ("--strict", {"action": "store_true", "help": "refuse what the hosted service refuses"}),
    (
        "--drain",
        {"type": seconds(), "metavar": "S", "help": "seconds live sessions get at the end (10)"},
    ),
    (
        "--grace",
        {"type": seconds(), "metavar": "S", "help": "seconds a client may take to read (20)"},
    ),
    ("--max-sessions", {"type": whole(1), "metavar": "N", "help": "how many at once (1000)"}),
    (
        "--session-seconds",
        {
            "type": whole(1),
            "metavar": "S",
            "help": "the longest life of a session (3600, in preview 1800)",
        },
    ),
    (
        "--log-level",
        {
            "type": one_of("debug", "info", "warning", "error"),
            "metavar": "LEVEL",
            "help": "debug, info, warning or error (info)",
        },
    ),
    (
        "--log-format",
        {
            "type": one_of("auto", "text", "json"),
            "metavar": "FORMAT",
            "help": "text, json, or auto: text on a terminal (auto)",
        },
    ),
)


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "serve",
        help="start the server",
        description="Start the server. Ctrl-C lets live conversations finish; a second ends them.",
        epilog=EPILOG,
    )
    for name, how in FLAGS:
        parser.add_argument(name, default=None, **how)  # type: ignore[arg-type]  # by the table
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until told to stop."""
    flags = {name: value for name, value in vars(options).items() if name != "run"}
    try:
        asked = load(flags, os.environ)
        _require_keys(asked)
        _require_network(asked)
        require_scenario(asked)
        Deployments(asked)
        asked = with_model_server(asked)
    except ConfigError as wrong:
        sys.stderr.write(f"vivavoce serve: {wrong}\n")
        return MISUSE
    show_to_engines(asked.data_dir)
    try:
        return _serve(ensure_key(asked), made_key=not asked.api_keys)
    except ConfigError as failed:
        sys.stderr.write(f"vivavoce serve: {failed}\n")
        return 1


def _secrets(config: Config) -> tuple[str, ...]:
    """What no log line may hold: the keys of this server, and those that it shows to others."""
    plans = config.recipes.values()
    options = [choice.options for plan in plans for choice in plan.engines.values()]
    keys = [each.get("key") for each in options]
    keys += [os.environ.get(str(each.get("key_env"))) for each in options]
    named = (key for key in (config.llm_key, *keys) if isinstance(key, str) and key)
    passwords = (each.password for each in plan_of((), None, config.ice_servers).servers)
    return (*config.api_keys, *config.ice_servers, *filter(None, passwords), *named)


def _require_keys(config: Config) -> None:
    for each in config.api_keys:
        if fault := fault_of_key(each):
            raise ConfigError(f"--api-key: {fault}")
        if each.startswith("ek_"):
            raise ConfigError(
                "--api-key: what begins with ek_ is taken for a client secret; choose another key"
            )


def _require_network(config: Config) -> None:
    if any((config.allowed_origins, config.rtc_addresses, config.rtc_ports, config.ice_servers)):
        from vivavoce.server.app import network_plan

        network_plan(config)


def _serve(config: Config, *, made_key: bool) -> int:
    # What takes time to import is imported once the arguments are known to be right.
    from vivavoce.server.app import Address
    from vivavoce.server.assembly import assemble
    from vivavoce.server.sign_in import sign_in_link

    start_logging(config.log_level, config.log_format, secrets=_secrets(config))
    certificate = _certificate(config)
    app = assemble(config)
    app.service.prepare()
    console = terminal()

    def link(address: Address) -> str:
        """Where a browser is signed in, by whoever opens it first; shown to people alone."""
        anywhere = address.host in ("0.0.0.0", "::")  # which no browser can be told
        url = msgspec.structs.replace(address, host="localhost").url if anywhere else address.url
        return url if config.no_auth else sign_in_link(url, app.service.invitations.invite())

    def loading(address: Address) -> None:
        if sys.stdout.isatty():
            console.print(f"[dim]loading the engines for {address.url} ...[/dim]", soft_wrap=True)

    def ready(address: Address) -> None:
        if sys.stdout.isatty():
            # Not wrapped to the terminal's width: a line is for pasting.
            console.print(welcome(config, address.url, link(address)), soft_wrap=True)
        else:
            sys.stdout.write(f"vivavoce {__version__} listens on {address.url}\n")
            if made_key and not config.no_auth:
                sys.stdout.write(f"the key is in {config.key_file}\n")
            sys.stdout.flush()

    def failed() -> None:
        sys.stderr.write(
            "vivavoce serve: the engines could not be loaded; "
            "vivavoce check says which, and what to do\n"
        )

    told = Told(loading, ready, failed)
    serving = partial(_serve_and_tell, app, certificate, told)
    return anyio.run(serving, backend_options={"use_uvloop": find_spec("uvloop") is not None})


class Told(Struct, frozen=True):
    """What is said at the start, and when: at each only once."""

    loading: "Callable[[Address], None]"
    ready: "Callable[[Address], None]"
    failed: Callable[[], None]


async def _serve_and_tell(app: "Application", certificate: "Certificate | None", told: Told) -> int:
    """Serve, and tell of it; the exit status."""
    from vivavoce.server.app import serve

    readiness = app.service.readiness
    fault: ConfigError | None = None
    status = 1
    async with anyio.create_task_group() as tasks:

        async def tell(address: "Address") -> None:
            await readiness.settled.wait()
            if readiness.state == "ready":
                told.ready(address)

        def started(address: "Address") -> None:
            told.loading(address)
            tasks.start_soon(tell, address)

        try:
            status = await serve(app, certificate=certificate, started=started)
        except ConfigError as wrong:
            # Not through the task group, which would wrap it.
            fault = wrong
        tasks.cancel_scope.cancel()
    if fault is not None:
        raise fault
    if readiness.failed.is_set():
        told.failed()
    return status


def _certificate(config: Config) -> "Certificate | None":
    """What the server shows: the operator's own, one made here, or none."""
    from vivavoce.runtime.clock import Clock
    from vivavoce.server.app import Certificate
    from vivavoce.server.certificates import ensure_certificates

    if config.tls_cert is not None and config.tls_key is not None:
        try:
            ssl.create_default_context().load_cert_chain(config.tls_cert, config.tls_key)
        except (OSError, ssl.SSLError) as unusable:
            why = getattr(unusable, "strerror", None) or unusable
            raise ConfigError(
                f"--tls-cert {config.tls_cert}, --tls-key {config.tls_key}: {why}; a certificate "
                "and its key in PEM are wanted"
            ) from None
        return Certificate(config.tls_cert, config.tls_key)
    if config.tls:
        made = ensure_certificates(config.data_dir / "tls", Clock().wall())
        return Certificate(made.cert_file, made.key_file)
    return None


def welcome(config: Config, url: str, pages: str) -> Text:
    """What a person needs to begin: the address, the key, and what to paste into a client.

    *pages* is what to open in a browser.
    """
    key = config.api_keys[0] if config.api_keys else "none-needed"
    text = Text()
    text.append(f"\n  Viva Voce {__version__}", "bold").append(f"   {url}\n\n")
    text.append("  answered by   ", "dim").append(f"{_engines(config)}\n")
    text.append("  the pages     ", "dim").append(f"{pages}\n")
    text.append("  the key       ", "dim").append(f"{key}\n")
    text.append("  try it        ", "dim").append(f"{_try(config, url)}\n\n")
    text.append("  for a client\n", "dim")
    for line in (
        f"AZURE_OPENAI_ENDPOINT={url}",
        f"AZURE_OPENAI_API_KEY={key}",
        f"OPENAI_BASE_URL={url}/v1",
        f"OPENAI_API_KEY={key}",
    ):
        text.append(f"    {line}\n")
    if not config.secure:
        text.append(
            "    clients that know wss alone (AzureOpenAI, JavaScript): serve --tls\n", "dim"
        )
    if config.tls:
        authority = config.data_dir / "tls" / "ca.pem"
        text.append(f"    SSL_CERT_FILE={authority}\n    NODE_EXTRA_CA_CERTS={authority}\n")
    return text


def _engines(config: Config) -> str:
    """Who answers where a client asks for nothing special."""
    if config.scenario is not None:
        return f"the scenario {config.scenario}"
    usual = Deployments(config).default
    chosen = ", ".join(each.engine for each in usual.recipe.engines.values())
    return f"{usual.recipe_name} engines: {chosen}"


def _try(config: Config, url: str) -> str:
    """A command that talks to this server, with what differs from how it is started by itself."""
    usual = Config()
    words = [_command(), "talk", "question.wav"]
    if url != f"http://{usual.host}:{usual.port}":
        words += ["--url", url]
    if config.data_dir != usual.data_dir:
        words += ["--data-dir", shlex.quote(str(config.data_dir))]
    return " ".join(words)


def _command() -> str:
    """How this program is called from here."""
    if shutil.which("vivavoce"):
        return "vivavoce"
    return os.path.relpath(sys.argv[0]) if sys.argv[0] else "vivavoce"
