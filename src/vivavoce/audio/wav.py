"""WAV, as model servers take and give it: PCM16 with a head in front."""

import struct
import sys

from vivavoce.audio.pcm import Pcm

_HEAD = struct.Struct("<4sI4s4sIHHIIHH4sI")
_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")
_PCM, _EXTENSIBLE = 1, 0xFFFE


class NotPcm(ValueError):  # noqa: N818 - named by what it is
    """These bytes hold audio of another kind; the message says of which."""


def wav(pcm: Pcm) -> bytes:
    """A WAV file with that audio in it."""
    size, rate_hz = len(pcm.data), pcm.rate_hz
    head = _HEAD.pack(
        *(b"RIFF", _HEAD.size - _CHUNK.size + size, b"WAVE"),
        *(b"fmt ", _FORMAT.size, _PCM, 1, rate_hz, 2 * rate_hz, 2, 16),
        *(b"data", size),
    )
    return head + pcm.data


class Unpacking:
    """One stream of mono 16-bit audio, in whatever chunks its bytes arrive -> whole samples.

    The bytes are samples as they are, at *rate_hz*, or a WAV file, which tells its rate itself and
    need not know its own length.
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._bytes = bytearray()
        self._left: int | None = None  # bytes of audio to come; None: its beginning was not seen

    def push(self, data: bytes) -> Pcm:
        """The samples that *data* completes, perhaps none; or `NotPcm`."""
        self._bytes += data
        if self._left is None:
            self._left = self._behind_the_head()
        whole = min(len(self._bytes), self._left or 0) & ~1
        pcm = Pcm(bytes(self._bytes[:whole]), self.rate_hz)
        del self._bytes[:whole]
        if self._left is not None:
            self._left -= whole
        return pcm

    def _behind_the_head(self) -> int | None:
        """Drop the head when all of it has come, and say how much audio follows."""
        if not self._bytes.startswith(b"RIFF"):
            return None if b"RIFF".startswith(self._bytes) else sys.maxsize
        place = 12
        while len(self._bytes) >= place + _CHUNK.size:
            name, size = _CHUNK.unpack_from(self._bytes, place)
            place += _CHUNK.size
            if name == b"data":
                del self._bytes[:place]
                return size or sys.maxsize  # 0, or the most there can be: it was not known
            if name == b"fmt " and len(self._bytes) >= place + _FORMAT.size:
                self.rate_hz = _rate_hz(self._bytes, place)
            place += size + size % 2
        return None


def _rate_hz(head: bytearray, place: int) -> int:
    kind, channels, rate_hz, _, _, bits = _FORMAT.unpack_from(head, place)
    if kind not in (_PCM, _EXTENSIBLE) or channels != 1 or bits != 16 or not rate_hz:
        raise NotPcm(
            f"a WAV of kind {kind} with {channels} channels of {bits} bits at {rate_hz} Hz, where "
            "one channel of 16-bit PCM is wanted"
        )
    return int(rate_hz)
