"""Which pages may use the server, and what browsers are told ahead."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from vivavoce.server.auth import Identity
from vivavoce.server.handshake import Handshake, of_scope
from vivavoce.server.origins import Cors, cors_headers, judge_origin, origin_of, preflight
from vivavoce.server.refusals import SECRET_NEEDS_ORIGIN, UNREADABLE_ORIGIN, Denial
from vivavoce.server.sealing import ClientSecret

APP = "https://app.example"
KEYED, ANYBODY = Identity("key 1"), Identity("anybody")
HERE = "127.0.0.1:8642"


def holder(*origins: str) -> Identity:
    """Who holds a client secret for those origins."""
    fields = {
        "token_id": "ek-1",
        "deployment": "gpt-realtime",
        "model": "gpt-realtime",
        "dialect": "ga",
        "session": b"{}",
        "session_id": "sess_1",
        "created_at": 1000,
        "expires_at": 1600,
        "identity": "key 2",
        "origins": origins,
    }
    return Identity("client secret of key 2", msgspec.convert(fields, ClientSecret))


def judged(
    origin: str | None,
    identity: Identity = KEYED,
    *,
    host: str | None = HERE,
    allowed: tuple[str, ...] = (),
    secure: bool = False,
    own: tuple[str, ...] = (),
) -> Denial | None:
    """The judgement on a request from a page of *origin* to *host*."""
    says = {"origin": origin, "host": host}
    handshake = Handshake("/v1/realtime", {k: v for k, v in says.items() if v is not None})
    return judge_origin(
        handshake,
        identity,
        allowed=allowed,
        keyless=identity is ANYBODY,
        secure=secure,
        own_hosts=own,
    )


@pytest.mark.parametrize("identity", [KEYED, ANYBODY, holder()])
@pytest.mark.parametrize("host", [HERE, "evil.example", None])
def test_a_request_of_no_page_passes(identity: Identity, host: str | None) -> None:
    assert judged(None, identity, host=host) is None


def test_a_secret_for_certain_pages_needs_a_page() -> None:
    assert judged(None, holder(APP)) == SECRET_NEEDS_ORIGIN


SAME = [
    ("http://127.0.0.1:8642", "127.0.0.1:8642"),
    ("http://localhost:8642", "localhost:8642"),
    ("http://LocalHost:8642", "LOCALHOST:8642"),
    ("http://[::1]:8642", "[::1]:8642"),
    ("http://[::1]:8642", "[0:0:0:0:0:0:0:1]:8642"),
    ("http://localhost", "localhost"),
    ("http://localhost", "localhost:80"),
    ("http://localhost:80", "localhost"),
    ("https://localhost", "localhost"),  # a proxy speaks TLS in our place
    ("https://localhost", "localhost:443"),
    ("https://localhost:443", "localhost"),
    ("http://voice.localhost:8642", "voice.localhost:8642"),
]
OTHER = [
    ("http://127.0.0.1:8643", "127.0.0.1:8642"),
    ("http://127.0.0.1", "127.0.0.1:8642"),
    ("http://localhost:8642", "127.0.0.1:8642"),
    ("http://localhost:8642", "localhost"),
    ("https://localhost", "localhost:80"),
    ("http://localhost", "localhost:443"),
    ("http://localhost.evil.example:8642", "localhost:8642"),
    ("http://[::2]:8642", "[::1]:8642"),
    ("http://localhost:8642", None),
    ("http://localhost:8642", ""),
    ("http://localhost:8642", "localhost:8642, localhost:8642"),
    ("http://localhost:8642", "user@localhost:8642"),
    ("chrome-extension://localhost", "localhost"),
    ("null", "null"),
]


@pytest.mark.parametrize("identity", [KEYED, ANYBODY])
@pytest.mark.parametrize(("origin", "host"), SAME)
def test_a_page_of_the_same_origin_passes(identity: Identity, origin: str, host: str) -> None:
    assert judged(origin, identity, host=host) is None


@pytest.mark.parametrize("identity", [KEYED, ANYBODY])
@pytest.mark.parametrize(("origin", "host"), OTHER)
def test_a_page_of_another_origin_needs_more_than_a_key(
    identity: Identity, origin: str, host: str | None
) -> None:
    denial = judged(origin, identity, host=host)
    assert denial is not None
    assert denial.status == 403


def test_a_server_with_tls_of_its_own_has_no_pages_without() -> None:
    assert judged("http://localhost", host="localhost", secure=True) is not None
    assert judged("https://localhost", host="localhost", secure=True) is None
    assert judged("https://localhost:8642", host="localhost:8642", secure=True) is None


@pytest.mark.parametrize(
    ("host", "own", "passes"),
    [
        ("evil.example:8642", (), False),
        ("127.0.0.1.evil.example:8642", (), False),
        ("localhost.evil.example:8642", (), False),
        ("notlocalhost:8642", (), False),
        ("10.0.0.5:8642", (), False),
        ("10.0.0.5:8642", ("10.0.0.5",), True),
        ("voice.example:8642", ("127.0.0.1", "Voice.Example"), True),
        ("voice.example.evil.example:8642", ("voice.example",), False),
        ("[fd00::1]:8642", ("fd00::1",), True),
        ("[fd00::1]:8642", ("[fd00:0::1]",), True),
        ("[fd00::2]:8642", ("fd00::1",), False),
        ("127.8.9.1:8642", (), True),
        ("[::1]:8642", (), True),
    ],
)
@pytest.mark.parametrize("identity", [ANYBODY, holder(APP)])
def test_a_name_that_was_made_to_point_here_is_not_ours(
    identity: Identity, host: str, own: tuple[str, ...], passes: bool
) -> None:
    assert (judged(f"http://{host}", identity, host=host, own=own) is None) is passes


def test_whoever_has_a_key_may_call_the_server_by_any_name() -> None:
    assert judged("https://voice.example", host="voice.example") is None


@pytest.mark.parametrize("identity", [KEYED, ANYBODY])
@pytest.mark.parametrize(
    ("origin", "allowed", "passes"),
    [
        (APP, (APP,), True),
        (APP, ("https://other.example", APP), True),
        (APP, ("*",), True),
        (APP, (), False),
        (APP, ("https://other.example",), False),
        (APP, ("http://app.example",), False),
        (APP, ("https://app.example:8443",), False),
        (APP, ("https://app.example:443",), True),
        (APP, ("https://app.example/",), True),
        (f"{APP}:443", (APP,), True),
        ("https://APP.Example", ("HTTPS://app.EXAMPLE",), True),
        ("http://app.example:443", (APP,), False),
        ("https://app.example.evil", (APP,), False),
        ("https://evil.app.example", (APP,), False),
        ("https://xn--bcher-kva.example", ("https://bücher.example",), True),
        ("http://[2001:db8::1]:3000", ("http://[2001:DB8:0:0::1]:3000",), True),
        ("null", (), False),
        ("null", (APP,), False),
        ("null", ("null",), True),
        ("null", ("*",), True),
        ("file://", ("file://",), True),
        ("file://", ("null",), False),
        ("chrome-extension://abcdef", ("chrome-extension://abcdef",), True),
        (f"{APP}, {APP}", (APP,), False),
        (f"{APP}, https://evil.example", (APP,), False),
        (f"https://evil.example, {APP}", (APP,), False),
        (f"{APP}, {APP}", ("*",), True),
        ("", (APP,), False),
        ("*", (APP,), False),
        ("app.example", (APP,), False),
        ("https://user@app.example", (APP,), False),
        ("https://app.example/path", (APP,), False),
        (APP, ("app.example", "*.example"), False),
    ],
)
def test_the_operator_says_which_pages_may_do_without_a_secret(
    identity: Identity, origin: str, allowed: tuple[str, ...], passes: bool
) -> None:
    assert (judged(origin, identity, allowed=allowed) is None) is passes


@pytest.mark.parametrize("origin", [APP, "null", "http://evil.example:8642", f"{APP}, {APP}", ""])
def test_a_secret_that_lists_no_origins_is_good_for_all(origin: str) -> None:
    assert judged(origin, holder(), host="evil.example:8642") is None


@pytest.mark.parametrize(
    ("origin", "passes"),
    [
        (APP, True),
        ("HTTPS://APP.example:443", True),
        ("http://localhost:3000", True),
        ("https://other.example", False),
        ("null", False),
        (f"{APP}, {APP}", False),
        ("http://127.0.0.1:8642", True),  # ours
    ],
)
def test_a_secret_that_lists_origins_is_good_for_those_and_ours(origin: str, passes: bool) -> None:
    identity = holder("https://App.Example/", "http://localhost:3000")
    assert (judged(origin, identity) is None) is passes


def test_what_the_operator_allows_without_a_secret_widens_no_secret() -> None:
    assert judged("https://other.example", holder(APP), allowed=("*",)) is not None


@pytest.mark.parametrize("azure", [False, True])
@pytest.mark.parametrize("identity", [KEYED, ANYBODY])
def test_a_page_with_a_key_is_told_what_would_be_right(identity: Identity, azure: bool) -> None:
    denial = judged("https://App.example:443", identity)
    assert denial is not None
    body = msgspec.json.decode(denial.body(azure), type=dict[str, dict[str, str | None]])
    message = body["error"]["message"] or ""
    path = "/openai/v1/realtime" if azure else "/v1/realtime"
    assert f"POST {path}/client_secrets" in message
    assert f"--allow-origin {APP}." in message
    assert body["error"]["code"] == ("403" if azure else None)
    assert ("does not belong in a browser" in message) is (identity is KEYED)


def test_a_secret_tells_its_holder_nothing_of_the_origins_it_lists() -> None:
    denial = judged("https://other.example", holder("https://hush.example"))
    assert denial is not None
    assert b"hush" not in denial.body(azure=False) + denial.body(azure=True)


def test_what_is_no_single_origin_is_told_so() -> None:
    assert judged(f"{APP}, {APP}") == UNREADABLE_ORIGIN


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("*", "*"),
        ("NULL", "null"),
        ("file://", "file://"),
        ("HTTP://Example.COM:80/", "http://example.com"),
        ("https://example.com:80", "https://example.com:80"),
        ("http://[0::1]:443", "http://[::1]:443"),
        ("tauri://localhost", "tauri://localhost"),
        ("https://example.com.", "https://example.com."),
    ],
)
def test_an_origin_has_one_spelling(text: str, normal: str) -> None:
    assert origin_of(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com",
        "//example.com",
        "https://",
        "https://*.example.com",
        "https://example.com/app",
        "https://example.com?x",
        "https://example.com#x",
        "https://user:pass@example.com",
        "https://example.com:0",
        "https://example.com:65536",
        "https://example.com:٣",
        "https://example.com:",
        "https://a..b",
        "https://[::1",
        "https://[1.2.3.4]",
        "https://[::1%25eth0]",
        "https://exa mple.com",
        "https://example.com\n",
        "https://a.example,https://b.example",
        "https:\\\\example.com",
    ],
)
def test_what_is_no_origin_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"https://app\.example\.com"):
        origin_of(text)


@given(text=st.text(max_size=60) | st.from_regex(r"https?://[^/]{0,20}(:\d{0,6})?", fullmatch=True))
def test_an_origin_read_twice_stays_as_it_is(text: str) -> None:
    try:
        normal = origin_of(text)
    except ValueError:
        return
    assert origin_of(normal) == normal


@given(origin=st.text(max_size=60), host=st.text(max_size=60))
def test_no_page_passes_by_words_that_mean_nothing(origin: str, host: str) -> None:
    if not (origin.lower().startswith("http") and "localhost" in host.lower()):
        assert judged(origin, ANYBODY, host=host) is not None


API_PATHS = ["/v1/realtime/calls", "/openai/v1/realtime/calls", "/openai/realtimeapi/sessions"]
OTHER_PATHS = ["/", "/metrics", "/v1", "/v1x/realtime", "/openaix/realtime", "/healthz"]


@pytest.mark.parametrize("path", API_PATHS)
def test_pages_may_read_the_answers_of_the_api_and_where_a_call_is(path: str) -> None:
    headers = cors_headers(Handshake(path))
    assert headers["Access-Control-Allow-Origin"] == "*"
    exposed = headers["Access-Control-Expose-Headers"].lower().split(", ")
    assert {"location", "x-request-id", "apim-request-id", "retry-after"} <= set(exposed)


@pytest.mark.parametrize("path", OTHER_PATHS)
def test_pages_may_read_nothing_else(path: str) -> None:
    assert cors_headers(Handshake(path)) == {}


def test_a_preflight_is_answered_without_a_credential() -> None:
    status, headers = preflight(Handshake("/v1/realtime/calls"))
    assert status == 204
    assert headers == {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Methods": "POST, GET, OPTIONS",
        "Access-Control-Allow-Headers": "Authorization, Content-Type, api-key",
        "Access-Control-Max-Age": "600",
    }


@pytest.mark.parametrize(
    ("asked", "more"),
    [
        ("authorization,content-type", []),
        ("x-openai-agents-sdk, OpenAI-Beta", ["x-openai-agents-sdk", "OpenAI-Beta"]),
        ("x-a,x-A,API-KEY", ["x-a"]),
        ("x a, x\r\ny, x:b, é, ,x-b", ["x-b"]),
        ("x" * 65 + "," + "y" * 64, ["y" * 64]),
        (",".join(f"x-{n}" for n in range(1000)), [f"x-{n}" for n in range(32)]),
    ],
)
def test_a_page_may_send_the_headers_it_asks_for_if_they_are_headers(
    asked: str, more: list[str]
) -> None:
    knock = Handshake("/v1/realtime", {"access-control-request-headers": asked})
    allowed = preflight(knock)[1]["Access-Control-Allow-Headers"].split(", ")
    assert allowed == ["Authorization", "Content-Type", "api-key", *more]


@pytest.mark.parametrize(("asked", "told"), [("true", "true"), ("no", None)])
def test_a_page_may_reach_into_a_private_network_if_it_asks(asked: str, told: str | None) -> None:
    headers = {"access-control-request-private-network": asked}
    answer = preflight(Handshake("/v1/realtime", headers))[1]
    assert answer.get("Access-Control-Allow-Private-Network") == told


async def _posted(_request: Request) -> Response:
    return PlainTextResponse("made", 201, {"Location": "/v1/realtime/calls/rtc_1"})


async def _failed(_request: Request) -> Response:
    raise RuntimeError("our mistake")


INNER = Starlette(
    routes=[
        Route("/v1/realtime/calls", _posted, methods=["POST"]),
        Route("/v1/failed", _failed),
        Route("/metrics", _posted),
    ]
)


async def asked(method: str, path: str, kind: str = "http") -> tuple[int, dict[str, str]]:
    """Status and headers of the answer of an application behind Cors."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {  # as ASGI has it
        "type": kind,
        "method": method,
        "path": path,
        "headers": [(b"origin", APP.encode()), (b"access-control-request-headers", b"x-one")],
        "query_string": b"",
    }
    try:
        await Cors(INNER)(scope, receive, send)
    except RuntimeError as error:
        assert str(error) == "our mistake"  # noqa: PT017 - Starlette answers, and raises it too
    names = [name for name, _ in sent[0]["headers"]]
    assert len(names) == len(set(names))
    return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/realtime/calls", 201),
        ("GET", "/v1/realtime/calls", 405),
        ("GET", "/v1/nothing", 404),
        ("GET", "/openai/nothing", 404),
        ("GET", "/v1/failed", 500),
    ],
)
async def test_pages_can_read_every_answer_of_the_api(method: str, path: str, status: int) -> None:
    answer = await asked(method, path)
    assert answer[0] == status
    assert answer[1]["access-control-allow-origin"] == "*"
    assert "Location" in answer[1]["access-control-expose-headers"]


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/v1/realtime/calls", "/v1/realtime/calls/", "/openai/nothing"])
async def test_preflights_are_answered_before_anything_else(path: str) -> None:
    status, headers = await asked("OPTIONS", path)
    assert status == 204
    assert headers["access-control-allow-headers"].endswith(", x-one")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/metrics", 201), ("OPTIONS", "/metrics", 405), ("GET", "/nothing", 404)],
)
async def test_other_paths_are_left_alone(method: str, path: str, status: int) -> None:
    answer = await asked(method, path)
    assert answer[0] == status
    assert not [name for name in answer[1] if name.startswith("access-control")]


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
async def test_a_websocket_and_the_lifespan_are_left_alone(kind: str) -> None:
    given: list[tuple[Scope, Receive, Send]] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        given.append((scope, receive, send))

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    async def send(message: Message) -> None:
        raise AssertionError("nothing is written")

    scope = {"type": kind, "path": "/v1/realtime", "headers": [], "query_string": b""}
    await Cors(inner)(scope, receive, send)
    assert [(kept is scope, out is send) for kept, _, out in given] == [(True, True)]


def test_several_origin_headers_become_one_that_is_no_origin() -> None:
    scope = {
        "type": "http",
        "path": "/v1/realtime/calls",
        "query_string": b"",
        "headers": [(b"origin", APP.encode()), (b"Origin", APP.encode()), (b"host", b"here")],
    }
    denial = judge_origin(
        of_scope(scope), KEYED, allowed=(APP,), keyless=False, secure=False, own_hosts=()
    )
    assert denial == UNREADABLE_ORIGIN
