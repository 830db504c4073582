"""Whole conversations whose language model is a server of its own, asked over HTTP."""

from collections.abc import Iterator
from functools import partial

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from compat_servers import KEY, PATIENCE_S, Site, scenario, served
from compat_wire import WEATHER, Frame, Line, kinds, line, of_kind, spoken_bytes, words_of

from vivavoce.config import Config, DeploymentPlan, EngineChoice, RecipePlan
from vivavoce.testing.chat_server import Asked, ChatServer, Reply
from vivavoce.testing.http import serving

pytest_plugins = ["compat_fixtures"]
pytestmark = pytest.mark.anyio

PATH = "/openai/v1/realtime?model=by-http"
ENDLESS = " ".join(f"This is sentence number {number} of many." for number in range(2000))
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 1,
    "prompt_tokens_details": {"cached_tokens": 4},
}
SPEECH = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 300}}


class Model:
    """The server of a language model, in a loop of its own."""

    def __init__(self, server: ChatServer, portal: BlockingPortal, url: str) -> None:
        self.server = server
        self.url = url
        self._portal = portal
        self._known = 0  # answers left in the middle, those of earlier tests among them

    @property
    def last(self) -> Asked:
        """The newest request."""
        return self.server.asked[-1]

    async def deserted(self) -> None:
        """Wait until one more answer was left in the middle."""

        async def wait() -> None:
            with anyio.fail_after(PATIENCE_S):
                while self.server.deserted == self._known:
                    await self.server.news.wait()
            self._known = self.server.deserted

        await anyio.to_thread.run_sync(partial(self._portal.call, wait))


def reply(asked: Asked) -> Reply:
    """What that server says."""
    last = asked.messages[-1]
    match last["content"]:
        case "at length":
            return Reply(ENDLESS)
        case "break down":
            return Reply(status=500, headers={"x-should-retry": "false"})
        case "count":
            return Reply("One.", usage=USAGE)
        case "stumble":
            return Reply(ENDLESS, breaks_after=20)
    if asked.body.get("tools") and last["role"] == "user":
        return Reply(calls=(("get_weather", '{"city":"Oslo"}'),))
    return Reply(f"I hear: {last['content']}.")


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    server = ChatServer(reply, pace_s=0.002)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving(server)) as url,
    ):
        yield Model(server, portal, url)


@pytest.fixture(scope="module")
def site(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that hears and speaks by a script, and has that model write its answers."""
    folder = tmp_path_factory.mktemp("by-http")
    scripted = EngineChoice("scripted", {"scenario": str(scenario(folder, pace=2))})
    chat = EngineChoice("chat", {"url": model.url, "model": "small"})
    recipe = RecipePlan(transcriber=scripted, language_model=chat, synthesiser=scripted)
    config = Config(
        api_keys=(KEY,),
        data_dir=folder,
        recipes={"by-http": recipe},
        deployments={"by-http": DeploymentPlan(recipe="by-http")},
    )
    with served(config) as opened:
        yield opened


def about(frames: list[Frame], response_id: str) -> list[str]:
    """The types of the events that are about that response."""
    return [each["type"] for each in frames if each.get("response_id") == response_id]


async def sounding(client: Line) -> str:
    """Ask for an endless answer; its id, once it is heard."""
    await client.write("at length")
    begun = await client.until("response.output_audio.delta")
    response_id: str = begun[-1]["response_id"]
    return response_id


async def test_a_written_turn_is_answered_by_the_model(model: Model, site: Site) -> None:
    async with line(site, PATH) as client:
        await client.write("how are you", instructions="Be kind.")
        heard = await client.until("response.done")

    assert words_of(heard) == "I hear: how are you."
    assert spoken_bytes(heard) > 0
    assert model.last.messages == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "how are you"},
    ]


async def test_a_spoken_turn_is_answered_by_the_model(site: Site, speech: bytes) -> None:
    async with line(site, PATH) as client:
        await client.say("session.update", session={"type": "realtime", "audio": {"input": SPEECH}})
        await client.until("session.updated")
        await client.speak(speech)
        heard = await client.until("response.done")

    assert words_of(heard) == "I hear: hello there."
    assert spoken_bytes(heard) > 0


async def test_what_the_model_had_read_before_is_told_as_cached(site: Site) -> None:
    async with line(site, PATH) as client:
        await client.write("count", output_modalities=["text"])
        heard = await client.until("response.done")

    assert heard[-1]["response"]["usage"]["input_token_details"]["cached_tokens"] == 4


async def test_the_model_calls_a_function_and_answers_with_its_result(
    model: Model, site: Site
) -> None:
    async with line(site, PATH) as client:
        await client.write("How is the weather in Oslo?", tools=[WEATHER])
        called = (await client.until("response.done"))[-1]["response"]["output"][0]
        result = {
            "type": "function_call_output",
            "call_id": called["call_id"],
            "output": "rain",
        }
        await client.say("conversation.item.create", item=result)
        await client.say("response.create", response={"tools": [WEATHER]})
        heard = await client.until("response.done")

    assert (called["name"], called["arguments"]) == ("get_weather", '{"city":"Oslo"}')
    assert words_of(heard) == "I hear: rain."
    roles = [each["role"] for each in model.last.messages]
    assert roles == ["system", "user", "assistant", "tool"]
    assert model.last.messages[-1]["tool_call_id"] == called["call_id"]


async def test_cancelling_aborts_the_request_and_nothing_more_is_said(
    model: Model, site: Site
) -> None:
    async with line(site, PATH) as client:
        cancelled = await sounding(client)
        await client.say("response.cancel")
        closing = await client.until("response.done")
        await model.deserted()
        await client.write("how are you")
        after = await client.until("response.done")

    assert closing[-1]["response"]["id"] == cancelled
    assert closing[-1]["response"]["status"] == "cancelled"
    assert model.server.streaming == 0
    assert about(after, cancelled) == []
    assert words_of(after) == "I hear: how are you."


async def test_barging_in_aborts_the_request_and_nothing_more_is_said(
    model: Model, site: Site, speech: bytes
) -> None:
    async with line(site, PATH) as client:
        await client.say("session.update", session={"type": "realtime", "audio": {"input": SPEECH}})
        await client.until("session.updated")
        interrupted = await sounding(client)
        await client.speak(speech)
        await client.until("input_audio_buffer.speech_started")
        closing = await client.until("response.done")
        await model.deserted()
        after = await client.until("response.done")

    assert closing[-1]["response"]["id"] == interrupted
    assert closing[-1]["response"]["status_details"]["reason"] == "turn_detected"
    assert about(after, interrupted) == []
    assert words_of(after) == "I hear: hello there."


async def test_hanging_up_aborts_the_request(model: Model, site: Site) -> None:
    async with line(site, PATH, finished=False) as client:
        await sounding(client)

    await model.deserted()


async def test_a_model_that_fails_fails_its_response_alone(model: Model, site: Site) -> None:
    async with line(site, PATH) as client:
        for words in ("break down", "stumble"):
            await client.write(words)
            failed = (await client.until("response.done"))[-1]["response"]
            assert failed["status"] == "failed"
            assert failed["status_details"]["error"]["code"] == "server_error"
        await client.write("how are you")
        heard = await client.until("response.done")

    assert words_of(heard) == "I hear: how are you."
    assert "error" not in kinds(client.witness.frames)
    assert len(of_kind(client.witness.frames, "response.created")) == 3


async def test_sessions_share_the_connection_to_the_model(model: Model, site: Site) -> None:
    for _ in range(3):
        async with line(site, PATH) as client:
            await client.write("how are you")
            await client.until("response.done")

    assert len({each.port for each in model.server.asked[-3:]}) == 1
