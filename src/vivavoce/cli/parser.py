"""How the commands read their arguments, and say in one line what is wrong with them.

The line is `vivavoce COMMAND: what; what to do`, for every command and every kind of mistake.
"""

import argparse
import difflib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from vivavoce.cli.address import fault_of_key

MISUSE = 2
CHOICE = re.compile(r"argument COMMAND: invalid choice: '(.*?)' \(")
MISSING = re.compile(r"argument (?P<name>\S+): expected .*")
SUPERFLUOUS = re.compile(r"argument (?P<name>\S+): ignored explicit argument (?P<value>.*)")


class Parser(argparse.ArgumentParser):
    """Reads the arguments of the program or of one command."""

    def __init__(self, *, epilog: str = "", description: str = "", **how: object) -> None:
        super().__init__(
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **how,  # type: ignore[arg-type]  # what argparse itself hands over
        )

    def error(self, message: str) -> NoReturn:
        """Leave with what is wrong and what to do about it."""
        self.exit(MISUSE, f"{self.prog}: {self._told(message)}\n")

    def refuse(self, arguments: Sequence[str]) -> NoReturn:
        """Leave because of the first of *arguments*, none of which is known."""
        first = arguments[0]
        if not first.startswith("-"):
            self.error(f"{first}: is one argument too many; leave it away")
        option = first.partition("=")[0]
        known = [each for action in self._actions for each in action.option_strings]
        names = {each.lstrip("-"): each for each in known}
        near = difflib.get_close_matches(option.lstrip("-"), names, n=1)
        advice = (
            f"did you mean {names[near[0]]}?"
            if near
            else f"{self.prog} --help says which there are"
        )
        self.error(f"{option}: there is no such option; {advice}")

    def _told(self, message: str) -> str:
        """One of argparse's messages in our own form; what is in it already stays as it is."""
        if found := CHOICE.match(message):
            near = difflib.get_close_matches(found[1], message[found.end() :].split("'"), n=1)
            advice = f"did you mean {near[0]}?" if near else f"{self.prog} --help lists them"
            return f"{found[1]}: there is no such command; {advice}"
        if found := MISSING.fullmatch(message):
            return f"{_named(found['name'])}: its value is missing; {self.prog} --help tells more"
        if found := SUPERFLUOUS.fullmatch(message):
            return f"{_named(found['name'])}: takes no value; leave {found['value']} away"
        if message.startswith("argument "):
            name, _, rest = message.removeprefix("argument ").partition(": ")
            return f"{_named(name)}: {rest}"
        return message


def _named(option: str) -> str:
    """An option by its long name, of `-o/--output`."""
    return option.rpartition("/")[2]


def add_server_to(parser: argparse.ArgumentParser) -> None:
    """Declare how to get a session there: for `address.asked_for`."""
    parser.add_argument(
        "--key", type=key, help="its key; else VIVAVOCE_API_KEY, or this machine's own"
    )
    parser.add_argument(
        "--model", default="gpt-realtime", metavar="NAME", help="model or deployment (%(default)s)"
    )
    parser.add_argument(
        "--dialect",
        type=one_of("ga", "preview"),
        default="ga",
        metavar="NAME",
        help="ga or preview (%(default)s)",
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="where this machine's server keeps its key",
    )


def one_of(*words: str) -> Callable[[str], str]:
    """An argument that is one of those."""

    def read(text: str) -> str:
        if text not in words:
            _refuse(f"there is no {text!r}; choose {', '.join(words[:-1])} or {words[-1]}")
        return text

    return read


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """An argument that is a whole number from *least* to *most*."""

    def read(text: str) -> int:
        number = int(text) if re.fullmatch(r"-?\d+", text, re.ASCII) else None
        if number is None or number < least or (most is not None and number > most):
            _refuse(f"{text!r} does not fit; give a whole number {_range(least, most)}")
        return number

    return read


def seconds(
    least: float = 0, most: float | None = None, *, above: bool = False
) -> Callable[[str], float]:
    """An argument that is a time; with *above*, it has to be more than *least*."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        low = least < number if above else least <= number
        if not low or number == float("inf") or (most is not None and number > most):
            how = f"above {least:g}" if above and most is None else _range(least, most, above)
            _refuse(f"{text!r} does not fit; give seconds {how}")
        return number

    return read


def key(text: str) -> str:
    """An argument that is a key. What is wrong with it is said without it."""
    if fault := fault_of_key(text):
        _refuse(fault)
    return text


def new_file(text: str) -> Path:
    """An argument that names a file to be written, in a folder that there is."""
    file = Path(text)
    if not file.absolute().parent.is_dir():
        _refuse(f"{text}: there is no such folder; make it, or name another")
    return file


def _range(least: float, most: float | None, above: bool = False) -> str:
    if most is None:
        return f"from {least:g} on"
    return f"above {least:g}, up to {most:g}" if above else f"from {least:g} to {most:g}"


def _refuse(why: str) -> NoReturn:
    raise argparse.ArgumentTypeError(why)
