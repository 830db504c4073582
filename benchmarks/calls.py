"""Measures what calls cost this machine, and how promptly they are answered and interrupted.

    python benchmarks/calls.py                 Opus and G.711, 1, 10 and 20 calls: 13 minutes
    python benchmarks/calls.py --quick         a look, in five minutes
    python benchmarks/calls.py --codec opus --calls 10 --json figures.json

Each load meets a process of its own, freshly started: our server with scripted answers, or the
yardstick, in which aiortc decodes one audio track and sends it back. Both are called from the same
driver, a third process, over an address of this machine that is not loopback. Its calls are
aiortc's, fed with packets that were encoded beforehand; what comes in is noted, and decoded when
all is over.

Every call first listens to a quiet room for so many seconds. Then it says a sentence of two seconds
every five, whatever the server does; the answers last 20 s, so each sentence interrupts one, and the
server speaks half of the time.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is imported, as when serving

import argparse
import json
import math
import multiprocessing
import socket
import sys
import tempfile
import time
import urllib.request
from bisect import bisect, bisect_left
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from functools import partial
from itertools import pairwise
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import anyio
import msgspec
import numpy as np
import psutil
import pybase64
import uvicorn
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtp import RtpPacket
from anyio import to_thread
from av import Packet
from msgspec import Struct
from run import KEY, SCENARIOS, STOP_S, Unmeasured, machine, server
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vivavoce.cli.bench import CALM_SHARE, GOLDEN, Server, machine_s, quantiles
from vivavoce.cli.load import Seen, sound
from vivavoce.engines.api import FRAME_SAMPLES, HEARING_RATE_HZ, Frames
from vivavoce.engines.silero import Silero
from vivavoce.transports.webrtc.offer import AudioCodec
from vivavoce.transports.webrtc.voice import decoder_of, encoder_of

CODECS = {"opus": AudioCodec("opus", 96, 48000), "pcmu": AudioCodec("PCMU", 0, 8000)}
FRAME_S = 0.02
FRAME_BYTES = 960
LEAD_IN_S = 2.0
PERIOD_S = 5.0
SPEECH_FRAMES = 105  # two seconds, and until no codec sounds any more
LOUD = 300  # of 32,768: a tenth of the answers' tone, and more than a codec's echo of it
CUT_S = 0.15  # an answer that was last heard longer ago was not being spoken
CONNECT_S = 20
MOST_CALLS, MOST_SECONDS = 100, 120
DRIVER_LAG_MS = 20
LEAST_PACKETS_PER_S = 49  # of 50
TARGET_MS = 60  # from `speech_started` to silence


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 if anything could not be measured."""
    options = _options(argv)
    report: dict[str, Any] = {"machine": machine(), "rows": []}
    for codec in options.codec:
        for count in options.calls:
            for load in (ours, echo, detector):
                sys.stderr.write(f"{load.__name__}, {codec}, {count} calls\n")
                told = {"load": load.__name__, "codec": codec, "calls": count}
                report["rows"].append(told | load(codec, count, options.seconds))
                if options.json:
                    options.json.write_text(json.dumps(report, indent=1) + "\n")
    sys.stderr.flush()
    print(story(report, markdown=options.markdown))
    return 1 if any(row.get("errors") for row in report["rows"]) else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="benchmarks/calls.py", description="Measure what calls cost on this machine."
    )
    parser.add_argument(
        "--calls", type=_counts, metavar="N,N", help="how many at once (1,10,20; quick: 1,5)"
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        metavar="S",
        help="of silence, and as many of talk, for each load (20; quick: 8)",
    )
    parser.add_argument(
        "--codec", type=_codecs, default=list(CODECS), metavar="NAME,NAME", help="opus,pcmu"
    )
    parser.add_argument("--quick", action="store_true", help="few calls, 8 seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    options = parser.parse_args(argv)
    options.calls = options.calls or ([1, 5] if options.quick else [1, 10, 20])
    options.seconds = options.seconds or (8.0 if options.quick else 20.0)
    return options


def _counts(text: str) -> list[int]:
    counts = [int(each) for each in text.split(",")]
    if not all(0 < each <= MOST_CALLS for each in counts):
        raise argparse.ArgumentTypeError(f"give numbers from 1 to {MOST_CALLS}")
    return counts


def _seconds(text: str) -> float:
    if not 0 < float(text) <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"give a number up to {MOST_SECONDS}")
    return float(text)


def _codecs(text: str) -> list[str]:
    names = text.split(",")
    if not set(names) <= set(CODECS):
        raise argparse.ArgumentTypeError(f"give some of {','.join(CODECS)}")
    return names


# The loads.


class Order(Struct, frozen=True):
    """What the driver is to do. *converses*: whether there are answers to take the times of."""

    url: str
    pid: int
    codec: str
    calls: int
    seconds: float
    converses: bool


def ours(codec: str, count: int, seconds: float) -> dict[str, Any]:
    """Calls to our server."""
    scenario = ("--scenario", str(SCENARIOS / "calls.toml"))
    with tempfile.TemporaryDirectory() as folder:
        try:
            with server(scenario, Path(folder)) as (process, url):
                order = Order(url, process.pid, codec, count, seconds, converses=True)
                row = driven(order)
                time.sleep(1)  # until the server has counted what the calls were that ended
                return row | {"concealed": concealed(url)}
        except Unmeasured as why:
            return {"errors": [str(why)]}


def echo(codec: str, count: int, seconds: float) -> dict[str, Any]:
    """Calls to aiortc, which decodes what it hears and sends it back."""
    try:
        with child(_echo) as (process, hears):
            url = said(hears, "the echo")
            return driven(Order(url, process.pid or 0, codec, count, seconds, converses=False))
    except Unmeasured as why:
        return {"errors": [str(why)]}


def detector(codec: str, count: int, seconds: float) -> dict[str, Any]:
    """Our voice detector alone, as fast as it goes, with the frames of so many calls."""
    try:
        with child(_detect, count) as (_, hears):
            spent: float = said(hears, "the detector")
            return {"quiet_ms": round(spent, 3), "talk_ms": round(spent, 3)}
    except Unmeasured as why:
        return {"errors": [str(why)]}


def driven(order: Order) -> dict[str, Any]:
    """The figures that the driver has of that load."""
    with child(_drive, order) as (_, hears):
        patience_s = 3 * (order.seconds + PERIOD_S) + 2 * order.calls + CONNECT_S
        row: dict[str, Any] = said(hears, "the driver", patience_s)
    return row


def concealed(url: str) -> int | None:
    """How many frames our server put in the place of what did not come in time."""
    request = urllib.request.Request(f"{url}/metrics", headers={"Authorization": f"Bearer {KEY}"})
    with suppress(OSError), urllib.request.urlopen(request, timeout=5) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith('vivavoce_rtp_packets_total{fate="concealed"}'):
                return int(float(line.split()[-1]))
    return None


@contextmanager
def child(work: Any, *given: object) -> Iterator[tuple[SpawnProcess, Connection]]:
    """A process that does *work* and what it says; gone at the end. *work* is any function."""
    context = multiprocessing.get_context("spawn")
    hears, says = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(*given, says), daemon=True)
    process.start()
    says.close()
    try:
        yield process, hears
    finally:
        process.terminate()
        process.join(STOP_S)
        if process.is_alive():
            process.kill()
            process.join()


def said(hears: Connection, who: str, patience_s: float = 60) -> Any:
    """What a child says next, in its own type."""
    try:
        if hears.poll(patience_s):
            return hears.recv()
    except EOFError:
        raise Unmeasured(f"{who} died") from None
    raise Unmeasured(f"{who} took longer than {patience_s:.0f} s")


# The yardstick.


def _echo(says: Connection) -> None:
    peers = []

    async def answer(request: Request) -> Response:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peers.append(peer)
        peer.on("track", peer.addTrack)
        offer = (await request.body()).decode()
        await peer.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return Response(peer.localDescription.sdp, 201)

    app = Starlette(routes=[Route("/v1/realtime/calls", answer, methods=["POST"])])
    listening = socket.create_server(("127.0.0.1", 0))
    says.send(f"http://127.0.0.1:{listening.getsockname()[1]}")
    settings = uvicorn.Config(app, log_level="error", loop="uvloop", lifespan="off")
    uvicorn.Server(settings).run(sockets=[listening])


def _detect(streams: int, says: Connection) -> None:
    """Say what milliseconds of processor time a second of one stream takes."""
    count = 6000 // streams

    async def frames() -> AsyncIterator[Frames]:
        for _ in range(count):
            yield np.zeros((1, FRAME_SAMPLES), np.float32)

    async def measure() -> float:
        async def listen() -> None:
            async for _ in silero.detect(frames()):
                pass

        async with Silero() as silero:
            began = time.process_time()
            async with anyio.create_task_group() as listeners:
                for _ in range(streams):
                    listeners.start_soon(listen)
            return time.process_time() - began

    spent_s = anyio.run(measure, backend_options={"use_uvloop": True})
    says.send(spent_s * 1000 / count / streams * HEARING_RATE_HZ / FRAME_SAMPLES)


# The driver.


class Packets(Struct, frozen=True):
    """What is said, encoded: a sentence, and a quiet room for ever."""

    speech: list[bytes]
    quiet: list[bytes]


async def packets(codec: AudioCodec) -> Packets:
    """The sound of `vivavoce bench`."""
    spoken = await sound()
    quiet, speech = (
        b"".join(pybase64.b64decode(json.loads(append)["audio"]) for append in appends)
        for appends in (spoken.quiet, spoken.speech)
    )
    encode, pcm = encoder_of(codec).encode, quiet + speech + quiet
    payloads = [encode(pcm[at : at + FRAME_BYTES]) for at in range(0, len(pcm), FRAME_BYTES)]
    begins = len(quiet) // FRAME_BYTES
    ends = begins + SPEECH_FRAMES
    return Packets(payloads[begins:ends], payloads[ends:])


class Microphone(MediaStreamTrack):
    """Says what there is to say, packet by packet, and notes when each was handed over."""

    kind = "audio"

    def __init__(self, codec: AudioCodec, saying: Packets) -> None:
        super().__init__()
        self.sent_at: list[float] = []
        self.onsets: list[float] = []
        self.lag_ms: list[float] = []
        self._codec = codec
        self._saying = saying
        self._begin, self._first = 0.0, 0
        self._begun = anyio.Event()

    def begin(self, at: float, quiet_s: float) -> None:
        """Send from that moment on, and speak when so many seconds have passed."""
        self._begin, self._first = at, round(quiet_s / FRAME_S)
        self._begun.set()

    async def recv(self) -> "Packet[Any]":
        await self._begun.wait()
        number = len(self.sent_at)
        due = self._begin + number * FRAME_S
        await anyio.sleep(max(0.0, due - time.perf_counter()))
        packet = Packet(self._payload(number))
        packet.pts = number * round(self._codec.clock_hz * FRAME_S)
        packet.time_base = Fraction(1, self._codec.clock_hz)
        now = time.perf_counter()
        self.lag_ms.append((now - due) * 1000)
        self.sent_at.append(now)
        if number >= self._first and (number - self._first) % round(PERIOD_S / FRAME_S) == 0:
            self.onsets.append(now)
        return packet

    def _payload(self, number: int) -> bytes:
        speech, quiet = self._saying.speech, self._saying.quiet
        step = (number - self._first) % round(PERIOD_S / FRAME_S)
        if number >= self._first and step < len(speech):
            return speech[step]
        return quiet[number % len(quiet)]


class Caller:
    """One call: what it says, and what it hears and when."""

    def __init__(self, codec: AudioCodec, saying: Packets) -> None:
        self.microphone = Microphone(codec, saying)
        self.heard: list[tuple[float, bytes]] = []
        self.seen: list[tuple[float, Seen]] = []
        self._codec = codec
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._open = anyio.Event()

    async def connect(self, url: str) -> None:
        """Call; return when the other side is sure to hear us."""
        peer = self._peer
        transceiver = peer.addTransceiver(self.microphone)
        known = RTCRtpSender.getCapabilities("audio").codecs
        mime_type = f"audio/{self._codec.name}".lower()
        transceiver.setCodecPreferences(
            [each for each in known if each.mimeType.lower() == mime_type]
        )
        # In the place of aiortc's own, which would decode everything.
        transceiver.receiver._handle_rtp_packet = self._hear  # type: ignore[method-assign]
        channel = peer.createDataChannel("oai-events")
        channel.on("open", self._open.set)
        channel.on("message", self._see)
        await peer.setLocalDescription(await peer.createOffer())
        request = urllib.request.Request(
            f"{url}/v1/realtime/calls?model=gpt-realtime",
            data=peer.localDescription.sdp.encode(),
            headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/sdp"},
        )
        with await to_thread.run_sync(partial(urllib.request.urlopen, request, timeout=10)) as said:
            answer = RTCSessionDescription(sdp=said.read().decode(), type="answer")
        await peer.setRemoteDescription(answer)
        with anyio.fail_after(CONNECT_S):
            await self._open.wait()

    async def _hear(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        self.heard.append((time.perf_counter(), packet.payload))

    def _see(self, message: str) -> None:
        self.seen.append((time.perf_counter(), msgspec.json.decode(message, type=Seen)))

    async def hang_up(self) -> None:
        """Leave."""
        await self._peer.close()


class Mark(Struct, frozen=True):
    """What was spent by that moment, in seconds of processor time, and the server's memory."""

    at: float
    server_s: float
    own_s: float
    machine_s: float
    rss_kb: float


def _drive(order: Order, says: Connection) -> None:
    says.send(anyio.run(_held, order, backend_options={"use_uvloop": True}))


async def _held(order: Order) -> dict[str, Any]:
    measured = Server(psutil.Process(order.pid))
    saying = await packets(CODECS[order.codec])
    try:
        await _hold(msgspec.structs.replace(order, calls=1, seconds=0.1), saying, measured)
        await anyio.sleep(1)
        before_kb = measured.rss_kb()
        callers, marks = await _hold(order, saying, measured)
    except (OSError, TimeoutError) as failure:
        return {"errors": [f"no call: {failure!r}"]}
    row = costs(order, before_kb, marks)
    row["packets_per_s"] = heard_per_s(callers, marks[2].at, marks[3].at)
    row["driver_lag_ms"] = quantiles(lag for each in callers for lag in each.microphone.lag_ms)
    if order.converses:
        row |= times(order, callers)
    return row


async def _hold(
    order: Order, saying: Packets, measured: Server
) -> tuple[list[Caller], tuple[Mark, ...]]:
    """Hold so many calls; with what was spent before and after silence, before and after talk."""

    def mark() -> Mark:
        spent = measured.cpu_s(), time.process_time(), machine_s()
        return Mark(time.perf_counter(), *spent, measured.rss_kb())

    callers = []
    try:
        for _ in range(order.calls):
            callers.append(Caller(CODECS[order.codec], saying))
            await callers[-1].connect(order.url)
        begin = time.perf_counter() + 0.1
        talk = LEAD_IN_S + order.seconds
        for number, caller in enumerate(callers):
            at = begin + number * GOLDEN % 1 * FRAME_S
            caller.microphone.begin(at, talk + number / order.calls * PERIOD_S)
        marks = []
        for moment in (LEAD_IN_S, talk, talk + PERIOD_S, talk + PERIOD_S + order.seconds):
            await anyio.sleep(begin + moment - time.perf_counter())
            marks.append(mark())
    finally:
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as leaving:
                for caller in callers:
                    leaving.start_soon(caller.hang_up)
    return callers, tuple(marks)


# What came of it.


def costs(order: Order, before_kb: float, marks: Sequence[Mark]) -> dict[str, Any]:
    """Processor time for a second of a call, and memory; what others and the driver took."""
    row: dict[str, Any] = {}
    foreign = own = 0.0
    for name, (before, after) in zip(("quiet", "talk"), (marks[:2], marks[2:]), strict=True):
        spent = after.server_s - before.server_s
        row[f"{name}_ms"] = round(spent * 1000 / order.calls / order.seconds, 3)
        row[f"{name}_kb"] = round((after.rss_kb - before_kb) / order.calls)
        mine = after.own_s - before.own_s
        foreign += max(0.0, after.machine_s - before.machine_s - spent - mine)
        own += mine
    return row | {
        "calls_per_core": round(1000 / row["talk_ms"], 1),
        "foreign_cores": round(foreign / order.seconds / 2, 2),
        "driver_cores": round(own / order.seconds / 2, 3),
    }


def heard_per_s(callers: Sequence[Caller], begin: float, end: float) -> float:
    """How many packets a call heard in a second; fewer than 50: the server had too much to do."""
    count = sum(begin <= at < end for caller in callers for at, _ in caller.heard)
    return round(count / len(callers) / (end - begin), 1)


def times(order: Order, callers: Iterable[Caller]) -> dict[str, Any]:
    """How promptly all of them were answered and interrupted."""
    answered: list[float] = []
    late: list[float] = []
    since_onset: list[float] = []
    since_started: list[float] = []
    errors = set()
    for caller in callers:
        sounding = heard_at(caller.heard, CODECS[order.codec])
        stops = [(at, each) for at, each in caller.seen if each.type.endswith("speech_stopped")]
        starts = [at for at, each in caller.seen if each.type.endswith("speech_started")]
        errors |= {each.error.message for _, each in caller.seen if each.error is not None}
        sent_at, onsets = caller.microphone.sent_at, caller.microphone.onsets
        for at, due in completed(stops, sent_at):
            late.append((at - due) * 1000)
            if first := _first_in(sounding, due, _first_in(onsets, due, math.inf) or math.inf):
                answered.append((first - due) * 1000)
        for onset, following in pairwise([*onsets, math.inf]):
            started = _first_in(starts, onset, following)
            end = _first_in([at for at, _ in stops], onset, following)
            last = sounding[bisect_left(sounding, end) - 1] if end and sounding else 0.0
            speaking = _first_in(sounding, onset - CUT_S, onset)
            if started and last and speaking:
                since_onset.append((last - onset) * 1000)
                since_started.append((last - started) * 1000)
    return {
        "turns": len(late),
        "interruptions": len(since_onset),
        "answered_ms": spread(answered),
        "stopped_late_ms": spread(late),
        "silent_since_onset_ms": spread(since_onset),
        "silent_since_started_ms": spread(since_started),
        "errors": sorted(errors),
    }


def completed(
    stops: Iterable[tuple[float, Seen]], sent_at: Sequence[float]
) -> Iterator[tuple[float, float]]:
    """When `speech_stopped` came, and when the packet went out that completes the silence.

    A frame that the server heard in the place of one that was late puts its count of the audio one
    ahead of ours for good, which shows when it has heard what was not sent.
    """
    ahead = 1
    for at, stopped in stops:
        place = math.ceil(stopped.audio_end_ms / 1000 / FRAME_S)
        while place - ahead >= len(sent_at) or at < sent_at[place - ahead]:
            ahead += 1
        yield at, sent_at[place - ahead]


def _first_in(moments: Sequence[float], after: float, before: float) -> float | None:
    place = bisect(moments, after)
    return moments[place] if place < len(moments) and moments[place] < before else None


def heard_at(heard: Iterable[tuple[float, bytes]], codec: AudioCodec) -> list[float]:
    """When packets came that sound."""
    decode, silence = decoder_of(codec).decode, encoder_of(codec).encode(None)
    return [
        at
        for at, payload in heard
        if payload != silence and np.abs(np.frombuffer(decode(payload), "<i2")).max() > LOUD
    ]


def spread(values: Iterable[float]) -> dict[str, float] | None:
    """The median, the 95th hundredth and the last; None of nothing."""
    ordered = sorted(values)
    figures = quantiles(ordered)
    if figures is None:
        return None
    return {"p50": figures["p50"], "p95": figures["p95"], "max": round(ordered[-1], 2)}


# Telling.

COLUMNS = (
    ("load", "load"),
    ("codec", "codec"),
    ("calls", "calls"),
    ("CPU quiet", "quiet_ms"),
    ("CPU talk", "talk_ms"),
    ("a core", "calls_per_core"),
    ("KB quiet", "quiet_kb"),
    ("KB", "talk_kb"),
    ("answered", "answered_ms"),
    ("stopped late", "stopped_late_ms"),
    ("onset-silence", "silent_since_onset_ms"),
    ("started-silence", "silent_since_started_ms"),
    ("others", "foreign_cores"),
)


def story(report: dict[str, Any], *, markdown: bool = False) -> str:
    """The machine, the table, and what is to be known of it."""
    told = report["machine"]
    facts = (
        f"{told['cores']} cores of {told['processor']}, {told['memory_gib']} GiB, "
        f"{told['system']}, {told['python']}, {told['date']}"
    )
    cells = [[name for name, _ in COLUMNS], *(_cells(row) for row in report["rows"])]
    lines = _markdown(cells) if markdown else _aligned(cells)
    return "\n".join([facts, "", *lines, "", *(f"- {each}" for each in remarks(report["rows"]))])


def _cells(row: dict[str, Any]) -> list[str]:
    cells = [_shown(row.get(key)) for _, key in COLUMNS]
    return [*cells[:-1], f"{cells[-1]} *" if disturbed(row) else cells[-1]]


def _shown(figure: dict[str, float] | float | str | None) -> str:
    match figure:
        case None:
            return "-"
        case dict():
            return "/".join(f"{each:.{int(abs(each) < 10)}f}" for each in figure.values())
        case float():
            return f"{figure:.{1 + (figure < 10)}f}"
        case _:
            return str(figure)


def _markdown(cells: Sequence[Sequence[str]]) -> Iterable[str]:
    for place, line in enumerate(cells):
        yield f"| {' | '.join(line)} |"
        if not place:
            yield "| --- | --- |" + " ---: |" * (len(line) - 2)


def _aligned(cells: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        yield "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))


def disturbed(row: dict[str, Any]) -> bool:
    """Whether others had so much of the machine that the figures tell of them."""
    return bool(row.get("foreign_cores", 0) > CALM_SHARE * (psutil.cpu_count() or 1))


def overloaded(row: dict[str, Any]) -> bool:
    """Whether packets were missing, so that the figures are of less than was asked for."""
    return bool(row.get("packets_per_s", math.inf) < LEAST_PACKETS_PER_S)


def remarks(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What a reader of the table has to know."""
    yield (
        "CPU: ms for a second of one call; KB a call; times in ms as p50/p95/max; 50 ms of "
        "'answered' are the scripted engine's; others: cores used by programs outside the test"
    )
    if any(map(disturbed, rows)):
        yield f"*: others used more than {CALM_SHARE:.0%} of the machine; the figures tell of them"
    for row in rows:
        name = f"{row['load']}, {row['codec']}, {row['calls']} calls"
        for error in row.get("errors", ()):
            yield f"{name}: {error}"
        if (row.get("driver_lag_ms") or {}).get("p95", 0) > DRIVER_LAG_MS:
            yield f"{name}: the driver itself was late; its times mean little"
        if overloaded(row):
            yield f"{name}: {row['packets_per_s']} packets a second came, not 50: it costs more"
        if row.get("concealed"):
            yield f"{name}: {row['concealed']} frames came too late; 'due' may be off by as many"
        if (row.get("silent_since_started_ms") or {}).get("max", 0) > TARGET_MS:
            yield f"{name}: silence came later than {TARGET_MS} ms after speech_started"
    yield from verdicts(rows)


def verdicts(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Whether a call costs no more than an echo of aiortc's and the detector together."""
    spent = {(row["load"], row["codec"], row["calls"]): row for row in rows if "talk_ms" in row}
    for (load, codec, count), row in spent.items():
        others = [spent.get((each, codec, count)) for each in ("echo", "detector")]
        if load != "ours" or None in others:
            continue
        if any(overloaded(each) for each in (row, *others) if each):
            yield f"{codec}, {count} calls: not compared, for one side had too much to do"
            continue
        for phase in ("quiet", "talk"):
            allowed = sum(each[f"{phase}_ms"] for each in others if each)
            share = row[f"{phase}_ms"] / allowed
            yield f"{codec}, {count} calls, {phase}: {share:.0%} of an echo and the detector"


if __name__ == "__main__":
    sys.exit(main())
