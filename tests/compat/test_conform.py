"""`vivavoce conform` over a network, against our own server and against one that is none."""

import socket
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
from vivavoce.cli.address import Address
from vivavoce.cli.knock import headers_of, url_of
from vivavoce.config import Config
from vivavoce.conformance.cases import CASES, preview, responses
from vivavoce.conformance.catalogue import DialectName
from vivavoce.conformance.knock import Knock

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
# A server may tell no rate limits, and nobody waits for the end of a session.
UNHELD = {"rate-limits", "session-expiry"}
RACES = {
    "cancel-another",
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
    unheld = {name: each for name, each in results.items() if each["verdict"] != "held"}
    assert {"session-expiry"} <= unheld.keys() <= UNHELD, unheld
    assert list(results) == [case.name for case in CASES if dialect in case.dialects]
    assert status == 0


# The engines are the same in either dialect: in preview only what they make is played again.
AGAIN = [
    "turn-by-voice",
    *(case.name for case in (*responses.CASES, *preview.CASES) if "preview" in case.dialects),
]


@pytest.mark.parametrize(("dialect", "names"), [("ga", []), ("preview", AGAIN)])
def test_a_server_as_it_comes_out_of_the_box_breaks_no_case(
    embedded: Site, tmp_path: Path, dialect: DialectName, names: list[str]
) -> None:
    chosen = [argument for name in names for argument in ("--case", name)]
    # The scripted server shows the idle timeout, whose engines are no others.
    chosen += ["--max-wait", "0"]
    status, results = conform(embedded, tmp_path, "--dialect", dialect, *chosen)
    assert [each for each in results.values() if each["verdict"] in ("broken", "advice")] == []
    hidden = {name for name, each in results.items() if each["verdict"] != "held"}
    assert hidden <= RACES | UNHELD | {"idle-timeout"}
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
    assert printed[2:] == ["2 held, 0 broken"]


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


def test_only_a_hello_that_is_a_session_lets_the_rest_be_tried(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving_nonsense() as url:
        names = ["item-order", "item-named", "history", "item-audio", "item-deleted"]
        assert main(["conform", url, *(arg for name in names for arg in ("--case", name))]) == 1
    printed = capsys.readouterr().out
    assert printed.count("the server is gone: see its log") == 2
    assert "0 held, 3 broken, 2 not tried" in printed


@contextmanager
def serving_silence(seconds: float) -> Iterator[str]:
    """A WebSocket server that says nothing for so long."""
    over = threading.Event()

    def answer(connection: ServerConnection) -> None:
        over.wait(seconds)

    with serve(answer, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            over.set()
            server.shutdown()
            thread.join()


def test_a_server_that_says_nothing_is_not_waited_for_case_by_case(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with serving_silence(60) as url:
        assert main(["conform", url, "--timeout", "0.2"]) == 1
    out, err = capsys.readouterr()
    assert "session-created" not in out
    assert "has said nothing for 0.2 s. Is this a realtime server?" in err


def test_where_nobody_listens_it_is_said_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert main(["conform", f"ws://127.0.0.1:{taken.getsockname()[1]}", "--key", KEY]) == 1
    assert "Does the server run, and is this its address?" in capsys.readouterr().err


def test_where_there_is_another_server_it_is_said_what_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        thread = threading.Thread(target=lambda: other.accept()[0].close())
        thread.start()
        assert main(["conform", f"ws://127.0.0.1:{other.getsockname()[1]}"]) == 1
        thread.join()
    assert "Is this the address of a realtime server?" in capsys.readouterr().err


def test_a_path_that_is_wrong_is_said(rehearsed: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", f"{rehearsed.url}/elsewhere/v1/realtime", "--key", KEY]) == 1
    err = capsys.readouterr().err
    assert "the server refused with 404" in err
    assert "Is the path right" in err


def test_a_certificate_that_is_not_trusted_is_said(
    secure: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["conform", secure.url, "--key", KEY, "--data-dir", str(tmp_path)]
    assert main([*arguments, "--case", "item-order"]) == 1
    assert "its certificate is not trusted here" in capsys.readouterr().err


def test_the_certificate_of_a_server_of_this_machine_is_trusted(secure: Site) -> None:
    assert secure.authority is not None
    data_dir = secure.authority.parent.parent
    arguments = ["conform", secure.url, "--key", KEY, "--data-dir", str(data_dir)]
    assert main([*arguments, "--case", "item-order", "--case", "wrong-key"]) == 0


def test_a_server_without_tls_that_is_called_with_it_is_said(
    rehearsed: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["conform", rehearsed.url.replace("http", "https"), "--key", KEY]) == 1
    assert "is reached by http or ws" in capsys.readouterr().err


def test_the_results_go_to_stdout_where_no_file_is_named(
    rehearsed: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["conform", rehearsed.url, "--key", KEY, "--case", "item-order"]
    assert main([*arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    told = out[out.index('{\n "server"') :]  # the server logs to the same place here
    assert msgspec.json.decode(told)["summary"] == "1 held, 0 broken"
    assert "1 held, 0 broken" in err


def test_a_session_that_ends_soon_is_waited_for(tmp_path: Path) -> None:
    short = Config(api_keys=(KEY,), data_dir=tmp_path, session_seconds=2)
    with served(short) as site:
        status, results = conform(site, tmp_path, "--case", "session-expiry")
    assert (status, results["session-expiry"]["verdict"]) == (0, "held")


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
        ["--json", "there-is-no-such-folder/results.json"],
        ["--json", "http://127.0.0.1:8642"],
        ["http://127.0.0.1:no-port"],
    ],
)
def test_misuse_is_neither_held_nor_broken(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["conform", *arguments]) == 2
    assert capsys.readouterr().err.startswith("vivavoce conform: ")


@pytest.mark.parametrize(
    ("option", "limit"),
    [
        *(("--timeout", limit) for limit in ("0", "-1", "inf", "soon")),
        *(("--max-wait", limit) for limit in ("-1", "inf", "soon")),
    ],
)
def test_a_time_limit_has_to_be_a_time(
    option: str, limit: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["conform", option, limit])
    assert left.value.code == 2
    assert option in capsys.readouterr().err


HOST = "wss://host"
ON_OPENAI = Address(f"{HOST}/v1/realtime?model=one", "K", "ga")
ON_AZURE = Address(f"{HOST}/openai/realtime?api-version=1&deployment=one", "K", "preview")


@pytest.mark.parametrize(
    ("address", "knock", "url"),
    [
        (ON_OPENAI, Knock(), "/v1/realtime?model=one"),
        (ON_OPENAI, Knock(intent="transcription"), "/v1/realtime?intent=transcription"),
        (ON_OPENAI, Knock(intent="other"), "/v1/realtime?model=one&intent=other"),
        (ON_OPENAI, Knock(model="two"), "/v1/realtime?model=two"),
        (ON_OPENAI, Knock(model=""), "/v1/realtime"),
        (
            ON_OPENAI,
            Knock(place="query"),
            "/v1/realtime?model=one&Authorization=Bearer+K",
        ),
        (
            ON_OPENAI,
            Knock(path="/openai/realtime"),
            "/openai/realtime?api-version=2024-10-01-preview&deployment=one",
        ),
        (ON_AZURE, Knock(), "/openai/realtime?api-version=1&deployment=one"),
        (
            ON_AZURE,
            Knock(intent="transcription"),
            "/openai/realtime?api-version=1&deployment=one&intent=transcription",
        ),
        (ON_AZURE, Knock(version="2"), "/openai/realtime?api-version=2&deployment=one"),
        (ON_AZURE, Knock(path="/v1/realtime"), "/v1/realtime?model=one"),
        (
            ON_AZURE,
            Knock(place="query"),
            "/openai/realtime?api-version=1&deployment=one&api-key=K",
        ),
    ],
)
def test_what_a_knock_says_stands_in_the_url(address: Address, knock: Knock, url: str) -> None:
    assert url_of(address, knock) == HOST + url


@pytest.mark.parametrize(
    ("address", "knock", "headers"),
    [
        (ON_OPENAI, Knock(), {"Authorization": "Bearer K", "api-key": "K"}),
        (ON_OPENAI, Knock(place="bearer"), {"Authorization": "Bearer K"}),
        (ON_OPENAI, Knock(place="api-key"), {"api-key": "K"}),
        (ON_OPENAI, Knock(place="subprotocol"), {}),
        (ON_OPENAI, Knock(key="none"), {}),
        (ON_OPENAI, Knock(key="none", beta=True), {"OpenAI-Beta": "realtime=v1"}),
        (ON_AZURE, Knock(key="none"), {"OpenAI-Beta": "realtime=v1"}),
        (ON_AZURE, Knock(key="none", beta=False), {}),
    ],
)
def test_the_key_goes_where_a_knock_says(
    address: Address, knock: Knock, headers: dict[str, str]
) -> None:
    assert headers_of(address, knock) == headers
