"""How the end of a stretch of speech sounds: its pitch, its loudness, a last syllable held on.

Pitch is found as the strongest echo: the autocorrelation of 40 ms of sound, divided by that of the
window it was looked at through, so that a voice that is steady scores 1 at its period. Frames are
10 ms apart, and all of them are computed at once. Only the newest two seconds of voice are looked at,
which takes two to four milliseconds of one core.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

RATE_HZ = 16000
HOP = 160  # samples from one frame to the next, 10 ms
WINDOW = 640  # samples that a frame is made of: two and a half periods of the lowest voice
SPECTRUM = 1024  # holds a window and the longest period
LOWEST_HZ, HIGHEST_HZ = 65.0, 450.0
LATEST_FRAMES = 200  # of speech are looked at for more than their level

VOICED = 0.5  # the strength of an echo from which a frame has a pitch
NEARLY = 0.9  # an echo at a part of the period that is so strong against the best is the period
AUDIBLE_DB = 32.0  # speech is no further below its loudest frame,
ABOVE_ROOM_DB = 8.0  # and so much above what the pause sounds like
ROOM_FRAMES = 10  # the newest, which are of the pause

FINAL_FRAMES = 12  # with pitch: what the voice ends on
TAIL_FRAMES = 35  # the last syllable or two
STEADY_SEMITONES = 0.6  # a held sound strays no further,
STEADY_DB = 4.0  # nor in loudness

_SHORTEST, _LONGEST = int(RATE_HZ / HIGHEST_HZ), int(RATE_HZ / LOWEST_HZ)
_SHAPE = np.hanning(WINDOW + 2)[1:-1]
_OWN_ECHO = np.fft.irfft(np.abs(np.fft.rfft(_SHAPE, SPECTRUM)) ** 2)[: _LONGEST + 2]


class Ending(Struct, frozen=True):
    """What was heard of the end of some speech. Pitch is None where too little voice was."""

    speech_ms: int  # of sound, in all that was given
    pitch: float | None  # semitones of its last part against the middle of what went before
    loudness_db: float  # of the last syllables against the rest
    held_ms: int  # how long the last sound was held, level and steady


def ending_of(sound: NDArray[np.float32]) -> Ending | None:
    """The ending of speech that is followed by a pause, -1 to 1 at 16 kHz; None if there is none."""
    levels = _levels(sound)
    if len(levels) <= ROOM_FRAMES:
        return None
    sounding = _sounding(levels)
    if not sounding.any():
        return None
    speech_ms = 10 * int(sounding.sum())
    end = len(sounding) - int(np.argmax(sounding[::-1]))
    start = max(0, end - LATEST_FRAMES)
    levels, sounding = levels[start:end], sounding[start:end]
    pitches = _unfolded(_pitches(_windows(sound, start, end)), sounding)
    return Ending(
        speech_ms=speech_ms,
        pitch=_final(pitches),
        loudness_db=_fade(levels, sounding),
        held_ms=10 * _held(pitches, levels),
    )


def _levels(sound: NDArray[np.float32]) -> Floats:
    """In dB, of each stretch of 10 ms."""
    stretches = sound[: len(sound) // HOP * HOP].reshape(-1, HOP)
    levels: Floats = 10 * np.log10(np.maximum(stretches.var(axis=1, dtype=np.float64), 1e-10))
    return levels


def _sounding(levels: Floats) -> Flags:
    room = float(np.median(levels[-ROOM_FRAMES:]))
    return levels > max(float(levels.max()) - AUDIBLE_DB, room + ABOVE_ROOM_DB)


def _windows(sound: NDArray[np.float32], start: int, end: int) -> Floats:
    """The windows around the stretches from *start* to *end*."""
    margin = (WINDOW - HOP) // 2
    padded = np.pad(sound, margin)[start * HOP : end * HOP + 2 * margin]
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP].astype(np.float64)


def _pitches(frames: Floats) -> Floats:
    """The pitch of each frame in semitones above 1 Hz, nan where there is none."""
    shaped = (frames - frames.mean(axis=1, keepdims=True)) * _SHAPE
    echoes = np.fft.irfft(np.abs(np.fft.rfft(shaped, SPECTRUM)) ** 2)[:, : _LONGEST + 2]
    echoes /= np.maximum(echoes[:, :1], 1e-12) * _OWN_ECHO / _OWN_ECHO[0]
    middle = echoes[:, 1:-1]
    peaks = (middle >= echoes[:, :-2]) & (middle > echoes[:, 2:])
    peaks[:, : _SHORTEST - 1] = False
    strengths = np.where(peaks, middle, 0.0)
    best = strengths.max(axis=1, initial=0.0, keepdims=True)
    lags = 1 + np.argmax(strengths >= NEARLY * np.maximum(best, 1e-9), axis=1)
    semitones: Floats = 12 * np.log2(RATE_HZ / lags)
    semitones[best[:, 0] < VOICED] = np.nan
    return semitones


def _unfolded(pitches: Floats, sounding: Flags) -> Floats:
    """Without what is no voice, what stands alone, and jumps of an octave."""
    pitches = np.where(sounding, pitches, np.nan)
    voiced = ~np.isnan(pitches)
    if not voiced.any():
        return pitches
    middle = float(np.median(pitches[voiced]))
    strays = pitches - middle
    pitches = pitches - 12 * np.round(np.where(np.abs(strays) > 9, strays, 0) / 12)
    neighbours = np.convolve(voiced, np.ones(5), "same")
    return np.where(neighbours >= 3, pitches, np.nan)


def _final(pitches: Floats) -> float | None:
    voiced = pitches[~np.isnan(pitches)]
    if len(voiced) < 2 * FINAL_FRAMES:
        return None
    return float(np.median(voiced[-FINAL_FRAMES:]) - np.median(voiced[:-FINAL_FRAMES]))


def _fade(levels: Floats, sounding: Flags) -> float:
    places = np.flatnonzero(sounding)
    tail = levels[-TAIL_FRAMES:][sounding[-TAIL_FRAMES:]]
    before = levels[places[places < len(levels) - TAIL_FRAMES]]
    if not len(before):
        return 0.0
    return float(tail.mean() - before.mean())


def _held(pitches: Floats, levels: Floats) -> int:
    """How many frames up to the last one with pitch are like one another."""
    voiced = np.flatnonzero(~np.isnan(pitches))
    if not len(voiced):
        return 0
    last = int(voiced[-1])
    lowest = highest = pitches[last]
    softest = loudest = levels[last]
    count = 0
    for place in range(last, -1, -1):
        if np.isnan(pitches[place]):
            break
        lowest, highest = min(lowest, pitches[place]), max(highest, pitches[place])
        softest, loudest = min(softest, levels[place]), max(loudest, levels[place])
        if highest - lowest > 2 * STEADY_SEMITONES or loudest - softest > 2 * STEADY_DB:
            break
        count += 1
    return count
