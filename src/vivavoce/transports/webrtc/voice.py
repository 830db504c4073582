"""The codecs of a call: PCM16 at 24 kHz to and from what RTP packets carry, 20 ms at a time.

An encoder spends nothing on silence: what was said is followed by three frames in which the codec
comes to rest, then by the same payload until there is more to say. A decoder never refuses: what is
lost or broken is replaced by something like what was heard before, which fades within 100 ms.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from vivavoce.audio import formats
from vivavoce.audio.pcm import Samples
from vivavoce.audio.resample import Resampler
from vivavoce.transports.webrtc import opus
from vivavoce.transports.webrtc.offer import AudioCodec

RATE_HZ = 24000
FRAMES_A_SECOND = 50
SILENT_FRAME = bytes(2 * RATE_HZ // FRAMES_A_SECOND)
SETTLED = 3  # frames of silence: after two, Opus still sounds at up to 1 % of what was said

# Measured with 22 s of speech. Complexity 1 takes 78 us a frame, 2 takes 144 and 5 takes 185, and a
# few kbit/s buy as much. Noise over the masking threshold and distance of the spectra, both in
# bands: 3.43 and 2.67 dB with these settings, 3.43 and 2.60 with complexity 2 and 36 kbit/s, 3.55
# and 2.64 with complexity 5 and 32 kbit/s. Complexity 0 saves 8 us and smears the onset of a voice:
# 4.8 dB there, where 1 has 1.7. With 36 kbit/s a frame, with 32 all lack what lies over 8 kHz.
# Speech comes to 35 kbit/s. A lost frame comes back from its copy with an error 9.6 dB under it;
# merely concealed, with one 1.0 dB under it.
OPUS_BITS_A_SECOND = 40000
OPUS_COMPLEXITY = 1
OPUS_EXPECTED_LOSS_PERCENT = 10

# A frame of 20 ms in the transform mode whose first bit says that it is silent. A decoder gives at
# most 6 of 32,768 when it changes over to it, then 0. The speech that follows comes as near to the
# original as when all silence is encoded, and nearer than from an encoder that begins anew.
OPUS_SILENCE = b"\xf8\xff\xfe"

CONCEALED_FRAMES = 5  # 100 ms; the transform mode alone would sound on for 300 ms
FADE_OUT = np.linspace(1, 0, RATE_HZ // FRAMES_A_SECOND)
FADE_IN = np.linspace(0, 1, RATE_HZ // 200)

G711_RATE_HZ = 8000
G711_FRAME = G711_RATE_HZ // FRAMES_A_SECOND
G711_KINDS: dict[str, formats.Kind] = {"PCMU": "audio/pcmu", "PCMA": "audio/pcma"}


class VoiceEncoder(Protocol):
    """What the server says. *ticks*: how long a frame is by the clock of the RTP packets."""

    ticks: int

    def encode(self, pcm: bytes | None) -> bytes:
        """The payload for the next 20 ms, 960 bytes of PCM16 at 24 kHz; None is silence."""
        ...


class VoiceDecoder(Protocol):
    """What the caller says."""

    def decode(self, payload: bytes) -> bytes:
        """PCM16 at 24 kHz, as long as what is in the payload; of a broken one, 20 ms."""
        ...

    def conceal(self, following: bytes | None) -> bytes:
        """20 ms in place of a lost packet; *following* is the payload right behind it, if there."""
        ...


def encoder_of(codec: AudioCodec) -> VoiceEncoder:
    """A new encoder, its state its own."""
    ticks = codec.clock_hz // FRAMES_A_SECOND
    if codec.name == "opus":
        settings = OPUS_BITS_A_SECOND, OPUS_COMPLEXITY, OPUS_EXPECTED_LOSS_PERCENT
        return Speaker(ticks, opus.Encoder(*settings).encode, OPUS_SILENCE)
    encode = G711Encoder(G711_KINDS[codec.name]).encode
    return Speaker(ticks, encode, encode(SILENT_FRAME))


def decoder_of(codec: AudioCodec) -> VoiceDecoder:
    """A new decoder, its state its own."""
    if codec.name == "opus":
        return OpusDecoder()
    return G711Decoder(G711_KINDS[codec.name])


class Speaker:
    """A `VoiceEncoder`: frames are encoded, lasting silence is the same payload again and again."""

    def __init__(self, ticks: int, encode: Callable[[bytes], bytes], silence: bytes) -> None:
        self.ticks = ticks
        self._encode = encode
        self._silence = silence
        self._silent_frames = SETTLED  # nobody has spoken yet

    def encode(self, pcm: bytes | None) -> bytes:
        """See `VoiceEncoder`."""
        if pcm is not None:
            self._silent_frames = 0
            return self._encode(pcm)
        if self._silent_frames == SETTLED:
            return self._silence
        self._silent_frames += 1
        return self._encode(SILENT_FRAME)


class OpusDecoder:
    """A `VoiceDecoder`. libopus conceals; here it is made to end, and the end made smooth."""

    def __init__(self) -> None:
        self._decoder = opus.Decoder()
        self._concealed = 0  # frames in a row

    def decode(self, payload: bytes) -> bytes:
        """See `VoiceDecoder`."""
        try:
            return self._resumed(self._decoder.decode(payload))
        except opus.OpusError:
            return self.conceal(None)

    def conceal(self, following: bytes | None) -> bytes:
        """See `VoiceDecoder`."""
        if following:
            try:
                return self._resumed(self._decoder.recover(following))
            except opus.OpusError:
                pass  # it is as good as lost itself
        if self._concealed == CONCEALED_FRAMES:
            return SILENT_FRAME
        self._concealed += 1
        pcm = self._decoder.conceal()
        return scaled(pcm, FADE_OUT) if self._concealed == CONCEALED_FRAMES else pcm

    def _resumed(self, pcm: bytes) -> bytes:
        after_silence = self._concealed == CONCEALED_FRAMES
        self._concealed = 0
        return scaled(pcm, FADE_IN) if after_silence else pcm


def scaled(pcm: bytes, gains: NDArray[np.float64]) -> bytes:
    """PCM16 whose first samples are multiplied by *gains*, as far as both go."""
    samples = np.frombuffer(pcm, "<i2").copy()
    samples[: len(gains)] = samples[: len(gains)] * gains[: len(samples)]
    return samples.tobytes()


class G711Encoder:
    """PCM16 at 24 kHz into mu-law or A-law at 8 kHz, a millisecond late."""

    def __init__(self, kind: formats.Kind) -> None:
        self._kind = kind
        self._resampler = Resampler(RATE_HZ, G711_RATE_HZ, prompt=True)

    def encode(self, pcm: bytes) -> bytes:
        """As many milliseconds as were put in."""
        narrow = self._resampler.push(np.frombuffer(pcm, "<i2"))
        return formats.encode(self._kind, narrow.tobytes())


class G711Decoder:
    """A `VoiceDecoder`, a millisecond late. What is lost is concealed before it is resampled."""

    def __init__(self, kind: formats.Kind) -> None:
        self._kind = kind
        self._echo = Echo()
        self._resampler = Resampler(G711_RATE_HZ, RATE_HZ, prompt=True)

    def decode(self, payload: bytes) -> bytes:
        """See `VoiceDecoder`."""
        if not payload:
            return self.conceal(None)
        heard = np.frombuffer(formats.decode(self._kind, payload), "<i2")
        return self._resampler.push(self._echo.hear(heard)).tobytes()

    def conceal(self, following: bytes | None) -> bytes:
        """See `VoiceDecoder`."""
        return self._resampler.push(self._echo.invent(G711_FRAME)).tobytes()


class Echo:
    """Fills gaps in a voice at 8 kHz: its last 10 to 20 ms again and again, silent after 60 ms.

    How much is repeated is chosen so that the wave goes on where it broke off: what comes before
    the repeated piece is as like as can be to the end of what was heard. In speech the next 10 ms
    then correlate by 0.60 with what was lost; by 0.06 if it is always 20 ms that are repeated.
    """

    PIECE = 80, 160  # samples, least and most: every pitch from 50 Hz has a whole number of periods
    LIKENESS = 40  # samples compared
    FADE = 480
    JOIN = 32  # samples over which what is heard again replaces the echo

    def __init__(self) -> None:
        self._past = np.zeros(self.PIECE[1] + self.LIKENESS)
        self._piece = self._past[:0]  # empty while there is no gap
        self._invented = 0

    def hear(self, samples: Samples) -> Samples:
        """What came, its first four milliseconds joined to the echo if there was one."""
        if len(self._piece):
            joined = samples.copy()
            count = min(self.JOIN, len(samples))
            share = np.linspace(0, 1, count)
            joined[:count] = share * samples[:count] + (1 - share) * self._next(count)
            samples = joined
            self._piece = self._past[:0]
        self._remember(samples)
        return samples

    def invent(self, count: int) -> Samples:
        """So many samples in place of what did not come."""
        if not len(self._piece):
            self._piece, self._invented = self._past[-self._period() :], 0
        samples = self._next(count).astype(np.int16)
        self._remember(samples)
        return samples

    def _next(self, count: int) -> NDArray[np.float64]:
        at = np.arange(self._invented, self._invented + count)
        self._invented += count
        return self._piece[at % len(self._piece)] * np.maximum(1 - at / self.FADE, 0)

    def _remember(self, samples: Samples) -> None:
        self._past = np.concatenate([self._past, samples])[-len(self._past) :]

    def _period(self) -> int:
        end = self._past[-self.LIKENESS :]
        # The window at index i ends where a piece of length most - i would begin.
        windows = sliding_window_view(self._past[: -self.PIECE[0]], self.LIKENESS)
        likeness = windows @ end / np.sqrt((windows**2).sum(axis=1) + 1)
        return self.PIECE[1] - int(likeness.argmax())
