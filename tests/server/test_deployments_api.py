"""Deployments over JSON: who may, what is refused and how, and what is live at once."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgspec
import pytest
from server_clients import HEADERS, KEY, Frame, next_frame
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from vivavoce.config import Config, DeploymentPlan, EngineChoice, RecipePlan
from vivavoce.server.app import Address, Application, application
from vivavoce.server.assembly import assemble
from vivavoce.store import Store
from vivavoce.testing.echo import Echo
from vivavoce.testing.server import running

pytestmark = pytest.mark.anyio
stores = pytest.mark.parametrize("anyio_backend", ["asyncio"])  # in a thread, hence in real time

PATH = "/api/deployments"
SCRIPTED = RecipePlan(
    transcriber=EngineChoice("scripted"),
    language_model=EngineChoice("scripted"),
    synthesiser=EngineChoice("scripted"),
)
UNSET_FIELDS = {
    "instructions": None,
    "turn_detection": None,
    "input_tokens": None,
    "tokens_per_minute": None,
    "requests_per_minute": None,
}


class House:
    """A running server whose deployments can be changed."""

    def __init__(self, app: Application, address: Address, client: httpx.AsyncClient) -> None:
        self.app = app
        self.address = address
        self._client = client

    async def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] = HEADERS
    ) -> httpx.Response:
        """The answer; a body of bytes is sent as it is, any other as JSON."""
        sent = body if isinstance(body, bytes) else b"" if body is None else encoded(body)
        return await self._client.request(method, path, content=sent, headers=dict(headers))

    async def made(self, **body: object) -> Frame:
        """What is answered where a deployment is made."""
        answer = await self.ask("POST", PATH, body)
        assert answer.status_code == 201, answer.text
        return msgspec.json.decode(answer.content, type=Frame)

    async def refused(self, method: str, path: str, body: object = None) -> tuple[int, Frame]:
        """Status and error where something is turned down."""
        answer = await self.ask(method, path, body)
        return answer.status_code, answer.json()["error"]

    async def listed(self) -> dict[str, Frame]:
        """Everything there is, by name."""
        answer = await self.ask("GET", PATH)
        return {each["name"]: each for each in answer.json()["deployments"]}

    async def models(self) -> list[str]:
        """What clients are told."""
        return [each["id"] for each in (await self.ask("GET", "/v1/models")).json()["data"]]

    @asynccontextmanager
    async def talk(self, model: str) -> AsyncIterator[Frame]:
        """A session of that deployment, and how it begins."""
        url = f"{self.address.ws_url}/v1/realtime?model={model}"
        async with connect(url, additional_headers=HEADERS) as client:
            yield await next_frame(client)
            await client.send('{"type": "input_audio_buffer.clear"}')
            assert (await next_frame(client))["type"] == "input_audio_buffer.cleared"


def encoded(body: object) -> bytes:
    return msgspec.json.encode(body)


@asynccontextmanager
async def echoing(data_dir: Path, **settings: Any) -> AsyncIterator[House]:  # the fields of Config
    """A server without engines."""
    config = Config(api_keys=("another", KEY), data_dir=data_dir, **settings)
    echo = Echo()
    async with served(application(config, lambda _: echo)) as house:
        yield house


@asynccontextmanager
async def scripted(data_dir: Path, **settings: Any) -> AsyncIterator[House]:  # the fields of Config
    """A server whose engines read a script, and load in no time."""
    config = Config(api_keys=(KEY,), data_dir=data_dir, recipe="scripted", **settings)
    async with served(assemble(config)) as house:
        yield house


@asynccontextmanager
async def served(app: Application) -> AsyncIterator[House]:
    app.service.prepare()
    async with (
        running(app) as address,
        httpx.AsyncClient(base_url=address.url) as client,
    ):
        yield House(app, address, client)


@stores
async def test_a_new_one_is_shown_as_it_is_served(tmp_path: Path) -> None:
    async with echoing(tmp_path) as at:
        answer = await at.ask("POST", PATH, {"name": "mine", "model": "gpt-realtime", "voice": "x"})
        shown = await at.ask("GET", f"{PATH}/mine")

    assert (answer.status_code, answer.headers["location"]) == (201, f"{PATH}/mine")
    assert (
        answer.json()
        == shown.json()
        == {
            "name": "mine",
            "model": "gpt-realtime",
            "recipe": "embedded",
            "aliases": [],
            "voice": "x",
            **UNSET_FIELDS,
            "served_by": {
                "recipe": "embedded",
                "detector": "silero",
                "transcriber": "pocketsphinx",
                "judge": "cadence",
                "language_model": "responder",
                "synthesiser": "espeak",
            },
            "source": "stored",
            "state": "ready",
            "problem": None,
        }
    )


@stores
async def test_clients_see_a_new_one_at_once_and_talk_to_it_by_any_of_its_names(
    tmp_path: Path,
) -> None:
    async with scripted(tmp_path) as at:
        await at.made(name="mine", aliases=["desk"], instructions="Be brief.")
        assert "mine" in await at.models()
        for name in ("mine", "desk", "mine-2025-08-28"):
            async with at.talk(name) as begun:
                assert begun["session"]["instructions"] == "Be brief."


@stores
async def test_where_each_comes_from_is_said(tmp_path: Path) -> None:
    async with echoing(tmp_path, deployments={"given": DeploymentPlan()}) as at:
        await at.made(name="mine")
        listed = await at.listed()
    assert {name: each["source"] for name, each in listed.items()} == {
        "gpt-4o-realtime-preview": "built-in",
        "gpt-4o-mini-realtime-preview": "built-in",
        "gpt-realtime": "built-in",
        "gpt-realtime-mini": "built-in",
        "given": "configuration",
        "mine": "stored",
    }


@stores
async def test_a_change_is_for_new_sessions_and_a_null_brings_the_default_back(
    tmp_path: Path,
) -> None:
    async with scripted(tmp_path) as at:
        await at.made(name="mine", instructions="Be brief.", turn_detection=False)
        async with at.talk("mine") as before:
            changed = await at.ask("PATCH", f"{PATH}/mine", {"instructions": "Be kind."})
            async with at.talk("mine") as after:
                pass
        reset = await at.ask("PATCH", f"{PATH}/mine", {"instructions": None, "name": "mine"})

    assert changed.status_code == reset.status_code == 200
    assert before["session"]["instructions"] == "Be brief."
    assert after["session"]["instructions"] == "Be kind."
    assert after["session"]["audio"]["input"]["turn_detection"] is None
    assert (reset.json()["instructions"], reset.json()["turn_detection"]) == (None, False)


@stores
async def test_sessions_of_a_deleted_one_go_on_and_new_ones_get_404(tmp_path: Path) -> None:
    async with scripted(tmp_path) as at:
        await at.made(name="mine", aliases=["desk"])
        async with at.talk("mine"):
            gone = await at.ask("DELETE", f"{PATH}/mine")
            for name in ("mine", "desk"):
                with pytest.raises(InvalidStatus) as refused:
                    await connect(
                        f"{at.address.ws_url}/v1/realtime?model={name}", additional_headers=HEADERS
                    )
                assert refused.value.response.status_code == 404
        assert (gone.status_code, gone.json()) == (200, {"name": "mine", "deleted": True})
        assert "mine" not in await at.models()
        again, error = await at.refused("DELETE", f"{PATH}/mine")
        assert (await at.made(name="desk"))["name"] == "desk"
    assert (again, error["code"]) == (404, "deployment_not_found")


@stores
async def test_two_changes_at_once_both_hold(tmp_path: Path) -> None:
    async with echoing(tmp_path) as at:
        await at.made(name="mine")
        async with anyio.create_task_group() as tasks:
            for change in ({"voice": "verse"}, {"instructions": "Be brief."}, {"model": "m"}):
                tasks.start_soon(at.ask, "PATCH", f"{PATH}/mine", change)
        shown = (await at.ask("GET", f"{PATH}/mine")).json()
    assert (shown["voice"], shown["instructions"], shown["model"]) == ("verse", "Be brief.", "m")
    assert Store(tmp_path).deployments()["mine"] == {
        "voice": "verse",
        "instructions": "Be brief.",
        "model": "m",
    }


@stores
async def test_of_two_of_one_name_at_once_one_is_made(tmp_path: Path) -> None:
    answers: list[httpx.Response] = []
    async with echoing(tmp_path) as at:

        async def make(voice: str) -> None:
            answers.append(await at.ask("POST", PATH, {"name": "mine", "voice": voice}))

        async with anyio.create_task_group() as tasks:
            for voice in ("verse", "ash"):
                tasks.start_soon(make, voice)
        shown = (await at.ask("GET", f"{PATH}/mine")).json()
    assert sorted(each.status_code for each in answers) == [201, 409]
    assert shown["voice"] == next(
        each.json()["voice"] for each in answers if each.status_code == 201
    )


@stores
async def test_a_name_that_another_server_has_stored_is_taken(tmp_path: Path) -> None:
    async with echoing(tmp_path) as at:
        Store(tmp_path).add_deployment("mine", {"voice": "verse"})
        status, error = await at.refused("POST", PATH, {"name": "mine"})
        assert "mine" not in await at.models()
    assert (status, error["code"]) == (409, "deployment_exists")
    assert "Another server" in error["message"]


@stores
async def test_what_is_stored_outlives_the_server(tmp_path: Path) -> None:
    async with echoing(tmp_path) as at:
        await at.made(name="mine", aliases=["desk"], turn_detection={"type": "semantic_vad"})
        await at.made(name="other")
        await at.ask("PATCH", f"{PATH}/mine", {"voice": "verse"})
        await at.ask("DELETE", f"{PATH}/other")
        before = (await at.listed())["mine"]
    async with echoing(tmp_path) as at:
        listed = await at.listed()
        assert (listed["mine"], "other" in listed) == (before, False)
        assert at.app.service.deployments.find("desk").name == "mine"


WRONG: list[tuple[Frame, str | None, str]] = [
    ({}, "name", "is missing"),
    ({"name": 7}, "name", "is missing, or no text"),
    ({"name": "a/b"}, "name", "'a/b' has to be 1 to 64 letters, digits"),
    ({"name": ""}, "name", "has to be 1 to 64"),
    ({"name": ".."}, "name", "a letter or digit first"),
    ({"name": "m" * 65}, "name", "has to be 1 to 64"),
    ({"name": "süß"}, "name", "has to be 1 to 64"),
    ({"name": "m.2", "recipe": "grand"}, "recipe", "no recipe 'grand'; there are: embedded"),
    ({"name": "m", "recipe": "local"}, "recipe", "'local' are not loaded; only recipes that"),
    ({"name": "m", "recipe": 7}, "recipe", "expected str | null, got int"),
    ({"name": "m", "voise": "verse"}, "voise", "no such key; did you mean voice?"),
    ({"name": "m", "voice": 7}, "voice", "expected str, got int"),
    ({"name": "m", "input_tokens": 0}, "input_tokens", ">= 1"),
    ({"name": "m", "turn_detection": True}, "turn_detection", "or false to turn it off"),
    ({"name": "m", "turn_detection": {}}, "turn_detection.type", "one of: server_vad, semantic"),
    (
        {"name": "m", "turn_detection": {"type": "server_vad", "treshold": 1}},
        "turn_detection.treshold",
        "no such key; there are: type, threshold",
    ),
    ({"name": "m", "aliases": ["gpt-realtime"]}, "aliases", "already means gpt-realtime"),
    ({"name": "m", "aliases": ["desk"]}, "aliases", "desk already means given"),
    ({"name": "m", "aliases": ["m"]}, "aliases", "m already means m"),
    ({"name": "m", "aliases": ["x", "x"]}, "aliases", "one of them is there twice"),
    ({"name": "m", "aliases": ["a b"]}, "aliases", "'a b' has to be 1 to 64 letters"),
    ({"name": "m", "aliases": [7]}, "aliases[0]", "expected str, got int"),
]


@pytest.mark.parametrize(("body", "field", "told"), WRONG)
async def test_a_mistake_is_named_with_what_would_be_right_and_nothing_is_made(
    body: Frame, field: str, told: str, tmp_path: Path
) -> None:
    async with echoing(tmp_path, deployments={"given": DeploymentPlan(aliases=("desk",))}) as at:
        status, error = await at.refused("POST", PATH, body)
        assert len(await at.models()) == 5
    assert (status, error["param"]) == (400, field)
    assert error["message"].startswith(f"{field}: ")
    assert told in error["message"]
    assert Store(tmp_path).deployments() == {}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"mine"', b"\xff", b"[" * 100_000, b'{"name": "\\ud800"}']
)
async def test_a_body_that_is_no_object_is_answered_with_an_example(
    body: bytes, tmp_path: Path
) -> None:
    async with echoing(tmp_path) as at:
        status, error = await at.refused("POST", PATH, body)
    assert (status, error["code"]) == (400, "invalid_json")
    assert '{"name": "my-assistant", "model": "gpt-realtime"}' in error["message"]


@stores
async def test_a_wrong_change_leaves_everything_as_it_was(tmp_path: Path) -> None:
    async with echoing(tmp_path) as at:
        before = await at.made(name="mine", voice="verse")
        for change in ({"voice": "ash", "recipe": "grand"}, {"name": "yours"}, {"voice": 7}):
            status, error = await at.refused("PATCH", f"{PATH}/mine", change)
            assert status == 400, error
        assert (await at.ask("GET", f"{PATH}/mine")).json() == before
    assert Store(tmp_path).deployments() == {"mine": {"voice": "verse"}}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mine", "There is a deployment mine already"),
        ("gpt-realtime", "it is built in; a table [deployments.gpt-realtime]"),
        ("given", "it comes from the configuration, where its table is [deployments.given]"),
        ("desk", "desk is taken: it is another name of given"),
    ],
)
async def test_a_name_that_is_taken_is_refused_with_why(
    name: str, told: str, tmp_path: Path
) -> None:
    Store(tmp_path).add_deployment("mine", {})
    async with echoing(tmp_path, deployments={"given": DeploymentPlan(aliases=("desk",))}) as at:
        status, error = await at.refused("POST", PATH, {"name": name})
    assert (status, error["code"]) == (409, "deployment_exists")
    assert told in error["message"]


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("name", "status", "told"),
    [
        ("gpt-realtime", 409, "gpt-realtime is built in"),
        ("given", 409, "given comes from the configuration"),
        ("nobody", 404, "There is no deployment or model 'nobody'. There are: gpt-4o"),
    ],
)
async def test_what_is_not_stored_can_be_neither_changed_nor_deleted(
    method: str, name: str, status: int, told: str, tmp_path: Path
) -> None:
    async with echoing(tmp_path, deployments={"given": DeploymentPlan()}) as at:
        found, error = await at.refused(method, f"{PATH}/{name}", {"voice": "verse"})
        assert len(await at.models()) == 5
    assert found == status
    assert told in error["message"]


async def test_a_wrong_method_is_told_which_are_right(tmp_path: Path) -> None:
    async with echoing(tmp_path) as at:
        every = await at.ask("PUT", PATH)
        one = await at.ask("POST", f"{PATH}/gpt-realtime")
    assert (every.status_code, every.headers["allow"]) == (405, "GET, HEAD, POST")
    assert (one.status_code, one.headers["allow"]) == (405, "DELETE, GET, HEAD, PATCH")


EVERYTHING = [
    ("GET", PATH),
    ("POST", PATH),
    ("GET", f"{PATH}/gpt-realtime"),
    ("PATCH", f"{PATH}/gpt-realtime"),
    ("DELETE", f"{PATH}/gpt-realtime"),
    ("GET", "/api/catalogue"),
]


@pytest.mark.parametrize(("method", "path"), EVERYTHING)
async def test_only_who_has_a_key_may(method: str, path: str, tmp_path: Path) -> None:
    async with echoing(tmp_path) as at:
        made = await at.ask("POST", "/v1/realtime/client_secrets")
        secret = {"Authorization": f"Bearer {made.json()['value']}"}
        statuses = [
            (await at.ask(method, path, {"name": "x"}, headers)).status_code
            for headers in ({}, {"api-key": "wrong"}, secret, HEADERS | {"Origin": "https://e.x"})
        ]
        assert len(await at.models()) == 4
    assert statuses == [401, 401, 403, 403]


@stores
async def test_a_key_may_come_in_any_of_its_places_and_a_browser_by_its_cookie(
    tmp_path: Path,
) -> None:
    async with echoing(tmp_path) as at:
        signed_in = await at.ask(
            "POST", "/sign-in", {"key": KEY}, {"Content-Type": "application/json"}
        )
        cookie = signed_in.headers["set-cookie"].partition(";")[0]
        own = {"Cookie": cookie, "Origin": at.address.url}
        foreign = {"Cookie": cookie, "Origin": "http://other.example"}
        bearer = {"Authorization": f"Bearer {KEY}"}
        for headers in (bearer, own):
            answer = await at.ask("POST", PATH, {"name": f"d{len(headers)}"}, headers)
            assert answer.status_code == 201, answer.text
        assert (await at.ask("GET", f"{PATH}?api-key={KEY}", headers={})).status_code == 200
        refused = await at.ask("POST", PATH, {"name": "x"}, foreign)
    assert refused.status_code in (401, 403)


@stores
async def test_the_voice_is_held_against_those_of_the_engine(tmp_path: Path) -> None:
    async with scripted(tmp_path) as at:
        status, error = await at.refused("POST", PATH, {"name": "mine", "voice": "zorro"})
        assert (await at.made(name="mine", voice="verse"))["voice"] == "verse"
        changed, _ = await at.refused("PATCH", f"{PATH}/mine", {"voice": "zorro"})
    assert (status, error["param"], changed) == (400, "voice", 400)
    assert "voice: there is no voice 'zorro'; there are: alloy, " in error["message"]


@stores
async def test_one_that_no_longer_fits_is_kept_and_told_with_the_reason(tmp_path: Path) -> None:
    settings = {"recipe": "quiet", "model": "gpt-realtime"}
    Store(tmp_path).add_deployment("mine", settings)
    Store(tmp_path).add_deployment("fine", {})
    async with echoing(tmp_path) as at:
        models = await at.models()
        listed = await at.listed()
        shown = (await at.ask("GET", f"{PATH}/mine")).json()
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{at.address.ws_url}/v1/realtime?model=mine", additional_headers=HEADERS)
        taken, _ = await at.refused("POST", PATH, {"name": "mine"})
        mended = await at.ask("PATCH", f"{PATH}/mine", {"recipe": None})
        assert "mine" in await at.models()
    assert ("mine" in models, "fine" in models) == (False, True)
    assert shown == listed["mine"]
    assert (shown["state"], shown["recipe"], shown["served_by"]) == ("broken", "quiet", None)
    assert "there is no recipe 'quiet'; there are: embedded" in shown["problem"]
    assert refused.value.response.status_code == 404
    assert b"there is no recipe 'quiet'" in refused.value.response.body
    assert taken == 409
    assert (mended.status_code, mended.json()["state"]) == (200, "ready")
    assert Store(tmp_path).deployments()["mine"] == {"model": "gpt-realtime"}


@stores
async def test_one_whose_voice_the_engine_does_not_have_any_more_is_answered_503(
    tmp_path: Path,
) -> None:
    Store(tmp_path).add_deployment("mine", {"voice": "zorro"})
    async with scripted(tmp_path) as at:
        shown = (await at.ask("GET", f"{PATH}/mine")).json()
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{at.address.ws_url}/v1/realtime?model=mine", additional_headers=HEADERS)
    assert (shown["state"], refused.value.response.status_code) == ("failed", 503)
    assert "there is no voice 'zorro'" in shown["problem"]
    assert b"there is no voice 'zorro'" in refused.value.response.body


@stores
async def test_one_whose_name_the_configuration_has_taken_can_only_be_deleted(
    tmp_path: Path,
) -> None:
    Store(tmp_path).add_deployment("mine", {"voice": "verse"})
    async with echoing(tmp_path, deployments={"mine": DeploymentPlan(voice="ash")}) as at:
        answer = await at.ask("GET", PATH)
        twice = [each for each in answer.json()["deployments"] if each["name"] == "mine"]
        changed, error = await at.refused("PATCH", f"{PATH}/mine", {"voice": "coral"})
        gone = await at.ask("DELETE", f"{PATH}/mine")
        kept = (await at.ask("GET", f"{PATH}/mine")).json()
    assert [(each["source"], each["state"]) for each in twice] == [
        ("configuration", "ready"),
        ("stored", "broken"),
    ]
    assert (changed, error["code"]) == (409, "deployment_fixed")
    assert gone.status_code == 200
    assert (kept["source"], kept["voice"]) == ("configuration", "ash")


@stores
async def test_a_broken_one_answers_once_the_name_it_wants_is_free(tmp_path: Path) -> None:
    Store(tmp_path).add_deployment("first", {"aliases": ["desk"]})
    Store(tmp_path).add_deployment("second", {"aliases": ["desk"]})
    async with echoing(tmp_path) as at:
        before = await at.listed()
        await at.ask("DELETE", f"{PATH}/first")
        after = await at.listed()
        assert at.app.service.deployments.find("desk").name == "second"
    assert "desk already means first" in before["second"]["problem"]
    assert after["second"]["state"] == "ready"


@stores
async def test_a_data_folder_that_cannot_be_written_changes_nothing_and_says_so(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    async with echoing(tmp_path / "file") as at:
        status, error = await at.refused("POST", PATH, {"name": "mine"})
        assert "mine" not in await at.models()
    assert (status, error["code"]) == (500, "storage_failed")
    assert error["message"].startswith("Nothing was changed: ")
    assert "set --data-dir to a folder that can be written" in error["message"]


@stores
async def test_a_change_that_cannot_be_stored_does_not_hold(tmp_path: Path) -> None:
    async with echoing(tmp_path) as at:
        before = await at.made(name="mine", voice="verse")
        Store(tmp_path).path.write_bytes(b"no database" * 100)
        changed, _ = await at.refused("PATCH", f"{PATH}/mine", {"voice": "ash"})
        deleted, _ = await at.refused("DELETE", f"{PATH}/mine")
        assert (await at.ask("GET", f"{PATH}/mine")).json() == before
    assert (changed, deleted) == (500, 500)


async def test_a_store_that_cannot_be_read_does_not_keep_the_server_from_its_start(
    tmp_path: Path,
) -> None:
    Store(tmp_path).path.write_bytes(b"no database" * 100)
    async with echoing(tmp_path) as at:
        assert "gpt-realtime" in await at.models()


@stores
async def test_the_catalogue_has_the_models_of_the_documents_and_what_serves_them(
    tmp_path: Path,
) -> None:
    async with scripted(tmp_path) as at:
        await at.made(name="mine", model="gpt-realtime-2025-08-28")
        catalogue = (await at.ask("GET", "/api/catalogue")).json()
    models = {each["name"]: each for each in catalogue["models"]}
    assert {name: each["versions"] for name, each in models.items()} == {
        "gpt-4o-realtime-preview": ["2024-10-01", "2024-12-17"],
        "gpt-4o-mini-realtime-preview": ["2024-12-17"],
        "gpt-realtime": ["2025-08-28"],
        "gpt-realtime-mini": ["2025-10-06"],
    }
    assert {each["served_by"]["recipe"] for each in models.values()} == {"scripted"}
    assert models["gpt-realtime"]["deployments"] == ["gpt-realtime", "mine"]
    recipes = {each["name"]: each for each in catalogue["recipes"]}
    assert list(recipes) == ["embedded", "scripted", "local", "openai-compatible"]
    assert recipes["scripted"]["engines"]["transcriber"] == "scripted"
    assert (recipes["scripted"]["state"], recipes["scripted"]["problem"]) == ("ready", None)
    assert "verse" in recipes["scripted"]["voices"]
    assert (recipes["local"]["state"], recipes["local"]["voices"]) == ("not loaded", [])
    assert "are not loaded" in recipes["local"]["problem"]


@stores
async def test_keys_in_the_options_of_engines_are_not_shown(tmp_path: Path) -> None:
    secret = "a-key-for-elsewhere"
    chat = EngineChoice("chat", {"url": "http://127.0.0.1:1", "key": secret})
    recipes = {"mine": msgspec.structs.replace(SCRIPTED, language_model=chat)}
    async with echoing(tmp_path, recipes=recipes, recipe="mine") as at:
        await at.made(name="mine")
        shown = [(await at.ask("GET", path)).text for path in (PATH, "/api/catalogue")]
    assert "chat" in shown[0]
    assert not [text for text in shown if secret in text]
