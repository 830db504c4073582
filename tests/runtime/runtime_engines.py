"""Engines that do what a test tells them, and nothing of their own."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable

import anyio

from vivavoce.audio.pcm import Pcm, silence
from vivavoce.core.effects import GenerationRequest
from vivavoce.engines.api import (
    EngineFailure,
    Frames,
    Spoken,
    Transcript,
    TranscriptDelta,
    TranscriptionHints,
    Voice,
    WrittenCall,
    WrittenText,
)

Act = Exception | float | str | WrittenCall
Written = TranscriptDelta | Transcript


class Engine:
    """Nothing to load."""

    version = "told by a test"

    async def __aenter__(self) -> object:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return None


class Detector(Engine):
    """Hears a voice in every frame; each stream does one thing before that, while there are any."""

    def __init__(self, *acts: Exception | None) -> None:
        self._acts = list(acts)

    async def detect(
        self, frames: AsyncIterator[Frames]
    ) -> AsyncGenerator[tuple[float, ...], None]:
        if self._acts:
            act = self._acts.pop(0)
            await anext(aiter(frames))
            if act is None:
                return
            raise act
        async for some in frames:
            yield (0.9,) * len(some)


class Transcriber(Engine):
    """Follows a script of its own: what it hears, it may ask for."""

    def __init__(
        self, script: Callable[[AsyncIterator[Pcm]], AsyncGenerator[Written, None]]
    ) -> None:
        self._script = script

    def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[Written, None]:
        return self._script(audio)


class LanguageModel(Engine):
    """Writes words, waits for seconds, calls functions and fails, one after the other."""

    def __init__(self, *acts: Act) -> None:
        self._acts = acts
        self.written = 0

    async def respond(
        self, request: GenerationRequest
    ) -> AsyncGenerator[WrittenText | WrittenCall, None]:
        for act in self._acts:
            match act:
                case Exception():
                    raise act
                case float():
                    await anyio.sleep(act)
                case str():
                    yield WrittenText(act)
                case WrittenCall():
                    yield act
            self.written += 1


class Synthesiser(Engine):
    """Takes a second for each phrase, and makes that much silence of it.

    It *fails* or *stops* by itself after so many phrases. Whenever it is closed, it may *complain*.
    """

    def __init__(
        self,
        *,
        fails: int | None = None,
        stops: int | None = None,
        complains: Exception | None = None,
    ) -> None:
        self._fails, self._stops, self._complains = fails, stops, complains
        self.spoken: list[str] = []
        self.closed = False

    async def speak(
        self, phrases: AsyncIterator[str], voice: Voice
    ) -> AsyncGenerator[Spoken, None]:
        try:
            async for phrase in phrases:
                if len(self.spoken) == self._stops:
                    return
                if len(self.spoken) == self._fails:
                    raise EngineFailure("lost its voice")
                await anyio.sleep(1)
                self.spoken.append(phrase)
                yield Spoken(silence(1000, 24000))
        finally:
            self.closed = True
            if self._complains is not None:
                raise self._complains
