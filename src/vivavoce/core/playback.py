"""What the listener has heard, where the server is who plays.

On a WebSocket the client plays and alone knows how far it came: there, nothing is ever tracked.
"""

from msgspec import Struct


class Playing(Struct):
    """A response whose audio is on its way to the listener's ear."""

    response_id: str
    item_id: str
    rate_hz: int
    played: int = 0
    begun: bool = False  # the listener has heard something of it
    made: bool = False  # there is no more to come
    over: bool = False  # the listener hears no more of it

    @property
    def played_ms(self) -> int:
        """How much was heard, in whole milliseconds."""
        return self.played * 1000 // self.rate_hz


class Playback:
    """The responses that play or wait to be played, in order. What was stopped never starts again."""

    def __init__(self) -> None:
        self._row: dict[str, Playing] = {}

    @property
    def pending(self) -> bool:
        """Whether anything plays, or waits to be played."""
        return any(not playing.over for playing in self._row.values())

    def expect(self, response_id: str, item_id: str, rate_hz: int) -> None:
        """Note that audio of a response was produced."""
        self._row.setdefault(response_id, Playing(response_id, item_id, rate_hz))

    def advance(self, response_id: str, samples: int, finished: bool) -> tuple[bool, bool]:
        """Note how much was heard; whether playing began with that, and whether it ended."""
        playing = self._row.get(response_id)
        if playing is None or playing.over:
            return False, False
        begins = not playing.begun
        playing.begun = True
        playing.played = samples
        playing.over = finished
        self._tidy()
        return begins, finished

    def flush(self) -> list[Playing]:
        """Stop everything and tell what that was."""
        stopped = [playing for playing in self._row.values() if not playing.over]
        for playing in stopped:
            playing.over = True
        self._tidy()
        return stopped

    def conclude(self, response_id: str) -> None:
        """Note that all audio of a response was produced."""
        if (playing := self._row.get(response_id)) is not None:
            playing.made = True
            self._tidy()

    def _tidy(self) -> None:
        """Forget what is over, unless more of it might be produced."""
        self._row = {
            response_id: playing
            for response_id, playing in self._row.items()
            if not (playing.made and playing.over)
        }
