"""Client secrets in use: made over HTTP, then held by clients of every kind."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgspec
import pytest
from compat_calls import CALLS, calling, idle_offer, post_offer, secret
from compat_servers import KEY, PATIENCE_S, Site, scenario, served
from compat_wire import WEATHER, Frame, line, refusal, words_of
from msgspec import Struct
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from vivavoce.config import Config, DeploymentPlan
from vivavoce.server.app import Application
from vivavoce.server.assembly import assemble
from vivavoce.server.refusals import Denial
from vivavoce.testing.server import running_in_thread

pytest_plugins = ["compat_fixtures"]
pytestmark = pytest.mark.anyio

OPENAI, AZURE = "/v1/realtime", "/openai/v1/realtime"
AZURE_PREVIEW = "/openai/realtime?api-version=2025-04-01-preview"
CLIENT_SECRETS = "/v1/realtime/client_secrets"
SESSIONS, TRANSCRIPTIONS = "/v1/realtime/sessions", "/v1/realtime/transcription_sessions"
AZURE_SESSIONS = "/openai/realtimeapi/sessions?api-version=2025-04-01-preview"
PAGE, ELSEWHERE = "https://app.example", "https://elsewhere.example"


class House(Struct, frozen=True):
    """A server that can be looked into."""

    site: Site
    app: Application

    def altered(self, token: str, **fields: Any) -> str:  # the fields of a ClientSecret
        """The same secret, but for those fields."""
        seal = self.app.service.seal
        opened = seal.open(token)
        assert not isinstance(opened, Denial)
        return seal.close(msgspec.structs.replace(opened, **fields))

    @property
    def wall(self) -> int:
        """What its clock says."""
        return int(self.app.service.clock.wall())


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server that answers by a script."""
    folder = tmp_path_factory.mktemp("house")
    app = assemble(
        Config(
            api_keys=(KEY,),
            data_dir=folder,
            scenario=scenario(folder, pace=0),
            deployments={"other": DeploymentPlan()},
        )
    )
    with running_in_thread(lambda: app) as address:
        yield House(Site(address.url), app)


def bearer(token: str) -> dict[str, str]:
    """The header with a key or a secret."""
    return {"Authorization": f"Bearer {token}"}


async def token(site: Site, path: str = CLIENT_SECRETS, **body: Any) -> str:
    """The secret alone, wherever the answer has it."""
    made = await secret(site, path, **body)
    value: str = (made.get("client_secret") or made)["value"]
    return value


async def offered(site: Site, key: str, path: str = CALLS, **headers: str) -> tuple[int, Frame]:
    """Status and error for an offer that cannot be taken: who gets to hear that was let in."""
    answer = await post_offer(site, path, "no offer", key=key, headers=headers)
    error: Frame = answer.json()["error"]
    return answer.status_code, error


LET_IN = (400, "invalid_offer")


# Where a secret opens what.


@pytest.mark.parametrize("path", [OPENAI, AZURE, f"{OPENAI}?model=gpt-realtime"])
@pytest.mark.parametrize("made_at", [CLIENT_SECRETS, "/openai/v1/realtime/client_secrets"])
async def test_a_ga_secret_opens_the_session_that_it_was_made_with(
    house: House, made_at: str, path: str
) -> None:
    session = {
        "type": "realtime",
        "instructions": "Be kind.",
        "tools": [WEATHER],
        "audio": {"input": {"turn_detection": None}, "output": {"voice": "cedar", "speed": 1.2}},
    }
    made = await secret(house.site, made_at, session=session)
    async with line(house.site, path, headers=bearer(made["value"])) as client:
        created = client.witness.frames[0]["session"]
    # It runs now, and each style writes some things in its own way.
    del created["expires_at"], made["session"]["expires_at"]
    if made_at.startswith("/openai") == path.startswith("/openai"):
        assert created == made["session"]
    assert created["id"] == made["session"]["id"]
    assert created["instructions"] == "Be kind."
    assert created["tools"] == made["session"]["tools"] != []
    assert created["audio"]["input"]["turn_detection"] is None
    assert created["audio"]["output"]["voice"] == "cedar"
    assert created["audio"]["output"]["speed"] == 1.2


PREVIEW_MODEL = "gpt-4o-realtime-preview"


@pytest.mark.parametrize("made_at", [SESSIONS, AZURE_SESSIONS])
@pytest.mark.parametrize(
    ("path", "subprotocols"),
    [(AZURE_PREVIEW, None), (f"{OPENAI}?model={PREVIEW_MODEL}", ["openai-beta.realtime-v1"])],
)
async def test_a_preview_secret_opens_the_session_that_it_was_made_with(
    house: House, made_at: str, path: str, subprotocols: list[str] | None
) -> None:
    made = await secret(house.site, made_at, model=PREVIEW_MODEL, voice="echo", temperature=1.1)
    key = made.pop("client_secret")["value"]
    async with line(
        house.site, path, dialect="preview", headers=bearer(key), subprotocols=subprotocols
    ) as client:
        created = client.witness.frames[0]["session"]
    del created["expires_at"], made["expires_at"]
    assert created.pop("client_secret", None) is None
    if made_at.startswith("/openai") == path.startswith("/openai"):
        assert created == made
    assert (created["id"], created["model"]) == (made["id"], PREVIEW_MODEL)
    assert (created["voice"], created["temperature"]) == ("echo", 1.1)


async def test_a_secret_of_one_dialect_opens_a_session_in_the_other(house: House) -> None:
    flat = await token(house.site, SESSIONS, voice="echo", instructions="Be kind.")
    async with line(house.site, OPENAI, headers=bearer(flat)) as client:
        created = client.witness.frames[0]["session"]
    assert created["audio"]["output"]["voice"] == "echo"
    assert created["instructions"] == "Be kind."

    session = {"type": "realtime", "audio": {"output": {"voice": "echo"}}}
    deep = await token(house.site, session=session)
    async with line(house.site, AZURE_PREVIEW, dialect="preview", headers=bearer(deep)) as client:
        assert client.witness.frames[0]["session"]["voice"] == "echo"


async def test_secrets_to_transcribe_open_sessions_that_transcribe(house: House) -> None:
    made = await secret(house.site, session={"type": "transcription"})
    async with line(house.site, OPENAI, headers=bearer(made["value"])) as client:
        created = client.witness.frames[0]["session"]
    assert (created["type"], created["id"]) == ("transcription", made["session"]["id"])

    flat = await token(house.site, TRANSCRIPTIONS, input_audio_format="g711_alaw")
    async with line(
        house.site,
        AZURE_PREVIEW,
        dialect="preview",
        headers=bearer(flat),
        created="transcription_session.created",
    ) as client:
        created = client.witness.frames[0]["session"]
    assert created["input_audio_format"] == "g711_alaw"


PLACES: list[tuple[str, Mapping[str, str], list[str] | None]] = [
    ("", {"Authorization": "Bearer {}"}, None),
    ("", {"api-key": "{}"}, None),
    ("?api-key={}", {}, None),
    ("", {}, ["realtime", "openai-insecure-api-key.{}"]),
    ("", {}, ["openai-insecure-api-key.{}", "realtime"]),
]


@pytest.mark.parametrize(("query", "headers", "subprotocols"), PLACES)
async def test_a_secret_may_come_wherever_a_key_may(
    house: House, query: str, headers: Mapping[str, str], subprotocols: list[str] | None
) -> None:
    held = await token(house.site, session={"type": "realtime", "instructions": "Be kind."})
    async with line(
        house.site,
        OPENAI + query.format(held),
        headers={name: value.format(held) for name, value in headers.items()},
        subprotocols=subprotocols and [each.format(held) for each in subprotocols],
    ) as client:
        assert client.witness.frames[0]["session"]["instructions"] == "Be kind."
        assert client.connection.subprotocol == ("realtime" if subprotocols else None)
        await client.write("Good day, who is there?", output_modalities=["text"])
        assert words_of(await client.until("response.done"))


@pytest.mark.parametrize("path", [CALLS, "/openai/v1/realtime/calls"])
async def test_a_secret_opens_a_call_and_the_offer_may_add_to_its_session(
    house: House, path: str
) -> None:
    voice = {"audio": {"output": {"voice": "cedar"}}}
    made = await secret(house.site, session={"type": "realtime", **voice})
    added = msgspec.json.encode({"type": "realtime", "instructions": "Be brief."})
    async with calling(house.site, path, key=made["value"], session=added) as caller:
        created = caller.witness.frames[0]["session"]
    assert created["audio"]["output"]["voice"] == "cedar"
    assert created["instructions"] == "Be brief."
    assert created["id"] == made["session"]["id"]


# One secret, several sessions.


async def test_each_session_of_one_secret_has_an_id_of_its_own(house: House) -> None:
    made = await secret(house.site)
    headers = bearer(made["value"])
    async with line(house.site, OPENAI, headers=headers) as first:
        assert first.witness.frames[0]["session"]["id"] == made["session"]["id"]
        async with line(house.site, OPENAI, headers=headers) as second:
            another = second.witness.frames[0]["session"]["id"]
            assert another != made["session"]["id"]
            await second.still_lives()
        await first.still_lives()


async def test_calls_that_begin_at_once_by_one_secret_are_different_sessions(
    house: House,
) -> None:
    """Each can be found by its own id until it is over, and the server never fails over it."""
    offer = await idle_offer()
    made = await secret(house.site)
    headers = {"Content-Type": "application/sdp", **bearer(made["value"])}
    live, answers = house.app.service.live, list[httpx.Response]()

    async def call() -> None:
        answers.append(await client.post(CALLS, content=offer, headers=headers))

    async with httpx.AsyncClient(base_url=house.site.url) as client:
        # In the first round the connections are made, which would keep the calls apart.
        for do in (partial(client.get, "/healthz"), call):
            async with anyio.create_task_group() as tasks:
                for _ in range(8):
                    tasks.start_soon(do)
        assert [each.status_code for each in answers] == [201] * 8
        sessions = [live.find(each.headers["location"].rpartition("/")[2]) for each in answers]
        ids = {each.session_id for each in sessions if each is not None}
        ended = [
            await client.post(f"{each.headers['location']}/hangup", headers=bearer(KEY))
            for each in answers
        ]
    assert [each.status_code for each in ended] == [200] * 8
    assert len(ids) == 8
    assert made["session"]["id"] in ids


# Its limits.


@pytest.mark.parametrize("path", [OPENAI, AZURE_PREVIEW])
async def test_a_secret_is_good_until_it_expires(house: House, path: str) -> None:
    held = await token(house.site)
    now = house.wall
    late = house.altered(held, created_at=now - 600, expires_at=now)
    status, error, _ = await refusal(house.site, path, bearer(late))
    assert status == 401
    assert error["code"] == ("401" if path.startswith("/openai") else "client_secret_expired")
    assert "expired at" in error["message"]
    assert "Ask for a new one" in error["message"]
    assert (await offered(house.site, late))[0] == 401
    in_time = house.altered(held, expires_at=now + PATIENCE_S)
    assert (await offered(house.site, in_time))[1]["code"] == "invalid_offer"


async def test_a_session_outlives_the_secret_that_opened_it(house: House) -> None:
    soon = house.altered(await token(house.site), expires_at=house.wall + 2)
    async with (
        line(house.site, OPENAI, headers=bearer(soon)) as client,
        calling(house.site, key=soon) as caller,
    ):
        with anyio.fail_after(PATIENCE_S):
            while (await offered(house.site, soon))[0] != 401:
                pass
        await client.still_lives()
        caller.say("input_audio_buffer.clear")
        await caller.until("input_audio_buffer.cleared")


async def test_a_secret_for_one_use_is_good_for_one(house: House) -> None:
    held = await token(house.site, limits={"single_use": True})
    again = await token(house.site, limits={"single_use": True})
    # What fails uses nothing up.
    assert (await offered(house.site, held))[1]["code"] == "invalid_offer"
    assert (await refusal(house.site, f"{OPENAI}?model=other", bearer(held)))[0] == 403
    async with line(house.site, OPENAI, headers=bearer(held)):
        status, error, _ = await refusal(house.site, OPENAI, bearer(held))
    assert (status, error["code"]) == (401, "client_secret_used")
    assert "used once" in error["message"]
    assert (await refusal(house.site, OPENAI, bearer(held)))[0] == 401
    async with line(house.site, OPENAI, headers=bearer(again)):
        pass


async def test_a_call_uses_a_secret_up_for_good(house: House) -> None:
    offer = await idle_offer()
    held = await token(house.site, limits={"single_use": True})
    answers = [await post_offer(house.site, CALLS, offer, key=held) for _ in range(2)]
    assert [each.status_code for each in answers] == [201, 401]
    assert answers[1].json()["error"]["code"] == "client_secret_used"
    assert (await refusal(house.site, AZURE, bearer(held)))[0] == 401
    async with httpx.AsyncClient(base_url=house.site.url, headers=bearer(KEY)) as client:
        ended = await client.post(f"{answers[0].headers['location']}/hangup")
    assert ended.status_code == 200


async def test_a_session_ends_when_its_secret_says_so(house: House) -> None:
    # The least that can be asked for is ten seconds.
    brief = house.altered(await token(house.site), session_seconds=1)
    async with (
        line(house.site, OPENAI, headers=bearer(brief)) as client,
        calling(house.site, key=brief) as caller,
    ):
        for each in (client, caller):
            assert (await each.until("error"))[-1]["error"]["code"] == "session_expired"
        await client.closed()
        with anyio.fail_after(PATIENCE_S):
            await caller.gone.wait()


@pytest.mark.parametrize("seconds", [9, 86_401, "10"])
async def test_a_session_that_is_too_short_or_too_long_is_not_promised(
    house: House, seconds: object
) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            house.site.url + CLIENT_SECRETS,
            headers=bearer(KEY),
            json={"limits": {"session_seconds": seconds}},
        )
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "limits.session_seconds"


async def test_a_secret_is_for_the_deployment_that_it_was_made_for(house: House) -> None:
    held = await token(house.site, session={"type": "realtime", "model": "other"})
    for path in (OPENAI, f"{OPENAI}?model=other", AZURE):
        async with line(house.site, path, headers=bearer(held)) as client:
            assert client.witness.frames[0]["session"]["model"] == "other"
    for path in (f"{OPENAI}?model=gpt-realtime", f"{AZURE}?deployment=gpt-realtime"):
        status, error, _ = await refusal(house.site, path, bearer(held))
        assert status == 403
        assert error["code"] == ("403" if path.startswith("/openai") else "model_mismatch")
        assert "for other, not for 'gpt-realtime'" in error["message"]
    status, error = await offered(house.site, held, f"{CALLS}?model=gpt-realtime")
    assert (status, error["code"]) == (403, "model_mismatch")
    named = msgspec.json.encode({"type": "realtime", "model": "gpt-realtime"})
    answer = await post_offer(house.site, CALLS, "no offer", key=held, session=named)
    assert answer.json()["error"]["code"] == "model_mismatch"
    assert (await offered(house.site, held, f"{CALLS}?model=other"))[0] == 400


async def test_a_dated_name_of_the_same_deployment_will_do(house: House) -> None:
    held = await token(house.site, session={"type": "realtime", "model": "gpt-realtime"})
    async with line(house.site, f"{OPENAI}?model=gpt-realtime-2025-08-28", headers=bearer(held)):
        pass


async def test_a_secret_for_certain_pages_serves_no_others(house: House) -> None:
    held = await token(house.site, limits={"origins": [PAGE]})
    status, error, _ = await refusal(house.site, OPENAI, {**bearer(held), "Origin": ELSEWHERE})
    assert status == 403
    assert ELSEWHERE in error["message"]
    assert PAGE not in error["message"]
    status, error, _ = await refusal(house.site, AZURE, bearer(held))
    assert (status, error["code"]) == (403, "403")
    assert "no Origin header" in error["message"]
    assert (await offered(house.site, held))[0] == 403
    assert (await offered(house.site, held, Origin=ELSEWHERE))[0] == 403
    assert (await offered(house.site, held, Origin=PAGE))[0] == 400
    async with line(house.site, OPENAI, headers={**bearer(held), "Origin": PAGE}):
        pass


# What is none, and what none may.


@pytest.mark.parametrize("path", [OPENAI, AZURE, AZURE_PREVIEW])
async def test_what_was_altered_is_no_secret(house: House, path: str) -> None:
    held = await token(house.site)
    middle = len(held) // 2
    other = "A" if held[middle] != "A" else "B"
    for garbled in (
        held[:middle] + other + held[middle + 1 :],
        held[:-1],
        held + "A",
        "ek_",
        "ek_68af296e8e408191a1120ab6383263c2",
    ):
        status, error, headers = await refusal(house.site, path, bearer(garbled))
        assert status == 401
        assert error["code"] == ("401" if path.startswith("/openai") else "invalid_api_key")
        assert "no client secret of this server" in error["message"]
        assert held[3:20] not in error["message"]
        assert headers["www-authenticate"] == "Bearer"
        assert (await offered(house.site, garbled))[0] == 401


NOT_FOR_HOLDERS = [
    ("POST", CLIENT_SECRETS),
    ("POST", "/openai/v1/realtime/client_secrets"),
    ("POST", SESSIONS),
    ("POST", TRANSCRIPTIONS),
    ("POST", AZURE_SESSIONS),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/gpt-realtime"),
    ("GET", "/openai/v1/models"),
    ("GET", "/openai/models?api-version=2025-04-01-preview"),
    ("POST", f"{CALLS}/rtc_nowhere/hangup"),
    ("POST", "/openai/v1/realtime/calls/rtc_nowhere/hangup"),
]


@pytest.mark.parametrize(("method", "path"), NOT_FOR_HOLDERS)
async def test_a_secret_opens_sessions_and_nothing_else(
    house: House, method: str, path: str
) -> None:
    held = await token(house.site)
    async with httpx.AsyncClient(base_url=house.site.url) as client:
        answer = await client.request(method, path, headers=bearer(held))
    error = answer.json()["error"]
    assert answer.status_code == 403
    assert error["code"] == ("403" if path.startswith("/openai") else None)
    assert "API key of the server" in error["message"]


async def test_nobody_hangs_up_by_the_secret_of_the_call(house: House) -> None:
    held = await token(house.site)
    async with line(house.site, OPENAI, headers=bearer(held)) as client:
        session_id = client.witness.frames[0]["session"]["id"]
        async with httpx.AsyncClient(base_url=house.site.url) as http:
            answer = await http.post(f"{CALLS}/{session_id}/hangup", headers=bearer(held))
        assert answer.status_code == 403
        await client.still_lives()


# The official client.


async def test_the_official_client_makes_secrets_and_uses_them(house: House) -> None:
    async with AsyncOpenAI(base_url=f"{house.site.url}/v1", api_key=KEY) as server:
        made = await server.realtime.client_secrets.create(
            session={"type": "realtime", "model": "gpt-realtime", "instructions": "Be kind."}
        )
    page = AsyncOpenAI(base_url=f"{house.site.url}/v1", api_key=made.value)
    async with page, page.realtime.connect(model="gpt-realtime") as connection:
        created = await next_event(connection)
        assert created.type == "session.created"
        assert created.session.type == "realtime"
        assert created.session.instructions == "Be kind."
        await connection.session.update(session={"type": "realtime", "instructions": "Be brief."})
        updated = await next_event(connection)
        assert updated.type == "session.updated"


async def next_event(connection: AsyncRealtimeConnection) -> Any:  # the union of all events
    """The next event."""
    with anyio.fail_after(PATIENCE_S):
        return await connection.recv()


# After a restart.


def house_of(folder: Path, script: Path, **deployments: DeploymentPlan) -> Config:
    """The configuration of a server that keeps its data there."""
    return Config(api_keys=(KEY,), data_dir=folder, scenario=script, deployments=deployments)


async def test_secrets_outlive_the_server_that_made_them(tmp_path: Path) -> None:
    script = scenario(tmp_path, pace=0)
    app = assemble(house_of(tmp_path / "a", script))
    with running_in_thread(lambda: app) as address:
        first = House(Site(address.url), app)
        held = await token(first.site, session={"type": "realtime", "instructions": "Be kind."})
        once = await token(first.site, limits={"single_use": True})
        once = first.altered(once, created_at=first.wall - 1)
    with served(house_of(tmp_path / "a", script)) as site:
        async with line(site, OPENAI, headers=bearer(held)) as client:
            assert client.witness.frames[0]["session"]["instructions"] == "Be kind."
        # It may have been used: nobody remembers.
        assert (await refusal(site, OPENAI, bearer(once)))[1]["code"] == "client_secret_used"
    with served(house_of(tmp_path / "b", script)) as site:
        status, error, _ = await refusal(site, OPENAI, bearer(held))
    assert (status, error["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("kind", ["realtime", "transcription"])
async def test_a_secret_for_what_is_no_longer_there_is_refused_with_a_list(
    tmp_path: Path, kind: str
) -> None:
    script = scenario(tmp_path, pace=0)
    session = {"type": kind, "model": "former"}
    with served(house_of(tmp_path, script, former=DeploymentPlan())) as site:
        held = await token(site, session=session)
    with served(house_of(tmp_path, script)) as site:
        for path in (OPENAI, f"{OPENAI}?model=gpt-realtime", f"{OPENAI}?intent=transcription"):
            status, error, _ = await refusal(site, path, bearer(held))
            assert (status, error["code"]) in (
                (404, "model_not_found"),
                (403, "model_mismatch"),
                (403, "intent_mismatch"),
            )
        status, error = await offered(site, held)
        assert (status, error["code"]) == (404, "model_not_found")
