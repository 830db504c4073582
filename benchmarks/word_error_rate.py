"""How many words PocketSphinx gets wrong, as it comes and as it is served, and what that costs.

    python benchmarks/word_error_rate.py FOLDER [--show] [--only TEXT]

FOLDER holds recordings: WAV, mono, 16 bit, any rate. What is said in NAME.wav is written in NAME.txt
beside it; some published recordings are known without. Every recording is heard in four ways: as it
is, as a turn (300 ms of faint noise before it and 500 ms after, as server VAD cuts one out), as a
turn in a noisier room, and over the telephone (8 kHz, and 20 dB quieter).
"""

import argparse
import re
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import jiwer
import numpy as np
from numpy.typing import NDArray

from vivavoce.audio.pcm import of_samples
from vivavoce.audio.resample import Resampler
from vivavoce.engines import pocketsphinx_decoder as served

RATE_HZ = served.RATE_HZ
CHUNK = RATE_HZ // 10
SPOKEN = {
    "harvard_1": "the child almost hurt the small dog",
    "harvard_2": "drop the two when you add the figures",
    "harvard_3": "at that high level the air is pure",
    "harvard_4": "a thin stripe runs down the middle",
    "harvard_5": "sunday is the best part of the week",
    "hello_world": "hello world",
    "jfk": "and so my fellow americans ask not what your country can do for you "
    "ask what you can do for your country",
    "tell_me_the_weather": "can you please tell me the weather",
    "weather_question": "what's the weather in paris",
}
# Written differently, said alike.
SAME = {r"\bwhat's\b": "what is", r"\bwe're\b": "we are", r"\bmr\b": "mister"}
NEVER = 10**6

Samples = NDArray[np.int16]
Hear = Callable[[Samples], tuple[str, float]]  # the words, and seconds of CPU after the last audio


@dataclass(frozen=True)
class Clip:
    """What was said in a recording."""

    name: str
    samples: Samples
    words: str


@dataclass(frozen=True)
class Way:
    """A way to hear. *set_to*: constants of the served decoder that are different in it."""

    name: str
    make: Callable[[], Hear]
    set_to: tuple[tuple[str, object], ...] = ()


def library(*, at_once: bool = False, level_dbfs: float | None = None, **options: Any) -> Hear:
    """PocketSphinx used plainly; *at_once* it is given the mean of all that it will hear."""
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=RATE_HZ, loglevel="FATAL", **options)

    def hear(samples: Samples) -> tuple[str, float]:
        if level_dbfs is not None:
            gain = 10 ** ((level_dbfs - of_samples(samples, RATE_HZ).level_dbfs) / 20)
            samples = np.clip(samples * gain, -32768, 32767).astype(np.int16)
        decoder.reinit_feat()
        decoder.start_utt()
        for start in range(0, len(samples), len(samples) if at_once else CHUNK):
            piece = samples[start:] if at_once else samples[start : start + CHUNK]
            decoder.process_raw(piece.tobytes(), False, at_once)
        begun = time.process_time()
        decoder.end_utt()
        hypothesis = decoder.hyp()
        text = " ".join(served.plain(hypothesis.hypstr)) if hypothesis else ""
        return text, time.process_time() - begun

    return hear


def as_served() -> Hear:
    """A turn as the server hears it."""
    sphinx = served.Sphinx()

    def hear(samples: Samples) -> tuple[str, float]:
        turn = served.Turn(sphinx)
        words = [
            word
            for start in range(0, len(samples), CHUNK)
            for word in turn.feed(samples[start : start + CHUNK].tobytes())
        ]
        begun = time.process_time()
        words += turn.finish()
        return " ".join(words), time.process_time() - begun

    return hear


WAYS = (
    Way("plain: three passes", library),
    Way("plain, one pass", partial(library, fwdflat=False)),
    Way("plain, one pass, at -20 dBFS", partial(library, level_dbfs=-20, fwdflat=False)),
    Way("all at once, one pass", partial(library, at_once=True, fwdflat=False)),
    Way("as served", as_served),
    Way("as served, words at the end alone", as_served, (("STEADY", NEVER),)),
    Way("as served, words after 0.4 s", as_served, (("STEADY", 4), ("UNSETTLED", 2))),
    Way("as served, held for 1.2 s", as_served, (("HELD_FRAMES", 120), ("SHORT_FRAMES", 30))),
)


def recording(path: Path) -> Samples:
    """A recording at the rate of hearing."""
    with wave.open(str(path)) as file:
        if file.getnchannels() != 1 or file.getsampwidth() != 2:
            raise SystemExit(f"{path} is not mono with 16 bits")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return resampled(samples, file.getframerate(), RATE_HZ)


def resampled(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    resampler = Resampler(from_hz, to_hz)
    return np.concatenate([resampler.push(samples), resampler.flush()])


def clips(folder: Path) -> Iterator[Clip]:
    """The recordings of which it is known what is said."""
    for path in sorted(folder.glob("*.wav")):
        told = path.with_suffix(".txt")
        words = told.read_text() if told.exists() else SPOKEN.get(path.stem, "")
        if words:
            yield Clip(path.stem, recording(path), alike(words))


def alike(text: str) -> str:
    """*text* in a form in which only what was said makes a difference."""
    text = re.sub(r"[^a-z' ]", " ", text.lower())
    for written, other in SAME.items():
        text = re.sub(written, other, text)
    return " ".join(text.split())


def turn(samples: Samples, noise_dbfs: float) -> Samples:
    """The recording with a little of a quiet room before and after it."""
    room = np.random.default_rng(1).normal(0, 32768 * 10 ** (noise_dbfs / 20), 8 * RATE_HZ // 10)
    before, after = np.split(room.astype(np.int16), [3 * RATE_HZ // 10])
    return np.concatenate([before, samples, after])


def telephone(samples: Samples) -> Samples:
    narrow = resampled(resampled(samples, RATE_HZ, 8000), 8000, RATE_HZ)
    return turn((narrow / 10).astype(np.int16), -65)


CONDITIONS: dict[str, Callable[[Samples], Samples]] = {
    "as it is": lambda samples: samples,
    "turn": lambda samples: turn(samples, -65),
    "noisier": lambda samples: turn(samples, -50),
    "telephone": telephone,
}


def measure(way: Way, spoken: list[Clip], *, show: bool) -> None:
    """Print a line of the table."""
    rates, cpu_s, audio_s, last_s = [], 0.0, 0.0, []
    with ExitStack() as settings:
        for name, value in way.set_to:
            settings.enter_context(mock.patch.object(served, name, value))
        hear = way.make()
        for name, change in CONDITIONS.items():
            heard = []
            for clip in spoken:
                samples = change(clip.samples)
                begun = time.process_time()
                text, last = hear(samples)
                cpu_s += time.process_time() - begun
                audio_s += len(samples) / RATE_HZ
                last_s.append(last)
                heard.append(alike(text))
                if show:
                    print(f"    {name}, {clip.name}: {text}")
            rates.append(100 * jiwer.wer([clip.words for clip in spoken], heard))
    columns = " | ".join(f"{rate:5.1f}" for rate in [*rates, sum(rates) / len(rates)])
    last_ms = f"{1000 * np.median(last_s):5.0f} | {1000 * max(last_s):5.0f}"
    print(f"| {way.name:38} | {columns} | {cpu_s / audio_s:.2f} | {last_ms} |", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--show", action="store_true", help="what was heard, too")
    arguments.add_argument("--only", default="", help="only ways whose name begins like this")
    options = arguments.parse_args()
    spoken = list(clips(options.folder))
    if not spoken:
        raise SystemExit(f"in {options.folder} there is no recording with known words")
    words = sum(len(clip.words.split()) for clip in spoken)
    print(
        f"Word error rate in percent: {len(spoken)} recordings, {words} words, each heard 4 times"
    )
    print(f"| | {' | '.join(CONDITIONS)} | mean | CPU / audio | last words, CPU ms | most |")
    for way in WAYS:
        if way.name.startswith(options.only):
            measure(way, spoken, show=options.show)


if __name__ == "__main__":
    main()
