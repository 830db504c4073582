"""The embedded judge of turns: what it makes of words, of melody, and of both."""

import wave
from pathlib import Path

import anyio
import numpy as np
import pytest

from vivavoce.audio.pcm import Pcm, of_samples, silence
from vivavoce.audio.resample import Resampler
from vivavoce.engines import registry, self_check
from vivavoce.engines.api import HEARING_RATE_HZ, EngineFailure, Pause
from vivavoce.engines.cadence import Cadence, finished, of_words, trust
from vivavoce.engines.prosody import ending_of
from vivavoce.testing import engine_kit

PAUSE_MS = 300


def tone(pitches_hz: np.ndarray, level: np.ndarray | float = 0.2) -> np.ndarray:
    """A voice of that pitch at each sample, in harmonics that grow softer."""
    phase = 2 * np.pi * np.cumsum(pitches_hz) / HEARING_RATE_HZ
    wave = sum(np.sin(n * phase) / n for n in range(1, 12))
    return np.asarray(level * wave / 3)


def spoken(*stretches: tuple[float, float, float], level: float = 0.2) -> Pcm:
    """Stretches of voice (ms, Hz at its beginning, Hz at its end), 40 ms apart, then a pause."""
    gap = np.zeros(40 * HEARING_RATE_HZ // 1000)
    parts = []
    for duration_ms, first_hz, last_hz in stretches:
        pitches = np.linspace(first_hz, last_hz, int(duration_ms * HEARING_RATE_HZ / 1000))
        parts += [tone(pitches, level), gap]
    return quantised(np.concatenate([*parts, np.zeros(PAUSE_MS * HEARING_RATE_HZ // 1000)]))


def quantised(wave: np.ndarray) -> Pcm:
    hiss = np.random.default_rng(1).normal(0, 5, len(wave))
    return of_samples((wave * 32767 + hiss).astype(np.int16), HEARING_RATE_HZ)


LEVEL = ((180, 120, 120),) * 8
FALLING = (*LEVEL, (180, 110, 85))
RISING = (*LEVEL, (180, 125, 160))


def recording(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return Resampler(file.getframerate(), HEARING_RATE_HZ, prompt=True).push(samples)


@pytest.mark.parametrize(
    "words",
    [
        "what is the",
        "I went to the shop and",
        "yes but",
        "can you please",
        "I like it because",
        "um",
        "let me think, uh",
        "she is older than",
        "ask what",
        "could you",
        "and so my fellow Americans",
        "if you are hungry",
        "ich möchte ein",
        "je voudrais une",
        "quiero un vaso de",
        "eu gosto de",
        "jag vill ha en",
        "я хочу в",
    ],
)
def test_words_that_leave_something_open_speak_against_an_end(words: str) -> None:
    assert of_words(words) < -0.9


@pytest.mark.parametrize(
    "words",
    [
        "yes",
        "Thank you",
        "no thanks",
        "what is the weather in Paris",
        "How are you?",
        "what can I do for you",
        "turn off the light",
        "ask not what your country can do for you",
        "nein",
        "wie spät ist es",
        "где ты живёшь",
    ],
)
def test_words_that_make_a_whole_speak_for_an_end(words: str) -> None:
    assert of_words(words) > 0.9


def test_a_language_that_is_named_is_believed() -> None:
    assert of_words("he found the", language="en-GB") < -0.9
    assert of_words("he found the", language="de") > 0.9


def test_words_in_a_language_that_is_not_known_say_nothing() -> None:
    assert of_words("co to", language="pl") == 0.0


@pytest.mark.parametrize(("mark", "speaks_for"), [("?", True), (".", True), (",", False)])
def test_marks_of_a_transcriber_count(mark: str, speaks_for: bool) -> None:
    assert (of_words(f"the red one{mark}") > of_words("the red one")) is speaks_for


def test_an_ellipsis_is_no_full_stop() -> None:
    assert of_words("the red one...") < of_words("the red one")


def test_no_words_say_nothing() -> None:
    assert of_words("") == of_words(" ... ", "en") - of_words("...", "en") == 0.0


def test_words_are_trusted_by_how_many_there_are_for_the_time() -> None:
    assert trust("what is", heard_s=4.0) == 0.0
    assert 0.0 < trust("what is the weather", heard_s=3.0) < 1.0
    assert trust("what is the weather", heard_s=1.4) == 1.0


def test_words_that_lag_behind_the_voice_are_not_held_against_an_end() -> None:
    pcm = spoken(*FALLING, *FALLING)

    assert finished(Pause(pcm, "the")) == pytest.approx(finished(Pause(pcm)), abs=0.01)


def test_a_voice_that_falls_has_finished_rather_than_one_that_stays_level() -> None:
    assert finished(Pause(spoken(*FALLING))) > finished(Pause(spoken(*LEVEL, LEVEL[0]))) + 0.1


def test_a_voice_that_rises_is_not_taken_for_an_end() -> None:
    assert finished(Pause(spoken(*RISING))) < finished(Pause(spoken(*LEVEL, LEVEL[0])))


def test_a_sound_that_is_held_is_a_hesitation() -> None:
    held = spoken(*LEVEL, (500, 118, 118))

    assert finished(Pause(held)) < finished(Pause(spoken(*LEVEL, (150, 118, 118)))) - 0.1


def test_a_voice_that_fades_has_finished_rather_than_one_that_grows_loud() -> None:
    level = np.full(24000, 120.0)
    verdicts = []
    for last in (0.05, 0.4):
        loudness = np.concatenate([np.full(18000, 0.2), np.full(6000, last)])
        audible = tone(level, loudness)
        verdicts.append(finished(Pause(quantised(np.concatenate([audible, np.zeros(4800)])))))

    assert verdicts[0] > verdicts[1] + 0.1


@pytest.mark.parametrize("hz", [80, 110, 180, 260, 400])
def test_pitch_is_found_in_low_and_high_voices(hz: float) -> None:
    ending = ending_of(
        spoken((1200, hz, hz), (300, hz * 2 ** (-3 / 12), hz * 2 ** (-3 / 12))).floats
    )

    assert ending is not None
    assert ending.pitch == pytest.approx(-3.0, abs=0.5)


def test_an_overtone_that_outsounds_the_voice_is_not_its_pitch() -> None:
    time_s = np.arange(16000) / HEARING_RATE_HZ
    voice = 0.2 * np.sin(2 * np.pi * 110 * time_s) + 0.1 * np.sin(2 * np.pi * 220 * time_s)
    voice[11000:] += 0.4 * np.sin(2 * np.pi * 330 * time_s[11000:])
    ending = ending_of(quantised(np.concatenate([voice, np.zeros(4800)])).floats)

    assert ending is not None
    assert ending.pitch == pytest.approx(0.0, abs=0.5)


def test_noise_has_no_pitch() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 16000)
    ending = ending_of(quantised(np.concatenate([noise, np.zeros(4800)])).floats)

    assert ending is not None
    assert ending.pitch is None


@pytest.mark.parametrize("silent_ms", [0, 20, 200, 8000])
def test_silence_has_no_ending(silent_ms: int) -> None:
    assert ending_of(silence(silent_ms, HEARING_RATE_HZ).floats) is None


def test_the_level_of_the_recording_makes_no_difference() -> None:
    loud, soft = (finished(Pause(spoken(*FALLING, level=level))) for level in (0.5, 0.05))

    assert loud == pytest.approx(soft, abs=0.05)


def test_audio_at_another_rate_is_refused() -> None:
    with pytest.raises(EngineFailure, match="16000 Hz, but was given 8000"):
        anyio.run(Cadence().judge, Pause(silence(500, 8000)))


def test_the_judge_keeps_the_contract() -> None:
    anyio.run(engine_kit.check_judge, Cadence)


def test_the_judge_passes_its_self_check() -> None:
    (record,) = [each for each in registry.records() if each.name == "cadence"]

    examined = anyio.run(self_check.examine, record)

    assert examined.status == "enabled"
    assert examined.detail.startswith("Cadence 1: 'thank you' and a pause is finished with")


def test_a_judge_without_a_sense_of_proportion_fails_its_self_check() -> None:
    class Certain(Cadence):
        async def judge(self, pause: Pause) -> float:
            return 100.0

    with pytest.raises(EngineFailure, match=r"a verdict of 100\.0"):
        anyio.run(self_check.self_check, "turn_judge", Certain())


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("weather_question", "what is the weather in paris"),
        ("tell_me_the_weather", "can you please tell me the weather"),
        ("harvard_2", "drop the two when you add the figures"),
        ("harvard_5", "sunday is the best part of the week"),
        ("hello_world", "hello world"),
    ],
)
def test_people_who_have_finished_are_answered_soon(shared: Path, name: str, words: str) -> None:
    heard = recording(shared / f"audio/{name}.wav")
    pcm = of_samples(np.concatenate([heard, np.zeros(4800, np.int16)]), HEARING_RATE_HZ)

    assert finished(Pause(pcm, words)) > 0.6
    assert finished(Pause(pcm, f"{words} and the")) < 0.15


@pytest.mark.shared
@pytest.mark.parametrize(
    ("up_to_ms", "words", "pause_ms"),
    [
        (2440, "", 1056),
        (2440, "and so my fellow americans", 1056),
        (4620, "", 992),
        (7850, "", 544),
    ],
)
def test_a_speaker_of_1961_may_pause_without_being_interrupted(
    shared: Path, up_to_ms: int, words: str, pause_ms: int
) -> None:
    heard = recording(shared / "audio/jfk.wav")[: up_to_ms * HEARING_RATE_HZ // 1000]
    verdict = finished(Pause(of_samples(heard, HEARING_RATE_HZ), words))

    assert 160 + (4000 - 160) * (1 - verdict) ** 2 > pause_ms + 100
