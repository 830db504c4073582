"""Pages of other origins: what they may ask of the server, and what browsers let them read."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from compat_calls import CALLS, calling, idle_offer, post_offer, secret
from compat_servers import KEY, PATIENCE_S, Site, scenario, served
from compat_wire import GA, Frame, line, refusal
from websockets import InvalidStatus, Origin
from websockets.asyncio.client import connect

from vivavoce.config import Config
from vivavoce.deployments import Deployment
from vivavoce.runtime.channel import Backend
from vivavoce.server.app import application
from vivavoce.testing.server import running_in_thread

pytest_plugins = ["compat_fixtures"]
pytestmark = pytest.mark.anyio

PAGE, ELSEWHERE = "https://app.example", "https://elsewhere.example"
CLIENT_SECRETS = "/v1/realtime/client_secrets"
BEARER = {"Authorization": f"Bearer {KEY}"}
PATHS = {
    "websocket": "/v1/realtime",
    "azure websocket": "/openai/v1/realtime",
    "call": CALLS,
    "azure call": "/openai/v1/realtime/calls",
    "preview call": "/v1/realtime",
    "secret": CLIENT_SECRETS,
    "preview secret": "/v1/realtime/sessions",
    "azure preview secret": "/openai/realtimeapi/sessions?api-version=2025-04-01-preview",
    "hangup": f"{CALLS}/rtc_nowhere/hangup",
    "models": "/v1/models",
    "azure models": "/openai/v1/models",
}
# With which status each is answered where its page may ask.
WELCOME = {"call": 400, "secret": 200, "hangup": 404, "models": 200}


@pytest.fixture(scope="module")
def friendly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server whose operator lets the pages of one origin hold the key."""
    folder = tmp_path_factory.mktemp("friendly")
    script = scenario(folder, pace=0)
    with served(
        Config(api_keys=(KEY,), data_dir=folder, scenario=script, allowed_origins=(f"{PAGE}/",))
    ) as site:
        yield site


@pytest.fixture(scope="module")
def keyless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that asks nobody for a key."""
    folder = tmp_path_factory.mktemp("keyless")
    script = scenario(folder, pace=0)
    with served(Config(no_auth=True, data_dir=folder, scenario=script)) as site:
        yield site


async def asked(site: Site, kind: str, headers: Mapping[str, str]) -> httpx.Response:
    """The answer to a request of that kind over plain HTTP."""
    method = "GET" if kind.endswith("models") else "POST"
    body = b"no offer" if kind.endswith("call") else b""
    sdp = {"Content-Type": "application/sdp"} if body else {}
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
        return await client.request(
            method, site.url + PATHS[kind], headers={**sdp, **headers}, content=body
        )


async def judged(site: Site, kind: str, headers: Mapping[str, str]) -> tuple[int, str]:
    """Status and message with which a request is answered; 101 stands for an upgrade."""
    if not kind.endswith("websocket"):
        answer = await asked(site, kind, headers)
        found: Frame = answer.json()
        return answer.status_code, found.get("error", {}).get("message", "")
    try:
        async with line(site, PATHS[kind], headers=headers):
            return 101, ""
    except InvalidStatus:
        status, error, _ = await refusal(site, PATHS[kind], headers)
        return status, error["message"]


def welcome(kind: str) -> int:
    """The status for whoever may ask."""
    return WELCOME.get(kind.rpartition(" ")[2], 101)


@pytest.mark.parametrize("kind", PATHS)
async def test_a_page_of_another_origin_has_no_use_for_a_key(scripted: Site, kind: str) -> None:
    status, message = await judged(scripted, kind, {**BEARER, "Origin": ELSEWHERE})
    style = "/openai/v1" if PATHS[kind].startswith("/openai") else "/v1"
    assert status == 403
    assert "An API key does not belong in a browser" in message
    assert f"POST {style}/realtime/client_secrets" in message
    assert f"--allow-origin {ELSEWHERE}" in message
    assert KEY not in message


@pytest.mark.parametrize("kind", PATHS)
async def test_programs_and_the_pages_of_the_server_itself_may_use_a_key(
    scripted: Site, kind: str
) -> None:
    for headers in ({}, {"Origin": scripted.url}):
        assert (await judged(scripted, kind, {**BEARER, **headers}))[0] == welcome(kind)


@pytest.mark.parametrize("kind", PATHS)
async def test_the_operator_may_let_the_pages_of_an_origin_hold_a_key(
    friendly: Site, kind: str
) -> None:
    assert (await judged(friendly, kind, {**BEARER, "Origin": PAGE}))[0] == welcome(kind)
    for origin in (ELSEWHERE, "http://app.example", f"{PAGE}:8443", f"{PAGE}.evil.example"):
        assert (await judged(friendly, kind, {**BEARER, "Origin": origin}))[0] == 403


@pytest.mark.parametrize("origin", ["null", "*", "", f"{PAGE}, {PAGE}", "app.example", "file://"])
@pytest.mark.parametrize("kind", ["websocket", "call", "models"])
async def test_what_is_no_origin_of_a_page_is_no_way_in(
    friendly: Site, kind: str, origin: str
) -> None:
    assert (await judged(friendly, kind, {**BEARER, "Origin": origin}))[0] == 403


async def test_a_wrong_key_is_told_before_a_wrong_origin(scripted: Site) -> None:
    for kind in ("websocket", "call", "models"):
        headers = {"Authorization": "Bearer nobody", "Origin": ELSEWHERE}
        assert (await judged(scripted, kind, headers))[0] == 401


@pytest.mark.parametrize("place", ["header", "query", "subprotocol"])
async def test_a_key_is_refused_wherever_a_page_puts_it(scripted: Site, place: str) -> None:
    query = f"?api-key={KEY}" if place == "query" else ""
    status, error, _ = await refusal(
        scripted,
        f"/v1/realtime{query}",
        {"Origin": ELSEWHERE, **({"api-key": KEY} if place == "header" else {})},
        [f"openai-insecure-api-key.{KEY}", "realtime"] if place == "subprotocol" else None,
    )
    assert status == 403
    assert "does not belong in a browser" in error["message"]


@pytest.mark.parametrize("origin", [PAGE, ELSEWHERE, "null", "http://localhost:3000"])
async def test_pages_of_every_origin_may_use_client_secrets(scripted: Site, origin: str) -> None:
    held = {"Authorization": f"Bearer {(await secret(scripted))['value']}", "Origin": origin}
    for kind in ("websocket", "azure websocket", "call", "azure call", "preview call"):
        assert (await judged(scripted, kind, held))[0] == welcome(kind)


async def test_a_page_of_another_origin_calls_with_a_secret(scripted: Site) -> None:
    made = await secret(scripted)
    async with calling(scripted, key=made["value"], headers={"Origin": ELSEWHERE}) as caller:
        caller.write("Good day, who is there?", output_modalities=["text"])
        await caller.until("response.done")


# A server without keys.


@pytest.mark.parametrize("kind", PATHS)
async def test_a_server_that_asks_for_no_key_serves_no_foreign_pages(
    keyless: Site, kind: str
) -> None:
    for headers in ({}, {"Origin": keyless.url}):
        assert (await judged(keyless, kind, headers))[0] == welcome(kind)
    status, message = await judged(keyless, kind, {"Origin": ELSEWHERE})
    assert status == 403
    assert "asks for no key, so it serves no foreign pages" in message
    assert (await judged(keyless, kind, {"Origin": "null"}))[0] == 403


def port_of(site: Site) -> str:
    """The port at which it listens."""
    return site.url.rpartition(":")[2]


@pytest.mark.parametrize("kind", [kind for kind in PATHS if not kind.endswith("websocket")])
async def test_a_name_that_somebody_made_to_point_here_is_none_of_ours(
    keyless: Site, scripted: Site, kind: str
) -> None:
    """Its pages are of the same origin as the server, if one believes the browser."""
    name = f"rebound.example:{port_of(keyless)}"
    headers = {"Host": name, "Origin": f"http://{name}"}
    assert (await judged(keyless, kind, headers))[0] == 403
    # Where a key is asked for, they would have to know it.
    name = f"voice.example:{port_of(scripted)}"
    headers = {**BEARER, "Host": name, "Origin": f"http://{name}"}
    assert (await judged(scripted, kind, headers))[0] == welcome(kind)


async def test_a_rebound_name_is_turned_down_before_the_upgrade(keyless: Site) -> None:
    def by(name: str) -> connect:
        port = int(port_of(keyless))
        origin = Origin(f"http://{name}:{port}")
        address = f"ws://{name}:{port}/v1/realtime"
        return connect(address, host="127.0.0.1", port=port, origin=origin)

    with pytest.raises(InvalidStatus) as caught:
        async with by("rebound.example"):
            pass
    assert caught.value.response.status_code == 403
    async with by("localhost") as connection:
        assert b"session.created" in await connection.recv(decode=False)


# What browsers ask ahead.


@pytest.mark.parametrize("kind", [kind for kind in PATHS if not kind.endswith("websocket")])
async def test_browsers_are_told_ahead_that_their_pages_may_ask(scripted: Site, kind: str) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.options(
            scripted.url + PATHS[kind],
            headers={
                "Origin": ELSEWHERE,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type,x-of-the-page",
            },
        )
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert {"POST", "GET"} <= listed(answer, "access-control-allow-methods")
    asked_for = {"authorization", "content-type", "api-key", "x-of-the-page"}
    allowed = {name.lower() for name in listed(answer, "access-control-allow-headers")}
    assert asked_for <= allowed
    assert "access-control-allow-credentials" not in answer.headers


def listed(answer: httpx.Response, name: str) -> set[str]:
    """The entries of a header."""
    return {each.strip() for each in answer.headers[name].split(",")}


# What pages may read.


def readable(answer: httpx.Response) -> bool:
    """Whether a browser would show it, and where the call is, to a page of another origin."""
    return (
        answer.headers.get_list("access-control-allow-origin") == ["*"]
        and "Location" in listed(answer, "access-control-expose-headers")
        and "Retry-After" in listed(answer, "access-control-expose-headers")
    )


LARGE = b"v=0\r\n" + b"a" * 300_000
ANSWERS: list[tuple[int, str, str, dict[str, Any]]] = [
    (200, "POST", CLIENT_SECRETS, {"headers": BEARER}),
    (200, "GET", "/v1/models", {"headers": BEARER}),
    (400, "POST", CALLS, {"headers": BEARER, "content": b"no offer"}),
    (400, "POST", CLIENT_SECRETS, {"headers": BEARER, "content": b"no JSON"}),
    (401, "POST", CALLS, {}),
    (401, "GET", "/openai/v1/models", {"headers": {"api-key": "nobody"}}),
    (403, "POST", CALLS, {"headers": {**BEARER, "Origin": ELSEWHERE}}),
    (404, "POST", f"{CALLS}/rtc_nowhere/hangup", {"headers": BEARER}),
    (404, "POST", f"{CALLS}?model=nothing", {"headers": BEARER, "content": b"v=0"}),
    (404, "GET", "/v1/nothing", {}),
    (404, "GET", "/openai/nothing", {}),
    (405, "GET", CALLS, {"headers": BEARER}),
    (405, "DELETE", "/openai/v1/realtime/client_secrets", {"headers": BEARER}),
    (413, "POST", CALLS, {"headers": BEARER, "content": LARGE}),
    (413, "POST", CLIENT_SECRETS, {"headers": BEARER, "content": LARGE}),
    (
        415,
        "POST",
        CALLS,
        {"headers": {**BEARER, "Content-Type": "text/html"}, "content": b"v=0"},
    ),
    (426, "GET", "/v1/realtime", {"headers": BEARER}),
]


@pytest.mark.parametrize(("status", "method", "path", "more"), ANSWERS)
async def test_pages_can_read_whatever_the_api_answers(
    scripted: Site, status: int, method: str, path: str, more: dict[str, Any]
) -> None:
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
        answer = await client.request(method, scripted.url + path, **more)
    assert answer.status_code == status, answer.text
    assert readable(answer), answer.headers
    if status >= 400:
        assert answer.json()["error"]["message"]


async def test_pages_can_read_where_their_call_is(scripted: Site) -> None:
    made = await secret(scripted)
    answer = await post_offer(
        scripted, CALLS, await idle_offer(), key=made["value"], headers={"Origin": ELSEWHERE}
    )
    async with httpx.AsyncClient() as client:
        ended = await client.post(
            f"{scripted.url}{answer.headers['location']}/hangup", headers=BEARER
        )
    assert (answer.status_code, ended.status_code) == (201, 200)
    assert readable(answer)
    assert readable(ended)


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics", "/nothing"])
async def test_pages_can_read_nothing_outside_the_api(scripted: Site, path: str) -> None:
    async with httpx.AsyncClient() as client:
        for method in ("GET", "OPTIONS"):
            answer = await client.request(
                method,
                scripted.url + path,
                headers={"Origin": ELSEWHERE, "Access-Control-Request-Method": "GET"},
            )
            assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with a mistake in it."""

    def mistaken(_deployment: Deployment) -> Backend:
        raise RuntimeError("of our own")

    config = Config(api_keys=(KEY,), data_dir=tmp_path_factory.mktemp("faulty"))
    with running_in_thread(lambda: application(config, mistaken)) as address:
        yield Site(address.url)


@pytest.mark.parametrize("path", [CALLS, "/openai/v1/realtime/client_secrets"])
async def test_pages_can_read_that_the_server_failed(faulty: Site, path: str) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            faulty.url + path,
            headers={**BEARER, **({"Content-Type": "application/sdp"} if path == CALLS else {})},
        )
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/json"
    assert readable(answer)
    assert "of our own" not in answer.text


async def test_pages_can_read_that_there_is_no_room(tmp_path: Path) -> None:
    script = scenario(tmp_path, pace=0)
    config = Config(api_keys=(KEY,), data_dir=tmp_path, scenario=script, max_sessions=1)
    with served(config) as site:
        async with line(site, GA):
            answer = await post_offer(site, CALLS, await idle_offer())
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
    assert readable(answer)
