"""A scenario as an engine: transcriber, language model and synthesiser without any model.

What they do is written in `scenario`. They keep nothing between streams, wait only where the
scenario asks them to, and otherwise let other tasks run before each value they give.

The speech is a quiet tone for each word, silent between words. A word's pitch follows from its
letters, so a listener who knows the words can tell which one sounds (`tone_hz`).
"""

import math
import re
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from functools import lru_cache
from pathlib import Path

import anyio
import numpy as np

from vivavoce import __version__
from vivavoce.audio.pcm import Pcm, of_samples
from vivavoce.core.effects import GenerationRequest
from vivavoce.engines.api import (
    EngineFailure,
    Spoken,
    SpokenMark,
    Transcript,
    TranscriptDelta,
    TranscriptionHints,
    Voice,
    WrittenCall,
    WrittenText,
)
from vivavoce.engines.scenario import Call, Scenario, Speech, Telling, load

Source = Scenario | str | Path | None

WORD_AND_BLANKS = re.compile(r"\s*\S+|\s+")
PRONOUNCED = re.compile(r"\S*\w\S*")
LOWEST_TONE_HZ = 220
TONES = 48  # two octaves in quarter tones
PEAK = 3277  # a tenth of full scale


class _Scripted:
    """What the three have in common: a scenario, and nothing to load."""

    def __init__(self, *, scenario: Source = None) -> None:
        """Perform *scenario*: a value, the path of a TOML file, or None for the smallest."""
        if scenario is None or isinstance(scenario, Scenario):
            self._scenario = scenario or Scenario()
        else:
            self._scenario = load(scenario)

    @property
    def version(self) -> str:
        """What is at work."""
        return f"Scripted {__version__}"

    async def __aenter__(self) -> object:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return None


class ScriptedTranscriber(_Scripted):
    """Writes down what the scenario says of speech that long; of digital silence, nothing."""

    async def transcribe(
        self, audio: AsyncIterator[Pcm], hints: TranscriptionHints
    ) -> AsyncGenerator[TranscriptDelta | Transcript, None]:
        """See `api.Transcriber`."""
        duration_ms, silent = 0.0, True
        async for pcm in audio:
            duration_ms += pcm.duration_ms
            silent = silent and pcm.data == bytes(len(pcm.data))
        if silent:
            yield Transcript("")
            return
        hearing = self._scenario.hearing_of(duration_ms, hints.language, hints.prompt)
        transcript = hearing.transcript.strip()
        async with aclosing(_told(transcript, hearing)) as told:
            async for words in told:
                yield TranscriptDelta(words)
        yield Transcript(transcript)


class ScriptedLanguageModel(_Scripted):
    """Answers what the scenario says to that conversation; looks at nothing but its items."""

    async def respond(
        self, request: GenerationRequest
    ) -> AsyncGenerator[WrittenText | WrittenCall, None]:
        """See `api.LanguageModel`."""
        turn = self._scenario.answer_to(request.context)
        async with aclosing(_told(turn.say, turn)) as told:
            async for words in told:
                yield WrittenText(words)
        for index, call in enumerate(turn.calls):
            for piece in _pieces(index, call):
                await _wait(turn.word_ms)
                yield piece


class ScriptedSynthesiser(_Scripted):
    """Speaks in tones."""

    async def speak(
        self, phrases: AsyncIterator[str], voice: Voice
    ) -> AsyncGenerator[Spoken, None]:
        """See `api.Synthesiser`."""
        speech = self._scenario.speech
        text_start, spoken_ms, wait_ms = 0, 0.0, float(speech.first_ms)
        async for phrase in phrases:
            for spoken in _spoken(phrase, speech, voice.speed, text_start, spoken_ms):
                if speech.fail is not None and spoken_ms >= speech.fail_after_ms:
                    raise EngineFailure(speech.fail)
                duration_ms = spoken.pcm.duration_ms
                await _wait(wait_ms + (duration_ms / speech.pace if speech.pace else 0))
                yield spoken
                spoken_ms, wait_ms = spoken_ms + duration_ms, 0.0
            text_start += len(phrase)
        if speech.fail is not None:
            raise EngineFailure(speech.fail)


def tone_hz(word: str) -> float:
    """The pitch of a word, whatever its case and the marks around it. Words may share one."""
    letters = re.sub(r"\W", "", word).lower()
    step = zlib.crc32(letters.encode()) % TONES
    return LOWEST_TONE_HZ * math.exp2(step / 24)


async def _told(text: str, telling: Telling) -> AsyncGenerator[str, None]:
    """The text word by word, in the time and with the failure that the scenario asks for."""
    words = WORD_AND_BLANKS.findall(text)
    given = words if telling.fail is None else words[: telling.fail_after_words]
    await _wait(telling.pause_ms)
    for place, word in enumerate(given):
        await _wait(telling.word_ms if place else 0)
        yield word
    if telling.fail is not None:
        raise EngineFailure(telling.fail)


async def _wait(ms: float) -> None:
    await (anyio.sleep(ms / 1000) if ms else anyio.lowlevel.checkpoint())


def _pieces(index: int, call: Call) -> Iterator[WrittenCall]:
    """The call in two pieces, so that whoever reads it has to join them."""
    arguments = call.json
    half = len(arguments) // 2
    yield WrittenCall(index, call.name, arguments[:half])
    yield WrittenCall(index, call.name, arguments[half:], final=True)


def _spoken(
    phrase: str, speech: Speech, speed: float, text_start: int, at_ms: float
) -> Iterator[Spoken]:
    """The phrase in chunks, with their marks, as it sounds at *at_ms* of the stream."""
    per_character = round(speech.rate_hz * speech.ms_per_character / 1000 / speed)
    words = list(PRONOUNCED.finditer(phrase))
    if not words:
        return
    audio = bytearray(2 * per_character * len(phrase))
    for word in words:
        start, end = (2 * per_character * place for place in word.span())
        audio[start:end] = _tone(word[0], end - start, speech.rate_hz)
    chunk = 2 * (speech.rate_hz * speech.chunk_ms // 1000)
    for begin in range(0, len(audio), chunk):
        marks = tuple(
            SpokenMark(
                text_start + word.start(),
                text_start + word.end(),
                at_ms + word.start() * per_character * 1000 / speech.rate_hz,
            )
            for word in words
            if begin <= 2 * per_character * word.start() < begin + chunk
        )
        yield Spoken(Pcm(bytes(audio[begin : begin + chunk]), speech.rate_hz), marks)


def _tone(word: str, size: int, rate_hz: int) -> bytes:
    """*size* bytes of that word's tone."""
    period = _period(round(rate_hz / tone_hz(word)), rate_hz)
    return (period * (size // len(period) + 1))[:size]


@lru_cache(maxsize=4 * TONES)
def _period(samples: int, rate_hz: int) -> bytes:
    """One turn of a sine. Repeating bytes costs a thousandth of computing the wave anew."""
    wave = PEAK * np.sin(2 * np.pi * np.arange(samples) / samples)
    return of_samples(np.rint(wave).astype(np.int16), rate_hz).data
