"""Where a turn begins to be heard."""

from collections.abc import AsyncIterator, Sequence

import anyio
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.audio.pcm import Pcm
from vivavoce.engines.api import HEARING_RATE_HZ
from vivavoce.engines.audible import LEAD, from_first_sound

LOUD = 3000


def heard(samples: Sequence[int], cuts: Sequence[int] = ()) -> list[int]:
    async def arriving() -> AsyncIterator[Pcm]:
        for part in np.split(np.array(samples, "<i2"), sorted(cuts)):
            yield Pcm(part.tobytes(), HEARING_RATE_HZ)

    async def main() -> bytes:
        return b"".join([part async for part in from_first_sound(arriving())])

    return list(np.frombuffer(anyio.run(main), "<i2"))


def test_silence_and_nothing_at_all_are_not_heard() -> None:
    assert heard([]) == []
    assert heard([3, -5] * 10_000) == []


def test_half_a_second_before_the_first_sound_belongs_to_it() -> None:
    samples = [0] * 20_000 + [LOUD] + [0] * 5

    assert heard(samples) == [0] * LEAD + [LOUD] + [0] * 5


def test_a_low_sound_is_as_good_as_a_high_one() -> None:
    assert heard([0, 0, -LOUD]) == [0, 0, -LOUD]


@given(
    st.integers(0, 3 * LEAD),
    st.integers(0, LEAD),
    st.lists(st.integers(0, 4 * LEAD), max_size=8),
)
def test_how_audio_is_cut_changes_nothing(quiet: int, after: int, cuts: list[int]) -> None:
    samples = [0] * quiet + [LOUD] + [0] * after
    within = [cut for cut in cuts if cut <= len(samples)]

    assert heard(samples, within) == heard(samples)
