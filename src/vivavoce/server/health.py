"""Whether the process lives, whether its engines are warm, and what it counts."""

from collections.abc import Callable, Sequence
from typing import Literal

import anyio
from msgspec import Struct

from vivavoce.server.refusals import Denial, unavailable

State = Literal["loading", "ready", "draining", "failed"]


class EngineReport(Struct, frozen=True):
    """An engine at work: its slot, its name in recipes, and what it says of itself."""

    slot: str
    name: str
    version: str
    status: str = "ready"


class Readiness:
    """Where the server stands between its start and its end."""

    def __init__(self, engines: Callable[[], Sequence[EngineReport]] = tuple) -> None:
        self._engines = engines
        self.state: State = "loading"
        self.settled = anyio.Event()  # no longer loading
        self.failed = anyio.Event()

    def warm(self) -> None:
        """The engines are loaded."""
        if self.state == "loading":
            self.state = "ready"
            self.settled.set()

    def drain(self) -> None:
        """No more sessions are taken."""
        if self.state != "failed":
            self.state = "draining"
            self.settled.set()

    def fail(self) -> None:
        """The engines cannot be loaded, or are lost."""
        self.state = "failed"
        self.settled.set()
        self.failed.set()

    @property
    def denial(self) -> Denial | None:
        """Why nobody can be served just now."""
        match self.state:
            case "ready":
                return None
            case "loading":
                return unavailable("The engines are still being loaded.")
            case "draining":
                return unavailable("The server is shutting down.")
            case "failed":
                return unavailable("The engines could not be loaded; the server's log says more.")

    def report(self, live: int) -> dict[str, object]:
        """What `/readyz` says."""
        return {"status": self.state, "sessions": live, "engines": list(self._engines())}
