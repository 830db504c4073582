"""`vivavoce conform`: drive any realtime server through named cases, and say which it holds."""

import argparse
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import anyio
import msgspec
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text
from websockets.exceptions import ConnectionClosed

from vivavoce.audio.pcm import of_samples
from vivavoce.audio.resample import Resampler
from vivavoce.cli.client import Address, Call, CannotConnect, address_of, call, key_at_hand
from vivavoce.cli.talk import CannotRead, read_wav
from vivavoce.config import Config
from vivavoce.conformance.cases import CASES
from vivavoce.conformance.driver import Case, HungUp, NoSession, Setup, play
from vivavoce.conformance.report import Result, Verdict, as_json, counts, exit_status
from vivavoce.engines.api import EngineFailure, Voice
from vivavoce.engines.espeak import Espeak

RATE_HZ = 24000
SENTENCE = "Which of the plants need water?"
LOUD = 500
EVENT_CHARACTERS = 300  # of an event that is shown to a person
STYLES: dict[Verdict, str] = {"held": "green", "broken": "bold red", "not shown": "yellow"}
MISUSE = 2

EPILOG = """\
examples:
  vivavoce conform                                              the server on this machine
  vivavoce conform wss://my-resource.openai.azure.com --key KEY
  vivavoce conform --dialect preview --case interruption --case cancel
  vivavoce conform --list

Every case is a session of its own, and none depends on what the model says; most have a model
answer, which costs what it costs there. held: it does as documented. broken: it does not; the
events that show it are printed. not shown: it could not be provoked, for instance because a
response was over before it could be interrupted.
Exit status 0 where nothing broke, 1 where something did or no session was to be had, 2 misuse.
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "conform",
        help="drive a realtime server through cases that have to hold of any",
        description="Drive any realtime server through cases, and say which it holds and breaks.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8642", help="(%(default)s)")
    parser.add_argument("--key", help="its key; else VIVAVOCE_API_KEY, or this machine's own")
    parser.add_argument("--model", default="gpt-realtime", help="model or deployment (%(default)s)")
    parser.add_argument("--dialect", choices=("ga", "preview"), default="ga", help="(%(default)s)")
    parser.add_argument("--case", action="append", dest="cases", metavar="NAME", help="only this")
    parser.add_argument("--list", action="store_true", help="say which cases there are")
    parser.add_argument("--speech", type=Path, help="a WAV file: one sentence, without long pauses")
    parser.add_argument(
        "--timeout", type=_seconds, default=20.0, metavar="S", help="for a case (%(default)g s)"
    )
    parser.add_argument(
        "--strict", action="store_true", help="every key that this project's own server sends"
    )
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--data-dir", type=Path, help="where this machine's server keeps its key")
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("more than no seconds, and not for ever")
    return seconds


def run(options: argparse.Namespace) -> int:
    """Play the cases, print and write what came of them."""
    console = Console(highlight=False)
    try:
        cases = chosen(options.cases, options.dialect)
        if options.list:
            _list(console, cases)
            return 0
        speech = read_wav(options.speech) if options.speech else b""
        key = key_at_hand(options.key, options.data_dir or Config().data_dir)
        address = address_of(options.url, key, options.dialect, options.model)
    except (Unknown, CannotRead, CannotConnect) as wrong:
        sys.stderr.write(f"vivavoce conform: {wrong}\n")
        return MISUSE
    desk = Desk(console, address, options)
    try:
        results = anyio.run(desk.play, cases, speech, backend_options={"use_uvloop": True})
    except CannotConnect as refused:
        sys.stderr.write(f"vivavoce conform: {refused}\n")
        return 1
    if options.json:
        options.json.write_bytes(as_json(results, address.url.partition("?")[0]))
    return exit_status(results)


class Unknown(Exception):  # noqa: N818 - said to a person
    """There is no case of that name in that dialect."""


def chosen(names: Sequence[str] | None, dialect: str) -> list[Case]:
    """The cases of the dialect that are named, in their own order; all without names."""
    ours = [each for each in CASES if dialect in each.dialects]
    for name in names or ():
        if name not in (each.name for each in ours):
            raise Unknown(f"there is no case {name!r} in {dialect}; --list says which there are")
    return [each for each in ours if not names or each.name in names]


def _list(console: Console, cases: Sequence[Case]) -> None:
    width = max(len(each.name) for each in cases) + 2
    for each in cases:
        needs = f" (needs {' and '.join(each.needs)})" if each.needs else ""
        line = Text.assemble((f"{each.name:<{width}}", "bold"), each.holds, (needs, "dim"))
        console.print(line, soft_wrap=True)


class Desk:
    """Plays case after case against one server, and shows each verdict as it comes."""

    def __init__(self, console: Console, address: Address, options: argparse.Namespace) -> None:
        self._console = console
        self._address = address
        self._options = options

    async def play(self, cases: Sequence[Case], speech: bytes) -> list[Result]:
        """All of them; CannotConnect if there is no session to be had at all."""
        async with call(self._address):
            pass
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        terminal = self._console.is_terminal
        results: list[Result] = []
        with Progress(
            *columns, console=self._console, transient=True, disable=not terminal
        ) as progress:
            task = progress.add_task("making speech", total=len(cases))
            if not speech and any("speech" in each.needs for each in cases):
                speech = await sentence()
            setup = Setup(
                self._options.dialect, speech, self._options.timeout, self._options.strict
            )
            width = max(len(each.name) for each in cases) + 2
            for each in cases:
                progress.update(task, description=each.name)
                results.append(await play(each, self._dial, setup))
                self._console.print(row(results[-1], width), soft_wrap=True)
                progress.advance(task)
        self._console.print(Text(counts(results), "bold"))
        return results

    @asynccontextmanager
    async def _dial(self, intent: str | None) -> AsyncIterator["Phone"]:
        address = self._address if intent is None else with_intent(self._address, intent)
        try:
            async with call(address) as line:
                yield Phone(line)
        except CannotConnect as refused:
            raise NoSession(str(refused)) from None


class Phone:
    """A call as a `Line`."""

    def __init__(self, line: Call) -> None:
        self._line = line

    async def say(self, frame: str) -> None:
        """See `Line`."""
        try:
            await self._line.say_encoded(frame)
        except ConnectionClosed:
            raise HungUp from None

    def frames(self) -> AsyncIterator[str | bytes]:
        """See `Line`."""
        return self._line.frames()

    @property
    def farewell(self) -> str:
        """See `Line`."""
        return self._line.farewell


def with_intent(address: Address, intent: str) -> Address:
    """The same server, asked for such a session. OpenAI refuses a model where there is an intent."""
    parts = urlsplit(address.url)
    kept = {name: value for name, value in parse_qsl(parts.query) if name != "model"}
    url = urlunsplit(parts._replace(query=urlencode(kept | {"intent": intent})))
    return msgspec.structs.replace(address, url=url)


async def sentence() -> bytes:
    """Some seconds of speech by the embedded synthesiser, at 24 kHz; nothing where it fails."""

    async def text() -> AsyncIterator[str]:
        yield SENTENCE

    made = []
    resampler = None
    try:
        async with Espeak(workers=1) as espeak:
            async for each in espeak.speak(text(), Voice()):
                resampler = resampler or Resampler(each.pcm.rate_hz, RATE_HZ)
                made.append(resampler.push(each.pcm.samples))
    except EngineFailure:
        return b""
    samples = np.concatenate(made)
    loud = np.flatnonzero(np.abs(samples) > LOUD)
    return of_samples(samples[loud[0] : loud[-1]].astype(np.int16), RATE_HZ).data


def row(result: Result, width: int) -> Text:
    """A verdict in a line, and below it what shows that a case is broken."""
    line = Text.assemble(
        (f"{result.verdict:<11}", STYLES[result.verdict]),
        (f"{result.case:<{width}}", "bold"),
        (result.remark or result.holds, "" if result.verdict == "broken" else "dim"),
    )
    for reason in result.reasons:
        line.append(f"\n    {reason.sentence}", "red")
        for event in reason.events:
            shown = msgspec.json.encode(event).decode()
            more = "..." if len(shown) > EVENT_CHARACTERS else ""
            line.append(f"\n      {shown[:EVENT_CHARACTERS]}{more}", "dim")
    return line
