"""A paced client among many: speaks on a schedule, whatever the server does, and takes the times.

Audio goes out in real time on an absolute schedule, 100 ms at a time, also while the server
answers; turns begin on a fixed period (open loop), so a slow server is not given more time. Where
answers last longer than the period, each turn interrupts the answer before it.

A moment counts from when this program handed the append to its socket, which stands for when the
server could have had it: what the server takes to read it is the server's own time. The end of
speech is due with the append that holds its `audio_end_ms`, for without that one nobody can know
that the silence was long enough.
"""

import itertools
import math
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
from vivavoce.cli.client import Call
from vivavoce.engines.api import Voice
from vivavoce.engines.espeak import Espeak

RATE_HZ = 24000
CHUNK_MS = 100
CHUNK = RATE_HZ * CHUNK_MS // 1000
LEAD_IN_S = 2
SPEECH_S = 2.0
# Without a pause that would end the turn, wherever the frames of voice detection fall.
TEXT = "Where can I find a good place to eat in this part of the town?"


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
    """What many sessions measured, in milliseconds; and what they missed."""

    stopped_late: list[float] = msgspec.field(default_factory=list)
    first_audio: list[float] = msgspec.field(default_factory=list)
    cancelled: list[float] = msgspec.field(default_factory=list)
    interrupted: list[float] = msgspec.field(default_factory=list)
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


class Tally:
    """Takes the times of one session from what it says and sees. Moments are handed in."""

    def __init__(self, times: Times) -> None:
        self._times = times
        self._sent_at: list[float] = []
        self._spoke_at = 0.0
        self._owed = False  # an answer to the turn at hand
        self._due: float | None = None  # set from speech_stopped until the answer sounds
        self._started: float | None = None
        self._running: str | None = None
        self._cancelled: set[str] = set()

    def sent(self, now: float, *, begins_turn: bool = False) -> None:
        """Note an append of 100 ms, and whether it is the first with speech."""
        self._sent_at.append(now)
        if begins_turn:
            self._times.unanswered += self._owed
            self._owed, self._due, self._spoke_at = True, None, now

    def see(self, event: Seen, now: float) -> None:
        """Note what the server says."""
        match event.type:
            case "response.output_audio.delta" | "response.audio.delta":
                self._hear(event, now)
            case "input_audio_buffer.speech_started":
                self._started = now if self._running is not None else None
            case "input_audio_buffer.speech_stopped":
                self._due = self._completed(event.audio_end_ms)
                self._times.stopped_late.append((now - self._due) * 1000)
            case "response.created" if event.response is not None:
                self._running = event.response.id
            case "response.done" if event.response is not None:
                self._end(event.response, now)
            case "error" if event.error is not None:
                self._times.errors.append(event.error.message)

    def _hear(self, event: Seen, now: float) -> None:
        self._times.audio_after_done += event.response_id in self._cancelled
        if self._due is not None:
            self._times.first_audio.append((now - self._due) * 1000)
            self._owed, self._due = False, None

    def _completed(self, audio_end_ms: float) -> float:
        """When the append went out that holds that moment of the audio."""
        place = math.ceil(audio_end_ms / CHUNK_MS) - 1
        return self._sent_at[min(place, len(self._sent_at) - 1)]

    def _end(self, response: SeenResponse, now: float) -> None:
        self._running = None
        if response.status == "cancelled" and self._started is not None:
            self._cancelled.add(response.id)
            self._times.cancelled.append((now - self._started) * 1000)
            self._times.interrupted.append((now - self._spoke_at) * 1000)
        elif response.status != "completed":
            self._times.errors.append(f"a response ended as {response.status}")
        self._started = None


class Talker:
    """One session, on a line that is open already."""

    def __init__(self, line: Call, saying: Sound, times: Times, *, period_s: float) -> None:
        self._line = line
        self._saying = saying
        self._times = times
        self._period = round(period_s * 1000 / CHUNK_MS)
        self._tally = Tally(times)

    async def talk(self, begin: float, *, turn: float, phase: float) -> None:
        """Say nothing for two seconds from *begin*, then a sentence each period; until cancelled.

        *turn* is when in the period a turn begins, *phase* when in its 100 ms an append goes out,
        both from 0 to 1: clients do not keep step with each other.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen)
            first = LEAD_IN_S * 1000 // CHUNK_MS + int(turn * self._period)
            await self._speak(begin + phase * CHUNK_MS / 1000, first)

    async def _speak(self, begin: float, first: int) -> None:
        speech, quiet = self._saying.speech, self._saying.quiet
        for number in itertools.count():
            due = begin + number * CHUNK_MS / 1000
            now = time.perf_counter()
            if due > now:
                await anyio.sleep(due - now)
                now = time.perf_counter()
            self._times.own_lag.append((now - due) * 1000)
            step = (number - first) % self._period if number >= first else len(speech)
            self._tally.sent(now, begins_turn=step == 0)
            append = speech[step] if step < len(speech) else quiet[number % len(quiet)]
            await self._line.say_encoded(append)

    async def _listen(self) -> None:
        decoder = msgspec.json.Decoder(Seen)
        async for frame in self._line.frames():
            try:
                event = decoder.decode(frame)
            except msgspec.DecodeError:
                self._times.errors.append("a frame is no event: is this a realtime server?")
            else:
                self._tally.see(event, time.perf_counter())
        self._times.errors.append(f"the server hung up: {self._line.farewell}")
