"""`vivavoce check`: every engine made to do a little of its work."""

import argparse
import os
import sys
from pathlib import Path

import anyio
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.text import Text

from vivavoce.config import ConfigError, load
from vivavoce.deployments import Deployments
from vivavoce.engines.registry import Record, records
from vivavoce.engines.self_check import examine
from vivavoce.server.engine_room import EngineRoom

MARKS = {"enabled": ("ok", "green"), "disabled": ("off", "dim")}

DESCRIPTION = """\
Look at every engine that is installed: load it, have it do a little of its work, and say what came
of it, or what to do. Exit status 1 if any that is enabled does not work, or a deployment's recipe
names one that cannot be made.
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "check",
        help="look at every engine, and say what to do",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, help="check this configuration too")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check, and print what was found."""
    try:
        config = load({"config": options.config}, os.environ)
        deployments = Deployments(config)
    except ConfigError as wrong:
        sys.stderr.write(f"vivavoce check: {wrong}\n")
        return 1
    found = anyio.run(_examine_all, backend_options={"use_uvloop": True})
    console = Console(highlight=False)
    console.print(_story(found), soft_wrap=True)
    room = EngineRoom({each.recipe_name: each.recipe for each in deployments})
    sound = all(record.status in MARKS for record in found)
    for deployment in deployments:
        lacking = room.lacking_of(deployment.recipe_name)
        told = f"{deployment.name} is answered by the recipe {deployment.recipe_name}"
        console.print(f"{told}, which cannot be served: {lacking}" if lacking else told)
        sound = sound and lacking is None
    return 0 if sound else 1


async def _examine_all() -> list[Record]:
    console = Console(stderr=True)
    found = []
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), console=console, transient=True
    ) as progress:
        task = progress.add_task("")
        for record in records():
            progress.update(task, description=f"{record.slot} {record.name}")
            found.append(await examine(record))
    return found


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
