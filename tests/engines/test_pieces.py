"""Long turns are cut where they are quiet, and nothing of them is lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.audio.pcm import Pcm, of_samples, silence
from vivavoce.engines.pieces import Pieces, is_blank
from vivavoce.testing.babble import babble


def test_a_turn_within_the_window_is_one_piece() -> None:
    pieces = Pieces(2.0)
    turn = babble(1900, 120)
    pieces.hear(turn)

    assert not pieces.fills_a_window
    np.testing.assert_array_equal(pieces.take(), turn.samples)
    assert not pieces


def test_a_long_turn_is_cut_where_its_last_third_is_quietest() -> None:
    pieces = Pieces(3.0)
    for part in (babble(2375, 120), silence(100, 16000), babble(1000, 150)):
        pieces.hear(part)

    assert pieces.fills_a_window
    assert len(pieces.take()) == pytest.approx(16 * 2425, abs=16 * 60)
    assert not pieces.fills_a_window


def test_quiet_before_the_last_third_does_not_make_pieces_short() -> None:
    pieces = Pieces(3.0)
    for part in (babble(500, 120), silence(500, 16000), babble(3000, 150)):
        pieces.hear(part)

    assert len(pieces.take()) >= 2 * 16000


@given(
    st.lists(st.integers(0, 9000), max_size=12),
    st.sampled_from([0.5, 0.7, 1.0]),
    st.integers(0, 2**32 - 1),
)
def test_pieces_joined_are_the_turn_and_none_is_longer_than_the_window(
    counts: list[int], window_s: float, seed: int
) -> None:
    noise = np.random.default_rng(seed).integers(-9000, 9000, sum(counts)).astype(np.int16)
    pieces, given = Pieces(window_s), []
    for part in np.split(noise, np.cumsum(counts)[:-1]) if counts else []:
        pieces.hear(of_samples(part, 16000))
        while pieces.fills_a_window:
            given.append(pieces.take())
    while pieces:
        given.append(pieces.take())

    assert all(0 < len(each) <= window_s * 16000 for each in given)
    np.testing.assert_array_equal(np.concatenate([noise[:0], *given]), noise)


@pytest.mark.parametrize(
    ("level", "blank"), [(0, True), (15, True), (-15, True), (16, False), (-32768, False)]
)
def test_what_is_softer_than_any_voice_is_blank(level: int, blank: bool) -> None:
    samples = np.zeros(1600, np.int16)
    samples[700] = level

    assert is_blank(samples) is blank


def test_no_audio_is_blank() -> None:
    assert is_blank(Pcm(b"", 16000).samples)
