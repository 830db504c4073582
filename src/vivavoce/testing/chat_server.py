"""A small server of chat completions: the real protocol over real HTTP, the answers from a script.

    server = ChatServer([Reply("Hello there."), Reply(status=503)], flavour="vllm")
    async with serving(server) as url: ...

It keeps every request it was asked, counts connections, and notices who goes away in mid-answer.
The flavours differ in what they were seen to do: paths, first chunks, how calls are cut, errors.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import anyio
import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

Flavour = Literal["openai", "azure", "ollama", "vllm", "llama.cpp"]
Json = dict[str, Any]  # what goes over the wire

TOKEN = re.compile(r"\s*\S+|\s+")
DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)/chat/completions")


class Asked(Struct, frozen=True):
    """A request as it came."""

    path: str
    query: str
    headers: Mapping[str, str]
    body: Json
    port: int  # of the client: one for each connection

    @property
    def messages(self) -> list[Json]:
        """The conversation."""
        messages: list[Json] = self.body["messages"]
        return messages


class Reply(Struct, frozen=True):
    """What to answer. Text comes in tokens, each call (name, arguments) in pieces.

    A *status* other than 200 comes with *error* as its body. After so many tokens the connection
    may be torn (*breaks_after*), or nothing more may come (*silent_after*).
    """

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    finish_reason: str | None = None  # None: what fits
    usage: Json | None = None  # None: made up
    status: int = 200
    error: object = None  # None: made up
    headers: Mapping[str, str] = {}
    breaks_after: int | None = None
    silent_after: int | None = None
    chunks: tuple[Json, ...] | None = None  # in place of all that: these, as they are


Script = Sequence[Reply] | Callable[[Asked], Reply]


def sensible(asked: Asked) -> Reply:
    """Call the first function that is offered, once; else repeat what was said last."""
    last = asked.messages[-1]
    tools = asked.body.get("tools")
    if tools and last["role"] == "user":
        return Reply(calls=((tools[0]["function"]["name"], '{"city":"Paris"}'),))
    return Reply(f"You said: {last['content']}")


class ChatServer:
    """An ASGI application."""

    def __init__(
        self,
        script: Script = sensible,
        *,
        flavour: Flavour = "openai",
        pace_s: float = 0.0,
        key: str | None = None,
        models: tuple[str, ...] = ("small",),
        refuses: tuple[str, ...] = (),
    ) -> None:
        """Answer by *script*: replies one after the other, the last again and again.

        *pace_s* passes before each token. Requests need *key*, if there is one, and may not have
        the fields in *refuses*.
        """
        self._script = script
        self._flavour = flavour
        self._pace_s = pace_s
        self._key = key
        self._models = models
        self._refuses = refuses
        self.asked: list[Asked] = []
        self.ports: list[int] = []  # of all requests, in order
        self.deserted = 0  # answers whose client went away in the middle
        self.streaming = 0
        self.busiest = 0  # how many answers were under way at once
        self.news = anyio.Event()  # of a client that went away; a new one each time

    @property
    def connections(self) -> int:
        """How many there have been."""
        return len(set(self.ports))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        self.ports.append(scope["client"][1])
        if (refusal := self._refusal(request)) is not None:
            await refusal(scope, receive, send)
        elif request.url.path.endswith("/models"):
            await JSONResponse(self._listing())(scope, receive, send)
        else:
            await self._answer(request, send)

    def _refusal(self, request: Request) -> Response | None:
        """Of a request without the key or to a place that is not there."""
        header = "api-key" if self._flavour == "azure" else "authorization"
        key = request.headers.get(header, "").removeprefix("Bearer ")
        if self._key is not None and key != self._key:
            return self._error(401, f"Incorrect API key provided: {key}.", "invalid_api_key")
        base = "/openai" if self._flavour == "azure" else "/v1"
        there = request.url.path in (f"{base}/models", f"{base}/chat/completions")
        if there or (self._flavour == "azure" and DEPLOYMENT.fullmatch(request.url.path)):
            return None
        return self._error(404, "Not Found", None)

    def _listing(self) -> Json:
        data = [{"id": name, "object": "model", "owned_by": "us"} for name in self._models]
        return {"object": "list", "data": data or (None if self._flavour == "ollama" else [])}

    async def _answer(self, request: Request, send: Send) -> None:
        body = msgspec.json.decode(await request.body(), type=Json)
        path, client = request.url.path, request.client
        assert client is not None
        asked = Asked(path, request.url.query, dict(request.headers), body, client.port)
        self.asked.append(asked)
        reply = self._complaint(asked) or self._reply(asked)
        if reply.status == 200:
            await self._stream(reply, asked, request.receive, send)
            return
        said = self._error(reply.status, "out of order", None) if reply.error is None else None
        response = said or JSONResponse(reply.error, reply.status)
        response.headers.update(reply.headers)
        await response(request.scope, request.receive, send)

    def _reply(self, asked: Asked) -> Reply:
        if callable(self._script):
            return self._script(asked)
        complained = sum(self._complaint(each) is not None for each in self.asked)
        return self._script[min(len(self.asked) - complained, len(self._script)) - 1]

    def _complaint(self, asked: Asked) -> Reply | None:
        """About the model or a field."""
        deployment = DEPLOYMENT.fullmatch(asked.path)
        model = deployment[1] if deployment else asked.body.get("model")
        if model not in self._models:
            code = "DeploymentNotFound" if self._flavour == "azure" else "model_not_found"
            return Reply(status=404, error=self._complaining(404, f"no model {model!r}", code))
        for field in self._refuses:
            if field in asked.body:
                error = self._complaining(400, f"Unknown parameter: '{field}'.", None)
                return Reply(status=400, error=error)
        return None

    def _error(self, status: int, message: str, code: str | None) -> JSONResponse:
        return JSONResponse(self._complaining(status, message, code), status)

    def _complaining(self, status: int, message: str, code: str | None) -> Json:
        kind = "invalid_request_error"
        match self._flavour:
            case "vllm":
                return {"object": "error", "message": message, "type": kind, "code": status}
            case "llama.cpp":
                return {"error": {"code": status, "message": message, "type": kind}}
            case _:
                return {"error": {"message": message, "type": kind, "param": None, "code": code}}

    async def _stream(self, reply: Reply, asked: Asked, receive: Receive, send: Send) -> None:
        """Send the chunks while the client is there."""
        self.streaming += 1
        self.busiest = max(self.busiest, self.streaming)
        try:
            async with anyio.create_task_group() as tasks:

                async def watch() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass
                    self.deserted += 1
                    self.news.set()
                    self.news = anyio.Event()
                    tasks.cancel_scope.cancel()

                tasks.start_soon(watch)
                await self._send_all(reply, asked, send)
                tasks.cancel_scope.cancel()
        finally:
            self.streaming -= 1

    async def _send_all(self, reply: Reply, asked: Asked, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        headers += [(name.encode(), value.encode()) for name, value in reply.headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for chunk in self._paced(reply, asked):
            if chunk is None:  # to leave an answer unfinished makes the server tear the connection
                return
            await send(_event(msgspec.json.encode(chunk)))
        await send(_event(b"[DONE]"))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _paced(self, reply: Reply, asked: Asked) -> AsyncIterator[Json | None]:
        """The chunks of an answer; None where the connection breaks."""
        if reply.chunks is not None:
            for chunk in reply.chunks:
                await anyio.sleep(self._pace_s)
                yield chunk
            return
        for opening in self._openings():
            yield opening
        tokens = TOKEN.findall(reply.text)
        for count, token in enumerate([*tokens, None]):
            if count == reply.silent_after:
                await anyio.sleep_forever()
            if count == reply.breaks_after:
                yield None
            if token is not None:
                await anyio.sleep(self._pace_s)
                yield _chunk({"content": token})
        for index, (name, arguments) in enumerate(reply.calls):
            for piece in self._pieces(index, name, arguments):
                await anyio.sleep(self._pace_s)
                yield _chunk({"content": None, "tool_calls": [piece]})
        reason = "tool_calls" if reply.calls else "stop"
        yield _chunk({}, reply.finish_reason or reason)
        if (asked.body.get("stream_options") or {}).get("include_usage"):
            yield {**_chunk({}), "choices": [], "usage": reply.usage or _usage(asked, len(tokens))}

    def _openings(self) -> Iterator[Json]:
        """What comes before the first word."""
        match self._flavour:
            case "azure":
                filters = [{"prompt_index": 0, "content_filter_results": {}}]
                yield {"id": "", "choices": [], "prompt_filter_results": filters}
                yield _chunk({"role": "assistant", "content": ""})
            case "openai":
                yield _chunk({"role": "assistant", "content": "", "refusal": None})
            case "vllm":
                yield _chunk({"role": "assistant", "content": ""})
                yield _chunk({"reasoning_content": "Hm, what is it that they want?"})
                yield _chunk({"content": "\n\n"})
            case "llama.cpp":
                yield _chunk({"role": "assistant", "content": None})
            case "ollama":
                pass

    def _pieces(self, index: int, name: str, arguments: str) -> Iterator[Json]:
        """A call as the flavour cuts it."""
        call_id = f"call_{index}"
        whole = {"name": name, "arguments": arguments}
        if self._flavour == "ollama":  # whole, and always the first by its number
            yield {"id": call_id, "index": 0, "type": "function", "function": whole}
            return
        if self._flavour == "llama.cpp":  # whole, without a number
            yield {"id": call_id, "type": "function", "function": whole}
            return
        begun = {"name": name, "arguments": ""}
        yield {"index": index, "id": call_id, "type": "function", "function": begun}
        for start in range(0, len(arguments), 5):
            yield {"index": index, "function": {"arguments": arguments[start : start + 5]}}


def _event(data: bytes) -> Message:
    body = b"data: " + data + b"\n\n"
    return {"type": "http.response.body", "body": body, "more_body": True}


def _chunk(delta: Json, finish_reason: str | None = None) -> Json:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]}


def _usage(asked: Asked, tokens: int) -> Json:
    """Every ten letters that were asked are a token here; half of them it had read before."""
    read = len(msgspec.json.encode(asked.messages)) // 10
    return {
        "prompt_tokens": read,
        "completion_tokens": tokens,
        "total_tokens": read + tokens,
        "prompt_tokens_details": {"cached_tokens": read // 2},
    }
