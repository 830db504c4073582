"""The clock of silence: when nobody has spoken for too long after a response was heard.

It starts when a response is over and its audio has been played. Where the client plays, that is as
far as can be known: not before the response's length has passed since its first sound went out.
"""

from vivavoce.core.response import Response
from vivavoce.core.settings import ServerVad, TurnDetection


def idle_timeout_ms(detection: TurnDetection | None) -> int | None:
    """How long silence may last, if it may not last for ever."""
    return detection.idle_timeout_ms if isinstance(detection, ServerVad) else None


class Silence:
    """Whether the assistant has to say something about it, and when."""

    def __init__(self) -> None:
        self.due_at: float | None = None
        self.overdue = False  # it was due while there was no audio of it
        self._heard: str | None = None  # the item that is counted on to be heard

    def begin(self, ended: Response, timeout_ms: int, now: float) -> None:
        """A response is over: count from where its listener has heard the last of it."""
        heard_at = now
        if ended.sounded_at is not None:
            heard_at = max(now, ended.sounded_at + ended.length_ms / 1000)
        self.due_at, self.overdue = heard_at + timeout_ms / 1000, False
        self._heard = ended.speech_id

    def cut_short(self, item_id: str, timeout_ms: int, now: float) -> None:
        """The listener has stopped playing that item; it may be the one that was counted on."""
        if self.due_at is not None and item_id == self._heard:
            self.due_at = min(self.due_at, now + timeout_ms / 1000)

    def postpone(self, timeout_ms: int, now: float) -> None:
        """The listener hears something until now: count from here."""
        if self.due_at is not None:
            self.due_at = now + timeout_ms / 1000

    def end(self) -> None:
        """Somebody speaks, or is about to."""
        self.due_at, self.overdue = None, False
