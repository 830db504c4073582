"""The web sample in a real browser, copied to a site of its own as developers copy it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from socket import socket
from threading import Thread
from typing import Any

import numpy as np
import pytest
from browser_chromium import Chromium
from browser_page import Page
from browser_sites import ENDLESS, KEY, TALK, Site
from msgspec import Struct
from websockets.sync.client import connect

from vivavoce.audio.pcm import Pcm, of_samples, silence
from vivavoce.config import Config, DeploymentPlan, EngineChoice, RecipePlan
from vivavoce.server.assembly import assemble
from vivavoce.testing.server import running_in_thread

pytest_plugins = ["browser_fixtures"]
pytestmark = pytest.mark.clients

PAGES = Path(str(files("vivavoce"))) / "pages"
COPIED = ("sample.html", "sample.css", "sample.js", "sample-player.js", "sample-recorder.js")
MOST_BYTES = 50_000
ROOM = 400  # of the loudspeaker and of the timers of a busy machine, in ms

# What a page of a copied sample may do at most: no inline code, and one server to talk to.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "worker-src 'self'; base-uri 'none'; form-action 'self'; connect-src 'self' {}"
)

# Watches what the page does with what browsers have: it changes nothing of it.
SPY = """(() => {
  const spy = (window.spy = { asked: [], told: [], heard: [], tracks: [], sockets: [], loud: () => 0 });
  const { fetch, WebSocket, AudioNode } = window;
  window.fetch = (url, options) => { spy.asked.push(String(url)); return fetch(url, options); };
  window.WebSocket = class extends WebSocket {
    constructor(url, protocols) {
      super(url, protocols);
      spy.sockets.push(this);
      spy.asked.push(String(url));
      this.addEventListener('message', ({ data }) => spy.heard.push(JSON.parse(data)));
    }
    send(data) {
      spy.told.push(JSON.parse(data));
      super.send(data);
    }
  };
  const devices = navigator.mediaDevices;
  const getUserMedia = devices.getUserMedia.bind(devices);
  devices.getUserMedia = async (wanted) => {
    const stream = await getUserMedia(wanted);
    spy.tracks.push(...stream.getTracks());
    return stream;
  };
  const join = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...rest) {
    if (to === this.context.destination) {
      const ear = new AnalyserNode(this.context, { fftSize: 1024 });
      const samples = new Float32Array(1024);
      join.call(this, ear);
      spy.loud = () => {
        ear.getFloatTimeDomainData(samples);
        return Math.hypot(...samples) / 32;
      };
    }
    return join.call(this, to, ...rest);
  };
})()"""
# The player as the audio thread has it, and a hand that feeds and empties it.
PLAYER = """(async () => {
  const told = [];
  window.sampleRate = 1;
  window.AudioWorkletProcessor = class {
    port = { postMessage: (message) => told.push(message) };
  };
  const made = new Promise((resolve) => {
    window.registerProcessor = (_name, Player) => resolve(new Player());
  });
  await import('/assets/sample-player.js');
  const player = await made;
  window.player = {
    told,
    tell: (data) => player.port.onmessage({ data }),
    add: (item, first, count) =>
      player.port.onmessage({
        data: { play: item, samples: Int16Array.from({ length: count }, (_, i) => first + i) },
      }),
    play: (count) => {
      const speaker = new Float32Array(count);
      player.process([], [[speaker]]);
      return Array.from(speaker, (sample) => sample * 32768);
    },
  };
})()"""
UNTIL = """new Promise((resolve) => {
  const timer = setInterval(() => {
    if (!(%s)) return;
    clearInterval(timer);
    resolve();
  }, 10);
})"""


class Home(Struct, frozen=True):
    """A server, and the site of a developer whose pages it lets in."""

    url: str
    pages: str
    nobody: str  # an address at which nobody answers


class Sample:
    """The sample in a browser, as a person uses it who finds things by their labels."""

    def __init__(self, page: Page) -> None:
        self.page = page
        page.ask(SPY)

    def fill(self, **fields: str) -> None:
        """Enter that into the fields of those ids, as if typed."""
        self.page.ask(
            """Object.entries(told).forEach(([id, value]) => {
              document.getElementById(id).value = value;
              const event = new Event('change', { bubbles: true });
              document.getElementById(id).dispatchEvent(event);
            })""",
            fields,
        )

    def press(self, button: str) -> None:
        """Press the button of that id."""
        self.page.ask("document.getElementById(told).click()", button)

    def record(self) -> None:
        """Have a session."""
        self.press("record")
        self.until("document.getElementById('output').innerText.includes('<< Session Started >>')")

    def until(self, condition: str) -> None:
        """That comes to hold in the page."""
        self.page.ask(UNTIL % condition)

    def until_told(self, kind: str) -> dict[str, Any]:
        """The first event of that type that the page sends."""
        self.until(f"spy.told.some(({{ type }}) => type === '{kind}')")
        return self.told(kind)[0]

    def until_heard(self, kind: str) -> dict[str, Any]:
        """The first event of that type that the page gets."""
        self.until(f"spy.heard.some(({{ type }}) => type === '{kind}')")
        event: dict[str, Any] = self.page.ask("spy.heard.find(({ type }) => type === told)", kind)
        return event

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The events of that type that the page sent."""
        events: list[dict[str, Any]] = self.page.ask(
            "spy.told.filter(({ type }) => type === told)", kind
        )
        return events

    def words(self, element: str) -> str:
        """What is written there."""
        words: str = self.page.ask("document.getElementById(told).textContent", element)
        return words

    def refusal(self) -> str:
        """Why there was no session; the form is as it was before."""
        self.press("record")
        self.until("document.getElementById('problem').textContent")
        assert self.disabled() == {"record": False, "stop": True, "endpoint": False}
        return self.words("problem")

    def disabled(self) -> dict[str, bool]:
        """What of the form cannot be used."""
        disabled: dict[str, bool] = self.page.ask(
            "Object.fromEntries(told.map((id) => [id, document.getElementById(id).disabled]))",
            ["record", "stop", "endpoint"],
        )
        return disabled


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A server with room for many sessions."""
    with living(tmp_path_factory.mktemp("home")) as made:
        yield made


@contextmanager
def living(folder: Path, **more: Any) -> Iterator[Home]:
    """A server that answers by a script, and a site beside it."""
    with site() as (pages, policy), socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        silent = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        config = Config(
            api_keys=(KEY,),
            data_dir=folder,
            scenario=written(folder, "talk", TALK),
            recipes={"endless": scripted(written(folder, "endless", ENDLESS))},
            deployments={"endless": DeploymentPlan(recipe="endless")},
            allowed_origins=(pages,),
            drain_s=0,
            **more,
        )
        with running_in_thread(lambda: assemble(config)) as address:
            hosts = [address.url, silent]
            hosts += [each.replace("http", "ws", 1) for each in hosts]
            policy.append(POLICY.format(" ".join(hosts)))
            yield Home(address.url, pages, silent)


@contextmanager
def site() -> Iterator[tuple[str, list[str]]]:
    """The files that are copied, and the Content-Security-Policy that they come with."""
    policy: list[str] = []

    class Copied(SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            name = path.partition("?")[0].removeprefix("/").removeprefix("assets/")
            return str(PAGES / name) if name in COPIED else str(PAGES / "nothing")

        def end_headers(self) -> None:
            self.send_header("Content-Security-Policy", policy[0])
            super().end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Copied, directory=str(PAGES))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", policy
        finally:
            server.shutdown()
            thread.join()


def written(folder: Path, name: str, scenario: str) -> Path:
    file = folder / f"{name}.toml"
    file.write_text(scenario)
    return file


def scripted(scenario: Path) -> RecipePlan:
    engine = EngineChoice("scripted", {"scenario": str(scenario)})
    return RecipePlan(transcriber=engine, language_model=engine, synthesiser=engine)


@contextmanager
def opened(browser: Chromium, home: Home, language: str = "en", **fields: str) -> Iterator[Sample]:
    """The sample, filled in so that it works but for *fields*."""
    with browser.page(f"{home.pages}/sample.html?lang={language}") as page:
        sample = Sample(page)
        sample.fill(**{"endpoint": home.url, "key": KEY, "deployment": "gpt-realtime", **fields})
        yield sample
        sample.press("stop")


# A conversation.


@pytest.mark.shared
@pytest.mark.parametrize("version", ["ga", "preview"])
def test_a_spoken_question_is_written_down_and_answered_aloud(
    home: Home, browser: Chromium, weather_question: Pcm, version: str
) -> None:
    browser.microphone.hear(weather_question)
    with opened(browser, home, version=version) as sample:
        sample.record()
        sample.until("spy.loud() > 0.005")
        sample.until_heard("response.done")

        lines = sample.page.ask("[...output.children].map((line) => line.textContent)")
        assert lines == [
            "<< Session Started >>",
            "<< Speech Started >>",
            " User: hello there",
            "You said: hello there",
            "",
        ]
        assert sample.page.ask("voice.disabled")


@pytest.mark.shared
def test_microphone_audio_goes_out_in_tenths_of_a_second(
    home: Home, browser: Chromium, weather_question: Pcm
) -> None:
    browser.microphone.hear(weather_question)
    with opened(browser, home) as sample:
        sample.record()
        chunk = sample.until_told("input_audio_buffer.append")["audio"]

        assert len(chunk) == 4800 * 4 // 3


@pytest.mark.shared
def test_speaking_stops_the_answer_and_truncates_it_where_it_was_heard(
    home: Home, browser: Chromium, weather_question: Pcm
) -> None:
    browser.microphone.hear(twice(weather_question))
    with opened(browser, home, deployment="endless") as sample:
        sample.page.ask("spy.since = spy.until = null")
        sample.record()
        sample.page.ask(
            """setInterval(() => {
              if (spy.loud() <= 0.005) return;
              spy.since ??= performance.now();
              spy.until = performance.now();
            }, 10)"""
        )
        truncation = sample.until_told("conversation.item.truncate")
        truncated = sample.until_heard("conversation.item.truncated")
        sample.until("performance.now() - spy.until > 700")
        heard_ms = sample.page.ask("spy.until - spy.since")

        assert truncation["audio_end_ms"] == pytest.approx(heard_ms, abs=ROOM)
        assert truncated["audio_end_ms"] == truncation["audio_end_ms"]
        mark = f"(interrupted at {truncation['audio_end_ms'] / 1000:.1f} s)"
        assert mark in sample.words("output")
        assert sample.page.ask("spy.heard.filter(({ type }) => type === 'error')") == []


def twice(pcm: Pcm) -> Pcm:
    """Said, and after some time said again."""
    pause = silence(4000, pcm.rate_hz).samples
    return of_samples(np.concatenate([pcm.samples, pause, pcm.samples]), pcm.rate_hz)


def test_what_may_change_is_sent_at_once_and_what_may_not_is_closed(
    home: Home, browser: Chromium
) -> None:
    browser.microphone.hear_nothing()
    with opened(browser, home, version="preview", voice="sage", temperature="0.7") as sample:
        sample.record()
        sample.fill(instructions="Be brief.")
        sample.fill(temperature="1.1")
        sample.fill(voice="ash")

        sessions = [event["session"] for event in sample.told("session.update")]
        assert sessions[1:] == [
            {"voice": "sage", "temperature": 0.7},
            {"instructions": "Be brief."},
            {"temperature": 1.1},
            {"voice": "ash"},
        ]
        assert sample.disabled() == {"record": True, "stop": False, "endpoint": True}


def test_a_client_secret_does_as_well_as_a_key(home: Home, browser: Chromium) -> None:
    browser.microphone.hear_nothing()
    with opened(browser, home, key=Site(home.url).secret()) as sample:
        sample.record()


def test_stop_frees_the_microphone_and_another_session_can_begin(
    home: Home, browser: Chromium
) -> None:
    browser.microphone.hear_nothing()
    with opened(browser, home) as sample:
        sample.page.ask("document.getElementById('record').focus()")
        sample.record()
        assert sample.page.ask("spy.tracks.map((track) => track.readyState)") == ["live"]
        assert sample.page.ask("document.activeElement.id") == "stop"

        sample.press("stop")
        assert sample.page.ask("document.activeElement.id") == "record"
        assert sample.page.ask("spy.tracks.map((track) => track.readyState)") == ["ended"]
        assert sample.disabled() == {"record": False, "stop": True, "endpoint": False}

        sample.press("clear")
        assert sample.words("output") == ""
        sample.record()


def test_a_session_that_ends_by_itself_frees_the_microphone_and_says_so(
    home: Home, browser: Chromium
) -> None:
    browser.microphone.hear_nothing()
    with opened(browser, home) as sample:
        sample.record()
        sample.page.ask("spy.sockets[0].close()")
        sample.until("document.getElementById('problem').textContent")

        assert f"{host(home.url)} ended the session" in sample.words("problem")
        assert sample.page.ask("spy.tracks.map((track) => track.readyState)") == ["ended"]
        assert sample.disabled() == {"record": False, "stop": True, "endpoint": False}


# Refusals.


def test_a_wrong_key_is_told_in_the_server_s_words(home: Home, browser: Chromium) -> None:
    with opened(browser, home, key="wrong") as sample:
        refusal = sample.refusal()

        assert "refused (401)" in refusal
        assert "the key is not one of this server's" in refusal
        assert sample.page.ask("spy.tracks.length") == 0


@pytest.mark.parametrize("version", ["ga", "preview"])
def test_an_unknown_deployment_is_told_with_those_there_are(
    home: Home, browser: Chromium, version: str
) -> None:
    with opened(browser, home, deployment="nobody", version=version) as sample:
        refusal = sample.refusal()

        assert "nobody" in refusal
        assert "gpt-realtime" in refusal


def test_that_a_server_is_full_is_told(tmp_path: Path, browser: Chromium) -> None:
    with living(tmp_path, max_sessions=1) as home:
        where = f"{home.url.replace('http', 'ws', 1)}/v1/realtime?model=gpt-realtime"
        with (
            connect(where, additional_headers={"Authorization": f"Bearer {KEY}"}),
            opened(browser, home) as sample,
        ):
            assert "all of its sessions may be taken" in sample.refusal()


def test_a_host_that_does_not_answer_is_told(home: Home, browser: Chromium) -> None:
    with opened(browser, home, endpoint=home.nobody) as sample:
        assert "cannot be reached" in sample.refusal()


def test_a_policy_that_shuts_a_host_out_is_told(home: Home, browser: Chromium) -> None:
    with opened(browser, home, endpoint="http://127.0.0.1:1") as sample:
        assert f"may talk to {home.pages} alone" in sample.refusal()


def test_what_only_looks_like_a_client_secret_is_told(home: Home, browser: Chromium) -> None:
    with opened(browser, home, key="ek_none") as sample:
        assert "no client secret of this server's" in sample.refusal()


def test_a_client_secret_of_another_deployment_is_told(home: Home, browser: Chromium) -> None:
    key = Site(home.url).secret("endless")
    with opened(browser, home, key=key) as sample:
        assert "refused this client secret" in sample.refusal()


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("endpoint", "", "Enter an endpoint"),
        ("endpoint", "my-resource", "no address"),
        ("key", "", "Enter a key"),
        ("key", "two words", "no key has"),
        ("deployment", " ", "Enter the name"),
    ],
)
def test_each_field_has_its_own_complaint(
    home: Home, browser: Chromium, field: str, value: str, told: str
) -> None:
    with opened(browser, home, **{field: value}) as sample:
        sample.press("record")

        assert told in sample.words(f"{field}-wrong")
        assert sample.page.ask("document.activeElement.id") == field
        assert sample.page.ask("spy.asked") == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("NotAllowedError", "is blocked"),
        ("NotFoundError", "There is no microphone"),
        ("NotReadableError", "another program"),
    ],
)
def test_without_microphone_it_is_said_why(
    home: Home, browser: Chromium, error: str, told: str
) -> None:
    with opened(browser, home) as sample:
        sample.page.ask(
            """navigator.mediaDevices.getUserMedia = async () => {
              throw new DOMException('no', told);
            }""",
            error,
        )
        assert told in sample.refusal()


# At the server's own address.


def test_whoever_is_not_signed_in_is_told_so_and_needs_no_key_afterwards(
    home: Home, browser: Chromium
) -> None:
    browser.microphone.hear_nothing()
    with browser.page(f"{home.url}/sample?lang=en") as page:
        sample = Sample(page)
        sample.fill(endpoint=home.url, key="", deployment="gpt-realtime")
        assert "sign in to this server first" in sample.refusal()

        page.ask(
            """fetch('/sign-in', {
              method: 'POST',
              headers: { 'Content-Type': 'application/json' },
              body: JSON.stringify({ key: told }),
            }).then(({ ok }) => ok || Promise.reject(new Error('not signed in')))""",
            KEY,
        )
        sample.record()
        sample.press("stop")


# The player, whose ring holds thirty samples where a second has one.


def test_sound_comes_out_as_it_came_in_though_the_ring_goes_round_and_grows(
    home: Home, browser: Chromium
) -> None:
    with browser.page(f"{home.pages}/sample.html") as page:
        page.ask(PLAYER)
        played = page.ask(
            """(() => {
              player.add('a', 1, 25);
              const begin = player.play(20);
              player.add('a', 26, 25);
              player.add('b', 51, 40);
              return [...begin, ...player.play(75)];
            })()"""
        )
        assert played == [*range(1, 91), *[0] * 5]


def test_of_each_item_it_is_counted_what_was_played(home: Home, browser: Chromium) -> None:
    with browser.page(f"{home.pages}/sample.html") as page:
        page.ask(PLAYER)
        page.ask(
            """(() => {
              player.add('a', 1, 10);
              player.add('b', 11, 10);
              player.play(14);
              player.add('c', 21, 5);
              player.tell({ interrupt: true });
              player.add('c', 26, 5);
            })()"""
        )
        assert page.ask("player.told") == [
            {"interrupted": [{"item": "b", "samples": 4}, {"item": "c", "samples": 0}]}
        ]
        assert page.ask("player.play(3)") == [0, 0, 0]
        assert page.ask("(player.add('d', 7, 2), player.play(3))") == [7, 8, 0]


def test_what_was_played_to_its_end_is_not_interrupted(home: Home, browser: Chromium) -> None:
    with browser.page(f"{home.pages}/sample.html") as page:
        page.ask(PLAYER)
        page.ask(
            """(() => {
              player.add('a', 1, 3);
              player.play(5);
              player.tell({ end: 'a' });
              player.tell({ interrupt: true });
            })()"""
        )
        assert page.ask("player.told") == [{"interrupted": []}]


# What it keeps, and from whom.


def test_no_other_host_than_the_page_s_and_the_endpoint_is_asked(
    home: Home, browser: Chromium
) -> None:
    browser.microphone.hear_nothing()
    with opened(browser, home) as sample:
        sample.record()

        loaded = sample.page.ask(
            "performance.getEntriesByType('resource').map(({ name }) => new URL(name).host)"
        )
        asked = sample.page.ask("spy.asked.map((url) => new URL(url).host)")
        assert set(loaded) - {host(home.url)} == {host(home.pages)}
        assert set(asked) == {host(home.url)}


def host(url: str) -> str:
    return url.removeprefix("http://")


def test_the_fields_are_remembered_and_the_key_is_not(home: Home, browser: Chromium) -> None:
    with opened(browser, home, deployment="endless", instructions="Be kind.") as sample:
        sample.page.load()

        fields = ["endpoint", "deployment", "instructions", "key"]
        values = sample.page.ask("told.map((id) => document.getElementById(id).value)", fields)
        assert values == [home.url, "endless", "Be kind.", ""]
        assert KEY not in sample.page.ask("JSON.stringify(localStorage)")


def test_the_labels_speak_the_language_that_is_asked_for(home: Home, browser: Chromium) -> None:
    with opened(browser, home, "sv", deployment="") as sample:
        sample.press("record")

        assert sample.page.ask("document.documentElement.lang") == "sv"
        assert (sample.words("record"), sample.words("stop")) == ("Spela in", "Stoppa")
        assert sample.words("deployment-wrong") == "Ange namnet på en distribution."


def test_every_text_is_there_in_five_languages() -> None:
    script = (PAGES / "sample.js").read_text().partition("const TEXTS")[2]
    blocks = re.findall(r"^  (\w\w): \{\n(.*?)^  \},", script, re.MULTILINE | re.DOTALL)
    texts = {name: set(re.findall(r"^    (\w+):", block, re.MULTILINE)) for name, block in blocks}
    english = texts.pop("en")
    labels = set(re.findall(r'data-text="(\w+)"', (PAGES / "sample.html").read_text()))

    assert english
    assert labels
    assert texts == dict.fromkeys(("de", "pt", "ru", "sv"), english | labels | {"pirate", "silent"})


def test_the_files_to_copy_are_small() -> None:
    assert sum((PAGES / name).stat().st_size for name in COPIED) < MOST_BYTES
