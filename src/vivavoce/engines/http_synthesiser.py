"""A synthesiser behind HTTP: OpenAI's `/v1/audio/speech`, or a server that speaks it.

Each phrase is one request. While one is played, the next is on its way, so that there is no gap
between them; never more than one ahead. A task of the engine's reads the phrases and the answers of
a stream, since a generator can keep no task group; closing the stream waits until it has gone.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any, Generic, Literal, Self, TypeVar

import anyio
from anyio.abc import TaskGroup

from vivavoce.audio.pcm import Pcm
from vivavoce.audio.wav import NotPcm, Unpacking
from vivavoce.engines.api import EngineFailure, Spoken, SpokenMark, Voice
from vivavoce.engines.model_server import ModelServer
from vivavoce.mailbox import Closed, Mailbox

AT_ONCE = 2  # requests of one stream: the one that is heard, and the next
UNHEARD_CHUNKS = 4096  # of one phrase that may wait for the listener; then the server has to
UNHEARD_BYTES = 512 * 1024  # 11 s at 24 kHz
SAME = {  # the voices of the API, which OpenAI's models of speech call so too
    name: name
    for name in (
        *("alloy", "ash", "ballad", "coral", "echo"),
        *("sage", "shimmer", "verse", "marin", "cedar"),
    )
}
NOISE = frozenset(  # what would be heard of it, if it was taken for samples
    f"audio/{kind}" for kind in ("mpeg", "mp3", "aac", "ogg", "opus", "flac", "webm", "mp4")
)

Value = TypeVar("Value")


class Flow(Generic[Value]):
    """Values on their way from one task to another, not too many of them, and how it ends."""

    def __init__(self, max_items: int, max_bytes: int = 0) -> None:
        self._box: Mailbox[Value] = Mailbox(max_items, max_bytes)
        self._fault: Exception | None = None

    async def put(self, value: Value, size: int = 0) -> None:
        """Hand one over; waits for room."""
        await self._box.put(value, size)

    def end(self, fault: Exception | None = None) -> None:
        """That was all, or that is what went wrong."""
        self._fault = fault
        self._box.close()

    def __aiter__(self) -> AsyncIterator[Value]:
        return self

    async def __anext__(self) -> Value:
        try:
            return await self._box.get()
        except Closed:
            if self._fault is not None:
                raise self._fault from None
            raise StopAsyncIteration from None


class Utterance:
    """A phrase, and its audio as it comes."""

    def __init__(self, phrase: str) -> None:
        self.phrase = phrase
        self.audio: Flow[Pcm] = Flow(UNHEARD_CHUNKS, UNHEARD_BYTES)


class HttpSynthesiser:
    """The speech *model* of a server at *url*; see `ModelServer` for the options not named here.

    *voices*: the server's own name for each voice of the API; without it they are called the same.
    To `speak`, a voice is the server's own name for it; see `own_name`. *response_format*: "pcm", 16 bits at *rate_hz*, or "wav"; what comes is looked at, either way.
    *takes_speed* false leaves the speed out, where a server does not know it.
    """

    def __init__(
        self,
        *,
        url: str,
        model: str = "tts-1",
        voices: Mapping[str, str] | None = None,
        response_format: Literal["pcm", "wav"] = "pcm",
        rate_hz: int = 24000,
        takes_speed: bool = True,
        key: str | None = None,
        key_env: str | None = None,
        azure_api_version: str | None = None,
        connect_s: float = 5.0,
        first_s: float = 30.0,
        silence_s: float = 30.0,
        retries: int = 2,
        connections: int = 256,
    ) -> None:
        if response_format not in ("pcm", "wav"):
            raise ValueError(f'response_format: "pcm" or "wav" is wanted, not {response_format!r}')
        self.voices: Mapping[str, str] = dict(voices or SAME)
        self._model = model
        self._response_format = response_format
        self._rate_hz = rate_hz
        self._takes_speed = takes_speed
        self._open = AsyncExitStack()
        self._tasks: TaskGroup  # from entering on, for a task group needs a running loop
        self._server = ModelServer(
            url,
            key=key,
            key_env=key_env,
            azure_api_version=azure_api_version,
            connect_s=connect_s,
            first_s=first_s,
            silence_s=silence_s,
            retries=retries,
            connections=connections,
        )

    @property
    def version(self) -> str:
        """Such as `tts-1 at http://127.0.0.1:8000/v1`."""
        return f"{self._model} at {self._server.version}"

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            await opening.enter_async_context(self._server)
            self._tasks = await opening.enter_async_context(anyio.create_task_group())
            opening.callback(self._tasks.cancel_scope.cancel)
            self._open = opening.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._open.aclose()

    async def speak(
        self, phrases: AsyncIterator[str], voice: Voice
    ) -> AsyncGenerator[Spoken, None]:
        """See `api.Synthesiser`. A phrase has one mark; one without letters or digits is not said."""
        reading = Reading(self, phrases, voice)
        self._tasks.start_soon(reading.run)
        text_start = samples = rate_hz = 0
        try:
            async for utterance in reading.utterances:
                text_end = text_start + len(utterance.phrase)
                at_ms = samples * 1000 / (rate_hz or 1)
                mark: SpokenMark | None = SpokenMark(text_start, text_end, at_ms)
                async for pcm in utterance.audio:
                    rate_hz = self._the_same(pcm.rate_hz, rate_hz)
                    yield Spoken(pcm, (mark,) if mark else ())
                    mark, samples = None, samples + pcm.count
                text_start = text_end
                reading.places.release()
        finally:
            await reading.stop()

    async def say(self, phrase: str, voice: Voice) -> AsyncGenerator[Pcm, None]:
        """One phrase, as its request brings it."""
        said = self._server.paced(self._said(phrase, voice))
        async with aclosing(said):
            async for pcm in said:
                yield pcm

    async def _said(self, phrase: str, voice: Voice) -> AsyncGenerator[Pcm, None]:
        wishes: dict[str, Any] = {}  # Any, for the client's parameters have types of their own
        if self._takes_speed and voice.speed != 1.0:
            wishes["speed"] = voice.speed
        request = self._server.client.audio.speech.with_streaming_response.create(
            input=phrase,
            model=self._model,
            voice=own_name(self.voices, voice.name),
            response_format=self._response_format,
            **wishes,
        )
        with self._server.failures(self._model):
            async with request as response:
                self._require_audio(response.headers.get("content-type", ""))
                unpacking = Unpacking(self._rate_hz)
                async for data in response.iter_bytes():
                    try:
                        yield unpacking.push(data)
                    except NotPcm as other:
                        raise EngineFailure(
                            f"the model server at {self._server.address} sent {other}"
                        ) from None

    def _require_audio(self, kind: str) -> None:
        name = kind.partition(";")[0].strip().lower()
        if name.startswith("text/") or name == "application/json" or name in NOISE:
            raise EngineFailure(
                f"the model server at {self._server.address} answered {name}, where audio as "
                f"{self._response_format} was asked for"
            )

    def _the_same(self, rate_hz: int, before_hz: int) -> int:
        if before_hz not in (0, rate_hz):
            raise EngineFailure(
                f"the model server at {self._server.address} spoke at {before_hz} Hz and goes on "
                f"at {rate_hz} Hz"
            )
        return rate_hz


def own_name(voices: Mapping[str, str], name: str) -> str:
    """What the server calls that voice: *name* itself, once the API's has been mapped to it.

    One that nobody mapped, as in a self-check, is mapped here. It cannot be told by being a name of
    the API: a table may give the API's names to each other.
    """
    return name if name in voices.values() else voices.get(name, name)


class Reading:
    """One stream's phrases on their way to the server, and what comes back of each."""

    def __init__(
        self, synthesiser: HttpSynthesiser, phrases: AsyncIterator[str], voice: Voice
    ) -> None:
        self._synthesiser = synthesiser
        self._phrases = phrases
        self._voice = voice
        self._scope = anyio.CancelScope()
        self._over = anyio.Event()
        self.places = anyio.Semaphore(AT_ONCE)
        self.utterances: Flow[Utterance] = Flow(AT_ONCE)

    async def run(self) -> None:
        """Ask for phrase after phrase until there are no more, or nobody listens."""
        fault: Exception | None = EngineFailure(f"{self._synthesiser.version} has been stopped")
        try:
            with self._scope:
                fault = await self._ask_for_all()
        finally:
            self.utterances.end(fault)
            self._over.set()

    async def stop(self) -> None:
        """Nobody listens any more; returns when every request has been let go of."""
        self._scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._over.wait()

    async def _ask_for_all(self) -> Exception | None:
        """Give what the phrases failed with, if they did."""
        async with anyio.create_task_group() as requests:
            try:
                await self.places.acquire()
                async for phrase in self._phrases:
                    utterance = Utterance(phrase)
                    await self.utterances.put(utterance)
                    requests.start_soon(self._ask_for, utterance)
                    await self.places.acquire()
            except Exception as error:  # noqa: BLE001 - whatever it is, the stream's reader gets it
                return error
        return None

    async def _ask_for(self, utterance: Utterance) -> None:
        fault: Exception | None = EngineFailure(f"{self._synthesiser.version} has been stopped")
        try:
            if any(map(str.isalnum, utterance.phrase)):
                async with aclosing(self._synthesiser.say(utterance.phrase, self._voice)) as said:
                    async for pcm in said:
                        if pcm.count:
                            await utterance.audio.put(pcm, len(pcm.data))
            fault = None
        except Exception as error:  # noqa: BLE001 - whatever it is, the stream's reader gets it
            fault = error
        finally:
            utterance.audio.end(fault)
