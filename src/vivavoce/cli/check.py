"""`vivavoce check`: every engine made to do a little of its work."""

import argparse
import os
import sys
from collections.abc import Iterable

import anyio
import msgspec
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.text import Text

from vivavoce.cli.data_folder import show_to_engines
from vivavoce.cli.llm import with_model_server
from vivavoce.cli.parser import MISUSE
from vivavoce.cli.scenario import require_scenario
from vivavoce.cli.serve import FLAGS
from vivavoce.cli.terminal import terminal
from vivavoce.config import ConfigError, EngineChoice, load
from vivavoce.deployments import Deployment, Deployments
from vivavoce.engines.registry import Record, Slot, records
from vivavoce.engines.self_check import examine
from vivavoce.server.engine_room import EngineRoom, require_voices, used

Wanted = dict[tuple[Slot, str], list[EngineChoice]]
OPTIONS = ("--config", "--recipe", "--llm", "--llm-model", "--llm-key", "--data-dir")
MARKS = {"enabled": ("ok", "green"), "disabled": ("off", "dim")}

DESCRIPTION = """\
Look at every engine that is installed: load it, have it do a little of its
work, and say what came of it, or what to do. Then say which recipe answers
for which deployments.

Exit status 0 if all is well, 1 if an engine that is enabled does not work or
a recipe names one that cannot be made, 2 if the configuration is wrong.
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "check",
        help="look at every engine, and say what to do",
        description=DESCRIPTION,
    )
    for name, how in FLAGS:
        if name in OPTIONS:
            parser.add_argument(name, default=None, **how)  # type: ignore[arg-type]  # by the table
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check, and print what was found."""
    try:
        flags = {name: value for name, value in vars(options).items() if name != "run"}
        config = load(flags, os.environ)
        require_scenario(config)
        Deployments(config)
        config = with_model_server(config)
        show_to_engines(config.data_dir)
        deployments = Deployments(config)
        room = EngineRoom({each.recipe_name: each.recipe for each in deployments})
        require_voices(room, deployments)
    except ConfigError as wrong:
        sys.stderr.write(f"vivavoce check: {wrong}\n")
        return MISUSE
    wanted = used(each.recipe for each in deployments)
    found = anyio.run(_examine_all, wanted, backend_options={"use_uvloop": True})
    console = terminal()
    # A person's lines end at words; another program's do not end before they are over.
    console.soft_wrap = not console.is_terminal
    console.print(_story(found))
    sound = all(record.status in MARKS for record in found)
    for recipe, names in _by_recipe(deployments).items():
        lacking = room.lacking_of(recipe)
        console.print(f"the recipe {recipe} answers for {', '.join(names)}")
        if lacking is not None:
            console.print(f"    but cannot be served: {lacking}", style="red")
        sound = sound and lacking is None
    return 0 if sound else 1


def _by_recipe(deployments: Iterable[Deployment]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for each in deployments:
        names.setdefault(each.recipe_name, []).append(each.name)
    return names


async def _examine_all(wanted: Wanted) -> list[Record]:
    console = terminal(stderr=True)
    found = []
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("")
        for record in records():
            progress.update(task, description=f"{record.slot} {record.name}")
            choices = wanted.get((record.slot, record.name), [])
            found += [await examine(record, choice.options) for choice in choices]
            if not choices:
                found.append(_spare(await examine(record)))
    return found


def _spare(record: Record) -> Record:
    """An engine that no recipe uses: what it lacks is no fault, but what using it would take."""
    if record.status not in ("misconfigured", "failed self-check"):
        return record
    detail = f"not used by any recipe here; to use it: {record.detail}"
    return msgspec.structs.replace(record, status="disabled", detail=detail)


def _story(found: list[Record]) -> Text:
    """One engine after the other: how it is, and what came of trying it."""
    story = Text()
    for record in found:
        mark, style = MARKS.get(record.status, (record.status, "red"))
        story.append(f"{mark:<3} ", style)
        story.append(f"{record.slot.replace('_', ' '):<15}{record.name}", "bold")
        story.append(f"   {record.distribution} {record.version}\n", "dim")
        story.append(f"    {record.detail}\n")
    return story
