"""Measures this machine: starts servers, holds conversations with them, prints what they cost.

Each load meets a server of its own, freshly started, and is driven by `vivavoce bench` in a process
of its own. That says too what everybody else did on the machine meanwhile, which decides whether the
figures mean anything: a load that was disturbed is measured once more, and the calmer of the two
counts.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from vivavoce.cli.bench import CALM_SHARE

SCENARIOS = Path(__file__).parent / "scenarios"
KEY = "benchmark"
START_S = 60  # engines with models take their time
STOP_S = 20
DRIVER_LAG_MS = 20

EPILOG = """\
examples:
  make bench                                    everything: 6 to 8 minutes on a quiet machine
  make bench ARGS=--quick                       a look, in about a minute
  make bench ARGS="--only scripted --seconds 60 --json figures.json"
  python benchmarks/run.py --from figures.json --markdown    the tables again, for a page

The loads:
  scripted        engines that cost nothing: the server itself, and its voice detection
  embedded        the built-in recipe, all in Python and C on this machine's processors
  interrupted     scripted answers of 20 s, each interrupted by the next turn

What the columns mean is told by `vivavoce bench --help` and in benchmarks/README.md.
"""


@dataclass(frozen=True)
class Load:
    """What one server is put to."""

    name: str
    sessions: int
    options: tuple[str, ...]  # of the server
    period_s: float = 8


def loads(*, quick: bool) -> list[Load]:
    """Everything that is measured, in order."""
    scripted = ("--scenario", str(SCENARIOS / "short_answers.toml"))
    interrupted = ("--scenario", str(SCENARIOS / "interrupted_answers.toml"))
    return [
        *(Load("scripted", count, scripted) for count in ((1, 64) if quick else (1, 16, 64, 256))),
        *(Load("embedded", count, ()) for count in ((1,) if quick else (1, 4, 8))),
        *(Load("interrupted", count, interrupted, 5) for count in ((1,) if quick else (1, 16))),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 if anything could not be measured."""
    options = _options(argv)
    if options.source is not None:
        report = json.loads(options.source.read_text())
    else:
        report = {"machine": machine(), "rows": []}
        chosen = [
            load
            for load in loads(quick=options.quick)
            if options.only is None or load.name in options.only
        ]
        seconds = options.seconds or (8 if options.quick else 30)
        for load in chosen:
            report["rows"].append(_best(load, seconds, 1 if options.quick else options.tries))
            if options.json:
                options.json.write_text(json.dumps(report, indent=1) + "\n")
    sys.stderr.flush()
    print(story(report, markdown=options.markdown))
    return 1 if any(row.get("errors") for row in report["rows"]) else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run.py",
        description="Measure what conversations cost on this machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="few loads, 8 seconds each, one try")
    parser.add_argument("--seconds", type=float, help="for each load (30)")
    parser.add_argument(
        "--only",
        action="append",
        choices=("scripted", "embedded", "interrupted"),
        metavar="LOAD",
        help="this load and no other, of those below; repeatable",
    )
    parser.add_argument("--tries", type=int, default=2, help="for a load disturbed (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="FILE", help="measure nothing; tell this file"
    )
    return parser.parse_args(argv)


# Measuring.


def _best(load: Load, seconds: float, tries: int) -> dict[str, Any]:
    """The figures of the try that others disturbed least; one that none did is the last."""
    best: dict[str, Any] = {}
    for _ in range(max(1, tries)):
        sys.stderr.write(f"{load.name}, {load.sessions} sessions, {seconds:g} s\n")
        row = _measure(load, seconds)
        if not best or row.get("foreign_cores", 0) < best.get("foreign_cores", 0):
            best = row
        if not disturbed(best):
            break
    return best


def _measure(load: Load, seconds: float) -> dict[str, Any]:
    told = {"load": load.name, "sessions": load.sessions}
    with tempfile.TemporaryDirectory() as folder:
        try:
            with server(load.options, Path(folder)) as (process, url):
                return told | _driven(load, seconds, process, url, Path(folder) / "figures.json")
        except Unmeasured as why:
            return told | {"errors": [str(why)]}


class Unmeasured(Exception):  # noqa: N818 - said to a person
    """There are no figures; the message says why."""


@contextmanager
def server(options: Sequence[str], folder: Path) -> Iterator[tuple[psutil.Process, str]]:
    """A server of our own with what it says in *folder*, and its address; gone at the end."""
    command = [sys.executable, "-m", "vivavoce", "serve", "--port", "0", "--api-key", KEY]
    command += ["--data-dir", str(folder), "--log-level", "warning", "--drain", "0", *options]
    said = folder / "server.log"
    with said.open("wb") as log:
        process = psutil.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=_environment()
        )
    try:
        line = process.stdout.readline()
        if "listens on " not in line:
            raise Unmeasured(f"the server did not start: {said.read_text()[-500:]}")
        url = line.rpartition("listens on ")[2].strip()
        _await_engines(url, process, said)
        yield process, url
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait()


def _await_engines(url: str, process: psutil.Popen, log: Path) -> None:
    """Return when the server would take a session."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise Unmeasured(f"the engines are not ready: {log.read_text()[-500:]}")


def _environment() -> dict[str, str]:
    """Ours without what would configure the server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("VIVAVOCE_")}


def _driven(
    load: Load, seconds: float, process: psutil.Process, url: str, figures: Path
) -> dict[str, Any]:
    """Drive the load by `vivavoce bench`, in a process of its own."""
    command = [sys.executable, "-m", "vivavoce", "bench", url, "--key", KEY]
    command += ["--pid", str(process.pid), "--sessions", str(load.sessions)]
    command += ["--seconds", str(seconds), "--period", str(load.period_s), "--json", str(figures)]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
    if not figures.exists():
        raise Unmeasured(done.stderr.strip()[-500:] or f"bench ended with {done.returncode}")
    row: dict[str, Any] = json.loads(figures.read_text())["rows"][0]
    return row | {
        "disturbed": row["foreign_cores"] > CALM_SHARE * (psutil.cpu_count() or 1),
        "loadavg": round(os.getloadavg()[0], 2),
    }


# The machine.


def machine() -> dict[str, Any]:
    """What the figures were measured on; nothing that names it."""
    return {
        "processor": _processor(),
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": platform.system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "date": time.strftime("%Y-%m-%d"),
    }


def _processor() -> str:
    """Its name, and whether it is a virtual one."""
    name, virtual = platform.processor() or platform.machine(), False
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            virtual |= key.strip() == "flags" and "hypervisor" in value.split()
    return (
        f"{name} ({platform.machine()}, virtual)" if virtual else f"{name} ({platform.machine()})"
    )


# Telling.

COLUMNS = (
    ("load", "load"),
    ("sessions", "sessions"),
    ("turns", "turns"),
    ("first audio", "first_audio_ms"),
    ("stopped late", "speech_stopped_late_ms"),
    ("interrupted", "interrupted_ms"),
    ("CPU ms/s", "cpu_ms_per_session_second"),
    ("KB idle", "idle_rss_kb_per_session"),
    ("KB", "rss_kb_per_session"),
    ("MB", "rss_mb"),
    ("others", "foreign_cores"),
)


def disturbed(row: dict[str, Any]) -> bool:
    """Whether others had so much of the machine that p95 and p99 tell of them."""
    return bool(row.get("disturbed"))


def story(report: dict[str, Any], *, markdown: bool = False) -> str:
    """The machine, the table, and what is to be known of it."""
    told = report["machine"]
    facts = (
        f"{told['cores']} cores of {told['processor']}, {told['memory_gib']} GiB, "
        f"{told['system']}, {told['python']}, {told['date']}"
    )
    cells = [[name for name, _ in COLUMNS], *(_cells(row) for row in report["rows"])]
    lines = list(_markdown(cells) if markdown else _aligned(cells))
    return "\n".join([facts, "", *lines, "", *(f"- {each}" for each in remarks(report["rows"]))])


def _cells(row: dict[str, Any]) -> list[str]:
    cells = [_shown(row.get(key)) for _, key in COLUMNS]
    return [*cells[:-1], f"{cells[-1]} *" if disturbed(row) else cells[-1]]


def _shown(figure: dict[str, float] | float | str | None) -> str:
    match figure:
        case None:
            return "-"
        case dict():
            return "/".join(f"{each:.{int(each < 10)}f}" for each in figure.values())
        case _:
            return str(figure)


def _markdown(cells: Sequence[Sequence[str]]) -> Iterable[str]:
    for place, line in enumerate(cells):
        yield f"| {' | '.join(line)} |"
        if not place:
            yield "| --- |" + " ---: |" * (len(line) - 1)


def _aligned(cells: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        yield "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))


def remarks(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """What a reader of the table has to know."""
    yield (
        "times in ms as p50/p95/p99; KB a session, MB the server; others: cores used by programs "
        "outside the test"
    )
    rows = list(rows)
    if any(map(disturbed, rows)):
        yield (
            f"*: others used more than {CALM_SHARE:.0%} of the machine; p95 and p99 tell as "
            "much of them as of the server"
        )
    for row in rows:
        name = f"{row['load']}, {row['sessions']} sessions"
        for error in row.get("errors", ()):
            yield f"{name}: {error}"
        if (row.get("driver_lag_ms") or {}).get("p95", 0) > DRIVER_LAG_MS:
            yield f"{name}: the driver itself was late; its figures mean little"
        if row.get("unanswered"):
            yield f"{name}: {row['unanswered']} turns had no answer when the next one began"
        if row.get("audio_after_done"):
            yield f"{name}: audio of a cancelled answer came {row['audio_after_done']} times"


if __name__ == "__main__":
    sys.exit(main())
