"""What the microphone of a browser hears: a file, from its beginning whenever a page opens it."""

import os
import wave
from pathlib import Path

import numpy as np

from vivavoce.audio.pcm import Pcm, of_samples, silence
from vivavoce.audio.resample import Resampler
from vivavoce.audio.wav import wav

RATE_HZ = 48000  # what the browser captures at
AFTERWARDS_MS = 3000  # of silence


class Microphone:
    """In a silent room until there is something to hear."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.hear_nothing()

    def hear(self, pcm: Pcm) -> None:
        """Whoever opens it from now on hears that, and silence after it."""
        resampler = Resampler(pcm.rate_hz, RATE_HZ)
        samples = np.concatenate([resampler.push(pcm.samples), resampler.flush()])
        self._place(of_samples(samples, RATE_HZ).data + silence(AFTERWARDS_MS, RATE_HZ).data)

    def hear_nothing(self) -> None:
        """Whoever opens it from now on hears silence."""
        self._place(silence(AFTERWARDS_MS, RATE_HZ).data)

    def _place(self, data: bytes) -> None:
        # Never a part of a file: the browser may be reading.
        beside = self.file.with_suffix(".new")
        beside.write_bytes(wav(Pcm(data, RATE_HZ)))
        os.replace(beside, self.file)


def recorded(file: Path) -> Pcm:
    """A recording, as it is."""
    with wave.open(str(file)) as recording:
        return Pcm(recording.readframes(recording.getnframes()), recording.getframerate())
