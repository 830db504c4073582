"""A long turn in pieces, for models that hear a window of so many seconds and no more.

A piece is as long as a window allows, but ends where its last third is quietest, so that hardly ever
a word is cut in two.
"""

import numpy as np
from numpy.typing import NDArray

from vivavoce.audio.pcm import Pcm
from vivavoce.engines.api import HEARING_RATE_HZ

Samples = NDArray[np.int16]

LULL_SAMPLES = HEARING_RATE_HZ // 10  # as long as the quiet between two words may be
QUIET = 16  # of 32768, -66 dB: a room without a voice is louder


class Pieces:
    """Gathers a turn's audio and gives it away from the front, in pieces of *window_s* at most."""

    def __init__(self, window_s: float) -> None:
        self._window = int(window_s * HEARING_RATE_HZ)
        self._gathered = bytearray()

    def __bool__(self) -> bool:
        """Something is gathered."""
        return bool(self._gathered)

    def hear(self, pcm: Pcm) -> None:
        """More audio, at 16 kHz."""
        self._gathered += pcm.data

    @property
    def fills_a_window(self) -> bool:
        """A piece can be cut off: what comes later could not belong to it."""
        return len(self._gathered) >= 2 * self._window

    def take(self) -> Samples:
        """The next piece; all the rest if that is no longer than a window."""
        samples = np.frombuffer(bytes(self._gathered[: 2 * self._window]), "<i2")
        if self.fills_a_window:
            samples = samples[: quietest(samples, self._window * 2 // 3)]
        del self._gathered[: 2 * len(samples)]
        return samples


def quietest(samples: Samples, first: int) -> int:
    """The middle of the quietest tenth of a second from sample *first* on."""
    power = np.square(samples[first:], dtype=np.float64)
    sums = np.concatenate([[0.0], np.cumsum(power)])
    lulls = sums[LULL_SAMPLES:] - sums[:-LULL_SAMPLES]
    return first + int(np.argmin(lulls)) + LULL_SAMPLES // 2


def is_blank(samples: Samples) -> bool:
    """There is nothing to be heard in it, not even softly."""
    return not len(samples) or bool(np.abs(samples.astype(np.int32)).max() < QUIET)
