"""PocketSphinx: the embedded recogniser of English, in processes of its own.

A decoder takes 96 MB and holds Python's lock while it works, so there are few, each in a process, and a
turn leases one from its first audio to its last word. Audio goes out as it arrives and each piece is
answered with the words it made certain; while a piece is worked on, the next ones gather. How well it
hears, and why, is in `docs/recipes.md`.
"""

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


class PocketSphinx:
    """PocketSphinx as a `Transcriber` of English: lower case, no punctuation.

    *workers* processes, by default one for each core, at most two; *waiting* turns may queue.
    """

    def __init__(self, *, workers: int | None = None, waiting: int = 64) -> None:
        size = workers or min(MOST_WORKERS, os.cpu_count() or 1)
        self._workers = Workers(start, size=size, waiting=waiting, name="PocketSphinx")

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
            replies: Replies | None = None
            async for pcm in audio:
                if replies is None:  # a decoder is taken when there is something to decode
                    replies = Replies(await leasing.enter_async_context(self._workers.lease()))
                if delta := words.add(await replies.to(pcm.data)):
                    yield TranscriptDelta(delta)
            if replies is not None and (delta := words.add(await replies.to_end())):
                yield TranscriptDelta(delta)
        yield Transcript(words.text)


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
