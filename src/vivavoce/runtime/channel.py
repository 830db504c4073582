"""What a transport offers the runtime, and what a backend is."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct

from vivavoce.audio.pcm import Pcm
from vivavoce.core.allowance import Quota
from vivavoce.core.commands import AnyCommand
from vivavoce.core.errors import Refusal
from vivavoce.core.events import ServerEvent
from vivavoce.core.settings import SessionSettings
from vivavoce.core.signals import Played


class View(Struct, frozen=True):
    """What a channel may see and say.

    *owns*: it brought the session, which ends when it leaves. *hears_audio*: audio deltas pass.
    *may_speak*: its commands are taken; otherwise each is refused.
    """

    owns: bool = True
    hears_audio: bool = True
    may_speak: bool = True


class Channel(Protocol):
    """A live connection, as the runtime sees it."""

    def inputs(self) -> AsyncIterator[AnyCommand | Refusal | Played]:
        """What the client sends, in order, until it leaves; what cannot be read is a Refusal."""
        ...

    async def send(self, event: ServerEvent) -> None:
        """Hand one event to the client; returns when the connection can take more."""
        ...

    async def play(self, response_id: str, audio: Pcm) -> None:
        """Play audio, where it has a track of its own; elsewhere it travels in events."""
        ...

    async def flush(self) -> None:
        """Throw away what was not played yet."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Hang up, with a WebSocket close code and a reason of at most 123 bytes."""
        ...


class Live(Protocol):
    """A session that is under way. It outlives and owns its channels."""

    async def attach(self, channel: Channel, view: View) -> None:
        """Serve *channel* until it leaves or the session ends."""
        ...


class Opening(Struct, frozen=True):
    """What is known of a session before its first event.

    *max_seconds* is its longest life. *strict*: what the hosted service refuses is refused.
    *announces_conversation*: `conversation.created` follows `session.created`.
    """

    session_id: str
    settings: SessionSettings
    max_seconds: int = 3600
    quota: Quota = Quota()
    strict: bool = False
    announces_conversation: bool = False


class Backend(Protocol):
    """Who answers a session: our own runner, or a relay."""

    def open(self, opening: Opening) -> AbstractAsyncContextManager[Live]:
        """Begin a session; leaving the context ends it and everything it runs."""
        ...
