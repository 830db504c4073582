"""Servers for the tests of whole conversations, each started once for all of them."""

import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
from msgspec import Struct

from vivavoce.config import Config
from vivavoce.server.assembly import assemble
from vivavoce.testing.server import running_in_thread

KEY = "vv-the-key-of-these-tests"
PROGRAM = Path(sys.executable).with_name("vivavoce")
PATIENCE_S = 60  # after which a test gives up; no test measures anything by it

SCENARIO = """
[[turn]]
hears = "at length"
say = "{long}"

[[turn]]
hears = "break down"
say = "This will not end well, I fear."
fail = "out of memory"
fail_after_words = 3

[[heard]]
transcript = "hello there"

[speech]
pace = {pace}
"""
LONG = " ".join(f"This is sentence number {number} of a long answer." for number in range(40))


class Site(Struct, frozen=True):
    """Where a server runs. *authority* is the file of the CA that its clients have to trust."""

    url: str
    key: str = KEY
    authority: Path | None = None

    @property
    def ws_url(self) -> str:
        """For WebSocket."""
        return self.url.replace("http", "ws", 1)

    @property
    def sessions(self) -> int:
        """How many are under way."""
        return int(self._get("/readyz").json()["sessions"])

    def metric(self, sample: str) -> float:
        """The sum of the metrics that begin like that; nought where nothing was counted yet."""
        lines = self._get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(sample))

    @property
    def warm(self) -> bool:
        """Whether it is ready to serve."""
        return self._get("/readyz").is_success

    def _get(self, path: str) -> httpx.Response:
        trusted = ssl.create_default_context(cafile=self.authority)
        return httpx.get(self.url + path, verify=trusted)


def scenario(folder: Path, *, pace: float) -> Path:
    """The file of the scripted conversations."""
    file = folder / f"pace-{pace:g}.toml"
    file.write_text(SCENARIO.format(long=LONG, pace=float(pace)))
    return file


@contextmanager
def served(config: Config) -> Iterator[Site]:
    """A server in another thread of this process, from when its engines are warm."""
    with running_in_thread(lambda: assemble(config)) as address:
        yield Site(address.url)


@contextmanager
def serving(
    arguments: Sequence[str],
) -> "Iterator[tuple[subprocess.Popen[str], str]]":
    """`vivavoce serve` as a process, and the address that it prints."""
    process = subprocess.Popen(
        [PROGRAM, "serve", "--port", "0", *arguments],
        env=clean({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().split()[-1]
        finally:
            process.terminate()


def clean(more: Mapping[str, str]) -> dict[str, str]:
    """An environment without the keys and settings of whoever runs the tests, and with *more*."""
    ours = ("VIVAVOCE_", "OPENAI_", "AZURE_", "SSL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | dict(more)


def until(holds: Callable[[], bool]) -> None:
    """Ask again and again; AssertionError when the answer stays no."""
    give_up = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < give_up, "it never came true"
        time.sleep(0.02)
