"""Sidebands: further connections to a session that another one brought, by WebRTC or WebSocket."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pytest
from compat_calls import CALLS, Caller, calling, secret
from compat_servers import KEY, PATIENCE_S, Site, scenario, served, until
from compat_speech import SECOND
from compat_wire import (
    DELTAS,
    GA,
    PREVIEW,
    WEATHER,
    Frame,
    Line,
    kinds,
    line,
    of_kind,
    refusal,
    sideband,
    words_of,
    written,
)
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets import InvalidStatus
from websockets.sync.client import connect

from vivavoce.config import Config
from vivavoce.conformance.catalogue import DialectName
from vivavoce.server.live import MAX_OBSERVERS

pytest_plugins = ["compat_fixtures"]
pytestmark = pytest.mark.anyio

OPENAI, AZURE = "/v1/realtime?", "/openai/v1/realtime?"
AZURE_PREVIEW = "/openai/realtime?api-version=2025-04-01-preview&"
FAMILIES: dict[str, DialectName] = {OPENAI: "ga", AZURE: "ga", AZURE_PREVIEW: "preview"}
NAMES = ("call_id={call}", "call_id={session}", "session_id={session}")

SCENARIO = """
[[turn]]
hears = "weather"
[[turn.call]]
name = "get_weather"
arguments = { city = "Paris" }

[[turn]]
after_call = "get_weather"
say = "It is {result}."

[speech]
ms_per_character = 30
"""


@pytest.fixture(scope="module")
def helpful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server whose model asks a tool about the weather."""
    folder = tmp_path_factory.mktemp("helpful")
    file = folder / "scenario.toml"
    file.write_text(SCENARIO)
    with served(Config(api_keys=(KEY,), data_dir=folder, scenario=file)) as site:
        yield site


def session_of(owner: Line | Caller) -> str:
    """The id of somebody's session."""
    session_id: str = owner.witness.frames[0]["session"]["id"]
    return session_id


def by_session(owner: Line | Caller, path: str = OPENAI) -> str:
    """Where somebody's session can be joined by its id."""
    return f"{path}call_id={session_of(owner)}"


def silent(frames: list[Frame]) -> list[Frame]:
    """Those events that bring no audio."""
    return [frame for frame in frames if frame["type"] not in DELTAS["audio"]]


def ids(frames: list[Frame]) -> list[str]:
    """By which events are the same, though each path has its own way to write them."""
    return [frame["event_id"] for frame in frames]


@asynccontextmanager
async def joined_everywhere(
    site: Site, owner: Line | Caller, names: tuple[str, ...]
) -> AsyncIterator[list[tuple[DialectName, Line]]]:
    """A sideband for each family of paths and each way to name the session, all at once."""
    call, session = getattr(owner, "call_id", ""), session_of(owner)
    async with AsyncExitStack() as all_of_them:
        yield [
            (
                dialect,
                await all_of_them.enter_async_context(
                    sideband(
                        site,
                        path + name.format(call=call, session=session),
                        dialect=dialect,
                        transport="webrtc" if call else "websocket",
                    )
                ),
            )
            for path, dialect in FAMILIES.items()
            for name in names
        ]


async def test_a_call_is_joined_on_every_path_by_its_id_and_by_that_of_its_session(
    scripted: Site,
) -> None:
    async with (
        calling(scripted) as caller,
        joined_everywhere(scripted, caller, NAMES) as observers,
    ):
        caller.write("Good day, who is there?")
        told = await caller.until("output_audio_buffer.stopped")
        heard = [
            (dialect, await each.until("output_audio_buffer.stopped"))
            for dialect, each in observers
        ]
    assert told[0]["type"] == "conversation.item.added"
    for dialect, frames in heard:
        assert silent(frames) == frames
        if dialect == "ga":
            assert ids(frames) == ids(told)
        else:
            assert words_of(frames) == words_of(told)
            assert "conversation.item.created" in kinds(frames)


async def test_a_session_by_websocket_is_joined_on_every_path(scripted: Site) -> None:
    async with (
        line(scripted, finished=False) as owner,
        joined_everywhere(scripted, owner, NAMES[1:]) as observers,
    ):
        await owner.write("Good day, who is there?")
        told = await owner.until("response.done")
        heard = [(dialect, await each.until("response.done")) for dialect, each in observers]
    assert silent(told) != told
    for dialect, frames in heard:
        if dialect == "ga":
            assert ids(frames) == ids(silent(told))
        else:
            assert silent(frames) == frames
            assert words_of(frames) == words_of(told)


@pytest.mark.parametrize(
    ("path", "dialect", "joining", "spoken"),
    [(GA, "ga", AZURE_PREVIEW, "preview"), (PREVIEW, "preview", OPENAI, "ga")],
)
async def test_either_dialect_joins_the_other(
    scripted: Site, path: str, dialect: DialectName, joining: str, spoken: DialectName
) -> None:
    async with (
        line(scripted, path, dialect=dialect, finished=False) as owner,
        sideband(scripted, by_session(owner, joining), dialect=spoken) as observer,
    ):
        settings: dict[DialectName, Frame] = {
            "ga": {"type": "realtime", "output_modalities": ["text"]},
            "preview": {"modalities": ["text"]},
        }
        await observer.say("session.update", session=settings[spoken])
        updated = (await observer.until("session.updated"))[-1]["session"]
        seen = (await owner.until("session.updated"))[-1]["session"]
        modalities: dict[DialectName, str] = {"ga": "output_modalities", "preview": "modalities"}
        assert updated[modalities[spoken]] == seen[modalities[dialect]] == ["text"]
        assert updated["id"] == seen["id"] == session_of(owner)
        await observer.write("Good day, who is there?")
        assert words_of(await observer.until("response.done"))
        assert words_of(await owner.until("response.done"))


async def test_settings_are_told_to_all_whoever_changes_them(scripted: Site) -> None:
    async with (
        line(scripted) as owner,
        sideband(scripted, by_session(owner)) as one,
        sideband(scripted, by_session(owner)) as other,
    ):
        for speaker, words in ((owner, "Be kind."), (one, "Be brief."), (other, "Be both.")):
            session = {"type": "realtime", "instructions": words}
            await speaker.say("session.update", session=session)
            told = [await each.until("session.updated") for each in (owner, one, other)]
            assert told[0] == told[1] == told[2]
            assert [frame["session"]["instructions"] for frame in told[0]] == [words]


@pytest.mark.parametrize(("joining", "dialect"), FAMILIES.items())
async def test_a_sideband_answers_function_calls_and_the_caller_hears_the_answer(
    helpful: Site, joining: str, dialect: DialectName
) -> None:
    async with (
        calling(helpful) as caller,
        sideband(
            helpful, f"{joining}call_id={caller.call_id}", dialect=dialect, transport="webrtc"
        ) as server,
    ):
        session = {"tools": [WEATHER], **({"type": "realtime"} if dialect == "ga" else {})}
        await server.say("session.update", session=session)
        await server.until("session.updated")
        caller.write("What is the weather like?")
        call = (await server.until("response.done"))[-1]["response"]["output"][0]
        assert (call["type"], call["name"]) == ("function_call", "get_weather")
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "raining"}
        await server.say("conversation.item.create", item=output)
        await server.say("response.create")
        told = await caller.until("output_audio_buffer.started")
        await caller.loud()
        told += await caller.until("output_audio_buffer.stopped")
        heard = await server.until("output_audio_buffer.stopped")
    tools = of_kind(told, "session.updated")[0]["session"]["tools"]
    assert [tool["name"] for tool in tools] == ["get_weather"]
    assert words_of(told) == words_of(heard) == "It is raining."


async def test_a_sideband_stops_what_the_caller_hears(scripted: Site) -> None:
    async with (
        calling(scripted, f"{CALLS}?model=slow") as caller,
        sideband(scripted, f"{OPENAI}call_id={caller.call_id}", transport="webrtc") as server,
    ):
        await server.write("at length")
        await caller.until("output_audio_buffer.started")
        await caller.loud()
        await server.say("response.cancel")
        await server.until("response.done")
        await server.say("output_audio_buffer.clear")
        heard = await server.until("conversation.item.truncated")
        await caller.until("conversation.item.truncated")
        await caller.quiet()
    assert of_kind(heard, "output_audio_buffer.cleared")


async def test_a_sideband_may_speak_for_the_owner(scripted: Site, speech: bytes) -> None:
    async with (
        line(scripted, finished=False) as owner,
        sideband(scripted, by_session(owner)) as observer,
    ):
        await observer.speak(speech + SECOND)
        for each in (owner, observer):
            heard = await each.until("response.done")
            assert heard[0]["type"] == "input_audio_buffer.speech_started"
            assert words_of(heard) == "You said: hello there"


async def test_a_mistake_is_told_to_whoever_made_it_alone(scripted: Site) -> None:
    async with (
        line(scripted) as owner,
        sideband(scripted, by_session(owner)) as one,
        sideband(scripted, by_session(owner)) as other,
    ):
        for culprit in (one, owner):
            for kind, fields in (
                ("conversation.item.retrieve", {"item_id": "item_nowhere"}),
                ("output_audio_buffer.clear", {}),
                ("no.such.event", {}),
            ):
                await culprit.say(kind, event_id="mine", **fields)
                error = (await culprit.until("error"))[-1]["error"]
                assert error["event_id"] == "mine"
            await culprit.connection.send("no JSON")
            await culprit.until("error")
            await culprit.say("input_audio_buffer.clear")
            for each in (owner, one, other):
                assert kinds(await each.until("input_audio_buffer.cleared")) == [
                    "input_audio_buffer.cleared"
                ]


async def test_whoever_leaves_ends_nothing_unless_it_is_their_session(scripted: Site) -> None:
    async with line(scripted) as owner, sideband(scripted, by_session(owner)) as stays:
        async with sideband(scripted, by_session(owner)) as leaves:
            await leaves.still_lives()
            for each in (owner, stays):
                await each.until("input_audio_buffer.cleared")
        await owner.still_lives()
        await stays.until("input_audio_buffer.cleared")
        await stays.still_lives()
        await owner.until("input_audio_buffer.cleared")
        await owner.connection.close()
        assert await stays.closed() == (1000, "")


@pytest.mark.parametrize("told", ["true", "1", "TRUE"])
async def test_who_joins_only_to_listen_is_refused_whatever_they_ask(
    scripted: Site, told: str
) -> None:
    async with (
        line(scripted, finished=False) as owner,
        sideband(scripted, f"{by_session(owner)}&read_only={told}") as listener,
    ):
        for kind, fields in (
            ("session.update", {"session": {"type": "realtime", "instructions": "Be rude."}}),
            ("conversation.item.create", {"item": written("May I?")}),
            ("response.create", {}),
            ("response.cancel", {}),
            ("input_audio_buffer.append", {"audio": "AAAA"}),
            ("conversation.item.retrieve", {"item_id": "item_nowhere"}),
        ):
            await listener.say(kind, event_id="mine", **fields)
            error = (await listener.next())["error"]
            assert (error["code"], error["event_id"]) == ("read_only", "mine")
        await owner.write("Good day, who is there?")
        told_owner = await owner.until("response.done")
        assert ids(await listener.until("response.done")) == ids(silent(told_owner))
    assert told_owner[0]["type"] == "conversation.item.added"


async def test_read_only_has_to_be_asked_for(scripted: Site) -> None:
    async with (
        line(scripted) as owner,
        sideband(scripted, f"{by_session(owner)}&read_only=false") as speaker,
    ):
        await speaker.still_lives()
        await owner.until("input_audio_buffer.cleared")


@pytest.mark.parametrize("by", ["leaving", "the call's id", "the session's id"])
async def test_the_end_of_a_call_closes_its_sidebands(scripted: Site, by: str) -> None:
    async with calling(scripted) as caller, AsyncExitStack() as stack:
        path = f"{OPENAI}call_id={caller.call_id}"
        observers = [
            await stack.enter_async_context(
                sideband(scripted, path + more, dialect="ga", transport="webrtc")
            )
            for more in ("", "&read_only=true")
        ]
        if by == "leaving":
            await caller.peer.close()
        else:
            name = caller.call_id if by == "the call's id" else session_of(caller)
            async with httpx.AsyncClient() as client:
                done = await client.post(
                    f"{scripted.url}{CALLS}/{name}/hangup", headers={"api-key": KEY}
                )
            assert done.status_code == 200
        assert [await each.closed() for each in observers] == [(1000, "")] * 2
        assert (await refusal(scripted, path))[0] == 404


async def test_a_session_that_runs_out_tells_its_sidebands_why(tmp_path: Path) -> None:
    script = scenario(tmp_path, pace=0)
    brief = Config(api_keys=(KEY,), data_dir=tmp_path, scenario=script, session_seconds=1)
    with served(brief) as site:
        async with line(site) as owner, sideband(site, by_session(owner)) as observer:
            codes = [(await each.until("error"))[-1]["error"]["code"] for each in (owner, observer)]
            assert codes == ["session_expired"] * 2
            assert await owner.closed() == await observer.closed()


@pytest.mark.parametrize("name", ["call_id", "session_id"])
@pytest.mark.parametrize("path", FAMILIES)
async def test_a_session_that_is_not_there_cannot_be_joined(
    scripted: Site, path: str, name: str
) -> None:
    async with line(scripted) as owner:
        over = session_of(owner)
    await anyio.to_thread.run_sync(until, lambda: scripted.sessions == 0)
    for session_id in (over, "rtc_nowhere", ""):
        status, error, _ = await refusal(scripted, f"{path}{name}={session_id}")
        assert status == 404
        assert error["message"] == "There is no such call, or it has ended."
        assert error["code"] == ("404" if path.startswith("/openai") else None)


@pytest.mark.parametrize("path", FAMILIES)
async def test_no_client_secret_joins_a_session_not_even_its_own(scripted: Site, path: str) -> None:
    key = {"Authorization": f"Bearer {(await secret(scripted))['value']}"}
    async with line(scripted, headers=key) as owner:
        for headers in (key, {"api-key": key["Authorization"].removeprefix("Bearer ")}):
            status, error, _ = await refusal(scripted, by_session(owner, path), headers)
            assert status == 403
            assert "API key of the server" in error["message"]
        assert (await refusal(scripted, by_session(owner, path), {}))[0] == 401


async def test_only_so_many_join_one_session(scripted: Site) -> None:
    async with line(scripted) as owner, line(scripted) as another, AsyncExitStack() as stack:
        path = by_session(owner)
        for _ in range(MAX_OBSERVERS - 1):
            await stack.enter_async_context(sideband(scripted, path))
        async with sideband(scripted, path) as last:
            status, error, headers = await refusal(scripted, path)
            assert (status, error["code"]) == (429, "rate_limit_exceeded")
            assert str(MAX_OBSERVERS) in error["message"]
            assert headers["retry-after"]
            async with sideband(scripted, by_session(another)) as elsewhere:
                await elsewhere.still_lives()
            await last.still_lives()
        await anyio.to_thread.run_sync(until, lambda: has_room(scripted, path))


def has_room(site: Site, path: str) -> bool:
    """Whether one more can join."""
    try:
        with connect(site.ws_url + path, additional_headers={"api-key": site.key}):
            return True
    except InvalidStatus:
        return False


async def test_no_sideband_speaks_a_dialect_that_is_switched_off(tmp_path: Path) -> None:
    script = scenario(tmp_path, pace=0)
    config = Config(api_keys=(KEY,), data_dir=tmp_path, scenario=script, preview=False)
    with served(config) as site:
        async with line(site) as owner:
            path = by_session(owner, AZURE_PREVIEW)
            async with sideband(site, path, dialect="preview") as observer:
                await owner.still_lives()
                told = await observer.next()
                code, _ = await observer.closed()
    assert (told["type"], told["error"]["code"], code) == ("error", "beta_api_shape_disabled", 4000)


async def test_who_joins_before_the_caller_connects_misses_nothing(scripted: Site) -> None:
    async with AsyncExitStack() as stack:
        servers: list[Line] = []

        async def join(caller: Caller) -> None:
            path = f"{OPENAI}call_id={caller.call_id}"
            server = await stack.enter_async_context(sideband(scripted, path, transport="webrtc"))
            session = {"type": "realtime", "instructions": "Be early."}
            await server.say("session.update", session=session)
            assert kinds(await server.until("session.updated")) == ["session.updated"]
            await server.write("Good day, who is there?", output_modalities=["text"])
            assert words_of(await server.until("response.done"))
            servers.append(server)

        async with calling(scripted, answered=join) as caller:
            assert kinds(caller.witness.frames)[0] == "session.created"
            assert caller.witness.frames[0]["session"]["instructions"] != "Be early."
            told = await caller.until("response.done")
            heard = [frame for frame in servers[0].witness.frames if frame["type"] != "error"]
            assert told == heard[: len(told)]
            assert told[0]["session"]["instructions"] == "Be early."
            caller.write("And now aloud.")
            await caller.until("output_audio_buffer.stopped")
            assert words_of(await servers[0].until("output_audio_buffer.stopped"))


async def test_the_official_client_joins_a_call_by_both_of_its_addresses(scripted: Site) -> None:
    openai = AsyncOpenAI(base_url=f"{scripted.url}/v1", api_key=scripted.key)
    azure = AsyncOpenAI(base_url=f"{scripted.url}/openai/v1", api_key=scripted.key)
    async with (
        calling(scripted) as caller,
        openai.realtime.connect(call_id=caller.call_id) as one,
        azure.realtime.connect(call_id=caller.call_id) as other,
    ):
        await one.session.update(session={"type": "realtime", "instructions": "Be kind."})
        assert await types(one, "session.updated") == ["session.updated"]
        assert await types(other, "session.updated") == ["session.updated"]
        await other.conversation.item.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Good day, who is there?"}],
            }
        )
        await other.response.create()
        told = await caller.until("output_audio_buffer.stopped")
        for each in (one, other):
            assert await types(each, "output_audio_buffer.stopped") == kinds(told)[1:]
    assert told[0]["session"]["instructions"] == "Be kind."


async def types(connection: AsyncRealtimeConnection, last: str) -> list[str]:
    """The types of the events up to the next of that one."""
    seen = [""]
    with anyio.fail_after(PATIENCE_S):
        while seen[-1] != last:
            seen.append((await connection.recv()).type)
    return seen[1:]
