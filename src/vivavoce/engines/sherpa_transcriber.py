"""Recognition of speech by sherpa-onnx, on open models: one model in memory for all sessions.

Streaming kinds decode while the person speaks, up to a second of audio a unit, several sessions in
one batch. The others decode whole turns, and turns of more than 25 s in pieces that are cut where it
is quietest. Nothing is decoded before something is heard: models make up words for silence.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from importlib.metadata import version
from typing import Any, Literal, TypeAlias

from anyio import to_thread
from msgspec import Struct

from vivavoce.audio.pcm import Pcm
from vivavoce.engines.api import (
    HEARING_RATE_HZ,
    Transcript,
    TranscriptDelta,
    TranscriptionHints,
    Work,
)
from vivavoce.engines.audible import from_first_sound
from vivavoce.engines.crew import PATIENCE_S, Crew, Place, Shift
from vivavoce.engines.model_folder import model_folder
from vivavoce.engines.pieces import Pieces, Samples, is_blank
from vivavoce.engines.sherpa_folder import (
    RECOGNISER_KINDS,
    Provider,
    RecogniserKind,
    recogniser_files,
)
from vivavoce.engines.sherpa_trial import Plan, tried

UNIT_BYTES = 2 * HEARING_RATE_HZ  # a second, the most that a streaming model decodes at a time
LEAST_BYTES = UNIT_BYTES // 10  # and the least, but for the last
WINDOW_S = 25.0  # the most of a turn that the other kinds decode at a time
AHEAD = 2  # units of one turn that are queued, while more audio gathers
BATCH = 8
STEADY_S = 0.6  # after which the last word is taken for whole
LITTLE = 1600  # samples that go over to the package at a time
STEP = 160  # samples from one frame of features to the next
LONGEST_WINDOW_S = 10
SUCH_AS = "zipformer-en"

# Any: the package has no types of its own.
Recogniser: TypeAlias = Any
Stream: TypeAlias = Any
Written: TypeAlias = tuple[str, float]  # the text so far, after so many seconds of audio


class SherpaTranscriber:
    """sherpa-onnx as a `Transcriber`.

    *model* is a folder of model files or the name of a model that was pulled; *kind* need only be
    said where the files do not tell. *threads* is for one unit of work, *workers* (by default as
    many as there are cores) how many units are at work side by side, *batch* how many sessions one
    of a streaming model may take together. *language* is for models that know several. The engine
    is `full` when another session would wait for longer than *patience_s*.
    """

    warms_up = True

    def __init__(
        self,
        *,
        model: str,
        kind: RecogniserKind | Literal["auto"] = "auto",
        threads: int = 1,
        provider: Provider = "cpu",
        language: str | None = None,
        workers: int | None = None,
        batch: int = BATCH,
        patience_s: float = PATIENCE_S,
    ) -> None:
        if kind != "auto" and kind not in RECOGNISER_KINDS:
            raise ValueError(f"kind is {kind!r}, but one of: auto, {', '.join(RECOGNISER_KINDS)}")
        self._model = model
        self._kind = kind
        self._threads = threads
        self._provider = provider
        self._language = language
        self._workers = workers
        self._batch = batch
        self._patience_s = patience_s
        self._open = AsyncExitStack()
        self._crew: Crew[Piece, Written] | None = None
        self._streaming = False
        self._version = "sherpa-onnx"
        self.report: Callable[[Work], None] | None = None

    @property
    def version(self) -> str:
        """Such as `sherpa-onnx 2.0.1 (zipformer)`, once it has been loaded."""
        return self._version

    @property
    def queued(self) -> int:
        """How many turns wait for the model."""
        return self._crew.queued if self._crew else 0

    @property
    def full(self) -> bool:
        """Whether another session would have to wait too long."""
        return self._crew is not None and self._crew.full

    async def __aenter__(self) -> "SherpaTranscriber":
        folder = await to_thread.run_sync(lambda: model_folder(self._model, such_as=SUCH_AS))
        files = await to_thread.run_sync(
            lambda: recogniser_files(
                folder, kind=self._kind, provider=self._provider, language=self._language
            )
        )
        plan = Plan("recogniser", files, None, self._threads, self._provider)
        recogniser = await tried(plan, str(folder))
        self._streaming = files.streaming
        model = StreamingModel if files.streaming else TurnModel
        loaded: StreamingModel | TurnModel = await to_thread.run_sync(model, recogniser)
        crew: Crew[Piece, Written] = Crew(
            loaded.decode,
            name=f"sherpa-onnx ({files.kind})",
            workers=self._workers,
            # Padded to one length, turns would not be heard quite as they are when alone.
            batch=self._batch if files.streaming else 1,
            patience_s=self._patience_s,
            report=self._tell_of,
        )
        self._crew = await self._open.enter_async_context(crew)
        self._version = f"sherpa-onnx {version('sherpa-onnx')} ({files.kind})"
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._open.aclose()

    def _tell_of(self, work: Work) -> None:
        if self.report is not None:
            self.report(work)

    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        """See `api.Transcriber`. What the hints say is for models that can be told; these cannot."""
        if self._crew is None:
            raise RuntimeError("the transcriber has not been entered")
        write = _as_it_comes if self._streaming else _whole
        with self._crew.place() as place:
            async with aclosing(write(place, audio)) as written:
                async for each in written:
                    yield each


class OpenTurn:
    """A turn that is being decoded. The stream is the thread's, which makes it when it first can."""

    def __init__(self) -> None:
        self.stream: Stream | None = None
        self.begun = False
        self.decoded_s = 0.0


class Piece(Struct, frozen=True):
    """Audio of a turn, which *last* says is its end."""

    turn: OpenTurn
    audio: bytes
    last: bool = False


def _bring(place: "Place[Piece, Written]", turn: OpenTurn, gathered: bytearray) -> None:
    turn.begun = True
    place.bring(Piece(turn, bytes(gathered[:UNIT_BYTES])))
    del gathered[:UNIT_BYTES]


async def _as_it_comes(
    place: "Place[Piece, Written]", audio: AsyncIterator[Pcm]
) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
    """Decode while audio arrives. What comes during a unit of work is in the next."""
    turn, words, gathered = OpenTurn(), Words(), bytearray()
    async with aclosing(from_first_sound(audio)) as sounds:
        async for data in sounds:
            gathered += data
            while len(gathered) >= UNIT_BYTES:
                await place.room(AHEAD)
                _bring(place, turn, gathered)
            if len(gathered) >= LEAST_BYTES and not place.undone:
                _bring(place, turn, gathered)
            for text, at_s in place.told():
                if delta := words.hear(text, at_s):
                    yield TranscriptDelta(delta)
    if gathered or turn.begun:
        place.bring(Piece(turn, bytes(gathered), last=True))
    text = ""
    async for text, at_s in place:
        if delta := words.hear(text, at_s):
            yield TranscriptDelta(delta)
    yield Transcript(words.finish(text))


async def _whole(
    place: "Place[Piece, Written]", audio: AsyncIterator[Pcm]
) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
    """Decode at the end, and pieces of a long turn when there is so much."""
    heard, texts = Pieces(WINDOW_S), list[str]()
    async for pcm in audio:
        heard.hear(pcm)
        while heard.fills_a_window:
            await place.room(AHEAD)
            _bring_piece(place, heard.take())
        for text, _ in place.told():
            if delta := _appended(texts, text):
                yield TranscriptDelta(delta)
    if heard:
        _bring_piece(place, heard.take())
    async for text, _ in place:
        if delta := _appended(texts, text):
            yield TranscriptDelta(delta)
    yield Transcript(" ".join(texts))


def _bring_piece(place: "Place[Piece, Written]", samples: Samples) -> None:
    if not is_blank(samples):
        place.bring(Piece(OpenTurn(), samples.tobytes(), last=True))


def _appended(texts: list[str], text: str) -> str:
    """Put the words of another piece to *texts*; what that adds when all are joined."""
    if not (words := text.strip()):
        return ""
    texts.append(words)
    return words if len(texts) == 1 else f" {words}"


class StreamingModel:
    """A recogniser that decodes audio as it comes. Everything here is done in the crew's threads."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        # So much of nothing, after the last word, brings everything before it out. To find out is
        # to decode once, which the first caller then need not wait for.
        self._tail = [0.0] * _window(recogniser)

    def decode(self, shifts: Sequence[Shift[Piece, Written]]) -> None:
        """Decode a piece of each turn, all turns together."""
        for shift in shifts:
            self._feed(shift)
        while ready := [
            shift.unit.turn.stream
            for shift in shifts
            if not shift.dropped and self._recogniser.is_ready(shift.unit.turn.stream)
        ]:
            self._recogniser.decode_streams(ready)
        for shift in shifts:
            turn = shift.unit.turn
            turn.decoded_s += shift.audio_s
            shift.tell((self._recogniser.get_result(turn.stream), turn.decoded_s))

    def _feed(self, shift: Shift[Piece, Written]) -> None:
        turn, piece = shift.unit.turn, shift.unit
        if turn.stream is None:
            turn.stream = self._recogniser.create_stream()
        samples = Pcm(piece.audio, HEARING_RATE_HZ).floats
        shift.audio_s = len(samples) / HEARING_RATE_HZ
        # The package takes numbers one by one and holds Python's lock for it: little at a time.
        for start in range(0, len(samples), LITTLE):
            turn.stream.accept_waveform(HEARING_RATE_HZ, samples[start : start + LITTLE].tolist())
        if piece.last:
            turn.stream.accept_waveform(HEARING_RATE_HZ, self._tail)
            turn.stream.set_option("is_final", "1")  # Paraformer holds its last word back without
            turn.stream.input_finished()


def _window(recogniser: Recogniser) -> int:
    """How many samples a recogniser wants to have before it decodes for the first time."""
    stream = recogniser.create_stream()
    for fed in range(STEP, LONGEST_WINDOW_S * HEARING_RATE_HZ, STEP):
        stream.accept_waveform(HEARING_RATE_HZ, [0.0] * STEP)
        if recogniser.is_ready(stream):
            recogniser.decode_streams([stream])
            return fed + STEP
    return HEARING_RATE_HZ


class TurnModel:
    """A recogniser of whole turns. Everything here is done in the crew's threads."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser

    def decode(self, shifts: Sequence[Shift[Piece, Written]]) -> None:
        """Decode one piece after the other."""
        for shift in shifts:
            audio = shift.unit.audio
            samples = Pcm(audio, HEARING_RATE_HZ).floats
            shift.audio_s = len(samples) / HEARING_RATE_HZ
            # A list goes over in a tenth of the time of an array, during which all Python waits.
            numbers: list[float] = []
            for start in range(0, len(samples), HEARING_RATE_HZ):
                numbers += samples[start : start + HEARING_RATE_HZ].tolist()
            stream = self._recogniser.create_stream()
            stream.accept_waveform(HEARING_RATE_HZ, numbers)
            if not shift.dropped:
                self._recogniser.decode_streams([stream])
                shift.tell((stream.result.text, shift.audio_s))


class Words:
    """The text of a turn as it grows: which of it can be told, since it will not be taken back."""

    def __init__(self) -> None:
        self._told = ""
        self._text = ""
        self._changed_at_s = 0.0

    def hear(self, text: str, at_s: float) -> str:
        """What can be told of the text as it is after so much audio, beyond what was told before.

        A word is whole once another follows it, or when nothing has changed for a while.
        """
        text = text.strip()
        if text != self._text:
            self._text, self._changed_at_s = text, at_s
        steady = at_s - self._changed_at_s >= STEADY_S
        whole = text if steady else text[: _last_beginning(text)].rstrip()
        if not whole.startswith(self._told):
            return ""
        delta = whole[len(self._told) :]
        self._told = whole
        return delta

    def finish(self, text: str) -> str:
        """The whole text in the end, which begins with what was told whatever the model says now."""
        text = text.strip()
        if text.startswith(self._told):
            return text
        more = text.split()[len(self._told.split()) :]
        return " ".join([self._told, *more])


def _last_beginning(text: str) -> int:
    """Where the last word begins; where words are written without blanks, the last character."""
    blank = text.rfind(" ") + 1
    if len(text) > 1 and _ideographic(text[-1]):
        return max(blank, len(text) - 1)
    return blank


def _ideographic(character: str) -> bool:
    return "\u3040" <= character <= "\u9fff" or "\uf900" <= character <= "\ufaff"
