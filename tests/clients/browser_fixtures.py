"""What the tests in a browser share, made once for all of them: a plugin of theirs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_chromium import Chromium, chromium
from browser_microphone import recorded
from browser_pages import pages
from browser_sites import Site, embedded, talking

from vivavoce.audio.pcm import Pcm


@pytest.fixture(scope="session")
def origin() -> Iterator[str]:
    """Where the pages are: another origin than the server's."""
    with pages() as where:
        yield where


@pytest.fixture(scope="session")
def other_origin() -> Iterator[str]:
    """Where the same pages are too: an origin to whose pages the server gives more rights."""
    with pages() as where:
        yield where


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, other_origin: str) -> Iterator[Site]:
    """A server that answers by a script."""
    with talking(tmp_path_factory.mktemp("talking"), other_origin) as made:
        yield made


@pytest.fixture(scope="session")
def embedded_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server as it comes out of the box."""
    with embedded(tmp_path_factory.mktemp("embedded")) as made:
        yield made


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """Chromium."""
    with chromium(tmp_path_factory.mktemp("chromium")) as made:
        yield made


@pytest.fixture
def weather_question(shared: Path) -> Pcm:
    """A person who asks about the weather in Paris."""
    return recorded(shared / "audio" / "weather_question.wav")
