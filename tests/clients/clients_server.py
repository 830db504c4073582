"""Servers for the clients: `vivavoce serve --tls`, since most clients take nothing but wss."""

import os
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from msgspec import Struct

KEY = "vv-the-key-of-the-clients"
PATIENCE_S = 60  # after which a test gives up; no test measures anything by it

# The deployment `slow` speaks no faster than people do twice over, so it can be interrupted.
CONFIG = """
scenario = "{folder}/scenario.toml"

[deployments.slow]
recipe = "slow"

[recipes.slow]
transcriber = {{ engine = "scripted", scenario = "{folder}/slow.toml" }}
language_model = {{ engine = "scripted", scenario = "{folder}/slow.toml" }}
synthesiser = {{ engine = "scripted", scenario = "{folder}/slow.toml" }}
"""
SCENARIO = """
[[heard]]
transcript = "hello there"

[[turn]]
hears = "weather"
[[turn.call]]
name = "get_weather"
arguments = { city = "Paris" }

[[turn]]
after_call = "get_weather"
say = "It is {result}."
"""
SLOW = f"""
[[turn]]
hears = "at length"
say = "{" ".join(["This goes on and on."] * 20)}"

[speech]
pace = 2.0
"""


class Site(Struct, frozen=True):
    """Where a server runs, and the authority that signed its certificate."""

    url: str
    authority: Path
    key: str = KEY

    @property
    def ws_url(self) -> str:
        """For WebSocket."""
        return self.url.replace("http", "ws", 1)


@contextmanager
def scripted(folder: Path) -> Iterator[Site]:
    """A server that answers by a script: what was said, or a call where it was about weather."""
    (folder / "scenario.toml").write_text(SCENARIO)
    (folder / "slow.toml").write_text(SLOW)
    (folder / "vivavoce.toml").write_text(CONFIG.format(folder=folder))
    with serving(folder, "--config", str(folder / "vivavoce.toml")) as site:
        yield site


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Site]:
    """A server with those arguments, from when its engines are warm."""
    command = [sys.executable, "-m", "vivavoce", "serve", "--tls", "--port", "0", "--drain", "0"]
    command += ["--api-key", KEY, "--data-dir", str(folder), *arguments]
    with (
        (folder / "log.txt").open("w") as log,
        subprocess.Popen(
            command, env=clean({}), stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            site = Site(url, folder / "tls" / "ca.pem")
            _await_warmth(site)
            yield site
        finally:
            process.terminate()


def clean(more: Mapping[str, str]) -> dict[str, str]:
    """An environment without the keys and settings of whoever runs the tests, and with *more*."""
    ours = ("VIVAVOCE_", "OPENAI_", "AZURE_", "SSL_", "NODE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | dict(more)


def _await_warmth(site: Site) -> None:
    context = ssl.create_default_context(cafile=site.authority)
    give_up = time.monotonic() + PATIENCE_S
    with httpx.Client(verify=context) as client:
        while client.get(f"{site.url}/readyz").status_code != 200:
            assert time.monotonic() < give_up, "the engines never were warm"
            time.sleep(0.05)
