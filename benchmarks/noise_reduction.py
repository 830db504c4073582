"""What noise reduction does to noise, to speech, and to those who listen after it; and its cost.

    python benchmarks/noise_reduction.py [--skip-words] FOLDER

FOLDER has recordings of people, harvard_*.wav and jfk.wav, noise.wav without speech, and README.md,
whose table says which words are in which file. Made noise has a fixed seed, so that all but the
cost is the same each time.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is imported

import argparse
import math
import re
import time
import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from statistics import median
from typing import Literal

import anyio
import numpy as np
from numpy.typing import NDArray

from vivavoce.audio.denoise import DELAY_MS, Denoiser
from vivavoce.audio.pcm import Pcm, of_samples
from vivavoce.audio.resample import Resampler
from vivavoce.engines.api import (
    FRAME_SAMPLES,
    HEARING_RATE_HZ,
    Frames,
    Transcript,
    TranscriptionHints,
)
from vivavoce.engines.silero import Silero

Sound = NDArray[np.float64]
Kind = Literal["near_field", "far_field"]

KINDS: list[Kind] = ["near_field", "far_field"]
NOISES = ["white", "pink", "hum", "recorded"]
WIRE_HZ = 24000
LEAD_S = 1.0  # of noise alone, before anybody speaks


def power(sound: Sound) -> float:
    return float(np.mean(np.square(sound)))


def decibels(ratio: float) -> float:
    return 10 * float(np.log10(max(ratio, 1e-12)))


def resampled(samples: NDArray[np.int16], from_hz: int, to_hz: int) -> NDArray[np.int16]:
    resampler = Resampler(from_hz, to_hz)
    return np.concatenate([resampler.push(samples), resampler.flush()])


def recording(file: Path, rate_hz: int) -> Sound:
    with wave.open(str(file)) as source:
        samples = np.frombuffer(source.readframes(source.getnframes()), "<i2")
        return resampled(samples, source.getframerate(), rate_hz).astype(np.float64)


def noise(colour: str, folder: Path, rate_hz: int, count: int, level: float) -> Sound:
    """*count* samples of noise of the mean power *level*."""
    white = np.random.default_rng(1).normal(0, 1, count)
    match colour:
        case "white":
            sound = white
        case "pink":
            hertz = np.maximum(np.fft.rfftfreq(count, 1 / rate_hz), 20)
            sound = np.fft.irfft(np.fft.rfft(white) / np.sqrt(hertz), count)
        case "hum":
            seconds = np.arange(count) / rate_hz
            sound = 0.02 * white
            for n in range(1, 20):
                sound += np.sin(2 * np.pi * 50 * n * seconds + n) / n
        case _:
            sound = np.resize(recording(folder / "noise.wav", rate_hz), count)
    return sound * math.sqrt(level / power(sound))


def denoised(sound: Sound, rate_hz: int, kind: Kind | None) -> Sound:
    """*sound* as it is heard on, back at its own time."""
    samples = np.rint(sound).clip(-32768, 32767).astype(np.int16)
    if kind is None:
        return samples.astype(np.float64)
    late = rate_hz * DELAY_MS // 1000
    made = Denoiser(rate_hz, kind).push(np.concatenate([samples, np.zeros(late, np.int16)]))
    return made[late:].astype(np.float64)


def people(folder: Path, rate_hz: int, pause_s: float = 0.0) -> Sound:
    """All recordings, each after a pause."""
    pause = np.zeros(round(pause_s * rate_hz))
    files = [*sorted(folder.glob("harvard_*.wav")), folder / "jfk.wav"]
    return np.concatenate([part for file in files for part in (pause, recording(file, rate_hz))])


def segmental_db(speech: Sound, heard: Sound, rate_hz: int) -> float:
    """The ratio of speech to all else, over the stretches of 20 ms with speech."""
    width = rate_hz // 50
    count = len(speech) // width * width
    powers = np.mean(speech[:count].reshape(-1, width) ** 2, axis=1)
    errors = np.mean((heard - speech)[:count].reshape(-1, width) ** 2, axis=1)
    spoken = powers > powers.max() / 1000
    return float(np.mean((10 * np.log10(powers[spoken] / (errors[spoken] + 1e-9))).clip(-10, 35)))


def sound_quality(folder: Path) -> None:
    print("noise alone: reduction in dB after the first half second; speech in noise: gain in")
    print("signal-to-noise ratio in dB, over all / mean over stretches of speech")
    for rate_hz in (24000, 8000):
        speech = people(folder, rate_hz)
        lead = np.zeros(round(LEAD_S * rate_hz))
        for kind in KINDS:
            clean = denoised(speech, rate_hz, kind)
            level = decibels(power(clean) / power(speech))
            kept = segmental_db(speech, clean, rate_hz)
            print(f"{rate_hz} Hz {kind}: undisturbed speech {level:+.2f} dB,", end="")
            print(f" {kept:.1f} dB above what was changed")
            for colour in NOISES:
                alone = noise(colour, folder, rate_hz, 10 * rate_hz, 300**2)
                settled = slice(rate_hz // 2, None)
                left = denoised(alone, rate_hz, kind)[settled]
                print(f"  {colour:9} {decibels(power(alone[settled]) / power(left)):5.1f}", end="")
                for ratio_db in (0, 5, 10, 15):
                    wanted = np.concatenate([lead, speech])
                    added = noise(
                        colour,
                        folder,
                        rate_hz,
                        len(wanted),
                        power(speech) / 10 ** (ratio_db / 10),
                    )
                    heard = denoised(wanted + added, rate_hz, kind)[len(lead) :]
                    added = added[len(lead) :]
                    gain = decibels(power(added) / power(heard - speech))
                    segmental = segmental_db(speech, heard, rate_hz)
                    segmental -= segmental_db(speech, speech + added, rate_hz)
                    print(f"   at {ratio_db} dB {gain:+.1f} / {segmental:+.1f}", end="")
                print()


def to_hear(sound: Sound, kind: Kind | None) -> NDArray[np.int16]:
    """Sound off the wire at the rate at which engines hear."""
    return resampled(denoised(sound, WIRE_HZ, kind).astype(np.int16), WIRE_HZ, HEARING_RATE_HZ)


async def voiced(silero: Silero, samples: NDArray[np.int16]) -> NDArray[np.bool_]:
    """For every frame, whether Silero hears a voice in it."""
    frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)

    async def all_at_once() -> AsyncIterator[Frames]:
        yield frames * np.float32(1 / 32768)

    return np.array([p >= 0.5 async for each in silero.detect(all_at_once()) for p in each])


async def voice_detection(folder: Path) -> None:
    print("voice detection by Silero, threshold 0.5: frames of speech that are missed / frames of")
    print("noise that are taken for speech, in percent of either; as it decides without any noise")
    speech = people(folder, WIRE_HZ, pause_s=1.5)
    async with Silero() as silero:
        truth = await voiced(silero, to_hear(speech, None))
        for colour in NOISES:
            for ratio_db in (-5, 0, 5, 10):
                level = power(speech[speech != 0]) / 10 ** (ratio_db / 10)
                added = noise(colour, folder, WIRE_HZ, len(speech), level)
                print(f"  {colour:9} {ratio_db:3} dB", end="")
                for kind in (None, *KINDS):
                    decided = await voiced(silero, to_hear(speech + added, kind))
                    missed, taken = 100 * np.mean(~decided[truth]), 100 * np.mean(decided[~truth])
                    print(f"   {kind or 'none'} {missed:4.1f} / {taken:4.1f}", end="")
                print()


def spoken(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The files and their words."""
    for row in (folder / "README.md").read_text().splitlines():
        cells = [cell.strip(" `") for cell in row.split("|")]
        if len(cells) > 4 and re.match(r"harvard_\d|jfk", cells[1]):
            yield cells[1], re.findall(r"[a-z']+", cells[4].lower())


def mistakes(wanted: list[str], got: list[str]) -> int:
    """Words to be put in, left out or replaced."""
    row = list(range(len(got) + 1))
    for i, word in enumerate(wanted, 1):
        above, row[0] = row[0], i
        for j, other in enumerate(got, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (word != other))
    return row[-1]


async def words(folder: Path) -> None:
    try:
        from vivavoce.engines.pocketsphinx import PocketSphinx
    except ImportError:
        print("words: no recogniser")
        return
    print("word errors of PocketSphinx in percent, noise for a second before each turn")
    turns = [(recording(folder / name, WIRE_HZ), wanted) for name, wanted in spoken(folder)]
    lead = np.zeros(round(LEAD_S * WIRE_HZ))
    heard_from = round((LEAD_S - 0.3) * HEARING_RATE_HZ)
    async with PocketSphinx() as sphinx:

        async def errors(colour: str, ratio_db: float, kind: Kind | None) -> float:
            wrong = 0
            for speech, wanted in turns:
                sound = np.concatenate([lead, speech])
                level = power(speech) / 10 ** (ratio_db / 10)
                added = noise(colour, folder, WIRE_HZ, len(sound), level)
                turn = to_hear(sound + added, kind)[heard_from:]

                async def audio(turn: NDArray[np.int16] = turn) -> AsyncIterator[Pcm]:
                    yield of_samples(turn, HEARING_RATE_HZ)

                async for said in sphinx.transcribe(audio(), TranscriptionHints()):
                    if isinstance(said, Transcript):
                        wrong += mistakes(wanted, said.text.split())
            return 100 * wrong / sum(len(wanted) for _, wanted in turns)

        print(f"  of {sum(len(wanted) for _, wanted in turns)} words")
        for colour, ratio_db in [("white", 60), *((c, r) for c in NOISES for r in (5, 10))]:
            rates = [
                (kind or "none", await errors(colour, ratio_db, kind)) for kind in (None, *KINDS)
            ]
            shown = "   ".join(f"{kind} {rate:4.0f}" for kind, rate in rates)
            print(f"  {colour:9} {ratio_db:3} dB   {shown}", flush=True)


def cost() -> None:
    print("us of one core a chunk: median, least of a hundred")
    for rate_hz in (24000, 8000):
        for milliseconds in (20, 100):
            sound = np.random.default_rng(1).normal(0, 500, rate_hz * milliseconds // 1000)
            samples, denoiser, taken = sound.astype(np.int16), Denoiser(rate_hz, "far_field"), []
            for _ in range(3000):
                began_ns = time.thread_time_ns()
                denoiser.push(samples)
                taken.append((time.thread_time_ns() - began_ns) / 1000)
            low = float(np.percentile(taken, 1))
            print(f"  {rate_hz} Hz, {milliseconds} ms: {median(taken):.0f}, {low:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--skip-words", action="store_true", help="words take the longest")
    options = parser.parse_args()
    cost()
    sound_quality(options.folder)
    anyio.run(voice_detection, options.folder)
    if not options.skip_words:
        anyio.run(words, options.folder)


if __name__ == "__main__":
    main()
