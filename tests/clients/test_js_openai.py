"""The official openai package for JavaScript: every way it connects, in versions old and new."""

import re
from pathlib import Path

import msgspec
import pytest
from clients_server import Site
from clients_talk import Report, attempt, play

from vivavoce.conformance.catalogue import DialectName

pytest_plugins = ["clients_fixtures"]
pytestmark = pytest.mark.clients

GA, PREVIEW = "gpt-realtime", "gpt-4o-realtime-preview"

WAYS: dict[str, dict[str, str]] = {
    "newest": {"package": "openai", "entrance": "ws", "path": "/v1"},
    "newest, on Azure's path": {"package": "openai", "entrance": "ws", "path": "/openai/v1"},
    "newest, as in a browser": {"package": "openai", "entrance": "browser", "path": "/openai/v1"},
    "newest, for Azure": {"package": "openai", "entrance": "azure", "version": "2025-08-28"},
    "6": {"package": "openai-6", "entrance": "ws", "path": "/v1"},
    "6, on Azure's path": {"package": "openai-6", "entrance": "ws", "path": "/openai/v1"},
    "6, as in a browser": {"package": "openai-6", "entrance": "browser", "path": "/v1"},
    "5, preview": {"package": "openai-5", "entrance": "beta-ws", "path": "/v1"},
    "5, preview, as in a browser": {
        "package": "openai-5",
        "entrance": "beta-browser",
        "path": "/v1",
    },
    "5, preview, for Azure": {
        "package": "openai-5",
        "entrance": "beta-azure",
        "version": "2025-04-01-preview",
    },
    "4, preview, for Azure": {
        "package": "openai-4",
        "entrance": "beta-azure",
        "version": "2024-10-01-preview",
    },
}


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> dict[str, str]:
    """A way to connect."""
    settings = WAYS[request.param]
    return settings | {"model": PREVIEW if settings["entrance"].startswith("beta-") else GA}


def talk(site: Site, way: dict[str, str], scene: str, speech: Path | None = None) -> Report:
    """Play a scene, and judge every frame of it."""
    dialect: DialectName = "preview" if way["entrance"].startswith("beta-") else "ga"
    report = play("talk.mjs", site, scene=scene, speech=str(speech or ""), **way)
    report.judge(dialect)
    return report


def test_an_answer_in_writing_arrives_word_by_word(
    scripted_server: Site, way: dict[str, str]
) -> None:
    report = talk(scripted_server, way, "writing")

    assert report.made == {"words": "You said: good morning", "status": "completed"}
    assert report.errors == []


def test_speech_is_heard_and_answered_aloud(
    scripted_server: Site, way: dict[str, str], speech: Path
) -> None:
    report = talk(scripted_server, way, "speaking", speech)

    assert report.made["heard"] == "hello there"
    assert report.made["words"] == "You said: hello there"
    assert report.made["bytes"] > 24_000
    assert report.errors == []


def test_speech_that_the_client_commits_is_answered_aloud(
    scripted_server: Site, way: dict[str, str], speech: Path
) -> None:
    report = talk(scripted_server, way, "pressing", speech)

    assert report.made["words"] == "You said: hello there"
    assert report.made["bytes"] > 24_000
    assert report.errors == []


def test_a_function_is_called_and_its_result_is_told(
    scripted_server: Site, way: dict[str, str]
) -> None:
    report = talk(scripted_server, way, "calling")

    assert report.made["name"] == "get_weather"
    assert msgspec.json.decode(report.made["given"]) == {"city": "Paris"}
    assert report.made["deltas"] == report.made["given"]
    assert report.made["text"] == 'It is {"sky":"clear"}.'
    assert report.errors == []


def test_a_mistake_reaches_the_client_as_its_own_error_and_the_session_lives_on(
    scripted_server: Site, way: dict[str, str]
) -> None:
    report = talk(scripted_server, way, "erring")

    error = report.made["error"]
    assert error["type"] == "invalid_request_error"
    assert error["event_id"] == "mine"
    assert "nowhere" in error["message"]
    assert report.made["status"] == "completed"
    [reported] = report.errors
    assert reported["error"] == error
    assert error["message"] in reported["message"]


def test_a_wrong_key_keeps_the_client_out(scripted_server: Site, way: dict[str, str]) -> None:
    report = attempt("talk.mjs", scripted_server, scene="writing", **way | {"key": "a-wrong-one"})

    assert report.failure is not None
    assert report.frames == []
    # A browser's WebSocket does not say with which status it was turned away.
    assert re.search("401|non-101", report.errors[0]["message"])
