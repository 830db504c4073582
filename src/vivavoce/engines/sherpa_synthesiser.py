"""Speech by sherpa-onnx, in open voices: one model in memory for all sessions.

A phrase is a unit of work, so sessions take turns phrase by phrase; its audio goes out sentence by
sentence, as the model makes it. The next phrase is begun when the last has been handed over. Voices
that were trained on the phonemes of eSpeak NG are given those (see `phonemes`), the others the text.
"""

import importlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from importlib.metadata import version
from typing import Any, Literal, TypeAlias

import numpy as np
from anyio import to_thread
from msgspec import Struct
from numpy.typing import NDArray

from vivavoce.audio.pcm import Pcm, of_samples
from vivavoce.engines.api import EngineFailure, Spoken, SpokenMark, Voice, Work
from vivavoce.engines.crew import PATIENCE_S, Crew, Shift
from vivavoce.engines.espeak import DEFAULT_VOICE, TIMBRES, pieces, speakable
from vivavoce.engines.model_folder import model_folder
from vivavoce.engines.phonemes import Phonemes, Wording
from vivavoce.engines.sherpa_folder import (
    VOICE_KINDS,
    Provider,
    VoiceFiles,
    VoiceKind,
    voice_files,
)
from vivavoce.engines.sherpa_trial import PACKAGE, Plan, tried

STRETCH_MS = 100  # of audio in one value: longer ones take too long to resample on the event loop
SLOWEST, FASTEST = 0.25, 1.5
SUCH_AS = "kokoro-en"
ENGLISH = re.compile(r"[ab][fm](_|$)")  # how Kokoro's American and British speakers are called
FEMALE = re.compile(r".f(_|$)")
IDEOGRAPH = re.compile(r"[\u3040-\u9fff\uf900-\ufaff]")

Model: TypeAlias = Any  # the package has no types of its own


class Phrase(Struct, frozen=True):
    """What to say, by whom and how fast. *sentences* are phonemes; without any, the text counts."""

    text: str
    sentences: tuple[str, ...]
    speaker: int
    speed: float


class SherpaSynthesiser:
    """sherpa-onnx as a `Synthesiser`.

    *model* is a folder of model files or the name of a model that was pulled; *kind* need only be
    said where the files do not tell. *voices* says which speaker, by number or name, is which voice
    of the API; those it leaves out are spread over the speakers there are. To `speak`, a voice is a
    speaker's name or number. *threads* is for one
    phrase, *workers* (by default as many as there are cores) how many are made side by side. The
    engine is `full` when another session would wait for longer than *patience_s*.
    """

    warms_up = True

    def __init__(
        self,
        *,
        model: str,
        kind: VoiceKind | Literal["auto"] = "auto",
        voices: Mapping[str, int | str] | None = None,
        threads: int = 1,
        provider: Provider = "cpu",
        workers: int | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        if kind != "auto" and kind not in VOICE_KINDS:
            raise ValueError(f"kind is {kind!r}, but one of: auto, {', '.join(VOICE_KINDS)}")
        self._model = model
        self._kind = kind
        self._chosen = dict(voices or {})
        self._threads = threads
        self._provider = provider
        self._workers = workers
        self._patience_s = patience_s
        self._open = AsyncExitStack()
        self._crew: Crew[Phrase, Pcm] | None = None
        self._phonemes: Phonemes | None = None
        self._espeak_voice = ""
        self._has_lexicon = False
        self._speakers: dict[str, int] = {}  # by the voices of the API
        self._own: dict[str, int] = {}  # by their own names, and by their numbers
        self._version = "sherpa-onnx"
        self.voices: Mapping[str, str] = {}
        self.report: Callable[[Work], None] | None = None

    @property
    def version(self) -> str:
        """Such as `sherpa-onnx 2.0.1 (kokoro)`, once it has been loaded."""
        return self._version

    @property
    def queued(self) -> int:
        """How many phrases wait for the model."""
        return self._crew.queued if self._crew else 0

    @property
    def full(self) -> bool:
        """Whether another session would have to wait too long."""
        return self._crew is not None and self._crew.full

    async def __aenter__(self) -> "SherpaSynthesiser":
        folder = await to_thread.run_sync(lambda: model_folder(self._model, such_as=SUCH_AS))
        files = await to_thread.run_sync(
            lambda: voice_files(folder, kind=self._kind, provider=self._provider)
        )
        plan = Plan("voice", None, files, self._threads, self._provider)
        model = await tried(plan, str(folder))
        self._speakers = speakers(files.names, model.num_speakers, self._chosen)
        self._own = own_names(files.names, model.num_speakers)
        self.voices = {
            voice: files.names[number] if number < len(files.names) else str(number)
            for voice, number in self._speakers.items()
        }
        async with AsyncExitStack() as opening:
            await self._load(opening, files, model)
            self._open = opening.pop_all()
        self._version = f"sherpa-onnx {version('sherpa-onnx')} ({files.kind})"
        return self

    async def _load(self, opening: AsyncExitStack, files: VoiceFiles, model: Model) -> None:
        if files.espeak_voice:
            self._phonemes = await opening.enter_async_context(Phonemes())
            self._espeak_voice = files.espeak_voice
        self._has_lexicon = "lexicon" in files.arguments
        self._crew = await opening.enter_async_context(
            Crew(
                Speaking(model).speak,
                name=f"sherpa-onnx ({files.kind})",
                workers=self._workers,
                patience_s=self._patience_s,
                report=self._tell_of,
            )
        )

    async def __aexit__(self, *exc_info: object) -> None:
        await self._open.aclose()

    def _tell_of(self, work: Work) -> None:
        if self.report is not None:
            self.report(work)

    async def speak(
        self, phrases: AsyncIterator[str], voice: Voice
    ) -> AsyncGenerator[Spoken, None]:
        """Speak each phrase when it comes, with a mark where it begins."""
        if self._crew is None:
            raise RuntimeError("the synthesiser has not been entered")
        text_start, at_ms = 0, 0.0
        with self._crew.place() as place:
            async for phrase in phrases:
                for piece in pieces(phrase):
                    marks = _mark(piece, text_start, at_ms)
                    text_start += len(piece)
                    if not marks:
                        continue
                    place.bring(await self._phrase(piece, voice))
                    async for pcm in place:
                        at_ms += pcm.duration_ms
                        yield Spoken(pcm, marks)
                        marks = ()

    async def _phrase(self, piece: str, voice: Voice) -> Phrase:
        text = " ".join(speakable(piece).split())
        speed = min(max(voice.speed, SLOWEST), FASTEST)
        return Phrase(text, await self._sentences(text), self._speaker(voice.name), speed)

    def _speaker(self, name: str) -> int:
        """The speaker who is called so; for anything else the one who stands for it in the API."""
        if (number := self._own.get(name)) is not None:
            return number
        return self._speakers.get(name, self._speakers[DEFAULT_VOICE])

    async def _sentences(self, text: str) -> tuple[str, ...]:
        """The phonemes of a text; none for a voice that reads, or that has a lexicon for it."""
        if self._phonemes is None or (self._has_lexicon and IDEOGRAPH.search(text)):
            return ()
        return tuple(await self._phonemes.of(Wording(self._espeak_voice, text)))


def _mark(piece: str, text_start: int, at_ms: float) -> tuple[SpokenMark, ...]:
    """Where in the stream's text a piece is said; none if there is nothing to say."""
    text = speakable(piece)
    if not any(character.isalnum() for character in text):
        return ()
    start = text_start + len(text) - len(text.lstrip())
    return (SpokenMark(start, text_start + len(text.rstrip()), at_ms),)


def speakers(names: Sequence[str], count: int, chosen: Mapping[str, int | str]) -> dict[str, int]:
    """The number of the speaker for each voice of the API; `EngineFailure` if one is not there.

    A speaker who is called like the voice is taken for it; the others are spread over what is left
    of those who speak English, women and men as far as the names tell.
    """
    found = {
        voice: _spread(names, max(count, 1), voice, place) for place, voice in enumerate(TIMBRES)
    }
    for voice, speaker in chosen.items():
        found[voice] = _number(names, max(count, 1), voice, speaker)
    return found


def own_names(names: Sequence[str], count: int) -> dict[str, int]:
    """The number of each speaker, by that number and by the name, which counts for more."""
    numbers = range(max(count, 1))
    return {str(number): number for number in numbers} | dict(zip(names, numbers, strict=False))


def _number(names: Sequence[str], count: int, voice: str, speaker: int | str) -> int:
    if isinstance(speaker, str) and speaker in names:
        return names.index(speaker)
    if isinstance(speaker, int) and 0 <= speaker < count:
        return speaker
    there = ", ".join(names) or f"0 to {count - 1}"
    raise EngineFailure(f"voices.{voice} is {speaker!r}, but the model's speakers are: {there}")


def _spread(names: Sequence[str], count: int, voice: str, place: int) -> int:
    for number, name in enumerate(names[:count]):
        if name == voice or name.endswith(f"_{voice}"):
            return number
    fitting = [
        number
        for number, name in enumerate(names[:count])
        if ENGLISH.match(name) and bool(FEMALE.match(name)) == _is_female(voice)
    ] or list(range(count))
    return fitting[
        place * len(fitting) // len(TIMBRES) if len(fitting) > 9 else place % len(fitting)
    ]


def _is_female(voice: str) -> bool:
    return TIMBRES[voice].variant.startswith("f")


class Speaking:
    """The model as the crew's threads use it."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._rate_hz: int = model.sample_rate
        self._configuration = importlib.import_module(PACKAGE).GenerationConfig

    def speak(self, shifts: Sequence[Shift[Phrase, Pcm]]) -> None:
        """Make the audio of a phrase; stops after the sentence in which it is no longer wanted."""
        for shift in shifts:
            phrase = shift.unit
            how = self._configuration()
            how.sid, how.speed, how.silence_scale = phrase.speaker, phrase.speed, 1.0
            how.phoneme_codepoints = [[*map(ord, sentence)] for sentence in phrase.sentences]
            self._model.generate(phrase.text, how, callback=self._telling(shift))

    def _telling(self, shift: Shift[Phrase, Pcm]) -> Callable[[NDArray[np.float32], float], int]:
        def tell(samples: NDArray[np.float32], _progress: float) -> int:
            shift.audio_s += len(samples) / self._rate_hz
            for stretch in stretches(samples, self._rate_hz):
                shift.tell(stretch)
            return 0 if shift.dropped else 1

        return tell


def stretches(samples: NDArray[np.float32], rate_hz: int) -> Iterator[Pcm]:
    """Audio as the seams know it, a little at a time."""
    size = rate_hz * STRETCH_MS // 1000
    whole = np.clip(np.nan_to_num(samples) * 32767, -32768, 32767).astype(np.int16)
    for start in range(0, len(whole), size):
        yield of_samples(whole[start : start + size], rate_hz)
