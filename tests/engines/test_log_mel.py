"""The features against a slow formula, written down another way, and against published figures."""

import cmath
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from vivavoce.engines import log_mel
from vivavoce.engines.log_mel import features, filters, normalised
from vivavoce.testing.babble import babble

# From `mel_filters.npz` of openai/whisper (`mel_80`), which librosa made: band, its frequencies
# that are not zero, from the first on.
PUBLISHED: dict[int, tuple[int, list[float]]] = {
    0: (1, [0.024862595]),
    10: (10, [0.019908218, 0.004954375]),
    25: (24, [0.02087401, 0.004040426]),
    40: (42, [0.005411105, 0.014735566, 0.00651819]),
    60: (
        90,
        [
            *(0.001434534, 0.003441219, 0.005447904, 0.006591093),
            *(0.004660012, 0.00272893, 0.000797849),
        ],
    ),
}


def _corner_hz(place: float) -> float:
    """The frequency on Slaney's scale at a share *place* of the way from 0 to 8 kHz."""
    top = 15 + 27 * math.log(8) / math.log(6.4)
    mel = place * top
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def _weight(band: int, frequency_hz: float) -> float:
    low, centre, high = (_corner_hz((band + each) / 81) for each in range(3))
    if not low < frequency_hz < high:
        return 0.0
    side = low if frequency_hz <= centre else high
    return (frequency_hz - side) / (centre - side) * 2 / (high - low)


def _power(sound: NDArray[np.float32], frame: int, bin_: int) -> float:
    """Of one frequency of one spectrum, by the definition of the transform."""
    total = 0j
    for place in range(400):
        at = frame * 160 + place - 200
        at = -at if at < 0 else at
        at = 2 * (len(sound) - 1) - at if at >= len(sound) else at
        window = math.sin(math.pi * place / 400) ** 2
        total += window * float(sound[at]) * cmath.exp(-2j * math.pi * bin_ * place / 400)
    return abs(total) ** 2


def _band_decades(sound: NDArray[np.float32], band: int, frame: int) -> float:
    weights = {each: _weight(band, each * 40.0) for each in range(201)}
    power = sum(weight * _power(sound, frame, each) for each, weight in weights.items() if weight)
    return math.log10(max(power, 1e-10))


def test_a_band_holds_the_power_that_the_definition_of_the_transform_gives() -> None:
    sound = babble(100, 120).floats
    given = features(sound) * 4 - 4  # the logarithms
    top = float(given.max())

    for band, frame in ((0, 0), (7, 0), (20, 3), (41, 4), (60, 5), (79, 9)):
        wanted = max(_band_decades(sound, band, frame), top - 8)
        assert given[band, frame] == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("band", PUBLISHED)
def test_the_bands_are_those_that_were_published(band: int) -> None:
    first, wanted = PUBLISHED[band]

    given = filters()[band]

    assert np.flatnonzero(given).tolist() == list(range(first, first + len(wanted)))
    np.testing.assert_allclose(given[first : first + len(wanted)], wanted, rtol=1e-5)


def test_every_frequency_has_the_weight_of_its_triangles() -> None:
    wanted = [[_weight(band, each * 40.0) for each in range(201)] for band in range(80)]

    np.testing.assert_allclose(filters(), wanted, atol=1e-7)


def test_there_is_a_column_for_every_ten_milliseconds() -> None:
    assert features(babble(730, 120).floats).shape == (80, 73)


def test_nothing_is_more_than_eight_decades_below_the_loudest() -> None:
    sound = np.zeros(16000, np.float32)
    sound[8000:8400] = babble(25, 120).floats

    given = features(sound)

    assert float(given.max() - given.min()) == pytest.approx(8 / 4)


def test_silence_has_features_too() -> None:
    np.testing.assert_allclose(features(np.zeros(1600, np.float32)), -1.5, atol=1e-6)


def test_features_stay_in_single_precision() -> None:
    assert features(babble(100, 120).floats).dtype == np.float32
    assert normalised(babble(100, 120).floats).dtype == np.float32


def test_normalised_sound_has_no_mean_and_a_variance_of_one() -> None:
    given = normalised(babble(1000, 120).floats * np.float32(0.5) + np.float32(0.2))

    assert float(given.mean()) == pytest.approx(0, abs=1e-4)
    assert float(given.var()) == pytest.approx(1, abs=1e-3)


def test_normalised_silence_is_silence() -> None:
    assert not normalised(np.zeros(1600, np.float32)).any()


def test_there_are_as_many_bands_as_are_asked_for() -> None:
    assert filters(128).shape == (128, 201)
    assert filters().shape == (log_mel.BANDS, 201)
