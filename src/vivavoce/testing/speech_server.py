"""A small model server of speech: transcriptions, synthesis, and chat that hears and speaks.

    server = SpeechServer()
    async with serving(server.app) as url: ...

It says the same to the same, keeps what it was asked, sees who hangs up, and misbehaves on order.
A transcript tells the length of its audio. Speech is a tone whose pitch is the voice's, 60 ms for a
character. Chat repeats what it was told, or how long what it heard was.
"""

import base64
import json
import math
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise
from typing import Any, Literal

import anyio
import numpy as np
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from vivavoce.audio.pcm import Pcm, of_samples
from vivavoce.audio.wav import Unpacking, wav

RATE_HZ = 24000
CHARACTER_MS = 60
CHAT_PATHS = ("/v1/chat/completions", "/openai/deployments/{model}/chat/completions")
UNKNOWN = 0xFFFFFFFF  # the size of a WAV that is still being made
Json = dict[str, Any]  # Any, for it is whatever JSON a client sends


class Conduct(Struct, frozen=True):
    """How requests are answered.

    *status* other than 200: that error, with *message*. Chunks of *chunk_bytes* bytes of speech,
    after each a pause of *pause_s*. After *close_after* chunks the connection breaks, after
    *end_after* the answer is over before its time, after *silent_after* nothing more comes. *held*:
    nothing is said before that event.
    """

    status: int = 200
    message: str = "something went wrong"
    chunk_bytes: int = 4800
    pause_s: float = 0.0
    close_after: float = math.inf
    end_after: float = math.inf
    silent_after: float = math.inf
    held: anyio.Event | None = None


class Asked(Struct, frozen=True):
    """A request: its path, the fields of its form or body, its audio, the port it came from."""

    path: str
    fields: Json
    audio: bytes
    port: int


class SpeechServer:
    """What it does may be set at any time, and holds for the requests that come then.

    *transcribes* "stream" answers with events if asked to, "vllm" in the chunks of that server,
    "json" never does, "text" in plain text, "strict" refuses the wish. *speaks* "pcm" or "wav", or
    "whole wav", which knows its length. *chats* as "openai" or "vllm" do.
    """

    def __init__(self) -> None:
        self.conduct = Conduct()
        self.conduct_of: Callable[[Asked], Conduct] = lambda _: self.conduct
        self.transcribes: Literal["stream", "vllm", "json", "text", "strict"] = "stream"
        self.speaks: Literal["pcm", "wav", "whole wav"] = "pcm"
        self.chats: Literal["openai", "vllm"] = "openai"
        self.transcript: Callable[[float], str] = lambda ms: f"There are {ms:.0f} milliseconds."
        self.calls: tuple[tuple[str, str], ...] = ()  # name and arguments, where tools are offered
        self.asked: list[Asked] = []
        self.aborted = 0  # requests whose client hung up before the answer was over
        self.answered = 0
        self.running = 0
        self.most_running = 0
        self.app = Starlette(
            routes=[
                Route("/v1/audio/transcriptions", self._transcribe, methods=["POST"]),
                Route("/v1/audio/speech", self._speak, methods=["POST"]),
                *(Route(path, self._chat, methods=["POST"]) for path in CHAT_PATHS),
            ]
        )
        self._news = anyio.Event()

    @property
    def connections(self) -> int:
        """How many connections the requests came by."""
        return len({asked.port for asked in self.asked})

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so, looking whenever a request comes, ends or is aborted."""
        while not is_so():
            await self._news.wait()

    def tell(self) -> None:
        """Something has changed."""
        self._news.set()
        self._news = anyio.Event()

    async def _transcribe(self, request: Request) -> Response:
        form = _form(request.headers["content-type"], await request.body())
        recording = form.pop("file")
        fields = {name: value.decode() for name, value in form.items()}
        conduct = self._ask(request, fields, recording)
        heard_ms = Unpacking(0).push(recording).count / 16
        text, streams = self.transcript(heard_ms), fields.get("stream") == "true"
        if self.transcribes == "strict" and streams:
            return _refusal(400, "stream is not known here")
        if streams and self.transcribes in ("stream", "vllm"):
            events = map(_event, _transcription(text, self.transcribes))
            return Answer(self, conduct, "text/event-stream", events)
        if self.transcribes == "text":
            return Answer(self, conduct, "text/plain", [text.encode()])
        return Answer(self, conduct, "application/json", [json.dumps({"text": text}).encode()])

    async def _speak(self, request: Request) -> Response:
        fields = await request.json()
        conduct = self._ask(request, fields, b"")
        pcm = tone(fields["input"], fields["voice"], fields.get("speed", 1.0))
        data, kind = pcm.data, "audio/wav"
        match self.speaks:
            case "pcm":
                kind = "audio/pcm"
            case "wav":
                head = wav(Pcm(b"", RATE_HZ))
                data = head[:4] + struct.pack("<I", UNKNOWN) + head[8:-4]
                data += struct.pack("<I", UNKNOWN) + pcm.data
            case "whole wav":
                data = wav(pcm) + b"LIST\x04\x00\x00\x00INFO"
        return Answer(self, conduct, kind, _cut(data, conduct.chunk_bytes))

    async def _chat(self, request: Request) -> Response:
        fields = await request.json()
        recordings = [
            base64.b64decode(part["input_audio"]["data"])
            for message in fields["messages"]
            for part in _parts(message)
            if part["type"] == "input_audio"
        ]
        conduct = self._ask(request, fields, b"".join(recordings))
        chunks = _conversation(self, fields, conduct.chunk_bytes)
        return Answer(self, conduct, "text/event-stream", map(_event, chunks))

    def _ask(self, request: Request, fields: Json, audio: bytes) -> Conduct:
        port = request.client.port if request.client else 0
        asked = Asked(request.url.path, fields, audio, port)
        self.asked.append(asked)
        return self.conduct_of(asked)


class Address:
    """Where one server after another can be at home: starting one takes a fifth of a second."""

    def __init__(self) -> None:
        self.server = SpeechServer()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over to whoever is there now."""
        await self.server.app(scope, receive, send)


class Answer(Response):
    """Chunks sent one by one, as the conduct has it, for as long as the client listens."""

    def __init__(self, server: SpeechServer, conduct: Conduct, kind: str, chunks: "Chunks") -> None:
        super().__init__(media_type=kind)
        self._server = server
        self._conduct = conduct
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and note how that ended."""
        server = self._server
        server.running += 1
        server.most_running = max(server.running, server.most_running)
        server.tell()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._watch, receive, tasks.cancel_scope)
                await self._send(scope, receive, send)
                tasks.cancel_scope.cancel()
        finally:
            server.running -= 1
            server.tell()

    async def _watch(self, receive: Receive, scope: anyio.CancelScope) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._server.aborted += 1
        scope.cancel()

    async def _send(self, scope: Scope, receive: Receive, send: Send) -> None:
        conduct = self._conduct
        if conduct.held is not None:
            await conduct.held.wait()
        if conduct.status != 200:
            await _refusal(conduct.status, conduct.message)(scope, receive, send)
            self._server.answered += 1
            return
        kind = self.headers["content-type"].encode()
        headers = [(b"content-type", kind)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for chunk in self._behaved():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        if conduct.close_after == math.inf:
            self._server.answered += 1
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _behaved(self) -> AsyncIterator[bytes]:
        for count, chunk in enumerate(self._chunks):
            if count >= self._conduct.silent_after:
                await anyio.sleep_forever()
            if count >= min(self._conduct.close_after, self._conduct.end_after):
                return
            yield chunk
            await anyio.sleep(self._conduct.pause_s)


Chunks = Iterator[bytes] | list[bytes]


def tone(text: str, voice: str, speed: float = 1.0) -> Pcm:
    """How that server says *text*."""
    samples = round(len(text) * CHARACTER_MS * RATE_HZ / 1000 / speed)
    pitch_hz = 200 + zlib.crc32(voice.encode()) % 400
    wave = np.sin(2 * np.pi * pitch_hz / RATE_HZ * np.arange(samples))
    return of_samples(np.rint(wave * 8000).astype(np.int16), RATE_HZ)


def _form(kind: str, body: bytes) -> dict[str, bytes]:
    """The fields of a multipart form as clients of today write it."""
    boundary = b"--" + kind.partition("boundary=")[2].strip('"').encode()
    fields = {}
    for part in body.split(boundary)[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        name = head.partition(b'name="')[2].partition(b'"')[0].decode()
        fields[name] = value.removesuffix(b"\r\n")
    return fields


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def _event(value: Json | str) -> bytes:
    text = value if isinstance(value, str) else json.dumps(value)
    return f"data: {text}\n\n".encode()


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": "error"}}, status)


def _words(text: str) -> list[str]:
    places = [0, *(at for at, sign in enumerate(text) if sign == " " and at), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


def _transcription(text: str, manner: str) -> Iterator[Json | str]:
    for word in _words(text):
        if manner == "stream":
            yield {"type": "transcript.text.delta", "delta": word}
        else:
            yield {
                "object": "transcription.chunk",
                "choices": [{"delta": {"content": word}, "finish_reason": None}],
            }
    if manner == "stream":
        yield {"type": "transcript.text.done", "text": text}
    else:
        yield {"choices": [{"delta": {"content": ""}, "finish_reason": "stop"}]}
        yield "[DONE]"


def _parts(message: Json) -> list[Json]:
    content = message.get("content")
    return content if isinstance(content, list) else [{"type": "text", "text": content or ""}]


def _said(message: Json) -> str:
    """The words of a message, and how long what it lets hear is."""
    said = []
    for part in _parts(message):
        if part["type"] == "input_audio":
            heard = Unpacking(0)
            pcm = heard.push(base64.b64decode(part["input_audio"]["data"]))
            said.append(f"{pcm.count * 1000 / heard.rate_hz:.0f} milliseconds")
        else:
            said.append(part.get("text") or part["type"])
    return " ".join(said)


def _conversation(server: SpeechServer, fields: Json, chunk_bytes: int) -> Iterator[Json | str]:
    heard = [_said(message) for message in fields["messages"] if message["role"] != "system"]
    text = f"You said: {heard[-1]}." if heard else "Good day."
    offered = fields.get("tools") and fields.get("tool_choice") != "none"
    if server.calls and offered and fields["messages"][-1]["role"] != "tool":
        yield from _calling(server.calls)
    elif "audio" in fields.get("modalities", ()):
        pcm = tone(text, fields["audio"]["voice"]).data
        yield from (_SPOKEN[server.chats])(_words(text), _cut(pcm, chunk_bytes))
    else:
        yield from ({"choices": [{"index": 0, "delta": {"content": w}}]} for w in _words(text))
    yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    details = {"cached_tokens": 3}
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "prompt_tokens_details": details}
    yield {"choices": [], "usage": usage}
    yield "[DONE]"


def _calling(calls: tuple[tuple[str, str], ...]) -> Iterator[Json]:
    for index, (name, arguments) in enumerate(calls):
        half = len(arguments) // 2
        begun: Json = {"index": index, "id": f"call_{index}", "type": "function"}
        begun["function"] = {"name": name, "arguments": arguments[:half]}
        rest = {"index": index, "function": {"arguments": arguments[half:]}}
        for piece in (begun, rest):
            yield {"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]}


def _as_openai(words: list[str], audio: list[bytes]) -> Iterator[Json]:
    """Words and audio in turn, both in the field `audio`."""
    yield {"choices": [{"index": 0, "delta": {"role": "assistant", "refusal": None}}]}
    said: list[Json] = [{"id": "audio_1", "transcript": word} for word in words]
    said[1:1] = [{"data": base64.b64encode(chunk).decode()} for chunk in audio]
    for each in [*said, {"expires_at": 2_000_000_000}]:
        yield {"choices": [{"index": 0, "delta": {"content": None, "audio": each}}]}


def _as_vllm(words: list[str], audio: list[bytes]) -> Iterator[Json]:
    """All in the field `content`; the chunk says what it is of, and each has a WAV of its own."""
    for word in words:
        yield {"modality": "text", "choices": [{"index": 0, "delta": {"content": word}}]}
    for chunk in audio:
        content = base64.b64encode(wav(Pcm(chunk, RATE_HZ))).decode()
        yield {"modality": "audio", "choices": [{"index": 0, "delta": {"content": content}}]}


_SPOKEN = {"openai": _as_openai, "vllm": _as_vllm}
