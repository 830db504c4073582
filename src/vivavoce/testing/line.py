"""A channel without a network: a client that is a list of what to say and what was heard."""

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import anyio

from vivavoce.audio.pcm import Pcm
from vivavoce.core.commands import AnyCommand
from vivavoce.core.errors import Refusal
from vivavoce.core.events import ServerEvent
from vivavoce.core.signals import Played
from vivavoce.mailbox import Mailbox
from vivavoce.runtime.channel import Captured

Kind = TypeVar("Kind")
Said = AnyCommand | Refusal | Played | Captured


class Line:
    """The client's end of a conversation. *reading_s* is how long it takes to read each
    event, *coming_s* how long until it can be told anything."""

    def __init__(self, reading_s: float = 0, coming_s: float = 0) -> None:
        self.heard: list[tuple[float, ServerEvent]] = []
        self.played: list[tuple[str, Pcm]] = []
        self.concluded: list[str] = []
        self.flushed: list[str] = []
        self.closed: tuple[int, str] | None = None
        self._reading_s = reading_s
        self._coming_s = coming_s
        self._said: Mailbox[Said] = Mailbox(100_000, 1 << 30)
        self._news = anyio.Event()

    # The client's side.

    def say(self, *said: Said) -> None:
        """Send these."""
        for each in said:
            assert self._said.put_nowait(each)

    def leave(self) -> None:
        """Vanish."""
        self._said.close()

    async def wait_for(self, kind: type[Kind], count: int = 1) -> Kind:
        """Wait until *count* events of that kind were heard, and return the last of them."""
        while len(found := self.events(kind)) < count:
            await self._news.wait()
        return found[count - 1]

    async def wait_until(self, holds: Callable[["Line"], bool]) -> None:
        """Wait until what was heard makes *holds* true."""
        while not holds(self):
            await self._news.wait()

    def events(self, kind: type[Kind]) -> list[Kind]:
        """Everything heard of that kind."""
        return [event for _, event in self.heard if isinstance(event, kind)]

    @property
    def names(self) -> list[str]:
        """The kinds of everything heard, in order."""
        return [type(event).__name__ for _, event in self.heard]

    # The server's side.

    async def inputs(self) -> AsyncIterator[Said]:
        """What the client says, until it leaves."""
        async for said in self._said:
            yield said

    async def ready(self) -> None:
        """Wait until the client has come."""
        await anyio.sleep(self._coming_s)

    async def send(self, event: ServerEvent) -> None:
        """Read an event."""
        if self._reading_s:
            await anyio.sleep(self._reading_s)
        self.heard.append((anyio.current_time(), event))
        self._tell()

    def play(self, response_id: str, audio: Pcm) -> None:
        """Take audio for the track, where the view has one."""
        self.played.append((response_id, audio))

    def conclude(self, response_id: str) -> None:
        """Note that all of it was given."""
        self.concluded.append(response_id)

    def flush(self, response_id: str) -> None:
        """Note that nothing more of it is to be heard."""
        self.flushed.append(response_id)

    async def room(self, response_id: str) -> None:
        """There always is."""

    async def close(self, code: int, reason: str) -> None:
        """Be hung up on."""
        if self.closed is None:
            self.closed = (code, reason)
        self._said.close()
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()
