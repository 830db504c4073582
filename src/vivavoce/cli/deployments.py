"""`vivavoce deployments`: see, make, change and delete what a running server answers to."""

import argparse
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
import msgspec
from rich.console import Console
from rich.table import Table

from vivavoce.cli.address import EXAMPLE, Misuse, key_at_hand
from vivavoce.cli.parser import MISUSE, Parser, key, whole
from vivavoce.cli.terminal import terminal
from vivavoce.config import Config

PATH = "/api/deployments"
PATIENCE_S = 30.0
ADVICE = {
    401: "Name the right key with --key, set VIVAVOCE_API_KEY, or name the server's --data-dir.",
    403: "It takes an API key of the server.",
}
STYLES = {"ready": "", "loading": "yellow", "failed": "red", "broken": "red"}
FIELDS = (
    *("model", "recipe", "aliases", "voice", "instructions", "turn_detection"),
    *("input_tokens", "tokens_per_minute", "requests_per_minute"),
)

DESCRIPTION = """\
See, make, change and delete what a running server answers to. What is made
here is stored in the server's data folder, and answers at once.

  vivavoce deployments list
  vivavoce deployments show NAME
  vivavoce deployments create NAME --model gpt-realtime --alias ANOTHER
  vivavoce deployments change NAME --instructions TEXT --unset voice
  vivavoce deployments delete NAME

Each takes --url, --key and --data-dir (which server), and --json.
"""

Json = dict[str, Any]  # what a server sends
Act = Callable[["Server", argparse.Namespace, Console], int]


class Failed(Exception):  # noqa: N818 - said to a person, with what to do
    """The server did not do it, or cannot be asked."""


class Server:
    """A running server, as far as its deployments go."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def ask(self, method: str, name: str | None = None, body: Json | None = None) -> Json:
        """What it answers; Failed says why it did not."""
        path = PATH if name is None else f"{PATH}/{quote(name, safe='')}"
        where = str(self._client.base_url).rstrip("/")
        try:
            answer = self._client.request(method, path, json=body)
            said = msgspec.json.decode(answer.content, type=Json)
        except httpx2.TimeoutException:
            raise Failed(f"{where}: no answer within {PATIENCE_S:g} s; try again") from None
        except httpx2.HTTPError as error:
            raise Failed(
                f"{where}: {error}; does the server run, and is this its address?"
            ) from None
        except msgspec.DecodeError:
            raise Failed(
                f"{where}: answers {answer.status_code} with what is no JSON; is this a server of "
                "ours?"
            ) from None
        if answer.is_success:
            return said
        try:
            told = str(said["error"]["message"])
        except (KeyError, TypeError):
            told = f"it refused with {answer.status_code}; is this a server of ours?"
        advice = ADVICE.get(answer.status_code)
        raise Failed(f"{told} {advice}" if advice else told)


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command, and those below it."""
    parser = commands.add_parser(
        "deployments",
        help="see, make, change and delete what a running server answers to",
        description=DESCRIPTION,
    )
    below = parser.add_subparsers(metavar="COMMAND", parser_class=Parser)
    parser.set_defaults(run=lambda _options: _help(parser))
    _declare(below, "list", "what answers, and whether it can", _list)
    _named(_declare(below, "show", "all about one", _show))
    _add_fields_to(_named(_declare(below, "create", "make one, which answers at once", _create)))
    changing = _named(_declare(below, "change", "change one; sessions keep what they had", _change))
    _add_fields_to(changing)
    changing.add_argument(
        "--unset",
        action="append",
        default=[],
        type=_field,
        metavar="FIELD",
        help="have its default hold again; repeatable",
    )
    _named(_declare(below, "delete", "delete one; its sessions go on", _delete))


def _declare(
    below: "argparse._SubParsersAction[Parser]", name: str, what: str, act: Act
) -> argparse.ArgumentParser:
    parser = below.add_parser(name, help=what, description=f"{what.capitalize()}.")
    parser.add_argument("--url", default="http://127.0.0.1:8642", help="the server (%(default)s)")
    parser.add_argument(
        "--key", type=key, help="its key; else VIVAVOCE_API_KEY, or this machine's own"
    )
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="where this machine's server keeps its key"
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(run=lambda options: _run(name, act, options))
    return parser


def _named(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("name", metavar="NAME")
    return parser


def _add_fields_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME", help="what it is said to be made from")
    parser.add_argument("--recipe", metavar="NAME", help="which engines answer")
    parser.add_argument(
        "--alias",
        action="append",
        dest="aliases",
        metavar="NAME",
        help="another name for it; repeatable",
    )
    parser.add_argument("--voice", metavar="NAME", help="until its client names one")
    parser.add_argument("--instructions", metavar="TEXT", help="until its client gives some")
    parser.add_argument(
        "--turn-detection",
        type=_turn_detection,
        metavar="HOW",
        help="server_vad, semantic_vad, none, or the API's object as JSON",
    )
    parser.add_argument(
        "--input-tokens", type=whole(1), metavar="N", help="how much its model reads"
    )
    parser.add_argument(
        "--tokens-per-minute", type=whole(0), metavar="N", help="of a session; 0 for no limit"
    )
    parser.add_argument(
        "--requests-per-minute", type=whole(0), metavar="N", help="of a session; 0 for no limit"
    )


def _turn_detection(text: str) -> object:
    """What a word or a JSON object says of it; the server judges the rest."""
    if text in ("none", "false"):
        return False
    if not text.startswith("{"):
        return {"type": text}
    try:
        return msgspec.json.decode(text, type=Json)
    except msgspec.DecodeError as wrong:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no JSON ({wrong}); give server_vad, semantic_vad, none or an object"
        ) from None


def _field(text: str) -> str:
    field = text.replace("-", "_")
    if field not in FIELDS:
        raise argparse.ArgumentTypeError(f"there is no {text!r}; there are: {', '.join(FIELDS)}")
    return field


def _help(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    return MISUSE


def _run(name: str, act: Act, options: argparse.Namespace) -> int:
    try:
        with _client(options) as client:
            return act(Server(client), options, terminal(soft_wrap=True))
    except Misuse as wrong:
        return _complain(name, wrong, MISUSE)
    except Failed as failed:
        return _complain(name, failed, 1)


def _complain(name: str, wrong: Exception, status: int) -> int:
    sys.stderr.write(f"vivavoce deployments {name}: {wrong}\n")
    return status


def _client(options: argparse.Namespace) -> httpx2.Client:
    data_dir = options.data_dir or Config().data_dir
    given = key_at_hand(options.key, data_dir)
    base = _base(options.url)
    return httpx2.Client(
        base_url=base,
        headers={"api-key": given} if given else {},
        verify=_trusting(data_dir / "tls" / "ca.pem") if base.startswith("https:") else True,
        timeout=PATIENCE_S,
        trust_env=False,  # a proxy of the environment would be told the key
    )


def _base(url: str) -> str:
    """Where a server is, of what a person types: `127.0.0.1:8642` will do. Misuse if it is none."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        _ = parts.port  # a ValueError where it is none
        (parts.hostname or "").encode("idna")
    except ValueError:
        raise Misuse(f"{url}: host and port cannot be read; give an address {EXAMPLE}") from None
    if parts.scheme not in ("http", "https"):
        raise Misuse(f"{url}: {parts.scheme} is another protocol; give an address {EXAMPLE}")
    if not parts.hostname:
        raise Misuse(f"{url}: no host is named; give an address {EXAMPLE}")
    return f"{parts.scheme}://{parts.netloc}"


def _trusting(authority: Path) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if authority.is_file():
        context.load_verify_locations(authority)
    return context


def _list(server: Server, options: argparse.Namespace, console: Console) -> int:
    found = server.ask("GET")["deployments"]
    if options.json:
        return _as_json(found)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("name", "made from", "recipe", "from", "state"):
        table.add_column(heading, overflow="fold")
    for each in found:
        made_from = each["model"] if each["model"] != each["name"] else ""
        row = (each["name"], made_from, each["recipe"] or "", each["source"], each["state"])
        table.add_row(*map(str, row), style=STYLES.get(each["state"], ""))
    console.print(table, soft_wrap=False)
    for each in found:
        if each["problem"]:
            console.print(f"{each['name']}: {each['problem']}", markup=False)
    return 0


def _show(server: Server, options: argparse.Namespace, console: Console) -> int:
    return _tell(server.ask("GET", options.name), options, console)


def _create(server: Server, options: argparse.Namespace, console: Console) -> int:
    made = server.ask("POST", body={"name": options.name, **_given(options)})
    return _tell(made, options, console)


def _change(server: Server, options: argparse.Namespace, console: Console) -> int:
    given = _given(options)
    if twice := given.keys() & set(options.unset):
        raise Misuse(f"{', '.join(sorted(twice))}: is set and unset; leave one of the two away")
    changes = {**given, **dict.fromkeys(options.unset)}
    if not changes:
        raise Misuse("nothing is to change; vivavoce deployments change --help says what can")
    return _tell(server.ask("PATCH", options.name, changes), options, console)


def _delete(server: Server, options: argparse.Namespace, console: Console) -> int:
    gone = server.ask("DELETE", options.name)
    if options.json:
        return _as_json(gone)
    console.print(f"{options.name} is deleted; sessions of it go on", markup=False)
    return 0


def _given(options: argparse.Namespace) -> Json:
    """The fields that were named."""
    return {name: value for name in FIELDS if (value := getattr(options, name)) is not None}


def _tell(deployment: Json, options: argparse.Namespace, console: Console) -> int:
    if options.json:
        return _as_json(deployment)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in deployment.items():
        if value not in (None, []):
            table.add_row(name.replace("_", " "), _spelt(value))
    console.print(table, markup=False, soft_wrap=False)
    return 0


def _spelt(value: object) -> str:
    match value:
        case str():
            return value
        case list():
            return ", ".join(map(str, value))
        case dict():
            return ", ".join(f"{name} {_spelt(each)}" for name, each in value.items())
        case False:
            return "none"
        case _:
            return str(value)


def _as_json(value: object) -> int:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")
    return 0
