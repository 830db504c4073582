"""A resampler that keeps its state across chunks.

A windowed sinc, two milliseconds long, is laid over the input at the time of each output sample; it
is zero-phase, so time is kept: output sample n lies at the input's time n / rate. What is not known
yet is the millisecond after the newest output; that is the delay. The pass band is flat within
0.5 dB up to 0.85 of the lower rate's Nyquist frequency, at which it is 6 dB down. What lies 0.2 of
that frequency above it (0.1 where the lower rate is 16 kHz or more) is at least 50 dB down.

The positions at which the sinc falls between input samples repeat: every `from/g` inputs make
`to/g` outputs, with g the greatest common divisor. A *block* is one or more such rounds, and one
matrix takes the inputs that matter to a block to its outputs; overlapping views of the input stand
under each other, so that a chunk is one matrix product. A block whose inputs are not complete is
computed over zeros as far as it can be given out, and again when there is more.
"""

from functools import lru_cache
from math import ceil, gcd
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Kind = TypeVar("Kind", np.int16, np.float32)

_DELAY_S = 0.001
_KAISER_BETA = 5.0  # the least that keeps 50 dB; more would widen the fall at 8 kHz


@lru_cache(maxsize=32)  # the widest takes two milliseconds to work out
def _kernel(block_in: int, block_out: int, stride: float, half: int) -> NDArray[np.float64]:
    """The matrix from the inputs that matter to a block to its outputs, *stride* inputs apart."""
    inputs = np.arange(block_in + 2 * half - 1) - (half - 1)
    distances = inputs[:, None] - np.arange(block_out) * stride
    near = np.abs(distances) < half
    distance = distances[near]
    window = np.i0(_KAISER_BETA * np.sqrt(1 - (distance / half) ** 2))
    kernel = np.zeros(distances.shape)
    kernel[near] = np.sinc(distance * min(1, 1 / stride)) * window
    return np.asarray(kernel / kernel.sum(axis=0))  # each output weighs its inputs to one


class Resampler:
    """One stream from one rate to another, in chunks of any size, with a millisecond's delay.

    Chunks together give what one chunk would. A stream is of one kind of sample: int16, which is
    clipped to its range, or float32, which is not.

    The delay is in the counting: the newest outputs come with the next chunk. With *prompt* it is
    in the sound instead: every chunk is answered in full, and all sounds a millisecond later. So
    whoever waits for the frame that a chunk completes need not wait for another chunk.
    """

    def __init__(self, from_hz: int, to_hz: int, *, prompt: bool = False) -> None:
        common = gcd(from_hz, to_hz)
        self._passes = from_hz == to_hz
        self._round_in, self._round_out = from_hz // common, to_hz // common
        self._half = ceil(from_hz * _DELAY_S)  # input samples on either side of an output
        # As many rounds as keep the overlap of two blocks no longer than a block: fewer would
        # copy each input many times, more would multiply by more zeros.
        rounds = ceil(2 * self._half / self._round_in)
        self._block_in, self._block_out = rounds * self._round_in, rounds * self._round_out
        self._matrix = _kernel(
            self._block_in, self._block_out, self._round_in / self._round_out, self._half
        )
        self._lead = self._half if prompt else 0  # silence before the first input
        self._kind: type[np.generic] = np.int16
        self._begin()

    def _begin(self) -> None:
        self._held = np.zeros(
            self._lead + self._half - 1
        )  # from the first input that matters to the block
        self._given = 0  # outputs of the block at hand that were given out already

    def push(self, samples: NDArray[Kind]) -> NDArray[Kind]:
        """All output samples that *samples* made known."""
        self._kind = samples.dtype.type
        if self._passes:
            return samples
        return self._quantised(self._advance(samples))

    def flush(self) -> NDArray[Any]:  # of the kind that was pushed
        """The last millisecond, as if silence followed; after it a new stream may begin."""
        rest = np.empty(0) if self._passes else self._advance(np.zeros(self._half))
        self._begin()
        return self._quantised(rest)

    def _advance(self, samples: NDArray[Any]) -> NDArray[np.float64]:
        self._held = np.concatenate([self._held, samples])
        known = len(self._held) - (self._half - 1)
        ready = max(0, ceil((known - self._half) * self._round_out / self._round_in))
        made = self._blocks(ceil(ready / self._block_out))[self._given : ready]
        done = ready // self._block_out
        self._held = self._held[done * self._block_in :]
        self._given = ready - done * self._block_out
        return made

    def _blocks(self, count: int) -> NDArray[np.float64]:
        """The first *count* blocks of what is held, over zeros where inputs are missing."""
        width = len(self._matrix)
        missing = (count - 1) * self._block_in + width - len(self._held)
        held = np.concatenate([self._held, np.zeros(missing)]) if missing > 0 else self._held
        windows: NDArray[np.float64] = np.ndarray(
            (count, width),
            held.dtype,
            held,
            strides=(self._block_in * held.itemsize, held.itemsize),
        )
        return (windows.copy() @ self._matrix).ravel()

    def _quantised(self, made: NDArray[np.float64]) -> NDArray[Any]:
        if self._kind is np.int16:
            made = np.rint(made).clip(-32768, 32767)
        return made.astype(self._kind)
