"""What the pages say is so: their programs run, their commands exist, their tables are complete."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import msgspec
import numpy as np
import pybase64
import pytest
from docs_pages import (
    PAGES,
    ROOT,
    Block,
    anchors_of,
    blocks,
    code_in,
    links_of,
    rows_under,
)
from websockets.asyncio.client import ClientConnection, connect

from vivavoce import config, deployments
from vivavoce.audio.pcm import of_samples
from vivavoce.audio.resample import Resampler
from vivavoce.cli import main
from vivavoce.config import Config, DeploymentPlan, EngineChoice, RecipePlan
from vivavoce.engines import scenario
from vivavoce.engines.api import Voice
from vivavoce.engines.espeak import Espeak
from vivavoce.observe import Metrics
from vivavoce.server.assembly import assemble
from vivavoce.server.engine_room import EngineRoom
from vivavoce.testing.server import running_in_thread

KEY = "vv-the-key-of-the-pages"
PATIENCE_S = 60
RATE_HZ = 24000
OPERATE, DEPENDENCIES = ROOT / "docs" / "operate.md", ROOT / "docs" / "dependencies.md"
PREVIEW_PYTHON = ROOT / ".venv-preview" / "bin" / "python"
PROGRAMS = ("python", "js")
COMMANDS = re.compile(r"^(?:\.venv/bin/)?(vivavoce|make)\b")
LONG = "It rains in Paris, as it did yesterday. " * 3

Frame = dict[str, object]


def at(block: Block) -> str:
    """The name of a case."""
    return block.place


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the programs run: a question lies there, as the pages say."""
    made = tmp_path_factory.mktemp("pages")
    with wave.open(str(made / "question.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(anyio.run(spoken, "What is the weather in Paris today?"))
    return made


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    """A server that performs the scenario of the quickstart, and at `slow` a long answer."""
    (script,) = blocks("scenario")
    (folder / "talk.toml").write_text(script.text)
    (folder / "slow.toml").write_text(f'otherwise = "{LONG}"\n[speech]\npace = 1.0\n')
    slow = EngineChoice("scripted", {"scenario": str(folder / "slow.toml")})
    settings = Config(
        api_keys=(KEY,),
        data_dir=folder,
        scenario=folder / "talk.toml",
        recipes={"slow": RecipePlan(transcriber=slow, language_model=slow, synthesiser=slow)},
        deployments={"slow": DeploymentPlan(recipe="slow")},
    )
    with running_in_thread(lambda: assemble(settings)) as address:
        yield address.url


async def spoken(text: str) -> bytes:
    """*text* as PCM16 at 24 kHz, by the embedded synthesiser."""

    async def phrases() -> AsyncIterator[str]:
        yield text

    async with Espeak(workers=1) as espeak:
        pieces = [each.pcm async for each in espeak.speak(phrases(), Voice())]
    resampler = Resampler(pieces[0].rate_hz, RATE_HZ)
    heard = resampler.push(np.concatenate([piece.samples for piece in pieces]))
    return of_samples(np.concatenate([heard, resampler.flush()]), RATE_HZ).data


# Programs.


@pytest.mark.parametrize("block", [b for b in blocks() if b.language in PROGRAMS], ids=at)
def test_a_program_is_run_or_says_why_not(block: Block) -> None:
    assert block.mark is not None, f"{block.place}: put `<!-- docs test: run -->` before it"
    assert re.fullmatch(r"run|run preview|page|not run, needs \S.*", block.mark), block.mark


@pytest.mark.parametrize("block", blocks("run"), ids=at)
def test_a_program_runs_as_it_is_printed(block: Block, url: str, folder: Path) -> None:
    assert said_by(sys.executable, block, url, folder)


@pytest.mark.preview_client
@pytest.mark.parametrize("block", blocks("run preview"), ids=at)
def test_a_program_for_the_older_package_runs_as_it_is_printed(
    block: Block, url: str, folder: Path
) -> None:
    if not PREVIEW_PYTHON.exists():
        pytest.fail(f"no {PREVIEW_PYTHON.relative_to(ROOT)}: make test installs it")
    assert said_by(str(PREVIEW_PYTHON), block, url, folder)


def said_by(python: str, block: Block, url: str, folder: Path) -> str:
    """What the program prints, pointed at our server. It fails with the program."""
    text = block.text.replace("127.0.0.1:8642", url.removeprefix("http://"))
    program = folder / f"line_{block.line}_of_{block.page.stem}.py"
    program.write_text(text.replace('"KEY"', f'"{KEY}"'))
    foreign = ("VIVAVOCE_", "OPENAI_", "AZURE_", "SSL_")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    done = subprocess.run(
        [python, program],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.anyio
async def test_what_livekit_asks_with_is_answered(url: str) -> None:
    address = f"{url.replace('http', 'ws', 1)}/v1/realtime?model=gpt-realtime"
    async with connect(address, additional_headers={"api-key": KEY}, max_size=None) as connection:
        wire = Wire(connection)
        await wire.say("response.create", response={"instructions": None})
        frame = await wire.until("error", "response.done")
    assert frame["type"] == "response.done"


# Commands, links, tables.


def shown_commands() -> list[tuple[str, str]]:
    """Every line of a block that calls our program or make, with its place."""
    return [
        (f"{block.place} {line}", line)
        for block in blocks()
        if block.language in ("", "sh", "bash")
        for line in block.text.splitlines()
        if COMMANDS.match(line)
    ]


@pytest.mark.parametrize("line", [line for _, line in shown_commands()], ids=lambda line: line)
def test_a_command_that_is_shown_exists(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    program, *words = shlex.split(line, comments=True)
    if program == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert {word for word in words if "=" not in word} <= targets
        return
    with pytest.raises(SystemExit) as ended:
        main([words[0], "--help"])
    assert ended.value.code == 0
    known = re.findall(r"(?<![\w-])--?[a-z][a-z-]*", capsys.readouterr().out)
    assert {word for word in words if word.startswith("-")} <= set(known)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors_of(target), f"{page.name}: {link}"


def test_scenarios_that_are_shown_can_be_performed() -> None:
    shown = blocks("scenario")
    assert shown
    for block in shown:
        scenario.decode(block.text, block.place)


def test_configurations_that_are_shown_load_and_their_engines_can_be_made() -> None:
    shown = blocks("configuration")
    assert shown
    for block in shown:
        text = block.text.encode()
        loaded = config.load({"config": block.place}, {}, lambda _, text=text: text)  # type: ignore[misc]
        found = deployments.Deployments(loaded)
        room = EngineRoom({each.recipe_name: each.recipe for each in found})
        assert not [each for each in room.report() if each.status == "failed"]


def test_every_option_is_described_with_its_default_and_no_other_is() -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(Config)}
    described = {
        code_in(row[0]).removeprefix("--").replace("-", "_"): code_in(row[1])
        for row in rows_under(OPERATE, "option")
    }
    defaults = {name: spelt(name, fields[name].default) for name in config.OPTIONS}
    assert described == {**defaults, "config": "none"}


def spelt(name: str, default: object) -> str:
    """A default as the page spells it."""
    if name == "data_dir":
        return "the platform's"
    if isinstance(default, bool):
        return str(default).lower()
    return "none" if default in (None, ()) else str(default)


def test_every_flag_of_serve_is_described_and_no_other_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    offered = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    cells = [code_in(row[0]) for row in rows_under(OPERATE, "option")]
    assert {cell for cell in cells if cell.startswith("--")} == offered


def test_every_key_of_a_deployment_is_described_and_no_other_is() -> None:
    described = {code_in(row[0]) for row in rows_under(OPERATE, "key")}
    assert described == set(DeploymentPlan.__struct_fields__)


def test_every_metric_is_described_and_no_other_is() -> None:
    told = Metrics().exposition().decode()
    exposed = set(re.findall(r"^# HELP (\w+)", told, re.MULTILINE))
    described = {code_in(row[0]) for row in rows_under(OPERATE, "metric")}
    assert described == {name for name in exposed if not name.endswith("_created")}


def test_every_dependency_has_its_reason_and_no_other_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(each for extra in extras for each in extra)]
    names = [re.match(r"[\w-]+", each) for each in wanted]
    described = [code_in(row[0]) for row in rows_under(DEPENDENCIES, "package")]
    assert set(described) == {name[0] for name in names if name}
    assert all(row[1] and row[2] for row in rows_under(DEPENDENCIES, "package"))


# How a turn flows.


class Wire:
    """A plain client that keeps the kind of every event, each delta once."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.kinds: list[str] = []
        self._flowing: set[tuple[object, object]] = set()

    async def say(self, kind: str, **fields: object) -> None:
        """Send an event."""
        await self._connection.send(msgspec.json.encode({"type": kind, **fields}).decode())

    async def hear(self, pcm: bytes) -> None:
        """Have the server hear that."""
        for start in range(0, len(pcm), 4800):
            audio = pybase64.b64encode_as_string(pcm[start : start + 4800])
            await self.say("input_audio_buffer.append", audio=audio)

    async def until(self, *kinds: str) -> Frame:
        """The next event of one of those kinds."""
        while True:
            with anyio.fail_after(PATIENCE_S):
                frame = msgspec.json.decode(await self._connection.recv(), type=Frame)
            self._note(frame)
            if frame["type"] in kinds:
                return frame

    def _note(self, frame: Frame) -> None:
        flow = (frame["type"], frame.get("item_id"))
        if not str(frame["type"]).endswith(".delta") or flow not in self._flowing:
            self.kinds.append(str(frame["type"]))
            self._flowing.add(flow)


def events_of(flow: str) -> list[str]:
    """The kinds of the events that the page about turns shows for that flow."""
    (block,) = blocks(f"events {flow}")
    return [line.split()[1] for line in block.text.splitlines()]


@pytest.mark.anyio
@pytest.mark.parametrize("flow", ["turn", "interruption", "call"])
async def test_events_come_in_the_order_that_is_shown(flow: str, url: str, folder: Path) -> None:
    with wave.open(str(folder / "question.wav")) as file:
        question = file.readframes(file.getnframes())
    model = "gpt-realtime" if flow == "call" else "slow"
    address = f"{url.replace('http', 'ws', 1)}/v1/realtime?model={model}"
    async with connect(address, additional_headers={"api-key": KEY}, max_size=None) as connection:
        wire = Wire(connection)
        heard = {"transcription": {"model": "whisper-1"}}
        session = {"type": "realtime", "audio": {"input": heard}}
        await wire.say("session.update", session=session)
        await wire.until("session.updated")
        wire.kinds.clear()
        await wire.hear(question + bytes(2 * RATE_HZ))

        await FLOWS[flow](wire, question)

    assert wire.kinds == events_of(flow)


async def _turn(wire: Wire, _question: bytes) -> None:
    await wire.until("rate_limits.updated")


async def _interruption(wire: Wire, question: bytes) -> None:
    item_id = (await wire.until("response.output_audio.delta"))["item_id"]
    wire.kinds.clear()
    await wire.hear(question[: 2 * RATE_HZ])
    await wire.until("input_audio_buffer.speech_started")
    await wire.say("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=50)
    await wire.until("conversation.item.truncated")


async def _call(wire: Wire, _question: bytes) -> None:
    await wire.until("conversation.item.done")
    wire.kinds.clear()
    called = await wire.until("response.function_call_arguments.done")
    await wire.until("rate_limits.updated")
    output = {
        "type": "function_call_output",
        "call_id": called["call_id"],
        "output": "raining",
    }
    await wire.say("conversation.item.create", item=output)
    await wire.say("response.create")
    await wire.until("rate_limits.updated")


FLOWS = {"turn": _turn, "interruption": _interruption, "call": _call}
