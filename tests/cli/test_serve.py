"""What `vivavoce serve` says at its start, and what it keeps to itself."""

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from vivavoce.cli import main
from vivavoce.cli.data_folder import VARIABLE, show_to_engines
from vivavoce.cli.serve import _secrets, welcome
from vivavoce.config import Config, EngineChoice, RecipePlan

URL = "http://127.0.0.1:8642"
PATIENCE_S = 60
SPEAKS = RecipePlan(speech_model=EngineChoice("chat-audio", {"url": "http://x:1"}))


@pytest.mark.parametrize(
    ("recipe", "engines"),
    [
        ("embedded", "silero, pocketsphinx, cadence, responder, espeak"),
        ("scripted", "silero, scripted, cadence, scripted, scripted"),
        ("local", "silero, sherpa, cadence, responder, sherpa"),
        ("openai-compatible", "silero, http, cadence, chat, http"),
        ("speaks", "silero, pocketsphinx, cadence, chat-audio"),
    ],
)
def test_a_person_is_told_who_answers(recipe: str, engines: str) -> None:
    config = Config(recipe=recipe, recipes={"speaks": SPEAKS}, api_keys=("a-key",))

    told = welcome(config, URL, f"{URL}/sign-in?token=once").plain

    assert f"{recipe} engines: {engines}\n" in told
    assert f"OPENAI_BASE_URL={URL}/v1\n" in told
    assert "OPENAI_API_KEY=a-key\n" in told
    assert f"the pages     {URL}/sign-in?token=once\n" in told


def test_a_person_at_a_terminal_is_welcomed(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "vivavoce", "serve", "--port", "0", "--recipe", "scripted"]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("VIVAVOCE_")}
    with subprocess.Popen(
        [*command, "--data-dir", str(tmp_path)],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={**environ, "NO_COLOR": "1"},
    ) as server:
        os.close(theirs)
        told = read_until("OPENAI_API_KEY=", ours)
        link = re.search(r"http://127\.0\.0\.1:\d+/sign-in\?token=[\w-]+", told)
        assert link is not None, told
        answers = [httpx.get(link[0]).status_code for _ in range(2)]
        server.send_signal(signal.SIGTERM)
        read_until(None, ours)
    os.close(ours)

    assert answers == [303, 403]
    assert "loading the engines" in told
    assert "scripted engines: silero, scripted, cadence, scripted, scripted" in told
    assert server.returncode == 0


def test_whoever_is_no_person_is_told_of_no_link(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vivavoce", "serve", "--port", "0", "--recipe", "scripted"]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("VIVAVOCE_")}
    with subprocess.Popen(
        [*command, "--data-dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
    ) as server:
        assert server.stdout is not None
        told = server.stdout.readline()
        server.send_signal(signal.SIGTERM)
        out, err = server.communicate(timeout=PATIENCE_S)
    assert b"listens on" in told
    assert b"sign-in" not in told + out + err


def read_until(words: str | None, terminal: int) -> str:
    """What a program writes there, until those words or its end."""
    told = ""
    while words is None or words not in told:
        assert select.select([terminal], [], [], PATIENCE_S)[0], told
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # how Linux tells that nobody has the other end any more
            break
        if not piece:
            break
        told += piece.decode()
    return told


def test_keys_of_recipes_are_secrets_as_those_of_the_server_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("THEIR_KEY", "key-of-the-environment")
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    chat = EngineChoice("chat", {"url": "http://x:1", "key": "key-of-a-table"})
    http = EngineChoice("http", {"url": "http://x:1", "key_env": "THEIR_KEY"})
    missing = EngineChoice("http", {"url": "http://x:1", "key_env": "NO_SUCH_KEY"})
    config = Config(
        api_keys=("key-of-the-server",),
        llm="http://x:1",
        llm_key="key-of-the-flag",
        recipes={"mine": RecipePlan(transcriber=missing, language_model=chat, synthesiser=http)},
    )

    assert set(_secrets(config)) == {
        "key-of-the-server",
        "key-of-the-flag",
        "key-of-a-table",
        "key-of-the-environment",
    }


@pytest.mark.parametrize("command", ["serve", "check"])
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--llm", "http://me:hunter2@h:1"], "--llm: a name or password has no place"),
        (["--llm", "http://h:99999"], "--llm: host and port cannot be read"),
        (["--llm", "http://h:1", "--recipe", "scripted"], "--llm: would not be used"),
        (["--recipe", "grand"], "there is no recipe 'grand'"),
    ],
)
def test_what_cannot_be_meant_is_misuse(
    command: str, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main([command, *arguments])

    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert told in err
    assert "hunter2" not in err


def test_engines_find_the_data_folder_however_it_was_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, "")
    show_to_engines(Config().data_dir)
    assert os.environ[VARIABLE] == ""

    show_to_engines(tmp_path)
    assert os.environ[VARIABLE] == str(tmp_path)
