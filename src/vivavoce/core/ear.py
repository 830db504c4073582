"""The session's ear: audio that belongs to no item yet, where turns lie in it, whose words are due.

With turn detection on, silence is forgotten but for the prefix that a turn may reach back to, and a
turn runs from `Began` to `SpokenAudio`. With it off, everything is kept until the client commits.
Either way the audio of an item to come goes to its transcription as it arrives.

The detector lags behind the audio. What a commit, a clear or another format overtook is over when
its frames are judged at last: those of a stream given up are dropped, those committed are skipped.
"""

from collections.abc import Iterator

from msgspec import Struct

from vivavoce.core.effects import (
    DropPeek,
    Effect,
    FinishTranscript,
    JudgeTurn,
    Listen,
    PeekTranscript,
    Transcribe,
    TranscribeMore,
)
from vivavoce.core.errors import Refusal
from vivavoce.core.input_buffer import TICKS_PER_MS, InputBuffer
from vivavoce.core.items import InputAudio, Message
from vivavoce.core.outgoing import Mint
from vivavoce.core.settings import AudioFormat, AudioInput, ServerVad
from vivavoce.core.signals import (
    Heard,
    TranscriptFailed,
    TranscriptFinished,
    TranscriptPeeked,
    TurnJudged,
)
from vivavoce.core.turns import (
    FRAME_MS,
    Paused,
    Quietened,
    Resumed,
    Started,
    Stopped,
    TurnDetector,
)

MAX_UNCOMMITTED_BYTES = 32 * 1024 * 1024
SMALLEST_COMMIT_MS = 100
SEMANTIC_PREFIX_MS = 300
# Speech is confirmed after two frames of 32 ms, and a third may be waiting to be complete.
DETECTOR_DELAY_MS = 96
LONGEST_PEEK_MS = 30_000  # of a turn: to write down a longer one again and again costs too much
JUDGED_MS = 8000  # as much of a turn as a judge of turns listens to

TranscriptEnd = TranscriptFinished | TranscriptFailed


class Began(Struct, frozen=True):
    """Someone began to speak."""

    item_id: str
    start_ms: int
    effects: tuple[Effect, ...]


class SpokenAudio(Struct, frozen=True):
    """Audio that is to become an item, in PCM16, and what to do for its words.

    *ended* is set when the transcription was over before the speech was.
    """

    item_id: str
    pcm: bytes
    format: AudioFormat
    start_ms: int
    end_ms: int
    effects: tuple[Effect, ...]
    ended: TranscriptEnd | None = None


Heeded = Began | Effect | Resumed | SpokenAudio


class Ear:
    """What one session hears."""

    def __init__(
        self,
        settings: AudioInput,
        *,
        transcribes: bool,
        judges: bool = False,
        hasty: bool = False,
    ) -> None:
        self._settings = settings
        self._transcribes = transcribes
        self._judges = judges
        self._hasty = hasty
        self._buffer = InputBuffer(settings.format)
        self._turn: str | None = None  # the item that is being spoken
        self._detector = self._new_detector()
        self._stream = 0
        self._stream_start = 0
        self._turn_start = 0
        self._transcribing: str | None = None  # the item to come whose transcription is open
        self._committed = 0  # the tick up to which all audio was committed or thrown away
        self._ended: TranscriptEnd | None = None  # how the open one ended, if it did already
        self._fed = 0  # the tick up to which the open one has its audio
        self._words: list[str] = []  # of the open one, so far
        self._peeks = 0  # how often it was asked what had been said so far
        self._peek: int | None = None  # the newest question, if nothing was said since
        self._asked = 0  # how often a judge was asked whether a turn is over
        self._due: dict[str, int] = {}  # items whose words are due, and their length in ms

    @property
    def format(self) -> AudioFormat:
        """The format of the audio that arrives now."""
        return self._buffer.format

    @property
    def speaking(self) -> bool:
        """Whether a turn is under way."""
        return self._turn is not None

    def append(self, audio: bytes, mint: Mint) -> list[Effect]:
        """Take audio of the client."""
        uncommitted = self._buffer.byte_count + len(audio)
        if self._detector is None and uncommitted > MAX_UNCOMMITTED_BYTES:
            raise Refusal(
                f"The input audio buffer holds at most {MAX_UNCOMMITTED_BYTES} bytes of PCM16 and "
                f"would hold {uncommitted}. Commit or clear it first.",
                param="audio",
            )
        pcm = self._buffer.append(audio)
        if not pcm:
            return []
        if self._detector is not None:
            return [Listen(self._stream, pcm, self.format.rate_hz)]
        if self._transcribing is None and self.wants_words:
            end = self._buffer.end
            return [self._transcribe(mint("item_"), self._uncommitted_from, end)]
        return self._feed(self._buffer.end)

    def hear(self, heard: Heard, mint: Mint) -> Iterator[Heeded]:
        """Follow the detector, and tell where turns begin, pause, go on and end."""
        for probability in heard.probabilities:
            # Settings may change the stream, or end it, with any turn that ends.
            if self._detector is None or heard.stream != self._stream:
                return
            if self._tick(self._detector.heard_ms + FRAME_MS) <= self._committed:
                self._detector.skip()
                continue
            match self._detector.hear(probability):
                case Started(at_ms=at_ms):
                    yield self._begin(at_ms, mint("item_"))
                case Paused(at_ms=at_ms):
                    yield self._question(at_ms)
                case Quietened(at_ms=at_ms) if self._can_be_peeked_at:
                    yield from self._feed(self._tick(at_ms))
                    self._peeks += 1
                    self._peek = self._peeks
                    yield PeekTranscript(self._turn or "", self._peek)
                case Resumed() as resumed:
                    if self._peek is not None:
                        yield DropPeek(self._turn or "")
                    self._peek = None
                    yield resumed
                case Stopped(at_ms=at_ms):
                    yield self._cut(self._tick(at_ms), mint, peeked=self._peek)
        if self._detector is None or heard.stream != self._stream:
            return
        yield from self._feed(self._tick(self._detector.heard_ms))
        if self._turn is None:
            self._forget_silence(self._detector.heard_ms)
        elif self._buffer.byte_count > MAX_UNCOMMITTED_BYTES:
            # Noise that never ends is not one turn: take what there is.
            self._detector.cut()
            yield self._cut(self._tick(self._detector.heard_ms), mint)

    def judged(self, answer: TurnJudged, mint: Mint) -> SpokenAudio | None:
        """Take the judge's word on the newest pause; the turn, if that ends it."""
        if self._detector is None or answer.number != self._asked:
            return None
        stopped = self._detector.judge(answer.finished)
        if stopped is None:
            return None
        return self._cut(self._tick(stopped.at_ms), mint, peeked=self._peek)

    def peeked(self, answer: TranscriptPeeked) -> Message | None:
        """The item that is being spoken, if it ends as it is; None if it has gone on."""
        if answer.transcript is None or answer.number != self._peek or self._turn is None:
            return None
        samples = (self._buffer.end - self._turn_start) // self._buffer.ticks_per_sample
        part = InputAudio(samples, self.format.rate_hz, answer.transcript.strip())
        return Message(self._turn, "user", (part,))

    def read(self, item_id: str, delta: str) -> JudgeTurn | None:
        """Take words of what is being spoken; in a pause, they are another thing to judge by."""
        if item_id != self._transcribing:
            return None
        self._words.append(delta)
        if self._detector is None or not self._detector.pausing:
            return None
        return self._question(self._detector.heard_ms)

    def listen_again(self, stream: int) -> bool:
        """Detect afresh, if that stream is the one that broke and not one given up before.

        Who was speaking still is.
        """
        if self._detector is None or stream != self._stream:
            return False
        self._peek = None
        self._restart()
        return True

    def commit(self, mint: Mint) -> SpokenAudio:
        """Cut here, as the client asks."""
        length_ms = (self._buffer.end - self._item_start) / TICKS_PER_MS
        if length_ms < SMALLEST_COMMIT_MS:
            raise Refusal(
                "Error committing input audio buffer: buffer too small. Expected at least "
                f"{SMALLEST_COMMIT_MS}ms of audio, but buffer only has {length_ms:.2f}ms of audio.",
                code="input_audio_buffer_commit_empty",
            )
        if self._detector is not None:
            self._detector.cut()
        return self._cut(self._buffer.end, mint)

    @property
    def has_said(self) -> bool:
        """Whether there is something to commit: with detection on, silence is nothing."""
        enough = self._buffer.end - self._item_start >= SMALLEST_COMMIT_MS * TICKS_PER_MS
        return enough and (self._detector is None or self._turn is not None)

    def take_silence(self, timeout_ms: int, mint: Mint) -> SpokenAudio | None:
        """Cut out the silence that has lasted so long, to the newest frame that was judged.

        None if too little of it was recorded.
        """
        if self._detector is None:
            return None
        end = self._tick(self._detector.heard_ms)
        start = max(self._uncommitted_from, end - timeout_ms * TICKS_PER_MS)
        if end - start < SMALLEST_COMMIT_MS * TICKS_PER_MS:
            return None
        self._buffer.forget(start)
        return self._cut(end, mint)

    def clear(self) -> str | None:
        """Throw away everything that was not committed, a running turn included.

        Return the item to come whose transcription was open.
        """
        dropped = self._drop()
        self._buffer.clear()
        self._committed = self._buffer.end
        self._restart()
        self._adopt_format()
        return dropped

    def follow(self, settings: AudioInput) -> str | None:
        """Go on by other settings; return the item whose transcription that puts an end to."""
        self._settings = settings
        dropped = None
        if settings.turn_detection is None:
            # What is being said stays in the buffer, and its transcription stays open.
            self._detector, self._turn, self._peek = None, None, None
        elif self._detector is not None:
            self._detector.follow(settings.turn_detection)
        else:
            dropped = self._drop()
            self._restart()
        self._adopt_format()
        return dropped

    # Whose words are due.

    def dictate(self, item_id: str, pcm: bytes, rate_hz: int) -> list[Effect]:
        """Have the words of a finished recording written down."""
        self._due[item_id] = len(pcm) // 2 * 1000 // rate_hz
        return [self._order(item_id, pcm, rate_hz), FinishTranscript(item_id)]

    @property
    def wants_words(self) -> bool:
        """Whether what is said is written down."""
        return self._transcribes or self._settings.transcription is not None

    @property
    def due(self) -> set[str]:
        """The items whose words are on their way."""
        return set(self._due)

    def awaits(self, item_id: str) -> bool:
        """Whether words of that item, committed or still being spoken, are wanted."""
        return item_id in self._due or (item_id == self._transcribing and self._ended is None)

    def is_speaking(self, item_id: str) -> bool:
        """Whether that item is still being spoken, and its transcription open."""
        return item_id == self._transcribing

    def reserves(self, item_id: str) -> bool:
        """Whether that is the id of an item to come, or of one whose words are on their way."""
        return item_id in self._due or item_id in (self._turn, self._transcribing)

    def forget(self, item_id: str) -> None:
        """Nobody waits for the words of that recording any more."""
        self._due.pop(item_id, None)

    def settle(self, ended: TranscriptEnd) -> int | None:
        """Note that there are no more words to come; how long the item is, if it was awaited.

        What ends before its speech does is held back until the item is there.
        """
        if ended.item_id == self._transcribing:
            self._ended = ended
            return None
        return self._due.pop(ended.item_id, None)

    # Inside.

    @property
    def _uncommitted_from(self) -> int:
        return max(self._committed, self._buffer.start)

    @property
    def _item_start(self) -> int:
        """Where the item to come begins, as far as it is known."""
        return self._turn_start if self._turn is not None else self._uncommitted_from

    def _tick(self, at_ms: int) -> int:
        """Where that moment of the detector's stream lies on the session's clock."""
        return self._stream_start + at_ms * TICKS_PER_MS

    @property
    def _prefix_ms(self) -> int:
        detection = self._settings.turn_detection
        return (
            detection.prefix_padding_ms if isinstance(detection, ServerVad) else SEMANTIC_PREFIX_MS
        )

    @property
    def _idle_ms(self) -> int:
        """How much silence may have to be committed."""
        detection = self._settings.turn_detection
        return (detection.idle_timeout_ms or 0) if isinstance(detection, ServerVad) else 0

    def _begin(self, at_ms: int, item_id: str) -> Began:
        padded = self._tick(at_ms) - self._prefix_ms * TICKS_PER_MS
        self._turn, self._turn_start = item_id, max(padded, self._uncommitted_from)
        self._words.clear()
        effects: tuple[Effect, ...] = ()
        if self.wants_words and self._detector is not None:
            judged = self._tick(self._detector.heard_ms)
            effects = (self._transcribe(item_id, self._turn_start, judged),)
        return Began(item_id, self._turn_start // TICKS_PER_MS, effects)

    def _question(self, at_ms: int) -> JudgeTurn:
        """Ask whether the turn is over, by what was heard until then."""
        self._asked += 1
        end, asked = self._tick(at_ms), self._settings.transcription
        start = max(self._turn_start, end - JUDGED_MS * TICKS_PER_MS)
        return JudgeTurn(
            self._asked,
            self._buffer.between(start, end),
            self.format.rate_hz,
            "".join(self._words),
            language=asked.language if asked else None,
        )

    def _cut(self, end: int, mint: Mint, *, peeked: int | None = None) -> SpokenAudio:
        """Make an item of what lies before *end*; since it was *peeked* at, nothing was said."""
        end = min(end, self._buffer.end)
        item_id = self._turn or self._transcribing or mint("item_")
        start = self._item_start
        effects: list[Effect] = []
        if self.wants_words or self._transcribing is not None:
            if self._transcribing is None:
                effects.append(self._transcribe(item_id, start, end))
            effects += self._feed(end)
            if self._ended is None:
                effects.append(FinishTranscript(item_id, peeked))
            self._due[item_id] = (end - start) // TICKS_PER_MS
        audio_format = self.format
        pcm = self._buffer.take(start, end)
        ended, self._ended = self._ended, None
        self._turn, self._transcribing, self._committed = None, None, end
        self._peek = None
        self._words.clear()
        self._adopt_format()
        return SpokenAudio(
            item_id,
            pcm,
            audio_format,
            start // TICKS_PER_MS,
            end // TICKS_PER_MS,
            tuple(effects),
            ended,
        )

    @property
    def _can_be_peeked_at(self) -> bool:
        """Whether what was said so far may be written down beside what goes on."""
        spoken = self._buffer.end - self._turn_start
        open_still = self._transcribing is not None and self._transcribing == self._turn
        return open_still and self._ended is None and spoken <= LONGEST_PEEK_MS * TICKS_PER_MS

    def _transcribe(self, item_id: str, start: int, end: int) -> Transcribe:
        self._transcribing, self._fed = item_id, end
        return self._order(item_id, self._buffer.between(start, end), self.format.rate_hz)

    def _feed(self, until: int) -> list[Effect]:
        """Have the open transcription hear as far as that, which lies in its item."""
        if self._transcribing is None or self._ended is not None or until <= self._fed:
            return []
        pcm, self._fed = self._buffer.between(self._fed, until), until
        return [TranscribeMore(self._transcribing, pcm)] if pcm else []

    def _order(self, item_id: str, pcm: bytes, rate_hz: int) -> Transcribe:
        asked = self._settings.transcription
        return Transcribe(
            item_id,
            pcm,
            rate_hz,
            language=asked.language if asked else None,
            prompt=asked.prompt if asked else None,
        )

    def _forget_silence(self, heard_ms: int) -> None:
        keep_ms = max(self._prefix_ms + DETECTOR_DELAY_MS, SMALLEST_COMMIT_MS, self._idle_ms)
        self._buffer.forget(self._tick(heard_ms - keep_ms))

    def _drop(self) -> str | None:
        dropped, self._turn, self._transcribing = self._transcribing, None, None
        self._ended = self._peek = None
        return dropped

    def _restart(self) -> None:
        """Detect afresh from here on."""
        self._stream += 1
        self._stream_start = self._buffer.end
        self._detector = self._new_detector()

    def _new_detector(self) -> TurnDetector | None:
        detection = self._settings.turn_detection
        if detection is None:
            return None
        return TurnDetector(
            detection,
            judged=self._judges,
            hasty=self._hasty,
            speaking=self._turn is not None,
        )

    def _adopt_format(self) -> None:
        """Take up another format as soon as nothing said in the old one is left to commit."""
        uncommitted = self._detector is None and self._buffer.end > self._uncommitted_from
        if self._settings.format != self.format and self._turn is None and not uncommitted:
            self._buffer.change(self._settings.format)
            self._committed = self._buffer.end
            self._restart()
