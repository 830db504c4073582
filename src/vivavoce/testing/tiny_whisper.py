"""A Whisper of two layers with random weights, in CTranslate2's real format: it babbles letters.

It needs the extra `faster-whisper`. It says the same of the same sound and something else of
another, ends after a few dozen letters, and takes half a second to be made.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

WIDTH = 64
HEADS = 2
LAYERS = 2
BANDS = 80
POSITIONS = 448  # tokens of prompt and answer, as in every Whisper
WORDS = 50257  # of a multilingual model
ENDS_AFTER = 40  # tokens, prompt and all
_NEVER = -30.0


def make_tiny_whisper(folder: Path, *, multilingual: bool = True, seed: int = 0) -> Path:
    """Write a model folder: `model.bin`, `config.json`, tokenizer, preprocessor."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = _write_tokenizer(folder, multilingual)
    _spec(tokens, multilingual, seed).save(str(folder))
    sizes = {"feature_size": BANDS, "sampling_rate": 16000, "hop_length": 160}
    preprocessor = {**sizes, "chunk_length": 30, "n_fft": 400}
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


def _languages(multilingual: bool) -> tuple[str, ...]:
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    return tuple(_LANGUAGE_CODES) if multilingual else ("en",)


def _write_tokenizer(folder: Path, multilingual: bool) -> dict[str, int]:
    """One token for each byte, words nobody says, then Whisper's own in Whisper's order."""
    from tokenizers import (
        AddedToken,
        Tokenizer,
        decoders,
        models,
        pre_tokenizers,
    )

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = list(letters)
    if multilingual:  # by how many words there are, or by an empty one, CTranslate2 knows it
        words += [f"unsaid{place}" for place in range(len(letters), WORDS - 1)] + [""]
    tokenizer = Tokenizer(models.BPE({each: place for place, each in enumerate(words)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["endoftext", "startoftranscript", *_languages(multilingual)]
    special += ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    special += [f"{place * 0.02:.2f}" for place in range(1501)]
    tokenizer.add_special_tokens(
        [AddedToken(f"<|{each}|>", special=True, normalized=False) for each in special]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    tokens: dict[str, int] = tokenizer.get_vocab()
    return tokens


class _Weights:
    """Fills the layers of a model: random matrices, neutral norms."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def matrix(self, *shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        return self._random.normal(0, 0.2, shape).astype(np.float32)

    # The package has no types, so its layers are Any.
    def linear(self, layer: Any, out: int, into: int) -> None:
        layer.weight = self.matrix(out, into)
        layer.bias = np.zeros(out, np.float32)

    def norm(self, layer: Any) -> None:
        layer.gamma = np.ones(WIDTH, np.float32)
        layer.beta = np.zeros(WIDTH, np.float32)

    def convolution(self, layer: Any, into: int) -> None:
        layer.weight = self.matrix(WIDTH, into, 3)
        layer.bias = np.zeros(WIDTH, np.float32)

    def attention(self, layer: Any, *parts: int) -> None:
        for linear, part in zip(layer.linear, parts, strict=True):
            self.linear(linear, part * WIDTH, WIDTH)
        self.norm(layer.layer_norm)

    def transformer(self, layer: Any) -> None:
        self.attention(layer.self_attention, 3, 1)
        if hasattr(layer, "attention"):
            self.attention(layer.attention, 1, 2, 1)
        self.norm(layer.ffn.layer_norm)
        self.linear(layer.ffn.linear_0, 2 * WIDTH, WIDTH)
        self.linear(layer.ffn.linear_1, WIDTH, 2 * WIDTH)


def _spec(tokens: dict[str, int], multilingual: bool, seed: int) -> Any:
    from ctranslate2.specs.whisper_spec import WhisperSpec

    spec: Any = WhisperSpec(LAYERS, HEADS, LAYERS, HEADS)
    weights = _Weights(seed)
    _fill_encoder(spec.encoder, weights)
    _fill_decoder(spec.decoder, weights, tokens)
    spec.register_vocabulary(sorted(tokens, key=tokens.__getitem__))
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = [tokens["<|endoftext|>"]]
    spec.config.lang_ids = [tokens[f"<|{each}|>"] for each in _languages(multilingual)]
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.optimize("int8")
    return spec


def _fill_encoder(encoder: Any, weights: _Weights) -> None:
    weights.convolution(encoder.conv1, BANDS)
    weights.convolution(encoder.conv2, WIDTH)
    encoder.position_encodings.encodings = weights.matrix(1500, WIDTH)
    weights.norm(encoder.layer_norm)
    for layer in encoder.layer:
        weights.transformer(layer)


def _fill_decoder(decoder: Any, weights: _Weights, tokens: dict[str, int]) -> None:
    decoder.embeddings.weight = weights.matrix(len(tokens), WIDTH)
    decoder.scale_embeddings = False
    places = weights.matrix(POSITIONS, WIDTH)
    # One direction tells how far it has come, and leads to the end.
    places[:, 0] = np.where(np.arange(POSITIONS) < ENDS_AFTER, 0, 100)
    decoder.position_encodings.encodings = places
    weights.norm(decoder.layer_norm)
    for layer in decoder.layer:
        weights.transformer(layer)
    weights.linear(decoder.projection, len(tokens), WIDTH)
    end = tokens["<|endoftext|>"]
    decoder.projection.weight[end] = 0
    decoder.projection.weight[end, 0] = 10
    decoder.projection.bias[:] = _NEVER
    for letter in "abcdefghijklmnopqrstuvwxyzĠ":  # the last is how a blank is written here
        decoder.projection.bias[tokens[letter]] = 0
    decoder.projection.bias[end] = -5
