"""`vivavoce models`: see which models there are, and have their files on this machine."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from vivavoce.cli.parser import MISUSE, Parser
from vivavoce.cli.terminal import terminal
from vivavoce.config import ConfigError, load
from vivavoce.models import Model, ModelError, Store, UnknownModel
from vivavoce.models.catalogue import UNPINNED

INTERRUPTED = 130
MEGABYTE = 1_000_000
STYLES = {"here": "green", "partly": "yellow", "missing": "dim"}
Act = Callable[[Store, argparse.Namespace, Console], int]

DESCRIPTION = """\
See which models there are, and have their files on this machine. They come
from the Hugging Face hub, or from the mirror that HF_ENDPOINT names, and lie
below `models` in the data folder.

  vivavoce models list              which there are, and what each needs
  vivavoce models pull NAME         bring one here; goes on after a stop
  vivavoce models verify NAME       read all its files, and compare
  vivavoce models remove NAME       delete its files
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command, and those below it."""
    parser = commands.add_parser(
        "models", help="see which models there are, and bring them here", description=DESCRIPTION
    )
    below = parser.add_subparsers(metavar="COMMAND", parser_class=Parser)
    parser.set_defaults(run=lambda _options: _help(parser))
    listing = _declare(below, "list", "which there are, and what each needs", _list)
    listing.add_argument("--json", action="store_true", help="for programs")
    for name, what, act in (
        ("pull", "bring models here, or what is left of them", _pull),
        ("verify", "read all their files, and compare", _verify),
        ("remove", "delete their files", _remove),
    ):
        _declare(below, name, what, act).add_argument("names", nargs="+", metavar="NAME")


def _declare(
    below: "argparse._SubParsersAction[Parser]", name: str, what: str, act: Act
) -> argparse.ArgumentParser:
    parser = below.add_parser(name, help=what, description=f"{what.capitalize()}.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="whose data_dir it is")
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="where models lie, in `models`"
    )
    parser.set_defaults(run=lambda options: _run(name, act, options))
    return parser


def _help(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    return MISUSE


def _run(name: str, act: Act, options: argparse.Namespace) -> int:
    try:
        flags = {"config": options.config, "data_dir": options.data_dir}
        store = Store(
            load(flags, os.environ).data_dir / "models",
            endpoint=os.environ.get("HF_ENDPOINT") or None,
        )
        for each in getattr(options, "names", ()):
            store.model(each)
        return act(store, options, terminal(soft_wrap=True))
    except (ConfigError, UnknownModel) as wrong:
        return _complain(name, wrong, MISUSE)
    except ModelError as wrong:
        return _complain(name, wrong, 1)


def _complain(name: str, wrong: Exception, status: int) -> int:
    sys.stderr.write(f"vivavoce models {name}: {wrong}\n")
    return status


def _list(store: Store, options: argparse.Namespace, console: Console) -> int:
    if options.json:
        listed = [_described(store, model) for model in store.models]
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(listed)).decode() + "\n")
        return 0
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("name", "for", "MB", "licence", "needs", "state"):
        table.add_column(heading, justify="right" if heading == "MB" else "left", no_wrap=True)
    for model in store.models:
        state = store.state(model.name)
        table.add_row(
            model.name,
            model.slot.replace("_", " "),
            str(model.megabytes),
            model.licence,
            model.extra,
            state,
            style=STYLES[state],
        )
    console.print(table, soft_wrap=False)
    console.print("\nwhat a model needs: pip install 'vivavoce[NEEDS]'", style="dim", markup=False)
    return 0


def _described(store: Store, model: Model) -> dict[str, object]:
    described: dict[str, object] = msgspec.to_builtins(model)
    return {
        **described,
        "state": store.state(model.name),
        "folder": str(store.path(model.name)),
        "command": store.command(model.name),
    }


def _pull(store: Store, options: argparse.Namespace, console: Console) -> int:
    for name in options.names:
        _introduce(store.model(name), console)
        try:
            with _watched(console) as progress:
                brought = store.pull(name, progress)
        except KeyboardInterrupt:
            sys.stderr.write(
                "vivavoce models pull: stopped; what has arrived is kept, and this goes on from "
                f"there: {store.command(name)}\n"
            )
            return INTERRUPTED
        how = "is here, verified" if brought else "was here already, and is sound"
        console.print(f"{name} {how}: {store.path(name)}", markup=False)
        if brought:
            console.print(
                f"its engine needs: pip install 'vivavoce[{store.model(name).extra}]'", markup=False
            )
    return 0


def _introduce(model: Model, console: Console) -> None:
    """What is about to come, and on which terms."""
    console.print(f"{model.name}, about {model.megabytes} MB", style="bold", markup=False)
    for source in model.sources:
        unpinned = " (its newest state)" if source.revision == UNPINNED else ""
        console.print(
            f"  from {source.repository} at {source.revision[:12]}{unpinned}", markup=False
        )
    console.print(f"  licence {model.licence}: {model.terms}", markup=False)


@contextmanager
def _watched(console: Console) -> Iterator[Callable[[int, int], None]]:
    """A bar for a person, and a line for every tenth for another program."""
    if not console.is_terminal:
        yield _Tenths(console).tell
        return
    columns = (
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("")
        yield lambda here, of: bar.update(task, completed=here, total=of)


class _Tenths:
    """Says each tenth once, on a line."""

    def __init__(self, console: Console) -> None:
        self._console, self._said = console, 0

    def tell(self, here: int, of: int) -> None:
        """So many bytes are here, of so many."""
        tenth = here * 10 // of if of else 10
        if tenth > self._said:
            self._said = tenth
            self._console.print(f"  {tenth}0% of {_megabytes(of)} MB")


def _verify(store: Store, options: argparse.Namespace, console: Console) -> int:
    sound = True
    for name in options.names:
        faults = store.verify(name)
        sound = sound and not faults
        if faults:
            console.print(
                f"{name} is damaged, and {store.command(name)} repairs it:",
                style="red",
                markup=False,
            )
            console.print("\n".join(f"  {fault}" for fault in faults), markup=False)
        else:
            console.print(_sum_up(store, name))
    return 0 if sound else 1


def _sum_up(store: Store, name: str) -> str:
    files: Sequence[int] = [file.size for file in store.files(name)]
    return f"{name} is sound: {len(files)} files, {_megabytes(sum(files))} MB"


def _remove(store: Store, options: argparse.Namespace, console: Console) -> int:
    for name in options.names:
        freed = store.remove(name)
        console.print(f"{name} is removed: {_megabytes(freed)} MB", markup=False)
    return 0


def _megabytes(count: int) -> int:
    return -(-count // MEGABYTE)
