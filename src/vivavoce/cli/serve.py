"""`vivavoce serve`: the server."""

import argparse
import os
import shlex
import shutil
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from vivavoce import __version__
from vivavoce.config import Config, ConfigError, ensure_key, load
from vivavoce.observe import start_logging

if TYPE_CHECKING:
    from vivavoce.server.app import Certificate

EPILOG = """\
examples:
  vivavoce serve                          on http://127.0.0.1:8642, with a key of its own making
  vivavoce serve --tls                    as https and wss, with a certificate for this machine
  vivavoce serve --scenario talk.toml     answer by a script instead of engines: for tests
  vivavoce serve --config vivavoce.toml   deployments, recipes and everything else from a file

Every option is also an environment variable (--max-sessions is VIVAVOCE_MAX_SESSIONS) and a key of
the file (max_sessions = 100). Flags win over the environment, the environment over the file.
"""

FLAGS: tuple[tuple[str, dict[str, object]], ...] = (
    (
        "--config",
        {"type": Path, "metavar": "FILE", "help": "read the configuration from a TOML file"},
    ),
    ("--host", {"help": "the address to listen on (127.0.0.1)"}),
    ("--port", {"type": int, "help": "the port to listen on (8642); 0 takes any that is free"}),
    (
        "--api-key",
        {"action": "append", "metavar": "KEY", "help": "a key that opens the server; repeatable"},
    ),
    ("--no-auth", {"action": "store_true", "help": "ask for no key; only on a loopback address"}),
    (
        "--data-dir",
        {"type": Path, "metavar": "DIR", "help": "where the key and certificates are kept"},
    ),
    ("--tls", {"action": "store_true", "help": "make and use a certificate for this machine"}),
    ("--tls-cert", {"type": Path, "metavar": "FILE", "help": "a certificate of your own, PEM"}),
    ("--tls-key", {"type": Path, "metavar": "FILE", "help": "and its key"}),
    ("--scenario", {"type": Path, "metavar": "FILE", "help": "answer by this script (TOML)"}),
    ("--strict", {"action": "store_true", "help": "refuse what the hosted service refuses"}),
    (
        "--drain",
        {"type": float, "metavar": "S", "help": "seconds live sessions get at the end (10)"},
    ),
    ("--grace", {"type": float, "metavar": "S", "help": "seconds a client may take to read (20)"}),
    ("--max-sessions", {"type": int, "metavar": "N", "help": "how many at once (1000)"}),
    ("--session-seconds", {"type": int, "metavar": "S", "help": "the longest life of a session"}),
    (
        "--log-level",
        {"choices": ("debug", "info", "warning", "error"), "help": "how much is logged (info)"},
    ),
    ("--log-format", {"choices": ("auto", "text", "json"), "help": "how it is logged (auto)"}),
)


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "serve",
        help="start the server",
        description="Start the server. Ctrl-C lets live conversations finish; a second ends them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, how in FLAGS:
        parser.add_argument(name, default=None, **how)  # type: ignore[arg-type]  # by the table
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until told to stop."""
    flags = {name: value for name, value in vars(options).items() if name != "run"}
    try:
        asked = load(flags, os.environ)
    except ConfigError as wrong:
        sys.stderr.write(f"vivavoce serve: {wrong}\n")
        return 2
    try:
        return _serve(ensure_key(asked), made_key="api_key" not in _given(flags))
    except ConfigError as failed:
        sys.stderr.write(f"vivavoce serve: {failed}\n")
        return 1


def _given(flags: dict[str, object]) -> set[str]:
    named = {name for name, value in flags.items() if value is not None}
    return named | ({"api_key"} if os.environ.get("VIVAVOCE_API_KEY") else set())


def _serve(config: Config, *, made_key: bool) -> int:
    # What takes time to import is imported once the arguments are known to be right.
    from vivavoce.server.app import Address, run
    from vivavoce.server.assembly import assemble

    start_logging(config.log_level, config.log_format, secrets=config.api_keys)
    certificate = _certificate(config)
    app = assemble(config)

    def started(address: Address) -> None:
        if sys.stdout.isatty():
            # Not wrapped to the terminal's width: a line is for pasting.
            Console(highlight=False).print(welcome(config, address.url), soft_wrap=True)
        else:
            sys.stdout.write(f"vivavoce {__version__} listens on {address.url}\n")
            if made_key and not config.no_auth:
                sys.stdout.write(f"the key is in {config.key_file}\n")
            sys.stdout.flush()

    return run(app, certificate=certificate, started=started)


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


def welcome(config: Config, url: str) -> Text:
    """What a person needs to begin: the address, the key, and what to paste into a client."""
    key = config.api_keys[0] if config.api_keys else "none-needed"
    text = Text()
    text.append(f"\n  Viva Voce {__version__}", "bold").append(f"   {url}\n\n")
    if config.scenario is None:
        text.append("  answered by   ", "dim").append(
            "embedded engines: Silero VAD, PocketSphinx, a built-in responder, eSpeak NG\n"
        )
        text.append("  better ears   ", "dim").append(
            "name another transcriber in a recipe: docs/recipes.md says how\n"
        )
    else:
        text.append("  answered by   ", "dim").append(f"the scenario {config.scenario}\n")
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
