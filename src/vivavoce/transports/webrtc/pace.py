"""Pace: when the frames of a stream are due."""


class Pace:
    """Frame n is due at *start* + n x *frame_s*, in seconds of a monotonic clock, for ever.

    Frames are counted, never added up, so late wake-ups and rounding do not pile up to a drift.
    """

    MOST_AT_ONCE = 10  # frames; whatever sleeps longer than that is better off with silence

    def __init__(self, start: float, frame_s: float = 0.02) -> None:
        self.skipped = 0
        self._start = start
        self._frame_s = frame_s
        self._told = 0

    @property
    def next_at(self) -> float:
        """When the next frame is due that was not told yet, in seconds of the same clock."""
        return self._at(self._told)

    def due(self, now: float) -> int:
        """How many frames have become due since the last call, at most `MOST_AT_ONCE`.

        Those beyond, the oldest, are passed over; `skipped` tells how many this call passed over.
        At `next_at` exactly, one frame is due.
        """
        fresh = max(0, self._begun_by(now) - self._told)
        self._told += fresh
        self.skipped = max(0, fresh - self.MOST_AT_ONCE)
        return fresh - self.skipped

    def _begun_by(self, now: float) -> int:
        """How many frames are due by then, by the same arithmetic that tells when each is due."""
        count = round((now - self._start) / self._frame_s)
        return count + 1 if self._at(count) <= now else count

    def _at(self, number: int) -> float:
        return self._start + number * self._frame_s
