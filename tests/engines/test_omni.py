"""A speech model by HTTP, against a real server on a real socket, and chunks of other kinds."""

import base64
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Literal

import anyio
import msgspec
import pytest

from vivavoce.audio.pcm import Pcm, silence
from vivavoce.audio.wav import wav
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
)
from vivavoce.core.settings import FunctionTool, NamedTool
from vivavoce.core.signals import GenerationFailed, GenerationFinished, Signal
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
from vivavoce.engines.omni import Answer, Chunk, Omni
from vivavoce.engines.self_check import self_check
from vivavoce.engines.server_sent import events
from vivavoce.runtime.recipe import Recipe
from vivavoce.runtime.responding import Responding
from vivavoce.testing.babble import babble
from vivavoce.testing.chat_server import ChatServer, Reply
from vivavoce.testing.engine_kit import check_speech_model
from vivavoce.testing.http import serving
from vivavoce.testing.speech_server import Address, Conduct, SpeechServer, tone

pytestmark = pytest.mark.anyio

SPEECH = babble(1600, 120)
WEATHER = FunctionTool("get_weather", "How the weather is.", {"type": "object"})


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for all, since they share the address."""
    return "asyncio"


@pytest.fixture(scope="module")
async def address() -> AsyncIterator[tuple[Address, str]]:
    address = Address()
    async with serving(address) as url:
        yield address, url


class Served(SpeechServer):
    """A server that knows where it is."""

    url = ""


@pytest.fixture
def server(address: tuple[Address, str]) -> Served:
    server = Served()
    address[0].server, server.url = server, address[1]
    return server


@asynccontextmanager
async def omni(server: Served, **options: Any) -> AsyncIterator[Omni]:
    with anyio.fail_after(20):
        async with Omni(url=server.url, **options) as engine:
            yield engine


def asked(*context: Item, **changes: Any) -> GenerationRequest:
    return GenerationRequest("Be brief.", context, **changes)


def user(*content: Any) -> Message:
    return Message("item_user", "user", content)


HELLO = asked(user(InputText("hello")))


async def answer(
    engine: Omni,
    request: GenerationRequest = HELLO,
    recordings: Recordings | None = None,
    voice: Voice | None = None,
) -> list[Written | Spoken]:
    stream = engine.converse(request, recordings or {}, voice or Voice())
    async with aclosing(stream):
        return [each async for each in stream]


def words(given: list[Written | Spoken]) -> str:
    return "".join(each.text for each in given if isinstance(each, WrittenText))


def audio(given: list[Written | Spoken]) -> bytes:
    return b"".join(each.pcm.data for each in given if isinstance(each, Spoken))


@pytest.mark.parametrize("manner", ["openai", "vllm"])
async def test_it_keeps_the_contract(server: Served, manner: Literal["openai", "vllm"]) -> None:
    server.chats = manner
    server.calls = (("get_weather", '{"city":"Paris"}'),)
    server.conduct = Conduct(chunk_bytes=20_000, pause_s=0.0005)
    await check_speech_model(lambda: Omni(url=server.url))


@pytest.mark.parametrize("manner", ["openai", "vllm"])
async def test_words_and_their_sound_come_in_either_manner(
    server: Served, manner: Literal["openai", "vllm"]
) -> None:
    server.chats = manner
    async with omni(server) as engine:
        given = await answer(engine)

    assert words(given) == "You said: hello."
    assert audio(given) == tone("You said: hello.", "alloy").data
    assert {each.pcm.rate_hz for each in given if isinstance(each, Spoken)} == {24000}
    assert given[-1] == WrittenUsage(11, 7, 3)


async def test_it_asks_for_a_stream_of_text_and_audio_in_the_voice(server: Served) -> None:
    options: dict[str, Any] = {
        "model": "qwen-omni",
        "voices": {"alloy": "Chelsie"},
        "extra_body": {"use_audio_in_video": False},
    }
    async with omni(server, **options) as engine:
        await answer(engine)
        assert engine.voices == {"alloy": "Chelsie"}
        assert engine.version.startswith("qwen-omni at http://127.0.0.1:")

    assert server.asked[0].fields == {
        "model": "qwen-omni",
        "stream": True,
        "stream_options": {"include_usage": True},
        "modalities": ["text", "audio"],
        "audio": {"voice": "Chelsie", "format": "pcm16"},
        "use_audio_in_video": False,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hello"},
        ],
    }


async def test_a_deployment_of_azure_is_asked_at_its_own_path(server: Served) -> None:
    async with omni(server, model="my-audio", azure_api_version="2025-01-01-preview") as engine:
        given = await answer(engine)

    assert words(given) == "You said: hello."
    assert server.asked[0].path == "/openai/deployments/my-audio/chat/completions"


@pytest.mark.parametrize(
    ("own", "name", "asked_for"),
    [
        ({"alloy": "verse", "verse": "alloy"}, "alloy", "verse"),
        ({"alloy": "af_heart", "cedar": "am_adam"}, "cedar", "am_adam"),
        (None, "marin", "marin"),
        (None, "echo", "theirs"),
    ],
)
async def test_a_session_is_heard_in_the_voice_that_the_tables_say(
    server: Served, own: dict[str, str] | None, name: str, asked_for: str
) -> None:
    async with omni(server, voices=own) as engine:
        nobody: Any = None  # nothing is heard here
        voices = {**engine.voices, "echo": "theirs"}
        recipe = Recipe("tried", nobody, nobody, None, None, speech_model=engine, voices=voices)
        done = anyio.Event()

        async def tell(signal: Signal) -> None:
            if isinstance(signal, GenerationFinished | GenerationFailed):
                done.set()

        async with anyio.create_task_group() as tasks:
            responding = Responding(recipe, tasks, tell, anyio.lowlevel.checkpoint)
            responding.generate(
                "resp_1", GenerationRequest("", (user(InputText("hello")),), voice=name)
            )
            await done.wait()

    assert [each.fields["audio"]["voice"] for each in server.asked] == [asked_for]


async def test_a_voice_that_nobody_mapped_is_mapped_all_the_same(server: Served) -> None:
    """As in a self-check, which asks for `alloy`."""
    async with omni(server, voices={"alloy": "af_heart"}) as engine:
        await answer(engine)

    assert [each.fields["audio"]["voice"] for each in server.asked] == ["af_heart"]


async def test_text_alone_is_asked_for_where_text_is_wanted(server: Served) -> None:
    async with omni(server) as engine:
        given = await answer(engine, asked(user(InputText("hello")), output_modality="text"))

    assert words(given) == "You said: hello."
    assert audio(given) == b""
    fields = server.asked[0].fields
    assert fields["modalities"] == ["text"]
    assert "audio" not in fields


async def test_options_of_the_session_are_passed_on(server: Served) -> None:
    changes: dict[str, Any] = {
        "temperature": 1.1,
        "max_output_tokens": 99,
        "reasoning_effort": "low",
        "tools": (WEATHER,),
        "tool_choice": NamedTool("get_weather"),
        "parallel_tool_calls": False,
    }
    async with omni(server) as engine:
        await answer(engine, asked(user(InputText("hello")), **changes))

    fields = server.asked[0].fields
    assert fields["temperature"] == 1.1
    assert fields["max_completion_tokens"] == 99
    assert fields["reasoning_effort"] == "low"
    assert fields["tools"][0]["function"]["name"] == "get_weather"
    assert fields["tool_choice"]["function"]["name"] == "get_weather"
    assert fields["parallel_tool_calls"] is False


async def test_what_was_said_goes_as_a_recording(server: Served) -> None:
    said = InputAudio(SPEECH.count, 16000, "the words of it")
    request = asked(user(InputText("Listen:"), said))
    async with omni(server) as engine:
        given = await answer(engine, request, {("item_user", 1): SPEECH})

    assert words(given) == "You said: Listen: 1600 milliseconds."
    data = base64.b64encode(wav(SPEECH)).decode()
    assert server.asked[0].fields["messages"][1] == {
        "role": "user",
        "content": [
            {"type": "text", "text": "Listen:"},
            {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}},
        ],
    }


async def test_what_was_said_goes_as_words_where_the_recording_is_gone(
    server: Served,
) -> None:
    said = InputAudio(SPEECH.count, 16000, "the words of it")
    another = {("item_other", 0): SPEECH, ("item_user", 1): SPEECH, ("item_user", 0): silence(0, 1)}
    async with omni(server) as engine:
        await answer(engine, asked(user(said)), another)

    assert server.asked[0].fields["messages"][1:] == [
        {"role": "user", "content": "the words of it"}
    ]


async def test_what_it_said_itself_goes_as_words(server: Served) -> None:
    spoken = OutputAudio("Good day to you.", "Good day", 100, 24000)
    item = Message("item_said", "assistant", (spoken,))
    async with omni(server) as engine:
        await answer(engine, asked(item, user(InputText("Hm?"))), {("item_said", 0): SPEECH})

    assert server.asked[0].fields["messages"][1:] == [
        {"role": "assistant", "content": "Good day"},
        {"role": "user", "content": "Hm?"},
    ]


@pytest.mark.parametrize("images", [True, False])
async def test_pictures_go_along_unless_they_are_not_wanted(server: Served, images: bool) -> None:
    picture = InputImage("data:image/png;base64,AAAA")
    said = InputAudio(SPEECH.count, 16000)
    async with omni(server, images=images) as engine:
        await answer(engine, asked(user(picture, said)), {("item_user", 1): SPEECH})

    kinds = [part["type"] for part in server.asked[0].fields["messages"][1]["content"]]
    assert kinds == ["image_url" if images else "text", "input_audio"]


async def test_function_calls_are_numbered_and_their_last_pieces_final(
    server: Served,
) -> None:
    server.calls = (("get_weather", '{"city":"Paris"}'), ("get_time", ""))
    tools = (WEATHER, FunctionTool("get_time"))
    async with omni(server) as engine:
        given = await answer(engine, asked(user(InputText("Well?")), tools=tools))

    calls = [each for each in given if isinstance(each, WrittenCall)]
    assert [(call.index, call.name, call.final) for call in calls] == [
        *[(0, "get_weather", False)] * 2,
        (0, "get_weather", True),
        (1, "get_time", True),
    ]
    assert "".join(call.arguments for call in calls if call.index == 0) == '{"city":"Paris"}'
    assert calls[-1].arguments == "{}"


async def test_the_result_of_a_function_goes_behind_its_call(server: Served) -> None:
    async with omni(server) as engine:
        request = asked(
            user(InputText("Well?")),
            FunctionCall("item_call", "get_weather", "call_1", "{}"),
            FunctionCallOutput("item_output", "call_1", "rain"),
        )
        given = await answer(engine, request)

    assert words(given) == "You said: rain."
    roles = [message["role"] for message in server.asked[0].fields["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]


async def test_a_sound_is_there_before_the_answer_is_finished(server: Served) -> None:
    server.conduct = Conduct(silent_after=3)
    async with omni(server) as engine, aclosing(engine.converse(HELLO, {}, Voice())) as stream:
        assert await anext(stream) == WrittenText("You")
        assert isinstance(await anext(stream), Spoken)


async def test_closing_aborts_the_answer_at_the_server(server: Served) -> None:
    server.conduct = Conduct(silent_after=3)
    async with omni(server) as engine:
        stream = engine.converse(HELLO, {}, Voice())
        await anext(stream)
        await stream.aclose()
        await server.until(lambda: server.aborted == 1)

    assert server.answered == 0


async def test_a_cancelled_listener_aborts_too(server: Served) -> None:
    server.conduct = Conduct(silent_after=3)
    async with omni(server) as engine:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(answer, engine)
            await server.until(lambda: server.running == 1)
            tasks.cancel_scope.cancel()
        await server.until(lambda: server.aborted == 1)

    assert server.answered == 0


@pytest.mark.parametrize(
    ("conduct", "sentence"),
    [
        (Conduct(status=404, message="The model is not here."), "has no model 'gpt-audio'"),
        (Conduct(status=400, message="Too long."), "refuses the request .400.: Too long."),
        (Conduct(status=500, message="Out of memory."), "failed .500.: Out of memory."),
        (Conduct(close_after=3, pause_s=0.01), "broke off the connection"),
        (Conduct(end_after=3), "ended in mid-answer"),
        (Conduct(silent_after=3), "fell silent in mid-answer for 0.1 s"),
    ],
)
async def test_what_goes_wrong_is_told_in_words(
    server: Served, conduct: Conduct, sentence: str
) -> None:
    server.conduct = conduct
    async with omni(server, retries=0, silence_s=0.1) as engine:
        with pytest.raises(EngineFailure, match=sentence):
            await answer(engine)


async def test_answer_after_answer_goes_by_one_connection(server: Served) -> None:
    async with omni(server) as engine:
        for _ in range(5):
            await answer(engine)

    assert (len(server.asked), server.connections) == (5, 1)


async def test_fifty_conversations_at_once_are_kept_apart(server: Served) -> None:
    server.conduct = Conduct(chunk_bytes=40_000, pause_s=0.002)
    heard: dict[int, tuple[str, bytes]] = {}
    async with omni(server) as engine:

        async def talk(number: int) -> None:
            request = asked(user(InputAudio(16 * number, 16000)))
            given = await answer(engine, request, {("item_user", 0): silence(number, 16000)})
            heard[number] = words(given), audio(given)

        async with anyio.create_task_group() as tasks:
            for number in range(100, 150):
                tasks.start_soon(talk, number)

    texts = {number: f"You said: {number} milliseconds." for number in range(100, 150)}
    assert heard == {n: (text, tone(text, "alloy").data) for n, text in texts.items()}
    assert server.most_running > 25


async def test_it_checks_itself(server: Served) -> None:
    async with omni(server) as engine:
        assert await self_check("speech_model", engine) == (
            "answered 'hello' with 3 words in 960 ms of audio"
        )


# Chunks that other servers send.

STOP: dict[str, Any] = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


def read(*chunks: dict[str, Any]) -> list[Written | Spoken]:
    answer = Answer("the server", 24000)
    given = [each for chunk in chunks for each in answer.read(msgspec.convert(chunk, Chunk))]
    return [*given, *answer.finish()]


def sound(data: bytes | str) -> dict[str, Any]:
    text = data if isinstance(data, str) else base64.b64encode(data).decode()
    return {"choices": [{"delta": {"audio": {"data": text}}}]}


def test_samples_and_base64_may_be_cut_anywhere() -> None:
    pcm = bytes(range(200))
    text = base64.b64encode(pcm).decode()

    by_bytes = read(sound(pcm[:3]), sound(pcm[3:4]), sound(pcm[4:]), STOP)
    by_text = read(sound(text[:5]), sound(text[5:6]), sound(text[6:]), STOP)

    assert audio(by_bytes) == audio(by_text) == pcm


def test_a_wav_may_go_on_in_chunks_without_a_head() -> None:
    pcm = Pcm(bytes(range(200)), 16000)
    file = wav(pcm)

    given = read(sound(file[:100]), sound(file[100:]), STOP)

    assert audio(given) == pcm.data
    assert {each.pcm.rate_hz for each in given if isinstance(each, Spoken)} == {16000}


def test_a_rate_that_changes_is_a_failure() -> None:
    with pytest.raises(EngineFailure, match="24000 Hz that goes on at 16000"):
        read(sound(bytes(100)), sound(wav(Pcm(bytes(100), 16000))), STOP)


def test_what_is_no_audio_is_a_failure() -> None:
    with pytest.raises(EngineFailure, match="sent audio that is not base64"):
        read(sound("!!!!"), STOP)


async def test_an_error_in_mid_answer_is_told() -> None:
    with pytest.raises(EngineFailure, match="failed in mid-answer: out of memory"):
        await events_of('data: {"error": {"message": "out of memory"}}')
    with pytest.raises(EngineFailure, match="an event that cannot be read"):
        await events_of("data: <html>")


async def test_the_key_is_in_no_error_of_a_stream() -> None:
    """Nor a part of it, where the quotation ends."""
    message = "x" * 195 + "wr0ng-key is on strike"
    fault = ChatServer([Reply(chunks=({"error": {"message": message}},))])
    async with serving(fault) as url, Omni(url=url, model="small", key="wr0ng-key") as engine:
        with pytest.raises(EngineFailure, match=r"failed in mid-answer: x+\*\*\*") as failed:
            await answer(engine)

    assert "wr0" not in failed.value.message


async def events_of(*lines: str) -> list[Chunk]:
    async def each() -> AsyncIterator[str]:
        for line in lines:
            yield line

    return [event async for event in events(each(), Chunk, "the server")]


def test_a_choice_may_say_of_what_kind_it_is() -> None:
    text = {"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop", "modality": "text"}
    heard = base64.b64encode(wav(Pcm(bytes(100), 24000))).decode()
    spoken = {"index": 1, "delta": {"content": heard}, "modality": "audio"}

    given = read({"choices": [text, spoken]})

    assert given == [WrittenText("Hi"), Spoken(Pcm(bytes(100), 24000))]


def test_calls_without_numbers_are_told_apart_by_their_names() -> None:
    def piece(**fields: Any) -> dict[str, Any]:
        return {"choices": [{"delta": {"tool_calls": [fields]}}]}

    given = read(
        piece(function={"name": "one", "arguments": "{"}),
        piece(function={"arguments": "}"}),
        piece(function={"name": "two", "arguments": "{}"}),
        STOP,
    )

    assert given == [
        WrittenCall(0, "one", "{"),
        WrittenCall(0, "one", "}"),
        WrittenCall(0, "one", final=True),
        WrittenCall(1, "two", "{}"),
        WrittenCall(1, "two", final=True),
    ]


def test_a_refusal_is_said() -> None:
    assert read({"choices": [{"delta": {"refusal": "No."}}]}, STOP) == [WrittenText("No.")]


def test_a_content_filter_is_a_failure_with_its_own_code() -> None:
    with pytest.raises(EngineFailure) as failed:
        read({"choices": [{"delta": {}, "finish_reason": "content_filter"}]})

    assert failed.value.code == "content_filter"
