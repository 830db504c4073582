"""Playout: what the listener is to hear, in order, and how far it was heard."""

from msgspec import Struct

from vivavoce.core.signals import Played

FRAME_BYTES = 960  # 20 ms of PCM16 at 24 kHz
BYTES_PER_MS = 48
BYTES_PER_SAMPLE = 2
PLENTY_MS = 20_000  # of one response
PLENTY_OF_ALL_MS = 60_000
MOST_FLUSHED = 256  # responses whose audio may still come; no more run at once


class Strand(Struct):
    """One response: what of it waits and what has left."""

    response_id: str
    waiting: bytearray
    samples: int = 0  # that have left
    concluded: bool = False  # no more of it will come
    forgotten: bool = False  # nobody will speak of it again
    delayed: bool = False  # too little for a frame, and already passed by once

    @property
    def over(self) -> bool:
        """Whether all of it has left."""
        return self.concluded and not self.waiting

    def cut(self, most: int) -> bytes:
        """Let its next bytes go, up to that many."""
        piece = bytes(self.waiting[:most])
        del self.waiting[:most]
        self.samples += len(piece) // BYTES_PER_SAMPLE
        self.delayed = False
        return piece


class Playout:
    """Responses one after another, in the order in which each first had audio, by frames of 20 ms.

    All audio is PCM16 mono at 24 kHz, in whole samples. A response that has run out but is not
    concluded holds up those behind it.
    """

    def __init__(self) -> None:
        self._row: dict[str, Strand] = {}
        self._over: dict[str, None] = {}  # of these, no audio is taken any more; the oldest first

    @property
    def queued_ms(self) -> float:
        """How much waits, in milliseconds."""
        return sum(len(strand.waiting) for strand in self._row.values()) / BYTES_PER_MS

    def is_full(self, response_id: str) -> bool:
        """Whether enough of that response waits, so that no more need be made for now.

        What waits of others counts as well, but never for the one that is heard: it would wait for
        those that wait for it.
        """
        strand = self._row.get(response_id)
        if strand is not None and len(strand.waiting) >= PLENTY_MS * BYTES_PER_MS:
            return True
        heard = next(iter(self._row), response_id)
        return heard != response_id and self.queued_ms >= PLENTY_OF_ALL_MS

    def add(self, response_id: str, pcm: bytes) -> None:
        """Put audio behind what waits; ignored once the response was concluded or flushed."""
        if not pcm or response_id in self._over:
            return
        strand = self._row.get(response_id)
        if strand is None:
            self._row[response_id] = Strand(response_id, bytearray(pcm))
        elif not strand.concluded:
            strand.waiting += pcm

    def conclude(self, response_id: str) -> None:
        """No more audio of it will come; when the rest has left, it is finished."""
        if (strand := self._row.get(response_id)) is not None:
            strand.concluded = True
        else:
            self._refuse(response_id)

    def flush(self, response_id: str) -> None:
        """Throw away what has not left; nothing of it is taken or told any more."""
        strand = self._row.pop(response_id, None)
        if strand is None or not strand.forgotten:
            self._refuse(response_id)

    def forget(self, response_id: str) -> None:
        """Nobody will add to it again, so its name need not be kept. What waits is still played."""
        self._over.pop(response_id, None)
        if (strand := self._row.get(response_id)) is not None:
            strand.concluded = strand.forgotten = True

    def take(self) -> tuple[bytes | None, tuple[Played, ...]]:
        """The next 20 ms, or None for silence, and how far each response was heard by that.

        The last frame of a response is filled up with the next one's audio if that is there, else
        with silence. Less than a frame of one that is not concluded waits for more, but only once.
        """
        if not self._row:
            return None, ()
        frame = b""
        played = []
        for strand in list(self._row.values()):
            piece = self._next_of(strand, FRAME_BYTES - len(frame))
            frame += piece
            if strand.over:
                self._leave(strand)
            if piece or strand.over:
                played.append(Played(strand.response_id, strand.samples, strand.over))
            if not strand.over:
                break
        return frame.ljust(FRAME_BYTES, b"\0") if frame else None, tuple(played)

    def _next_of(self, strand: Strand, room: int) -> bytes:
        """What of it goes into the rest of a frame, which has so many bytes."""
        if strand.concluded or strand.delayed or len(strand.waiting) >= room:
            return strand.cut(room)
        strand.delayed = bool(strand.waiting)
        return b""

    def _refuse(self, response_id: str) -> None:
        self._over[response_id] = None
        if len(self._over) > MOST_FLUSHED:
            del self._over[next(iter(self._over))]

    def _leave(self, strand: Strand) -> None:
        del self._row[strand.response_id]
        if not strand.forgotten:
            self._refuse(strand.response_id)
