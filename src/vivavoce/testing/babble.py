"""Sound that is something like a voice, for checks that must not depend on recordings."""

import math

import numpy as np

from vivavoce.audio.pcm import Pcm, of_samples
from vivavoce.engines.api import HEARING_RATE_HZ


def babble(duration_ms: int, pitch_hz: float) -> Pcm:
    """Vowels in turn, four syllables a second, at that pitch."""
    vowels = ((700, 1200), (300, 2300), (400, 800))
    time_s = np.arange(duration_ms * HEARING_RATE_HZ // 1000) / HEARING_RATE_HZ
    syllable = (time_s * 4).astype(int) % len(vowels)
    wave = np.zeros_like(time_s)
    for harmonic_hz in np.arange(pitch_hz, 4000, pitch_hz):
        nearness = [sum(math.exp(-(((harmonic_hz - f) / 150) ** 2)) for f in v) for v in vowels]
        wave += np.array(nearness)[syllable] * np.sin(2 * np.pi * harmonic_hz * time_s)
    wave *= np.sin(np.pi * (time_s * 4 % 1)) / np.abs(wave).max()
    return of_samples((wave * 10000).astype(np.int16), HEARING_RATE_HZ)
