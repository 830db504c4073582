"""The language model over HTTP, against a real server of the real protocol."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest

from vivavoce.core.effects import GenerationRequest
from vivavoce.core.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    Item,
    Message,
    OutputAudio,
    OutputText,
)
from vivavoce.core.settings import FunctionTool, NamedTool
from vivavoce.engines.api import (
    CutShort,
    EngineFailure,
    Written,
    WrittenCall,
    WrittenText,
    WrittenUsage,
)
from vivavoce.engines.chat import Chat, find_ollama
from vivavoce.engines.chat_messages import messages_of
from vivavoce.testing import engine_kit
from vivavoce.testing.chat_server import Asked, ChatServer, Flavour, Reply
from vivavoce.testing.http import serving

pytestmark = pytest.mark.anyio

FLAVOURS: tuple[Flavour, ...] = ("openai", "azure", "ollama", "vllm", "llama.cpp")
PATIENCE_S = 20.0  # after which a test gives up
CAT = "data:image/png;base64,iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = FunctionTool("get_weather", "How the weather is.", SCHEMA)
TIME = FunctionTool("get_time")
LONG = " ".join(f"word{number}" for number in range(50))


@asynccontextmanager
async def chatting(server: ChatServer, **options: Any) -> AsyncIterator[Chat]:
    """A `Chat` with that server, entered."""
    async with serving(server) as url:
        with anyio.fail_after(PATIENCE_S):
            async with Chat(url, **{"model": "small", "retries": 0, **options}) as chat:
                yield chat


def user(*parts: InputText | InputAudio | InputImage) -> Message:
    return Message("item_user", "user", parts)


HELLO = user(InputText("hello"))


def asking(*items: Item, **fields: Any) -> GenerationRequest:
    return GenerationRequest("Be brief.", items or (HELLO,), **fields)


async def answer(chat: Chat, request: GenerationRequest | None = None) -> list[Written]:
    """All that comes of a request."""
    async with aclosing(chat.respond(request or asking())) as stream:
        return [each async for each in stream]


def text(written: Sequence[Written]) -> str:
    return "".join(each.text for each in written if isinstance(each, WrittenText))


def calls(written: Sequence[Written]) -> list[tuple[str, str]]:
    """Name and arguments of each call, its pieces joined."""
    found: dict[int, tuple[str, str]] = {}
    for each in written:
        if isinstance(each, WrittenCall):
            _, arguments = found.get(each.index, ("", ""))
            found[each.index] = each.name, arguments + each.arguments
    return list(found.values())


async def body_of(request: GenerationRequest, **options: Any) -> dict[str, Any]:
    """What the server gets to see of a request."""
    server = ChatServer()
    async with chatting(server, **options) as chat:
        await answer(chat, request)
    return server.asked[-1].body


async def failure(server: ChatServer, **options: Any) -> EngineFailure:
    """How an answer fails."""
    async with chatting(server, **options) as chat:
        with pytest.raises(EngineFailure) as failed:
            await answer(chat)
    return failed.value


# The contract of engines.


@pytest.mark.parametrize("check", engine_kit.CHECKS["language_model"])
async def test_it_keeps_the_contract_of_a_language_model(check: str) -> None:
    async with serving(ChatServer()) as url, Chat(url) as chat:
        await engine_kit.CHECKS["language_model"][check](chat)


@pytest.mark.parametrize("kind", FLAVOURS)
async def test_every_flavour_answers_with_words_and_usage(kind: Flavour) -> None:
    server = ChatServer([Reply("Hello there, you.")], flavour=kind)
    azure = {"azure_api_version": "2024-10-21"} if kind == "azure" else {}
    async with chatting(server, **azure) as chat:
        written = await answer(chat)

    assert text(written) == "Hello there, you."
    assert [type(each) for each in written] == [WrittenText] * 3 + [WrittenUsage]


@pytest.mark.parametrize("kind", FLAVOURS)
async def test_every_flavour_calls_functions(kind: Flavour) -> None:
    wanted = (("get_weather", '{"city":"Paris"}'), ("get_time", ""), ("get_time", '{"zone":"X"}'))
    server = ChatServer([Reply("One moment.", calls=wanted)], flavour=kind)
    azure = {"azure_api_version": "2024-10-21"} if kind == "azure" else {}
    async with chatting(server, **azure) as chat:
        written = await answer(chat, asking(tools=(WEATHER, TIME)))

    assert text(written) == "One moment."
    assert calls(written) == [
        ("get_weather", '{"city":"Paris"}'),
        ("get_time", "{}"),
        ("get_time", '{"zone":"X"}'),
    ]
    finals = [each.index for each in written if isinstance(each, WrittenCall) and each.final]
    assert finals == [0, 1, 2]
    assert isinstance(written[-1], WrittenUsage)


async def test_arguments_come_as_they_are_written() -> None:
    server = ChatServer([Reply(calls=(("get_weather", '{"city":"Paris"}'),))])
    async with chatting(server) as chat:
        written = await answer(chat, asking(tools=(WEATHER,)))

    pieces = [each.arguments for each in written if isinstance(each, WrittenCall)]
    assert pieces == ['{"cit', 'y":"P', 'aris"', "}", ""]


async def test_usage_is_what_the_server_counted() -> None:
    usage = {
        "prompt_tokens": 31,
        "completion_tokens": 7,
        "total_tokens": 38,
        "prompt_tokens_details": {"cached_tokens": 16},
    }
    async with chatting(ChatServer([Reply("Hi.", usage=usage)])) as chat:
        assert (await answer(chat))[-1] == WrittenUsage(31, 7, 16)


async def test_usage_without_details_has_nothing_cached() -> None:
    usage = {"prompt_tokens": 31, "completion_tokens": 7, "total_tokens": 38}
    async with chatting(ChatServer([Reply("Hi.", usage=usage)])) as chat:
        assert (await answer(chat))[-1] == WrittenUsage(31, 7, 0)


# What goes out.


def said(*items: Item, instructions: str = "", images: bool = True) -> list[dict[str, Any]]:
    return messages_of(GenerationRequest(instructions, items), images=images)


def test_instructions_come_first_as_the_system() -> None:
    assert said(HELLO, instructions="Be brief.") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hello"},
    ]


def test_speech_goes_out_as_words_and_only_as_far_as_it_was_heard() -> None:
    items = (
        user(InputAudio(100, 24000, "good day "), InputText("to you")),
        Message("item_1", "assistant", (OutputAudio("I am fine, and you?", "I am", 9, 24000),)),
        Message("item_2", "assistant", (OutputAudio("Never heard.", "", 9, 24000),)),
        user(InputAudio(100, 24000)),
        Message("item_3", "system", (InputText("Hurry."),)),
        Message("item_4", "assistant", (OutputText("Yes."),)),
    )

    assert said(*items) == [
        {"role": "user", "content": "good day to you"},
        {"role": "assistant", "content": "I am"},
        {"role": "system", "content": "Hurry."},
        {"role": "assistant", "content": "Yes."},
    ]


def test_a_conversation_where_nobody_spoke_says_so() -> None:
    begun = [{"role": "user", "content": "(Nothing was said yet.)"}]

    assert said() == begun
    assert said(instructions="Greet them.")[1:] == begun


def call(number: int, arguments: str = "{}", **fields: Any) -> FunctionCall:
    return FunctionCall(f"item_c{number}", "get_time", f"call_{number}", arguments, **fields)


def output(number: int, result: str = "noon") -> FunctionCallOutput:
    return FunctionCallOutput(f"item_o{number}", f"call_{number}", result)


def wire_calls(message: dict[str, Any]) -> list[str]:
    return [each["id"] for each in message["tool_calls"]]


def test_calls_in_a_row_are_one_message_with_the_words_before_them() -> None:
    words = Message("item_1", "assistant", (OutputText("One moment."),))

    sent = said(HELLO, words, call(1), call(2), output(2, "two"), output(1, "one"))

    assert [each["role"] for each in sent] == ["user", "assistant", "tool", "tool"]
    assert sent[1]["content"] == "One moment."
    assert wire_calls(sent[1]) == ["call_1", "call_2"]
    assert [(each["tool_call_id"], each["content"]) for each in sent[2:]] == [
        ("call_1", "one"),
        ("call_2", "two"),
    ]


def test_a_call_without_words_before_it_has_null_for_content() -> None:
    message = said(HELLO, call(1, '{"a":1}'), output(1))[1]

    assert message == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "get_time", "arguments": '{"a":1}'},
            }
        ],
    }


def test_a_result_stands_behind_its_call_wherever_it_came() -> None:
    sent = said(HELLO, call(1), user(InputText("well?")), output(1), call(2), output(2))

    assert [each["role"] for each in sent] == [
        "user",
        "assistant",
        "tool",
        "user",
        "assistant",
        "tool",
    ]


def test_a_call_without_a_result_gets_one_that_says_so() -> None:
    sent = said(HELLO, call(1))

    assert sent[-1] == {"role": "tool", "tool_call_id": "call_1", "content": "(no result yet)"}


def test_a_result_without_its_call_is_told_where_it_stands() -> None:
    sent = said(output(1), HELLO)

    assert [each["role"] for each in sent] == ["user", "user"]
    assert sent[0]["content"].startswith("(A function that was called earlier returned this.) ")
    assert sent[0]["content"].endswith(output(1).output)


def test_a_call_that_was_broken_off_is_left_out() -> None:
    sent = said(HELLO, call(1, '{"a', status="incomplete"))

    assert [each["role"] for each in sent] == ["user"]


def test_arguments_that_are_no_object_go_out_as_an_empty_one() -> None:
    sent = said(HELLO, call(1, '{"a'), output(1))

    assert sent[1]["tool_calls"][0]["function"]["arguments"] == "{}"


def test_images_are_passed_on_with_their_detail() -> None:
    assert said(user(InputText("What is it?"), InputImage(CAT, "low"))) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": CAT, "detail": "low"}},
            ],
        }
    ]


def test_a_model_that_sees_nothing_is_told_there_is_a_picture() -> None:
    sent = said(user(InputText("What is it?"), InputImage(CAT)), images=False)

    assert sent[0]["content"] == "What is it? (a picture that cannot be shown)"


async def test_a_plain_request_has_only_what_is_needed() -> None:
    assert await body_of(asking()) == {
        "model": "small",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hello"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_options_of_the_session_go_out() -> None:
    request = asking(
        temperature=0.6,
        max_output_tokens=100,
        reasoning_effort="low",
        tools=(WEATHER, TIME),
        parallel_tool_calls=False,
        tool_choice="required",
    )

    body = await body_of(request, extra_body={"keep_alive": -1, "temperature": 0.1})

    assert body["max_tokens"] == 100
    assert body["reasoning_effort"] == "low"
    assert body["parallel_tool_calls"] is False
    assert body["tool_choice"] == "required"
    assert body["keep_alive"] == -1
    assert body["temperature"] == 0.1  # the operator has the last word
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "get_weather",
                "parameters": SCHEMA,
                "description": "How the weather is.",
            },
        },
        {
            "type": "function",
            "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}},
        },
    ]


async def test_where_no_function_may_be_called_none_is_offered() -> None:
    body = await body_of(asking(tools=(WEATHER,), tool_choice="none", parallel_tool_calls=True))

    assert not {"tools", "tool_choice", "parallel_tool_calls"} & body.keys()


async def test_where_one_function_has_to_be_called_only_that_is_offered() -> None:
    body = await body_of(asking(tools=(WEATHER, TIME), tool_choice=NamedTool("get_time")))

    assert [each["function"]["name"] for each in body["tools"]] == ["get_time"]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "get_time"}}


# Which server, which model, which key.


@pytest.mark.parametrize("given", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
async def test_the_address_may_be_given_in_full_or_not(given: str) -> None:
    server = ChatServer()
    async with serving(server) as url, Chat(url + given, model="small") as chat:
        await answer(chat)

    assert server.asked[0].path == "/v1/chat/completions"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://host/v1",
        "http://",
        "http://user:secret@host/v1",
        "ftp://user:secret@host/v1",
        "http:/user:secret@host/v1",
        "user:sec/secret@host",
        "http://host/v1?api-key=secret",
        "ftp://host/v1?api-key=secret",
        "http://host/v1#secret",
    ],
)
def test_an_address_that_cannot_be_is_refused_by_name(url: str) -> None:
    with pytest.raises(ValueError, match=r"^url: ") as refused:
        Chat(url)
    assert "secret" not in str(refused.value)


async def test_without_a_name_the_first_model_that_can_write_answers() -> None:
    server = ChatServer(models=("nomic-embed-text", "llama", "qwen"))
    async with chatting(server, model=None) as chat:
        await answer(chat)
        assert chat.version.startswith("llama at http://127.0.0.1:")

    assert server.asked[0].body["model"] == "llama"


@pytest.mark.parametrize("kind", ["openai", "ollama"])
async def test_a_server_without_models_is_told_at_once(kind: Flavour) -> None:
    async with serving(ChatServer(models=(), flavour=kind)) as url:
        with pytest.raises(EngineFailure, match="has no model; load one"):
            async with Chat(url):
                pass


async def test_a_server_that_is_not_there_may_come_later_where_the_model_is_named() -> None:
    async with Chat("http://127.0.0.1:9", model="small", retries=0) as chat:
        with pytest.raises(EngineFailure, match=r"no model server at http://127\.0\.0\.1:9/v1"):
            await answer(chat)


async def test_a_server_that_is_not_there_is_told_at_once_where_it_has_to_name_a_model() -> None:
    with pytest.raises(EngineFailure, match="start one there or correct `url`"):
        async with Chat("http://127.0.0.1:9", retries=0):
            pass


async def test_azure_is_asked_by_deployment_version_and_key() -> None:
    server = ChatServer(flavour="azure", key="s3cret", models=("my-gpt",))
    options = {"model": "my-gpt", "azure_api_version": "2024-10-21", "key": "s3cret"}
    async with chatting(server, **options) as chat:
        await answer(chat)

    asked = server.asked[0]
    assert asked.path == "/openai/deployments/my-gpt/chat/completions"
    assert asked.query == "api-version=2024-10-21"
    assert asked.headers["api-key"] == "s3cret"


def test_azure_needs_the_name_of_a_deployment() -> None:
    with pytest.raises(ValueError, match=r"^model: "):
        Chat("https://x.openai.azure.com", azure_api_version="2024-10-21")


async def test_the_key_comes_from_the_variable_that_was_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MY_KEY", "s3cret")
    server = ChatServer(key="s3cret")
    async with chatting(server, key_env="MY_KEY") as chat:
        await answer(chat)

    assert server.asked[0].headers["authorization"] == "Bearer s3cret"


def test_a_variable_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^key_env: .*VIVAVOCE_NOWHERE"):
        Chat("http://127.0.0.1", key_env="VIVAVOCE_NOWHERE")


async def test_what_the_environment_says_of_openai_goes_to_no_other_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret")
    monkeypatch.setenv("OPENAI_ORG_ID", "s3cret-org")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "s3cret-project")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    server = ChatServer()
    async with chatting(server) as chat:
        await answer(chat)

    assert "s3cret" not in str(server.asked[0].headers)


async def test_an_ollama_on_this_machine_is_found() -> None:
    async with serving(ChatServer(flavour="ollama")) as url:
        assert await find_ollama(f"{url}/v1") == f"{url}/v1"


async def test_where_no_ollama_is_none_is_found() -> None:
    assert await find_ollama("http://127.0.0.1:9/v1") is None


# Servers that refuse a field.


@pytest.mark.parametrize(
    "field", ["stream_options", "parallel_tool_calls", "temperature", "reasoning_effort"]
)
async def test_a_field_that_is_refused_is_left_out_from_then_on(field: str) -> None:
    server = ChatServer([Reply("Hi.")], refuses=(field,))
    request = asking(
        temperature=0.5, reasoning_effort="low", tools=(TIME,), parallel_tool_calls=True
    )
    async with chatting(server) as chat:
        assert text(await answer(chat, request)) == "Hi."
        await answer(chat, request)

    assert [field in each.body for each in server.asked] == [True, False, False]


async def test_two_fields_that_are_refused_are_both_left_out() -> None:
    server = ChatServer([Reply("Hi.")], refuses=("stream_options", "temperature"))
    async with chatting(server) as chat:
        assert text(await answer(chat, asking(temperature=0.5))) == "Hi."

    assert len(server.asked) == 3


async def test_a_limit_of_tokens_goes_by_its_newer_name_where_the_older_is_refused() -> None:
    server = ChatServer([Reply("Hi.")], refuses=("max_tokens",))
    async with chatting(server) as chat:
        await answer(chat, asking(max_output_tokens=100))

    assert server.asked[-1].body["max_completion_tokens"] == 100
    assert "max_tokens" not in server.asked[-1].body


async def test_a_server_that_knows_no_named_choice_is_asked_for_any_call_of_that_function() -> None:
    def grudging(asked: Asked) -> Reply:
        if isinstance(asked.body["tool_choice"], dict):
            return Reply(status=400, error={"error": {"message": "Invalid tool_choice"}})
        return Reply(calls=(("get_time", "{}"),))

    server = ChatServer(grudging, flavour="llama.cpp")
    async with chatting(server) as chat:
        request = asking(tools=(WEATHER, TIME), tool_choice=NamedTool("get_time"))
        assert calls(await answer(chat, request)) == [("get_time", "{}")]

    body = server.asked[-1].body
    assert body["tool_choice"] == "required"
    assert len(body["tools"]) == 1


def blind(asked: Asked) -> Reply:
    if "image_url" in msgspec.json.encode(asked.messages).decode():
        return Reply(status=400, error={"error": {"message": "image input is not supported"}})
    return Reply("I see nothing.")


LOOK = asking(user(InputText("look"), InputImage(CAT)))


async def test_images_are_left_out_once_the_server_refused_one() -> None:
    server = ChatServer(blind)
    async with chatting(server) as chat:
        assert text(await answer(chat, LOOK)) == "I see nothing."
        await answer(chat, LOOK)

    assert len(server.asked) == 3


BLIND = (
    (400, "this-model does not support images", None),
    (400, "unsupported content type: image_url", None),
    (404, "No endpoints found that support image input", None),
    (500, "image input is not supported - hint: you may need to provide the mmproj", None),
    (400, "mistral-small is not a multimodal model, but has an image_url", None),
    (400, "At most 0 image(s) may be provided in one request.", None),
    (400, "Invalid content type. image_url is only supported by certain models.", None),
    (422, "messages[0]: unknown variant `image_url`, expected `text`", None),
)
OF_ONE_PICTURE = (
    (400, "The image could not be read.", "image_parse_error"),
    (400, "Image parsing is not supported for this file", None),
    (400, "Invalid image data", "invalid_image"),
    (400, "Unsupported image format: bmp is not supported", None),
    (400, "You uploaded an unsupported image.", "invalid_image_format"),
    (400, "Images larger than 20 MB are not supported", None),
    (400, "At most 1 image(s) may be provided in one request.", None),
    (500, "the image went wrong", None),
)


@pytest.mark.parametrize(
    ("complaint", "lasting"),
    [(each, True) for each in BLIND] + [(each, False) for each in OF_ONE_PICTURE],
)
async def test_pictures_are_left_out_for_good_only_where_the_server_cannot_see(
    complaint: tuple[int, str, str | None], lasting: bool
) -> None:
    status, message, code = complaint
    error = {"error": {"message": message, "code": code}}
    server = ChatServer([Reply(status=status, error=error), Reply("Well.")])
    async with chatting(server) as chat:
        assert text(await answer(chat, LOOK)) == "Well."
        await answer(chat, LOOK)

    went = ["image_url" in msgspec.json.encode(each.messages).decode() for each in server.asked]
    assert went == [True, False, not lasting]


@pytest.mark.parametrize(
    ("field", "message", "code", "lasting"),
    [
        ("reasoning_effort", "Unrecognized request argument supplied: {}", None, True),
        ("reasoning_effort", "Unsupported parameter: '{}'.", "unsupported_parameter", True),
        ("reasoning_effort", "{}: Extra inputs are not permitted", None, True),
        ("reasoning_effort", "This model does not support {}", None, True),
        ("reasoning_effort", "Unsupported value: '{}'.", "unsupported_value", False),
        ("reasoning_effort", "'{}' does not support 'minimal' with this model.", None, False),
        ("reasoning_effort", "{} is not supported at this level", "invalid_value", False),
        ("reasoning_effort", "{} is wrong", None, False),
        ("temperature", "'{}' does not support 0.5. Only the default (1) is.", None, True),
        ("temperature", "{} must be between 0 and 0.4", None, False),
        ("max_tokens", "'{}' is not supported with this model.", "unsupported_parameter", True),
        ("max_tokens", "{} is too large: 100.", None, False),
    ],
)
async def test_a_field_is_left_out_for_good_only_where_the_server_has_none_such(
    field: str, message: str, code: str | None, lasting: bool
) -> None:
    error = {"error": {"message": message.format(field), "code": code}}
    server = ChatServer([Reply(status=400, error=error), Reply("Hi.")])
    request = asking(temperature=0.5, reasoning_effort="minimal", max_output_tokens=100)
    async with chatting(server) as chat:
        assert text(await answer(chat, request)) == "Hi."
        await answer(chat, request)

    assert [field in each.body for each in server.asked] == [True, False, not lasting]


async def test_images_that_have_to_be_passed_on_are_or_the_answer_fails() -> None:
    async with chatting(ChatServer(blind), images=True) as chat:
        with pytest.raises(EngineFailure, match="image input is not supported"):
            await answer(chat, LOOK)


async def test_images_that_may_not_be_passed_on_are_not() -> None:
    server = ChatServer(blind)
    async with chatting(server, images=False) as chat:
        await answer(chat, LOOK)

    assert len(server.asked) == 1


async def test_a_field_is_not_blamed_for_what_was_not_its_fault() -> None:
    sulky = Reply(status=400, error={"error": {"message": "temperature is fine, but no."}})
    server = ChatServer([sulky, sulky, Reply("Hi.")])
    async with chatting(server) as chat:
        with pytest.raises(EngineFailure, match="but no"):
            await answer(chat, asking(temperature=0.5))
        await answer(chat, asking(temperature=0.5))

    assert [each.body.get("temperature") for each in server.asked] == [0.5, None, 0.5]


# What comes in, odd as it may be.


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": None}]}


STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


async def read(*chunks: dict[str, Any]) -> list[Written]:
    async with chatting(ChatServer([Reply(chunks=chunks)])) as chat:
        return await answer(chat)


async def test_chunks_may_be_empty_in_every_way() -> None:
    nothing = {"choices": [{"index": 0, "delta": None, "finish_reason": None}]}
    chunks: tuple[dict[str, Any], ...] = (
        {},
        {"choices": None},
        {"choices": []},
        nothing,
        delta(content=None),
        delta(),
    )

    assert await read(*chunks, delta(content="Hi."), STOP) == [WrittenText("Hi.")]


async def test_thoughts_are_not_words() -> None:
    assert await read(delta(reasoning_content="Hm."), delta(content="Hi."), STOP) == [
        WrittenText("Hi.")
    ]


async def test_blanks_before_the_first_word_are_dropped() -> None:
    assert await read(
        delta(content="\n\n"), delta(content=" Hi"), delta(content=" you."), STOP
    ) == [
        WrittenText("Hi"),
        WrittenText(" you."),
    ]


async def test_a_refusal_is_said() -> None:
    assert text(await read(delta(refusal="I will not."), STOP)) == "I will not."


async def test_pieces_that_repeat_the_name_are_of_one_call() -> None:
    function = {"name": "get_time", "arguments": ""}
    first = {"index": 0, "id": "a", "function": {**function, "arguments": '{"zone"'}}
    second = {"index": 0, "id": "a", "function": {**function, "arguments": ':"X"}'}}

    written = await read(delta(tool_calls=[first]), delta(tool_calls=[second]), STOP)

    assert calls(written) == [("get_time", '{"zone":"X"}')]


async def test_pieces_without_a_number_are_of_the_call_before_them() -> None:
    first = {"id": "a", "function": {"name": "get_time", "arguments": '{"zone"'}}
    second = {"function": {"arguments": ':"X"}'}}

    written = await read(delta(tool_calls=[first]), delta(tool_calls=[second]), STOP)

    assert calls(written) == [("get_time", '{"zone":"X"}')]


async def test_a_call_without_a_name_fails() -> None:
    nameless = delta(tool_calls=[{"index": 0, "function": {"arguments": "{}"}}])
    failed = await failure(ChatServer([Reply(chunks=(nameless, STOP))]))

    assert "without its name" in failed.message


# What goes wrong.


async def test_a_wrong_key_is_told_without_the_key() -> None:
    failed = await failure(ChatServer(key="right"), key="wr0ng")

    assert "refuses the key (401)" in failed.message
    assert "wr0ng" not in failed.message


async def test_a_missing_key_is_told() -> None:
    failed = await failure(ChatServer(key="right"))

    assert "asks for a key" in failed.message


async def test_the_key_is_in_no_message_whatever_the_server_says() -> None:
    complaint = {"error": {"message": "wr0ng is on strike"}}
    failed = await failure(ChatServer([Reply(status=500, error=complaint)]), key="wr0ng")

    assert "(500): *** is on strike" in failed.message


async def test_an_unknown_model_is_told_with_those_there_are() -> None:
    failed = await failure(ChatServer(models=("llama", "qwen")))

    assert failed.message.endswith("has no model 'small'; there are: llama, qwen")


async def test_a_place_without_chat_is_told() -> None:
    async with serving(ChatServer()) as url, Chat(f"{url}/elsewhere/v1", model="small") as chat:
        with pytest.raises(EngineFailure, match="nothing at /elsewhere/v1/chat/completions"):
            await answer(chat)


async def test_too_many_requests_have_their_code_and_the_time_to_wait() -> None:
    server = ChatServer([Reply(status=429, headers={"Retry-After": "17"})])
    failed = await failure(server, retries=2)

    assert failed.code == "rate_limit_exceeded"
    assert "may be asked again in 17 s" in failed.message
    assert len(server.asked) == 1  # nobody who talks waits that long


async def test_the_server_says_why_it_refuses() -> None:
    complaint = {"object": "error", "message": "too long", "code": "context_length_exceeded"}
    failed = await failure(ChatServer([Reply(status=400, error=complaint)]))

    assert failed.message.endswith("refuses the request (400): too long")
    assert failed.code == "context_length_exceeded"


async def test_an_error_before_the_first_byte_is_tried_again() -> None:
    soon = {"retry-after-ms": "1"}
    server = ChatServer([Reply(status=503, headers=soon)] * 2 + [Reply("Hi.")])
    async with chatting(server, retries=2) as chat:
        assert text(await answer(chat)) == "Hi."

    assert len(server.asked) == 3


async def test_tries_come_to_an_end() -> None:
    server = ChatServer([Reply(status=503, headers={"retry-after-ms": "1"})])
    failed = await failure(server, retries=1)

    assert "failed (503)" in failed.message
    assert failed.code == "server_error"
    assert len(server.asked) == 2


async def test_an_answer_that_breaks_off_is_not_tried_again() -> None:
    server = ChatServer([Reply(LONG, breaks_after=3)])
    async with chatting(server, retries=2) as chat:
        with pytest.raises(EngineFailure, match="broke off the connection"):
            await answer(chat)

    assert len(server.asked) == 1


async def test_an_answer_without_an_end_fails() -> None:
    failed = await failure(ChatServer([Reply(chunks=(delta(content="Hi"),))]))

    assert "ended its answer in the middle" in failed.message


async def test_an_error_in_mid_answer_fails_it() -> None:
    chunks = (delta(content="Hi"), {"error": {"message": "out of memory"}})
    failed = await failure(ChatServer([Reply(chunks=chunks)]))

    assert "failed in mid-answer: out of memory" in failed.message


async def test_an_answer_that_the_content_filter_stops_says_so() -> None:
    async with chatting(ChatServer([Reply("Well", finish_reason="content_filter")])) as chat:
        assert CutShort("content_filter") in await answer(chat)


async def test_an_answer_at_its_limit_of_tokens_says_so() -> None:
    async with chatting(ChatServer([Reply("Well", finish_reason="length")])) as chat:
        given = await answer(chat)

    assert text(given) == "Well"
    assert CutShort("max_output_tokens") in given


async def test_a_call_at_the_limit_of_tokens_is_never_final() -> None:
    cut = Reply(calls=(("get_time", '{"zo'),), finish_reason="length")
    async with chatting(ChatServer([cut])) as chat:
        given = await answer(chat)

    assert CutShort("max_output_tokens") in given
    assert not [each for each in given if isinstance(each, WrittenCall) and each.final]


async def test_a_page_in_place_of_an_answer_fails() -> None:
    failed = await failure(ChatServer([Reply(status=502, error="<html>Bad Gateway</html>")]))

    assert "failed (502)" in failed.message


async def test_a_server_that_says_nothing_is_not_waited_for_longer_than_allowed() -> None:
    server = ChatServer([Reply(LONG, silent_after=0)], flavour="ollama")
    failed = await failure(server, first_s=0.1)

    assert "did not begin to answer within 0.1 s" in failed.message


async def test_silence_in_mid_answer_ends_it() -> None:
    server = ChatServer([Reply(LONG, silent_after=3)])
    failed = await failure(server, silence_s=0.1)

    assert "fell silent in mid-answer for 0.1 s" in failed.message


# Connections.


async def test_turns_share_one_connection() -> None:
    server = ChatServer()
    async with chatting(server) as chat:
        for _ in range(5):
            await answer(chat)

    assert len(server.asked) == 5
    assert server.connections == 1


async def test_an_answer_that_is_cancelled_is_aborted_at_the_server() -> None:
    server = ChatServer([Reply(LONG, silent_after=2)])
    async with chatting(server) as chat:
        gone = server.news
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer, chat)
            while not server.streaming:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        await gone.wait()

    assert server.deserted == 1


async def test_an_answer_that_is_closed_is_aborted_at_the_server() -> None:
    server = ChatServer([Reply(LONG, silent_after=2)])
    async with chatting(server) as chat:
        gone = server.news
        async with aclosing(chat.respond(asking())) as stream:
            assert await anext(stream) == WrittenText("word0")
        await gone.wait()

    assert server.deserted == 1


async def test_an_aborted_answer_leaves_the_others_alone() -> None:
    server = ChatServer([Reply(LONG, silent_after=2), Reply("Hi.")])
    async with chatting(server) as chat:
        async with aclosing(chat.respond(asking())) as stream:
            await anext(stream)
            assert text(await answer(chat)) == "Hi."
        assert text(await answer(chat)) == "Hi."


async def test_fifty_answers_come_side_by_side() -> None:
    server = ChatServer(
        lambda asked: Reply(f"{asked.messages[-1]['content']} {LONG}"), pace_s=0.001
    )
    texts: dict[int, str] = {}

    async def one(number: int) -> None:
        texts[number] = text(await answer(chat, asking(user(InputText(f"number {number}")))))

    async with chatting(server) as chat, anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(one, number)

    assert texts == {number: f"number {number} {LONG}" for number in range(50)}
    assert server.busiest > 1


async def test_more_answers_than_connections_are_told_so() -> None:
    server = ChatServer([Reply(LONG, silent_after=1)])
    async with (
        chatting(server, connections=1, connect_s=0.1) as chat,
        aclosing(chat.respond(asking())) as stream,
    ):
        await anext(stream)
        with pytest.raises(EngineFailure, match="all 1 connections"):
            await answer(chat)
