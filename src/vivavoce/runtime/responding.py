"""A generation request -> language model -> phrases -> synthesiser -> signals.

Writing and speaking run side by side with a short queue between them. Nothing is produced faster
than the client takes it: before each piece of audio the generator waits for room.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Literal

import anyio
import msgspec
from anyio.abc import TaskGroup

from vivavoce.audio.pcm import Pcm, of_samples
from vivavoce.audio.resample import Resampler
from vivavoce.core.effects import GenerationRequest, Recording
from vivavoce.core.items import Mark
from vivavoce.core.signals import (
    AudioProduced,
    CallProduced,
    GenerationFailed,
    GenerationFinished,
    Signal,
    TextProduced,
    UsageCounted,
)
from vivavoce.engines.api import (
    CutShort,
    EngineFailure,
    Recordings,
    SpeechModel,
    Spoken,
    SpokenMark,
    Voice,
    Written,
    WrittenCall,
    WrittenText,
    WrittenUsage,
)
from vivavoce.mailbox import Mailbox
from vivavoce.runtime.phrases import PhraseCutter
from vivavoce.runtime.recipe import Recipe

Tell = Callable[[Signal], Awaitable[None]]

PHRASES_AHEAD = 4
MADE_AHEAD, MADE_BYTES = 64, 96 * 1024  # what may be made and not told: about two seconds of speech
SMALL = 256  # bytes: about what a signal without audio takes
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


class PhraseMarks:
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
    """One response in the making, and what was made of it. Until *released*, nothing is told."""

    def __init__(
        self, response_id: str, request: GenerationRequest, recordings: Recordings
    ) -> None:
        self.response_id = response_id
        self.request = request
        self.recordings = recordings
        self.scope = anyio.CancelScope()
        self.released = anyio.Event()
        self.cut_short: Literal["max_output_tokens", "content_filter"] | None = None
        self.made: Mailbox[Signal] = Mailbox(MADE_AHEAD, MADE_BYTES)


class Responding:
    """What one session's engines are saying."""

    def __init__(
        self,
        recipe: Recipe,
        tasks: TaskGroup,
        tell: Tell,
        room: Callable[[], Awaitable[None]],
        room_to_play: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """*room* is waited for before anything is told, *room_to_play* before any of a response's
        audio is made."""
        self._language_model = recipe.language_model
        self._synthesiser = recipe.synthesiser
        self._speech_model = recipe.speech_model
        self._voices = recipe.voices
        self._tasks = tasks
        self._tell = tell
        self._room = room
        self._room_to_play = room_to_play or _at_once
        self._running: dict[str, Generation] = {}

    def generate(
        self,
        response_id: str,
        request: GenerationRequest,
        recordings: Sequence[Recording] = (),
    ) -> None:
        """Make a response."""
        self.prepare(response_id, request, recordings)
        self.release(response_id)

    def prepare(
        self,
        response_id: str,
        request: GenerationRequest,
        recordings: Sequence[Recording] = (),
    ) -> None:
        """Make a response that may not be wanted."""
        heard = {
            (each.item_id, each.content_index): Pcm(each.pcm, each.rate_hz) for each in recordings
        }
        generation = Generation(response_id, request, heard)
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
            async with anyio.create_task_group() as both:
                both.start_soon(self._tell_what_is_made, generation)
                await self._report(generation, await self._outcome(generation))
                generation.made.close()
        if self._running.get(generation.response_id) is generation:
            del self._running[generation.response_id]

    async def _tell_what_is_made(self, generation: Generation) -> None:
        """Tell it in order, once it is wanted, as fast as the client takes it."""
        await generation.released.wait()
        async for signal in generation.made:
            await self._room()
            if self._speech_model is not None and isinstance(signal, AudioProduced):
                await self._room_to_play(generation.response_id)
            await self._tell(signal)
            # Only once the runner has taken it does the outbox know of it.
            await anyio.lowlevel.checkpoint()

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
        return GenerationFinished(generation.response_id, generation.cut_short)

    async def _report(self, generation: Generation, signal: Signal) -> None:
        """Hand over something that was made; waits while too much of it is not told yet."""
        await generation.made.put(signal, _weight(signal))

    async def _write_and_speak(self, generation: Generation) -> None:
        if self._speech_model is not None:
            await self._converse(self._speech_model, generation)
            return
        phrases: Mailbox[str] = Mailbox(PHRASES_AHEAD, 1 << 20)
        async with anyio.create_task_group() as halves:
            halves.start_soon(self._write, generation, phrases)
            if generation.request.output_modality == "audio":
                halves.start_soon(self._speak, generation, phrases)
            else:
                halves.start_soon(_ignore, phrases)

    async def _converse(self, model: SpeechModel, generation: Generation) -> None:
        """Have a model that hears and speaks answer by itself."""
        pieces = Pieces(generation.request.rate_hz)
        voice = self._voice(generation.request)
        async with aclosing(
            model.converse(generation.request, generation.recordings, voice)
        ) as answer:
            async for each in answer:
                if isinstance(each, Spoken):
                    await self._sound(generation, pieces, each)
                else:
                    await self._take(generation, each)
        await self._sound_the_rest(generation, pieces)

    async def _sound(self, generation: Generation, pieces: Pieces, chunk: Spoken) -> None:
        for spoken in _breaths(chunk):
            for pcm, marks in pieces.add(spoken):
                await self._report(generation, AudioProduced(generation.response_id, pcm, marks))

    async def _sound_the_rest(self, generation: Generation, pieces: Pieces) -> None:
        for pcm, marks in pieces.finish():
            await self._report(generation, AudioProduced(generation.response_id, pcm, marks))

    async def _take(self, generation: Generation, each: Written) -> None:
        """Take something that a model wrote."""
        response_id = generation.response_id
        match each:
            case WrittenText(text=text):
                await self._report(generation, TextProduced(response_id, text))
            case WrittenCall():
                await self._report(
                    generation,
                    CallProduced(response_id, each.index, each.name, each.arguments, each.final),
                )
            case WrittenUsage():
                await self._report(
                    generation,
                    UsageCounted(
                        response_id, each.input_tokens, each.output_tokens, each.cached_tokens
                    ),
                )
            case CutShort(reason=reason):
                generation.cut_short = reason

    def _voice(self, request: GenerationRequest) -> Voice:
        """How to speak, in the engine's own words."""
        return Voice(
            self._voices.get(request.voice, request.voice), request.speed, request.language
        )

    async def _write(self, generation: Generation, phrases: Mailbox[str]) -> None:
        assert self._language_model is not None, "a recipe without a speech model has one"
        cutter = PhraseCutter()
        async with aclosing(self._language_model.respond(generation.request)) as written:
            async for each in written:
                await self._take(generation, each)
                for phrase in cutter.push(each.text) if isinstance(each, WrittenText) else ():
                    await phrases.put(phrase, len(phrase))
        for phrase in cutter.finish():
            await phrases.put(phrase, len(phrase))
        phrases.close()

    async def _speak(self, generation: Generation, phrases: Mailbox[str]) -> None:
        assert self._synthesiser is not None, "a recipe without a speech model has one"
        request = generation.request
        # A synthesiser is asked for no phrase that would wait to be played, and once asked for one
        # it is never held up: others wait for it.
        recited = PhraseMarks(self._as_they_are_played(generation.response_id, phrases))
        pieces = Pieces(request.rate_hz)
        async with aclosing(
            self._synthesiser.speak(aiter(recited), self._voice(request))
        ) as speech:
            async for chunk in speech:
                marked = msgspec.structs.replace(chunk, marks=recited.marks(chunk))
                await self._sound(generation, pieces, marked)
        await _ignore(phrases)  # a synthesiser that stops early does not stop the writing
        await self._sound_the_rest(generation, pieces)

    async def _as_they_are_played(
        self, response_id: str, phrases: AsyncIterator[str]
    ) -> AsyncIterator[str]:
        async for phrase in phrases:
            await self._room_to_play(response_id)
            yield phrase


def _weight(signal: Signal) -> int:
    """About how many bytes a signal takes while it waits."""
    return SMALL + (len(signal.pcm) if isinstance(signal, AudioProduced) else 0)


def _breaths(spoken: Spoken) -> Iterator[Spoken]:
    """A long chunk in parts that can be worked on without holding up the loop."""
    size = 2 * int(spoken.pcm.rate_hz * BREATH_SECONDS)
    for start in range(0, max(1, len(spoken.pcm.data)), size):
        part = Pcm(spoken.pcm.data[start : start + size], spoken.pcm.rate_hz)
        yield Spoken(part, () if start else spoken.marks)


async def _at_once(response_id: str) -> None:
    """There is no end of room."""


async def _ignore(phrases: AsyncIterator[str]) -> None:
    """Nobody speaks a written answer."""
    async for _ in phrases:
        pass


def _first(failures: BaseExceptionGroup[EngineFailure]) -> EngineFailure:
    """The first failure of a group, however deeply nested."""
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
