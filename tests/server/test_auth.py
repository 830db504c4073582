"""Every place in which a client may put its key, and what becomes of a wrong one."""

import msgspec
import pytest

from vivavoce.server.auth import Identity, credential, identify, needs_key
from vivavoce.server.handshake import Handshake, of_scope
from vivavoce.server.refusals import (
    NO_KEY,
    NOT_FOUND,
    USED_SECRET,
    WRONG_KEY,
    WRONG_SECRET,
    Denial,
    method_not_allowed,
)
from vivavoce.server.sealing import ClientSecret, Seal

KEYS = ("first", "second")


def knock(**says: object) -> Handshake:
    """A handshake that says those things."""
    return msgspec.convert({"path": "/v1/realtime", **says}, Handshake)


PLACES = [
    {"headers": {"api-key": "second"}},
    {"query": {"api-key": "second"}},
    {"headers": {"authorization": "Bearer second"}},
    {"headers": {"authorization": "bearer  second "}},
    {"query": {"authorization": "Bearer second"}},
    {"subprotocols": ["realtime", "openai-insecure-api-key.second"]},
]


@pytest.mark.parametrize("says", PLACES)
@pytest.mark.parametrize("path", ["/v1/realtime", "/openai/realtime", "/openai/v1/realtime"])
def test_a_key_is_accepted_in_every_place_on_every_path(says: dict[str, object], path: str) -> None:
    assert identify(knock(**says, path=path), KEYS) == Identity("key 2")


@pytest.mark.parametrize(
    ("says", "counts"),
    [
        (
            {"headers": {"api-key": "a", "authorization": "Bearer b"}, "query": {"api-key": "c"}},
            "a",
        ),
        ({"headers": {"authorization": "Bearer b"}, "query": {"api-key": "c"}}, "c"),
        ({"headers": {"authorization": "Bearer b"}, "query": {"authorization": "Bearer d"}}, "b"),
        (
            {
                "query": {"authorization": "Bearer d"},
                "subprotocols": ["openai-insecure-api-key.e"],
            },
            "d",
        ),
        ({"headers": {"api-key": ""}, "query": {"api-key": "c"}}, ""),
        ({}, None),
    ],
)
def test_the_first_place_that_holds_anything_counts(
    says: dict[str, object], counts: str | None
) -> None:
    assert credential(knock(**says)) == counts


def test_a_wrong_key_is_not_made_good_by_a_right_one_in_a_later_place() -> None:
    handshake = knock(headers={"api-key": "wrong", "authorization": "Bearer first"})
    assert identify(handshake, KEYS) == WRONG_KEY


@pytest.mark.parametrize(
    "headers",
    [{"api-key": "firs"}, {"api-key": "first, first"}, {"authorization": "Basic Zmlyc3Q6"}],
)
def test_what_is_not_exactly_a_key_is_refused(headers: dict[str, str]) -> None:
    assert identify(knock(headers=headers), KEYS) == WRONG_KEY


def test_no_key_at_all_is_refused_in_other_words() -> None:
    assert identify(knock(), KEYS) == NO_KEY


def test_a_key_beyond_ascii_is_only_wrong() -> None:
    assert identify(knock(headers={"api-key": "\xe9\udc80"}), KEYS) == WRONG_KEY


def test_without_authentication_everybody_is_let_in() -> None:
    assert identify(knock(), None) == Identity("anybody")


def test_a_server_without_keys_lets_nobody_in() -> None:
    assert identify(knock(headers={"api-key": ""}), ()) == WRONG_KEY


def test_a_handshake_is_read_from_its_scope() -> None:
    scope = {
        "type": "websocket",
        "path": "/openai/realtime/",
        "headers": [(b"Api-Key", b"k"), (b"openai-beta", b"a"), (b"openai-beta", b"realtime=v1")],
        "query_string": b"Deployment=gpt%2Drealtime&deployment=other&api-key=a+b&empty=",
        "subprotocols": ["realtime"],
        "client": ("10.0.0.1", 5),
    }
    assert of_scope(scope) == Handshake(
        path="/openai/realtime",
        headers={"api-key": "k", "openai-beta": "a, realtime=v1"},
        query={"deployment": "gpt-realtime", "api-key": "a b", "empty": ""},
        subprotocols=("realtime",),
        client="10.0.0.1",
        is_websocket=True,
    )


@pytest.mark.parametrize(
    ("path", "azure"),
    [("/openai/realtime", True), ("/openai", True), ("/openaix", False), ("/v1/realtime", False)],
)
def test_the_path_says_whose_words_are_used(path: str, azure: bool) -> None:
    assert Handshake(path).azure is azure


def test_a_handshake_shows_no_key() -> None:
    handshake = knock(headers={"api-key": "hush"}, query={"api-key": "hush"}, subprotocols=["hush"])
    assert "hush" not in repr(handshake)


def test_each_family_tells_it_in_its_own_form() -> None:
    assert msgspec.json.decode(WRONG_KEY.body(azure=True)) == {
        "error": {"code": "401", "message": WRONG_KEY.azure_message}
    }
    assert msgspec.json.decode(WRONG_KEY.body(azure=False)) == {
        "error": {
            "message": WRONG_KEY.message,
            "type": "invalid_request_error",
            "param": None,
            "code": "invalid_api_key",
        }
    }


@pytest.mark.parametrize("denial", [NOT_FOUND, method_not_allowed("PUT", "GET")])
@pytest.mark.parametrize("azure", [False, True])
def test_what_azure_says_no_otherwise_is_said_alike(denial: Denial, azure: bool) -> None:
    body = msgspec.json.decode(denial.body(azure), type=dict[str, dict[str, str | None]])
    assert body["error"]["message"] == denial.message


@pytest.mark.parametrize("azure", [False, True])
def test_a_wrong_method_has_one_code_in_both_families(azure: bool) -> None:
    body = msgspec.json.decode(method_not_allowed("PUT", "GET").body(azure))
    assert body["error"]["code"] == "method_not_supported"


def secret(**says: object) -> ClientSecret:
    """A secret that says those things."""
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
    }
    return msgspec.convert({**fields, **says}, ClientSecret)


SEAL = Seal(bytes(32), lambda: 1200.0)
TOKEN = SEAL.close(secret())
SECRET_PLACES = [
    {"headers": {"api-key": TOKEN}},
    {"query": {"api-key": TOKEN}},
    {"headers": {"authorization": f"Bearer {TOKEN}"}},
    {"query": {"authorization": f"Bearer {TOKEN}"}},
    {"subprotocols": ["realtime", f"openai-insecure-api-key.{TOKEN}"]},
]


@pytest.mark.parametrize("keys", [KEYS, (), None])
@pytest.mark.parametrize("says", SECRET_PLACES)
def test_a_client_secret_is_accepted_in_every_place(
    says: dict[str, object], keys: tuple[str, ...] | None
) -> None:
    identity = identify(knock(**says), keys, SEAL)
    assert identity == Identity("client secret of key 2", secret())


@pytest.mark.parametrize("keys", [KEYS, None])
def test_what_looks_like_a_client_secret_and_is_none_lets_nobody_in(
    keys: tuple[str, ...] | None,
) -> None:
    handshake = knock(headers={"api-key": "ek_nothing", "authorization": "Bearer first"})
    assert identify(handshake, keys, SEAL) == WRONG_SECRET


def test_a_wrong_secret_is_not_made_good_by_a_right_one_in_a_later_place() -> None:
    handshake = knock(headers={"api-key": "wrong", "authorization": f"Bearer {TOKEN}"})
    assert identify(handshake, KEYS, SEAL) == WRONG_KEY


def test_a_key_that_looks_like_a_client_secret_is_no_key() -> None:
    assert identify(knock(headers={"api-key": "ek_1"}), ("ek_1",), SEAL) == WRONG_SECRET


@pytest.mark.parametrize("keys", [KEYS, None])
def test_a_server_without_a_seal_takes_no_client_secrets(keys: tuple[str, ...] | None) -> None:
    assert identify(knock(headers={"api-key": TOKEN}), keys) == WRONG_SECRET


@pytest.mark.parametrize("keys", [KEYS, None])
def test_an_expired_client_secret_is_told_so(keys: tuple[str, ...] | None) -> None:
    late = Seal(bytes(32), lambda: 1600.0)
    denial = identify(knock(headers={"api-key": TOKEN}), keys, late)
    assert isinstance(denial, Denial)
    assert (denial.status, denial.code) == (401, "client_secret_expired")


def test_a_name_that_may_be_logged_shows_nothing_of_the_session() -> None:
    held = SEAL.close(secret(session=b'{"instructions":"hush"}'))
    assert "hush" not in repr(identify(knock(headers={"api-key": held}), KEYS, SEAL))


def test_what_needs_a_key_is_refused_to_a_client_secret_alone() -> None:
    denial = needs_key(Identity("client secret of key 2", secret()))
    assert denial is not None
    assert denial.status == 403
    assert [needs_key(Identity("key 1")), needs_key(Identity("anybody"))] == [None, None]


@pytest.mark.parametrize("denial", [WRONG_SECRET, USED_SECRET])
def test_clients_recognise_a_wrong_secret_as_a_wrong_credential(denial: Denial) -> None:
    azure = msgspec.json.decode(denial.body(azure=True), type=dict[str, dict[str, str]])
    assert (denial.status, azure["error"]["code"]) == (401, "401")
    assert denial.headers["WWW-Authenticate"] == "Bearer"
