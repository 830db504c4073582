"""Fifty sessions share one recogniser and one voice: how long does each wait, against its fair share?

    python benchmarks/sharing.py [--recogniser FOLDER] [--voice FOLDER] [--sessions 50] [--workers 2]

Without folders the models are tiny ones that know nothing; with them, real ones of sherpa-onnx.
All sessions come at the same moment. One in ten brings a lot at once: 30 s of audio, or 15 phrases;
the others bring 2 s, or one phrase. A session's fair share is the time in which its own units of
work would be done if all sessions had the machine in turn, unit by unit, to the end. What it waited
is the time from its coming to its last word or sound. Whoever is served in the order of coming, as
with a plain queue, makes the others wait for several times that.
"""

import argparse
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import anyio
import numpy as np
from msgspec import Struct

from vivavoce.audio.pcm import Pcm
from vivavoce.engines.api import HEARING_RATE_HZ, TranscriptionHints, Voice, Work
from vivavoce.engines.sherpa_synthesiser import SherpaSynthesiser
from vivavoce.engines.sherpa_transcriber import SherpaTranscriber
from vivavoce.testing import tiny_models
from vivavoce.testing.babble import babble

Value = TypeVar("Value")

LONG_EVERY = 10
LONG_S, SHORT_S = 30, 2
LONG_PHRASES, SHORT_PHRASES = 15, 1
PHRASE = "The train to the coast leaves at half past nine, and there is another one before noon. "


class Result(Struct, frozen=True):
    """What came of one round: waiting over fair share for each session that brought little."""

    name: str
    units: int
    unit_ms: float
    audio_s: float
    elapsed_s: float
    shares: tuple[float, ...]

    def line(self) -> str:
        """A row of the table."""
        p50, p99 = np.percentile(self.shares, [50, 99])
        return (
            f"| {self.name} | {self.units} | {self.unit_ms:.2f} | "
            f"{self.audio_s / self.elapsed_s:.0f} | {p50:.2f} | {p99:.2f} | {max(self.shares):.2f} |"
        )


async def measured(
    name: str,
    sessions: int,
    reports: list[Work],
    have: Callable[[bool], Awaitable[None]],
    units: Callable[[bool], int],
) -> Result:
    """Let all sessions come at once, and see how long each was there."""
    took_s: dict[int, float] = {}
    reports.clear()

    async def session(number: int) -> None:
        await have(number % LONG_EVERY == 0)
        took_s[number] = time.perf_counter() - begun

    begun = time.perf_counter()
    async with anyio.create_task_group() as all_sessions:
        for number in range(sessions):
            all_sessions.start_soon(session, number)
    elapsed_s = time.perf_counter() - begun
    total = sum(units(number % LONG_EVERY == 0) for number in range(sessions))
    round_s = sessions * elapsed_s / total
    shares = tuple(
        took_s[number] / (units(False) * round_s)
        for number in range(sessions)
        if number % LONG_EVERY
    )
    audio_s = sum(work.audio_s for work in reports)
    return Result(name, total, 1000 * elapsed_s / total, audio_s, elapsed_s, shares)


async def hearing(folder: Path, sessions: int, workers: int, batch: int) -> Result:
    """Sessions share a recogniser."""
    reports: list[Work] = []
    second = babble(1000, 140)

    async def turn(long: bool) -> None:
        pcm = Pcm(second.data * (LONG_S if long else SHORT_S), HEARING_RATE_HZ)
        async for _ in engine.transcribe(at_once(pcm), TranscriptionHints()):
            pass

    async with SherpaTranscriber(model=str(folder), workers=workers, batch=batch) as engine:
        engine.report = reports.append
        name = f"recogniser, batch {batch}"
        return await measured(
            name, sessions, reports, turn, lambda long: (LONG_S if long else SHORT_S) + 1
        )


async def speaking(folder: Path, sessions: int, workers: int) -> Result:
    """Sessions share a voice."""
    reports: list[Work] = []

    async def speech(long: bool) -> None:
        count = LONG_PHRASES if long else SHORT_PHRASES
        async for _ in engine.speak(at_once(*[PHRASE] * count), Voice()):
            pass

    async with SherpaSynthesiser(model=str(folder), workers=workers) as engine:
        engine.report = reports.append
        return await measured(
            "voice",
            sessions,
            reports,
            speech,
            lambda long: LONG_PHRASES if long else SHORT_PHRASES,
        )


async def at_once(*values: Value) -> AsyncIterator[Value]:
    """All that there is, without a pause."""
    for value in values:
        yield value


async def main(options: argparse.Namespace) -> None:
    """Print a table."""
    print("| model | units | ms a unit | x real time | wait / fair share p50 | p99 | max |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as kept:
        recogniser = options.recogniser or tiny_models.streaming_transducer(Path(kept) / "hears")
        voice = options.voice or tiny_models.kokoro_voice(Path(kept) / "speaks")
        for batch in (1, 8):
            result = await hearing(recogniser, options.sessions, options.workers, batch)
            print(result.line())
        print((await speaking(voice, options.sessions, options.workers)).line())


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--recogniser", type=Path, help="a folder with a model to recognise with")
    parser.add_argument("--voice", type=Path, help="a folder with a voice")
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    anyio.run(main, arguments())
