"""`vivavoce models`, as a person and as a program meet it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vivavoce.cli import main
from vivavoce.testing.hub import FakeHub, hub_in_thread

NAME = "smart-turn-v3"
FILE = "smart-turn-v3.2-cpu.onnx"
WEIGHTS = bytes(range(256)) * 800


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub({"pipecat-ai/smart-turn-v3": {FILE: WEIGHTS}})


@pytest.fixture(autouse=True)
def endpoint(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Every command here uses the hub of the test and a data folder of its own."""
    monkeypatch.setenv("VIVAVOCE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    with hub_in_thread(hub) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield address


def test_pulling_shows_the_licence_before_anything_is_brought(
    hub: FakeHub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.closed.add("pipecat-ai/smart-turn-v3")

    assert main(["models", "pull", NAME]) == 1

    told = capsys.readouterr()
    assert "licence BSD-2-Clause: https://huggingface.co/pipecat-ai/smart-turn-v3" in told.out
    assert "from pipecat-ai/smart-turn-v3 at f766f81d3cfd" in told.out
    assert told.err.startswith(f"vivavoce models pull: {NAME}: ")


def test_a_pull_for_another_program_is_told_in_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "pull", NAME]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert "  100% of 1 MB" in lines
    assert f"{NAME} is here, verified: {tmp_path / 'models' / NAME}" in lines
    assert "its engine needs: pip install 'vivavoce[smart-turn]'" in lines


def test_a_second_pull_says_that_there_is_nothing_to_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["models", "pull", NAME])
    capsys.readouterr()

    assert main(["models", "pull", NAME]) == 0

    assert f"{NAME} was here already, and is sound" in capsys.readouterr().out


def test_the_list_fits_a_terminal_and_tells_the_state_of_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["models", "pull", NAME])
    capsys.readouterr()

    assert main(["models", "list"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    row = next(line.split() for line in lines if line.startswith(NAME))
    assert row == [NAME, "turn", "judge", "9", "BSD-2-Clause", "smart-turn", "here"]
    other = next(line.split() for line in lines if line.startswith("parakeet"))
    assert other[-1] == "missing"


def test_the_list_for_a_program_has_what_a_recipe_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "list", "--json"]) == 0

    listed = {model["name"]: model for model in json.loads(capsys.readouterr().out)}
    assert listed[NAME]["options"] == {"file": FILE}
    assert listed[NAME]["state"] == "missing"
    assert listed[NAME]["folder"] == str(tmp_path / "models" / NAME)
    assert listed[NAME]["command"] == f"vivavoce models pull {NAME} --data-dir {tmp_path}"


def test_verifying_finds_damage_and_names_what_repairs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["models", "pull", NAME])
    assert main(["models", "verify", NAME]) == 0
    assert f"{NAME} is sound: 1 files, 1 MB" in capsys.readouterr().out
    (tmp_path / "models" / NAME / FILE).write_bytes(b"short")

    assert main(["models", "verify", NAME]) == 1

    told = capsys.readouterr().out
    assert f"vivavoce models pull {NAME}" in told
    assert f"{FILE} has 5 bytes, not {len(WEIGHTS)}" in told


def test_removing_says_how_much_room_that_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["models", "pull", NAME])

    assert main(["models", "remove", NAME]) == 0

    assert f"{NAME} is removed: 1 MB" in capsys.readouterr().out
    assert not (tmp_path / "models" / NAME).exists()


def test_an_unknown_name_is_misuse_and_nothing_is_pulled(
    hub: FakeHub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "pull", NAME, "smart-trun"]) == 2

    assert capsys.readouterr().err == (
        f"vivavoce models pull: smart-trun: there is no such model; did you mean {NAME}?\n"
    )
    assert hub.looked_up == 0


def test_without_a_command_below_it_says_which_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["models"]) == 2

    assert "vivavoce models pull NAME" in capsys.readouterr().out


def test_a_stopped_pull_says_how_to_go_on_and_the_next_one_does(
    hub: FakeHub, tmp_path: Path
) -> None:
    hub.stalls.add(FILE)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "cache")}
    pull = subprocess.Popen(
        [sys.executable, "-m", "vivavoce", "models", "pull", NAME],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with pull:
        assert pull.stdout is not None
        assert pull.stderr is not None
        while not pull.stdout.readline().startswith("  50%"):
            assert pull.poll() is None
        pull.send_signal(signal.SIGINT)
        complaint = pull.stderr.read()
    hub.stalls.clear()

    assert pull.returncode == 130
    assert complaint == (
        "vivavoce models pull: stopped; what has arrived is kept, and this goes on from there: "
        f"vivavoce models pull {NAME} --data-dir {tmp_path}\n"
    )
    assert main(["models", "pull", NAME]) == 0
    assert hub.asked[-1].range == f"bytes={len(WEIGHTS) // 2}-"
    assert not (tmp_path / "cache").exists()
