"""Audio on its way into the session: off the wire's format, at its rate, and cleaned of noise."""

from vivavoce.audio import formats
from vivavoce.audio.denoise import Denoiser
from vivavoce.audio.pcm import Pcm
from vivavoce.audio.resample import Resampler
from vivavoce.core.settings import AudioFormat, NoiseReduction


class Microphone:
    """One session's input. Denoiser and resampler live as long as rates and the setting do."""

    def __init__(self) -> None:
        self._cleaner: tuple[int, NoiseReduction, Denoiser] | None = None
        self._resampler: tuple[int, int, Resampler] | None = None
        self._odd = b""  # half a sample, while noise is reduced: samples are cleaned whole

    def pcm(
        self, wire: bytes, audio_format: AudioFormat, reduction: NoiseReduction | None
    ) -> bytes:
        """Appended audio as PCM16 at the format's rate; cleaned audio sounds 20 ms later."""
        pcm = self._odd + formats.decode(audio_format.type, wire)
        self._odd = b""
        if reduction is None:
            self._cleaner = None
            return pcm
        whole = len(pcm) // 2 * 2
        self._odd = pcm[whole:]
        return self.captured(
            Pcm(pcm[:whole], audio_format.rate_hz), audio_format.rate_hz, reduction
        )

    def captured(self, audio: Pcm, rate_hz: int, reduction: NoiseReduction | None) -> bytes:
        """Audio of whole samples as PCM16 at that rate, cleaned if that is asked for."""
        samples = audio.samples
        if audio.rate_hz != rate_hz:
            samples = self._resample(audio.rate_hz, rate_hz).push(samples)
        if reduction is not None:
            samples = self._denoiser(rate_hz, reduction).push(samples)
        return samples.astype("<i2", copy=False).tobytes()

    def _resample(self, from_hz: int, to_hz: int) -> Resampler:
        if self._resampler is None or self._resampler[:2] != (from_hz, to_hz):
            self._resampler = (from_hz, to_hz, Resampler(from_hz, to_hz, prompt=True))
        return self._resampler[2]

    def _denoiser(self, rate_hz: int, reduction: NoiseReduction) -> Denoiser:
        if self._cleaner is None or self._cleaner[:2] != (rate_hz, reduction):
            self._cleaner = (rate_hz, reduction, Denoiser(rate_hz, reduction.type))
        return self._cleaner[2]
