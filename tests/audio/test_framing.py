import weakref
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.audio.framing import Framer


def test_less_than_a_frame_is_kept_for_the_next_push() -> None:
    framer = Framer(4)

    assert framer.push(np.array([1, 2, 3], np.int16)).shape == (0, 4)
    assert framer.push(np.array([4, 5], np.int16)).tolist() == [[1, 2, 3, 4]]
    assert framer.push(np.array([6, 7, 8, 9], np.int16)).tolist() == [[5, 6, 7, 8]]


@given(st.integers(0, 60), st.lists(st.integers(0, 60)), st.integers(1, 20))
def test_any_chunking_gives_the_same_frames(total: int, cuts: list[int], size: int) -> None:
    stream = np.arange(total, dtype=np.float32)
    edges = sorted({0, total, *(min(cut, total) for cut in cuts)})
    framer = Framer(size)

    frames = [framer.push(stream[a:b]) for a, b in pairwise(edges)]

    whole = total // size
    expected = stream[: whole * size].reshape(whole, size)
    assert np.array_equal(np.concatenate([np.empty((0, size)), *frames]), expected)
    assert all(some.dtype == np.float32 for some in frames)


def test_what_is_kept_does_not_hold_on_to_the_frames() -> None:
    framer = Framer(4)
    pushed = weakref.ref(framer.push(np.arange(10, dtype=np.int16)).base)

    assert pushed() is None


def test_a_frame_does_not_change_with_the_buffer_it_came_from() -> None:
    buffer, framer = np.array([1, 2, 3], np.int16), Framer(2)
    framer.push(buffer)

    buffer[:] = 0

    assert framer.push(np.array([4], np.int16)).tolist() == [[3, 4]]
