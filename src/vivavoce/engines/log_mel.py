"""Log-mel features: sound as Whisper and what was built upon it want to hear it.

A spectrum of 25 ms every 10 ms, its power gathered in 80 bands that widen with pitch as hearing
does (Slaney's scale: even up to 1 kHz, logarithmic above), then the logarithm, of which the eight
decades below the loudest point are kept.
"""

import math

import numpy as np
from numpy.typing import NDArray

from vivavoce.engines.api import HEARING_RATE_HZ

Array = NDArray[np.float32]

BANDS = 80
SPAN = 400  # samples of a spectrum
HOP = 160  # samples from one spectrum to the next
FLOOR = 1e-10  # of power, below which the logarithm is not followed
DECADES = 8.0

_BREAK_HZ = 1000.0  # up to here bands are even
_HZ_PER_MEL = 200 / 3
_LOG_STEP = math.log(6.4) / 27
# A window that begins anew after 400 samples, not one that ends on its 400th.
_WINDOW = np.hanning(SPAN + 1)[:-1].astype(np.float32)


def features(sound: Array) -> Array:
    """What a stretch of 16 kHz sound [n] gives: [80, n // 160], about -1 to 1.5, the loudest on top.

    Beyond either end the sound is taken to be mirrored. It takes more than 200 samples.
    """
    padded = np.pad(sound, SPAN // 2, mode="reflect")
    count = len(sound) // HOP
    spans = np.lib.stride_tricks.sliding_window_view(padded, SPAN)[: count * HOP : HOP]
    # numpy 1 gives spectra in double precision; from here on single is enough.
    spectra = np.fft.rfft(spans * _WINDOW).astype(np.complex64, copy=False)
    power = np.square(spectra.real) + np.square(spectra.imag)
    decades = np.log10(np.maximum(_FILTERS @ power.T, np.float32(FLOOR)))
    np.maximum(decades, decades.max() - np.float32(DECADES), out=decades)
    scaled: Array = (decades + np.float32(4)) / np.float32(4)
    return scaled


def normalised(sound: Array) -> Array:
    """*sound* shifted and scaled to a mean of zero and a variance of one; silence stays silence."""
    mean, variance = sound.mean(dtype=np.float64), sound.var(dtype=np.float64)
    level: Array = ((sound - mean) / math.sqrt(variance + 1e-7)).astype(np.float32)
    return level


def filters(bands: int = BANDS) -> Array:
    """How much of each of the 201 frequencies of a spectrum goes into each band: [bands, 201].

    Triangles, each from the centre of the band below to that of the band above, of equal area.
    """
    frequencies_hz = np.fft.rfftfreq(SPAN, 1 / HEARING_RATE_HZ)
    corners_hz = _hz(np.linspace(0, _mel(HEARING_RATE_HZ / 2), bands + 2))[:, None]
    rising = (frequencies_hz - corners_hz[:-2]) / (corners_hz[1:-1] - corners_hz[:-2])
    falling = (corners_hz[2:] - frequencies_hz) / (corners_hz[2:] - corners_hz[1:-1])
    height = 2 / (corners_hz[2:] - corners_hz[:-2])
    triangles: Array = (height * np.maximum(0, np.minimum(rising, falling))).astype(np.float32)
    return triangles


def _mel(hz: float) -> float:
    """Above 1 kHz."""
    return _BREAK_HZ / _HZ_PER_MEL + math.log(hz / _BREAK_HZ) / _LOG_STEP


def _hz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    above = mels - _BREAK_HZ / _HZ_PER_MEL
    return np.where(above < 0, mels * _HZ_PER_MEL, _BREAK_HZ * np.exp(_LOG_STEP * above))


_FILTERS = filters()
