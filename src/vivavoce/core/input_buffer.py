"""Uncommitted input audio, counted in samples: append, commit, clear, prefix.

Positions are on the session's audio clock, which counts all audio ever appended. It ticks 24,000
times a second, so that a sample of PCM is one tick and a sample of G.711 three, and the clock goes
on when the format changes.
"""

from vivavoce.core.settings import AudioFormat

TICKS_PER_MS = 24


class InputBuffer:
    """The newest audio that belongs to no item yet, as PCM16 at the rate of its format."""

    def __init__(self, audio_format: AudioFormat) -> None:
        self.format = audio_format
        self._pcm = bytearray()
        self._odd = b""
        self._end = 0

    @property
    def ticks_per_sample(self) -> int:
        """How far the clock moves with each sample."""
        return 24000 // self.format.rate_hz

    @property
    def end(self) -> int:
        """The clock: where the next sample will lie, in ticks."""
        return self._end

    @property
    def start(self) -> int:
        """Where the oldest sample that is kept lies, in ticks."""
        return self._end - len(self._pcm) // 2 * self.ticks_per_sample

    @property
    def byte_count(self) -> int:
        """How much is kept."""
        return len(self._pcm)

    def append(self, pcm: bytes) -> bytes:
        """Take audio in any chunking and return the whole samples it completes."""
        if self._odd or len(pcm) % 2:
            # A client may cut its stream anywhere; half a sample waits for its other half.
            pcm = self._odd + pcm
            self._odd = pcm[len(pcm) // 2 * 2 :]
            pcm = pcm[: len(pcm) // 2 * 2]
        self._pcm += pcm
        self._end += len(pcm) // 2 * self.ticks_per_sample
        return pcm

    def between(self, start: int, end: int) -> bytes:
        """The audio from *start* to *end*, as far as it is kept."""
        return bytes(self._pcm[self._offset(start) : self._offset(end)])

    def take(self, start: int, end: int) -> bytes:
        """Remove everything before *end* and return what lay from *start* on."""
        taken = self.between(start, end)
        self.forget(end)
        return taken

    def forget(self, before: int) -> None:
        """Let go of everything before that tick."""
        del self._pcm[: self._offset(before)]

    def clear(self) -> None:
        """Let go of everything; the clock stands where it stood."""
        self._pcm.clear()
        self._odd = b""

    def change(self, audio_format: AudioFormat) -> None:
        """Take audio of another format from now on; what was buffered is gone."""
        self.clear()
        self.format = audio_format

    def _offset(self, tick: int) -> int:
        samples = (tick - self.start) // self.ticks_per_sample
        return min(max(0, samples), len(self._pcm) // 2) * 2
