"""Smart Turn v3: a small model that hears from the sound of a turn whether it is over.

It is the encoder of Whisper tiny with one output, trained on pauses in 23 languages, and runs on
onnxruntime. What goes in and comes out is as its authors state it, in `inference.py` and `train.py`
of github.com/pipecat-ai/smart-turn (BSD 2-Clause) and on the model's card (pipecat-ai/smart-turn-v3):

- the newest 8 s of the turn at 16 kHz, shorter ones with zeros *before* them;
- brought, zeros and all, to a mean of zero and a variance of one, which makes features of a soft
  voice like those of a loud one;
- then Whisper's log-mel features, `input_features` [batch, 80, 800] (see `log_mel`);
- out comes `logits` [batch, 1], which in spite of its name is the probability that the turn is over.

Sessions share the model, in fair order. Pauses are run one by one on half of the cores: a graph of the
real one's shape (float32, random weights, one core) took 75 ms of CPU for a pause alone and 82 ms for
each of eight in one run, so that a batch only made the first wait for the last. Their features take
3 ms. Where that is different, several that wait go into one run; none waits for others to come.

The words of the turn are not asked for.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from anyio import to_thread
from numpy.typing import NDArray

from vivavoce.engines.api import HEARING_RATE_HZ, EngineFailure, Pause, Work
from vivavoce.engines.crew import Crew, Shift, cores
from vivavoce.engines.log_mel import features, normalised
from vivavoce.engines.model_folder import model_folder

Array = NDArray[np.float32]

SECONDS = 8
SAMPLES = SECONDS * HEARING_RATE_HZ
SHAPE = (80, 800)
INPUT = "input_features"
PACKAGE = "pip install 'vivavoce[smart-turn]'"


class SmartTurn:
    """Smart Turn v3 as a `TurnJudge`.

    *model* is the name of a model that was pulled, or a folder; *file* is the ONNX file in it,
    which need not be said where there is but one. *workers* runs go on side by side, by default on
    half of the cores, each on as many cores as *threads* says and for up to *batch* pauses.
    """

    warms_up = True

    def __init__(
        self,
        *,
        model: str = "smart-turn-v3",
        file: str | None = None,
        threads: int = 1,
        workers: int | None = None,
        batch: int = 1,
    ) -> None:
        self._model = model
        self._file = file
        self._threads = threads
        self._workers = workers or max(1, cores() // (2 * threads))
        self._batch = batch
        self._crew: Crew[Pause, float] | None = None
        self._loaded = ""
        self.report: Callable[[Work], None] = lambda _: None

    @property
    def version(self) -> str:
        """Such as `Smart Turn (smart-turn-v3.2-cpu, onnxruntime 1.24.1)`, when loaded."""
        return f"Smart Turn ({self._loaded or self._model})"

    @property
    def queued(self) -> int:
        """How many pauses wait to be judged."""
        return self._crew.queued if self._crew else 0

    @property
    def full(self) -> bool:
        """Whether another session would have to wait too long."""
        return self._crew is not None and self._crew.full

    async def __aenter__(self) -> Self:
        model = await to_thread.run_sync(load, self._model, self._file, self._threads)
        self._loaded = model.name
        self._crew = Crew(
            model.do,
            name="Smart Turn",
            workers=self._workers,
            batch=self._batch,
            report=lambda work: self.report(work),
        )
        await self._crew.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        crew, self._crew = self._crew, None
        if crew is not None:
            await crew.__aexit__(*exc_info)

    async def judge(self, pause: Pause) -> float:
        """See `api.TurnJudge`. The same for the same sound, whatever its words."""
        if pause.pcm.rate_hz != HEARING_RATE_HZ:
            raise EngineFailure(
                f"Smart Turn hears {HEARING_RATE_HZ} Hz, but was given {pause.pcm.rate_hz} Hz"
            )
        if self._crew is None:
            raise EngineFailure("Smart Turn is not running")
        with self._crew.place() as place:
            place.bring(pause)
            (verdict,) = [each async for each in place]
        return verdict


def heard(sound: Array) -> Array:
    """What the model hears of a turn's sound [n] at 16 kHz: features [80, 800]."""
    newest = np.zeros(SAMPLES, np.float32)
    kept = sound[-SAMPLES:]
    newest[SAMPLES - len(kept) :] = kept
    return features(normalised(newest))


class Model:
    """The model, loaded, for any number of threads."""

    def __init__(self, session: Any, name: str) -> None:  # onnxruntime has no types
        self._session = session
        self._batches = not isinstance(session.get_inputs()[0].shape[0], int)
        self.name = name

    def do(self, shifts: Sequence[Shift[Pause, float]]) -> None:
        """Judge the pauses whose turn has come."""
        for shift in shifts:
            shift.audio_s = shift.unit.pcm.duration_ms / 1000
        verdicts = self.verdicts([heard(shift.unit.pcm.floats) for shift in shifts])
        for shift, verdict in zip(shifts, verdicts, strict=True):
            shift.tell(verdict)

    def verdicts(self, heards: Sequence[Array]) -> list[float]:
        """How finished each sounds, 0 to 1: in one run if the model has room for several."""
        runs = [np.stack(heards)] if self._batches else [each[None] for each in heards]
        given = [self._session.run(None, {INPUT: run})[0].ravel() for run in runs]
        return [min(max(float(each), 0.0), 1.0) for each in np.concatenate(given)]


def load(model: str, name: str | None, threads: int) -> Model:
    """Load the model; blocks for as long as that takes. Raises `EngineFailure`."""
    try:
        import onnxruntime  # an extra, and it takes long
    except ImportError as error:
        raise EngineFailure(f"Smart Turn needs onnxruntime: {PACKAGE} ({error})") from error
    file = model_file(model_folder(model, such_as="smart-turn-v3"), name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that spin while they wait for the next pause would keep their cores busy.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise EngineFailure(f"{file} is no ONNX model that can be loaded: {error}") from error
    _require_interface(file, session)
    loaded = Model(session, f"{file.stem}, onnxruntime {onnxruntime.__version__}")
    loaded.verdicts([heard(np.zeros(0, np.float32))])  # the first run is slower than all others
    return loaded


def model_file(folder: Path, name: str | None) -> Path:
    """The ONNX file of that name in *folder*, or its only one. Raises `EngineFailure`."""
    there = sorted(folder.glob("*.onnx"))
    wanted = [folder / name] if name else there
    if len(wanted) == 1 and wanted[0].is_file():
        return wanted[0]
    named = ", ".join(each.name for each in there) or "none"
    raise EngineFailure(
        f"{folder}: the ONNX file of Smart Turn is wanted{f', {name}' if name else ''}, and there "
        f"are: {named}. Say which by the option `file`, or pull it: vivavoce models pull smart-turn-v3"
    )


def _fits(shape: Sequence[int | str]) -> bool:
    """Features fit: an axis that has a name instead of a size takes any size."""
    sizes = [
        wanted if isinstance(each, str) else each
        for each, wanted in zip(shape[1:], SHAPE, strict=False)
    ]
    return len(shape) == 3 and tuple(sizes) == SHAPE


def _require_interface(file: Path, session: Any) -> None:
    inputs, outputs = session.get_inputs(), session.get_outputs()
    given = ", ".join(f"{each.name} {list(each.shape)}" for each in inputs)
    names = [each.name for each in inputs]
    if names != [INPUT] or not _fits(inputs[0].shape) or len(outputs) != 1:
        raise EngineFailure(
            f"{file} is no Smart Turn v3 model: it takes {given} and gives {len(outputs)} outputs, "
            f"where {INPUT} [batch, {SHAPE[0]}, {SHAPE[1]}] and one output are wanted"
        )
