"""Plain HTTP: models, health, the home, and what is not there."""

import anyio
import httpx
import pytest
from server_clients import HEADERS, KEY, OPENAI, house, next_frame

from vivavoce.config import Config
from vivavoce.server.app import application
from vivavoce.server.health import EngineReport
from vivavoce.testing.echo import Echo
from vivavoce.testing.server import running

pytestmark = pytest.mark.anyio

NAMES = [
    "gpt-4o-realtime-preview",
    "gpt-4o-mini-realtime-preview",
    "gpt-realtime",
    "gpt-realtime-mini",
]
EMBEDDED = {
    "recipe": "embedded",
    "detector": "silero",
    "transcriber": "pocketsphinx",
    "judge": "cadence",
    "language_model": "responder",
    "synthesiser": "espeak",
}


@pytest.mark.parametrize("path", ["/v1/models", "/openai/v1/models", "/v1/models/"])
async def test_models_are_listed_as_openai_does_and_say_what_serves_them(path: str) -> None:
    async with house() as at:
        answer = await at.get(path, {"Authorization": f"Bearer {KEY}"})
    body = answer.json()
    assert body["object"] == "list"
    assert [model["id"] for model in body["data"]] == NAMES
    first = body["data"][0]
    assert isinstance(first.pop("created"), int)
    assert first == {
        "id": NAMES[0],
        "object": "model",
        "owned_by": "vivavoce",
        "served_by": EMBEDDED,
    }


async def test_models_are_listed_as_azure_does() -> None:
    async with house() as at:
        answer = await at.get("/openai/models?api-version=2024-10-21")
    assert answer.headers["apim-request-id"] == answer.headers["x-request-id"]
    models = answer.json()["data"]
    assert [model["id"] for model in models] == NAMES
    assert [model["lifecycle_status"] for model in models] == [
        "preview",
        "preview",
        "generally-available",
        "generally-available",
    ]
    assert models[0]["status"] == "succeeded"
    assert models[0]["served_by"] == EMBEDDED


@pytest.mark.parametrize("path", ["/v1/models", "/openai/v1/models", "/openai/models"])
async def test_one_model_is_shown_by_any_of_its_names(path: str) -> None:
    async with house() as at:
        answer = await at.get(f"{path}/gpt-realtime-2025-08-28")
    assert (answer.status_code, answer.json()["id"]) == (200, "gpt-realtime")


@pytest.mark.parametrize(
    ("path", "code"),
    [("/v1/models/gpt-9", "model_not_found"), ("/openai/models/gpt-9", "DeploymentNotFound")],
)
async def test_a_model_that_is_not_there_is_told_with_a_list(path: str, code: str) -> None:
    async with house() as at:
        answer = await at.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, code)
    assert "gpt-realtime-mini" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/models", "/openai/models", "/v1/models/gpt-realtime"])
async def test_models_are_shown_to_whoever_has_a_key(path: str) -> None:
    async with house() as at:
        answers = [await at.get(path, headers) for headers in ({}, {"api-key": "wrong"})]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", [OPENAI, "/openai/v1/realtime", "/openai/realtime/"])
async def test_a_plain_request_to_a_websocket_is_told_to_upgrade(path: str) -> None:
    async with house() as at:
        answer = await at.get(path)
    assert answer.status_code == 426
    assert answer.headers["upgrade"] == "websocket"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/openai/nothing", {"code": "404", "message": "Resource not found"}),
        (
            "/v1/nothing",
            {
                "message": "Resource not found",
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            },
        ),
    ],
)
async def test_a_wrong_path_is_told_in_the_words_of_its_family(
    path: str, error: dict[str, str | None]
) -> None:
    async with house() as at:
        answer = await at.get(path)
    assert (answer.status_code, answer.json()) == (404, {"error": error})


async def test_a_wrong_method_is_told_which_is_right() -> None:
    async with house() as at:
        answer = await at.get("/v1/models", method="DELETE")
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "method_not_supported"
    assert answer.headers["allow"] == "GET, HEAD"


async def test_health_and_home_need_no_key() -> None:
    async with house() as at:
        answers = [await at.get(path, {}) for path in ("/healthz", "/readyz", "/metrics", "/")]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert answers[0].json() == {"status": "ok"}
    assert "/openai/v1/realtime" in answers[3].text


async def test_metrics_count_sessions_and_refusals() -> None:
    async with house() as at:
        async with at.talk() as client:
            await next_frame(client)
            during = (await at.get("/metrics")).text
        await at.refusal(headers={})
        await at.get("/nothing")
        after = (await at.get("/metrics")).text
    assert 'vivavoce_sessions_live{deployment="gpt-realtime"} 1.0' in during
    assert 'vivavoce_sessions_live{deployment="gpt-realtime"} 0.0' in after
    assert (
        'vivavoce_sessions_total{deployment="gpt-realtime",dialect="ga",transport="websocket"} 1.0'
        in after
    )
    assert 'vivavoce_refused_total{status="401"} 1.0' in after
    assert 'vivavoce_refused_total{status="404"} 1.0' in after


async def test_a_fault_of_ours_is_told_without_a_word_about_it() -> None:
    async with house() as at:
        at.app.service.metrics.exposition = None  # type: ignore[assignment, method-assign]
        transport = httpx.ASGITransport(at.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://house") as client:
            answer = await client.get("/metrics")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "server_error"
    assert "NoneType" not in answer.text


class Engines:
    """Engines that take until they are told to be loaded; each step is written down."""

    def __init__(self, *, broken: bool = False) -> None:
        self.load = anyio.Event()
        self.steps: list[str] = []
        self._broken = broken

    async def __aenter__(self) -> None:
        self.steps.append("loading")
        await self.load.wait()
        if self._broken:
            raise OSError("no such model")
        self.steps.append("loaded")

    async def __aexit__(self, *exc_info: object) -> None:
        self.steps.append("unloaded")


def report() -> list[EngineReport]:
    """One engine."""
    return [EngineReport("synthesiser", "espeak", "eSpeak NG 1.52")]


async def test_nobody_is_served_before_the_engines_are_warm() -> None:
    engines = Engines()
    app = application(Config(api_keys=(KEY,)), lambda _: Echo(), engines=engines, report=report)
    async with (
        running(app, warm=False) as address,
        httpx.AsyncClient(base_url=address.url) as client,
    ):
        alive = await client.get("/healthz")
        early = await client.get("/readyz")
        engines.load.set()
        await app.service.readiness.settled.wait()
        warm = await client.get("/readyz")
    assert alive.status_code == 200
    assert (early.status_code, early.json()["status"]) == (503, "loading")
    assert (warm.status_code, warm.json()) == (
        200,
        {
            "status": "ready",
            "sessions": 0,
            "engines": [
                {
                    "slot": "synthesiser",
                    "name": "espeak",
                    "version": "eSpeak NG 1.52",
                    "status": "ready",
                }
            ],
        },
    )
    assert engines.steps == ["loading", "loaded", "unloaded"]


async def test_an_upgrade_before_the_engines_are_warm_is_turned_down() -> None:
    async with house() as at:
        at.app.service.readiness.state = "loading"
        status, error, headers = await at.refusal(headers=HEADERS)
    assert (status, error["code"], headers["Retry-After"]) == (503, "server_error", "2")
