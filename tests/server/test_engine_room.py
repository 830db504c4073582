"""Engines loaded once for all recipes, and what happens when some cannot be."""

from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import ClassVar

import httpx
import msgspec
import pytest
import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from vivavoce.config import Config, ConfigError, DeploymentPlan, EngineChoice, RecipePlan
from vivavoce.engines import registry
from vivavoce.engines.api import EngineFailure, Spoken, Work
from vivavoce.engines.registry import EngineUnavailable, Slot
from vivavoce.server.assembly import assemble
from vivavoce.server.engine_room import EngineRoom, speculates, used, voices
from vivavoce.testing.server import running

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """In real time: voice detection has a thread."""
    return "asyncio"


SCRIPTED = EngineChoice("scripted")
PLAN = RecipePlan(transcriber=SCRIPTED, language_model=SCRIPTED, synthesiser=SCRIPTED)
ABSENT = EngineChoice("sherpa", {"model": "./no-such-folder"})
BROKEN = RecipePlan(
    transcriber=EngineChoice("nobody"), language_model=SCRIPTED, synthesiser=SCRIPTED
)


async def test_recipes_share_the_engines_that_they_both_name() -> None:
    async with EngineRoom({"one": PLAN, "two": PLAN}).open() as room:
        assert room.recipe("one").detector is room.recipe("two").detector
        assert [each.status for each in room.report()] == ["ready"] * 5


async def test_one_broken_recipe_does_not_stop_the_others() -> None:
    async with EngineRoom({"whole": PLAN, "broken": BROKEN}).open() as room:
        assert room.recipe("whole").name == "whole"
        with pytest.raises(EngineUnavailable, match="no transcriber is called 'nobody'"):
            room.recipe("broken")
        assert "misconfigured" in [each.status for each in room.report()]


async def test_without_one_whole_recipe_there_is_nothing_to_open() -> None:
    with pytest.raises(EngineUnavailable, match="nobody"):
        async with EngineRoom({"broken": BROKEN}).open():
            pass


async def test_a_recipe_is_not_served_before_it_is_loaded() -> None:
    with pytest.raises(EngineUnavailable, match="loading"):
        EngineRoom({"one": PLAN}).recipe("one")


async def test_a_scenario_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        assemble(Config(no_auth=True, scenario=tmp_path / "nowhere.toml", data_dir=tmp_path))


async def test_an_upgrade_to_a_broken_recipe_is_refused_and_says_why(tmp_path: Path) -> None:
    deployments = {"broken": DeploymentPlan(recipe="broken")}
    config = Config(
        no_auth=True,
        data_dir=tmp_path,
        recipes={"embedded": PLAN, "broken": msgspec.structs.replace(PLAN, transcriber=ABSENT)},
        deployments=deployments,
    )

    async with running(assemble(config)) as address:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{address.ws_url}/v1/realtime?model=broken")
        async with connect(f"{address.ws_url}/v1/realtime?model=gpt-realtime") as connection:
            first = await connection.recv()

    assert refused.value.response.status_code == 503
    assert b"sherpa failed" in (refused.value.response.body or b"")
    assert "session.created" in str(first)


async def test_queues_are_measured_while_a_session_lives(tmp_path: Path) -> None:
    config = Config(no_auth=True, data_dir=tmp_path, recipes={"embedded": PLAN})

    async with (
        running(assemble(config)) as address,
        connect(f"{address.ws_url}/v1/realtime") as connection,
        httpx.AsyncClient() as client,
    ):
        await connection.recv()
        text = (await client.get(f"{address.url}/metrics")).text

    assert 'vivavoce_queue_depth{queue="inbox"} 0.0' in text
    assert 'vivavoce_queue_depth{queue="outbox"} 0.0' in text


async def test_a_full_engine_turns_the_next_session_away_until_there_is_room() -> None:
    app = assemble(
        Config(
            port=0,
            no_auth=True,
            recipes={"scripted": PLAN},
            deployments={"gpt-realtime": DeploymentPlan(recipe="scripted")},
        )
    )
    async with running(app) as address:
        url = f"ws://{address.netloc}/v1/realtime?model=gpt-realtime"
        recipe = app.service.backend_for(app.service.deployments.find("gpt-realtime"))
        transcriber = recipe._recipe.transcriber  # type: ignore[attr-defined]
        transcriber.full = True
        with pytest.raises(InvalidStatus) as refused:
            await connect(url).__aenter__()
        assert refused.value.response.status_code == 429
        assert refused.value.response.headers["Retry-After"] == "5"

        transcriber.full = False
        async with connect(url) as client:
            assert "session.created" in str(await client.recv())
        async with httpx.AsyncClient(base_url=f"http://{address.netloc}") as http:
            assert 'vivavoce_refused_total{status="429"} 1.0' in (await http.get("/metrics")).text


class Singer:
    """A synthesiser with voices of its own."""

    voices: ClassVar[dict[str, str]] = {"alloy": "speaker 1", "verse": "speaker 2"}


def test_voices_are_those_that_the_engine_knows_and_those_of_the_recipe() -> None:
    plan = RecipePlan(voices={"cedar": "speaker 9", "alloy": "speaker 3"})

    assert voices(plan, Singer()) == {
        "alloy": "speaker 3",
        "verse": "speaker 2",
        "cedar": "speaker 9",
    }
    assert "marin" in voices(RecipePlan(), object())


class Cheap:
    cheap = True


@pytest.mark.parametrize(
    ("plan", "dear", "expected"),
    [
        (RecipePlan(), None, True),
        (RecipePlan(), "transcriber", False),
        (RecipePlan(), "language_model", False),
        (RecipePlan(), "synthesiser", False),
        (RecipePlan(speculation=True), "transcriber", True),
        (RecipePlan(speculation=False), None, False),
    ],
)
def test_answers_are_made_ready_where_that_is_cheap_or_asked_for(
    plan: RecipePlan, dear: Slot | None, expected: bool
) -> None:
    slots: tuple[Slot, ...] = ("transcriber", "language_model", "synthesiser")

    assert speculates(plan, {s: object() if s == dear else Cheap() for s in slots}) is expected


def test_a_model_that_speaks_itself_is_not_asked_in_every_pause() -> None:
    assert speculates(RecipePlan(speculation=True), {"speech_model": Cheap()}) is False


async def test_a_recipe_with_a_speech_model_loads_nobody_else_who_answers() -> None:
    plan = RecipePlan(transcriber=SCRIPTED, speech_model=EngineChoice("chat-audio", {"url": "x"}))

    assert {slot for slot, _ in used([plan])} == {
        "voice_detector",
        "transcriber",
        "turn_judge",
        "speech_model",
    }


class Engine:
    """Any engine: it loads, or fails to."""

    version = "Engine 1"
    queued = 2

    def __init__(
        self, failure: Exception | None = None, voices: dict[str, str] | None = None
    ) -> None:
        self.report: Callable[[Work], None] = lambda work: None
        self._failure = failure
        self._voices = voices
        if voices is not None:
            self.voices: dict[str, str] = {}

    async def __aenter__(self) -> "Engine":
        if self._failure is not None:
            raise self._failure
        if self._voices is not None:
            self.voices = self._voices
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Nothing to leave."""


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[Slot, str], Engine]:
    """Engines that are there besides those that are installed."""
    there: dict[tuple[Slot, str], Engine] = {}
    make = registry.make

    def made(slot: Slot, name: str, options: registry.Options | None = None) -> object:
        return there[slot, name] if (slot, name) in there else make(slot, name, options)

    monkeypatch.setattr(registry, "make", made)
    return there


Engines = dict[tuple[Slot, str], Engine]
BOTH = RecipePlan(
    transcriber=EngineChoice("twin"),
    language_model=EngineChoice("single"),
    synthesiser=EngineChoice("twin", {"pace": 1}),
)


def test_engines_of_one_name_are_measured_apart(engines: Engines) -> None:
    twins = [Engine(), Engine()]
    engines["transcriber", "twin"], engines["synthesiser", "twin"] = twins
    engines["language_model", "single"] = Engine()
    room = EngineRoom({"both": BOTH})
    worked: list[str] = []

    room.report_work(lambda label, work: worked.append(label))
    for each in twins:
        each.report(Work(0.0, 1.0, 1.0))

    assert worked == ["transcriber twin", "synthesiser twin"]
    assert {label: depth() for label, depth in room.queues().items()} == {
        "transcriber twin": 2,
        "single": 2,
        "synthesiser twin": 2,
    }


def test_what_waits_for_one_engine_with_two_sets_of_options_is_added_up(engines: Engines) -> None:
    engines["transcriber", "one"] = Engine()
    plans = {
        str(beam): RecipePlan(
            transcriber=EngineChoice("one", {"beam": beam}),
            language_model=SCRIPTED,
            synthesiser=SCRIPTED,
        )
        for beam in (1, 2)
    }

    assert EngineRoom(plans).queues()["one"]() == 4


@pytest.mark.parametrize(
    ("failure", "traced"),
    [(EngineFailure("no model here; pull one"), False), (RuntimeError("no model here"), True)],
)
async def test_why_an_engine_failed_is_logged_and_for_a_fault_where(
    failure: Exception, traced: bool, engines: Engines
) -> None:
    engines["transcriber", "ill"] = Engine(failure)
    ill = RecipePlan(transcriber=EngineChoice("ill"), language_model=SCRIPTED, synthesiser=SCRIPTED)

    with structlog.testing.capture_logs() as lines:
        async with EngineRoom({"ill": ill, "whole": PLAN}).open():
            pass

    line = next(each for each in lines if each["event"] == "engine failed")
    assert line["why"] == f"{type(failure).__name__}: {failure}"
    assert (line["log_level"], bool(line.get("exc_info"))) == ("error", traced)


async def test_a_voice_that_is_known_not_to_exist_stops_the_start(tmp_path: Path) -> None:
    plans = {"whole": msgspec.structs.replace(PLAN, voices={"zorro": "speaker 9"}), "plain": PLAN}

    def assembled(recipe: str) -> object:
        deployments = {"mine": DeploymentPlan(recipe=recipe, voice="zorro")}
        return assemble(
            Config(no_auth=True, data_dir=tmp_path, recipes=plans, deployments=deployments)
        )

    assembled("whole")
    with pytest.raises(
        ConfigError, match=r"deployments\.mine\.voice: .*'zorro'; there are: alloy, "
    ):
        assembled("plain")


async def test_a_voice_that_turns_out_not_to_exist_is_refused_with_those_that_do(
    tmp_path: Path, engines: Engines
) -> None:
    engines["synthesiser", "late"] = Engine(voices={"verse": "1", "zorro": "2"})
    config = Config(
        no_auth=True,
        data_dir=tmp_path,
        recipes={"late": msgspec.structs.replace(PLAN, synthesiser=EngineChoice("late"))},
        deployments={
            "gpt-realtime": DeploymentPlan(recipe="late", voice="ash"),
            "mine": DeploymentPlan(recipe="late", voice="zorro"),
        },
        recipe="late",
    )

    async with running(assemble(config)) as address:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{address.ws_url}/v1/realtime?model=gpt-realtime")
        async with connect(f"{address.ws_url}/v1/realtime?model=mine") as connection:
            assert "session.created" in str(await connection.recv())

    assert refused.value.response.status_code == 503
    body = (refused.value.response.body or b"").decode()
    assert "'ash'; there are: verse, zorro" in body


@pytest.mark.parametrize(
    ("transcriber", "complaint"),
    [
        (EngineChoice("nobody"), "no transcriber is called 'nobody'"),
        (EngineChoice("scripted", {"scenery": "x"}), "there is no option `scenery`"),
    ],
)
def test_a_recipe_that_was_written_wrongly_stops_the_start(
    transcriber: EngineChoice, complaint: str
) -> None:
    wrong = RecipePlan(transcriber=transcriber, language_model=SCRIPTED, synthesiser=SCRIPTED)
    config = Config(recipes={"wrong": wrong}, deployments={"mine": DeploymentPlan(recipe="wrong")})

    with pytest.raises(ConfigError, match=complaint):
        assemble(config)


class Mute:
    """A synthesiser that loads, and says nothing."""

    version = "Mute 1"
    warms_up = True

    async def __aenter__(self) -> "Mute":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return None

    async def speak(self, phrases: object, voice: object) -> AsyncGenerator[Spoken, None]:
        silent: tuple[Spoken, ...] = ()
        for each in silent:
            yield each


@pytest.mark.parametrize("warms_up", [True, False])
async def test_an_engine_that_warms_up_is_tried_before_it_serves(
    warms_up: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Mute, "warms_up", warms_up)
    room = EngineRoom({"one": PLAN, "whole": RecipePlan(transcriber=SCRIPTED)})
    (placed,) = (
        each
        for each in room._placed.values()
        if each.name == "scripted" and each.slot == "synthesiser"
    )
    placed.engine = Mute()

    async with room.open():
        (report,) = (
            each for each in room.report() if each.name == placed.name and each.slot == placed.slot
        )
    assert report.status == ("failed self-check" if warms_up else "ready")
    assert ("at least 100 expected" in report.version) is warms_up
