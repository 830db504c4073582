"""A quiet tone, for what needs audio but not speech."""

import numpy as np

from vivavoce.audio.pcm import of_samples

PITCH_HZ, PEAK = 220.0, 3000.0


def tone(ms: int, rate_hz: int = 24000) -> bytes:
    """PCM16 of that length."""
    turns = np.arange(ms * rate_hz // 1000) * (2 * np.pi * PITCH_HZ / rate_hz)
    return of_samples(np.rint(PEAK * np.sin(turns)).astype(np.int16), rate_hz).data
