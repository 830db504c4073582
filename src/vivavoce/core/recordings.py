"""The audio of items, kept for retrieval and truncation, within a bound."""

from collections.abc import Iterator

from vivavoce.core.settings import AudioFormat

MAX_BYTES = 8 * 1024 * 1024


class Recordings:
    """PCM16 of each audio part of each item. Beyond *max_bytes* the oldest recording goes first."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: dict[tuple[str, int], tuple[bytearray, AudioFormat]] = {}
        self._forgotten: set[tuple[str, int]] = set()
        self.byte_count = 0

    def grow(self, item_id: str, content_index: int, pcm: bytes, audio_format: AudioFormat) -> None:
        """Add to the end of a recording, or begin it."""
        key = (item_id, content_index)
        if key in self._forgotten:
            return
        self._kept.setdefault(key, (bytearray(), audio_format))[0].extend(pcm)
        self.byte_count += len(pcm)
        while self.byte_count > self._max_bytes:
            oldest = next(iter(self._kept))
            # A recording without its beginning is worth nothing: what follows is not kept either.
            self._forgotten.add(oldest)
            self._remove(oldest)

    def cut(self, item_id: str, content_index: int, samples: int) -> None:
        """Keep the first *samples* of a recording."""
        pcm, _ = self._kept.get((item_id, content_index), (bytearray(), None))
        self.byte_count -= max(0, len(pcm) - 2 * samples)
        del pcm[2 * samples :]

    def of(self, item_id: str) -> Iterator[tuple[int, bytes, AudioFormat]]:
        """What is still kept of an item: content index, PCM16, and the format it was said in."""
        for (owner, index), (pcm, audio_format) in self._kept.items():
            if owner == item_id:
                yield index, bytes(pcm), audio_format

    def drop(self, item_id: str) -> None:
        """Forget an item that is gone."""
        for key in [key for key in self._kept if key[0] == item_id]:
            self._remove(key)
        self._forgotten = {key for key in self._forgotten if key[0] != item_id}

    def _remove(self, key: tuple[str, int]) -> None:
        pcm, _ = self._kept.pop(key)
        self.byte_count -= len(pcm)
