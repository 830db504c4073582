"""Smart Turn: its own loading code and arithmetic on a model of its form that knows nothing."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from numpy.typing import NDArray

from vivavoce.audio.pcm import Pcm, silence
from vivavoce.engines import smart_turn
from vivavoce.engines.api import EngineFailure, Pause, Work
from vivavoce.engines.log_mel import features, normalised
from vivavoce.engines.smart_turn import SmartTurn, heard
from vivavoce.testing.babble import babble
from vivavoce.testing.engine_kit import CHECKS
from vivavoce.testing.tiny_turn import make_tiny_turn, verdict

pytestmark = [pytest.mark.extras, pytest.mark.anyio]

PAUSES = tuple(Pause(babble(600 + 500 * each, 100 + 10 * each)) for each in range(12))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_turn(tmp_path_factory.mktemp("turn") / "tiny.onnx").parent


@pytest.fixture
async def judge(folder: Path) -> AsyncIterator[SmartTurn]:
    async with SmartTurn(model=str(folder)) as judge:
        yield judge


@pytest.mark.parametrize("check", CHECKS["turn_judge"].values(), ids=CHECKS["turn_judge"])
async def test_it_keeps_the_contract_of_a_judge(
    check: Callable[[Any], Awaitable[None]], judge: SmartTurn
) -> None:
    await check(judge)


async def test_the_verdict_is_what_the_model_says_of_the_newest_eight_seconds(
    judge: SmartTurn,
) -> None:
    turn = babble(9300, 120)

    given = await judge.judge(Pause(turn))

    newest = turn.floats[-8 * 16000 :]
    assert given == pytest.approx(verdict(features(normalised(newest))), abs=1e-4)
    assert 0.02 < given < 0.98


async def test_a_shorter_turn_has_zeros_before_it(judge: SmartTurn) -> None:
    turn = babble(1500, 120)

    given = await judge.judge(Pause(turn))

    padded = np.concatenate([np.zeros(8 * 16000 - turn.count, np.float32), turn.floats])
    assert given == pytest.approx(verdict(features(normalised(padded))), abs=1e-4)
    behind = np.concatenate([turn.floats, np.zeros(8 * 16000 - turn.count, np.float32)])
    assert abs(given - verdict(features(normalised(behind)))) > 0.01


async def test_a_soft_voice_has_the_verdict_of_a_loud_one(judge: SmartTurn) -> None:
    loud = babble(2000, 120)
    soft = Pcm((loud.samples // 8).astype("<i2").tobytes(), 16000)

    verdicts = [await judge.judge(Pause(each)) for each in (loud, soft)]

    assert verdicts[0] == pytest.approx(verdicts[1], abs=0.02)


async def test_sessions_that_ask_at_once_each_get_their_own_verdict(judge: SmartTurn) -> None:
    alone = [await judge.judge(each) for each in PAUSES]

    assert await _together(judge, PAUSES) == pytest.approx(alone, abs=1e-5)
    assert len({round(each, 4) for each in alone}) == len(PAUSES)


@pytest.mark.parametrize(("batch", "sizes"), [(8, [1, 8, 3]), (1, [1] * 12)])
async def test_pauses_that_wait_are_run_together_as_far_as_is_wanted(
    batch: int, sizes: list[int], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await _run_sizes(folder, monkeypatch, batch) == sizes


async def test_a_model_for_one_pause_at_a_time_is_run_for_each(tmp_path: Path) -> None:
    make_tiny_turn(tmp_path / "single.onnx", batch=1)
    async with SmartTurn(model=str(tmp_path), workers=1, batch=4) as single:
        given = await _together(single, PAUSES[:4])

    expected = [verdict(heard(each.pcm.floats)) for each in PAUSES[:4]]
    assert given == pytest.approx(expected, abs=1e-4)


async def test_a_pause_that_nobody_waits_for_any_more_is_not_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await _run_sizes(folder, monkeypatch, batch=8, cancelled=4) == [1, 7]


async def test_batches_give_the_verdicts_of_single_runs(folder: Path, judge: SmartTurn) -> None:
    alone = [await judge.judge(each) for each in PAUSES]
    async with SmartTurn(model=str(folder), workers=1, batch=5) as batching:
        assert await _together(batching, PAUSES) == pytest.approx(alone, abs=1e-5)


async def test_a_failing_run_fails_its_pauses_and_no_others(
    judge: SmartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:

        def fail(_model: object, _heards: object) -> list[float]:
            raise RuntimeError("no memory")

        broken.setattr(smart_turn.Model, "verdicts", fail)
        with pytest.raises(EngineFailure, match="Smart Turn failed: RuntimeError: no memory"):
            await judge.judge(PAUSES[0])

    assert 0 <= await judge.judge(PAUSES[0]) <= 1


async def test_every_pause_is_reported_with_the_audio_that_was_heard(judge: SmartTurn) -> None:
    works: list[Work] = []
    judge.report = works.append

    await judge.judge(Pause(babble(1500, 120)))

    assert [work.audio_s for work in works] == [1.5]
    assert works[0].busy_s > 0


async def test_the_loaded_file_and_the_runtime_are_in_the_version(judge: SmartTurn) -> None:
    assert judge.version.startswith("Smart Turn (tiny, onnxruntime 1.")


async def test_it_cannot_be_asked_before_it_is_loaded_nor_after(folder: Path) -> None:
    judge = SmartTurn(model=str(folder))
    with pytest.raises(EngineFailure, match="not running"):
        await judge.judge(PAUSES[0])
    async with judge:
        pass
    with pytest.raises(EngineFailure, match="not running"):
        await judge.judge(PAUSES[0])


async def test_audio_of_another_rate_is_refused(judge: SmartTurn) -> None:
    with pytest.raises(EngineFailure, match="hears 16000 Hz, but was given 24000 Hz"):
        await judge.judge(Pause(silence(500, 24000)))


async def test_no_thread_is_left_behind(folder: Path) -> None:
    async with SmartTurn(model=str(folder)):
        assert "Smart Turn 0" in {each.name for each in threading.enumerate()}

    assert "Smart Turn 0" not in {each.name for each in threading.enumerate()}


async def test_a_missing_package_is_named_with_its_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)

    await _fails(SmartTurn(model=str(folder)), r"pip install 'vivavoce\[smart-turn\]'")


@pytest.mark.parametrize("model", ["no-such-model", "/no/such/folder", "smart-turn-v3"])
async def test_a_missing_model_is_told_with_the_command_that_brings_it(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    await _fails(SmartTurn(model=model), "vivavoce models pull smart-turn-v3")


async def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "turn.onnx").write_bytes(b"not a model")

    await _fails(SmartTurn(model=str(tmp_path)), r"turn\.onnx is no ONNX model")


@pytest.mark.parametrize("options", [{"name": "input"}, {"frames": 400}])
async def test_a_model_of_another_kind_is_told(tmp_path: Path, options: dict[str, Any]) -> None:
    make_tiny_turn(tmp_path / "turn.onnx", **options)

    await _fails(
        SmartTurn(model=str(tmp_path)), r"no Smart Turn v3 model: it takes .*80, \d+\].*wanted"
    )


async def test_of_several_files_one_has_to_be_named(tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        make_tiny_turn(tmp_path / name)

    await _fails(SmartTurn(model=str(tmp_path)), r"there are: a\.onnx, b\.onnx\. Say which")
    await _fails(SmartTurn(model=str(tmp_path), file="c.onnx"), r"c\.onnx, and there are")
    async with SmartTurn(model=str(tmp_path), file="b.onnx") as judge:
        assert "(b, onnxruntime" in judge.version


async def _fails(judge: SmartTurn, message: str) -> None:
    with pytest.raises(EngineFailure, match=message):
        async with judge:
            pass


async def _together(judge: SmartTurn, pauses: Sequence[Pause]) -> list[float]:
    given = [0.0] * len(pauses)

    async def ask(place: int) -> None:
        given[place] = await judge.judge(pauses[place])

    async with anyio.create_task_group() as tasks:
        for place in range(len(pauses)):
            tasks.start_soon(ask, place)
    return given


async def _run_sizes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, batch: int, cancelled: int = 0
) -> list[int]:
    """How many pauses each run held, of twelve that came while the first was at work.

    So many of the last are given up before their run.
    """
    begun, go = anyio.Event(), threading.Event()
    sizes: list[int] = []
    verdicts = smart_turn.Model.verdicts
    loop = asyncio.get_running_loop()

    def watched(model: smart_turn.Model, heards: Sequence[NDArray[np.float32]]) -> list[float]:
        sizes.append(len(heards))
        loop.call_soon_threadsafe(begun.set)
        assert go.wait(30)
        return verdicts(model, heards)

    async with SmartTurn(model=str(folder), workers=1, batch=batch) as judge:
        monkeypatch.setattr(smart_turn.Model, "verdicts", watched)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(judge.judge, PAUSES[0])
            await begun.wait()
            async with anyio.create_task_group() as others:
                for place, pause in enumerate(PAUSES[1:], 1):
                    given_up = place >= len(PAUSES) - cancelled
                    (others if given_up else tasks).start_soon(judge.judge, pause)
                while judge.queued < len(PAUSES) - 1:
                    await anyio.lowlevel.checkpoint()
                others.cancel_scope.cancel()
            go.set()
    return sizes
