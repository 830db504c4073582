"""Signing in and the overview, in a real browser, by names as a person finds them."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import clients_node
import httpx
import pytest
from browser_sites import PATIENCE_S, Site
from browser_visitor import Visitor, barriers, by_keyboard, scrolls_sideways, visitor

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytest_plugins = ["browser_fixtures"]
pytestmark = pytest.mark.clients

PAGES = Path(__file__).parents[2] / "src" / "vivavoce" / "pages"
LANGUAGES = ("en", "de", "pt", "ru", "sv")
NARROW, WIDE = 360, 1440
READY = {
    "en": "Ready to talk",
    "de": "Bereit zum Gespräch",
    "pt": "Pronto para conversar",
    "ru": "Готов к разговору",
    "sv": "Redo att samtala",
}
CALM_MS = 10_000  # between two questions to a server with which all is well

Json = dict[str, Any]  # what JSON decodes to


@pytest.fixture(scope="module")
def person(embedded_site: Site) -> Iterator[Visitor]:
    """Somebody who visits the server's own pages."""
    with visitor(embedded_site) as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def warm(embedded_site: Site) -> None:
    """The engines of the server are loaded."""
    give_up = time.monotonic() + PATIENCE_S
    while httpx.get(f"{embedded_site.url}/readyz").status_code != 200:
        assert time.monotonic() < give_up, "the engines never were warm"
        time.sleep(0.05)


def is_there(page: "Page", words: str) -> None:
    """The heading says so, soon."""
    page.get_by_role("heading", level=1, name=words, exact=True).wait_for()


def copied(page: "Page") -> str:
    """What the clipboard holds once the page has said that it does."""
    page.get_by_role("status").get_by_text("Copied").wait_for()
    words: str = page.evaluate("navigator.clipboard.readText()")
    return words


def home_of(site: Site) -> Json:
    """What the server tells of itself."""
    answer = httpx.get(f"{site.url}/api/home", headers={"Authorization": f"Bearer {site.key}"})
    home: Json = answer.json()
    return home


# Signing in.


def test_whoever_is_not_signed_in_is_asked_for_the_key_and_then_sees_the_overview(
    person: Visitor,
) -> None:
    with person.at("/", signed_in=False) as page:
        is_there(page, "Sign in")
        page.get_by_label("Key of this server").fill(person.site.key)
        page.keyboard.press("Enter")

        is_there(page, "Ready to talk")
        cookies = page.context.cookies()
        assert [(each["httpOnly"], each["sameSite"]) for each in cookies] == [(True, "Strict")]


def test_a_wrong_key_is_told_in_words_and_can_be_typed_again(person: Visitor) -> None:
    with person.at("/sign-in", signed_in=False) as page:
        page.get_by_label("Key of this server").fill("not-the-key")
        page.get_by_role("button", name="Sign in").click()

        page.get_by_role("alert").get_by_text("none of this server’s keys").wait_for()
        page.keyboard.type(person.site.key)
        page.keyboard.press("Enter")
        is_there(page, "Ready to talk")


def test_a_link_that_was_used_says_so(person: Visitor) -> None:
    with person.at("/sign-in?token=used", signed_in=False) as page:
        page.get_by_role("alert").get_by_text("This link was used already").wait_for()


def test_whoever_signs_out_is_asked_for_the_key_again(person: Visitor) -> None:
    with person.at("/") as page:
        page.get_by_role("button", name="Sign out").click()

        is_there(page, "Sign in")
        assert page.context.cookies() == []


# What the overview tells.


def test_the_overview_tells_each_engine_and_what_serves_each_deployment(person: Visitor) -> None:
    with person.at("/") as page:
        is_there(page, "Ready to talk")

        engines = page.get_by_role("region", name="Engines").get_by_role("listitem")
        speaks = engines.filter(has_text="Speaks")
        row = page.get_by_role("row").filter(has=page.get_by_text("gpt-realtime", exact=True))
        assert engines.count() == 5
        assert "eSpeak NG" in speaks.inner_text()
        assert "Ready" in speaks.inner_text()
        assert page.get_by_role("row").count() == 5
        assert "pocketsphinx, cadence, responder, espeak" in row.inner_text()


def test_an_engine_that_failed_says_what_went_wrong(person: Visitor) -> None:
    home = home_of(person.site) | {"state": "failed"}
    home["engines"][0] |= {"status": "failed to load", "version": "no such file"}
    with person.at("/") as page:
        page.route("**/api/home", lambda route: route.fulfill(json=home))
        page.reload()
        is_there(page, "The engines could not be loaded")

        engine = page.get_by_role("region", name="Engines").get_by_role("listitem").first
        assert "silero no such file" in engine.inner_text()
        assert "Failed" in engine.inner_text()


def test_the_overview_sees_by_itself_that_the_server_became_ready_and_that_it_is_gone(
    person: Visitor,
) -> None:
    home = home_of(person.site) | {"state": "loading"}
    with person.at("/") as page:
        page.clock.install()
        page.route("**/api/home", lambda route: route.fulfill(json=home))
        page.reload()
        is_there(page, "Loading the engines")

        home["state"] = "ready"
        page.clock.run_for(CALM_MS)
        is_there(page, "Ready to talk")

        page.unroute("**/api/home")
        page.route("**/api/home", lambda route: route.abort())
        page.clock.run_for(CALM_MS)
        is_there(page, "The server does not answer")

        page.unroute("**/api/home")
        page.clock.run_for(CALM_MS)
        is_there(page, "Ready to talk")


def test_no_pages_are_offered_but_those_that_there_are(person: Visitor) -> None:
    with person.at("/") as page:
        is_there(page, "Ready to talk")
        links = page.locator("a[href^='/']")
        paths = {str(link.get_attribute("href")) for link in links.all()}

        assert {httpx.get(person.site.url + path).status_code for path in paths} == {200}
        assert "/sample" in paths


# The key, and what is copied.


def test_the_key_is_seen_only_by_whoever_asks_and_then_stands_in_the_programs(
    person: Visitor,
) -> None:
    with person.at("/") as page:
        is_there(page, "Ready to talk")
        program = page.get_by_role("tabpanel", name="Python").locator("code")
        assert person.site.key not in page.locator("body").inner_text()
        assert 'api_key="KEY"' in program.inner_text()

        page.get_by_role("button", name="Show the key").click()

        assert page.get_by_text(person.site.key, exact=True).is_visible()
        assert f'api_key="{person.site.key}"' in program.inner_text()


def test_the_address_the_key_and_the_program_can_be_copied(person: Visitor) -> None:
    with person.at("/", permissions=["clipboard-read", "clipboard-write"]) as page:
        page.get_by_role("button", name="Copy the endpoint").click()
        endpoint = copied(page)
        page.get_by_role("button", name="Copy the key").click()
        key = copied(page)
        page.get_by_role("tab", name="curl").click()
        page.get_by_role("button", name="Copy the program").click()

        assert endpoint == person.site.url
        assert key == person.site.key
        assert copied(page).startswith(f"curl {person.site.url}/v1/realtime/client_secrets")


def test_copying_works_where_browsers_give_no_clipboard_as_on_plain_http(person: Visitor) -> None:
    hide = """
      const { clipboard } = navigator;
      Object.defineProperty(navigator, 'clipboard', { value: undefined });
      window.put = () => Object.defineProperty(navigator, 'clipboard', { value: clipboard });
    """.replace("undefined }", "undefined, configurable: true }")
    with person.at("/", permissions=["clipboard-read"]) as page:
        page.add_init_script(hide)
        page.reload()
        page.get_by_role("button", name="Copy the endpoint").click()
        page.get_by_role("status").get_by_text("Copied").wait_for()

        page.evaluate("put()")
        assert copied(page) == person.site.url


@pytest.mark.parametrize("name", ["Python", "JavaScript", "curl"])
def test_the_programs_run_as_pasted(person: Visitor, tmp_path: Path, name: str) -> None:
    commands = {
        "Python": [sys.executable],
        "JavaScript": [str(clients_node.node())],
        "curl": [shutil.which("sh") or "sh"],
    }
    if name == "curl" and shutil.which("curl") is None:
        pytest.fail("there is no curl: on Debian and Ubuntu, apt-get install curl")
    with person.at("/") as page:
        page.get_by_role("button", name="Show the key").click()
        page.get_by_role("tab", name=name).click()
        program = tmp_path / "program.mjs"
        program.write_text(page.get_by_role("tabpanel", name=name).locator("code").inner_text())

    command = [*commands[name], str(program)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)["value"] if name == "curl" else ended.stdout
    assert said.startswith("ek_") if name == "curl" else "Hello" in said


# For everybody.


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_speaks_the_language_that_the_browser_prefers(
    person: Visitor, language: str
) -> None:
    with person.at("/", locale=language) as page:
        is_there(page, READY[language])
        assert page.locator("html").get_attribute("lang") == language


def test_the_language_that_was_picked_is_remembered_and_the_address_may_ask_for_another(
    person: Visitor,
) -> None:
    with person.at("/?lang=de") as page:
        is_there(page, READY["de"])
        page.get_by_label("Sprache").select_option("sv")
        is_there(page, READY["sv"])
        assert page.title() == "Översikt · Viva Voce"
        assert page.url == f"{person.site.url}/"

        page.reload()
        is_there(page, READY["sv"])
        page.goto(f"{person.site.url}/?lang=ru")
        is_there(page, READY["ru"])


def test_the_colours_that_were_picked_are_remembered(person: Visitor) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    with person.at("/", color_scheme="light") as page:
        light = page.evaluate(ground)
        page.get_by_label("Colour scheme").select_option("dark")
        dark = page.evaluate(ground)
        page.reload()

        assert dark != light
        assert page.evaluate(ground) == dark
        assert page.get_by_label("Colour scheme").input_value() == "dark"


@pytest.mark.parametrize("path", ["/", "/sign-in"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_broader_than_the_narrowest_telephone(
    person: Visitor, path: str, language: str
) -> None:
    signed_in = path == "/"
    with person.at(path, signed_in=signed_in, width=NARROW, locale=language) as page:
        page.get_by_role("heading", level=1).wait_for()
        assert not scrolls_sideways(page)


@pytest.mark.parametrize("width", [NARROW, WIDE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/sign-in?token=used"])
def test_axe_finds_no_barrier(person: Visitor, path: str, scheme: str, width: int) -> None:
    with person.at(path, signed_in=path == "/", width=width, color_scheme=scheme) as page:
        page.get_by_role("heading", level=1).wait_for()
        assert barriers(page) == []


def test_the_keyboard_alone_reaches_everything(person: Visitor) -> None:
    with person.at("/") as page:
        is_there(page, "Ready to talk")
        reached = by_keyboard(page)

        controls = page.locator("a, button:not([role=tab]), select, [role=tab][aria-selected=true]")
        assert reached[0] == "Skip to the content"
        assert len(reached) == controls.count() + 1  # and the program, which scrolls
        assert {"Language", "Colour scheme", "Show the key", "Copy the program"} <= set(reached)


def test_arrows_walk_from_program_to_program(person: Visitor) -> None:
    with person.at("/") as page:
        page.get_by_role("tab", name="Python").focus()
        page.keyboard.press("ArrowLeft")
        assert page.get_by_role("tabpanel", name="curl").is_visible()

        page.keyboard.press("ArrowRight")
        assert page.get_by_role("tabpanel", name="Python").is_visible()
        assert not page.get_by_role("tabpanel", name="curl").is_visible()


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_nothing_jumps_while_the_page_is_loaded(person: Visitor, width: int) -> None:
    watch = """
      window.jumps = [];
      new PerformanceObserver((list) => jumps.push(...list.getEntries().map(({ value }) => value)))
        .observe({ type: 'layout-shift', buffered: true });
    """
    painted = "new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen)))"
    held: list[Route] = []
    with person.at("/", width=width) as page:
        page.add_init_script(watch)
        page.route("**/api/home", lambda route: held.append(route))
        with page.expect_request("**/api/home"):
            page.reload()
        page.evaluate(painted)
        held[0].continue_()
        is_there(page, "Ready to talk")
        page.evaluate(painted)

        assert page.evaluate("jumps") == []


# The files.


def test_every_text_is_there_in_all_languages_and_every_name_has_its_type() -> None:
    tsc = clients_node.PACKAGES / "typescript" / "bin" / "tsc"
    checked = clients_node.run(tsc, "-p", str(PAGES / "jsconfig.json"), environ=os.environ)

    assert checked.returncode == 0, checked.stdout


def test_every_text_that_a_page_asks_for_exists_and_none_is_left_over() -> None:
    texts = (PAGES / "text.js").read_text(encoding="utf-8")
    there = set(re.findall(r'^  "([a-z_]+\.[a-z_]+)": \{', texts, re.MULTILINE))
    others = [each for each in PAGES.rglob("*") if each.suffix in (".html", ".js")]
    read = "".join(each.read_text(encoding="utf-8") for each in others if each.name != "text.js")
    asked = set(re.findall(r'(?:data-text|data-label|label)="([a-z_]+\.[a-z_]+)"', read))
    made = ("home.", "slot.", "status.")  # of which some are put together

    assert asked <= there
    assert {
        each for each in there if f'"{each}"' not in read and not each.startswith(made)
    } == set()
