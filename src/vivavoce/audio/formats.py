"""PCM16, mu-law and A-law to and from the wire, by table.

The tables are built from what ITU-T G.711 defines: each law cuts the range of magnitudes into 128
levels, in eight segments of sixteen, each segment's steps twice as wide as the last one's. A code
is a sign and a level; it stands for the middle of its level. Magnitudes here are those of 16-bit
samples, so a mu-law sample is scaled by four and an A-law sample by eight from the standard's.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["audio/pcm", "audio/pcmu", "audio/pcma"]

_LEVELS = np.arange(128)
_SEGMENT, _STEP = _LEVELS >> 4, _LEVELS & 15

# Mu-law: the segments double from the first on, once 33 of the standard's units are added. The
# lowest level reaches below nought, so that nought is the middle of it.
_MU_FLOOR = ((16 + _STEP) << (_SEGMENT + 3)) - 132
_MU_MIDDLE = _MU_FLOOR + (4 << _SEGMENT)

# A-law: the first two segments have the same step, and nought is an edge: silence hums at 8.
_A_DOUBLED = np.maximum(_SEGMENT - 1, 0)
_A_FLOOR = np.where(_SEGMENT == 0, _STEP, 16 + _STEP) << (_A_DOUBLED + 4)
_A_MIDDLE = _A_FLOOR + (8 << _A_DOUBLED)


def _decoder(
    middles: NDArray[np.int_], negative: NDArray[np.bool_], level: NDArray[np.int_]
) -> NDArray[np.int16]:
    """The sample each of the 256 codes stands for."""
    return np.where(negative, -middles[level], middles[level]).astype("<i2")


def _levels(floors: NDArray[np.int_], samples: NDArray[np.int_]) -> NDArray[np.int_]:
    """The level each sample's magnitude falls in."""
    return np.searchsorted(floors, np.abs(samples), side="right") - 1


_CODES = np.arange(256)
_SAMPLES = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int_)

# On the wire, mu-law is sent with all bits inverted (sign set means negative before that), A-law
# with every second one inverted (sign set means positive).
_FROM_WIRE = {
    "audio/pcmu": _decoder(_MU_MIDDLE, _CODES < 128, ~_CODES & 127),
    "audio/pcma": _decoder(_A_MIDDLE, _CODES < 128, (_CODES ^ 0x55) & 127),
}
_TO_WIRE = {
    "audio/pcmu": (0xFF ^ (_levels(_MU_FLOOR, _SAMPLES) | 128 * (_SAMPLES < 0))).astype(np.uint8),
    "audio/pcma": (0x55 ^ (_levels(_A_FLOOR, _SAMPLES) | 128 * (_SAMPLES >= 0))).astype(np.uint8),
}


def decode(kind: Kind, wire: bytes) -> bytes:
    """Wire audio as little-endian PCM16; PCM16 is given back as it is."""
    if kind == "audio/pcm":
        return wire
    samples: NDArray[np.int16] = _FROM_WIRE[kind][np.frombuffer(wire, np.uint8)]
    return samples.tobytes()


def encode(kind: Kind, pcm: bytes) -> bytes:
    """Little-endian PCM16 as wire audio; PCM16 is given back as it is."""
    if kind == "audio/pcm":
        return pcm
    codes: NDArray[np.uint8] = _TO_WIRE[kind][np.frombuffer(pcm, "<u2")]
    return codes.tobytes()
