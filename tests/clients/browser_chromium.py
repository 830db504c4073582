"""Chromium: the one of this machine, without a window, driven by Playwright for Python."""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from browser_microphone import Microphone
from browser_page import Page

if TYPE_CHECKING:
    from playwright.async_api import Browser

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
NO_CHROMIUM = "there is no Chromium: on Debian and Ubuntu `apt-get install chromium` installs it"
NO_PLAYWRIGHT = "there is no Playwright: `make test-clients` installs it"
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    # It talks to nobody but the servers of the tests.
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A page gets the microphone without asking a person, and may play without being clicked on.
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)


class Chromium:
    """A browser that runs in a loop of another thread, so that tests may block theirs."""

    def __init__(self, portal: BlockingPortal, browser: "Browser", microphone: Microphone) -> None:
        self.microphone = microphone
        self._portal = portal
        self._browser = browser

    @contextmanager
    def page(self, url: str) -> Iterator[Page]:
        """The page at *url*, loaded, in a profile of its own; AssertionError if it had errors."""
        with self._portal.wrap_async_context_manager(self._opened(url)) as page:
            yield page
            assert page.errors == []

    @asynccontextmanager
    async def _opened(self, url: str) -> AsyncIterator[Page]:
        context = await self._browser.new_context()
        try:
            tab = await context.new_page()
            page = Page(self._portal, tab)
            tab.on("pageerror", lambda error: page.errors.append(str(error)))
            await tab.goto(url)
            yield page
        finally:
            await context.close()


@contextmanager
def chromium(folder: Path) -> Iterator[Chromium]:
    """Chromium, whose microphone hears a file in *folder*; a test without it fails."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.fail(NO_CHROMIUM, pytrace=False)
    if find_spec("playwright") is None:
        pytest.fail(NO_PLAYWRIGHT, pytrace=False)
    microphone = Microphone(folder / "microphone.wav")
    launching = _launched(program, microphone)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(launching) as browser:
        yield Chromium(portal, browser, microphone)


@asynccontextmanager
async def _launched(program: str, microphone: Microphone) -> AsyncIterator["Browser"]:
    from playwright.async_api import async_playwright  # installed for these tests alone

    # The file is read anew whenever a page opens the microphone, and once from begin to end.
    heard = f"--use-file-for-fake-audio-capture={microphone.file}%noloop"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=[*FLAGS, heard], chromium_sandbox=False
        )
        try:
            yield browser
        finally:
            await browser.close()
