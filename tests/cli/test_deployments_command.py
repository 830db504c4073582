"""`vivavoce deployments`, as a person and as a program meet it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from vivavoce.cli import main
from vivavoce.config import Config
from vivavoce.server.app import Application, application
from vivavoce.store import Store
from vivavoce.testing.echo import Echo
from vivavoce.testing.server import running_in_thread

KEY = "a-key-that-nobody-may-see"


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A running server, whose key lies in its data folder."""
    for name in ("VIVAVOCE_API_KEY", "AZURE_OPENAI_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "api-key").write_text(f"{KEY}\n")

    def make() -> Application:
        echo = Echo()
        app = application(Config(api_keys=(KEY,), data_dir=tmp_path), lambda _: echo)
        app.service.prepare()
        return app

    with capture_logs(), running_in_thread(make) as address:
        yield address.url


@pytest.fixture
def at(url: str, tmp_path: Path) -> list[str]:
    """The options that name that server."""
    return ["--url", url, "--data-dir", str(tmp_path)]


def test_a_deployment_is_made_changed_shown_and_deleted(
    at: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = main(
        [
            *("deployments", "create", "mine", "--model", "gpt-realtime", "--voice", "verse"),
            *("--alias", "desk", "--alias", "door", "--turn-detection", "none", *at),
        ]
    )
    assert Store(tmp_path).deployments()["mine"] == {
        "model": "gpt-realtime",
        "voice": "verse",
        "aliases": ["desk", "door"],
        "turn_detection": False,
    }
    changed = main(
        [
            *("deployments", "change", "mine", "--unset", "voice", "--unset", "turn-detection"),
            *("--tokens-per-minute", "0", "--instructions", "Be brief.", *at),
        ]
    )
    assert Store(tmp_path).deployments()["mine"] == {
        "model": "gpt-realtime",
        "aliases": ["desk", "door"],
        "tokens_per_minute": 0,
        "instructions": "Be brief.",
    }
    capsys.readouterr()
    shown = main(["deployments", "show", "mine", *at])
    told = capsys.readouterr().out
    deleted = main(["deployments", "delete", "mine", *at])

    assert (made, changed, shown, deleted) == (0, 0, 0, 0)
    assert "desk, door" in told
    assert "recipe embedded, detector silero" in told
    assert "verse" not in told
    assert capsys.readouterr().out == "mine is deleted; sessions of it go on\n"
    assert Store(tmp_path).deployments() == {}


def test_what_there_is_is_listed_with_where_it_comes_from(
    at: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["deployments", "create", "mine", "--model", "gpt-realtime", *at])
    capsys.readouterr()

    assert main(["deployments", "list", *at]) == 0

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["name", "made", "from", "recipe", "from", "state"]
    assert ["gpt-4o-mini-realtime-preview", "embedded", "built-in", "ready"] in lines
    assert ["mine", "gpt-realtime", "embedded", "stored", "ready"] in lines


def test_one_that_cannot_be_served_is_listed_with_the_reason(
    url: str, at: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Store(tmp_path).add_deployment("mine", {"recipe": "quiet"})

    def make() -> Application:
        echo = Echo()
        app = application(Config(api_keys=(KEY,), data_dir=tmp_path), lambda _: echo)
        app.service.prepare()
        return app

    with running_in_thread(make) as address:
        status = main(["deployments", "list", "--url", address.url, "--data-dir", str(tmp_path)])

    assert status == 0
    assert "mine: deployments.mine.recipe: there is no recipe 'quiet'" in capsys.readouterr().out


@pytest.mark.parametrize(
    "command",
    [
        ["list"],
        ["show", "gpt-realtime"],
        ["create", "mine", "--turn-detection", '{"type": "semantic_vad", "eagerness": "low"}'],
        ["change", "old", "--voice", "ash"],
        ["delete", "old"],
    ],
)
def test_programs_get_json(
    command: list[str], at: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["deployments", "create", "old", *at])
    capsys.readouterr()

    assert main(["deployments", *command, "--json", *at]) == 0

    told = json.loads(capsys.readouterr().out)
    match command[0]:
        case "list":
            assert told[-1]["name"] == "old"
        case "create":
            assert told["turn_detection"] == {"type": "semantic_vad", "eagerness": "low"}
        case "change":
            assert told["voice"] == "ash"
        case "delete":
            assert told == {"name": "old", "deleted": True}
        case _:
            assert told["source"] == "built-in"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["show", "nobody"], "There is no deployment or model 'nobody'. There are: gpt-4o"),
        (["create", "gpt-realtime"], "gpt-realtime is taken: it is built in; a table"),
        (["create", "mine", "--recipe", "grand"], "recipe: there is no recipe 'grand'; there"),
        (["create", "a/b"], "name: 'a/b' has to be 1 to 64 letters"),
        (["create", "m", "--turn-detection", "vad"], "turn_detection.type: has to be one of"),
        (["change", "gpt-realtime", "--voice", "ash"], "gpt-realtime is built in; a table"),
        (["delete", "a/b"], "There is no deployment or model 'a/b'."),
    ],
)
def test_what_the_server_refuses_is_told_and_the_status_is_1(
    command: list[str], told: str, at: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deployments", *command, *at]) == 1

    err = capsys.readouterr().err
    assert err.startswith(f"vivavoce deployments {command[0]}: {told}")
    assert err.count("\n") == 1


def test_a_wrong_key_is_told_with_where_the_right_one_may_be(
    at: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deployments", "list", "--key", "wrong", *at]) == 1

    err = capsys.readouterr().err
    assert "Incorrect API key provided" in err
    assert "Name the right key with --key" in err


def test_the_key_of_the_command_line_comes_first(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = ["--url", url, "--data-dir", str(tmp_path / "elsewhere")]
    assert main(["deployments", "list", *elsewhere]) == 1
    assert main(["deployments", "list", "--key", KEY, *elsewhere]) == 0


def test_a_server_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["deployments", "list", "--url", "127.0.0.1:1", "--data-dir", str(tmp_path)])

    assert status == 1
    err = capsys.readouterr().err
    assert err.startswith("vivavoce deployments list: http://127.0.0.1:1: ")
    assert "does the server run, and is this its address?" in err


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["list", "--url", "ftp://x"], "ftp is another protocol"),
        (["list", "--url", "http://"], "no host is named"),
        (["list", "--url", "x:y"], "host and port cannot be read"),
        (["change", "mine"], "nothing is to change"),
        (["change", "mine", "--voice", "a", "--unset", "voice"], "voice: is set and unset"),
    ],
)
def test_what_cannot_be_meant_is_misuse(
    command: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deployments", *command, "--data-dir", str(tmp_path)]) == 2

    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["create"], "required: NAME"),
        (["create", "m", "--turn-detection", "{"], "is no JSON"),
        (["create", "m", "--input-tokens", "0"], "give a whole number from 1 on"),
        (["change", "m", "--unset", "voise"], "there is no 'voise'; there are: model, recipe"),
        (["lst"], "there is no such command; did you mean list?"),
    ],
)
def test_so_is_what_cannot_be_read(
    command: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["deployments", *command])

    assert left.value.code == 2
    assert told in capsys.readouterr().err


def test_without_a_command_it_tells_which_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deployments"]) == 2
    assert "vivavoce deployments create NAME" in capsys.readouterr().out
