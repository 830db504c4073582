"""Client secrets over HTTP: who gets one, what is in it, and what the answer says."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec
import pytest
import structlog
from openai import AsyncOpenAI, BadRequestError
from openai.types.beta.realtime import SessionCreateResponse, TranscriptionSession
from openai.types.realtime import ClientSecretCreateResponse
from pydantic import BaseModel
from server_clients import HEADERS, KEY, Frame, next_frame
from websockets.asyncio.client import connect

from vivavoce.config import Config, DeploymentPlan
from vivavoce.conformance.validator import faults
from vivavoce.core.errors import Refusal
from vivavoce.core.settings import SessionSettings, SessionUpdate, merge
from vivavoce.deployments import Deployment
from vivavoce.engines.registry import EngineFull, EngineUnavailable
from vivavoce.runtime.channel import Backend, Opening
from vivavoce.runtime.clock import worker_of
from vivavoce.server.app import Address, Application, application
from vivavoce.server.refusals import Denial
from vivavoce.server.sealing import ClientSecret
from vivavoce.testing.echo import Echo
from vivavoce.testing.server import running

pytestmark = pytest.mark.anyio

GA = "/v1/realtime/client_secrets"
AZURE_GA = "/openai/v1/realtime/client_secrets"
SESSIONS = "/v1/realtime/sessions"
TRANSCRIPTIONS = "/v1/realtime/transcription_sessions"
AZURE = "/openai/realtimeapi/sessions?api-version=2025-04-01-preview"
EVERY = [GA, AZURE_GA, SESSIONS, TRANSCRIPTIONS, AZURE]
CANARY = "the canary sings at noon"
WORKER = 7


class Choosy(Echo):
    """It echoes, and has no voice `nobody`."""

    def settle(self, opening: Opening, update: SessionUpdate) -> SessionSettings:
        """Whatever was asked for, but in another voice."""
        if update.output.voice == "nobody":
            raise Refusal("There is no voice 'nobody'.", param="session.audio.output.voice")
        return merge(opening.settings, update)


class House:
    """A running server that makes client secrets."""

    def __init__(self, app: Application, address: Address, client: httpx.AsyncClient) -> None:
        self.app = app
        self.address = address
        self._client = client

    async def post(
        self, path: str, body: object = None, headers: Mapping[str, str] = HEADERS
    ) -> httpx.Response:
        """The answer to a request with that body: bytes as they are, what else as JSON."""
        content = body if isinstance(body, bytes) else b"" if body is None else encoded(body)
        return await self._client.post(path, content=content, headers=dict(headers))

    async def made(self, path: str, body: object = None) -> Frame:
        """What is answered where a secret is made."""
        answer = await self.post(path, body)
        assert answer.status_code == 200, answer.text
        return msgspec.json.decode(answer.content, type=Frame)

    async def refused(
        self, path: str, body: object = None, headers: Mapping[str, str] = HEADERS
    ) -> tuple[int, Frame]:
        """Status and error where none is."""
        answer = await self.post(path, body, headers)
        assert answer.headers["cache-control"] == "no-store"
        error: Frame = answer.json()["error"]
        return answer.status_code, error

    async def secret(self, path: str, body: object = None) -> ClientSecret:
        """What is inside of the secret that is made."""
        return self.opened(await self.made(path, body))

    def opened(self, answer: Frame) -> ClientSecret:
        """What is inside of the secret in an answer."""
        secret = self.app.service.seal.open(key_in(answer)["value"])
        assert not isinstance(secret, Denial)
        return secret


@asynccontextmanager
async def house(data_dir: Path, **settings: Any) -> AsyncIterator[House]:  # fields of Config
    """Serve with that configuration."""
    if not settings.get("no_auth"):
        settings.setdefault("api_keys", ("another", KEY))
    echo = Choosy()
    app = application(Config(data_dir=data_dir, **settings), lambda _: echo, worker=WORKER)
    async with (
        running(app) as address,
        # To load the certificates that it would verify takes longer than any test here.
        httpx.AsyncClient(base_url=address.url, verify=False) as client,
    ):
        yield House(app, address, client)


def encoded(body: object) -> bytes:
    return msgspec.json.encode(body)


def key_in(answer: Frame) -> Frame:
    """The secret and its expiry, wherever an answer has them."""
    key: Frame = answer.get("client_secret") or answer
    return key


def official(answer: object, kind: type[BaseModel]) -> None:
    """Raises where the official client's types refuse an answer."""
    kind.model_validate_json(encoded(answer), strict=True)


@pytest.mark.parametrize("path", [GA, AZURE_GA])
@pytest.mark.parametrize("kind", ["realtime", "transcription"])
async def test_a_ga_secret_comes_with_the_whole_session(
    tmp_path: Path, path: str, kind: str
) -> None:
    async with house(tmp_path) as at:
        body = {"session": {"type": kind, "audio": {"input": {"turn_detection": None}}}}
        answer = await at.made(path, body)
        secret = at.opened(answer)

    assert list(answer) == ["value", "expires_at", "session"]
    official(answer, ClientSecretCreateResponse)
    session = answer["session"]
    frame = {"type": "session.created", "event_id": "event_1", "session": session}
    assert faults(frame, "ga") == []
    assert (session["type"], session["expires_at"]) == (kind, 0)
    assert session["audio"]["input"]["turn_detection"] is None
    assert session["id"] == secret.session_id
    assert worker_of(session["id"]) == WORKER
    assert secret.transcription is (kind == "transcription")


@pytest.mark.parametrize("path", [SESSIONS, AZURE])
async def test_a_preview_secret_lies_inside_the_flat_session(tmp_path: Path, path: str) -> None:
    async with house(tmp_path) as at:
        answer = await at.made(path, {"model": "gpt-4o-realtime-preview", "voice": "verse"})
        secret = at.opened(answer)

    official(answer, SessionCreateResponse)
    frame = {"type": "session.created", "event_id": "event_1", "session": answer}
    assert faults(frame, "preview") == []
    assert (answer["object"], answer["id"]) == ("realtime.session", secret.session_id)
    assert (answer["model"], answer["voice"]) == ("gpt-4o-realtime-preview", "verse")
    assert answer["client_secret"].keys() == {"value", "expires_at"}
    assert secret.dialect == "preview"


async def test_a_preview_transcription_secret_lies_inside_its_session(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        answer = await at.made(TRANSCRIPTIONS, {"input_audio_format": "g711_alaw"})
        secret = at.opened(answer)

    official(answer, TranscriptionSession)
    frame = {"type": "transcription_session.created", "event_id": "event_1", "session": answer}
    assert faults(frame, "preview") == []
    assert answer["object"] == "realtime.transcription_session"
    assert answer["input_audio_format"] == "g711_alaw"
    assert answer["input_audio_transcription"]["model"] == "gpt-4o-transcribe"
    assert secret.transcription


@pytest.mark.parametrize(
    ("path", "asked", "lives_s"),
    [
        (GA, None, 600),
        (AZURE_GA, {"expires_after": {"anchor": "created_at", "seconds": 7200}}, 7200),
        (SESSIONS, None, 60),
        (SESSIONS, {"client_secret": {"expires_after": {"seconds": 10}}}, 10),
        (TRANSCRIPTIONS, None, 600),
        (AZURE, None, 60),
    ],
)
async def test_a_secret_lives_as_long_as_was_asked_for(
    tmp_path: Path, path: str, asked: object, lives_s: int
) -> None:
    async with house(tmp_path) as at:
        before = int(at.app.service.clock.wall())
        answer = await at.made(path, asked)
        secret = at.opened(answer)
        after = at.app.service.clock.wall()

    assert key_in(answer)["value"].startswith("ek_")
    assert key_in(answer)["expires_at"] == secret.expires_at == secret.created_at + lives_s
    assert before <= secret.created_at <= after


@pytest.mark.parametrize("path", EVERY)
async def test_all_that_was_asked_for_is_sealed(tmp_path: Path, path: str) -> None:
    limits = {
        "session_seconds": 30,
        "origins": ["HTTPS://App.Example.com:443/", "http://localhost:3000"],
        "single_use": True,
    }
    async with house(tmp_path) as at:
        secret = await at.secret(path, {"locked": ["turn_detection"], "limits": limits})

    assert secret.locked == ("turn_detection",)
    assert secret.session_seconds == 30
    assert secret.origins == ("https://app.example.com", "http://localhost:3000")
    assert secret.single_use
    assert (secret.deployment, secret.model) == ("gpt-realtime", "gpt-realtime")
    assert secret.identity == "key 2"
    assert secret.transcription is (path == TRANSCRIPTIONS)


async def test_no_two_secrets_are_the_same(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        first, second = await at.secret(GA), await at.secret(GA)

    assert first.token_id != second.token_id
    assert first.session_id != second.session_id


async def test_every_answer_must_not_be_kept(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        for path in EVERY:
            assert (await at.post(path)).headers["cache-control"] == "no-store"
            assert (await at.post(path, b"{")).headers["cache-control"] == "no-store"


MODELS = [
    (GA, {"session": {"type": "realtime", "model": "spoken"}}, "spoken", "spoken"),
    (GA + "?model=spoken", None, "spoken", "spoken"),
    (GA + "?model=gpt-realtime", {"model": "spoken"}, "spoken", "spoken"),
    (AZURE_GA + "?deployment=spoken", None, "spoken", "spoken"),
    (AZURE, {"model": "spoken"}, "spoken", "spoken"),
    (AZURE + "&deployment=spoken", None, "spoken", "spoken"),
    (SESSIONS, {"model": "gpt-realtime-2025-08-28"}, "gpt-realtime", "gpt-realtime-2025-08-28"),
    (SESSIONS, None, "gpt-realtime", "gpt-realtime"),
    (TRANSCRIPTIONS, {"model": "spoken"}, "spoken", "spoken"),
    (TRANSCRIPTIONS, {"model": "whisper-1"}, "gpt-realtime", "whisper-1"),
    (
        GA,
        {"session": {"type": "transcription", "model": "whisper-1"}},
        "gpt-realtime",
        "whisper-1",
    ),
]


@pytest.mark.parametrize(("path", "body", "deployment", "model"), MODELS)
async def test_a_secret_is_bound_to_the_deployment_that_was_named(
    tmp_path: Path, path: str, body: object, deployment: str, model: str
) -> None:
    async with house(tmp_path, deployments={"spoken": DeploymentPlan(voice="verse")}) as at:
        answer = await at.made(path, body)
        secret = at.opened(answer)

    assert (secret.deployment, secret.model) == (deployment, model)
    session = answer.get("session", answer)
    if not secret.transcription:
        voice = session["audio"]["output"]["voice"] if "audio" in session else session["voice"]
        assert (session["model"], voice) == (model, "verse" if model == "spoken" else "alloy")


@pytest.mark.parametrize(
    ("path", "body", "code", "param"),
    [
        (GA, {"session": {"model": "gpt-9"}}, "model_not_found", "session.model"),
        (GA, {"model": "gpt-9"}, "model_not_found", "model"),
        (GA + "?model=gpt-9", None, "model_not_found", "model"),
        (SESSIONS, {"model": "gpt-9"}, "model_not_found", "model"),
        (AZURE, {"model": "gpt-9"}, "DeploymentNotFound", None),
        (AZURE_GA, {"session": {"model": "gpt-9"}}, "DeploymentNotFound", None),
    ],
)
async def test_an_unknown_model_is_told_with_a_list(
    tmp_path: Path, path: str, body: object, code: str, param: str | None
) -> None:
    async with house(tmp_path) as at:
        status, error = await at.refused(path, body)

    assert (status, error["code"], error.get("param")) == (404, code, param)
    assert "gpt-realtime-mini" in error["message"]


async def test_strict_wants_a_model_unless_it_is_to_transcribe(tmp_path: Path) -> None:
    async with house(tmp_path, strict=True) as at:
        assert (await at.refused(GA))[0] == 404
        assert (await at.secret(GA + "?model=gpt-realtime")).deployment == "gpt-realtime"
        assert (await at.secret(TRANSCRIPTIONS)).deployment == "gpt-realtime"


async def test_strict_refuses_a_key_that_nobody_knows(tmp_path: Path) -> None:
    async with house(tmp_path, strict=True) as at:
        status, error = await at.refused(SESSIONS, {"model": "gpt-realtime", "colour": 1})

    assert (status, error["code"], error["param"]) == (400, "unknown_parameter", "colour")


async def test_strict_azure_wants_a_version_that_is_known(tmp_path: Path) -> None:
    body = {"model": "gpt-realtime"}
    async with house(tmp_path, strict=True) as at:
        for path in (AZURE.replace("2025", "2035"), AZURE.partition("?")[0]):
            assert await at.refused(path, body) == (
                404,
                {"code": "404", "message": "Resource not found"},
            )
        assert (await at.secret(AZURE, body)).deployment == "gpt-realtime"
    async with house(tmp_path) as at:
        assert (await at.post(AZURE.partition("?")[0])).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "code", "param"),
    [
        (GA, b"{", None, None),
        (AZURE, b"[]", None, None),
        (GA, {"session": {"type": "sip"}}, "invalid_value", "session.type"),
        (AZURE_GA, {"expires_after": {"seconds": 5}}, "integer_below_min_value", "expires_after.seconds"),
        (GA, {"session": {"audio": {"output": {"voice": "nobody"}}}}, "invalid_value", "session.audio.output.voice"),
        (AZURE_GA, {"session": {"voice": "nobody"}}, "invalid_value", "session.voice"),
        (SESSIONS, {"voice": "nobody"}, "invalid_value", "voice"),
        (AZURE, {"voice": "nobody"}, "invalid_value", "voice"),
        (SESSIONS, {"turn_detection": {"threshold": 2}}, "decimal_above_max_value", "turn_detection.threshold"),
        (TRANSCRIPTIONS, {"include": ["all"]}, "invalid_value", "include[0]"),
        (AZURE, {"locked": ["voice", "colour"]}, "invalid_value", "locked[1]"),
        (GA, {"limits": {"origins": ["https://a.example", "a.example"]}}, "invalid_value", "limits.origins[1]"),
        (SESSIONS, {"limits": {"origins": ["https://a.example/path"]}}, "invalid_value", "limits.origins[0]"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_in_openais_form_on_every_path(
    tmp_path: Path, path: str, body: object, code: str | None, param: str | None
) -> None:
    async with house(tmp_path) as at:
        status, error = await at.refused(path, body)

    assert status == 400
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert (error["code"], error["param"]) == (code, param)


LONG = Random(1).randbytes(50_000).hex()  # it cannot be compressed, and is less than is read


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (GA, {"session": {"instructions": LONG}}, "session"),
        (GA, {"type": "realtime", "instructions": LONG}, None),
        (SESSIONS, {"instructions": LONG}, None),
    ],
    ids=["wrapped", "bare", "flat"],
)
async def test_a_session_that_no_secret_can_hold_is_refused(
    tmp_path: Path, path: str, body: object, param: str | None
) -> None:
    async with house(tmp_path) as at:
        status, error = await at.refused(path, body)

    assert (status, error["code"], error["param"]) == (400, "session_too_large", param)
    assert "Shorten its instructions or tools." in error["message"]


@pytest.mark.parametrize("path", EVERY)
async def test_no_more_of_a_body_is_read_than_may_be(tmp_path: Path, path: str) -> None:
    async with house(tmp_path) as at:
        status, error = await at.refused(path, b" " * 3_000_000)
        assert (await at.post(path)).status_code == 200

    assert status == 413
    assert "at most 256 KiB" in error["message"]


@pytest.mark.parametrize("path", EVERY)
async def test_whoever_has_no_key_gets_no_secret(tmp_path: Path, path: str) -> None:
    async with house(tmp_path) as at:
        token = key_in(await at.made(path))["value"]
        nothing = await at.refused(path, headers={})
        wrong = await at.refused(path, headers={"api-key": "wrong"})
        secret = await at.refused(path, headers={"Authorization": f"Bearer {token}"})

    assert [status for status, _ in (nothing, wrong, secret)] == [401, 401, 403]
    assert "needs an API key" in secret[1]["message"]


async def test_a_body_is_not_looked_at_before_the_key(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        status, _ = await at.refused(GA, b"{", headers={})

    assert status == 401


async def test_a_page_of_another_origin_gets_no_secret_by_a_key(tmp_path: Path) -> None:
    headers = {**HEADERS, "Origin": "https://elsewhere.example"}
    async with house(tmp_path) as at:
        assert (await at.refused(GA, headers=headers))[0] == 403


async def test_a_server_that_is_open_to_all_makes_secrets_for_all(tmp_path: Path) -> None:
    async with house(tmp_path, no_auth=True) as at:
        answer = await at.post(GA, headers={})
        assert at.opened(answer.json()).identity == "anybody"


async def test_no_secret_is_made_while_the_server_drains(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        at.app.service.readiness.drain()
        status, error = await at.refused(GA)

    assert (status, error["code"]) == (503, "server_error")


@pytest.mark.parametrize(
    ("lacking", "status"), [(EngineUnavailable("broken"), 503), (EngineFull("full"), 429)]
)
async def test_no_secret_is_made_for_what_cannot_be_served(
    tmp_path: Path, lacking: EngineUnavailable, status: int
) -> None:
    def backend_for(deployment: Deployment) -> Backend:
        raise lacking

    async with house(tmp_path) as at:
        at.app.service.backend_for = backend_for
        assert (await at.refused(GA))[0] == status


@pytest.mark.parametrize("path", [SESSIONS, TRANSCRIPTIONS, AZURE])
async def test_without_the_preview_dialect_there_are_no_secrets_of_it(
    tmp_path: Path, path: str
) -> None:
    async with house(tmp_path, preview=False) as at:
        status, error = await at.refused(path)
        assert (await at.post(GA)).status_code == 200

    assert (status, error["code"]) == (400, "beta_api_shape_disabled")


SINGS: Frame = {"instructions": CANARY, "tools": [{"type": "function", "name": "canary"}]}


@pytest.mark.parametrize(("path", "body"), [(GA, {"session": SINGS}), (SESSIONS, SINGS)])
async def test_the_answer_shows_what_the_holder_may_see_and_no_more(
    tmp_path: Path, path: str, body: Frame
) -> None:
    async with house(tmp_path) as at:
        whole = await at.made(path, body)
        answer = await at.made(path, {**body, "locked": ["instructions", "tools"]})
        secret = at.opened(answer)

    assert CANARY in str(whole)
    assert "canary" not in str(answer)
    assert b"canary" in secret.session


async def test_what_the_log_says_of_a_secret_is_neither_the_secret_nor_what_it_holds(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as at:
        with structlog.testing.capture_logs() as logged:
            answer = await at.made(GA, {"session": SINGS, "colour": CANARY})
            await at.refused(GA, {"session": {"tools": CANARY}})

    (made,) = [line for line in logged if line["event"] == "client secret made"]
    assert (made["deployment"], made["identity"], made["seconds"]) == ("gpt-realtime", "key 2", 600)
    assert [line["key"] for line in logged if line["event"] == "a key was ignored"] == ["colour"]
    assert CANARY not in str(logged)
    assert answer["value"] not in str(logged)


async def test_whoever_holds_the_secret_gets_the_session_that_was_shown(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        session = {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}
        answer = await at.made(GA, {"session": session})
        async with connect(
            at.address.ws_url + "/v1/realtime",
            additional_headers={"Authorization": f"Bearer {answer['value']}"},
        ) as client:
            created = await next_frame(client)

    assert created["session"] == {
        **answer["session"],
        "expires_at": created["session"]["expires_at"],
    }


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # it asks for its platform in a thread
async def test_the_official_client_makes_secrets_of_every_kind(tmp_path: Path) -> None:
    async with (
        house(tmp_path) as at,
        AsyncOpenAI(api_key=KEY, base_url=at.address.url + "/v1", max_retries=0) as client,
    ):
        made = await client.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 30},
            session={"type": "realtime", "model": "gpt-realtime-mini", "instructions": "Hm."},
            extra_body={"limits": {"single_use": True}},
        )
        dictated = await client.realtime.client_secrets.create(session={"type": "transcription"})
        flat = await client.beta.realtime.sessions.create(
            model="gpt-4o-realtime-preview",
            client_secret={"expires_after": {"anchor": "created_at", "seconds": 20}},
        )
        heard = await client.beta.realtime.transcription_sessions.create(
            input_audio_transcription={"model": "whisper-1"}
        )
        with pytest.raises(BadRequestError) as caught:
            await client.realtime.client_secrets.create(
                session={"type": "realtime", "audio": {"output": {"voice": "nobody"}}}
            )
        secrets = [
            at.opened({"value": value})
            for value in (
                made.value,
                dictated.value,
                flat.client_secret.value,
                heard.client_secret.value,
            )
        ]

    assert made.session.type == "realtime"
    assert (made.session.model, made.session.instructions) == ("gpt-realtime-mini", "Hm.")
    assert secrets[0].single_use
    assert dictated.session.type == "transcription"
    assert flat.modalities == ["audio", "text"]
    assert heard.input_audio_transcription is not None
    assert heard.input_audio_transcription.model == "whisper-1"
    lives = [secret.expires_at - secret.created_at for secret in secrets]
    assert lives == [30, 600, 20, 600]
    assert caught.value.param == "session.audio.output.voice"
