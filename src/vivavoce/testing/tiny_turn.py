"""A model with Smart Turn's inputs and outputs, in the real format, that knows nothing of turns.

It needs the package `onnx`. What it answers can be worked out by hand: see `verdict`.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

BANDS, FRAMES = 80, 800
# Later frames and higher bands weigh more, so it matters where the sound lies; and loudness matters,
# for the weights have a sum.
_BAND_WEIGHTS = np.linspace(-0.5, 1, BANDS, dtype=np.float32)[None, :] / 8
_FRAME_WEIGHTS = np.linspace(0, 1, FRAMES, dtype=np.float32)[:, None] ** 2 / 250


def verdict(features: Array) -> float:
    """What the model says of features [80, 800]: 0 to 1."""
    odds = (_BAND_WEIGHTS @ features @ _FRAME_WEIGHTS).item()
    return float(1 / (1 + np.exp(-odds)))


def make_tiny_turn(
    file: Path, *, batch: int | None = None, name: str = "input_features", frames: int = FRAMES
) -> Path:
    """Write the model to *file*, for any number of pauses at a time or for *batch* of them.

    With another *name* of its input, or number of *frames*, it is a model of another kind.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    size = "batch_size" if batch is None else batch
    weights = np.resize(_FRAME_WEIGHTS, (frames, 1))
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", [name, "frame_weights"], ["bands"]),
            helper.make_node("MatMul", ["band_weights", "bands"], ["odds"]),
            helper.make_node("Sigmoid", ["odds"], ["finished"]),
            helper.make_node("Squeeze", ["finished", "last"], ["logits"]),
        ],
        "tiny_turn",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [size, BANDS, frames])],
        # The name is the real model's too, though it gives a probability.
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [size, 1])],
        [
            numpy_helper.from_array(weights, "frame_weights"),
            numpy_helper.from_array(_BAND_WEIGHTS, "band_weights"),
            numpy_helper.from_array(np.array([2], np.int64), "last"),
        ],
    )
    # An older form than the package's own newest, which onnxruntime may not know yet.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, str(file))
    return file
