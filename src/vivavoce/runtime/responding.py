"""A generation request -> language model -> phrases -> synthesiser -> signals.

Writing and speaking run side by side with a short queue between them. Nothing is produced faster
than the client takes it: before each piece of audio the generator waits for room.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing

import anyio
import msgspec
from anyio.abc import TaskGroup

from vivavoce.audio.pcm import Pcm, of_samples
from vivavoce.audio.resample import Resampler
from vivavoce.core.effects import GenerationRequest
from vivavoce.core.items import Mark
from vivavoce.core.signals import (
    AudioProduced,
    CallProduced,
    GenerationFailed,
    GenerationFinished,
    Signal,
    TextProduced,
)
from vivavoce.engines.api import (
    EngineFailure,
    LanguageModel,
    Spoken,
    SpokenMark,
    Synthesiser,
    Voice,
    WrittenCall,
    WrittenText,
)
from vivavoce.mailbox import Mailbox
from vivavoce.runtime.phrases import PhraseCutter

Tell = Callable[[Signal], Awaitable[None]]

PHRASES_AHEAD = 4
# How much audio goes out at once, in ms: little at first, so that it is heard soon. The sizes that
# the hosted service was seen to send; later pieces are larger, which costs a client less.
PIECES_MS = (100, 150, 250)
BREATH_SECONDS = 0.5  # of speech, which are resampled in about a millisecond


class Pieces:
    """Gathers small chunks of audio into pieces worth an event, at the rate that was asked for."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._resampler: Resampler | None = None
        self._pcm = bytearray()
        self._marks: list[Mark] = []
        self._sent = 0

    def add(self, spoken: Spoken) -> list[tuple[bytes, tuple[Mark, ...]]]:
        """Take a chunk and return the pieces that are full."""
        if self._resampler is None:
            self._resampler = Resampler(spoken.pcm.rate_hz, self._rate_hz)
        self._marks += (
            Mark(mark.text_start, mark.text_end, round(mark.at_ms * self._rate_hz / 1000))
            for mark in spoken.marks
        )
        resampled = self._resampler.push(spoken.pcm.samples)
        self._pcm += of_samples(resampled, self._rate_hz).data
        pieces = []
        while len(self._pcm) >= (size := self._next_size()):
            pieces.append(self._cut(size))
        return pieces

    def finish(self) -> list[tuple[bytes, tuple[Mark, ...]]]:
        """What is left."""
        if self._resampler is not None:
            self._pcm += of_samples(self._resampler.flush(), self._rate_hz).data
        return [self._cut(len(self._pcm))] if self._pcm or self._marks else []

    def _next_size(self) -> int:
        ms = PIECES_MS[min(self._sent, len(PIECES_MS) - 1)]
        return self._rate_hz * ms // 1000 * 2

    def _cut(self, size: int) -> tuple[bytes, tuple[Mark, ...]]:
        piece, marks = bytes(self._pcm[:size]), tuple(self._marks)
        del self._pcm[:size]
        self._marks.clear()
        self._sent += 1
        return piece, marks


class Reading:
    """The phrases on their way to a synthesiser, and marks for them where it gives none itself.

    What it takes before it gives a sound is what that sound says. Whether it gives marks is known
    when its second phrase begins; the first needs none before, since all that sounds is of it.
    """

    def __init__(self, phrases: AsyncIterator[str]) -> None:
        self._phrases = phrases
        self._taken = 0  # characters
        self._begun: list[SpokenMark] = []
        self._marked = False
        self._sounded_ms = 0.0

    async def __aiter__(self) -> AsyncIterator[str]:
        async for phrase in self._phrases:
            self._taken += len(phrase)
            yield phrase

    def marks(self, spoken: Spoken) -> tuple[SpokenMark, ...]:
        """The marks of a chunk: its own, or one for the phrases that begin with it."""
        at_ms = self._sounded_ms
        self._sounded_ms += spoken.pcm.duration_ms
        self._marked = self._marked or bool(spoken.marks)
        said = self._begun[-1].text_end if self._begun else 0
        if self._marked or self._taken == said or not spoken.pcm.data:
            return spoken.marks
        self._begun.append(SpokenMark(said, self._taken, at_ms))
        match self._begun:
            case [_]:
                return ()
            case [first, second]:
                return (first, second)
        return (self._begun[-1],)


class Generation:
    """One response in the making. Unless *released*, it works but reports nothing."""

    def __init__(self, response_id: str, request: GenerationRequest) -> None:
        self.response_id = response_id
        self.request = request
        self.scope = anyio.CancelScope()
        self.released = anyio.Event()


class Responding:
    """What one session's engines are saying."""

    def __init__(
        self,
        language_model: LanguageModel,
        synthesiser: Synthesiser,
        tasks: TaskGroup,
        tell: Tell,
        room: Callable[[], Awaitable[None]],
    ) -> None:
        self._language_model = language_model
        self._synthesiser = synthesiser
        self._tasks = tasks
        self._tell = tell
        self._room = room
        self._running: dict[str, Generation] = {}

    def generate(self, response_id: str, request: GenerationRequest) -> None:
        """Make a response."""
        self.prepare(response_id, request)
        self.release(response_id)

    def prepare(self, response_id: str, request: GenerationRequest) -> None:
        """Make a response that may not be wanted."""
        generation = Generation(response_id, request)
        self._running[response_id] = generation
        self._tasks.start_soon(self._make, generation)

    def release(self, response_id: str) -> None:
        """It is wanted."""
        if (generation := self._running.get(response_id)) is not None:
            generation.released.set()

    def stop(self, response_id: str) -> None:
        """It is not wanted, or no longer."""
        if (generation := self._running.pop(response_id, None)) is not None:
            generation.scope.cancel()

    async def _make(self, generation: Generation) -> None:
        with generation.scope:
            await self._report(generation, await self._outcome(generation))
        if self._running.get(generation.response_id) is generation:
            del self._running[generation.response_id]

    async def _outcome(self, generation: Generation) -> Signal:
        """Write and speak, and return how that ended."""
        failed: list[EngineFailure] = []
        try:
            await self._write_and_speak(generation)
        except* EngineFailure as failures:
            # Nothing is awaited here: a cancellation would leave this block wrapped in a group.
            failed.append(_first(failures))
        if failed:
            return GenerationFailed(generation.response_id, failed[0].code, failed[0].message)
        return GenerationFinished(generation.response_id)

    async def _report(self, generation: Generation, signal: Signal) -> None:
        if not generation.released.is_set():
            await generation.released.wait()
        await self._room()
        await self._tell(signal)

    async def _write_and_speak(self, generation: Generation) -> None:
        phrases: Mailbox[str] = Mailbox(PHRASES_AHEAD, 1 << 20)
        async with anyio.create_task_group() as halves:
            halves.start_soon(self._write, generation, phrases)
            if generation.request.output_modality == "audio":
                halves.start_soon(self._speak, generation, phrases)
            else:
                halves.start_soon(_ignore, phrases)

    async def _write(self, generation: Generation, phrases: Mailbox[str]) -> None:
        response_id, cutter = generation.response_id, PhraseCutter()
        async with aclosing(self._language_model.respond(generation.request)) as written:
            async for each in written:
                match each:
                    case WrittenText(text=text):
                        await self._report(generation, TextProduced(response_id, text))
                        for phrase in cutter.push(text):
                            await phrases.put(phrase, len(phrase))
                    case WrittenCall():
                        await self._report(
                            generation,
                            CallProduced(
                                response_id, each.index, each.name, each.arguments, each.final
                            ),
                        )
        for phrase in cutter.finish():
            await phrases.put(phrase, len(phrase))
        phrases.close()

    async def _speak(self, generation: Generation, phrases: Mailbox[str]) -> None:
        response_id, request = generation.response_id, generation.request
        voice = Voice(request.voice, request.speed, request.language)
        pieces, reading = Pieces(request.rate_hz), Reading(phrases)
        async with aclosing(self._synthesiser.speak(aiter(reading), voice)) as speech:
            async for chunk in speech:
                chunk = msgspec.structs.replace(chunk, marks=reading.marks(chunk))
                for spoken in _breaths(chunk):
                    for pcm, marks in pieces.add(spoken):
                        await self._report(generation, AudioProduced(response_id, pcm, marks))
        await _ignore(phrases)  # a synthesiser that stops early does not stop the writing
        for pcm, marks in pieces.finish():
            await self._report(generation, AudioProduced(response_id, pcm, marks))


def _breaths(spoken: Spoken) -> Iterator[Spoken]:
    """A long chunk in parts that can be worked on without holding up the loop."""
    size = 2 * int(spoken.pcm.rate_hz * BREATH_SECONDS)
    for start in range(0, max(1, len(spoken.pcm.data)), size):
        part = Pcm(spoken.pcm.data[start : start + size], spoken.pcm.rate_hz)
        yield Spoken(part, () if start else spoken.marks)


async def _ignore(phrases: AsyncIterator[str]) -> None:
    """Nobody speaks a written answer."""
    async for _ in phrases:
        pass


def _first(failures: BaseExceptionGroup[EngineFailure]) -> EngineFailure:
    """The first failure of a group, however deeply nested."""
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
