"""What a person is told who gets the arguments wrong: one line, in the same form everywhere."""

import argparse
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from vivavoce.cli import COMMANDS, main
from vivavoce.cli.parser import key, new_file, one_of, seconds, whole

SERVERS = ("talk", "bench", "conform")
CONSTRUED = [
    ("serve", "--port abc", "--port: 'abc' does not fit; give a whole number from 0 to 65535"),
    ("serve", "--port 99999", "--port: '99999' does not fit; give a whole number from 0 to 65535"),
    ("serve", "--drain -1", "--drain: '-1' does not fit; give seconds from 0 on"),
    (
        "serve",
        "--log-level loud",
        "--log-level: there is no 'loud'; choose debug, info, warning or error",
    ),
    ("serve", "--tls=yes", "--tls: takes no value; leave 'yes' away"),
    (
        "serve",
        "--max 3",
        "--max: there is no such option; vivavoce serve --help says which there are",
    ),
    ("serve", "--prot 80", "--prot: there is no such option; did you mean --port?"),
    (
        "serve",
        "--xyzzy",
        "--xyzzy: there is no such option; vivavoce serve --help says which there are",
    ),
    ("check", "fox", "fox: is one argument too many; leave it away"),
    ("talk", "a b", "b: is one argument too many; leave it away"),
    ("talk", "-o", "--output: its value is missing; vivavoce talk --help tells more"),
    (
        "talk",
        "-o there/is/none.wav",
        "--output: there/is/none.wav: there is no such folder; make it, or name another",
    ),
    (
        "bench",
        "--json there/is/none.json",
        "--json: there/is/none.json: there is no such folder; make it, or name another",
    ),
    ("bench", "--seconds 0", "--seconds: '0' does not fit; give seconds above 0, up to 600"),
    ("bench", "--seconds nan", "--seconds: 'nan' does not fit; give seconds above 0, up to 600"),
    ("bench", "--period 2.9", "--period: '2.9' does not fit; give seconds from 3 on"),
    *(
        (
            "bench",
            f"--sessions {text}",
            f"--sessions: '{text}' does not fit; give numbers from 1 to 1024, such as 1,16,64",
        )
        for text in ("0", "1,x", "1,1025", "1,")
    ),
    ("conform", "--timeout soon", "--timeout: 'soon' does not fit; give seconds above 0"),
    *(
        (name, "--dialect x", "--dialect: there is no 'x'; choose ga or preview")
        for name in SERVERS
    ),
]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What misuse is answered with, on standard error alone."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    out, err = capsys.readouterr()
    assert (left.value.code, out) == (2, "")
    return err


@pytest.mark.parametrize(("command", "arguments", "told"), CONSTRUED)
def test_what_is_wrong_and_what_to_do_is_said_in_one_line(
    command: str, arguments: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    err = refused([command, *arguments.split()], capsys)

    assert err == f"vivavoce {command}: {told}\n"


@pytest.mark.parametrize(
    "command",
    [each for each in COMMANDS if each not in ("models", "deployments")]
    + ["models pull", "deployments list"],
)
def test_every_command_refuses_what_it_does_not_know_in_the_same_form(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    err = refused([*command.split(), "--dat-dri", "x"], capsys)

    named = command.split()[0]
    assert re.fullmatch(rf"vivavoce {named}: --dat-dri: there is no such option; .+\n", err)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["severe"], "severe: there is no such command; did you mean serve?"),
        (["frobnicate"], "frobnicate: there is no such command; vivavoce --help lists them"),
        (["--hlep"], "--hlep: there is no such option; did you mean --help?"),
    ],
)
def test_a_command_that_there_is_not_is_said(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(arguments, capsys) == f"vivavoce: {told}\n"


@pytest.mark.parametrize("command", [*SERVERS, "serve"])
@pytest.mark.parametrize("value", ["", "a b", "clé", "a\tb"])
def test_a_key_that_no_header_takes_is_refused_and_not_repeated(
    command: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    option = "--api-key" if command == "serve" else "--key"
    err = refused([command, option, value], capsys)

    assert err.startswith(f"vivavoce {command}: {option}: a key travels in a header")
    assert not value or value not in err


@pytest.mark.parametrize("name", ["VIVAVOCE_API_KEY", "OPENAI_API_KEY"])
@pytest.mark.parametrize("command", SERVERS)
def test_nor_is_one_from_the_environment_taken(
    command: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for other in ("VIVAVOCE_API_KEY", "AZURE_OPENAI_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "my key")

    assert main([command]) == 2
    assert capsys.readouterr().err.startswith(f"vivavoce {command}: {name}: a key travels in")


@pytest.mark.parametrize("command", SERVERS)
@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:http", "host and port cannot be read"),
        ("127.0.0.1:99999", "host and port cannot be read"),
        ("http://[::1", "host and port cannot be read"),
        ("http://a..b", "host and port cannot be read"),
        ("http://", "no host is named"),
        ("ftp://127.0.0.1", "ftp is another protocol"),
    ],
)
def test_what_is_no_address_is_said(
    command: str, url: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, *(["--url", url] if command == "talk" else [url])]) == 2

    assert capsys.readouterr().err == (
        f"vivavoce {command}: {url}: {told}; give an address such as http://127.0.0.1:8642\n"
    )


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_help_fits_a_terminal(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as left:
        main([command, "--help"] if command else ["--help"])

    assert left.value.code == 0
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 79] == []


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (whole(0, 65535), "0", 0),
        (whole(0, 65535), "65535", 65535),
        (whole(1), "1000000", 1000000),
        (seconds(), "0", 0.0),
        (seconds(above=True), "0.01", 0.01),
        (seconds(3), "3", 3.0),
        (one_of("ga", "preview"), "preview", "preview"),
        (key, "sk-1", "sk-1"),
    ],
)
def test_what_lies_at_the_edge_is_taken(
    read: Callable[[str], object], text: str, value: object
) -> None:
    assert read(text) == value


def test_a_file_may_be_made_where_there_is_a_folder(tmp_path: Path) -> None:
    assert new_file(str(tmp_path / "new.wav")) == tmp_path / "new.wav"
    with pytest.raises(argparse.ArgumentTypeError):
        new_file(str(tmp_path / "no" / "new.wav"))


def test_ctrl_c_ends_a_command_with_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("anyio.run", interrupted)

    assert main(["check"]) == 130
