"""`vivavoce conform` over a network, against our own server and against one that is none."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from compat_servers import KEY, Site, served
from websockets.sync.server import ServerConnection, serve

from vivavoce.cli import main
from vivavoce.cli.client import Address
from vivavoce.cli.conform import with_intent
from vivavoce.config import Config
from vivavoce.conformance.cases import CASES, preview, responses
from vivavoce.conformance.catalogue import DialectName

pytest_plugins = ["compat_fixtures"]

DIALECTS: tuple[DialectName, ...] = ("ga", "preview")
# What a long answer or a call is to the scripted engines: time enough to interrupt it.
SCENARIO = f"""
[[turn]]
hears = "two hundred"
say = "{"and another one " * 100}"
word_ms = 50

[[turn]]
hears = "water the fern"
[[turn.call]]
name = "water_plant"
arguments = {{ plant = "fern" }}
"""
# Engines that answer at once leave nothing to cancel.
RACES = {
    "cancel",
    "cancel-by-id",
    "cancel-previous",
    "interruption",
    "no-interruption",
    "second-response",
}


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that answers the cases by a script."""
    folder = tmp_path_factory.mktemp("rehearsed")
    script = folder / "scenario.toml"
    script.write_text(SCENARIO)
    with served(Config(api_keys=(KEY,), data_dir=folder, scenario=script)) as site:
        yield site


def conform(site: Site, folder: Path, *more: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit status, and the result of each case that was played."""
    file = folder / "results.json"
    status = main(["conform", site.url, "--key", KEY, "--strict", "--json", str(file), *more])
    told = msgspec.json.decode(file.read_bytes())
    return status, {result["case"]: result for result in told["results"]}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_scripted_server_holds_every_case(
    rehearsed: Site, tmp_path: Path, dialect: DialectName
) -> None:
    status, results = conform(rehearsed, tmp_path, "--dialect", dialect)
    assert [each for each in results.values() if each["verdict"] != "held"] == []
    assert list(results) == [case.name for case in CASES if dialect in case.dialects]
    assert status == 0


# The engines are the same in either dialect: in preview only what they make is played again.
AGAIN = ["turn-by-voice", *(case.name for case in (*responses.CASES, *preview.CASES))]


@pytest.mark.parametrize(("dialect", "names"), [("ga", []), ("preview", AGAIN)])
def test_a_server_as_it_comes_out_of_the_box_breaks_no_case(
    embedded: Site, tmp_path: Path, dialect: DialectName, names: list[str]
) -> None:
    chosen = [argument for name in names for argument in ("--case", name)]
    status, results = conform(embedded, tmp_path, "--dialect", dialect, *chosen)
    assert [each for each in results.values() if each["verdict"] == "broken"] == []
    assert {name for name, each in results.items() if each["verdict"] == "not shown"} <= RACES
    assert status == 0


def test_the_verdicts_are_printed_and_counted(
    rehearsed: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["--case", "cancel-nothing", "--case", "item-order"]
    assert main(["conform", rehearsed.url, "--key", KEY, *names]) == 0
    # The server logs to the same place here.
    printed = [line for line in capsys.readouterr().out.splitlines() if "held" in line]
    assert [line.split()[:2] for line in printed[:2]] == [
        ["held", "cancel-nothing"],
        ["held", "item-order"],
    ]
    assert printed[2:] == ["2 held, 0 broken, 0 not shown"]


def test_the_cases_are_listed_with_what_they_need(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", "--list", "--dialect", "preview"]) == 0
    listed = capsys.readouterr().out
    assert "cancel-previous" in listed
    assert "(needs speech)" in listed
    assert "transcription-update" not in listed  # which GA alone has


@contextmanager
def serving_nonsense() -> Iterator[str]:
    """A WebSocket server that says something else and hangs up."""

    def answer(connection: ServerConnection) -> None:
        connection.send('{"type": "hello"}')
        connection.close(4000, "that was all")

    with serve(answer, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_a_server_of_another_kind_is_told_from_ours(capsys: pytest.CaptureFixture[str]) -> None:
    with serving_nonsense() as url:
        assert main(["conform", url, "--case", "item-order"]) == 1
    printed = capsys.readouterr().out
    assert "ga has no server event 'hello'" in printed
    assert "the server hung up instead of sending session.created: 4000 that was all" in printed
    assert '{"type":"hello"}' in printed


def test_a_key_that_is_refused_is_said_and_not_taken_for_a_case(
    rehearsed: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["conform", rehearsed.url, "--key", "another"]) == 1
    out, err = capsys.readouterr()
    assert "session-created" not in out
    assert "the server refused with 401" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--case", "no-such-case"],
        ["--case", "cancel-previous"],  # which preview alone has
        ["ftp://somewhere"],
        ["--speech", "there-is-no-such-file.wav"],
    ],
)
def test_misuse_is_neither_held_nor_broken(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["conform", *arguments]) == 2
    assert capsys.readouterr().err.startswith("vivavoce conform: ")


@pytest.mark.parametrize("limit", ["0", "-1", "inf", "soon"])
def test_a_time_limit_has_to_be_a_time(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["conform", "--timeout", limit])
    assert left.value.code == 2
    assert "--timeout" in capsys.readouterr().err


def test_a_session_for_transcription_is_asked_for_by_its_intent_and_no_model() -> None:
    openai = Address("wss://host/v1/realtime?model=gpt-realtime", None, "ga")
    azure = Address("wss://host/openai/realtime?api-version=1&deployment=mine", None, "preview")
    assert with_intent(openai, "transcription").url == "wss://host/v1/realtime?intent=transcription"
    assert with_intent(azure, "transcription").url == (
        "wss://host/openai/realtime?api-version=1&deployment=mine&intent=transcription"
    )
