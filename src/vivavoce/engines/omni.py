"""A speech model behind HTTP: chat completions that take audio in and stream audio out.

gpt-audio of OpenAI sends speech as `delta.audio`, its PCM beside its words. vLLM sends words and
speech as chunks of their own, both as `delta.content`, and says in `modality` which it is; a chunk
of speech is a whole WAV file there, or goes on where the last one ended. Both are read without
asking who it is. The conversation goes out as in `chat_messages`, but with what the user said as
recordings where there are any.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import anyio
import msgspec
import pybase64
from msgspec import Struct

from vivavoce.audio.pcm import Pcm
from vivavoce.audio.wav import NotPcm, Unpacking, wav
from vivavoce.core.effects import GenerationRequest
from vivavoce.core.items import InputAudio, InputImage, InputText, Item, Message, Part
from vivavoce.engines.api import (
    EngineFailure,
    Recordings,
    Spoken,
    Voice,
    Written,
    WrittenCall,
    WrittenText,
    WrittenUsage,
)
from vivavoce.engines.chat_messages import UNSEEN, Wire, messages_of, tools_of
from vivavoce.engines.http_synthesiser import SAME, own_name
from vivavoce.engines.model_server import ModelServer
from vivavoce.engines.server_sent import Event, events

if TYPE_CHECKING:
    from openai import AsyncStream

RECORDING = "recording:"  # and its number: an address in this file only
UNASKED_TEMPERATURE = 0.8  # what every session has until its client says otherwise


class Omni:
    """The *model* of a server at *url*; see `ModelServer` for the options not named here.

    *voices*: the server's own name for each voice of the API; without it they are called the same.
    To `converse`, a voice is the server's own name for it.
    *audio_format* is what is asked for; what comes is 16-bit PCM at *rate_hz*, or a WAV of any rate.
    With *images* false pictures are left out. Fields in *extra_body* go with every request.
    """

    def __init__(
        self,
        *,
        url: str,
        model: str = "gpt-audio",
        voices: Mapping[str, str] | None = None,
        audio_format: str = "pcm16",
        rate_hz: int = 24000,
        images: bool = True,
        extra_body: Mapping[str, object] | None = None,
        key: str | None = None,
        key_env: str | None = None,
        azure_api_version: str | None = None,
        connect_s: float = 5.0,
        first_s: float = 30.0,
        silence_s: float = 30.0,
        retries: int = 2,
        connections: int = 256,
    ) -> None:
        self.voices: Mapping[str, str] = dict(voices or SAME)
        self._model = model
        self._audio_format = audio_format
        self._rate_hz = rate_hz
        self._images = images
        self._extra_body = dict(extra_body or {})
        self._path = "/chat/completions"
        if azure_api_version is not None:
            self._path = f"/deployments/{quote(model, safe='')}{self._path}"
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
        """Such as `gpt-audio at https://api.openai.com/v1`."""
        return f"{self._model} at {self._server.version}"

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._server.__aexit__(*exc_info)

    async def converse(
        self, request: GenerationRequest, recordings: Recordings, voice: Voice
    ) -> AsyncGenerator[Written | Spoken, None]:
        """See `api.SpeechModel`. The speed is the model's own; there are no marks."""
        answer = Answer(self._server.address, self._rate_hz)
        chunks = self._server.paced(self._chunks(request, recordings, voice))
        async with aclosing(chunks):
            async for chunk in chunks:
                for value in answer.read(chunk):
                    yield value
        for value in answer.finish():
            yield value

    async def _chunks(
        self, request: GenerationRequest, recordings: Recordings, voice: Voice
    ) -> AsyncGenerator["Chunk", None]:
        # In a thread, for minutes of audio take longer than the loop may be held up.
        body = await anyio.to_thread.run_sync(self._body, request, recordings, voice)
        with self._server.failures(self._model):
            answer = await self._asked(body)
            async with answer:
                lines = answer.response.aiter_lines()
                async with aclosing(events(lines, Chunk, self._server.address)) as coming:
                    async for chunk in coming:
                        yield chunk

    async def _asked(self, body: bytes) -> "AsyncStream[Any]":  # Any, for its lines are read here
        from openai import AsyncStream

        return await self._server.client.post(
            self._path,
            cast_to=object,
            content=body,
            options={"headers": {"Content-Type": "application/json"}},
            stream=True,
            stream_cls=AsyncStream[Any],
        )

    def _body(self, request: GenerationRequest, recordings: Recordings, voice: Voice) -> bytes:
        heard = Heard(recordings)
        messages = messages_of(heard.referred_to(request, images=self._images), images=True)
        fields: Wire = {
            "model": self._model,
            "stream": True,
            "stream_options": {"include_usage": True},
            "messages": [heard.put_into(message) for message in messages],
            **self._sound(request, voice),
            **_options(request),
            **tools_of(request),
        }
        return msgspec.json.encode({**fields, **self._extra_body})

    def _sound(self, request: GenerationRequest, voice: Voice) -> Wire:
        if request.output_modality == "text":
            return {"modalities": ["text"]}
        return {
            "modalities": ["text", "audio"],
            "audio": {
                "voice": own_name(self.voices, voice.name),
                "format": self._audio_format,
            },
        }


def _options(request: GenerationRequest) -> Wire:
    options: Wire = {}
    if request.temperature != UNASKED_TEMPERATURE:
        options["temperature"] = request.temperature
    if request.max_output_tokens is not None:
        options["max_completion_tokens"] = request.max_output_tokens
    if request.reasoning_effort is not None:
        options["reasoning_effort"] = request.reasoning_effort
    return options


class Heard:
    """The user's recordings on their way into a request, past those who know nothing of them.

    While the messages are put together, each is a picture at an address that only this knows.
    """

    def __init__(self, recordings: Recordings) -> None:
        self._recordings = recordings
        self._there: dict[str, Pcm] = {}

    def referred_to(self, request: GenerationRequest, *, images: bool) -> GenerationRequest:
        """The request with an address for each of the user's words that there is a recording of."""

        def part(item: Message, index: int, part: Part) -> Part:
            recording = self._recordings.get((item.id, index))
            if isinstance(part, InputAudio) and recording is not None and recording.count:
                address = f"{RECORDING}{len(self._there)}"
                self._there[address] = recording
                return InputImage(address)
            return InputText(UNSEEN) if isinstance(part, InputImage) and not images else part

        def item(item: Item) -> Item:
            if not isinstance(item, Message):
                return item
            content = tuple(part(item, index, each) for index, each in enumerate(item.content))
            return msgspec.structs.replace(item, content=content)

        return msgspec.structs.replace(request, context=tuple(map(item, request.context)))

    def put_into(self, message: Wire) -> Wire:
        """The message with a part `input_audio` for each such address."""
        content = message["content"]
        if not isinstance(content, list):
            return message
        return {**message, "content": [self._part(part) for part in content]}

    def _part(self, part: Wire) -> Wire:
        recording = self._there.get(part["image_url"]["url"]) if "image_url" in part else None
        if recording is None:
            return part
        data = b'"' + pybase64.b64encode(wav(recording)) + b'"'
        # Raw, for nobody need look for quotation marks in it.
        return {
            "type": "input_audio",
            "input_audio": {"data": msgspec.Raw(data), "format": "wav"},
        }


class Sound(Struct, frozen=True):
    """Speech as base64, its words, or both."""

    data: str | None = None
    transcript: str | None = None


class Function(Struct, frozen=True):
    """What is called, and with what."""

    name: str | None = None
    arguments: str | None = None


class CallPiece(Struct, frozen=True):
    """A piece of a function call."""

    index: int | None = None
    id: str | None = None
    function: Function = Function()


class Delta(Struct, frozen=True):
    """What is new in a chunk."""

    content: str | None = None
    refusal: str | None = None
    audio: Sound | None = None
    tool_calls: tuple[CallPiece, ...] | None = None


class Choice(Struct, frozen=True):
    """One of the answers of a chunk; there is but one, though vLLM counts each modality."""

    delta: Delta | None = None
    finish_reason: str | None = None
    modality: str | None = None


class Details(Struct, frozen=True):
    """Which of the tokens were known already."""

    cached_tokens: int | None = None


class Usage(Struct, frozen=True):
    """What the server counted."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: Details | None = None


class Chunk(Event, frozen=True):
    """A piece of an answer."""

    choices: tuple[Choice, ...] | None = None
    usage: Usage | None = None
    modality: str | None = None


class Answer:
    """What the chunks of one answer say."""

    def __init__(self, address: str, rate_hz: int) -> None:
        self._address = address
        self._speech = Speech(rate_hz)
        self._call: Call | None = None
        self._calls = 0
        self._reason: str | None = None
        self._usage: Usage | None = None

    def read(self, chunk: Chunk) -> Iterator[Written | Spoken]:
        """Take the next chunk."""
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices or ():
            self._reason = choice.finish_reason or self._reason
            delta = choice.delta or Delta()
            sound = delta.audio or Sound()
            if "audio" in (chunk.modality, choice.modality):
                sound = Sound(delta.content, sound.transcript)
            elif words := delta.content or delta.refusal:
                yield WrittenText(words)
            if sound.transcript:
                yield WrittenText(sound.transcript)
            if sound.data and (pcm := self._heard(sound.data)).count:
                yield Spoken(pcm)
            for piece in delta.tool_calls or ():
                yield from self._called(piece)

    def finish(self) -> Iterator[Written]:
        """What is left at the end; or why that was none."""
        if self._reason is None:
            raise EngineFailure(f"the model server at {self._address} ended in mid-answer")
        if self._reason == "content_filter":
            raise EngineFailure(
                "the model server's content filter stopped the answer", code="content_filter"
            )
        yield from self._ended()
        if (usage := self._usage) is not None:
            details = usage.prompt_tokens_details or Details()
            yield WrittenUsage(
                usage.prompt_tokens or 0, usage.completion_tokens or 0, details.cached_tokens or 0
            )

    def _heard(self, data: str) -> Pcm:
        try:
            return self._speech.push(data)
        except NotPcm as other:
            raise EngineFailure(f"the model server at {self._address} sent {other}") from None

    def _called(self, piece: CallPiece) -> Iterator[Written]:
        if self._call is None or not self._call.continues(piece):
            yield from self._ended()
            if not piece.function.name:
                raise EngineFailure(
                    f"the model server at {self._address} calls a function without its name"
                )
            self._call = Call(self._calls, piece, piece.function.name)
            self._calls += 1
        if piece.function.arguments:
            yield WrittenCall(self._call.index, self._call.name, piece.function.arguments)
            self._call.has_arguments = True

    def _ended(self) -> Iterator[Written]:
        call, self._call = self._call, None
        if call is not None:
            yield WrittenCall(call.index, call.name, "" if call.has_arguments else "{}", final=True)


class Call:
    """A function call on its way."""

    def __init__(self, index: int, piece: CallPiece, name: str) -> None:
        self.index = index
        self.name = name
        self.has_arguments = False
        self._piece = piece

    def continues(self, piece: CallPiece) -> bool:
        """Whether that piece is of this call: not every server gives numbers."""
        if piece.id and self._piece.id and piece.id != self._piece.id:
            return False
        if piece.index is None:
            return not piece.function.name
        return piece.index == self._piece.index


class Speech:
    """Base64 in whatever pieces it comes -> samples, all at the rate of the first."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._unpacking = Unpacking(rate_hz)
        self._rest = ""  # fewer than four characters, which mean nothing alone
        self._begun = False

    def push(self, data: str) -> Pcm:
        """The samples that *data* completes; `NotPcm` if it holds something else."""
        data = self._rest + data
        whole = len(data) - len(data) % 4
        try:
            audio = pybase64.b64decode(data[:whole], validate=True)
        except ValueError:
            raise NotPcm("audio that is not base64") from None
        self._rest = data[whole:]
        if audio.startswith(b"RIFF"):
            self._unpacking = Unpacking(self._rate_hz)
        pcm = self._unpacking.push(audio)
        if self._begun and pcm.count and pcm.rate_hz != self._rate_hz:
            raise NotPcm(f"audio at {self._rate_hz} Hz that goes on at {pcm.rate_hz} Hz")
        if pcm.count:
            self._begun, self._rate_hz = True, pcm.rate_hz
        return pcm
