"""A language model behind HTTP: the chat-completions stream of OpenAI, Azure, vLLM, Ollama, llama.cpp.

Every server takes a dialect of its own. A request carries what the conversation asks for, and a
field that the server refuses is left away, or written another way: from then on, where it says that
it has no such thing, and only this once, where it may be about a value or a single picture; one
session must not spoil it for the others. `max_tokens` is
written first, since some that know only that name say nothing about the other; newer models of
OpenAI refuse it and get `max_completion_tokens`.

An answer is read with the same patience: calls come piece by piece or whole, with their numbers or
without; chunks may be empty.
"""

import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Literal, Self, cast

import anyio

from vivavoce.core.effects import GenerationRequest
from vivavoce.engines.api import (
    CutShort,
    EngineFailure,
    Written,
    WrittenCall,
    WrittenText,
    WrittenUsage,
)
from vivavoce.engines.chat_messages import Wire, has_images, messages_of, tools_of
from vivavoce.engines.model_server import ModelServer

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncStream
    from openai.types.chat import ChatCompletionChunk
    from openai.types.chat.chat_completion_chunk import ChoiceDelta, ChoiceDeltaToolCall
    from openai.types.completion_usage import CompletionUsage

OLLAMA = "http://127.0.0.1:11434/v1"
LOOK_S = 1.0  # for a server on this machine to say what it has
UNASKED_TEMPERATURE = 0.8  # what every session has until its client says otherwise
REFUSABLE = (
    "stream_options",
    "parallel_tool_calls",
    "tool_choice",
    "temperature",
    "max_tokens",
    "reasoning_effort",
)
REFUSALS = (400, 422)
IMAGE_REFUSALS = (*REFUSALS, 404, 500)  # by a router, and by llama.cpp
OF_IMAGES = ("image", "vision", "multimodal", "multi-modal")
IMAGES = "images"  # a field only in this file: the pictures among the messages
# How servers say that they have no such field,
NO_SUCH_FIELD = re.compile(
    r"(unsupported|unknown|unrecogni[sz]ed|unexpected|extra|additional)[ _]"
    r"([a-z]+ )?(parameter|argument|field|key|option|input|propert)"
    r"|(not|n't) support|not permitted|not allowed|extra_forbidden|only the default"
)
# that they have it, but not with that value,
OF_A_VALUE = re.compile(
    r"(unsupported|invalid)[ _]value|supported values|input should be|must be|one of"
    r"|too (large|small|high|low|long)|at (most|least)|less than|greater than|between"
)
# that they see nothing,
NO_SIGHT = re.compile(
    r"(not|n't) (support|enabled)|unsupported|only supported|that support|text[- ]only|unknown variant"
    r"|(not|no) (a )?(multi-?modal|vision)|at most 0 image|required for image input"
)
# and that they see, but not this.
OF_A_PICTURE = re.compile(
    r"(?<![a-z])(formats?|pars(e|ing)|decod(e|ing)|mime|media type|download|fetch|corrupt|dimensions?"
    r"|resolution|pixels|sizes?|larger|smaller|too (large|small|big|many)|url)(?![a-z])(?<!image_url)"
    r"|invalid[ _]image|unsupported[ _]image(?! input)"
)


async def find_ollama(url: str = OLLAMA) -> str | None:
    """The address of an Ollama on this machine, if one answers."""
    with anyio.move_on_after(LOOK_S + 5.0):  # five seconds are for the client's import
        try:
            async with ModelServer(url, connect_s=LOOK_S, first_s=LOOK_S, retries=0) as server:
                with anyio.fail_after(LOOK_S):
                    await server.models()
                return server.url
        except (EngineFailure, TimeoutError):
            return None
    return None


class Chat:
    """Answers with a model of a server that speaks OpenAI's chat completions."""

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        key: str | None = None,
        key_env: str | None = None,
        azure_api_version: str | None = None,
        connect_s: float = 5.0,
        first_s: float = 30.0,
        silence_s: float = 30.0,
        retries: int = 2,
        connections: int = 256,
        extra_body: Mapping[str, object] | None = None,
        images: bool | Literal["auto"] = "auto",
        cheap: bool = False,
    ) -> None:
        """Talk to *model*, or to the first that the server names; see `ModelServer` for the server.

        Fields in *extra_body* go with every request, over what would be there. *images* are passed
        on, or not, or until the server refuses them. With *cheap*, answers are prepared before it
        is known whether they are wanted.
        """
        if azure_api_version is not None and model is None:
            raise ValueError("model: with azure_api_version, the name of a deployment is needed")
        self.cheap = cheap
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
        self._model = model
        self._greet_s = connect_s
        self._extra_body = dict(extra_body or {})
        self._refused = {IMAGES} if images is False else set[str]()
        self._negotiable = {*REFUSABLE, IMAGES} if images == "auto" else set(REFUSABLE)

    @property
    def version(self) -> str:
        """What is at work."""
        return f"{self._model or 'a model'} at {self._server.version}"

    async def __aenter__(self) -> Self:
        await self._server.__aenter__()
        try:
            await self._greet()
        except BaseException:
            await self._server.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._server.__aexit__(*exc_info)

    async def respond(self, request: GenerationRequest) -> AsyncGenerator[Written, None]:
        """See `api.LanguageModel`."""
        answer = _Answer(self._server.address)
        async with aclosing(self._server.paced(self._chunks(request))) as chunks:
            async for chunk in chunks:
                for written in answer.read(chunk):
                    yield written
        for written in answer.finish():
            yield written

    async def _greet(self) -> None:
        """Open a first connection, and find a model where none was named.

        A server that is not there yet may be by the time a session is: that it is needed now only
        who has to ask it for a model can say.
        """
        if self._model is not None:
            with anyio.move_on_after(self._greet_s):
                with suppress(EngineFailure):
                    await self._server.models()
            return
        names = await self._server.models()
        if not names:
            raise EngineFailure(
                f"the model server at {self._server.address} has no model; load one into it "
                "(with Ollama: `ollama pull NAME`)"
            )
        self._model = next((name for name in names if "embed" not in name), names[0])

    async def _chunks(
        self, request: GenerationRequest
    ) -> AsyncGenerator["ChatCompletionChunk", None]:
        with self._server.failures(self._model):
            stream = await self._opened(request)
        async with stream:
            async for chunk in stream:
                yield chunk

    async def _opened(self, request: GenerationRequest) -> "AsyncStream[ChatCompletionChunk]":
        """The stream, once the server takes the request; fields it does not have are remembered."""
        from openai import APIStatusError

        refused, for_good = set(self._refused), set[str]()
        while True:
            try:
                stream = await self._asked(request, refused)
            except APIStatusError as error:
                complaint = _Complaint(error)
                field = self._refused_field(complaint, request, refused)
                if field is None:
                    raise
                refused.add(field)
                if complaint.is_for_good(field, _options(request).get(field)):
                    for_good.add(field)
            else:
                # Now it is known to have been for those fields.
                self._refused |= for_good
                return stream

    async def _asked(
        self, request: GenerationRequest, refused: set[str]
    ) -> "AsyncStream[ChatCompletionChunk]":
        from openai import AsyncStream
        from openai.types.chat import ChatCompletion, ChatCompletionChunk

        body = {
            "model": self._model,
            "stream": True,
            "messages": messages_of(request, images=IMAGES not in refused),
            **_accepted(_options(request), refused),
            **self._extra_body,
        }
        # What `chat.completions.create` does, but for going through the whole body to rename what
        # is not there: for a hundred turns that holds up the loop for 20 ms instead of 3.
        return await self._server.client.post(
            "/chat/completions",
            cast_to=ChatCompletion,
            body=body,
            stream=True,
            stream_cls=AsyncStream[ChatCompletionChunk],
        )

    def _refused_field(
        self, complaint: "_Complaint", request: GenerationRequest, refused: set[str]
    ) -> str | None:
        """Which field of the request a server's complaint is about, if it can do without."""
        asked = {*_options(request), *((IMAGES,) if has_images(request.context) else ())}
        may_go = asked & self._negotiable - refused
        fields = (field for field in (*REFUSABLE, IMAGES) if field in may_go)
        return next(filter(complaint.is_about, fields), None)


def _options(request: GenerationRequest) -> Wire:
    """What goes with the messages, in the words of the API."""
    options: Wire = {"stream_options": {"include_usage": True}, **tools_of(request)}
    if request.temperature != UNASKED_TEMPERATURE:
        options["temperature"] = request.temperature
    if request.max_output_tokens is not None:
        options["max_tokens"] = request.max_output_tokens
    if request.reasoning_effort is not None:
        options["reasoning_effort"] = request.reasoning_effort
    return options


def _accepted(options: Wire, refused: set[str]) -> Wire:
    """The options without what the server refuses, or with what it may take in its place."""
    accepted = {name: value for name, value in options.items() if name not in refused}
    if "max_tokens" in options and "max_tokens" in refused:
        accepted["max_completion_tokens"] = options["max_tokens"]
    if isinstance(options.get("tool_choice"), dict) and "tool_choice" in refused:
        accepted["tool_choice"] = "required"  # of the one function that is offered
    return accepted


class _Complaint:
    """What a server says about a request."""

    def __init__(self, error: "APIStatusError") -> None:
        body = error.body if isinstance(error.body, dict) else {"message": error.body}
        self._status = error.status_code
        self._param = str(body.get("param") or "").split(".")[0]
        self._message = str(body.get("message")).lower()
        self._code = str(body.get("code")).lower()

    def is_about(self, field: str) -> bool:
        """Whether it is that field which the server does not want."""
        if field == IMAGES:
            told = any(word in self._message for word in OF_IMAGES)
            return self._status in IMAGE_REFUSALS and told
        told = self._param == field or (not self._param and field in self._message)
        return self._status in REFUSALS and told

    def is_for_good(self, field: str, value: object) -> bool:
        """Whether the server has nothing of the kind, rather than dislike *value* or a picture."""
        words = f"{self._code} {self._message}"
        if field == IMAGES:
            return bool(NO_SIGHT.search(words)) and not OF_A_PICTURE.search(words)
        if "only the default" in words:
            return True
        about_value = OF_A_VALUE.search(words) or _names(self._message, value)
        return bool(NO_SUCH_FIELD.search(words)) and not about_value


def _names(message: str, value: object) -> bool:
    """Whether the value stands in the message."""
    if not isinstance(value, str | int | float):
        return False
    return re.search(rf"(?<![\w.]){re.escape(str(value).lower())}(?!\w)", message) is not None


class _Call:
    """One function call on its way: which it is here, and what the server calls it."""

    def __init__(self, index: int, piece: "ChoiceDeltaToolCall", name: str) -> None:
        self.index = index
        self.id = piece.id
        self.number = _number(piece)
        self.name = name
        self.written = False

    def continues(self, piece: "ChoiceDeltaToolCall") -> bool:
        """Whether that piece is of this call: some servers give no number, some always nought."""
        number = _number(piece)
        if number is not None and number != self.number:
            return False
        if piece.function is None or not piece.function.name:
            return True
        return number is not None and not (piece.id and self.id and piece.id != self.id)

    def piece(self, arguments: str) -> WrittenCall:
        """Its next arguments."""
        self.written = True
        return WrittenCall(self.index, self.name, arguments)

    def end(self) -> WrittenCall:
        """Its last piece, which makes a call without arguments one with none."""
        return WrittenCall(self.index, self.name, "" if self.written else "{}", final=True)


def _number(piece: "ChoiceDeltaToolCall") -> int | None:
    return cast("int | None", piece.index)  # the client says it is there, but checks nothing


class _Answer:
    """What the chunks of one answer say."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._begun = False  # with a word: blanks before it are of no use, least before a call
        self._call: _Call | None = None
        self._calls = 0
        self._reason: str | None = None
        self._usage: CompletionUsage | None = None

    def read(self, chunk: "ChatCompletionChunk") -> Iterator[Written]:
        """Take the next chunk."""
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices or ():
            if choice.finish_reason is not None:
                self._reason = choice.finish_reason
            # The client checks nothing: a server may leave out even what is promised.
            if (delta := cast("ChoiceDelta | None", choice.delta)) is not None:
                yield from self._words(delta.content or delta.refusal or "")
                for piece in delta.tool_calls or ():
                    yield from self._called(piece)

    def finish(self) -> Iterator[Written]:
        """What is left at the end; or why that was none."""
        match self._reason:
            case None:
                raise EngineFailure(
                    f"the model server at {self._address} ended its answer in the middle"
                )
            case "content_filter":
                yield CutShort("content_filter")
            case "length":
                yield CutShort("max_output_tokens")
            case _:
                yield from self._ended()
        if self._usage is not None:
            yield _counted(self._usage)

    def _words(self, words: str) -> Iterator[Written]:
        words = words if self._begun else words.lstrip()
        if words:
            self._begun = True
            yield WrittenText(words)

    def _called(self, piece: "ChoiceDeltaToolCall") -> Iterator[Written]:
        function = piece.function
        if self._call is None or not self._call.continues(piece):
            yield from self._ended()
            if function is None or not function.name:
                raise EngineFailure(
                    f"the model server at {self._address} calls a function without its name"
                )
            self._call = _Call(self._calls, piece, function.name)
            self._calls += 1
        if function is not None and function.arguments:
            yield self._call.piece(function.arguments)

    def _ended(self) -> Iterator[Written]:
        call, self._call = self._call, None
        if call is not None:
            yield call.end()


def _counted(usage: "CompletionUsage") -> WrittenUsage:
    details = usage.prompt_tokens_details
    return WrittenUsage(
        usage.prompt_tokens or 0,
        usage.completion_tokens or 0,
        (details.cached_tokens or 0) if details is not None else 0,
    )
