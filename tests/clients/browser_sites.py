"""Servers for pages in a browser, and what a site's own backend asks of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from vivavoce.config import Config, DeploymentPlan, EngineChoice, RecipePlan
from vivavoce.server.assembly import assemble
from vivavoce.testing.server import running_in_thread

Json = dict[str, Any]  # what JSON decodes to

KEY = "vv-the-key-that-no-page-sees"
PATIENCE_S = 60  # after which a test gives up; no test measures anything by it

# Speech is made at twice the speed at which it is played, so that it is played while it is made.
TALK = """
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

[speech]
pace = 2.0
"""
# At first a long answer, then short ones. No more than twenty seconds are made ahead of what was
# played: a minute is still being made while it is interrupted, ten seconds are made already.
ENDLESS = f"""
[[turn]]
say = "{" ".join(["This goes on and on."] * 50)}"
"""
LONG = f"""
[[turn]]
say = "{" ".join(["This goes on and on."] * 14)}"
"""


class Site(Struct, frozen=True):
    """Where a server runs, seen from a backend that holds its key."""

    url: str
    key: str = KEY

    def secret(self, model: str = "gpt-realtime", **session: object) -> str:
        """A key for a page, with the settings of its session inside."""
        asked = {"session": {"type": "realtime", "model": model, **session}}
        value: str = self._post("/v1/realtime/client_secrets", asked)["value"]
        return value

    def preview_secret(self, **session: object) -> str:
        """The same in the preview dialect."""
        made = self._post("/v1/realtime/sessions", session)
        value: str = made["client_secret"]["value"]
        return value

    def hang_up(self, call_id: str) -> None:
        """End a call."""
        self._post(f"/v1/realtime/calls/{call_id}/hangup")

    @contextmanager
    def sideband(self, call_id: str) -> Iterator["Sideband"]:
        """A second hand on a call."""
        url = f"{self.url.replace('http', 'ws', 1)}/v1/realtime?call_id={call_id}"
        headers = {"Authorization": f"Bearer {self.key}"}
        with connect(url, additional_headers=headers, open_timeout=PATIENCE_S) as line:
            yield Sideband(line)

    def _post(self, path: str, told: Json | None = None) -> Json:
        answer = httpx.post(
            self.url + path,
            json=told,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=PATIENCE_S,
        )
        assert answer.is_success, f"{answer.status_code}: {answer.text}"
        return answer.json() if answer.content else {}


class Sideband:
    """What a backend sees of a call."""

    def __init__(self, line: Connection) -> None:
        self._line = line

    def until_ended(self) -> None:
        """The session is over; TimeoutError if it goes on although nothing happens in it."""
        try:
            while True:
                self._line.recv(timeout=PATIENCE_S)
        except ConnectionClosed:
            pass


@contextmanager
def talking(folder: Path, allowed_origin: str) -> Iterator[Site]:
    """A server that answers by a script. Its own keys work in pages of *allowed_origin*."""
    config = Config(
        api_keys=(KEY,),
        data_dir=folder,
        scenario=_written(folder, "talk", TALK),
        recipes={
            "endless": _scripted(_written(folder, "endless", ENDLESS)),
            "long": _scripted(_written(folder, "long", LONG)),
        },
        deployments={
            "endless": DeploymentPlan(recipe="endless"),
            "long": DeploymentPlan(recipe="long"),
        },
        allowed_origins=(allowed_origin,),
        drain_s=0,
    )
    with _served(config) as site:
        yield site


@contextmanager
def embedded(folder: Path) -> Iterator[Site]:
    """A server as it comes out of the box."""
    with _served(Config(api_keys=(KEY,), data_dir=folder, drain_s=0)) as site:
        yield site


@contextmanager
def _served(config: Config) -> Iterator[Site]:
    with running_in_thread(lambda: assemble(config)) as address:
        yield Site(address.url)


def _written(folder: Path, name: str, scenario: str) -> Path:
    file = folder / f"{name}.toml"
    file.write_text(scenario)
    return file


def _scripted(scenario: Path) -> RecipePlan:
    engine = EngineChoice("scripted", {"scenario": str(scenario)})
    return RecipePlan(transcriber=engine, language_model=engine, synthesiser=engine)
