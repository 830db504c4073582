"""PocketSphinx: the embedded recogniser of English, in processes of its own.

A decoder takes 96 MB and holds Python's lock while it works, so there are few, each in a process, and a
turn leases one from its first audio to its last word. Audio goes out as it arrives and each piece is
answered with the words it made certain; while a piece is worked on, the next ones gather. How well it
hears, and why, is in `docs/recipes.md`.

A client that stops sending in mid-turn would keep its decoder for ever, and two would keep them all. So
a turn of which nothing comes for a while gives way to one that waits, and later begins again with its
first audio, on whichever decoder is free.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from importlib.metadata import version

from vivavoce.audio.pcm import Pcm
from vivavoce.engines.api import (
    EngineFailure,
    Transcript,
    TranscriptDelta,
    TranscriptionHints,
)
from vivavoce.engines.pocketsphinx_decoder import start
from vivavoce.engines.worker import Lease, Workers

MOST_WORKERS = 2
PAUSE_S = 2.0  # without more audio: from then on a turn gives way
PIECE_BYTES = 32000  # a second, of what is decoded again


class PocketSphinx:
    """PocketSphinx as a `Transcriber` of English: lower case, no punctuation.

    *workers* processes, by default one for each core, at most two; *waiting* turns may queue.
    """

    warms_up = True

    def __init__(self, *, workers: int | None = None, waiting: int = 64) -> None:
        size = workers or min(MOST_WORKERS, os.cpu_count() or 1)
        self._workers = Workers(start, size=size, waiting=waiting, name="PocketSphinx")
        self._crowd = Crowd(size)

    @property
    def version(self) -> str:
        """Such as `PocketSphinx 5.1.1`."""
        return f"PocketSphinx {version('pocketsphinx')}"

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The worker processes that run now."""
        return self._workers.process_ids

    @property
    def queued(self) -> int:
        """How many wait for a worker."""
        return self._workers.queued

    async def __aenter__(self) -> "PocketSphinx":
        await self._workers.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._workers.__aexit__(*exc_info)

    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        """See `api.Transcriber`. A language other than English fails with `unsupported_language`."""
        _require_english(hints.language)
        words = Text()
        async with AsyncExitStack() as leasing:
            turn = LeasedTurn(self._workers, self._crowd, leasing)
            async for pcm in audio:
                if delta := words.add(await turn.hear(pcm.data)):
                    yield TranscriptDelta(delta)
            if delta := words.add(await turn.end()):
                yield TranscriptDelta(delta)
        yield Transcript(words.text)


class Crowd:
    """The turns that have one of *size* workers or wait for it, in the order they came."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._turns: dict[LeasedTurn, None] = {}

    @property
    def too_large(self) -> bool:
        """Whether somebody has to wait."""
        return len(self._turns) > self._size

    def join(self, turn: "LeasedTurn") -> None:
        """Have a worker or wait for it. Of those that pause, the first to come gives way."""
        self._turns[turn] = None
        pausing = (each for each in self._turns if each.pausing)
        if self.too_large and (idle := next(pausing, None)) is not None:
            idle.give_way()

    def leave(self, turn: "LeasedTurn") -> None:
        """Want none any more."""
        self._turns.pop(turn, None)


class LeasedTurn:
    """A turn's audio so far, and the worker that hears it, which it may lose while it pauses.

    Another worker begins with the first audio again. Since the same audio gives the same words,
    as many as were told already are left out.
    """

    def __init__(self, workers: Workers, crowd: Crowd, leasing: AsyncExitStack) -> None:
        self._workers = workers
        self._crowd = crowd
        self._leasing = leasing
        self._audio = bytearray()
        self._sent = 0  # bytes of it, to the worker that it has now
        self._words: list[str] = []  # from that worker
        self._told = 0
        self._replies: Replies | None = None
        self._pause: asyncio.TimerHandle | None = None
        self.pausing = False
        leasing.callback(self._stop)

    async def hear(self, audio: bytes) -> str:
        """The words that a piece of audio makes certain."""
        self._audio += audio
        if not self._audio:
            return ""
        self._go_on()
        await self._catch_up()
        self._rest()
        return self._news()

    async def end(self) -> str:
        """The rest of the words."""
        if not self._audio:
            return ""
        self._go_on()
        replies = await self._catch_up()
        self._words += (await replies.to_end()).split()
        return self._news()

    def give_way(self) -> None:
        """Let go of the worker."""
        self._crowd.leave(self)
        if self._replies is not None:
            self._replies.leave()
            self._replies = None

    async def _catch_up(self) -> "Replies":
        """Have all audio decoded."""
        if (
            replies := self._replies
        ) is None:  # a worker is taken when there is something to decode
            self._crowd.join(self)
            lease = await self._leasing.enter_async_context(self._workers.lease())
            replies = self._replies = Replies(lease)
            self._sent, self._words = 0, []
        while self._sent < len(self._audio):
            piece = bytes(self._audio[self._sent : self._sent + PIECE_BYTES])
            self._words += (await replies.to(piece)).split()
            self._sent += len(piece)
        return replies

    def _news(self) -> str:
        new = self._words[self._told :]
        self._told += len(new)
        return " ".join(new)

    def _rest(self) -> None:
        self._pause = asyncio.get_running_loop().call_later(PAUSE_S, self._begin_pause)

    def _begin_pause(self) -> None:
        self.pausing = True
        if self._crowd.too_large:
            self.give_way()

    def _go_on(self) -> None:
        self.pausing = False
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _stop(self) -> None:
        self._go_on()
        self.give_way()


class Replies:
    """What a leased worker answers: one reply to each piece of audio, and one to its end."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._coming = aiter(lease)

    async def to(self, audio: bytes) -> str:
        """The words that a piece of audio makes certain."""
        await self._lease.send(audio)
        return (await anext(self._coming)).decode()

    async def to_end(self) -> str:
        """The rest of the words."""
        self._lease.finish()
        return (await anext(self._coming)).decode()

    def leave(self) -> None:
        """Want no more of them."""
        self._lease.leave()


class Text:
    """The words of a turn, put together with one blank between them."""

    def __init__(self) -> None:
        self.text = ""

    def add(self, words: str) -> str:
        """Put more words behind; what that adds to the text."""
        delta = f" {words}" if words and self.text else words
        self.text += delta
        return delta


def _require_english(language: str | None) -> None:
    if language is not None and not language.lower().startswith("en"):
        raise EngineFailure(
            f"PocketSphinx hears English alone, and the session asks for {language!r}. Leave the "
            "language out, or have the deployment's recipe name another transcriber.",
            code="unsupported_language",
        )
