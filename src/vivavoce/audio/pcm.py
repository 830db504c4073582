"""Pcm: mono 16-bit samples and their rate, the one form in which audio crosses a seam."""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


class Pcm(msgspec.Struct, frozen=True):
    """Mono audio: *data* is little-endian signed 16-bit samples, *rate_hz* how many a second."""

    data: bytes
    rate_hz: int

    @property
    def samples(self) -> Samples:
        """The samples as a read-only int16 array of shape [n], without a copy."""
        return np.frombuffer(self.data, "<i2")

    @property
    def floats(self) -> NDArray[np.float32]:
        """The samples as a float32 array of shape [n], from -1 to 1."""
        return self.samples * np.float32(1 / 32768)

    @property
    def count(self) -> int:
        """How many whole samples there are."""
        return len(self.data) // 2

    @property
    def duration_ms(self) -> float:
        """How long it plays, in milliseconds."""
        return self.count * 1000 / self.rate_hz

    @property
    def level_dbfs(self) -> float:
        """Root mean square level against full scale, in dB; minus infinity for digital silence."""
        if not self.data:
            return -math.inf
        mean_square = float(np.mean(np.square(self.samples, dtype=np.float64)))
        return 10 * math.log10(mean_square / 32768**2) if mean_square else -math.inf


def of_samples(samples: Samples, rate_hz: int) -> Pcm:
    """Wrap an int16 array of shape [n]."""
    return Pcm(samples.astype("<i2", copy=False).tobytes(), rate_hz)


def silence(duration_ms: float, rate_hz: int) -> Pcm:
    """Digital silence of that length."""
    return Pcm(bytes(2 * round(duration_ms * rate_hz / 1000)), rate_hz)
