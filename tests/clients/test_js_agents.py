"""The official agents SDK for JavaScript: a session over its WebSocket transport."""

from pathlib import Path

import msgspec
import pytest
from clients_server import Site
from clients_talk import Json, Report, play

pytest_plugins = ["clients_fixtures"]
pytestmark = pytest.mark.clients


@pytest.fixture(params=["in Node", "in a browser"])
def options(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Node's options: as itself, or with the SDK's code for browsers."""
    return () if request.param == "in Node" else ("--conditions=browser",)


def talk(
    site: Site,
    options: tuple[str, ...],
    scene: str,
    *,
    model: str = "gpt-realtime",
    speech: Path | None = None,
) -> Report:
    """Play a scene, and judge every frame of it; no session may report an error."""
    url = f"{site.ws_url}/v1/realtime?model={model}"
    report = play("agents.mjs", site, *options, url=url, scene=scene, speech=str(speech or ""))
    report.judge("ga")
    assert report.errors == []
    return report


def lines(report: Report) -> list[tuple[str, str]]:
    """Who said what, as the session remembers it."""
    messages = [item for item in report.made["history"] if item["type"] == "message"]
    return [(item["role"], _words(item["content"][0])) for item in messages]


def _words(part: Json) -> str:
    words: str = part["text"] if part["type"].endswith("text") else part["transcript"]
    return words


def test_a_message_is_answered_aloud(scripted_server: Site, options: tuple[str, ...]) -> None:
    report = talk(scripted_server, options, "writing")

    assert lines(report) == [("user", "good morning"), ("assistant", "You said: good morning")]
    assert report.made["ended"] == ["You said: good morning"]
    assert report.made["bytes"] > 24_000


def test_speech_is_heard_and_answered(
    scripted_server: Site, options: tuple[str, ...], speech: Path
) -> None:
    report = talk(scripted_server, options, "hearing", speech=speech)

    assert lines(report) == [("user", "hello there"), ("assistant", "You said: hello there")]
    assert report.made["bytes"] > 24_000


def test_a_tool_is_called_and_its_result_is_told(
    scripted_server: Site, options: tuple[str, ...]
) -> None:
    report = talk(scripted_server, options, "calling")

    assert report.made["called"] == ["Paris"]
    assert report.made["ended"][-1] == "It is clear in Paris."
    [call] = [item for item in report.made["history"] if item["type"] == "function_call"]
    assert (call["name"], call["output"]) == ("get_weather", "clear in Paris")
    assert msgspec.json.decode(call["arguments"]) == {"city": "Paris"}


def test_the_session_can_interrupt_its_agent(
    scripted_server: Site, options: tuple[str, ...]
) -> None:
    report = talk(scripted_server, options, "stopping", model="slow")

    [done] = report.of_kind("response.done")
    assert done["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    [truncated] = report.of_kind("conversation.item.truncated")
    assert truncated["item_id"] == done["response"]["output"][0]["id"]


def test_whoever_speaks_interrupts_the_agent_and_is_answered(
    scripted_server: Site, options: tuple[str, ...], speech: Path
) -> None:
    report = talk(scripted_server, options, "bargingIn", model="slow", speech=speech)

    first, second = report.of_kind("response.done")
    assert first["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert second["response"]["status"] == "completed"
    [truncated] = report.of_kind("conversation.item.truncated")
    assert truncated["item_id"] == first["response"]["output"][0]["id"]
    assert report.made["ended"][-1] == "You said: hello"
