"""Speech for the tests: made on the spot, or a person's."""

import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pybase64

from vivavoce.audio.pcm import of_samples
from vivavoce.audio.resample import Resampler
from vivavoce.engines.api import Voice
from vivavoce.engines.espeak import Espeak

RATE_HZ = 24000
CHUNK_BYTES = RATE_HZ // 10 * 2
SECOND = bytes(RATE_HZ * 2)  # of silence

TEXT = "What time does the train leave?"


async def spoken(text: str) -> bytes:
    """*text*, said by the embedded synthesiser."""

    async def phrases() -> AsyncIterator[str]:
        yield text

    samples = []
    async with Espeak(workers=1) as espeak:
        async for each in espeak.speak(phrases(), Voice()):
            rate_hz = each.pcm.rate_hz
            samples.append(each.pcm.samples)
    resampler = Resampler(rate_hz, RATE_HZ)
    whole = np.concatenate([resampler.push(np.concatenate(samples)), resampler.flush()])
    return of_samples(whole.astype(np.int16), RATE_HZ).data


def person(file: Path) -> bytes:
    """A recording, at 24 kHz, and two seconds of silence after it."""
    with wave.open(str(file)) as recording:
        samples = np.frombuffer(recording.readframes(recording.getnframes()), "<i2")
        resampler = Resampler(recording.getframerate(), RATE_HZ)
    whole = np.concatenate([resampler.push(samples), resampler.flush()])
    return of_samples(whole.astype(np.int16), RATE_HZ).data + 2 * SECOND


def appends(pcm: bytes) -> Iterator[str]:
    """Audio in base64, a tenth of a second each."""
    for start in range(0, len(pcm), CHUNK_BYTES):
        yield pybase64.b64encode_as_string(pcm[start : start + CHUNK_BYTES])
