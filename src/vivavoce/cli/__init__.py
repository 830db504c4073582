"""The command line: each command is a module with `add_to` and `run`."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from vivavoce import __version__
from vivavoce.cli.parser import Parser

COMMANDS = ("serve", "talk", "check", "models", "deployments", "bench", "conform")
DESCRIPTION = """\
The Realtime API for speech and audio as software you run yourself.

  vivavoce serve               start a server; a client changes an address
                               and a key, and talks
  vivavoce talk question.wav   say a recording to it, and hear the answer
  vivavoce check               look at every engine, and say what to do
  vivavoce bench               measure how many conversations it carries here
  vivavoce conform             drive a server through cases that hold of any
"""
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 done, 1 the thing asked failed, 2 misuse, 130 interrupted."""
    # The engines' matrices are small: threads of a numerical library would only be in their way.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        return _run(list(sys.argv[1:] if argv is None else argv))
    except BrokenPipeError:
        # The reader of our output has gone, as `head` does.
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(arguments: list[str]) -> int:
    parser = Parser(prog="vivavoce", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"vivavoce {__version__}")
    listed: argparse.ArgumentParser = parser
    commands = listed.add_subparsers(metavar="COMMAND")
    # Only the command that is meant is imported: the server's start does not pay for the others.
    for command in arguments[:1] if arguments[:1] and arguments[0] in COMMANDS else COMMANDS:
        import_module(f"vivavoce.cli.{command}").add_to(commands)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        chosen = commands.choices.get(arguments[0], parser)
        (chosen if isinstance(chosen, Parser) else parser).refuse(unknown)
    if "run" not in options:
        parser.print_help()
        return 2
    return int(options.run(options))
