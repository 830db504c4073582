"""What one step of the machine produces, gathered in order."""

from collections.abc import Callable, Iterable

from vivavoce.core.effects import Effect, Origin, Output, Tell
from vivavoce.core.events import ServerEvent

Mint = Callable[[str], str]


class Outgoing:
    """The outputs of the step under way, and the ids of what they speak of."""

    def __init__(self, mint: Mint) -> None:
        self.mint = mint
        self.now = 0.0  # the time of the step
        self._gathered: list[Output] = []

    def event_id(self) -> str:
        """An id for the event that is being made."""
        return self.mint("event_")

    def tell(self, event: ServerEvent, to: Origin | None = None) -> None:
        """Say it to one channel, or to every one that may see it."""
        self._gathered.append(Tell(event, to))

    def say(self, told: Iterable[ServerEvent]) -> None:
        """Say all of them to everyone."""
        self._gathered += map(Tell, told)

    def do(self, *effects: Effect) -> None:
        """Ask the runtime for these."""
        self._gathered += effects

    def drain(self) -> list[Output]:
        """Everything since the last time."""
        gathered, self._gathered = self._gathered, []
        return gathered
