"""A page in a real browser, with nothing but the browser's own WebRTC, calls the server."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser_chromium import Chromium
from browser_page import Page
from browser_sites import Site

from vivavoce.audio.pcm import Pcm

pytest_plugins = ["browser_fixtures"]
pytestmark = pytest.mark.clients

CALLS = "/v1/realtime/calls"
ON_ITS_WAY_MS = 2000  # what may wait in the browser, and much less than what was not to be heard
PAUSE_MS = 700  # longer than any that the scripted speech makes, and than what the browser conceals

# As a page does it whose button was clicked on.
STOP = """
    caller.say({ type: 'response.cancel' }),
    caller.say({ type: 'output_audio_buffer.clear' })
"""

LISTENING = {"transcription": {"model": "whisper-1"}, "turn_detection": {"type": "server_vad"}}

SPOKEN_TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
]
WRITTEN_TURN = ["conversation.item.added", "conversation.item.done"]
ANSWER_BEGUN = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "output_audio_buffer.started",
]
ANSWER_MADE = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
ANSWER = [*ANSWER_BEGUN, *ANSWER_MADE, "output_audio_buffer.stopped"]
PREVIEW_NAMES = {
    "conversation.item.added": "conversation.item.created",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
}


@pytest.fixture
def page(browser: Chromium, origin: str) -> Iterator[Page]:
    """A page of another origin than the server's."""
    with opened(browser, origin) as page:
        yield page


@contextmanager
def opened(browser: Chromium, origin: str) -> Iterator[Page]:
    """The page at that origin, in a silent room; it hangs up in the end."""
    browser.microphone.hear_nothing()
    with browser.page(f"{origin}/browser_call.html") as page:
        yield page
        page.hang_up()


def call(page: Page, url: str, key: str, **told: object) -> str:
    """Call with a key, and wait for the session; the id of the call."""
    answer = page.connect(url, headers={"Authorization": f"Bearer {key}"}, **told)
    assert answer.status == 201, answer.said
    page.until("session.created")
    return answer.call_id


def say_hello(page: Page) -> None:
    """In writing, and have it answered."""
    content = [{"type": "input_text", "text": "hello"}]
    item = {"type": "message", "role": "user", "content": content}
    page.say("conversation.item.create", item=item)
    page.say("response.create")


def in_preview(story: list[str]) -> list[str]:
    """The same in the names of the preview dialect, which says once that there is an item."""
    told = [kind for kind in story if kind != "conversation.item.done"]
    return [PREVIEW_NAMES.get(kind, kind) for kind in told]


# A turn.


@pytest.mark.shared
def test_a_question_about_the_weather_is_heard_and_answered_aloud(
    embedded_site: Site, browser: Chromium, page: Page, weather_question: Pcm
) -> None:
    key = embedded_site.secret(audio={"input": LISTENING})
    call(page, embedded_site.url + CALLS, key)
    browser.microphone.hear(weather_question)
    page.speak()

    heard = page.until("conversation.item.input_audio_transcription.completed")
    page.until("output_audio_buffer.started")
    page.until_loud()
    page.until("output_audio_buffer.stopped")

    assert "weather" in heard["transcript"]
    [done] = page.of_kind("response.done")
    assert done["response"]["status"] == "completed"
    assert page.story[0] == "session.created"
    assert set(page.story[1:]) == {*SPOKEN_TURN, *ANSWER}
    page.judge()


@pytest.mark.shared
def test_the_events_of_a_spoken_turn_come_in_their_order(
    site: Site, browser: Chromium, page: Page, weather_question: Pcm
) -> None:
    call(page, site.url + CALLS, site.secret(audio={"input": LISTENING}))
    browser.microphone.hear(weather_question)
    page.speak()
    page.until_loud()
    page.until("output_audio_buffer.stopped")
    page.until_quiet(PAUSE_MS)

    assert page.story == ["session.created", *SPOKEN_TURN, *ANSWER]
    [said] = page.of_kind("response.output_audio_transcript.done")
    assert said["transcript"] == "You said: hello there"
    assert page.of_kind("response.output_audio.delta") == []
    page.judge()


@pytest.mark.parametrize("path", [CALLS, "/openai/v1/realtime/calls"])
def test_settings_inside_a_key_hold_and_the_page_changes_others(
    site: Site, page: Page, path: str
) -> None:
    call(page, site.url + path, site.secret(instructions="Be brief."))

    page.say("session.update", session={"type": "realtime", "max_output_tokens": 100})
    session = page.until("session.updated")["session"]

    assert (session["instructions"], session["max_output_tokens"]) == ("Be brief.", 100)
    page.judge()


def test_a_page_that_offers_all_its_candidates_at_once_is_heard_too(site: Site, page: Page) -> None:
    call(page, site.url + CALLS, site.secret(), gathers=True)
    say_hello(page)
    page.until_loud()
    page.until("output_audio_buffer.stopped")
    page.judge()


# Interrupting.


def test_a_button_interrupts_what_is_still_being_made(site: Site, page: Page) -> None:
    call(page, site.url + CALLS, site.secret("endless"))
    say_hello(page)
    page.until_loud()

    page.ask(STOP)
    truncated = page.until("conversation.item.truncated")
    heard_ms = page.until_quiet(PAUSE_MS)

    assert page.story == [
        "session.created",
        *WRITTEN_TURN,
        *ANSWER_BEGUN,
        *ANSWER_MADE,
        "output_audio_buffer.cleared",
        "conversation.item.truncated",
    ]
    [done] = page.of_kind("response.done")
    assert done["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert truncated["item_id"] == done["response"]["output"][0]["id"]
    assert truncated["audio_end_ms"] == pytest.approx(heard_ms, abs=ON_ITS_WAY_MS)
    page.judge()


def test_a_button_interrupts_what_was_made_already(site: Site, page: Page) -> None:
    call(page, site.url + CALLS, site.secret("long"))
    say_hello(page)
    page.until("response.done")
    page.until_loud()

    page.say("output_audio_buffer.clear")
    page.until("output_audio_buffer.cleared")
    truncated = page.until("conversation.item.truncated")
    heard_ms = page.until_quiet(PAUSE_MS)

    [done] = page.of_kind("response.done")
    assert done["response"]["status"] == "completed"
    assert truncated["item_id"] == done["response"]["output"][0]["id"]
    assert truncated["audio_end_ms"] == pytest.approx(heard_ms, abs=ON_ITS_WAY_MS)
    assert "output_audio_buffer.stopped" not in page.story
    page.judge()


@pytest.mark.shared
def test_whoever_speaks_interrupts_what_is_still_being_made(
    site: Site, browser: Chromium, page: Page, weather_question: Pcm
) -> None:
    call(page, site.url + CALLS, site.secret("endless", audio={"input": LISTENING}))
    browser.microphone.hear(weather_question)
    page.speak()
    page.until_loud()

    page.speak()
    truncated = page.until("conversation.item.truncated")
    heard_ms = page.until_quiet(PAUSE_MS)
    page.until("output_audio_buffer.stopped")

    interrupted = [
        "session.created",
        *SPOKEN_TURN,
        *ANSWER_BEGUN,
        "input_audio_buffer.speech_started",
        *ANSWER_MADE,
        "output_audio_buffer.cleared",
        "conversation.item.truncated",
        *SPOKEN_TURN[1:],
    ]
    assert page.story[: len(interrupted)] == interrupted
    assert sorted(page.story[len(interrupted) :]) == sorted(ANSWER)
    cancelled, completed = (frame["response"] for frame in page.of_kind("response.done"))
    assert cancelled["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert truncated["item_id"] == cancelled["output"][0]["id"]
    assert truncated["audio_end_ms"] == pytest.approx(heard_ms, abs=ON_ITS_WAY_MS)
    assert completed["status"] == "completed"
    page.judge()


@pytest.mark.shared
def test_whoever_speaks_interrupts_what_was_made_already(
    site: Site, browser: Chromium, page: Page, weather_question: Pcm
) -> None:
    call(page, site.url + CALLS, site.secret("long", audio={"input": LISTENING}))
    browser.microphone.hear(weather_question)
    page.speak()
    page.until("response.done")

    page.speak()
    page.until("input_audio_buffer.speech_started")
    cleared = page.until("output_audio_buffer.cleared")
    truncated = page.until("conversation.item.truncated")
    heard_ms = page.until_quiet(PAUSE_MS)
    page.until("output_audio_buffer.stopped")

    first, second = (frame["response"] for frame in page.of_kind("response.done"))
    assert (first["status"], second["status"]) == ("completed", "completed")
    assert (cleared["response_id"], truncated["item_id"]) == (first["id"], first["output"][0]["id"])
    assert truncated["audio_end_ms"] == pytest.approx(heard_ms, abs=ON_ITS_WAY_MS)
    page.judge()


# The end.


def test_a_page_that_hangs_up_ends_its_session(site: Site, page: Page) -> None:
    call_id = call(page, site.url + CALLS, site.secret())
    with site.sideband(call_id) as sideband:
        page.hang_up()

        sideband.until_ended()


def test_a_page_that_is_left_ends_its_session(site: Site, page: Page) -> None:
    call_id = call(page, site.url + CALLS, site.secret())
    with site.sideband(call_id) as sideband:
        page.load()

        sideband.until_ended()


def test_a_backend_hangs_up_on_a_page(site: Site, page: Page) -> None:
    call_id = call(page, site.url + CALLS, site.secret("endless"))
    say_hello(page)
    page.until_loud()

    site.hang_up(call_id)

    page.until_ended()
    page.until_quiet(PAUSE_MS)
    page.judge(settled=False)


# The preview dialect.


@pytest.mark.shared
@pytest.mark.parametrize("path", ["/v1/realtime", "/v1/realtimertc"])
def test_a_page_of_the_preview_is_heard_and_answered(
    site: Site, browser: Chromium, page: Page, weather_question: Pcm, path: str
) -> None:
    model = "gpt-4o-realtime-preview"
    key = site.preview_secret(model=model, **{f"input_audio_{k}": v for k, v in LISTENING.items()})
    call(page, f"{site.url}{path}?model={model}", key, label="realtime-channel")
    browser.microphone.hear(weather_question)
    page.speak()
    page.until_loud()
    page.until("output_audio_buffer.stopped")

    assert page.story == ["session.created", *in_preview([*SPOKEN_TURN, *ANSWER])]
    page.judge("preview")


# Keys.


def test_the_servers_own_key_is_refused_in_a_page(site: Site, page: Page, origin: str) -> None:
    refused = page.connect(
        f"{site.url}{CALLS}?model=gpt-realtime", headers={"Authorization": f"Bearer {site.key}"}
    )

    assert (refused.status, refused.location) == (403, None)
    assert "An API key does not belong in a browser" in refused.said
    assert origin in refused.said
    assert site.key not in refused.said


def test_the_servers_own_key_is_taken_from_an_origin_that_is_allowed(
    site: Site, browser: Chromium, other_origin: str
) -> None:
    with opened(browser, other_origin) as page:
        call(page, f"{site.url}{CALLS}?model=gpt-realtime", site.key)
        say_hello(page)
        page.until_loud()


def test_a_page_can_read_why_its_key_is_wrong(site: Site, page: Page) -> None:
    refused = page.connect(site.url + CALLS, headers={"Authorization": "Bearer ek_of-nobody"})

    assert refused.status == 401
    assert '"message"' in refused.said


# The page that the documentation shows.


def test_the_page_of_the_documentation_talks(site: Site, page: Page) -> None:
    text = (Path(__file__).parents[2] / "docs" / "calls.md").read_text()
    shown = re.search(r"<!-- docs test: page -->\n```js\n(.*?)```", text, re.DOTALL)
    assert shown is not None
    greet = """
        events.send(JSON.stringify({ type: 'response.create' }));
    """
    told = page.ask(
        f"""(async () => {{
            {shown[1]}
            const {{ peer, events, id }} = await call(told.url, told.secret);
            const seen = [];
            const over = new Promise((resolve) => {{
                events.addEventListener('message', ({{ data }}) => {{
                    const {{ type }} = JSON.parse(data);
                    seen.push(type);
                    if (type === 'session.created') {{ {greet} }}
                    if (type === 'output_audio_buffer.stopped') resolve();
                }});
            }});
            await over;
            peer.close();
            return {{ id, seen }};
        }})()""",
        {"url": site.url, "secret": site.secret()},
    )
    assert told["id"].startswith("rtc_")
    assert told["seen"][0] == "session.created"
    assert "output_audio_buffer.started" in told["seen"]
