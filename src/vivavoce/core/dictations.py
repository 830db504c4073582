"""Recordings that are written down apart from what is being said: those that came inside items.

A few of them are with the transcriber at once, the others wait their turn here, so that one client
with many recordings does not hold up all the others. A dictation bears the id of its item, or one
of its own where an item has several parts to write down, or is none of the conversation.
"""

from collections.abc import Iterable

from msgspec import Struct

from vivavoce.core.effects import DropTranscript, Effect
from vivavoce.core.errors import Refusal

AT_ONCE = 2
MOST = 64
MOST_BYTES = 32 * 1024 * 1024

Place = tuple[str, int]  # an item, and which of its parts


class Dictation(Struct, frozen=True):
    """What is written down: the place of its words, and how to ask for them."""

    id: str
    place: Place
    orders: tuple[Effect, ...]
    byte_count: int


class Dictations:
    """Those that are under way, and those that wait."""

    def __init__(self) -> None:
        self._running: dict[str, Dictation] = {}
        self._waiting: dict[str, Dictation] = {}

    def check(self, recordings: Iterable[bytes]) -> None:
        """Refuse more than there is room for."""
        sizes = [*map(len, recordings)]
        waiting = sum(each.byte_count for each in self._waiting.values())
        if not sizes:
            return
        if len(self._running) + len(self._waiting) + len(sizes) > MOST:
            raise Refusal(
                f"More than {MOST} recordings would wait to be transcribed. Please try again when "
                "some of them are.",
                code="rate_limit_exceeded",
            )
        if self._waiting and waiting + sum(sizes) > MOST_BYTES:
            raise Refusal(
                f"Recordings of {waiting} bytes wait to be transcribed, and {MOST_BYTES} may. "
                "Please try again when some of them are.",
                code="rate_limit_exceeded",
            )

    def add(self, dictation: Dictation) -> tuple[Effect, ...]:
        """Have it written down, now or when its turn comes."""
        if len(self._running) >= AT_ONCE:
            self._waiting[dictation.id] = dictation
            return ()
        self._running[dictation.id] = dictation
        return dictation.orders

    def place(self, dictation: str) -> Place:
        """Whose words those are; of what was said as it was heard, the first part of its item."""
        found = self._running.get(dictation) or self._waiting.get(dictation)
        return found.place if found is not None else (dictation, 0)

    def end(self, dictation: str) -> tuple[Effect, ...]:
        """It is written down, or cannot be: what comes next."""
        self._running.pop(dictation, None)
        return self._next()

    def drop(self, dictation: str) -> tuple[Effect, ...]:
        """Nobody wants its words any more: what is to be done about that."""
        if self._waiting.pop(dictation, None) is not None:
            return ()
        if self._running.pop(dictation, None) is None:
            return ()
        return (DropTranscript(dictation), *self._next())

    def _next(self) -> tuple[Effect, ...]:
        if not self._waiting or len(self._running) >= AT_ONCE:
            return ()
        dictation = self._waiting.pop(next(iter(self._waiting)))
        self._running[dictation.id] = dictation
        return dictation.orders
