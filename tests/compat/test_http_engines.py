"""Whole conversations whose language model is a server of its own, asked over HTTP."""

from collections.abc import Callable, Iterator
from functools import partial

import anyio
import msgspec
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from compat_servers import KEY, PATIENCE_S, Site, scenario, served
from compat_speech import SECOND
from compat_wire import WEATHER, Frame, Line, kinds, line, of_kind, spoken_bytes, words_of

from vivavoce.config import Config, DeploymentPlan, EngineChoice, RecipePlan
from vivavoce.testing.chat_server import Asked, ChatServer, Reply
from vivavoce.testing.http import serving

pytest_plugins = ["compat_fixtures"]
pytestmark = pytest.mark.anyio

PATH = "/openai/v1/realtime?model=by-http"
ENDLESS = " ".join(f"This is sentence number {number} of many." for number in range(2000))
SPEECH = {"turn_detection": {"type": "server_vad", "silence_duration_ms": 300}}


class Model:
    """The server of the model, in a loop of its own."""

    def __init__(self, server: ChatServer, portal: BlockingPortal) -> None:
        self.server = server
        self._portal = portal

    @property
    def last(self) -> Asked:
        """The newest request."""
        return self.server.asked[-1]

    async def deserted(self, times: int) -> None:
        """Wait until so many answers were left in the middle."""

        async def wait() -> None:
            with anyio.fail_after(PATIENCE_S):
                while self.server.deserted < times:
                    await self.server.news.wait()

        await anyio.to_thread.run_sync(partial(self._portal.call, wait))


def answer(asked: Asked) -> Reply:
    last = asked.messages[-1]
    if last["content"] == "at length":
        return Reply(ENDLESS)
    if last["content"] == "break down":
        return Reply(status=500, headers={"x-should-retry": "false"})
    if asked.body.get("tools") and last["role"] == "user":
        return Reply(calls=(("get_weather", '{"city":"Oslo"}'),))
    return Reply(f"I hear {last['content']}.")


@pytest.fixture
def model() -> Iterator[Model]:
    server = ChatServer(answer, pace_s=0.002)
    with start_blocking_portal() as portal:
        with portal.wrap_async_context_manager(serving(server)) as url:
            server_url[server] = url
            yield Model(server, portal)


server_url: dict[ChatServer, str] = {}


@pytest.fixture
def site(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that hears and speaks by a script and has that model write its answers."""
    folder = tmp_path_factory.mktemp("by-http")
    scripted = EngineChoice("scripted", {"scenario": str(scenario(folder, pace=2))})
    chat = EngineChoice("chat", {"url": server_url[model.server], "model": "small"})
    config = Config(
        api_keys=(KEY,),
        data_dir=folder,
        recipes={
            "by-http": RecipePlan(transcriber=scripted, language_model=chat, synthesiser=scripted)
        },
        deployments={"by-http": DeploymentPlan(recipe="by-http")},
    )
    with served(config) as opened:
        yield opened


async def listen(client: Line) -> None:
    """Have speech answered."""
    await client.say("session.update", session={"type": "realtime", "audio": {"input": SPEECH}})
    await client.until("session.updated")


async def sounding(client: Line) -> str:
    """The id of a long answer, once it is heard."""
    frames = await client.until("response.output_audio.delta")
    identity: str = frames[-1]["response_id"]
    return identity


def of_response(frames: list[Frame], identity: str) -> list[str]:
    """The types of the events that are about that response."""
    return [each["type"] for each in frames if each.get("response_id") == identity]
