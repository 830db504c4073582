"""`vivavoce conform`: drive any realtime server through named cases, and say which it holds."""

import argparse
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import msgspec
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

from vivavoce.audio.pcm import of_samples
from vivavoce.audio.resample import Resampler
from vivavoce.cli.address import Address, Misuse, asked_for
from vivavoce.cli.knock import OPENING_S, Phone, knocked
from vivavoce.cli.parser import add_server_to, seconds
from vivavoce.cli.talk import CannotRead, read_wav
from vivavoce.cli.terminal import terminal
from vivavoce.conformance.cases import CASES
from vivavoce.conformance.driver import Case, Setup, play
from vivavoce.conformance.knock import Knock, NoSession
from vivavoce.conformance.report import (
    Reason,
    Result,
    Verdict,
    as_json,
    counts,
    exit_status,
)
from vivavoce.engines.api import EngineFailure, Voice
from vivavoce.engines.espeak import Espeak

RATE_HZ = 24000
SENTENCE = "Which of the plants need water?"
LOUD = 500
EVENT_CHARACTERS = 300  # of an event that is shown to a person
STYLES: dict[Verdict, str] = {
    "held": "green",
    "broken": "bold red",
    "advice": "cyan",
    "not shown": "yellow",
    "not tried": "yellow",
}
MOST_SILENCES = 3  # in a row, after which there is no server to speak of
STDOUT = Path("-")
BROKEN, MISUSE, INTERRUPTED = 1, 2, 130

EPILOG = """\
examples:
  vivavoce conform                            the server on this machine
  vivavoce conform wss://my-resource.openai.azure.com --key KEY
  vivavoce conform --dialect preview --case interruption --case cancel
  vivavoce conform --json > results.json      the table goes to stderr
  vivavoce conform --list

Every case is a session of its own, and none depends on what the model says;
most have a model answer, which costs what it costs there. One sends 20 MiB:
append-too-large.
  held       it does as the services document it, or are seen to do
  broken     it does not; the events that show it are printed
  advice     it does otherwise than this project's server, and may
  not shown  it could not be provoked, as when a response was over too soon
  not tried  something is missing: speech, a key, or the time of --max-wait
Exit status 0 where nothing broke, 1 where something did or no session was to
be had, 2 misuse.
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "conform",
        help="drive a realtime server through cases that have to hold of any",
        description="Drive any realtime server through cases, and say which it holds and breaks.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "url", nargs="?", default="http://127.0.0.1:8642", help="the server (%(default)s)"
    )
    add_server_to(parser)
    parser.add_argument("--case", action="append", dest="cases", metavar="NAME", help="only this")
    parser.add_argument("--list", action="store_true", help="say which cases there are")
    parser.add_argument(
        "--speech", type=Path, metavar="FILE", help="one sentence without long pauses, as WAV"
    )
    parser.add_argument(
        "--timeout",
        type=seconds(above=True),
        default=20.0,
        metavar="S",
        help="for a case (%(default)g s)",
    )
    parser.add_argument(
        "--strict", action="store_true", help="every key that this project's own server sends"
    )
    parser.add_argument(
        "--max-wait",
        type=seconds(),
        default=10.0,
        metavar="S",
        help="how long a case may wait on purpose: 8 s for the idle timeout, a session's whole life "
        "for its expiry (%(default)g s)",
    )
    parser.add_argument(
        "--json", type=Path, nargs="?", const=STDOUT, metavar="FILE", help="write the results here"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Play the cases, print and write what came of them."""
    console = terminal(stderr=options.json == STDOUT)
    try:
        cases = chosen(options.cases, options.dialect)
        if options.list:
            _list(console, cases)
            return 0
        _expect_folder(options.json)
        speech = read_wav(options.speech) if options.speech else b""
        address = asked_for(options)
    except (CannotRead, Misuse) as wrong:
        sys.stderr.write(f"vivavoce conform: {wrong}\n")
        return MISUSE
    desk = Desk(console, address, options)
    status = 0
    try:
        anyio.run(desk.play, cases, speech, backend_options={"use_uvloop": True})
    except NoSession as refused:
        sys.stderr.write(f"vivavoce conform: {refused}\n")
        return BROKEN
    except KeyboardInterrupt:
        status = INTERRUPTED
    console.print(Text(counts(desk.results), "bold"))
    _write(options.json, as_json(desk.results, address.url.partition("?")[0]))
    return status or exit_status(desk.results)


def _expect_folder(file: Path | None) -> None:
    if file is None or file == STDOUT:
        return
    if "://" in str(file) or ":/" in str(file):
        raise Misuse(f"--json {file}: that is an address; put it before --json, or name a file")
    if not file.absolute().parent.is_dir():
        raise Misuse(f"--json {file}: there is no such folder; make it, or name another")


def _write(file: Path | None, told: bytes) -> None:
    if file == STDOUT:
        sys.stdout.write(f"{told.decode()}\n")
    elif file is not None:
        file.write_bytes(told)


def chosen(names: Sequence[str] | None, dialect: str) -> list[Case]:
    """The cases of the dialect that are named, in their own order; all without names."""
    ours = [each for each in CASES if dialect in each.dialects]
    for name in names or ():
        if name not in (each.name for each in ours):
            raise Misuse(f"--case: there is no {name!r} in {dialect}; --list says which there are")
    return [each for each in ours if not names or each.name in names]


def _list(console: Console, cases: Sequence[Case]) -> None:
    width = max(len(each.name) for each in cases) + 2
    for each in cases:
        needs = f" (needs {' and '.join(each.needs)})" if each.needs else ""
        advised = " (advice)" if each.advised else ""
        line = Text.assemble(
            (f"{each.name:<{width}}", "bold"), each.holds, (f"{needs}{advised}", "dim")
        )
        console.print(line, soft_wrap=True)


class Desk:
    """Plays case after case against one server, and shows each verdict as it comes."""

    def __init__(self, console: Console, address: Address, options: argparse.Namespace) -> None:
        self.results: list[Result] = []
        self._console = console
        self._address = address
        self._options = options

    async def play(self, cases: Sequence[Case], speech: bytes) -> None:
        """All of them, into *results*; NoSession if there is none to be had at all."""
        await self._expect_server()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        terminal = self._console.is_terminal
        with Progress(
            *columns, console=self._console, transient=True, disable=not terminal
        ) as progress:
            task = progress.add_task("making speech", total=len(cases))
            if not speech and any("speech" in each.needs for each in cases):
                speech = await sentence()
            setup = self._setup(speech)
            width = max(len(each.name) for each in cases) + 2
            for each in cases:
                progress.update(task, description=each.name)
                if self._gone():
                    remark = "the server is gone: see its log"
                    result = Result(
                        each.name, each.holds, setup.dialect, "not tried", remark=remark
                    )
                else:
                    result = await play(each, self._dial, setup)
                self.results.append(result)
                self._console.print(row(result, width), soft_wrap=True)
                progress.advance(task)

    async def _expect_server(self) -> None:
        """There is one, and it says something."""
        limit_s = self._options.timeout
        async with self._dial(Knock()) as line:
            with anyio.move_on_after(limit_s) as limit:
                async for _ in line.frames():
                    break
        if limit.cancelled_caught:
            raise NoSession(
                f"{self._address.url.partition('?')[0]}: it takes the connection, but has said "
                f"nothing for {limit_s:g} s. Is this a realtime server? --timeout waits for longer."
            )

    def _gone(self) -> bool:
        last = [each for each in self.results if each.verdict != "not tried"][-MOST_SILENCES:]
        return len(last) == MOST_SILENCES and not any(each.begun for each in last)

    def _setup(self, speech: bytes) -> Setup:
        return Setup(
            self._options.dialect,
            speech,
            self._options.timeout,
            self._options.strict,
            self._options.max_wait,
            urlsplit(self._address.url).path,
            self._address.key is not None,
        )

    def _dial(self, knock: Knock) -> AbstractAsyncContextManager[Phone]:
        return knocked(self._address, knock, min(OPENING_S, self._options.timeout))


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
        _tell(line, reason, "red")
    for reason in result.advice:
        _tell(line, reason, "cyan")
    return line


def _tell(line: Text, reason: Reason, style: str) -> None:
    line.append(f"\n    {reason.sentence}", style)
    for event in reason.events:
        shown = msgspec.json.encode(event).decode()
        more = "..." if len(shown) > EVENT_CHARACTERS else ""
        line.append(f"\n      {shown[:EVENT_CHARACTERS]}{more}", "dim")
