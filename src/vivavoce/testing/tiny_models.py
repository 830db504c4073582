"""Speech models of a few kilobytes, made on the spot in the formats of real ones.

For tests of the code that loads and runs models, without a download: right names, shapes and
metadata, weights that are constant or drawn at random from a fixed seed. The recognisers write
nonsense for whatever is loud and nothing for what is quiet; the voices hum, longer for longer texts
and higher for later speakers. Needs the package `onnx`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

FEATURES = 80
OPSET = 15
IR_VERSION = 8  # what runtimes of some years ago read, too

# Pieces of words; one that begins a word carries the blank that goes before it.
PIECES = ("▁the", "▁a", "▁cat", "▁sat", "s", "▁on", "▁mat", "ting", "▁and", "▁ran", "er", "▁home")

WINDOW, SHIFT, SUBSAMPLING = 45, 32, 4  # of the streaming recogniser, in frames of 10 ms
LAYERS, LEFT, WIDTH, KERNEL = 2, 8, 16, 5  # the sizes of its memory

HOP = 1200  # samples that a voice makes for each phoneme
KOKORO_STYLES = (510, 1, 4)  # for texts of so many phonemes, so many numbers each
PHONEMES = (
    " abcdefghijklmnopqrstuvwxyz.,!?;:'\"-"
    "\u00e6\u00f0\u014b\u0250\u0251\u0252\u0254\u0259\u025a\u025b\u025c\u0261\u026a\u026b\u026c"
    "\u0279\u027e\u0283\u028a\u028c\u0292\u0294\u02c8\u02cc\u02d0\u03b8\u1d7b"
)

Floats = NDArray[np.float32]
Shape = Sequence[int | str]


def streaming_transducer(folder: Path) -> Path:
    """A streaming recogniser: encoder, decoder and joiner of a zipformer, and its tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = ("<blk>", "<unk>", *PIECES)
    _write_tokens(folder / "tokens.txt", tokens)
    _encoder(folder / "encoder.onnx", len(tokens))
    _decoder(folder / "decoder.onnx", len(tokens))
    _save(
        folder / "joiner.onnx",
        [helper.make_node("Add", ["encoder_out", "decoder_out"], ["logit"])],
        [_floats("encoder_out", "n", len(tokens)), _floats("decoder_out", "n", len(tokens))],
        [_floats("logit", "n", len(tokens))],
        {},
        {"joiner_dim": len(tokens)},
    )
    return folder


def _encoder(path: Path, size: int) -> None:
    """Four frames of features become the likelihoods of the tokens; the memory is kept as it is."""
    frames = SHIFT // SUBSAMPLING
    memory = {
        "cached_len_0": _longs("cached_len_0", LAYERS, "n"),
        "cached_avg_0": _floats("cached_avg_0", LAYERS, "n", WIDTH),
        "cached_key_0": _floats("cached_key_0", LAYERS, LEFT, "n", WIDTH),
        "cached_val_0": _floats("cached_val_0", LAYERS, LEFT, "n", WIDTH // 2),
        "cached_val2_0": _floats("cached_val2_0", LAYERS, LEFT, "n", WIDTH // 2),
        "cached_conv1_0": _floats("cached_conv1_0", LAYERS, "n", WIDTH, KERNEL - 1),
        "cached_conv2_0": _floats("cached_conv2_0", LAYERS, "n", WIDTH, KERNEL - 1),
    }
    kept = [helper.make_node("Identity", [name], [f"new_{name}"]) for name in memory]
    news = [_like(value, f"new_{name}") for name, value in memory.items()]
    weights, bias = _hearing(SUBSAMPLING * FEATURES, size, blank=0)
    _save(
        path,
        [
            helper.make_node("Slice", ["x", "first", "last", "axis"], ["heard"]),
            helper.make_node("Reshape", ["heard", "grouped"], ["groups"]),
            helper.make_node("MatMul", ["groups", "weights"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["encoder_out"]),
            *kept,
        ],
        [_floats("x", "n", WINDOW, FEATURES), *memory.values()],
        [_floats("encoder_out", "n", frames, size), *news],
        {
            "first": np.array([0]),
            "last": np.array([SHIFT]),
            "axis": np.array([1]),
            "grouped": np.array([-1, frames, SUBSAMPLING * FEATURES]),
            "weights": weights,
            "bias": bias,
        },
        {
            "model_type": "zipformer",
            "version": 1,
            "encoder_dims": WIDTH,
            "attention_dims": WIDTH,
            "num_encoder_layers": LAYERS,
            "cnn_module_kernels": KERNEL,
            "left_context_len": LEFT,
            "T": WINDOW,
            "decode_chunk_len": SHIFT,
        },
    )


def _decoder(path: Path, size: int) -> None:
    """What was last written makes itself less likely to come again."""
    again = np.zeros((size, size), np.float32)
    np.fill_diagonal(again[2:, 2:], -2.0)
    _save(
        path,
        [
            helper.make_node("Gather", ["y", "newest"], ["last"], axis=1),
            helper.make_node("Gather", ["again", "last"], ["decoder_out"]),
        ],
        [_longs("y", "n", 2)],
        [_floats("decoder_out", "n", size)],
        {"newest": np.array(1), "again": again},
        {"vocab_size": size, "context_size": 2},
    )


def offline_ctc(folder: Path) -> Path:
    """A recogniser of whole turns, as NeMo exports them: `model.onnx` and its tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = ("<unk>", *PIECES, "<blk>")
    _write_tokens(folder / "tokens.txt", tokens)
    weights, bias = _hearing(FEATURES, len(tokens), blank=len(tokens) - 1)
    _save(
        folder / "model.onnx",
        [
            helper.make_node("Transpose", ["audio_signal"], ["frames"], perm=[0, 2, 1]),
            helper.make_node("MatMul", ["frames", "weights"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["sum"]),
            helper.make_node("Cast", ["length"], ["lengths"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMax", ["lengths"], ["longest"], keepdims=0),
            helper.make_node("Mul", ["longest", "nothing"], ["zero"]),  # all inputs have to be used
            helper.make_node("Add", ["sum", "zero"], ["logits"]),
            helper.make_node("LogSoftmax", ["logits"], ["logprobs"], axis=-1),
        ],
        [_floats("audio_signal", "n", FEATURES, "t"), _longs("length", "n")],
        [_floats("logprobs", "n", "t", len(tokens))],
        {"weights": weights, "bias": bias, "nothing": np.array(0, np.float32)},
        {
            "model_type": "EncDecCTCModelBPE",
            "version": 1,
            "vocab_size": len(tokens) - 1,
            "normalize_type": "NA",
            "subsampling_factor": 1,
        },
    )
    return folder


def _hearing(width: int, size: int, blank: int) -> tuple[Floats, Floats]:
    """Weights and bias by which features give tokens at random, and none where they are low.

    Features are logarithms: about -16 in silence, above -10 in speech. To the tokens only their
    differences count, so that in silence all are as likely, and the blank is likelier.
    """
    weights = np.random.default_rng(5).normal(0, 2 / np.sqrt(width), (width, size))
    weights -= weights.mean(axis=0)
    bias = np.zeros(size)
    weights[:, blank] = -1 / width
    bias[blank] = -10.0
    bias[1 if blank == 0 else 0] = -1e4  # <unk> is never said
    return weights.astype(np.float32), bias.astype(np.float32)


def piper_voice(folder: Path, *, speakers: int = 3) -> Path:
    """A voice as Piper has them: `voice.onnx` and tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_tokens(folder / "tokens.txt", ("_", "^", "$", *PHONEMES))
    _save(
        folder / "voice.onnx",
        [
            helper.make_node("Gather", ["scales", "second"], ["length_scale"]),
            helper.make_node("Cast", ["input_lengths"], ["count"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["count", "length_scale"], ["length"]),
            helper.make_node("Cast", ["input"], ["input_floats"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["input_floats"], ["sum"], keepdims=0),
            helper.make_node("Cast", ["sid"], ["height"], to=TensorProto.FLOAT),
            *_hum("output", "outer"),
        ],
        [
            _longs("input", 1, "t"),
            _longs("input_lengths", 1),
            _floats("scales", 3),
            _longs("sid", 1),
        ],
        [_floats("output", 1, 1, 1, "samples")],
        {"second": np.array([1]), **_humming()},
        {
            "model_type": "vits",
            "comment": "piper",
            "language": "English",
            "voice": "en-us",
            "has_espeak": 1,
            "n_speakers": speakers,
            "sample_rate": 22050,
        },
    )
    return folder


def kokoro_voice(
    folder: Path, *, names: Sequence[str] = ("af_alloy", "am_echo", "bf_emma")
) -> Path:
    """A voice as Kokoro has them: `model.onnx`, `voices.bin` and tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_tokens(folder / "tokens.txt", ("_", "^", "$", *PHONEMES))
    styles = np.zeros((len(names), *KOKORO_STYLES), np.float32)
    styles[:] = np.arange(len(names))[:, None, None, None]
    (folder / "voices.bin").write_bytes(styles.tobytes())
    _save(
        folder / "model.onnx",
        [
            helper.make_node("Shape", ["tokens"], ["shape"]),
            helper.make_node("Gather", ["shape", "second"], ["counted"]),
            helper.make_node("Cast", ["counted"], ["count"], to=TensorProto.FLOAT),
            helper.make_node("Div", ["count", "speed"], ["length"]),
            helper.make_node("Cast", ["tokens"], ["token_floats"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["token_floats"], ["sum"], keepdims=0),
            helper.make_node("ReduceMean", ["style"], ["height"], keepdims=0),
            *_hum("audio", "flat"),
        ],
        [_longs("tokens", 1, "t"), _floats("style", 1, KOKORO_STYLES[2]), _floats("speed", 1)],
        [_floats("audio", "samples")],
        {"second": np.array([1]), **_humming()},
        {
            "model_type": "kokoro",
            "version": 1,
            "language": "English",
            "voice": "en-us",
            "has_espeak": 1,
            "n_speakers": len(names),
            "speaker_names": ",".join(names),
            "sample_rate": 24000,
            "style_dim": ",".join(map(str, KOKORO_STYLES)),
        },
    )
    return folder


def _hum(output: str, shape: str) -> list[onnx.NodeProto]:
    """A tone of `length` times HOP samples, higher with `height` and a little with `sum`."""
    return [
        helper.make_node("Mul", ["length", "hop"], ["samples_floats"]),
        helper.make_node("ReduceSum", ["samples_floats"], ["samples_float"], keepdims=0),
        helper.make_node("Cast", ["samples_float"], ["samples"], to=TensorProto.INT64),
        helper.make_node("Range", ["zero", "samples", "one"], ["times"]),
        helper.make_node("Cast", ["times"], ["time"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["height"], ["high"], keepdims=0),
        helper.make_node("Mul", ["high", "higher"], ["raised"]),
        helper.make_node("Mul", ["sum", "slightly"], ["nuance"]),
        helper.make_node("Add", ["raised", "nuance"], ["more"]),
        helper.make_node("Add", ["more", "pitch"], ["step"]),
        helper.make_node("Mul", ["time", "step"], ["phase"]),
        helper.make_node("Sin", ["phase"], ["wave"]),
        helper.make_node("Mul", ["wave", "volume"], ["tone"]),
        helper.make_node("Reshape", ["tone", shape], [output]),
    ]


def _humming() -> dict[str, NDArray[np.generic]]:
    return {
        "hop": np.array(HOP, np.float32),
        "zero": np.array(0),
        "one": np.array(1),
        "higher": np.array(0.02, np.float32),
        "slightly": np.array(1e-6, np.float32),
        "pitch": np.array(0.04, np.float32),  # radians a sample, about 140 Hz
        "volume": np.array(0.3, np.float32),
        "outer": np.array([1, 1, 1, -1]),
        "flat": np.array([-1]),
    }


def _write_tokens(path: Path, tokens: Iterable[str]) -> None:
    lines = (f"{token} {number}\n" for number, token in enumerate(tokens))
    path.write_text("".join(lines), encoding="utf-8")


def _floats(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _longs(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.INT64, shape)


def _like(value: onnx.ValueInfoProto, name: str) -> onnx.ValueInfoProto:
    other = onnx.ValueInfoProto()
    other.CopyFrom(value)
    other.name = name
    return other


def _save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    constants: Mapping[str, NDArray[np.generic]],
    metadata: Mapping[str, object],
) -> None:
    used = {name for node in nodes for name in node.input}
    tensors = [
        numpy_helper.from_array(value, name) for name, value in constants.items() if name in used
    ]
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    helper.set_model_props(model, {key: str(value) for key, value in metadata.items()})
    onnx.checker.check_model(model)
    onnx.save(model, path)
