"""Appended audio on its way into the session: off the wire's format, and cleaned of noise."""

import numpy as np

from vivavoce.audio import formats
from vivavoce.audio.denoise import Denoiser
from vivavoce.core.settings import AudioFormat, NoiseReduction


class Microphone:
    """One session's input. The denoiser lives as long as the format and the setting do."""

    def __init__(self) -> None:
        self._cleaner: tuple[AudioFormat, NoiseReduction, Denoiser] | None = None
        self._odd = b""  # half a sample, while noise is reduced: samples are cleaned whole

    def pcm(
        self, wire: bytes, audio_format: AudioFormat, reduction: NoiseReduction | None
    ) -> bytes:
        """The audio as PCM16 at the format's rate; cleaned audio sounds 20 ms later."""
        pcm = formats.decode(audio_format.type, wire)
        if reduction is None:
            pcm, self._odd, self._cleaner = self._odd + pcm, b"", None
            return pcm
        pcm = self._odd + pcm
        whole = len(pcm) // 2 * 2
        self._odd = pcm[whole:]
        cleaned = self._denoiser(audio_format, reduction).push(np.frombuffer(pcm[:whole], "<i2"))
        return cleaned.astype("<i2", copy=False).tobytes()

    def _denoiser(self, audio_format: AudioFormat, reduction: NoiseReduction) -> Denoiser:
        if self._cleaner is None or self._cleaner[:2] != (audio_format, reduction):
            denoiser = Denoiser(audio_format.rate_hz, reduction.type)
            self._cleaner = (audio_format, reduction, denoiser)
        return self._cleaner[2]
