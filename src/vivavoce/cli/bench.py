"""`vivavoce bench`: how many conversations a realtime server carries, and how promptly."""

import argparse
import math
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import anyio
import msgspec
import psutil
from msgspec import Struct
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from vivavoce.cli.address import Address, Misuse, asked_for
from vivavoce.cli.client import call
from vivavoce.cli.load import LEAD_IN_S, Sound, Talker, Times, sound
from vivavoce.cli.parser import add_server_to, new_file, seconds, whole
from vivavoce.cli.terminal import terminal
from vivavoce.conformance.knock import NoSession
from vivavoce.engines.api import EngineFailure

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
MOST_SESSIONS = 1024
MOST_SECONDS = 600
LEAST_PERIOD_S = 3  # a sentence takes two, the silence after it half of one
WARM_UP_S = 5.0
START_S = 0.1
CALM_SHARE = 0.15  # of the machine; with more in other hands, the late hundredths are theirs
GOLDEN = 0.618  # its multiples spread evenly over a unit, however many there are

EPILOG = """\
examples:
  vivavoce bench                          1, 16 and 64 sessions on this machine
  vivavoce bench --sessions 1,4,8 --json figures.json
  vivavoce bench --period 4               longer answers are interrupted

Every session sends audio in real time, 100 ms at a time, and says a sentence
of two seconds every --period seconds; turns and appends are spread evenly.
One conversation beforehand is not counted. The times:
  first audio   from when the end of speech was due (the audio went out that
                completes the silence) to the first audio of the answer;
                engines included
  stopped late  from then to the arrival of speech_stopped
  interrupted   from when the first audio of speech went out to the
                response.done of the answer that this speech interrupts
  own lag       how late this program itself was: above some 20 ms, its
                figures mean little
CPU is processor time for a second of one session. KB is what a session adds
to the server's memory: when it has only listened to silence, and at the end,
when the server remembers what was said. Both are of the server's process, CPU
of its children too, and known on the same machine only.
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "bench",
        help="measure how many conversations a server carries",
        description="Hold many conversations with a server at once and measure it.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "url", nargs="?", default="http://127.0.0.1:8642", help="the server (%(default)s)"
    )
    parser.add_argument(
        "--sessions",
        type=_counts,
        default=[1, 16, 64],
        metavar="N,N",
        help="how many at once (1,16,64)",
    )
    parser.add_argument(
        "--seconds",
        type=seconds(0, MOST_SECONDS, above=True),
        default=30.0,
        metavar="S",
        help="for each number of sessions (%(default)g)",
    )
    parser.add_argument(
        "--period",
        type=seconds(LEAST_PERIOD_S),
        default=8.0,
        metavar="S",
        help="from one turn to the next (%(default)g)",
    )
    add_server_to(parser)
    parser.add_argument(
        "--pid",
        type=whole(1),
        metavar="N",
        help="the server's process; found by its port otherwise",
    )
    parser.add_argument("--json", type=new_file, metavar="FILE", help="write the figures here")
    parser.set_defaults(run=run)


def _counts(text: str) -> list[int]:
    try:
        counts = [int(each) for each in text.split(",")]
    except ValueError:
        counts = [0]
    if min(counts) < 1 or max(counts) > MOST_SESSIONS:
        raise argparse.ArgumentTypeError(
            f"{text!r} does not fit; give numbers from 1 to {MOST_SESSIONS}, such as 1,16,64"
        )
    return counts


def run(options: argparse.Namespace) -> int:
    """Measure, print the table, write the file."""
    try:
        address = asked_for(options)
        server = Server.found(options.pid, address.url)
        bench = Bench(address, server, options.seconds, options.period)
        rows = anyio.run(bench.measure, options.sessions, backend_options={"use_uvloop": True})
    except (Misuse, NoSession, EngineFailure) as refused:
        sys.stderr.write(f"vivavoce bench: {refused}\n")
        return 2 if isinstance(refused, Misuse) else 1
    sys.stdout.write(f"{tables(rows)}\n")
    others = max(row["foreign_cores"] or 0 for row in rows)
    if others > CALM_SHARE * (psutil.cpu_count() or 1):
        sys.stdout.write(f"other programs used up to {others:.1f} cores meanwhile\n")
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode({"rows": rows}), indent=1))
    failed = list(dict.fromkeys(error for row in rows for error in row["errors"]))
    for error in failed[:5]:
        sys.stderr.write(f"vivavoce bench: {error}\n")
    return 1 if failed else 0


class Server:
    """The process that is measured, with its children."""

    def __init__(self, process: psutil.Process | None) -> None:
        self._process = process

    @classmethod
    def found(cls, pid: int | None, url: str) -> "Server":
        """By its id, or by the port it listens on, if it runs on this machine."""
        parts = urlsplit(url)
        if pid is None and parts.hostname in LOOPBACK:
            port = parts.port or (443 if parts.scheme == "wss" else 80)
            with suppress(psutil.AccessDenied):  # to other people's processes, on some systems
                pid = next(
                    (
                        each.pid
                        for each in psutil.net_connections("tcp")
                        if each.status == psutil.CONN_LISTEN
                        and each.laddr
                        and each.laddr.port == port
                    ),
                    None,
                )
        try:
            return cls(psutil.Process(pid) if pid is not None else None)
        except psutil.NoSuchProcess:
            raise Misuse(f"--pid: there is no process {pid}; leave it away") from None

    def _family(self) -> list[psutil.Process]:
        try:
            return [self._process, *self._process.children(recursive=True)] if self._process else []
        except psutil.NoSuchProcess:  # its sessions say that it has gone
            return []

    def cpu_s(self) -> float:
        """Processor seconds so far."""
        spent = 0.0
        for each in self._family():
            with suppress(psutil.NoSuchProcess):  # its time is its parent's by then
                times = each.cpu_times()
                spent += times.user + times.system + times.children_user + times.children_system
        return spent

    def rss_kb(self) -> float:
        """Resident memory of the server's own process, which is where sessions live."""
        return self._resident_kb(self._family()[:1])

    def engines_rss_kb(self) -> float:
        """Resident memory of the processes of its engines."""
        return self._resident_kb(self._family()[1:])

    def _resident_kb(self, processes: Iterable[psutil.Process]) -> float:
        resident = 0.0
        for each in processes:
            with suppress(psutil.NoSuchProcess):
                resident += each.memory_info().rss / 1024
        return resident

    @property
    def known(self) -> bool:
        """Whether there is anything to measure."""
        return self._process is not None


class Bench:
    """One server, several loads."""

    def __init__(self, address: Address, server: Server, seconds: float, period_s: float) -> None:
        self._address = address
        self._server = server
        self._seconds = seconds
        self._period_s = period_s

    async def measure(self, counts: Sequence[int]) -> list[dict[str, Any]]:
        """A row of figures for each number of sessions."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        console = terminal(stderr=True)
        quiet = not console.is_terminal
        with Progress(*columns, console=console, transient=True, disable=quiet) as progress:
            task = progress.add_task("one conversation to warm up")
            saying = await sound()
            await self._load(saying, 1, WARM_UP_S)
            rows = []
            for count in counts:
                progress.update(task, description=f"{_sessions(count)}, {self._seconds:g} s")
                load = await self._load(saying, count, self._seconds)
                rows.append(row(load, self._seconds, known=self._server.known))
        return rows

    async def _load(self, saying: Sound, count: int, seconds: float) -> "Load":
        times, before_kb = Times(), self._server.rss_kb()
        async with AsyncExitStack() as lines:
            # One after the other: how fast a server takes in a crowd is another question.
            talkers = [
                Talker(
                    await lines.enter_async_context(call(self._address)),
                    saying,
                    times,
                    period_s=self._period_s,
                )
                for _ in range(count)
            ]
            begin = time.perf_counter() + START_S
            async with anyio.create_task_group() as tasks:
                for number, talker in enumerate(talkers):
                    turn, phase = number / count, number * GOLDEN % 1
                    tasks.start_soon(partial(talker.talk, begin, turn=turn, phase=phase))
                await _until(begin + LEAD_IN_S)
                idle_kb, cpu, own = self._server.rss_kb(), self._server.cpu_s(), time.process_time()
                machine = machine_s()
                await _until(begin + LEAD_IN_S + seconds)
                load = Load(
                    sessions=count,
                    times=times,
                    cpu_s=self._server.cpu_s() - cpu,
                    own_cpu_s=time.process_time() - own,
                    machine_s=machine_s() - machine,
                    rss_kb=(before_kb, idle_kb, self._server.rss_kb()),
                    engines_rss_kb=self._server.engines_rss_kb(),
                )
                tasks.cancel_scope.cancel()
        return load


class Load(Struct, frozen=True):
    """What a number of sessions did and cost.

    *machine_s*: processor time spent by whomever; *rss_kb*: before, listening, at the end.
    """

    sessions: int
    times: Times
    cpu_s: float
    own_cpu_s: float
    machine_s: float
    rss_kb: tuple[float, float, float]
    engines_rss_kb: float = 0.0


async def _until(moment: float) -> None:
    await anyio.sleep(max(0.0, moment - time.perf_counter()))


def row(load: Load, seconds: float, *, known: bool = True) -> dict[str, Any]:
    """The figures of a load; those of the server's process are None unless it is *known*."""
    times, count = load.times, load.sessions
    before, idle, end = load.rss_kb
    return {
        "sessions": count,
        "turns": len(times.stopped_late),
        "first_audio_ms": quantiles(times.first_audio),
        "speech_stopped_late_ms": quantiles(times.stopped_late),
        "cancelled_ms": quantiles(times.cancelled),
        "interrupted_ms": quantiles(times.interrupted),
        "cpu_ms_per_session_second": (
            round(load.cpu_s * 1000 / count / seconds, 3) if known else None
        ),
        "idle_rss_kb_per_session": round((idle - before) / count) if known else None,
        "rss_kb_per_session": round((end - before) / count) if known else None,
        "rss_mb": round(end / 1024) if known else None,
        "engines_rss_mb": round(load.engines_rss_kb / 1024) if known else None,
        "driver_lag_ms": quantiles(times.own_lag),
        "driver_cores": round(load.own_cpu_s / seconds, 3),
        "foreign_cores": (
            round(max(0.0, load.machine_s - load.cpu_s - load.own_cpu_s) / seconds, 2)
            if known
            else None
        ),
        "audio_after_done": times.audio_after_done,
        "unanswered": times.unanswered,
        "errors": sorted(set(times.errors)),
    }


def machine_s() -> float:
    """Processor seconds so far of everything that runs on this machine.

    Less what the kernel does for the network, which is counted to nobody but is the test's own;
    with what other machines on the same host took from this one.
    """
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + getattr(times, "steal", 0.0))


def quantiles(values: Iterable[float]) -> dict[str, float] | None:
    """The median, the 95th and the 99th hundredth; None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    ranks = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
    return {
        name: round(ordered[math.ceil(share * len(ordered)) - 1], 2)
        for name, share in ranks.items()
    }


def tables(rows: Sequence[dict[str, Any]]) -> str:
    """The figures for people, in 80 columns: the times, and below them what a session costs."""
    return "\n".join(
        (
            "milliseconds, as median/95th/99th hundredth",
            _table(rows, TIMES),
            "",
            "cost of each session to the server",
            _table(rows, COSTS),
        )
    )


SESSIONS = ("sessions", "sessions")
TIMES = (
    SESSIONS,
    ("first audio", "first_audio_ms"),
    ("stopped late", "speech_stopped_late_ms"),
    ("interrupted", "interrupted_ms"),
    ("own lag", "driver_lag_ms"),
)
COSTS = (
    SESSIONS,
    ("CPU ms/s", "cpu_ms_per_session_second"),
    ("KB listening", "idle_rss_kb_per_session"),
    ("KB at the end", "rss_kb_per_session"),
)


def _table(rows: Iterable[dict[str, Any]], columns: Sequence[tuple[str, str]]) -> str:
    lines = [[name for name, _ in columns]]
    lines += [[_shown(row[key]) for _, key in columns] for row in rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def _shown(figure: dict[str, float] | float | None) -> str:
    if figure is None:
        return "-"
    if isinstance(figure, dict):
        return "/".join(f"{each:.0f}" for each in figure.values())
    return f"{figure:.1f}" if isinstance(figure, float) else str(figure)


def _sessions(count: int) -> str:
    return "1 session" if count == 1 else f"{count} sessions"
