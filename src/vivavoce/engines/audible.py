"""Where a turn begins to be heard. Models make up words for the silence before it."""

from collections.abc import AsyncGenerator, AsyncIterator

import numpy as np

from vivavoce.audio.pcm import Pcm, Samples
from vivavoce.engines.api import HEARING_RATE_HZ
from vivavoce.engines.pieces import QUIET

LEAD = HEARING_RATE_HZ // 2  # samples of the quiet before the first sound that belong to it


async def from_first_sound(audio: AsyncIterator[Pcm]) -> AsyncGenerator[bytes, None]:
    """The samples from half a second before the first sound on; nothing if there is no sound."""
    quiet, heard = bytearray(), False
    async for pcm in audio:
        if heard:
            yield pcm.data
            continue
        quiet += pcm.data
        samples = np.frombuffer(quiet, "<i2", count=len(quiet) // 2)
        first = first_sound(samples)
        keep_from = max((len(samples) if first is None else first) - LEAD, 0)
        del samples  # a bytearray that is looked at cannot shrink
        del quiet[: 2 * keep_from]
        if first is not None:
            heard = True
            yield bytes(quiet)
            quiet.clear()


def first_sound(samples: Samples) -> int | None:
    """The place of the first sample that is not quiet."""
    loud = (samples >= QUIET) | (samples <= -QUIET)
    first = int(np.argmax(loud)) if len(loud) else 0
    return first if len(loud) and loud[first] else None
