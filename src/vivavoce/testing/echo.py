"""A tiny real Backend: answers every command at once, runs no engine, remembers what it was asked."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import assert_never

import anyio

from vivavoce.core import commands, events
from vivavoce.core.errors import Refusal
from vivavoce.core.settings import AudioFormat, SessionSettings, SessionUpdate, merge
from vivavoce.core.signals import Played
from vivavoce.runtime.channel import Captured, Channel, Live, Opening, View
from vivavoce.testing.ids import CountingIds

EXPIRES_AT = 2_000_000_000


class Echo:
    """Sessions that echo: audio comes back as audio deltas, items as added and done."""

    def __init__(self) -> None:
        self.openings: list[Opening] = []
        self.appended: list[int] = []  # bytes of audio, append by append
        self.attached = anyio.Event()  # somebody came
        self.left = anyio.Event()  # somebody went

    @asynccontextmanager
    async def open(self, opening: Opening) -> AsyncIterator[Live]:
        """Begin a session."""
        self.openings.append(opening)
        yield _Echoing(self, opening)

    def settle(self, opening: Opening, update: SessionUpdate) -> SessionSettings:
        """Whatever is asked for."""
        return merge(opening.settings, update)


class _Echoing:
    def __init__(self, echo: Echo, opening: Opening) -> None:
        self._echo = echo
        self._opening = opening
        self._settings = opening.settings
        self._mint = CountingIds()

    async def attach(self, channel: Channel, view: View) -> None:
        """Answer until the client leaves."""
        await channel.send(
            events.SessionCreated(event_id=self._mint("event_"), session=self._session())
        )
        self._echo.attached.set()
        try:
            async for said in channel.inputs():
                for event in self._answers(said):
                    await channel.send(event)
        finally:
            self._echo.left.set()

    def _session(self) -> events.SessionView:
        return events.SessionView(self._opening.session_id, self._settings, EXPIRES_AT)

    def _answers(
        self, said: commands.AnyCommand | Refusal | Played | Captured
    ) -> list[events.ServerEvent]:
        event_id = self._mint("event_")
        match said:
            case Refusal():
                return [events.ErrorRaised(event_id=event_id, refusal=said)]
            case commands.UpdateSession(update=update):
                self._settings = merge(self._settings, update)
                return [events.SessionUpdated(event_id=event_id, session=self._session())]
            case commands.AppendAudio(audio=audio):
                self._echo.appended.append(len(audio))
                return [self._delta(event_id, audio)]
            case commands.CreateItem(item=item, previous_item_id=before):
                return [
                    events.ItemAdded(event_id=event_id, previous_item_id=before, item=item),
                    events.ItemDone(
                        event_id=self._mint("event_"), previous_item_id=before, item=item
                    ),
                ]
            case commands.ClearAudio():
                return [events.AudioCleared(event_id=event_id)]
            case (
                commands.CommitAudio()
                | commands.ClearOutput()
                | commands.RetrieveItem()
                | commands.TruncateItem()
                | commands.DeleteItem()
                | commands.CreateResponse()
                | commands.CancelResponse()
                | Played()
                | Captured()
            ):
                return []
            case _:
                assert_never(said)

    def _delta(self, event_id: str, audio: bytes) -> events.AudioDelta:
        return events.AudioDelta(
            event_id=event_id,
            response_id="resp_echo",
            item_id="item_echo",
            output_index=0,
            content_index=0,
            audio=audio,
            format=AudioFormat(),
        )
