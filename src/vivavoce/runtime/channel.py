"""What a transport offers the runtime, and what a backend is."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from msgspec import Struct

from vivavoce.audio.pcm import Pcm
from vivavoce.core.allowance import Quota
from vivavoce.core.commands import AnyCommand
from vivavoce.core.errors import Refusal
from vivavoce.core.events import Event, ServerEvent
from vivavoce.core.settings import SessionSettings, SessionUpdate
from vivavoce.core.signals import Played


class View(Struct, frozen=True):
    """What a channel may see and say.

    *owns*: it brought the session, which ends when it leaves. *hears_audio*: audio deltas pass.
    *plays*: audio has a track of its own, and goes to `Channel.play`. *may_speak*: its commands are
    taken; otherwise each is refused. *locked* names fields of the session that its client can
    neither read nor change. *only*: no other events than these.
    """

    owns: bool = True
    hears_audio: bool = True
    plays: bool = False
    may_speak: bool = True
    locked: frozenset[str] = frozenset()
    only: frozenset[type[Event]] | None = None


class Captured(Struct, frozen=True):
    """What the client's microphone took up, where it has a track of its own."""

    pcm: Pcm


class Channel(Protocol):
    """A live connection, as the runtime sees it."""

    def inputs(self) -> AsyncIterator[AnyCommand | Refusal | Played | Captured]:
        """What the client sends, in order, until it leaves; what cannot be read is a Refusal."""
        ...

    async def ready(self) -> None:
        """Wait until the client can be told anything; for ever, if it never can."""
        ...

    async def send(self, event: ServerEvent) -> None:
        """Hand one event to the client; returns when the connection can take more."""
        ...

    def play(self, response_id: str, audio: Pcm) -> None:
        """Play audio behind what plays already, where it has a track of its own (see `View`)."""
        ...

    def conclude(self, response_id: str) -> None:
        """No more audio of a response will come; what was given plays to its end."""
        ...

    def flush(self, response_id: str) -> None:
        """Throw away what was not played yet of a response, and what more of it may come."""
        ...

    async def room(self, response_id: str) -> None:
        """Wait until most of what was given of a response has been played."""
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
    *announces_conversation*: `conversation.created` follows `session.created`. *plays*: the server
    plays the audio to its client and knows how much was heard; its rate is 24 kHz then, whatever
    formats the settings name.
    """

    session_id: str
    settings: SessionSettings
    max_seconds: int = 3600
    quota: Quota = Quota()
    strict: bool = False
    announces_conversation: bool = False
    plays: bool = False


class Backend(Protocol):
    """Who answers a session: our own runner, or a relay."""

    def open(self, opening: Opening) -> AbstractAsyncContextManager[Live]:
        """Begin a session; leaving the context ends it and everything it runs."""
        ...

    def settle(self, opening: Opening, update: SessionUpdate) -> SessionSettings:
        """The settings that a session so opened would have after *update*; Refusal if it may not."""
        ...
