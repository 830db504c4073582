"""Upgrades over a socket: who is let in, to what, and in which words others are turned down."""

from typing import Any

import anyio
import pytest
from server_clients import GA, KEY, OPENAI, PREVIEW, Frame, house, next_frame
from websockets.exceptions import ConnectionClosed

from vivavoce.core.allowance import Quota

pytestmark = pytest.mark.anyio

KEY_FORMS: list[tuple[str, dict[str, str], list[str] | None]] = [
    ("", {"api-key": KEY}, None),
    (f"&api-key={KEY}", {}, None),
    ("", {"Authorization": f"Bearer {KEY}"}, None),
    (f"&Authorization=Bearer%20{KEY}", {}, None),
    (f"&Authorization=Bearer+{KEY}", {}, None),
    ("", {}, ["realtime", f"openai-insecure-api-key.{KEY}"]),
]


@pytest.mark.parametrize("path", [GA, OPENAI, PREVIEW])
@pytest.mark.parametrize(("query", "headers", "subprotocols"), KEY_FORMS)
async def test_a_key_opens_every_path_in_every_form(
    path: str, query: str, headers: dict[str, str], subprotocols: list[str] | None
) -> None:
    async with house() as at, at.talk(path + query, headers, subprotocols) as client:
        assert (await next_frame(client))["type"] == "session.created"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (GA, {"code": "401", "message": "Access denied: "}),
        (PREVIEW, {"code": "401", "message": "Access denied: "}),
        (
            OPENAI,
            {
                "code": "invalid_api_key",
                "message": "Incorrect API key provided: ",
                "type": "invalid_request_error",
                "param": None,
            },
        ),
    ],
)
async def test_a_wrong_key_is_turned_down_in_the_words_of_the_path(
    path: str, body: dict[str, Any]
) -> None:
    async with house() as at:
        status, error, headers = await at.refusal(path, {"api-key": "not-a-key"})
    assert status == 401
    message = error.pop("message")
    assert message.startswith(body.pop("message"))
    assert "not-a-key" not in message
    assert error == body
    assert headers["content-type"] == "application/json"
    assert headers["x-request-id"].startswith("req_")
    by_openai = path.startswith("/v1")
    assert headers.get("openai-version") == ("2020-10-01" if by_openai else None)


async def test_without_a_key_there_is_no_code() -> None:
    async with house() as at:
        status, error, _ = await at.refusal(OPENAI, {})
        azure_status, azure, _ = await at.refusal(GA, {})
    assert (status, error["code"]) == (401, None)
    assert error["message"].startswith("Missing bearer or basic authentication")
    assert (azure_status, azure["code"]) == (401, "401")
    assert azure["message"].startswith("Access denied: no key")


async def test_without_authentication_anybody_is_let_in() -> None:
    async with house(no_auth=True) as at, at.talk(OPENAI, {}) as client:
        assert (await next_frame(client))["type"] == "session.created"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/realtime?model=gpt-9", "model_not_found"),
        ("/openai/v1/realtime?model=gpt-9", "DeploymentNotFound"),
        ("/openai/realtime?deployment=gpt-9", "DeploymentNotFound"),
    ],
)
async def test_an_unknown_deployment_is_turned_down_with_a_list(path: str, code: str) -> None:
    async with house() as at:
        status, error, _ = await at.refusal(path)
    assert (status, error["code"]) == (404, code)
    assert "gpt-4o-mini-realtime-preview, gpt-realtime" in error["message"]


@pytest.mark.parametrize(
    ("path", "code"), [("/v1/realtim", None), ("/openai/realtimeapi", "404"), ("/", None)]
)
async def test_a_wrong_path_is_turned_down(path: str, code: str | None) -> None:
    async with house() as at:
        status, error, _ = await at.refusal(path)
    assert (status, error["code"], error["message"]) == (404, code, "Resource not found")


@pytest.mark.parametrize(
    ("path", "headers", "subprotocols", "model", "dialect"),
    [
        ("/openai/v1/realtime?model=gpt-realtime-mini", {}, None, "gpt-realtime-mini", "ga"),
        ("/openai/v1/realtime?deployment=gpt-realtime-mini", {}, None, "gpt-realtime-mini", "ga"),
        ("/openai/v1/realtime/?model=gpt-realtime", {}, None, "gpt-realtime", "ga"),
        ("/v1/realtime", {}, None, "gpt-realtime", "ga"),
        ("/v1/realtime", {"OpenAI-Beta": "realtime=v1"}, None, "gpt-realtime", "preview"),
        ("/v1/realtime", {}, ["openai-beta.realtime-v1"], "gpt-realtime", "preview"),
        (PREVIEW, {}, None, "gpt-4o-realtime-preview", "preview"),
        (
            "/openai/realtime/?deployment=gpt-4o-realtime-preview-2024-12-17&model=gpt-realtime",
            {},
            None,
            "gpt-4o-realtime-preview-2024-12-17",
            "preview",
        ),
    ],
)
async def test_path_header_and_subprotocol_choose_the_dialect_and_the_model(
    path: str, headers: dict[str, str], subprotocols: list[str] | None, model: str, dialect: str
) -> None:
    async with (
        house() as at,
        at.talk(path, {"api-key": KEY, **headers}, subprotocols) as client,
    ):
        session = (await next_frame(client))["session"]
    assert session["model"] == model
    assert ("modalities" in session) == (dialect == "preview")
    assert at.echo.openings[0].max_seconds == (1800 if dialect == "preview" else 3600)


async def test_the_longest_life_of_a_session_can_be_set() -> None:
    async with house(session_seconds=60) as at, at.talk() as client:
        await next_frame(client)
    assert at.echo.openings[0].max_seconds == 60


@pytest.mark.parametrize(
    ("offered", "selected"),
    [
        (["realtime", f"openai-insecure-api-key.{KEY}"], "realtime"),
        ([f"openai-insecure-api-key.{KEY}", "realtime"], "realtime"),
        ([f"openai-insecure-api-key.{KEY}", "openai-agents-sdk.1.0"], None),
        (None, None),
    ],
)
async def test_realtime_alone_is_selected_of_what_is_offered(
    offered: list[str] | None, selected: str | None
) -> None:
    async with house() as at, at.talk(subprotocols=offered) as client:
        assert client.subprotocol == selected


async def test_compression_is_not_agreed_to_though_it_is_offered() -> None:
    async with house() as at, at.talk(compression="deflate") as client:
        assert client.response is not None
        assert "Sec-WebSocket-Extensions" not in client.response.headers
        assert client.request is not None
        assert "permessage-deflate" in client.request.headers["Sec-WebSocket-Extensions"]


async def refused_after_the_upgrade(path: str, **settings: Any) -> Frame:
    """The error with which a session is refused that was let in."""
    async with house(**settings) as at, at.talk(path) as client:
        frame = await next_frame(client)
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
    error: Frame = frame["error"]
    assert (frame["type"], error["type"]) == ("error", "invalid_request_error")
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4000
    assert closed.value.rcvd.reason == f"invalid_request_error.{error['code']}"
    assert at.echo.openings == []
    return error


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("path", [f"{OPENAI}&intent=chat", "/v1/realtime?intent=chat"])
async def test_an_unknown_intent_is_told_after_the_upgrade(path: str, strict: bool) -> None:
    error = await refused_after_the_upgrade(path, strict=strict)
    assert (error["code"], error["param"]) == ("invalid_intent", None)
    assert error["message"] == "Invalid intent 'chat'"


async def test_an_empty_intent_is_none() -> None:
    async with house() as at, at.talk(f"{OPENAI}&intent=") as client:
        assert (await next_frame(client))["session"]["type"] == "realtime"
        status, _, _ = await at.refusal("/v1/realtime?model=gpt-9&intent=")
    assert status == 404


async def test_the_preview_dialect_can_be_switched_off() -> None:
    error = await refused_after_the_upgrade(PREVIEW, preview=False)
    assert (error["code"], error["param"]) == ("beta_api_shape_disabled", None)


async def test_without_the_preview_dialect_the_other_is_served() -> None:
    async with house(preview=False) as at, at.talk(OPENAI) as client:
        assert (await next_frame(client))["type"] == "session.created"


@pytest.mark.parametrize("strict", [False, True])
async def test_a_session_knows_how_strict_it_is_and_what_its_deployment_may_use(
    strict: bool,
) -> None:
    async with house(strict=strict) as at, at.talk(PREVIEW) as client:
        await next_frame(client)
    (opening,) = at.echo.openings
    assert opening.strict is strict
    assert opening.quota == at.app.service.deployments.find("gpt-4o-realtime-preview").quota
    assert opening.quota != Quota()


@pytest.mark.parametrize(
    ("path", "asked", "announces"),
    [(PREVIEW, True, True), (PREVIEW, False, False), (OPENAI, True, False)],
)
async def test_the_conversation_is_announced_where_that_is_asked_for_and_known(
    path: str, asked: bool, announces: bool
) -> None:
    async with house(conversation_created=asked) as at, at.talk(path) as client:
        await next_frame(client)
    assert at.echo.openings[0].announces_conversation is announces


@pytest.mark.parametrize("query", ["", "&model=gpt-4o-transcribe"])
@pytest.mark.parametrize("strict", [False, True])
async def test_a_transcription_session_needs_no_model(query: str, strict: bool) -> None:
    path = f"/v1/realtime?intent=transcription{query}"
    async with house(strict=strict) as at, at.talk(path) as client:
        session = (await next_frame(client))["session"]
    assert session["type"] == "transcription"
    assert session["audio"]["input"]["transcription"]["model"] == "gpt-4o-transcribe"


@pytest.mark.parametrize(("path", "code"), [("/v1/realtime", None), ("/openai/v1/realtime", "404")])
async def test_a_call_that_is_not_there_is_turned_down(path: str, code: str | None) -> None:
    async with house() as at:
        status, error, _ = await at.refusal(f"{path}?call_id=rtc_1")
    assert (status, error["code"]) == (404, code)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/openai/realtime?api-version=2024-10-01-preview&deployment=gpt-realtime", None),
        ("/openai/realtime?deployment=gpt-realtime", 404),
        ("/openai/realtime?api-version=2023-01-01&deployment=gpt-realtime", 404),
        ("/openai/v1/realtime?model=gpt-realtime", None),
        ("/openai/v1/realtime", 404),
    ],
)
async def test_strictness_wants_a_model_and_a_version_that_exists(
    path: str, status: int | None
) -> None:
    async with house(strict=True) as at:
        if status is None:
            async with at.talk(path) as client:
                assert (await next_frame(client))["type"] == "session.created"
        else:
            assert (await at.refusal(path))[0] == status


async def test_leniently_any_version_will_do() -> None:
    path = "/openai/realtime?api-version=2023-01-01&deployment=gpt-realtime"
    async with house() as at, at.talk(path) as client:
        assert (await next_frame(client))["type"] == "session.created"


@pytest.mark.parametrize(("path", "code"), [(OPENAI, "rate_limit_exceeded"), (GA, "429")])
async def test_one_session_too_many_is_turned_down(path: str, code: str) -> None:
    async with house(max_sessions=1) as at:
        async with at.talk():
            status, error, headers = await at.refusal(path)
            assert (status, error["code"], headers["Retry-After"]) == (429, code, "5")
        await at.echo.left.wait()
        async with at.talk():
            assert at.app.service.admission.live == 1


@pytest.mark.parametrize("length", [33_000, 100_000])
async def test_a_header_that_is_too_long_is_answered_and_not_left_waiting(length: int) -> None:
    async with house() as at:
        with anyio.fail_after(5):
            status, error, _ = await at.refusal(OPENAI, {"Authorization": "Bearer " + "y" * length})
    assert (status, error["code"]) == (431, "headers_too_large")
