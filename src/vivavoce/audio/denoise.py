"""Noise reduction: what is steady is turned down, what is said is left alone.

The sound is cut into windows of 20 ms, one every 10 ms, and each window into bands of 50 Hz. For
every band two things are carried on.

The *noise* is the mean power of what was heard, each 40 ms of it weighed by how certain it is, from
its power over that of the noise so far, that nobody spoke in this band. What falls short of the
noise by far is believed at once; and where somebody seems to speak for longer than a sound is ever
held, the noise must have grown, and is followed. What is heard first is taken for noise, but not at
its full power, and the reduction sets in by degrees: so a first word outlives it.

The *speech* is the power that was let through in the window before. With what now exceeds the noise
it tells the share of speech in the power heard, and that is the gain. Without such a memory noise
would not become quieter noise but a tinkling of bands that open for one window each.

What lies under 75 Hz is rumble, whatever it is.
"""

from math import log
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vivavoce.audio.pcm import Samples

Array = NDArray[np.float64]

DELAY_MS = 20

# How far a band is turned down at most. Across a room less noise is worth the loss of some more
# speech; a headset hears little noise to begin with. To reckon with more noise than there is, as is
# often done, took away more speech than noise at any ratio of the two.
_LOWEST_DB = {"near_field": -12, "far_field": -18}
_MEMORY = 0.97  # of what is taken for speech, the part that rests on the window before
_RUMBLE = 2  # bands

_LESSON = 4  # windows; lessons of two cost a quarter more time in all, and gain 0.1 dB
_LOUDER = 10**1.2  # than noise is speech with noise, where there is speech: 12 dB
_LEARNT = 0.33  # of a lesson that is certainly noise
_FALLEN, _BELIEVED = 4, 0.9  # so many times less power than the noise is believed to that extent
_LATELY = 0.12  # what a lesson weighs in how certain noise was lately: that is over some 1.5 s
_HARDLY = 0.01  # so much more certain is noise where it was less certain than that lately

_FIRST = 20  # windows, in which the noise is found
_FOUND, _RISEN = 0.3, 0.1  # what is believed then: of the first lesson, and of more power than that
_ONSET = 30  # windows, in which the reduction sets in
_SILENT = 2  # at most, between the highest and the lowest sample of a window
_MUTED = 50  # silent windows, after which all begins anew; fewer are a pause between words


class _Noise:
    """How much noise there is to be taken off each band."""

    def __init__(self, bands: int) -> None:
        self.level = np.ones(bands)
        self.new = np.zeros(bands)  # so much of it is in what is new in a window
        self._power = np.ones(bands)
        self._lesson, self._lately = np.zeros(bands), np.ones(bands)
        self._heard = self._silent = 0  # windows

    def hear(self, power: Array, silent: bool) -> None:
        """Take in one window."""
        self._silent = self._silent + 1 if silent else 0
        if self._silent > _MUTED:
            self._power[:] = self._lately[:] = 1
            self._lesson[:] = self._heard = 0
        self._heard += 1
        self._lesson += power
        if self._heard % _LESSON == 0:
            self._learn(self._lesson / _LESSON)
            self._lesson[:] = 0
            self.level = self._power * min(1, self._heard / _ONSET)
            self.new = self.level * (1 - _MEMORY)

    def _learn(self, power: Array) -> None:
        excess = power - self._power
        if self._heard > _FIRST:
            excess *= self._certainty(power)
            excess *= np.where(power * _FALLEN < self._power, _BELIEVED, _LEARNT)
        elif self._heard > _LESSON:
            excess *= np.where(excess < 0, _BELIEVED, _RISEN)
        else:
            excess *= _FOUND
        self._power += excess
        np.maximum(self._power, 1, out=self._power)

    def _certainty(self, power: Array) -> Array:
        """How certain it is that nobody speaks: by Bayes, when one is as likely as the other."""
        evidence = power / self._power * ((1 - 1 / _LOUDER) / 2)
        certainty: Array = 0.5 - 0.5 * np.tanh(evidence - log(_LOUDER) / 2)
        self._lately += (certainty - self._lately) * _LATELY
        return certainty + _HARDLY * (self._lately < _HARDLY)


class Denoiser:
    """One stream of sound with less noise in it, in chunks of any size.

    Chunks together give what one chunk would. Every chunk is answered by as many samples, and all
    sounds 20 ms later: silence comes first, with perhaps a trace of what follows it. *near_field*
    is for a headset, *far_field* for a microphone across the room.
    """

    def __init__(self, rate_hz: int, kind: Literal["near_field", "far_field"]) -> None:
        hop = self._hop = rate_hz // 100
        bands = hop + 1
        self._window = np.sin(np.pi * np.arange(2 * hop) / (2 * hop))
        self._held = np.zeros(hop)  # the last window's second half, and what is no window yet
        self._tail, self._ready = np.zeros(hop), np.zeros(hop)  # of the last window; to be given
        self._noise = _Noise(bands)
        self._lowest, self._none = np.full(bands, 10 ** (_LOWEST_DB[kind] / 20)), np.zeros(bands)
        self._speech = np.zeros(bands)  # as far as it is remembered

    def push(self, samples: Samples) -> Samples:
        """As many samples as there are in *samples*."""
        self._held = np.concatenate([self._held, samples])
        if count := len(self._held) // self._hop - 1:
            self._ready = np.concatenate([self._ready, self._cleaned(count)])
            self._held = self._held[count * self._hop :]
        made, self._ready = self._ready[: len(samples)], self._ready[len(samples) :]
        return np.rint(made).clip(-32768, 32767).astype(np.int16)

    def _cleaned(self, count: int) -> Array:
        """What the next *count* windows complete."""
        hop, size = self._hop, self._held.itemsize
        windows = np.ndarray((count, 2 * hop), float, self._held, strides=(hop * size, size))
        spectra = np.fft.rfft(windows * self._window)
        silent = np.ptp(windows, axis=1) <= _SILENT
        spectra *= self._gains(spectra.real**2 + spectra.imag**2, silent)
        made: Array = np.fft.irfft(spectra) * self._window
        made[1:, :hop] += made[:-1, hop:]
        made[0, :hop] += self._tail
        self._tail = made[-1, hop:]
        return made[:, :hop].ravel()

    def _gains(self, powers: Array, silent: NDArray[np.bool_]) -> Array:
        gains = np.empty_like(powers)
        remembered, new = powers * _MEMORY, powers * (1 - _MEMORY)
        for at, nothing in enumerate(silent.tolist()):
            self._noise.hear(powers[at], nothing)
            speech = new[at] - self._noise.new
            np.maximum(speech, self._none, out=speech)  # an array is compared twice as fast as 0
            speech += self._speech
            share = speech / (speech + self._noise.level)
            gain = np.maximum(share, self._lowest, out=gains[at])
            self._speech = gain * gain * remembered[at]
        gains[:, :_RUMBLE] = self._lowest[:_RUMBLE]
        return gains
