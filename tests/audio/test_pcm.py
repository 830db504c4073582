import math

import numpy as np
import pytest

from vivavoce.audio.pcm import Pcm, of_samples, silence


def test_samples_survive_being_wrapped() -> None:
    pcm = of_samples(np.array([0, -32768, 32767], np.int16), 8000)

    assert pcm == Pcm(b"\x00\x00\x00\x80\xff\x7f", 8000)
    assert pcm.samples.tolist() == [0, -32768, 32767]
    assert pcm.floats.dtype == np.float32
    assert pcm.floats.tolist() == [0, -1, 32767 / 32768]


def test_half_a_sample_does_not_count() -> None:
    assert Pcm(b"\x00\x00\x00", 8000).count == 1


def test_silence_lasts_as_long_as_asked_and_has_no_level() -> None:
    quiet = silence(20, 24000)

    assert (quiet.count, quiet.duration_ms) == (480, 20)
    assert quiet.level_dbfs == -math.inf
    assert Pcm(b"", 24000).level_dbfs == -math.inf


def test_a_square_wave_at_half_of_full_scale_is_at_minus_six_decibels() -> None:
    assert of_samples(np.array([16384, -16384], np.int16), 8000).level_dbfs == pytest.approx(
        -6.02, abs=0.01
    )
