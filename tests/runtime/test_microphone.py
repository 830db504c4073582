import numpy as np

from vivavoce.core.settings import AudioFormat, NoiseReduction
from vivavoce.runtime.microphone import Microphone

PCM = AudioFormat("audio/pcm")
NEAR = NoiseReduction("near_field")


def hiss(seconds: float) -> bytes:
    samples = np.random.default_rng(1).normal(0, 1000, int(24000 * seconds))
    return samples.astype("<i2").tobytes()


def loudness(pcm: bytes) -> float:
    return float(np.std(np.frombuffer(pcm, "<i2")))


def test_without_reduction_audio_passes_as_it_is() -> None:
    assert Microphone().pcm(b"\x01\x02\x03", PCM, None) == b"\x01\x02\x03"


def test_g711_is_decoded_and_twice_as_long() -> None:
    assert len(Microphone().pcm(bytes(80), AudioFormat("audio/pcmu"), None)) == 160


def test_noise_falls_and_no_sample_is_lost() -> None:
    microphone, noise = Microphone(), hiss(4)

    cleaned = b"".join(
        microphone.pcm(noise[start : start + 4801], PCM, NEAR)
        for start in range(0, len(noise), 4801)
    )

    assert len(cleaned) == len(noise)
    assert loudness(cleaned[len(cleaned) // 2 :]) < loudness(noise) / 2


def test_half_a_sample_that_waits_is_not_lost_when_reduction_ends() -> None:
    microphone = Microphone()
    microphone.pcm(bytes(4801), PCM, NEAR)

    assert len(microphone.pcm(bytes(3), PCM, None)) == 4


def test_another_rate_gets_another_denoiser() -> None:
    microphone = Microphone()
    microphone.pcm(hiss(1), PCM, NEAR)

    assert len(microphone.pcm(bytes(800), AudioFormat("audio/pcma"), NEAR)) == 1600
