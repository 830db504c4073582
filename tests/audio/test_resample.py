"""What the resampler's docstring promises, over every pair of rates in use."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vivavoce.audio.resample import Resampler

RATES = [8000, 16000, 22050, 24000, 48000]
PAIRS = [(a, b) for a, b in product(RATES, RATES) if a != b]


def whole(samples: NDArray[np.int16], from_hz: int, to_hz: int) -> NDArray[np.int16]:
    resampler = Resampler(from_hz, to_hz)
    return np.concatenate([resampler.push(samples), resampler.flush()])


def tone(hertz: float, rate_hz: int, seconds: float = 0.2) -> NDArray[np.float32]:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate_hz)) / rate_hz).astype(
        np.float32
    )


def resampled_tone(hertz: float, from_hz: int, to_hz: int) -> NDArray[np.float64]:
    """A tone after resampling, without its ends, where the filter looks over the edge."""
    resampler = Resampler(from_hz, to_hz)
    edge = to_hz // 100
    return resampler.push(tone(hertz, from_hz))[edge:-edge].astype(np.float64)


def amplitude(heard: NDArray[np.float64], hertz: float, rate_hz: int) -> float:
    """How much of a tone is in *heard*, by least squares."""
    angle = 2 * np.pi * hertz * np.arange(len(heard)) / rate_hz
    basis = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return float(np.hypot(*np.linalg.lstsq(basis, heard, rcond=None)[0]))


def decibels(ratio: float) -> float:
    return 20 * float(np.log10(max(ratio, 1e-9)))


@settings(deadline=None)
@given(st.sampled_from(PAIRS), st.integers(0, 3000), st.lists(st.integers(0, 3000), max_size=12))
def test_any_chunking_gives_the_same_output(
    pair: tuple[int, int], total: int, cuts: list[int]
) -> None:
    samples = np.random.default_rng(total).integers(-32768, 32768, total).astype(np.int16)
    edges = [0, *sorted(min(cut, total) for cut in cuts), total]
    resampler = Resampler(*pair)

    chunks = [resampler.push(samples[a:b]) for a, b in pairwise(edges)]

    assert np.array_equal(np.concatenate([*chunks, resampler.flush()]), whole(samples, *pair))


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
@pytest.mark.parametrize("count", [0, 1, 7, 441, 2400, 4801])
def test_as_much_time_comes_out_as_went_in(from_hz: int, to_hz: int, count: int) -> None:
    made = whole(np.ones(count, np.int16), from_hz, to_hz)

    assert abs(len(made) - count * to_hz / from_hz) < 1


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
@pytest.mark.parametrize("milliseconds", [5, 20, 100, 333])
def test_output_is_never_more_than_a_millisecond_behind(
    from_hz: int, to_hz: int, milliseconds: int
) -> None:
    resampler = Resampler(from_hz, to_hz)
    pushed = made = 0
    for _ in range(5):
        samples = np.zeros(from_hz * milliseconds // 1000, np.int16)
        pushed += len(samples)
        made += len(resampler.push(samples))
        behind_ms = 1000 * (pushed / from_hz - made / to_hz)
        assert 0.8 < behind_ms < 1.1


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
def test_time_is_kept(from_hz: int, to_hz: int) -> None:
    made = resampled_tone(440, from_hz, to_hz)

    edge = to_hz // 100
    expected = tone(440, to_hz)[edge : edge + len(made)]
    assert np.max(np.abs(made - expected)) < 0.005


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.75, 0.85])
def test_the_pass_band_is_flat_within_half_a_decibel(
    from_hz: int, to_hz: int, share: float
) -> None:
    hertz = share * min(from_hz, to_hz) / 2

    heard = amplitude(resampled_tone(hertz, from_hz, to_hz), hertz, to_hz)

    assert abs(decibels(heard)) < 0.5


@pytest.mark.parametrize(
    ("from_hz", "to_hz", "share"),
    [(a, b, share) for a, b in PAIRS for share in (1.2, 1.3, 1.5, 1.8) if share * b < a],
)
def test_a_tone_above_the_band_comes_back_as_no_alias(
    from_hz: int, to_hz: int, share: float
) -> None:
    hertz = share * to_hz / 2

    assert decibels(float(np.sqrt(2 * np.mean(resampled_tone(hertz, from_hz, to_hz) ** 2)))) < -50


@pytest.mark.parametrize(("from_hz", "to_hz"), [(a, b) for a, b in PAIRS if a < b])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_a_tone_leaves_no_image_above_the_band(from_hz: int, to_hz: int, share: float) -> None:
    hertz = share * from_hz / 2
    made = resampled_tone(hertz, from_hz, to_hz)

    angle = 2 * np.pi * hertz * np.arange(len(made)) / to_hz
    basis = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    rest = made - basis @ np.linalg.lstsq(basis, made, rcond=None)[0]

    assert decibels(float(np.sqrt(2 * np.mean(rest**2)))) < -50


@pytest.mark.parametrize("lower", [16000, 22050, 24000])
def test_from_16_khz_on_a_tenth_above_the_band_is_down_by_50_decibels(lower: int) -> None:
    made = resampled_tone(1.1 * lower / 2, 48000, lower)

    assert decibels(float(np.sqrt(2 * np.mean(made**2)))) < -50


def test_a_constant_stays_what_it_is() -> None:
    made = whole(np.full(2205, 12345, np.int16), 22050, 24000)

    assert set(made[50:-50].tolist()) == {12345}


def test_what_overshoots_is_clipped_and_does_not_wrap() -> None:
    square = np.repeat(np.array([32767, -32768] * 20, np.int16), 40)

    made = Resampler(16000, 24000).push(square)

    unclipped = Resampler(16000, 24000).push(square.astype(np.float32))
    assert unclipped.max() > 33000
    assert unclipped.min() < -33000
    assert np.array_equal(made, np.clip(np.rint(unclipped), -32768, 32767))


def test_floats_stay_floats_and_are_not_clipped() -> None:
    resampler = Resampler(8000, 16000)

    made = np.concatenate([resampler.push(np.full(800, 3, np.float32)), resampler.flush()])

    assert made.dtype == np.float32
    assert made[800] == pytest.approx(3)


def test_equal_rates_pass_the_samples_through() -> None:
    samples, resampler = np.arange(10, dtype=np.int16), Resampler(24000, 24000)

    assert resampler.push(samples) is samples
    assert resampler.flush().tolist() == []


def test_after_a_flush_a_new_stream_begins() -> None:
    resampler = Resampler(24000, 16000)
    loud = np.full(1001, 20000, np.int16)
    resampler.push(loud)
    resampler.flush()

    again = np.concatenate([resampler.push(loud), resampler.flush()])

    assert np.array_equal(again, whole(loud, 24000, 16000))


def test_two_streams_of_the_same_rates_share_nothing() -> None:
    first, second = Resampler(24000, 16000), Resampler(24000, 16000)
    first.push(np.full(1000, 20000, np.int16))

    assert not second.push(np.zeros(1000, np.int16)).any()


@pytest.mark.parametrize("from_hz", [24000, 8000])
def test_a_prompt_one_answers_each_chunk_in_full_and_a_millisecond_late(from_hz: int) -> None:
    prompt = Resampler(from_hz, 16000, prompt=True)
    tone = np.sin(np.arange(from_hz // 2) * 2 * np.pi * 440 / from_hz) * 10000
    chunks = np.split(tone.astype(np.int16), 5)

    made = [prompt.push(chunk) for chunk in chunks]

    assert [len(each) for each in made] == [1600] * 5
    late, kept = np.concatenate(made), whole(tone.astype(np.int16), from_hz, 16000)
    assert np.abs(late[16:].astype(int) - kept[: len(late) - 16]).max() <= 1
