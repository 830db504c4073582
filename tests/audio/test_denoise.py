"""What the noise reduction's docstrings promise, on made sounds and on human speech."""

import math
import wave
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vivavoce.audio.denoise import DELAY_MS, Denoiser
from vivavoce.audio.pcm import Samples
from vivavoce.audio.resample import Resampler

Sound = NDArray[np.float64]
Kind = Literal["near_field", "far_field"]

KINDS: list[Kind] = ["near_field", "far_field"]
RATES = [8000, 24000]
NOISES = ["white", "pink", "hum"]
LEAST_DB = {"near_field": 10, "far_field": 15}
MOST_DB = {"near_field": 12.5, "far_field": 18.5}


def power(sound: Sound | Samples) -> float:
    return float(np.mean(np.square(sound, dtype=np.float64)))


def decibels(ratio: float) -> float:
    return 10 * float(np.log10(max(ratio, 1e-12)))


def at_level(sound: Sound, rms: float) -> Sound:
    return sound * (rms / math.sqrt(power(sound)))


def noise(colour: str, rate_hz: int, seconds: float, rms: float = 300) -> Sound:
    rng, count = np.random.default_rng(5), round(rate_hz * seconds)
    white = rng.normal(0, 1, count)
    if colour == "white":
        return at_level(white, rms)
    if colour == "pink":
        hertz = np.maximum(np.fft.rfftfreq(count, 1 / rate_hz), 20)
        return at_level(np.fft.irfft(np.fft.rfft(white) / np.sqrt(hertz), count), rms)
    time = np.arange(count) / rate_hz
    mains = sum(np.sin(2 * np.pi * 50 * n * time + n) / n for n in range(1, 20))
    return at_level(mains + 0.02 * white, rms)


def vowel(rate_hz: int, seconds: float, hertz: float = 120, rms: float = 3000) -> Sound:
    """A voice on one pitch, with a little vibrato and two formants."""
    time = np.arange(round(rate_hz * seconds)) / rate_hz
    phase = 2 * np.pi * hertz * time + 0.5 * np.sin(2 * np.pi * 5 * time)
    sound = np.zeros(len(time))
    for n in range(1, int(3500 / hertz)):
        formants = sum(1 / (1 + ((n * hertz - centre) / 150) ** 2) for centre in (600, 1400))
        sound += (0.05 + formants) * np.sin(n * phase + n * n)
    return at_level(sound, rms)


def talk(rate_hz: int, words: int = 6) -> Sound:
    """Syllables of 180 ms, on changing pitches, with pauses between them."""
    swell = np.sin(np.pi * np.linspace(0, 1, round(0.18 * rate_hz))) ** 0.5
    pause = np.zeros(round(0.09 * rate_hz))
    pitches = [110, 140, 125, 160, 100, 150]
    spoken = [[vowel(rate_hz, 0.18, pitches[n % 6]) * swell, pause] for n in range(words)]
    return np.concatenate([part for word in spoken for part in word])


def person(shared: Path, name: str, rate_hz: int) -> Sound:
    with wave.open(str(shared / "audio" / name)) as recording:
        samples = np.frombuffer(recording.readframes(recording.getnframes()), "<i2")
        resampler = Resampler(recording.getframerate(), rate_hz)
    return np.concatenate([resampler.push(samples), resampler.flush()]).astype(np.float64)


def sampled(sound: Sound) -> Samples:
    return np.rint(sound).clip(-32768, 32767).astype(np.int16)


def denoised(sound: Sound, rate_hz: int, kind: Kind) -> Sound:
    """All that comes of *sound*, moved to where it belongs."""
    late = rate_hz * DELAY_MS // 1000
    made = Denoiser(rate_hz, kind).push(sampled(np.concatenate([sound, np.zeros(late)])))
    return made[late:].astype(np.float64)


def segmental_snr_db(speech: Sound, heard: Sound, rate_hz: int) -> float:
    """The mean over the stretches of 20 ms in which there is speech."""
    width = rate_hz // 50
    count = len(speech) // width * width
    powers = np.mean(speech[:count].reshape(-1, width) ** 2, axis=1)
    errors = np.mean((heard - speech)[:count].reshape(-1, width) ** 2, axis=1)
    spoken = powers > powers.max() / 1000
    ratios = 10 * np.log10(powers[spoken] / (errors[spoken] + 1e-9))
    return float(np.mean(ratios.clip(-10, 35)))


def gained_db(speech: Sound, noise: Sound, rate_hz: int, kind: Kind) -> float:
    """By how much the ratio of speech to what is not speech grows, after half a second of noise."""
    lead = rate_hz // 2
    heard = denoised(np.concatenate([np.zeros(lead), speech]) + noise, rate_hz, kind)[lead:]
    return decibels(power(noise[lead:]) / power(heard - speech))


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(RATES),
    st.sampled_from(KINDS),
    st.integers(0, 9000),
    st.lists(st.integers(0, 9000), max_size=12),
)
def test_any_chunking_gives_the_same_output(
    rate_hz: int, kind: Kind, total: int, cuts: list[int]
) -> None:
    rng = np.random.default_rng(total)
    samples = sampled(rng.normal(0, 3000, total) * (np.arange(total) % 2000 < 1200))
    edges = [0, *sorted(min(cut, total) for cut in cuts), total]
    denoiser = Denoiser(rate_hz, kind)

    chunks = [denoiser.push(samples[a:b]) for a, b in pairwise(edges)]

    assert np.array_equal(np.concatenate(chunks), Denoiser(rate_hz, kind).push(samples))


@pytest.mark.parametrize("rate_hz", RATES)
def test_every_chunk_is_answered_in_full(rate_hz: int) -> None:
    denoiser = Denoiser(rate_hz, "near_field")
    sizes = [0, 1, 7, 79, 80, 81, 160, 0, 239, 240, 241, 480, 2400, 3, 0, 12345]

    answers = [denoiser.push(np.ones(size, np.int16)) for size in sizes]

    assert [len(answer) for answer in answers] == sizes
    assert {answer.dtype for answer in answers} == {np.dtype(np.int16)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate_hz", RATES)
def test_the_sound_comes_20_ms_late_after_silence(rate_hz: int, kind: Kind) -> None:
    late, speech = rate_hz // 50, talk(rate_hz)

    made = Denoiser(rate_hz, kind).push(sampled(speech)).astype(np.float64)

    likeness = [float(made[n:] @ speech[: len(made) - n]) for n in range(2 * late)]
    assert int(np.argmax(likeness)) == late
    assert not made[: late // 2].any()
    assert power(made[:late]) < power(speech) / 1000


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate_hz", RATES)
def test_silence_stays_silence(rate_hz: int, kind: Kind) -> None:
    assert not Denoiser(rate_hz, kind).push(np.zeros(rate_hz, np.int16)).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("colour", NOISES)
def test_steady_noise_is_turned_down_as_far_as_promised_and_no_further(
    colour: str, rate_hz: int, kind: Kind
) -> None:
    sound = noise(colour, rate_hz, 3)

    heard = denoised(sound, rate_hz, kind)

    settled = slice(rate_hz // 2, None)
    assert LEAST_DB[kind] < decibels(power(sound[settled]) / power(heard[settled])) < MOST_DB[kind]


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("colour", NOISES)
def test_across_a_room_noise_is_turned_down_further_than_at_a_headset(
    colour: str, rate_hz: int
) -> None:
    sound = noise(colour, rate_hz, 2)

    near, far = (denoised(sound, rate_hz, kind)[rate_hz:] for kind in KINDS)

    assert decibels(power(near) / power(far)) > 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate_hz", RATES)
def test_noise_is_turned_down_within_the_first_300_ms(rate_hz: int, kind: Kind) -> None:
    sound = noise("white", rate_hz, 0.6)

    heard = denoised(sound, rate_hz, kind)

    after = slice(round(0.3 * rate_hz), None)
    assert decibels(power(sound[after]) / power(heard[after])) > LEAST_DB[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("ratio_db", [5, 10])
@pytest.mark.parametrize("colour", NOISES)
def test_speech_in_steady_noise_becomes_clearer(
    colour: str, ratio_db: int, rate_hz: int, kind: Kind
) -> None:
    speech = talk(rate_hz)
    rms = math.sqrt(power(speech)) / 10 ** (ratio_db / 20)
    disturbance = noise(colour, rate_hz, len(speech) / rate_hz + 0.5, rms)

    assert gained_db(speech, disturbance[: len(speech) + rate_hz // 2], rate_hz, kind) > 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate_hz", RATES)
def test_clean_speech_is_left_alone(rate_hz: int, kind: Kind) -> None:
    speech = talk(rate_hz) + noise("pink", rate_hz, 6 * 0.27, rms=5)[: len(talk(rate_hz))]

    heard = denoised(speech, rate_hz, kind)

    assert abs(decibels(power(heard) / power(speech))) < 0.3
    assert segmental_snr_db(speech, heard, rate_hz) > 20


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate_hz", RATES)
def test_a_word_with_which_the_sound_begins_is_not_lost(rate_hz: int, kind: Kind) -> None:
    speech = talk(rate_hz)

    heard = denoised(speech, rate_hz, kind)

    word = slice(0, round(0.18 * rate_hz))
    assert decibels(power(heard[word]) / power(speech[word])) > -3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate_hz", RATES)
def test_a_vowel_held_for_a_second_is_not_taken_for_noise(rate_hz: int, kind: Kind) -> None:
    held = np.concatenate([np.zeros(rate_hz // 2), vowel(rate_hz, 1)])
    sound = held + noise("white", rate_hz, 1.5, rms=30)

    heard = denoised(sound, rate_hz, kind)

    end = slice(round(1.3 * rate_hz), None)
    assert decibels(power(heard[end]) / power(held[end])) > -0.2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate_hz", RATES)
def test_noise_that_has_grown_a_hundredfold_is_followed_within_four_seconds(
    rate_hz: int, kind: Kind
) -> None:
    sound = noise("white", rate_hz, 7, rms=30)
    sound[rate_hz:] *= 10

    heard = denoised(sound, rate_hz, kind)

    after = slice(5 * rate_hz, None)
    assert decibels(power(sound[after]) / power(heard[after])) > LEAST_DB[kind]


@pytest.mark.parametrize("muted", [0, 8])  # 8 is how A-law says nothing
@pytest.mark.parametrize("kind", KINDS)
def test_after_a_muted_microphone_noise_is_found_anew_within_300_ms(kind: Kind, muted: int) -> None:
    rate_hz = 8000
    loud, mute = noise("white", rate_hz, 1, rms=500), np.full(3 * rate_hz, muted)

    heard = denoised(np.concatenate([loud / 20, mute, loud]), rate_hz, kind)[4 * rate_hz :]

    after = slice(round(0.3 * rate_hz), None)
    assert decibels(power(loud[after]) / power(heard[after])) > LEAST_DB[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate_hz", RATES)
def test_a_pause_of_digital_silence_says_that_there_is_no_noise(rate_hz: int, kind: Kind) -> None:
    word, pause = vowel(rate_hz, 0.2), np.zeros(round(0.3 * rate_hz))
    again = len(word) + len(pause)

    heard = denoised(np.concatenate([word, pause, word]), rate_hz, kind)

    assert decibels(power(heard[again:]) / power(word)) > -0.2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate_hz", RATES)
def test_rumble_is_turned_down_even_where_it_comes_and_goes(rate_hz: int, kind: Kind) -> None:
    time = np.arange(2 * rate_hz) / rate_hz
    rumble = 3000 * np.sin(2 * np.pi * 30 * time) * np.sin(2 * np.pi * 2 * time)

    heard = denoised(rumble, rate_hz, kind)

    assert decibels(power(rumble) / power(heard)) > 9


def test_what_overshoots_is_clipped_and_does_not_wrap() -> None:
    time = np.arange(24000) / 24000
    rumble = 30000 * np.sin(2 * np.pi * 20 * time)
    sound = (50000 * np.sin(2 * np.pi * 300 * time) + rumble).clip(-32768, 32767)

    heard = denoised(sound, 24000, "near_field")  # without the rumble its peaks lie elsewhere

    assert heard.max() == 32767
    assert heard.min() == -32768
    assert np.abs(np.diff(heard)).max() < 1.1 * np.abs(np.diff(sound)).max()


@pytest.mark.parametrize("kind", KINDS)
def test_extremes_come_through(kind: Kind) -> None:
    denoiser, rng = Denoiser(8000, kind), np.random.default_rng(3)
    stretches = [
        np.zeros(800),
        np.full(800, 32767),
        np.full(800, -32768),
        rng.choice([-32768, 32767], 8000),
        np.zeros(8000),
        np.eye(1, 800, 400)[0] * 32767,
        rng.choice([-1, 0, 1], 8000),
    ]

    answers = [denoiser.push(sampled(stretch)) for stretch in stretches]

    assert power(answers[3]) > 1000  # a division by zero would be a warning, and so an error
    assert not answers[4][400:].any()


def test_two_streams_share_nothing() -> None:
    first, second = Denoiser(8000, "far_field"), Denoiser(8000, "far_field")
    sound = sampled(noise("pink", 8000, 1))
    alone = Denoiser(8000, "far_field").push(sound)
    first.push(sampled(talk(8000)))

    assert np.array_equal(second.push(sound), alone)


@pytest.mark.shared
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("name", ["jfk.wav", "weather_question.wav", "harvard_1.wav"])
def test_a_person_is_left_alone(shared: Path, name: str, rate_hz: int, kind: Kind) -> None:
    speech = person(shared, name, rate_hz)

    heard = denoised(speech, rate_hz, kind)

    assert abs(decibels(power(heard) / power(speech))) < 0.5


@pytest.mark.shared
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("ratio_db", [5, 10])
def test_a_person_in_noise_becomes_clearer(
    shared: Path, ratio_db: int, rate_hz: int, kind: Kind
) -> None:
    speech = np.concatenate([person(shared, f"harvard_{n}.wav", rate_hz) for n in (1, 2, 3)])
    rms = math.sqrt(power(speech)) / 10 ** (ratio_db / 20)
    recorded = np.tile(person(shared, "noise.wav", rate_hz), 4)[: len(speech) + rate_hz // 2]
    steady = noise("white", rate_hz, 20, rms)[: len(recorded)]

    assert gained_db(speech, at_level(recorded, rms), rate_hz, kind) > 2
    assert gained_db(speech, steady, rate_hz, kind) > 2
