"""Signing in: by link, by key, out again; and for whom the cookie that comes of it counts."""

import base64
import re
from pathlib import Path

import httpx
import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from server_clients import GA, HEADERS, KEY, OPENAI, House, house, next_frame
from starlette.requests import HTTPConnection

from vivavoce.server.auth import Identity, digest, identify, key_of
from vivavoce.server.handshake import Handshake
from vivavoce.server.origins import of_own_page
from vivavoce.server.refusals import (
    NO_KEY,
    NOT_SIGNED_IN,
    SIGNED_OUT,
    Denial,
)
from vivavoce.server.sealing import ClientSecret, Seal
from vivavoce.server.sign_in import signed_in
from vivavoce.server.visits import (
    NONCE_BYTES,
    PURPOSE,
    VISIT_SECONDS,
    Invitations,
    Visits,
    cookie_of,
)

pytestmark = pytest.mark.anyio

BROWSER = {"Accept": "text/html"}
ELSEWHERE = "https://elsewhere.example"
SECRET = bytes(range(32))


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sealing key of each test is its own."""
    monkeypatch.setattr("platformdirs.user_data_path", lambda _: tmp_path)


def own(at: House) -> dict[str, str]:
    """What a browser sends with what a page of ours asks."""
    return {"Origin": at.address.url, "Sec-Fetch-Site": "same-origin"}


async def signed(at: House, key: str = KEY) -> dict[str, str]:
    """The cookie that a key is given for."""
    async with httpx.AsyncClient(base_url=at.address.url) as client:
        answer = await client.post("/sign-in", json={"key": key}, headers=own(at))
    assert (answer.status_code, answer.json()) == (200, {"signed_in": True})
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


# The cookie.

KEYS = ("first", "second")


def visits(key: bytes = SECRET, now: float = 1000.0) -> Visits:
    """What makes and reads cookies, at that time."""
    return Visits(key, lambda: now)


def bearing(cookie: str) -> Handshake:
    """A request with that cookie among others."""
    return Handshake("/api/home", {"cookie": f"theme=dark; vivavoce={cookie}; other=1"})


COOKIE = visits().close(digest("second"))


def test_a_cookie_stands_for_the_key_that_it_was_given_for() -> None:
    identity = identify(bearing(COOKIE), KEYS, None, visits())
    assert identity == Identity("page of key 2")
    assert key_of(identity, KEYS) == "second"


@pytest.mark.parametrize(
    ("name", "key"), [("key 1", "first"), ("page of key 1", "first"), ("anybody", None)]
)
def test_who_came_by_which_key_is_known(name: str, key: str | None) -> None:
    assert key_of(Identity(name), KEYS) == key


@pytest.mark.parametrize(
    ("keys", "reader"),
    [
        (("first",), visits()),  # the key is gone
        (KEYS, visits(now=1000.0 + VISIT_SECONDS)),  # the time is over
        (KEYS, visits(bytes(32))),  # sealed elsewhere
    ],
)
def test_a_cookie_may_have_become_worth_nothing(keys: tuple[str, ...], reader: Visits) -> None:
    assert identify(bearing(COOKIE), keys, None, reader) == SIGNED_OUT


def test_a_cookie_lasts_to_the_last_second() -> None:
    identity = identify(bearing(COOKIE), KEYS, None, visits(now=999.0 + VISIT_SECONDS))
    assert identity == Identity("page of key 2")


def test_a_cookie_that_was_altered_anywhere_is_worth_nothing() -> None:
    for at in range(0, len(COOKIE), 7):
        other = "A" if COOKIE[at] != "A" else "B"
        assert visits().open(COOKIE[:at] + other + COOKIE[at + 1 :]) is None


@pytest.mark.parametrize("cookie", ["x", "!!!!", "é", "AAAA" * 12, "A" * 100_000])
def test_what_is_no_cookie_of_ours_is_worth_nothing(cookie: str) -> None:
    assert visits().open(cookie) is None


def test_a_cookie_shows_nothing_of_its_key_and_is_another_each_time() -> None:
    assert visits().close(digest("second")) != COOKIE
    assert re.fullmatch(r"[A-Za-z0-9_-]{40,200}", COOKIE)


def test_neither_a_cookie_nor_a_client_secret_opens_as_the_other() -> None:
    secret = ClientSecret(
        "id", "gpt-realtime", "gpt-realtime", "ga", b"{}", "s", 900, 2000, "key 2"
    )
    token = Seal(SECRET, lambda: 1000.0).close(secret)
    assert visits().open(token.removeprefix("ek_")) is None
    assert isinstance(Seal(SECRET, lambda: 1000.0).open(f"ek_{COOKIE}"), Denial)


def test_the_sealing_key_itself_opens_no_cookie() -> None:
    raw = base64.urlsafe_b64decode(COOKIE + "=" * (-len(COOKIE) % 4))
    with pytest.raises(InvalidTag):
        AESGCM(SECRET).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], PURPOSE)


def test_any_other_credential_comes_before_a_cookie() -> None:
    wrong = Handshake("/v1/models", {"cookie": f"vivavoce={COOKIE}", "api-key": "wrong"})
    identity = identify(wrong, KEYS, None, visits())
    assert isinstance(identity, Denial)
    assert identity.code == "invalid_api_key"


def test_a_cookie_counts_only_where_it_was_asked_for() -> None:
    assert identify(bearing(COOKIE), KEYS) == NO_KEY
    assert identify(bearing(""), KEYS, None, visits()) == NO_KEY


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("vivavoce=a", "a"),
        ("x=1;vivavoce=a=b; vivavoce=c", "a=b"),
        ("xvivavoce=a", None),
        ("", None),
    ],
)
def test_our_cookie_is_found_among_others(header: str, found: str | None) -> None:
    assert cookie_of(Handshake("/", {"cookie": header})) == found


def test_a_token_is_good_once_and_none_is_never() -> None:
    invitations = Invitations()
    first, second = invitations.invite(), invitations.invite()
    assert [invitations.accept(each) for each in ("", "é", first[:-1], first, first, second)] == [
        False,
        False,
        False,
        True,
        False,
        True,
    ]


# Whose page asks.

HOST = "127.0.0.1:8642"
OURS = f"http://{HOST}"


@pytest.mark.parametrize(
    ("says", "method", "is_ours"),
    [
        ({"origin": OURS}, "POST", True),
        ({"origin": OURS, "sec-fetch-site": "same-origin"}, "GET", True),
        ({"origin": OURS, "sec-fetch-site": "cross-site"}, "POST", False),
        ({"origin": "http://127.0.0.1:9999"}, "GET", False),
        ({"origin": "http://127.0.0.1:9999"}, "POST", False),
        ({"origin": ELSEWHERE}, "POST", False),
        ({"origin": "null"}, "POST", False),
        ({"origin": "*"}, "POST", False),
        ({"origin": f"{OURS}, {ELSEWHERE}"}, "POST", False),
        ({"sec-fetch-site": "same-origin"}, "GET", True),
        ({"sec-fetch-site": "none"}, "HEAD", True),
        ({"sec-fetch-site": "same-site"}, "GET", False),
        ({"sec-fetch-site": "cross-site"}, "GET", False),
        ({"sec-fetch-site": "same-origin"}, "POST", False),
        ({"sec-fetch-site": "none"}, "DELETE", False),
        ({"referer": f"{OURS}/sessions?id=1"}, "GET", True),
        ({"referer": OURS}, "GET", True),
        ({"referer": f"{OURS}/sessions"}, "POST", False),
        ({"referer": f"{ELSEWHERE}/{OURS}/"}, "GET", False),
        ({"referer": f"{OURS}.elsewhere.example/"}, "GET", False),
        ({"referer": f"{OURS}/", "sec-fetch-site": "cross-site"}, "GET", False),
        ({}, "GET", False),
        ({}, "POST", False),
    ],
)
def test_our_own_pages_are_told_from_others(
    says: dict[str, str], method: str, is_ours: bool
) -> None:
    handshake = Handshake("/api/home", {"host": HOST, **says}, method=method)
    assert of_own_page(handshake, secure=False) is is_ours


@pytest.mark.parametrize("says", [{}, {"sec-fetch-site": "same-origin"}, {"referer": f"{OURS}/"}])
def test_an_upgrade_without_an_origin_is_of_no_page(says: dict[str, str]) -> None:
    handshake = Handshake("/v1/realtime", {"host": HOST, **says}, is_websocket=True)
    assert not of_own_page(handshake, secure=False)


# Over a socket.


async def test_the_link_signs_in_once_and_then_shows_the_form() -> None:
    async with house() as at:
        path = f"/sign-in?token={at.app.service.invitations.invite()}"
        looked = await at.get(path, BROWSER, "HEAD")
        first = await at.get(path, BROWSER)
        second = await at.get(path, BROWSER)
        again = await at.get(path, BROWSER | _kept(first) | {"Sec-Fetch-Site": "none"})
        answers = {each: await at.get(f"/sign-in{each}", BROWSER) for each in ("?token=x", "")}
    assert looked.status_code == 200
    assert (first.status_code, first.headers["location"]) == (303, "/")
    assert second.status_code == 403
    assert "set-cookie" not in second.headers
    assert second.headers["content-type"] == "text/html; charset=utf-8"
    assert (again.status_code, again.headers["location"]) == (303, "/")
    assert [each.status_code for each in answers.values()] == [403, 200]
    assert {each.headers["cache-control"] for each in (first, second)} == {"no-store"}


def _kept(answer: httpx.Response) -> dict[str, str]:
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


async def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites() -> None:
    async with house() as at:
        answer = await at.get(f"/sign-in?token={at.app.service.invitations.invite()}")
    value, *attributes = answer.headers["set-cookie"].split("; ")
    assert value.startswith("vivavoce=")
    assert attributes == ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"]


@pytest.mark.parametrize(
    ("scheme", "header", "secure"),
    [
        ("https", "Origin", True),
        ("https", "Referer", True),
        ("http", "Origin", False),
    ],
)
async def test_behind_a_proxy_with_tls_the_cookie_is_kept_from_plain_http(
    scheme: str, header: str, secure: bool
) -> None:
    async with house() as at, httpx.AsyncClient(base_url=at.address.url) as client:
        says = {"Host": "voice.example", header: f"{scheme}://voice.example"}
        if header == "Referer":
            says = {**says, "Referer": f"{scheme}://voice.example/sign-in"}
        answer = await client.post("/sign-in", json={"key": KEY}, headers=says)
    assert ("Secure" in answer.headers["set-cookie"].split("; ")) is secure


async def test_with_tls_of_its_own_the_cookie_is_secure() -> None:
    async with house(tls=True) as at:
        answer = await at.get(f"/sign-in?token={at.app.service.invitations.invite()}")
    assert answer.headers["set-cookie"].endswith("; Secure")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"key": " %s "}', "application/json"),
        (b'{"key": "%s"}', "application/json; charset=utf-8"),
        (b"key=%s", "application/x-www-form-urlencoded"),
    ],
)
async def test_a_key_signs_in_from_json_and_from_a_form(body: bytes, kind: str) -> None:
    async with house() as at, httpx.AsyncClient(base_url=at.address.url) as client:
        sent = body % KEY.encode()
        script = await client.post("/sign-in", content=sent, headers={"Content-Type": kind})
        form = {**BROWSER, **own(at), "Content-Type": kind}
        person = await client.post("/sign-in", content=sent, headers=form)
    assert (script.status_code, script.json()) == (200, {"signed_in": True})
    assert (person.status_code, person.headers["location"]) == (303, "/")
    assert "HttpOnly" in script.headers["set-cookie"]
    assert "HttpOnly" in person.headers["set-cookie"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"key": "wrong"}', "application/json", 401),
        (b'{"key": ""}', "application/json", 401),
        (b"key=wrong", "application/x-www-form-urlencoded", 401),
        (b"", "application/x-www-form-urlencoded", 400),
        (b"{}", "application/json", 400),
        (b'{"key": 1}', "application/json", 400),
        (b"[", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"other":' + b"[" * 8000, "application/json", 400),
        (b"a&" * 100, "application/x-www-form-urlencoded", 400),
        (b"key", "text/plain", 415),
        (b"x" * 9000, "application/json", 413),
    ],
)
async def test_what_is_no_key_does_not_sign_in(body: bytes, kind: str, status: int) -> None:
    async with house() as at, httpx.AsyncClient(base_url=at.address.url) as client:
        answer = await client.post("/sign-in", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert "set-cookie" not in answer.headers


async def test_a_wrong_key_in_a_form_shows_the_form_again() -> None:
    async with house() as at, httpx.AsyncClient(base_url=at.address.url) as client:
        answer = await client.post("/sign-in", data={"key": "wrong"}, headers=BROWSER)
    assert answer.status_code == 401
    assert answer.headers["content-type"].startswith("text/html")


async def test_no_page_of_another_origin_signs_anybody_in_or_out() -> None:
    allowed = house(allowed_origins=("*",))
    async with allowed as at, httpx.AsyncClient(base_url=at.address.url) as client:
        foreign = {"Origin": ELSEWHERE}
        into = await client.post("/sign-in", json={"key": KEY}, headers=foreign)
        cookie = await signed(at)
        out = [await client.post("/sign-out", headers=cookie | says) for says in (foreign, {})]
    assert [into.status_code, *(each.status_code for each in out)] == [403] * 3
    assert all("set-cookie" not in each.headers for each in (into, *out))


async def test_signing_out_has_the_browser_forget() -> None:
    async with house() as at, httpx.AsyncClient(base_url=at.address.url) as client:
        script = await client.post("/sign-out", headers=own(at))
        person = await client.post("/sign-out", headers=own(at) | BROWSER)
    assert (script.status_code, script.json()) == (200, {"signed_in": False})
    assert (person.status_code, person.headers["location"]) == (303, "/")
    assert script.headers["set-cookie"].startswith("vivavoce=; Path=/; Max-Age=0")


@pytest.mark.parametrize("path", [OPENAI, GA])
async def test_a_page_of_ours_converses_by_its_cookie(path: str) -> None:
    async with house() as at:
        cookie = await signed(at)
        headers = cookie | {"Origin": at.address.url}
        async with at.talk(path, headers) as client:
            begun = await next_frame(client)
    assert begun["type"] == "session.created"


@pytest.mark.parametrize("origin", [ELSEWHERE, "http://127.0.0.1:1", "null", None])
@pytest.mark.parametrize("allowed", [(), ("*",)])
async def test_no_other_page_converses_by_it(origin: str | None, allowed: tuple[str, ...]) -> None:
    async with house(allowed_origins=allowed) as at:
        cookie = await signed(at)
        says = {"Origin": origin} if origin is not None else {}
        status, _, _ = await at.refusal(OPENAI, cookie | says)
    assert status == 401


@pytest.mark.parametrize(
    "path", ["/v1/realtime/client_secrets", "/v1/realtime/calls", "/v1/realtime/calls/none/hangup"]
)
async def test_what_changes_something_needs_our_own_origin_beside_the_cookie(path: str) -> None:
    async with house(allowed_origins=("*",)) as at:
        cookie = await signed(at)
        async with httpx.AsyncClient(base_url=at.address.url) as client:
            ours = await client.post(path, json={}, headers=cookie | own(at))
            others = [
                await client.post(path, json={}, headers=cookie | says)
                for says in ({}, {"Origin": ELSEWHERE}, {"Sec-Fetch-Site": "same-origin"})
            ]
    assert ours.status_code not in (401, 403)
    assert [each.status_code for each in others] == [401] * 3


async def test_a_cookie_reads_where_a_key_does() -> None:
    async with house() as at:
        cookie = await signed(at)
        site = {"Sec-Fetch-Site": "same-origin"}
        answers = [
            (await at.get(path, cookie | says)).status_code
            for path in ("/v1/models", "/openai/models", "/api/home")
            for says in (site, {"Sec-Fetch-Site": "cross-site"}, {})
        ]
    assert answers == [200, 401, 401] * 3


async def test_a_cookie_ends_with_its_key() -> None:
    async with house() as at:
        cookie = await signed(at)
        at.app.service.config = msgspec.structs.replace(at.app.service.config, api_keys=("new",))
        answer = await at.get("/api/home", cookie | own(at))
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "signed_out")


# What only those who are signed in are told.


async def test_home_tells_how_the_server_is_and_the_key_of_whoever_asks() -> None:
    async with house() as at:
        told = (await at.get("/api/home", await signed(at) | own(at))).json()
        other = (await at.get("/api/home", await signed(at, "another") | own(at))).json()
        program = (await at.get("/api/home", HEADERS)).json()
        url, ws_url = at.address.url, at.address.ws_url
    assert told["signed_in"] is True
    assert told["state"] == "ready"
    assert told["engines"] == []
    assert told["addresses"] == {"http": url, "ws": ws_url}
    assert [told["key"], other["key"], program["key"]] == [KEY, "another", KEY]
    assert "/" in told["pages"]
    assert {
        "name": "gpt-realtime",
        "model": "gpt-realtime",
        "recipe": "embedded",
        "served_by": "silero, pocketsphinx, cadence, responder, espeak",
    } in told["deployments"]


async def test_the_answer_with_the_key_is_kept_nowhere() -> None:
    async with house() as at:
        answer = await at.get("/api/home")
    assert answer.headers["cache-control"] == "no-store"


async def test_behind_a_proxy_the_addresses_are_those_of_the_proxy() -> None:
    async with house() as at:
        says = {"Host": "voice.example", "Referer": "https://voice.example/"}
        told = (await at.get("/api/home", HEADERS | says)).json()
    assert told["addresses"] == {"http": "https://voice.example", "ws": "wss://voice.example"}


@pytest.mark.parametrize("headers", [{}, {"api-key": "wrong"}, {"Cookie": "vivavoce=x"}])
async def test_nobody_else_is_told_anything(headers: dict[str, str]) -> None:
    async with house() as at:
        answer = await at.get("/api/home", headers)
    assert answer.status_code == 401
    assert KEY not in answer.text
    assert answer.json()["error"]["message"]


async def test_a_client_secret_opens_none_of_it() -> None:
    async with house() as at, httpx.AsyncClient(base_url=at.address.url) as client:
        made = await client.post("/v1/realtime/client_secrets", json={}, headers=HEADERS)
        token = made.json()["value"]
        home = await at.get("/api/home", {"Authorization": f"Bearer {token}"})
        sign_in = await client.post("/sign-in", json={"key": token})
    assert (home.status_code, sign_in.status_code) == (403, 401)


async def test_no_foreign_page_is_told_whatever_the_operator_allows_it() -> None:
    async with house(allowed_origins=("*",)) as at:
        answer = await at.get("/api/home", HEADERS | {"Origin": ELSEWHERE})
        reads = await at.get("/v1/models", HEADERS | {"Origin": ELSEWHERE})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign_page")
    assert reads.status_code == 200


async def test_without_keys_everybody_on_this_machine_is_signed_in() -> None:
    async with house(no_auth=True) as at, httpx.AsyncClient(base_url=at.address.url) as client:
        home = await client.get("/api/home")
        asked = await client.get("/sign-in", headers=BROWSER)
        entered = await client.post("/sign-in", json={"key": "any"}, headers=own(at))
        foreign = [
            await client.get("/api/home", headers=says)
            for says in (
                {"Origin": ELSEWHERE},
                {"Sec-Fetch-Site": "cross-site"},
                {"Host": "rebound.example"},
            )
        ]
    assert (home.status_code, home.json()["key"]) == (200, None)
    assert (asked.status_code, asked.headers["location"]) == (303, "/")
    assert (entered.status_code, "set-cookie" in entered.headers) == (200, False)
    assert [each.status_code for each in foreign] == [403] * 3


async def test_whoever_is_signed_in_is_known_at_an_upgrade_too() -> None:
    async with house() as at:
        service = at.app.service
        cookie = (await signed(at))["Cookie"].encode()

        def upgrade(*headers: tuple[bytes, bytes]) -> Identity | Denial:
            raw = [(b"host", HOST.encode()), *headers]
            scope = {"type": "websocket", "path": "/api/inspector", "headers": raw}
            return signed_in(service, HTTPConnection({**scope, "query_string": b""}))

        ours = upgrade((b"cookie", cookie), (b"origin", OURS.encode()))
        none = upgrade((b"cookie", cookie))
    assert ours == Identity("page of key 2")
    assert none == NOT_SIGNED_IN
