"""Whisper on CTranslate2, by way of the package faster-whisper: a recogniser of 99 languages.

Whisper hears 30 s at a time, no more, and no less: what is shorter is filled up with silence, so half a
second costs its encoder as much as half a minute. So a turn is gathered while it is spoken and written
down when it ends. One longer than that is cut where it is quiet, and its pieces are written down while
it goes on; each is final, and goes out as a delta.

A piece is one run of the encoder and one of the decoder. Whisper's own segments, which would have parts
of it heard again, are turned off, and so are its second attempts at a higher temperature: they would
make the time of an answer a matter of luck, and its words another each time. Where no language is said,
each piece tells its own from the run of the encoder that it needs anyway.

CTranslate2 lets go of Python's lock while it works but cannot be interrupted. A stream that is closed
ends at once; the piece that is at work is finished unheard.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from anyio import to_thread
from msgspec import Struct

from vivavoce.audio.pcm import Pcm
from vivavoce.engines.api import (
    HEARING_RATE_HZ,
    EngineFailure,
    Transcript,
    TranscriptDelta,
    TranscriptionHints,
    Work,
)
from vivavoce.engines.crew import Crew, Shift, cores
from vivavoce.engines.model_folder import model_folder
from vivavoce.engines.pieces import Pieces, Samples, is_blank

Device = Literal["cpu", "cuda", "auto"]

USUAL = "faster-whisper-base"
WINDOW_S = 30.0
PATIENCE_S = 4.0  # a turn may wait for some others; who connects does not speak at once
CORES_A_WORKER = 4  # the decoder does not get faster with more
FILES = ("model.bin", "config.json", "tokenizer.json")
# What Whisper calls differently from ISO 639-1.
NAMES = {"jv": "jw", "nb": "no"}


class Manner(Struct, frozen=True):
    """How the model is loaded and used: the options of `FasterWhisper`."""

    device: Device
    compute_type: str
    workers: int | None
    beam_size: int
    vad_filter: bool


class Piece(Struct, frozen=True):
    """A piece of a turn, and what is known of it."""

    samples: Samples
    language: str | None
    prompt: str | None


class FasterWhisper:
    """Whisper as a `Transcriber`.

    *model* is a folder in CTranslate2's form, or the name of a model that was pulled. *workers* turns
    are written down side by side, by default one for every four cores of the machine, or one on a GPU;
    the others wait. *compute_type* is CTranslate2's, `auto` its fastest on the *device*. *language* is
    taken where a session says none; without either it is heard. *vad_filter* leaves out what has no
    voice; *condition_on_previous_text* tells each piece of a long turn the words before it.
    """

    warms_up = True

    def __init__(
        self,
        *,
        model: str = USUAL,
        device: Device = "auto",
        compute_type: str = "auto",
        beam_size: int = 1,
        language: str | None = None,
        workers: int | None = None,
        vad_filter: bool = False,
        condition_on_previous_text: bool = False,
    ) -> None:
        self._model = model
        self._manner = Manner(device, compute_type, workers, beam_size, vad_filter)
        self._language = language
        self._carries_on = condition_on_previous_text
        self._whisper: Whisper | None = None
        self._crew: Crew[Piece, str] | None = None
        self.report: Callable[[Work], None] = lambda _: None

    @property
    def version(self) -> str:
        """Such as `faster-whisper 1.2.1 (faster-whisper-base, int8 on cpu)`, when loaded."""
        model = self._whisper.name if self._whisper else Path(self._model).name
        try:
            return f"faster-whisper {version('faster-whisper')} ({model})"
        except PackageNotFoundError:
            return f"faster-whisper ({model})"

    @property
    def queued(self) -> int:
        """How many turns wait for a worker."""
        return self._crew.queued if self._crew else 0

    @property
    def full(self) -> bool:
        """Whether another session would have to wait too long."""
        return self._crew is not None and self._crew.full

    async def __aenter__(self) -> Self:
        whisper = await to_thread.run_sync(load, self._model, self._manner)
        _spoken_by(whisper, self._language)
        self._crew = Crew(
            whisper.do,
            name="faster-whisper",
            workers=whisper.workers,
            patience_s=PATIENCE_S,
            report=lambda work: self.report(work),
        )
        await self._crew.__aenter__()
        self._whisper = whisper
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        crew, self._crew, self._whisper = self._crew, None, None
        if crew is not None:
            await crew.__aexit__(*exc_info)

    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        """See `api.Transcriber`. A language it does not know fails with `unsupported_language`."""
        if self._crew is None or self._whisper is None:
            raise EngineFailure("faster-whisper is not running")
        language = _spoken_by(self._whisper, hints.language or self._language)
        pieces, words = Pieces(WINDOW_S), Words()

        def next_piece() -> Piece:
            before = words.text if self._carries_on else ""
            prompt = " ".join(filter(None, (hints.prompt, before)))
            return Piece(pieces.take(), language, prompt or None)

        with self._crew.place() as place:
            async for pcm in audio:
                pieces.hear(pcm)
                for text in place.told():
                    if delta := words.add(text):
                        yield TranscriptDelta(delta)
                if pieces.fills_a_window and not place.undone:
                    place.bring(next_piece())
            while pieces or place.undone:
                if not place.undone:
                    place.bring(next_piece())
                async for text in place:
                    if delta := words.add(text):
                        yield TranscriptDelta(delta)
        yield Transcript(words.text)


class Words:
    """The words of a turn, put together from its pieces."""

    def __init__(self) -> None:
        self.text = ""

    def add(self, piece: str) -> str:
        """Put a piece behind; what that adds to the text.

        Whisper begins a piece with a blank where its language has blanks between words.
        """
        delta = piece.rstrip() if self.text else piece.strip()
        self.text += delta
        return delta


class Whisper:
    """The loaded model, in any number of threads."""

    # Any, for the package has no types.
    def __init__(self, model: Any, manner: Manner, name: str, workers: int) -> None:
        self._model = model
        self._manner = manner
        self.name = name
        self.workers = workers
        self.languages = frozenset(
            code
            for code in model.supported_languages
            if not model.model.is_multilingual or model.hf_tokenizer.token_to_id(f"<|{code}|>")
        )

    def do(self, shifts: Sequence[Shift[Piece, str]]) -> None:
        """Write down the pieces whose turn has come."""
        for shift in shifts:
            shift.audio_s = len(shift.unit.samples) / HEARING_RATE_HZ
            shift.tell(self.write_down(shift.unit))

    def write_down(self, piece: Piece) -> str:
        """The words of a piece as Whisper writes them; blocks."""
        if is_blank(piece.samples):
            return ""  # silence makes Whisper say what it was trained on: "Thank you for watching."
        segments, _ = self._model.transcribe(
            piece.samples.astype(np.float32) / np.float32(32768),
            # Where languages are told apart, this one is but a place for the one that is found.
            language=piece.language or "en",
            multilingual=piece.language is None and len(self.languages) > 1,
            initial_prompt=piece.prompt,
            beam_size=self._manner.beam_size,
            temperature=0.0,
            without_timestamps=True,
            condition_on_previous_text=False,
            vad_filter=self._manner.vad_filter,
        )
        return "".join(segment.text for segment in segments)

    def warm_up(self) -> None:
        """Do everything once: the first time takes longer, and shows what is missing."""
        noise = np.random.default_rng(0).integers(-999, 999, HEARING_RATE_HZ).astype(np.int16)
        try:
            self.write_down(Piece(noise, None, None))
        except Exception as error:
            raise EngineFailure(f"{self.name} is loaded, but does not work: {error}") from error


def load(model: str, manner: Manner) -> Whisper:
    """Load the model; blocks for as long as that takes. Raises `EngineFailure`."""
    try:
        import ctranslate2
        import faster_whisper
    except ImportError as error:
        raise EngineFailure(
            "this transcriber needs the package faster-whisper: "
            f"pip install 'vivavoce[faster-whisper]' ({error})"
        ) from error
    folder = model_folder(model, such_as=USUAL)
    _require_files(folder)
    gpu = manner.device == "cuda" or (
        manner.device == "auto" and ctranslate2.get_cuda_device_count() > 0
    )
    workers = manner.workers or (1 if gpu else max(1, cores() // CORES_A_WORKER))
    device = "cuda" if gpu else "cpu"
    try:
        loaded = faster_whisper.WhisperModel(
            str(folder),
            device=device,
            compute_type=manner.compute_type,
            cpu_threads=max(1, cores() // workers),
            num_workers=workers,
        )
    except Exception as error:
        raise EngineFailure(f"{folder} cannot be loaded as a Whisper model: {error}") from error
    name = f"{folder.name}, {loaded.model.compute_type} on {device}"
    whisper = Whisper(loaded, manner, name, workers)
    whisper.warm_up()
    return whisper


def _require_files(folder: Path) -> None:
    """A folder without a tokenizer would have the package look for one in the network."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise EngineFailure(
            f"{folder} holds no Whisper model in CTranslate2's form: {', '.join(missing)} "
            f"missing; pull one: vivavoce models pull {USUAL}"
        )


def _spoken_by(whisper: Whisper, language: str | None) -> str | None:
    """Whisper's name for a language, `pt` for `pt-BR`; `EngineFailure` if it does not know it."""
    if language is None:
        return None
    code = language.replace("_", "-").split("-")[0].lower()
    code = NAMES.get(code, code)
    if code in whisper.languages:
        return code
    known = (
        "English alone" if len(whisper.languages) == 1 else f"{len(whisper.languages)} languages"
    )
    raise EngineFailure(
        f"{whisper.name} hears {known}, and was asked for {language!r}. Leave the language out, "
        "or have the deployment's recipe name another transcriber.",
        code="unsupported_language",
    )
