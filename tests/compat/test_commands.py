"""The commands as a person runs them, against a running server."""

import os
import pty
import re
import socket
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from compat_servers import KEY, PATIENCE_S, PROGRAM, Site, clean, scenario, serving
from compat_speech import RATE_HZ, SECOND

pytest_plugins = ["compat_fixtures"]


def vivavoce(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        env=clean({"COLUMNS": "200"}),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


class Run:
    """A command under way. What it writes goes into *folder*."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [PROGRAM, *map(str, arguments)],
            cwd=folder,
            env=clean({"COLUMNS": "200"}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self) -> tuple[int, str, str]:
        """Wait for its end: exit status, output, errors."""
        out, err = self._process.communicate(timeout=PATIENCE_S)
        return self._process.returncode, out, err

    def kill(self) -> None:
        """End it, if that has not happened."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def question(speech: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of a short question."""
    return recorded(tmp_path_factory.mktemp("question") / "question.wav", speech[: -len(SECOND)])


@pytest.fixture(scope="module")
def runs(
    scripted: Site, question: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Run]]:
    """The commands that take their time, side by side: they talk as fast as people do."""
    silence = recorded(question.with_name("silence.wav"), SECOND)
    key = ("--key", scripted.key)
    talk = ("--url", scripted.url, *key, "--output", "answer.wav")
    bench = ("--sessions", 1, "--seconds", 3, "--json", "figures.json", "--pid", os.getpid())
    started = {
        name: Run(tmp_path_factory.mktemp(name), *arguments)
        for name, arguments in {
            "ga": ("talk", question, *talk),
            "preview": ("talk", question, *talk, "--dialect", "preview"),
            "silent": ("talk", silence, *talk),
            "bench": ("bench", scripted.url, *key, *bench),
        }.items()
    }
    yield started
    for run in started.values():
        run.kill()


def recorded(path: Path, pcm: bytes) -> Path:
    """A WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(pcm)
    return path


# talk


@pytest.mark.parametrize("dialect", ["ga", "preview"])
def test_talk_says_a_recording_and_keeps_the_answer(runs: dict[str, Run], dialect: str) -> None:
    status, out, err = runs[dialect].finish()

    assert (status, err) == (0, "")
    assert re.search(r"^you +hello there$", out, re.MULTILINE)
    assert re.search(r"^assistant +You said: hello there$", out, re.MULTILINE)
    with wave.open(str(runs[dialect].folder / "answer.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE_HZ)
        # 60 ms for each of its 21 characters
        assert file.getnframes() == pytest.approx(21 * 0.060 * RATE_HZ, rel=0.05)


def test_talk_says_that_nothing_was_heard(runs: dict[str, Run]) -> None:
    status, out, _ = runs["silent"].finish()

    assert status == 1
    assert "no speech was heard" in out


def test_talk_with_a_wrong_key_says_what_to_do(scripted: Site, question: Path) -> None:
    ran = vivavoce("talk", question, "--url", scripted.url, "--key", "wrong")

    assert ran.returncode == 1
    assert re.fullmatch(r"vivavoce talk: .*401.*--key.*\n", ran.stderr)


def test_talk_where_no_server_is_says_so(question: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ran = vivavoce("talk", question, "--url", f"http://127.0.0.1:{port}")

    assert ran.returncode == 1
    assert re.fullmatch(r"vivavoce talk: .*Does the server run there\?\n", ran.stderr)


def test_talk_with_no_recording_says_so(tmp_path: Path) -> None:
    ran = vivavoce("talk", tmp_path / "none.wav")

    assert ran.returncode == 1
    assert re.fullmatch(r"vivavoce talk: .*none\.wav.*\n", ran.stderr)


# check


def test_check_looks_at_every_engine() -> None:
    ran = vivavoce("check")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    for engine in ("silero", "pocketsphinx", "responder", "espeak", "scripted"):
        assert engine in ran.stdout


# serve


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A scenario: with it a server has little to load."""
    return scenario(tmp_path, pace=0)


def test_serve_refuses_a_port_that_there_is_not() -> None:
    ran = vivavoce("serve", "--port", "99999")

    assert (ran.returncode, ran.stdout) == (2, "")
    assert re.fullmatch(r"vivavoce serve: --port: .*65535\n", ran.stderr)


def test_serve_refuses_an_option_that_there_is_not() -> None:
    ran = vivavoce("serve", "--prot", "8000")

    assert (ran.returncode, ran.stdout) == (2, "")
    assert "--prot" in ran.stderr


def test_a_command_that_there_is_not_is_misuse() -> None:
    ran = vivavoce("severe")

    assert (ran.returncode, ran.stdout) == (2, "")
    assert "severe" in ran.stderr


def test_serve_says_that_its_port_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = vivavoce("serve", "--port", port, "--api-key", KEY, "--data-dir", tmp_path)

    assert (ran.returncode, ran.stdout) == (1, "")
    last = ran.stderr.splitlines()[-1]
    assert last == (
        f"vivavoce serve: --port {port}: is taken on 127.0.0.1; "
        "choose another, or stop what listens there"
    )


def test_serve_without_keys_is_for_this_machine_alone(tmp_path: Path) -> None:
    ran = vivavoce("serve", "--no-auth", "--host", "0.0.0.0", "--data-dir", tmp_path)

    assert (ran.returncode, ran.stdout) == (2, "")
    assert re.fullmatch(r"vivavoce serve: --no-auth: .*\n", ran.stderr)


def test_serve_tells_a_pipe_where_the_key_is_and_keeps_it_from_others(
    script: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept" / "api-key"
    with serving(["--data-dir", str(kept.parent), "--scenario", str(script)]) as (process, url):
        assert process.stdout is not None
        assert process.stdout.readline() == f"the key is in {kept}\n"
        assert kept.stat().st_mode & 0o777 == 0o600
        models = f"{url}/v1/models"
        key = kept.read_text().strip()
        assert httpx.get(models, headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert httpx.get(models).status_code == 401
        process.terminate()
        assert process.wait(PATIENCE_S) == 0
        assert process.stdout.read() == ""


def test_serve_prints_what_clients_need_on_a_terminal(script: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "in-a-folder-whose-name-is-longer-than-a-line-of-a-terminal-is-wide"
    arguments = ["--tls", "--data-dir", str(data_dir), "--scenario", str(script)]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [PROGRAM, "serve", "--port", "0", *arguments],
        env=clean({"TERM": "dumb"}),
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    ) as process:
        os.close(theirs)
        printed = ""
        while "NODE_EXTRA_CA_CERTS" not in printed or not printed.endswith("\n"):
            printed += os.read(ours, 4096).decode().replace("\r\n", "\n")
        process.terminate()
    os.close(ours)

    lines = [each.strip() for each in printed.splitlines()]
    authority = data_dir / "tls" / "ca.pem"
    key = (data_dir / "api-key").read_text().strip()
    assert f"SSL_CERT_FILE={authority}" in lines
    assert f"NODE_EXTRA_CA_CERTS={authority}" in lines
    assert f"OPENAI_API_KEY={key}" in lines
    assert any(re.fullmatch(r"OPENAI_BASE_URL=https://127\.0\.0\.1:\d+/v1", each) for each in lines)
    assert authority.is_file()


# bench


def test_bench_writes_its_figures(runs: dict[str, Run]) -> None:
    status, _, err = runs["bench"].finish()

    assert status == 0, err
    figures = (runs["bench"].folder / "figures.json").read_bytes()
    (row,) = msgspec.json.decode(figures)["rows"]
    assert row["sessions"] == 1
    for name in ("first_audio_ms", "speech_stopped_late_ms"):
        assert set(row[name]) >= {"p50", "p95", "p99"}
        assert row[name]["p50"] <= row[name]["p95"] <= row[name]["p99"]
    assert row["cpu_ms_per_session_second"] > 0
    assert isinstance(row["rss_kb_per_session"], int)
