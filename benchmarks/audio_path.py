"""What a session's audio costs on its way to the voice detector, in microseconds of one core.

    python benchmarks/audio_path.py

Medians over many runs; for the engine, which has threads, processor time over all frames. One BLAS
thread, as when serving.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is imported

import time
from collections.abc import AsyncIterator, Callable
from statistics import median

import anyio
import numpy as np

from vivavoce.audio.formats import decode, encode
from vivavoce.audio.resample import Resampler
from vivavoce.engines.api import Frames
from vivavoce.engines.silero import Silero, SileroModel, read_tensors, weights_file

PAIRS = [
    (24000, 16000),
    (8000, 16000),
    (22050, 24000),
    (22050, 8000),
    (16000, 24000),
    (24000, 8000),
    (16000, 8000),
    (48000, 24000),
    (24000, 48000),
]


def microseconds(work: Callable[[], object], times: int = 300) -> float:
    """The median of the processor time that *work* takes, warm."""
    taken = []
    for _ in range(times):
        began_ns = time.thread_time_ns()
        work()
        taken.append((time.thread_time_ns() - began_ns) / 1000)
    return median(taken[times // 10 :])


def chunk(rate_hz: int, milliseconds: int) -> np.ndarray:
    """Noise."""
    noise = np.random.default_rng(1).normal(0, 3000, rate_hz * milliseconds // 1000)
    return noise.astype(np.int16)


def resampling() -> None:
    print("resampling, us a chunk        20 ms  100 ms")
    for from_hz, to_hz in PAIRS:
        costs = []
        for milliseconds in (20, 100):
            resampler, samples = Resampler(from_hz, to_hz), chunk(from_hz, milliseconds)
            costs.append(microseconds(lambda r=resampler, s=samples: r.push(s)))  # type: ignore[misc]
        print(f"  {from_hz:6} -> {to_hz:6}          {costs[0]:7.1f} {costs[1]:7.1f}")


def telephone() -> None:
    pcm = chunk(8000, 20).tobytes()
    wire = encode("audio/pcmu", pcm)
    print(
        f"mu-law, 20 ms: to the wire {microseconds(lambda: encode('audio/pcmu', pcm)):.1f} us,",
        end="",
    )
    print(f" from it {microseconds(lambda: decode('audio/pcmu', wire)):.1f} us")


def stepping() -> None:
    model = SileroModel(read_tensors(weights_file().read_bytes()))
    print("one step of the voice detector, us a frame")
    for streams, successive in ((1, 1), (1, 4), (1, 8), (8, 1), (8, 4), (64, 1)):
        batch = np.random.default_rng(1).normal(0, 0.1, (streams * successive, 576))
        heard, state = batch.astype(np.float32), np.zeros((streams, 256), np.float32)

        def step(heard: Frames = heard, state: Frames = state, turns: int = successive) -> None:
            encoded = model.encode(heard)
            for turn in range(turns):
                model.recall(encoded[turn::turns], state)

        cost = microseconds(step) / len(heard)
        print(f"  {streams:3} streams, {successive} successive frames each {cost:7.1f}")


async def serving() -> None:
    print("the whole engine, frame by frame, loop and worker, us a frame")
    for streams in (1, 8, 64):
        count = 3000 // streams

        async def frames(count: int = count) -> AsyncIterator[Frames]:
            for _ in range(count):
                yield np.zeros((1, 512), np.float32)

        async def listen() -> None:
            async for _ in silero.detect(frames()):
                pass

        async with Silero() as silero:
            began_ns = time.process_time_ns()
            async with anyio.create_task_group() as listeners:
                for _ in range(streams):
                    listeners.start_soon(listen)
            spent_ns = time.process_time_ns() - began_ns
        print(f"  {streams:3} streams {spent_ns / 1000 / streams / count:7.1f}")


if __name__ == "__main__":
    resampling()
    telephone()
    stepping()
    anyio.run(serving)
