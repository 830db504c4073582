"""The sessions under way, by their ids and by the ids of their calls."""

from collections.abc import Iterator

from msgspec import Struct

from vivavoce.runtime.channel import Live
from vivavoce.server.admission import Seat

MAX_OBSERVERS = 16  # connections that join one session


class LiveSession(Struct, eq=False):
    """A session that can be joined or hung up. *observers* counts the connections that joined it."""

    session_id: str
    deployment: str
    live: Live
    seat: Seat
    call_id: str | None = None
    observers: int = 0


class LiveSessions:
    """Those of this process."""

    def __init__(self) -> None:
        self._by_id: dict[str, LiveSession] = {}
        self._claimed: set[str] = set()

    def __iter__(self) -> Iterator[LiveSession]:
        return iter({each.session_id: each for each in self._by_id.values()}.values())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def claim(self, session_id: str) -> bool:
        """Have that id for a session that is to begin; False if another has it."""
        if session_id in self._claimed:
            return False
        self._claimed.add(session_id)
        return True

    def release(self, session_id: str) -> None:
        """Nobody has that id any more."""
        self._claimed.discard(session_id)

    def add(self, session: LiveSession) -> None:
        """One that begins."""
        self._by_id[session.session_id] = session
        if session.call_id is not None:
            self._by_id[session.call_id] = session

    def remove(self, session: LiveSession) -> None:
        """It is over."""
        del self._by_id[session.session_id]
        if session.call_id is not None:
            del self._by_id[session.call_id]

    def find(self, name: str) -> LiveSession | None:
        """The one of that session id or call id."""
        return self._by_id.get(name)
