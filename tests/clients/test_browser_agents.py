"""The official agents SDK in a real browser: a session over its WebRTC transport."""

from collections.abc import Iterator

import pytest
from browser_chromium import Chromium
from browser_page import Page
from browser_sites import Site

from vivavoce.audio.pcm import Pcm

pytest_plugins = ["browser_fixtures"]
pytestmark = pytest.mark.clients

PAUSE_MS = 700  # longer than any that the scripted speech makes, and than what the browser conceals


@pytest.fixture
def page(browser: Chromium, origin: str) -> Iterator[Page]:
    """A page with the SDK, in a silent room; no session may report an error."""
    browser.microphone.hear_nothing()
    with browser.page(f"{origin}/browser_agents.html") as page:
        yield page
        page.hang_up()
        assert page.ask("caller.errors") == []


def connect(page: Page, site: Site, model: str = "gpt-realtime") -> str:
    """Connect as the documents show it; the id of the call."""
    key = site.secret(model)
    return page.connect(f"{site.url}/v1/realtime/calls", key=key, model=model).call_id


def lines(page: Page) -> list[tuple[str, str]]:
    """Who said what, as the session remembers it."""
    messages = [item for item in page.ask("caller.history") if item["type"] == "message"]
    parts = [(item["role"], item["content"][0]) for item in messages]
    return [
        (role, part["text" if part["type"].endswith("text") else "transcript"])
        for role, part in parts
    ]


@pytest.mark.shared
def test_a_person_is_heard_and_answered_aloud(
    site: Site, browser: Chromium, page: Page, weather_question: Pcm
) -> None:
    connect(page, site)
    browser.microphone.hear(weather_question)
    page.speak()
    page.until_loud()
    page.until("output_audio_buffer.stopped")

    assert lines(page) == [("user", "hello there"), ("assistant", "You said: hello there")]
    assert page.ask("caller.lines") == ["You said: hello there"]
    page.judge()


def test_a_tool_of_the_page_is_called_and_its_result_is_told(site: Site, page: Page) -> None:
    connect(page, site)
    page.ask("caller.write(told)", "What is the weather in Paris?")
    page.until_loud()
    page.until("output_audio_buffer.stopped")

    assert page.ask("caller.called") == ["Paris"]
    assert page.ask("caller.lines")[-1] == "It is clear in Paris."
    page.judge()


def test_the_session_can_interrupt_its_agent(site: Site, page: Page) -> None:
    connect(page, site, "endless")
    page.ask("caller.write(told)", "Talk at length.")
    page.until_loud()

    page.ask("caller.interrupt()")
    truncated = page.until("conversation.item.truncated")
    page.until_quiet(PAUSE_MS)

    [done] = page.of_kind("response.done")
    assert done["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert truncated["item_id"] == done["response"]["output"][0]["id"]
    assert page.of_kind("output_audio_buffer.stopped") == []
    page.judge()


@pytest.mark.shared
def test_whoever_speaks_interrupts_the_agent_and_is_answered(
    site: Site, browser: Chromium, page: Page, weather_question: Pcm
) -> None:
    connect(page, site, "endless")
    page.ask("caller.write(told)", "Talk at length.")
    page.until_loud()
    browser.microphone.hear(weather_question)
    page.speak()
    page.until("output_audio_buffer.cleared")
    truncated = page.until("conversation.item.truncated")
    page.until("output_audio_buffer.stopped")

    first, second = (frame["response"] for frame in page.of_kind("response.done"))
    assert first["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert second["status"] == "completed"
    assert truncated["item_id"] == first["output"][0]["id"]
    assert page.ask("caller.lines")[-1] == "You said: hello"
    page.judge()


def test_a_session_that_is_closed_ends_on_the_server_too(site: Site, page: Page) -> None:
    call_id = connect(page, site)
    with site.sideband(call_id) as sideband:
        page.hang_up()

        sideband.until_ended()
