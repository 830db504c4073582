"""Our own sessions behind a wire that is no network, and ways to make them go wrong."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec

from vivavoce.audio.pcm import Pcm
from vivavoce.conformance.catalogue import DialectName
from vivavoce.conformance.driver import Case, Setup, play
from vivavoce.conformance.knock import HungUp, Knock, Line
from vivavoce.conformance.report import Result
from vivavoce.conformance.tone import tone
from vivavoce.core.commands import AnyCommand
from vivavoce.core.errors import Refusal
from vivavoce.core.events import ServerEvent
from vivavoce.core.settings import (
    AudioInputUpdate,
    SessionSettings,
    SessionUpdate,
    Transcription,
    merge,
)
from vivavoce.dialects.api import Codec, codec
from vivavoce.engines.scenario import decode
from vivavoce.engines.scripted import (
    ScriptedLanguageModel,
    ScriptedSynthesiser,
    ScriptedTranscriber,
)
from vivavoce.mailbox import Closed, Mailbox
from vivavoce.runtime.channel import Opening, View
from vivavoce.runtime.clock import Clock, Minter
from vivavoce.runtime.recipe import Recipe
from vivavoce.runtime.runner import Runners
from vivavoce.testing.level_detector import LevelDetector

Event = dict[str, Any]  # what JSON decodes to
# What becomes of an event on its way: some events, or text that is none.
Bend = Callable[[Event], Iterable[Event | str]]

SCENARIO = f"""
[[turn]]
hears = "two hundred"
say = "{"and another one " * 100}"
word_ms = 50

[[turn]]
hears = "water the fern"
[[turn.call]]
name = "water_plant"
arguments = {{ plant = "fern" }}
"""
TRANSCRIBES = SessionUpdate(
    type="transcription",
    input=AudioInputUpdate(transcription=Transcription(model="gpt-4o-transcribe")),
)


class Wire:
    """A client's line and a server's channel in one: what one end says the other hears."""

    def __init__(self, dialect: Codec, bend: Bend) -> None:
        self._codec = dialect
        self._bend = bend
        self._up: Mailbox[str | bytes] = Mailbox(100_000, 1 << 30)
        self._down: Mailbox[str | bytes] = Mailbox(100_000, 1 << 30)
        self.farewell = ""
        self.subprotocol: str | None = None

    # The client's end.

    async def say(self, frame: str | bytes) -> None:
        """See `Line`."""
        try:
            self._up.put_nowait(frame)
        except Closed:
            raise HungUp from None

    async def frames(self) -> AsyncIterator[str | bytes]:
        """See `Line`."""
        async for frame in self._down:
            for bent in self._bend(msgspec.json.decode(frame)):
                yield bent if isinstance(bent, str) else msgspec.json.encode(bent)

    def leave(self) -> None:
        """Hang up."""
        self.farewell = self.farewell or "1000"
        self._up.close()

    # The server's end.

    async def inputs(self) -> AsyncIterator[AnyCommand | Refusal]:
        """See `Channel`."""
        async for frame in self._up:
            try:
                said: AnyCommand | Refusal = self._codec.decode(frame)
            except Refusal as refusal:
                said = refusal
            yield said

    async def ready(self) -> None:
        """At once."""

    async def send(self, event: ServerEvent) -> None:
        """See `Channel`."""
        for frame in self._codec.encode(event):
            self._down.put_nowait(frame)

    def play(self, response_id: str, audio: Pcm) -> None:
        """There is no track."""
        raise AssertionError("a WebSocket has no track")

    def conclude(self, response_id: str) -> None:
        """There is nothing to conclude."""

    def flush(self, response_id: str) -> None:
        """There is nothing to flush."""

    async def room(self, response_id: str) -> None:
        """There always is."""

    async def close(self, code: int, reason: str) -> None:
        """See `Channel`."""
        self.farewell = f"{code} {reason}".strip()
        self._up.close()
        self._down.close()


def straight(event: Event) -> Iterable[Event | str]:
    """Nothing becomes of it."""
    return (event,)


def backend() -> Runners:
    """Scripted engines, and an ear for what is loud."""
    scenario = decode(SCENARIO)
    clock = Clock()
    return Runners(
        Recipe(
            "scripted",
            LevelDetector(),
            ScriptedTranscriber(scenario=scenario),
            ScriptedLanguageModel(scenario=scenario),
            ScriptedSynthesiser(scenario=scenario),
        ),
        clock,
        Minter(clock),
    )


class Server:
    """Opens wires to sessions of its own, however they are asked for; a *bend* makes it a wrong one."""

    def __init__(
        self,
        dialect: DialectName,
        bend: Bend = straight,
        *,
        strict: bool = False,
        max_seconds: int = 3600,
    ) -> None:
        self._dialect = dialect
        self._strict = strict
        self._max_seconds = max_seconds
        self._bend = bend
        self._backend = backend()

    @asynccontextmanager
    async def dial(self, knock: Knock) -> AsyncIterator[Line]:
        """See `Dial`."""
        settings = SessionSettings()
        if knock.intent is not None:
            settings = merge(settings, TRANSCRIBES)
        wire = Wire(codec(self._dialect, strict=self._strict), self._bend)
        async with (
            self._backend.open(Opening("sess_1", settings, max_seconds=self._max_seconds)) as live,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(live.attach, wire, View())
            yield wire
            wire.leave()


async def verdict(case: Case, dialect: DialectName, bend: Bend = straight) -> Result:
    """What comes of a case played against our own session."""
    server = Server(dialect, bend)
    return await play(case, server.dial, Setup(dialect, speech=tone(2500), strict=True))
