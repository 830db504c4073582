"""A paced client among many: speaks on a schedule, whatever the server does, and takes the times.

Audio goes out in real time on an absolute schedule, 100 ms at a time, also while the server
answers; turns begin on a fixed period (open loop), so a slow server is not given more time. Where
answers last longer than the period, each turn interrupts the answer before it.
"""

import time
from collections.abc import AsyncIterator, Iterator

import anyio
import msgspec
import numpy as np
import pybase64
from msgspec import Struct
from numpy.typing import NDArray

from vivavoce.audio.pcm import of_samples
from vivavoce.audio.resample import Resampler
from vivavoce.cli.client import Address, Call, CannotConnect, call
from vivavoce.engines.api import Voice
from vivavoce.engines.espeak import Espeak

RATE_HZ = 24000
CHUNK_MS = 100
CHUNK = RATE_HZ * CHUNK_MS // 1000
SPEECH_S = 2.0
TEXT = "What time does the next train to the city leave today, and how long does it take?"


class Seen(Struct):
    """What of an event is of interest; the rest is skipped, not decoded."""

    type: str
    audio_end_ms: float = 0
    response_id: str | None = None
    response: "SeenResponse | None" = None
    error: "SeenError | None" = None


class SeenResponse(Struct):
    """The response in `response.created` and `response.done`."""

    id: str
    status: str


class SeenError(Struct):
    """The error in an `error` event."""

    message: str


class Times(Struct):
    """What many sessions measured, in milliseconds."""

    stopped_late: list[float] = msgspec.field(default_factory=list)
    first_audio: list[float] = msgspec.field(default_factory=list)
    cancelled: list[float] = msgspec.field(default_factory=list)
    own_lag: list[float] = msgspec.field(default_factory=list)
    audio_after_done: int = 0
    unanswered: int = 0
    errors: list[str] = msgspec.field(default_factory=list)


class Sound(Struct):
    """What is said: append events, encoded beforehand."""

    speech: list[str]
    quiet: list[str]


async def sound() -> Sound:
    """Two seconds of speech by the embedded synthesiser over faint noise, and the noise alone."""
    noise = np.random.default_rng(7)

    async def text() -> AsyncIterator[str]:
        yield TEXT

    spoken = bytearray()
    async with Espeak(workers=1) as espeak:
        resampler = None
        async for each in espeak.speak(text(), Voice()):
            resampler = resampler or Resampler(each.pcm.rate_hz, RATE_HZ)
            resampled = resampler.push(each.pcm.samples)
            spoken += of_samples(resampled, RATE_HZ).data
    samples = np.frombuffer(bytes(spoken), "<i2")
    loud = np.flatnonzero(np.abs(samples) > 500)
    count = int(SPEECH_S * RATE_HZ)
    speech = np.resize(samples[loud[0] : loud[-1]], count) + noise.normal(0, 8, count)
    quiet = noise.normal(0, 8, (16, CHUNK))
    return Sound(list(_appends(speech.reshape(-1, CHUNK))), list(_appends(quiet)))


def _appends(chunks: NDArray[np.float64]) -> Iterator[str]:
    for chunk in chunks:
        audio = pybase64.b64encode_as_string(of_samples(chunk.astype(np.int16), RATE_HZ).data)
        yield '{"type":"input_audio_buffer.append","audio":"' + audio + '"}'


class Talker:
    """One session."""

    def __init__(self, saying: Sound, times: Times, *, period_s: float) -> None:
        self._saying = saying
        self._times = times
        self._period = round(period_s * 1000 / CHUNK_MS)
        self._sent_at: list[float] = []
        self._due: float | None = None
        self._started: float | None = None
        self._awaits_audio = False
        self._running: str | None = None
        self._cancelled: set[str] = set()
        self._decoder = msgspec.json.Decoder(Seen)

    async def talk(self, address: Address, place: float, seconds: float) -> None:
        """Hold a session for that long; *place* in the period (0 to 1) is when its turns begin."""
        try:
            async with call(address) as line, anyio.create_task_group() as tasks:
                tasks.start_soon(self._listen, line)
                await self._speak(line, round(place * self._period), seconds)
                tasks.cancel_scope.cancel()
        except CannotConnect as refused:
            self._times.errors.append(str(refused))

    async def _speak(self, line: Call, first: int, seconds: float) -> None:
        began = time.perf_counter()
        speech, quiet = self._saying.speech, self._saying.quiet
        for number in range(int(seconds * 1000 / CHUNK_MS)):
            due = began + number * CHUNK_MS / 1000
            now = time.perf_counter()
            if due > now:
                await anyio.sleep(due - now)
                now = time.perf_counter()
            self._times.own_lag.append((now - due) * 1000)
            step = (number - first) % self._period
            speaks = number >= first and step < len(speech)
            if speaks and step == 0 and self._awaits_audio:
                self._times.unanswered += 1
            self._sent_at.append(now)
            await line.say_encoded(speech[step] if speaks else quiet[number % len(quiet)])

    async def _listen(self, line: Call) -> None:
        async for frame in line.frames():
            self._see(self._decoder.decode(frame), time.perf_counter())

    def _see(self, event: Seen, now: float) -> None:
        match event.type:
            case "response.output_audio.delta" | "response.audio.delta":
                if event.response_id in self._cancelled:
                    self._times.audio_after_done += 1
                if self._awaits_audio and self._due is not None:
                    self._awaits_audio = False
                    self._times.first_audio.append((now - self._due) * 1000)
            case "input_audio_buffer.speech_started":
                self._started = now if self._running is not None else None
            case "input_audio_buffer.speech_stopped":
                completing = int(-(-event.audio_end_ms // CHUNK_MS)) - 1
                self._due = self._sent_at[min(completing, len(self._sent_at) - 1)]
                self._times.stopped_late.append((now - self._due) * 1000)
                self._awaits_audio = True
            case "response.created" if event.response is not None:
                self._running = event.response.id
            case "response.done" if event.response is not None:
                self._end(event.response, now)
            case "error" if event.error is not None:
                self._times.errors.append(event.error.message)

    def _end(self, response: SeenResponse, now: float) -> None:
        self._running = None
        if response.status == "cancelled" and self._started is not None:
            self._cancelled.add(response.id)
            self._times.cancelled.append((now - self._started) * 1000)
        elif response.status != "completed":
            self._times.errors.append(f"a response ended as {response.status}")
        self._started = None
