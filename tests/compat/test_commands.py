"""The commands as a person runs them, against a running server."""

import os
import pty
import re
import signal
import socket
import subprocess
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import msgspec
import pytest
from compat_servers import KEY, PATIENCE_S, PROGRAM, Site, clean, scenario, served, serving
from compat_speech import RATE_HZ, SECOND
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection, serve

from vivavoce.cli import terminal
from vivavoce.config import Config, DeploymentPlan

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
def undetected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that answers by a script, and leaves it to its clients to end a turn."""
    folder = tmp_path_factory.mktemp("undetected")
    by_hand = DeploymentPlan(turn_detection=False)
    config = Config(
        api_keys=(KEY,),
        data_dir=folder,
        scenario=scenario(folder, pace=0),
        deployments={"gpt-realtime": by_hand},
    )
    with served(config) as site:
        yield site


@pytest.fixture(scope="module")
def runs(
    scripted: Site, undetected: Site, question: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Run]]:
    """The commands that take their time, side by side: they talk as fast as people do."""
    silence = recorded(question.with_name("silence.wav"), SECOND)
    key = ("--key", scripted.key)
    talk = ("--url", scripted.url, *key, "--output", "answer.wav")
    by_hand = ("--url", undetected.url, "--key", undetected.key, "--output", "answer.wav")
    bench = ("--sessions", 1, "--seconds", 3, "--json", "figures.json", "--pid", os.getpid())
    started = {
        name: Run(tmp_path_factory.mktemp(name), *arguments)
        for name, arguments in {
            "ga": ("talk", question, *talk),
            "preview": ("talk", question, *talk, "--dialect", "preview"),
            "ga by hand": ("talk", question, *by_hand),
            "preview by hand": ("talk", question, *by_hand, "--dialect", "preview"),
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
    assert re.fullmatch(r"vivavoce talk: .*Does the server run, and is this.*\?\n", ran.stderr)


def test_talk_with_no_recording_says_so(tmp_path: Path) -> None:
    ran = vivavoce("talk", tmp_path / "none.wav")

    assert ran.returncode == 1
    assert re.fullmatch(r"vivavoce talk: .*none\.wav.*\n", ran.stderr)


@pytest.mark.parametrize("dialect", ["ga", "preview"])
def test_talk_ends_the_turn_itself_where_the_server_does_not(
    runs: dict[str, Run], dialect: str
) -> None:
    status, out, err = runs[f"{dialect} by hand"].finish()

    assert (status, err) == (0, "")
    assert re.search(r"^you +hello there$", out, re.MULTILINE)
    assert re.search(r"^assistant +You said: hello there$", out, re.MULTILINE)
    assert re.search(r"^ +after due: transcript \d+ ms, first word \d+ ms", out, re.MULTILINE)


@pytest.mark.parametrize("dialect", ["ga", "preview"])
def test_talk_with_a_voice_that_there_is_not_stops_and_names_those_there_are(
    scripted: Site, question: Path, dialect: str
) -> None:
    reached = ("--url", scripted.url, "--key", scripted.key, "--dialect", dialect)
    ran = vivavoce("talk", question, *reached, "--voice", "nope")

    assert (ran.returncode, ran.stdout) == (1, "")
    assert re.fullmatch(
        r"vivavoce talk: the server does not take the settings: .*'nope'.*'alloy', .*'cedar'\n",
        ran.stderr,
    )


@contextmanager
def another_server(says: str) -> Iterator[str]:
    """A WebSocket server of something else."""

    def answer(connection: ServerConnection) -> None:
        connection.send(says)
        connection.recv()
        connection.close(4000, "that was all")

    with serve(answer, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("says", ["hello", "[]", "{}", '{"type":"response.created"}'])
def test_talk_to_a_server_of_something_else_says_so(question: Path, says: str) -> None:
    with another_server(says) as url:
        ran = vivavoce("talk", question, "--url", url)

    assert ran.returncode == 1
    assert re.fullmatch(
        r"vivavoce talk: the server said what no realtime server says .*\n", ran.stderr
    )


def test_talk_to_a_server_that_hangs_up_says_so(question: Path) -> None:
    with another_server('{"type":"hello"}') as url:
        ran = vivavoce("talk", question, "--url", url)

    assert (ran.returncode, ran.stderr) == (1, "")
    assert "the server hung up: 4000 that was all" in ran.stdout


@pytest.mark.parametrize("command", ["talk", "bench"])
@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_what_answers_no_upgrade_is_said_to_be_no_realtime_server(
    question: Path, command: str, answer: bytes
) -> None:
    def hang_up() -> None:
        with listener.accept()[0] as peer:
            peer.recv(4096)
            peer.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=hang_up)
        thread.start()
        ran = vivavoce(*(("talk", question, "--url", url) if command == "talk" else ("bench", url)))
        thread.join()

    assert (ran.returncode, ran.stdout) == (1, "")
    assert re.fullmatch(
        rf"vivavoce {command}: .*Is this the address of a realtime server\?\n", ran.stderr
    )


# check


def test_check_looks_at_every_engine() -> None:
    ran = vivavoce("check")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    for engine in ("silero", "pocketsphinx", "cadence", "responder", "espeak", "scripted"):
        assert engine in ran.stdout
    assert re.search(r"^ok +turn judge +cadence ", ran.stdout, re.MULTILINE)
    assert "the recipe embedded answers for gpt-4o-realtime-preview, " in ran.stdout


@pytest.mark.parametrize("command", ["serve", "check"])
@pytest.mark.parametrize("written", ["[speech]\nrate = 1\n", None])
def test_a_scenario_that_cannot_be_performed_is_told_of_once(
    tmp_path: Path, command: str, written: str | None
) -> None:
    script, config = tmp_path / "talk.toml", tmp_path / "config.toml"
    if written is not None:
        script.write_text(written)
    config.write_text(f'scenario = "{script}"\ndata_dir = "{tmp_path}"\n')
    ran = vivavoce(command, "--config", config)

    assert (ran.returncode, ran.stdout) == (2, "")
    why = "cannot be read" if written is None else "speech: there is no key `rate`"
    assert re.fullmatch(
        rf"vivavoce {command}: --scenario {re.escape(str(script))}: {why}.*\n", ran.stderr
    )


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


def test_serve_says_where_it_listens_once_it_can_answer(tmp_path: Path) -> None:
    with serving(["--data-dir", str(tmp_path), "--api-key", KEY]) as (_, url):
        assert httpx.get(f"{url}/readyz").json()["status"] == "ready"


@pytest.mark.parametrize("key", ["clé", "two words"])
def test_serve_takes_no_key_from_the_environment_that_a_client_could_not_send(
    tmp_path: Path, key: str
) -> None:
    ran = subprocess.run(
        [PROGRAM, "serve", "--data-dir", tmp_path],
        env=clean({"VIVAVOCE_API_KEY": key}),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert (ran.returncode, ran.stdout) == (2, "")
    assert re.fullmatch(r"vivavoce serve: --api-key: a key travels in a header.*\n", ran.stderr)
    assert key not in ran.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_the_server_without_a_traceback(
    script: Path, tmp_path: Path, number: signal.Signals
) -> None:
    arguments = ["--port", "0", "--api-key", KEY, "--scenario", script, "--data-dir", tmp_path]
    with subprocess.Popen(
        [PROGRAM, "serve", *map(str, arguments)],
        env=clean({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().split()[-1].replace("http", "ws", 1)
        header = {"Authorization": f"Bearer {KEY}"}
        with connect(f"{url}/v1/realtime", additional_headers=header) as connection:
            connection.recv()
            process.send_signal(number)
            while "draining" not in process.stderr.readline():
                assert process.poll() is None
            process.send_signal(number)
            told = process.stderr.read()
            assert process.wait(PATIENCE_S) == 0

    assert "session over" in told
    assert "Traceback" not in told


def on_a_terminal(*arguments: object, more: dict[str, str]) -> str:
    """All that a command prints on a terminal, until it is over."""
    ours, theirs = pty.openpty()
    printed = b""
    with subprocess.Popen(
        [PROGRAM, *map(str, arguments)],
        env=clean({"TERM": "xterm-256color", "COLUMNS": "80"} | more),
        stdout=theirs,
        stderr=theirs,
    ):
        os.close(theirs)
        # Linux tells the end of a terminal by an error.
        with suppress(OSError):
            while more_printed := os.read(ours, 4096):
                printed += more_printed
    os.close(ours)
    return printed.decode()


STYLED = re.compile(r"\x1b\[[\d;]*m")


@pytest.mark.parametrize("arguments", [("conform", "--list"), ("check",)])
def test_a_terminal_gets_neither_colours_nor_bold_where_they_are_not_wanted(
    arguments: tuple[str, ...],
) -> None:
    assert not STYLED.search(on_a_terminal(*arguments, more={"NO_COLOR": "1"}))


def test_a_terminal_gets_them_otherwise() -> None:
    assert STYLED.search(on_a_terminal("conform", "--list", more={}))


def test_no_command_prints_but_on_a_terminal_that_heeds_no_color() -> None:
    folder = Path(terminal.__file__).parent
    makers = {
        file.name for file in folder.glob("*.py") if re.search(r"\bConsole\(", file.read_text())
    }

    assert makers == {"terminal.py"}


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
    assert re.fullmatch(r"loading the engines for https://127\.0\.0\.1:\d+ \.\.\.", lines[0])
    assert f"answered by   the scenario {script}" in lines
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
