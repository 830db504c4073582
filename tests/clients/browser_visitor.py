"""A person who visits the server's own pages: finds things by their names, and is watched."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from browser_chromium import FLAGS, NO_CHROMIUM, PROGRAMS
from browser_sites import Site
from clients_node import PACKAGES

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

GRAVE = ("serious", "critical")


class Visitor:
    """Opens pages of one server. Whatever goes wrong in one fails the test that opened it."""

    def __init__(self, browser: "Browser", site: Site) -> None:
        self.site = site
        self._browser = browser

    @contextmanager
    def at(
        self, path: str, *, signed_in: bool = True, width: int = 1280, **settings: Any
    ) -> Iterator["Page"]:
        """The page at *path*, in a profile of its own; *settings* are of the browser's context."""
        context = self._browser.new_context(
            **{"viewport": {"width": width, "height": 900}, "locale": "en-GB", **settings}
        )
        page = context.new_page()
        wrong: list[str] = []
        asked: set[str] = set()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
        try:
            if signed_in:
                answer = context.request.post(
                    f"{self.site.url}/sign-in",
                    data={"key": self.site.key},
                    headers={"Accept": "application/json"},
                )
                assert answer.ok, answer.text()
            page.goto(self.site.url + path)
            yield page
            assert wrong == []
            assert asked == {urlsplit(self.site.url).netloc}
        finally:
            context.close()


@contextmanager
def visitor(site: Site) -> Iterator[Visitor]:
    """Somebody with a browser; a test without Chromium fails."""
    from playwright.sync_api import sync_playwright  # installed for these tests alone

    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.fail(NO_CHROMIUM, pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=list(FLAGS), chromium_sandbox=False
        )
        yield Visitor(browser, site)
        browser.close()


def barriers(page: "Page") -> list[str]:
    """What axe finds on the page that would keep somebody out."""
    # As an expression, since the policy of the page lets no foreign script in.
    page.evaluate((PACKAGES / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then(({ violations }) => violations)")
    return [
        f"{each['id']}: {node['html']} {node['failureSummary']}"
        for each in found
        if each["impact"] in GRAVE
        for node in each["nodes"]
    ]


def scrolls_sideways(page: "Page") -> bool:
    """The page is broader than its window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


def by_keyboard(page: "Page") -> list[str]:
    """The names of what the tabulator reaches, in order, until it has been everywhere."""
    names: list[str] = []
    while True:
        page.keyboard.press("Tab")
        name = page.evaluate(
            "(document.activeElement?.ariaLabel || document.activeElement?.innerText)"
        )
        at_end = page.evaluate("document.activeElement === document.body")
        if at_end:
            return names
        names.append(name)
        assert len(names) < 100, "the tabulator never comes to an end"
