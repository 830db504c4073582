"""Input audio -> voice detector and transcriber streams -> signals.

The session's orders come from the runner, which never waits; so each is a hand-over into a bounded
mailbox, and a task of the session's group reads it. The boxes hold more than a session may leave
uncommitted: when one is full all the same, its engine has fallen hopelessly behind, and has failed.
Each stream that the session has not let go of ends with a signal, whatever its engine does.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

import anyio
import numpy as np
from anyio.abc import TaskGroup

from vivavoce.audio.framing import Framer
from vivavoce.audio.pcm import Pcm, of_samples
from vivavoce.audio.resample import Resampler
from vivavoce.core.effects import JudgeTurn, Listen, Transcribe
from vivavoce.core.signals import (
    DetectionFailed,
    Heard,
    Signal,
    TranscriptFailed,
    TranscriptFinished,
    TranscriptGrew,
    TranscriptPeeked,
    TurnJudged,
)
from vivavoce.engines.api import (
    FRAME_SAMPLES,
    HEARING_RATE_HZ,
    EngineFailure,
    Frames,
    Pause,
    Transcript,
    TranscriptDelta,
    TranscriptionHints,
    TurnJudge,
)
from vivavoce.mailbox import Closed, Mailbox
from vivavoce.runtime.recipe import Recipe

Tell = Callable[[Signal], Awaitable[None]]

BOX_ITEMS = 100_000
BOX_BYTES = 64 * 1024 * 1024
# Audio is worked on in pieces of a second, so that a long append does not hold up the loop.
PIECE_SECONDS = 1
LONGEST_KEPT_S = 40  # of what may be peeked at


class Stream:
    """Audio on its way to one engine stream, resampled to what engines hear."""

    def __init__(self, rate_hz: int) -> None:
        self.scope = anyio.CancelScope()
        self.overrun = False
        self.rate_hz = rate_hz
        self._box: Mailbox[bytes] = Mailbox(BOX_ITEMS, BOX_BYTES)
        self._resampler = Resampler(rate_hz, HEARING_RATE_HZ, prompt=True)

    def offer(self, pcm: bytes) -> None:
        """Hand audio over; an engine that is too far behind is stopped."""
        try:
            self.overrun = not self._box.put_nowait(pcm, len(pcm))
        except Closed:
            return  # its engine failed and has said so, or is about to
        if self.overrun:
            self.stop()

    def finish(self) -> None:
        """That was all."""
        self._box.close()

    def stop(self) -> None:
        """Let go of its engine, and of whoever waits for room."""
        self._box.close()
        self.scope.cancel()

    async def room(self) -> None:
        """Wait until the engine has caught up, or is over."""
        try:
            await self._box.room()
        except Closed:
            return

    async def audio(self) -> AsyncIterator[Pcm]:
        """The audio at 16 kHz, as it comes."""
        size = self.rate_hz * 2 * PIECE_SECONDS
        async for pcm in self._box:
            for start in range(0, len(pcm), size):
                piece = Pcm(pcm[start : start + size], self.rate_hz)
                yield of_samples(self._resampler.push(piece.samples), HEARING_RATE_HZ)
                if start + size < len(pcm):
                    await anyio.lowlevel.checkpoint()

    async def frames(self) -> AsyncIterator[Frames]:
        """The audio in frames of 32 ms, samples from -1 to 1."""
        framer = Framer(FRAME_SAMPLES)
        async for pcm in self.audio():
            frames = framer.push(pcm.samples)
            if len(frames):
                yield frames.astype(np.float32) / np.float32(32768)


class Dictation(Stream):
    """Audio on its way to the transcriber, and what it has made of it.

    With *keeps*, all of the audio is kept, to be peeked at.
    """

    def __init__(self, order: Transcribe, *, keeps: bool) -> None:
        super().__init__(order.rate_hz)
        self.hints = TranscriptionHints(order.language, order.prompt)
        self.words = ""  # that were told
        self.said: bytearray | None = bytearray() if keeps else None
        self.peek: Peek | None = None
        self.taking = anyio.CancelScope()  # of what was peeked at, in place of its own words

    def offer(self, pcm: bytes) -> None:
        """Hand audio over."""
        if self.said is not None:
            self.said += pcm
            if len(self.said) > 2 * self.rate_hz * LONGEST_KEPT_S:
                self.said = None
        super().offer(pcm)

    def stop(self) -> None:
        """Let go of its engine, and of whoever peeks."""
        if self.peek is not None:
            self.peek.scope.cancel()
        self.taking.cancel()
        super().stop()


class Peek:
    """What the transcript would be if the audio ended here."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.scope = anyio.CancelScope()
        self.known = anyio.Event()
        self.words = ""  # as deltas
        self.transcript: str | None = None

    def agrees(self, told: str) -> bool:
        """Whether its transcript goes on where the words that were *told* end."""
        return self.transcript is not None and (self.words or self.transcript).startswith(told)


class Hearing:
    """What one session's engines are listening to."""

    def __init__(self, recipe: Recipe, tasks: TaskGroup, tell: Tell) -> None:
        self._detector = recipe.detector
        self._transcriber = recipe.transcriber
        self._turn_judge = recipe.judge
        self._speculates = recipe.speculates
        self._tasks = tasks
        self._tell = tell
        self._listening: tuple[int, Stream] | None = None
        self._transcribing: dict[str, Dictation] = {}
        self._judging = anyio.CancelScope()

    async def room(self) -> None:
        """Wait until voice detection has caught up with what was said."""
        if self._listening is not None:
            await self._listening[1].room()

    def listen(self, order: Listen) -> None:
        """Look for voice in more audio, on the same stream or a new one."""
        if self._listening is None or self._listening[0] != order.stream:
            self.stop_listening()
            stream = Stream(order.rate_hz)
            self._listening = (order.stream, stream)
            self._tasks.start_soon(self._detect, order.stream, stream)
        self._listening[1].offer(order.pcm)

    def stop_listening(self) -> None:
        """Let go of the stream that was listened to."""
        if self._listening is not None:
            self._listening[1].stop()
            self._listening = None

    def transcribe(self, order: Transcribe) -> None:
        """Write down an item, beginning with the audio there is."""
        stream = Dictation(order, keeps=self._speculates)
        self._transcribing[order.item_id] = stream
        self._tasks.start_soon(self._write_down, order.item_id, stream)
        stream.offer(order.pcm)

    def transcribe_more(self, item_id: str, pcm: bytes) -> None:
        """More audio of that item."""
        if (stream := self._transcribing.get(item_id)) is not None:
            stream.offer(pcm)

    def peek_transcript(self, item_id: str, number: int) -> None:
        """Say what the transcript of that item would be if there were no more audio of it."""
        stream = self._transcribing.get(item_id)
        if stream is None or stream.said is None:
            return
        if stream.peek is not None:
            stream.peek.scope.cancel()
        stream.peek = Peek(number)
        so_far = Stream(stream.rate_hz)
        so_far.offer(bytes(stream.said))
        so_far.finish()
        self._tasks.start_soon(self._peek, item_id, so_far, stream.hints, stream.peek)

    def drop_peek(self, item_id: str) -> None:
        """Nobody wants to know what that item would be."""
        stream = self._transcribing.get(item_id)
        if stream is not None and stream.peek is not None:
            stream.peek.scope.cancel()
            stream.peek = None

    def finish_transcript(self, item_id: str, peeked: int | None = None) -> None:
        """No more audio of that item; what was *peeked* at will do, if it is not at odds.

        What is not known yet is not waited for: whichever comes first is the transcript.
        """
        if (stream := self._transcribing.get(item_id)) is None:
            return
        peek = stream.peek
        if peek is None or peek.number != peeked:
            self.drop_peek(item_id)
            stream.finish()
            return
        if not peek.known.is_set() or not peek.agrees(stream.words):
            stream.finish()
        self._tasks.start_soon(self._take_peek, item_id, stream, peek)

    def drop_transcript(self, item_id: str) -> None:
        """Nobody wants that transcript."""
        if (stream := self._transcribing.pop(item_id, None)) is not None:
            stream.stop()

    def judge(self, order: JudgeTurn) -> None:
        """Say whether a turn sounds finished, in place of whatever was asked before."""
        assert self._turn_judge is not None, "the session was told that somebody judges"
        self._judging.cancel()
        self._judging = anyio.CancelScope()
        self._tasks.start_soon(self._judge, order, self._turn_judge, self._judging)

    async def _judge(self, order: JudgeTurn, judge: TurnJudge, scope: anyio.CancelScope) -> None:
        stream = Stream(order.rate_hz)
        stream.offer(order.pcm)
        stream.finish()
        with scope:
            heard = b"".join([pcm.data async for pcm in stream.audio()])
            pause = Pause(Pcm(heard, HEARING_RATE_HZ), order.words, order.language)
            try:
                finished = await judge.judge(pause)
            except EngineFailure:
                finished = None
            await self._tell(TurnJudged(order.number, finished))

    async def _detect(self, number: int, stream: Stream) -> None:
        failure = "voice detection fell too far behind the audio"
        with stream.scope:
            failure = await self._heard_to_the_end(number, stream)
        if stream.overrun or not stream.scope.cancelled_caught:
            stream.finish()
            await self._tell(DetectionFailed(number, failure))

    async def _heard_to_the_end(self, number: int, stream: Stream) -> str:
        """Tell what is heard, and return why it ended: it never should."""
        try:
            async with aclosing(self._detector.detect(stream.frames())) as heard:
                async for probabilities in heard:
                    await self._tell(Heard(number, probabilities))
        except EngineFailure as failure:
            return failure.message
        return "voice detection ended before the audio"

    async def _peek(
        self, item_id: str, so_far: Stream, hints: TranscriptionHints, peek: Peek
    ) -> None:
        """Have what was said so far written down beside the stream that goes on."""
        with peek.scope:
            try:
                async with aclosing(self._transcriber.transcribe(so_far.audio(), hints)) as words:
                    async for each in words:
                        match each:
                            case TranscriptDelta(text=text):
                                peek.words += text
                            case Transcript(text=text):
                                peek.transcript = text
            except EngineFailure:
                peek.transcript = None  # the stream itself may do better
            peek.known.set()
            await self._tell(TranscriptPeeked(item_id, peek.number, peek.transcript))
        peek.known.set()

    async def _take_peek(self, item_id: str, stream: Dictation, peek: Peek) -> None:
        """Make what was peeked at the transcript, unless other words were told already."""
        with stream.taking:
            await peek.known.wait()
            if self._transcribing.get(item_id) is not stream:
                return  # the stream itself has said what was said
            if not peek.agrees(stream.words) or peek.transcript is None:
                stream.finish()  # and it will, for it has told other words meanwhile
                return
            del self._transcribing[item_id]
            stream.scope.cancel()
            if rest := peek.words[len(stream.words) :]:
                await self._tell(TranscriptGrew(item_id, rest))
            await self._tell(TranscriptFinished(item_id, peek.transcript))
            stream.stop()

    async def _write_down(self, item_id: str, stream: Dictation) -> None:
        ended: Signal = _failed(item_id, "transcription fell too far behind the audio")
        with stream.scope:
            ended = await self._written_to_the_end(item_id, stream)
        if self._transcribing.get(item_id) is stream:
            del self._transcribing[item_id]
            await self._tell(ended)

    async def _written_to_the_end(self, item_id: str, stream: Dictation) -> Signal:
        """Tell the words as they come, and return how they ended."""
        try:
            async with aclosing(
                self._transcriber.transcribe(stream.audio(), stream.hints)
            ) as words:
                async for each in words:
                    match each:
                        case TranscriptDelta(text=text):
                            await self._tell(TranscriptGrew(item_id, text))
                            stream.words += text
                        case Transcript(text=text):
                            return TranscriptFinished(item_id, text)
        except EngineFailure as failure:
            return TranscriptFailed(item_id, failure.code, failure.message)
        return _failed(item_id, "transcription ended without a transcript")


def _failed(item_id: str, message: str) -> TranscriptFailed:
    return TranscriptFailed(item_id, "server_error", message)
