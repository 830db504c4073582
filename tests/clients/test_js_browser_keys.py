"""Keys as pages in browsers send them: in a subprotocol, since they can set no header."""

import pytest
from clients_server import KEY, Site
from clients_talk import Json, play

pytest_plugins = ["clients_fixtures"]
pytestmark = pytest.mark.clients

AGENTS = "openai-agents-sdk.0.20.0"  # what the agents SDK adds, by which it may be counted


def knock(site: Site, path: str, *subprotocols: str) -> Json:
    """What comes of asking for those subprotocols."""
    url = site.ws_url + path
    return play("knock.mjs", site, url=url, subprotocols=" ".join(subprotocols)).made


@pytest.mark.parametrize("path", ["/v1/realtime", "/openai/v1/realtime"])
@pytest.mark.parametrize("more", [(), (AGENTS,)])
def test_the_key_in_a_subprotocol_opens_and_is_not_sent_back(
    scripted_server: Site, path: str, more: tuple[str, ...]
) -> None:
    path = f"{path}?model=gpt-realtime"

    came = knock(scripted_server, path, "realtime", f"openai-insecure-api-key.{KEY}", *more)

    assert came["chosen"] == "realtime"
    assert came["said"]["type"] == "session.created"
    assert came["said"]["session"]["type"] == "realtime"


def test_a_page_may_ask_for_the_preview_in_a_subprotocol(scripted_server: Site) -> None:
    came = knock(
        scripted_server,
        "/v1/realtime?model=gpt-4o-realtime-preview",
        "realtime",
        f"openai-insecure-api-key.{KEY}",
        "openai-beta.realtime-v1",
    )

    assert came["chosen"] == "realtime"
    assert came["said"]["session"]["input_audio_format"] == "pcm16"


@pytest.mark.parametrize("key", ["openai-insecure-api-key.a-wrong-one", "openai-insecure-api-key."])
def test_a_wrong_key_in_a_subprotocol_is_refused(scripted_server: Site, key: str) -> None:
    came = knock(scripted_server, "/v1/realtime?model=gpt-realtime", "realtime", key)

    assert came == {"refused": 401}


def test_a_page_without_a_key_is_refused(scripted_server: Site) -> None:
    came = knock(scripted_server, "/v1/realtime?model=gpt-realtime", "realtime")

    assert came == {"refused": 401}
