"""`vivavoce bench`: how many conversations a realtime server carries, and how promptly."""

import argparse
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import msgspec
import psutil
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from vivavoce.cli.client import Address, CannotConnect, address_of, key_at_hand
from vivavoce.cli.load import Sound, Talker, Times, sound
from vivavoce.config import Config

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
MOST_SESSIONS = 1024
MOST_SECONDS = 600
WARM_UP_S = 1.0

EPILOG = """\
examples:
  vivavoce bench http://127.0.0.1:8642                      1, 16 and 64 sessions on this machine
  vivavoce bench http://127.0.0.1:8642 --sessions 1,4,8 --json figures.json

Every session sends audio in real time, 100 ms at a time, and says a sentence of two seconds every
--period seconds, spread evenly. Times are in milliseconds:
  first audio     from when the end of speech was due (the audio went out that completes the
                  silence) to the first audio of the answer; engines included
  stopped late    from then to the arrival of speech_stopped
  cancelled       from speech_started to the response.done of the answer that it interrupts
  own lag         how late this program itself was: above some 20 ms, its figures mean little
CPU ms/s is processor time for a second of one session, KB what a session adds to the server's
memory: of the server's process and its children, on the same machine only.
"""


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "bench",
        help="measure how many conversations a server carries",
        description="Hold many conversations with a server at once and measure it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8642", help="(%(default)s)")
    parser.add_argument("--sessions", default="1,16,64", help="how many at once (%(default)s)")
    parser.add_argument("--seconds", type=float, default=30, help="for each (%(default)s)")
    parser.add_argument("--period", type=float, default=8, help="between turns (%(default)s s)")
    parser.add_argument("--key", help="the server's key; else VIVAVOCE_API_KEY or this machine's")
    parser.add_argument("--model", default="gpt-realtime", help="(%(default)s)")
    parser.add_argument("--dialect", choices=("ga", "preview"), default="ga")
    parser.add_argument("--pid", type=int, help="the server's process; found by its port otherwise")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--data-dir", type=Path, help="where this machine's server keeps its key")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure, print the table, write the file."""
    try:
        counts = [int(each) for each in options.sessions.split(",")]
    except ValueError:
        sys.stderr.write("vivavoce bench: --sessions takes numbers such as 1,16,64\n")
        return 2
    if max(counts) > MOST_SESSIONS or min(counts) < 1 or not 0 < options.seconds <= MOST_SECONDS:
        sys.stderr.write(
            f"vivavoce bench: 1 to {MOST_SESSIONS} sessions, at most {MOST_SECONDS} seconds\n"
        )
        return 2
    try:
        key = key_at_hand(options.key, options.data_dir or Config().data_dir)
        address = address_of(options.url, key, options.dialect, options.model)
        server = Server.found(options.pid, address.url)
        bench = Bench(address, server, options.seconds, options.period)
        rows = anyio.run(bench.measure, counts, backend_options={"use_uvloop": True})
    except CannotConnect as refused:
        sys.stderr.write(f"vivavoce bench: {refused}\n")
        return 1
    Console().print(table(rows))
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode({"rows": rows}), indent=1))
    failed = [error for row in rows for error in row["errors"]]
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
            pid = next(
                (
                    each.pid
                    for each in psutil.net_connections("tcp")
                    if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr.port == port
                ),
                None,
            )
        try:
            return cls(psutil.Process(pid) if pid is not None else None)
        except psutil.NoSuchProcess:
            raise CannotConnect(f"there is no process {pid}") from None

    def _family(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)] if self._process else []

    def cpu_s(self) -> float:
        """Processor seconds so far."""
        spent = [each.cpu_times() for each in self._family()]
        return sum(each.user + each.system for each in spent)

    def rss_kb(self) -> float:
        """Resident memory of the server's own process; its engines' processes do not grow."""
        return self._process.memory_info().rss / 1024 if self._process else 0.0

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
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("making two seconds of speech")
            saying = await sound()
            rows = []
            for count in counts:
                progress.update(task, description=f"{count} sessions, {self._seconds:g} s")
                rows.append(await self._row(saying, count))
        return rows

    async def _row(self, saying: Sound, count: int) -> dict[str, Any]:
        times = Times()
        rss, cpu = self._server.rss_kb(), self._server.cpu_s()
        most = rss
        async with anyio.create_task_group() as tasks:
            for number in range(count):
                talker = Talker(saying, times, period_s=self._period_s)
                tasks.start_soon(talker.talk, self._address, number / count, self._seconds)
            await anyio.sleep(self._seconds - min(WARM_UP_S, self._seconds / 2))
            most = self._server.rss_kb()
            spent = self._server.cpu_s() - cpu
        measured_s = self._seconds - min(WARM_UP_S, self._seconds / 2)
        return {
            "sessions": count,
            "turns": len(times.stopped_late),
            "first_audio_ms": quantiles(times.first_audio),
            "speech_stopped_late_ms": quantiles(times.stopped_late),
            "cancelled_ms": quantiles(times.cancelled),
            "cpu_ms_per_session_second": (
                round(spent * 1000 / count / measured_s, 3) if self._server.known else None
            ),
            "rss_kb_per_session": round((most - rss) / count) if self._server.known else None,
            "rss_mb": round(most / 1024) if self._server.known else None,
            "driver_lag_ms": quantiles(times.own_lag),
            "audio_after_done": times.audio_after_done,
            "unanswered": times.unanswered,
            "errors": sorted(set(times.errors)),
        }


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


def table(rows: Iterable[dict[str, Any]]) -> Table:
    """The figures for people, within eighty columns."""
    shown = Table(box=None, title="times in ms: p50 / p95 / p99", title_style="dim")
    for name, key in COLUMNS:
        shown.add_column(name, justify="right", no_wrap=key.endswith("_ms"))
    for row in rows:
        shown.add_row(*(_shown(row[key]) for _, key in COLUMNS))
    return shown


COLUMNS = (
    ("sessions", "sessions"),
    ("turns", "turns"),
    ("first audio", "first_audio_ms"),
    ("stopped late", "speech_stopped_late_ms"),
    ("cancelled", "cancelled_ms"),
    ("own lag", "driver_lag_ms"),
    ("CPU ms/s", "cpu_ms_per_session_second"),
    ("KB", "rss_kb_per_session"),
)


def _shown(figure: dict[str, float] | float | None) -> str:
    if figure is None:
        return "-"
    if isinstance(figure, dict):
        return " / ".join(f"{figure[name]:.0f}" for name in ("p50", "p95", "p99"))
    return f"{figure:.1f}" if isinstance(figure, float) else str(figure)
