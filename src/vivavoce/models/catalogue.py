"""The models that can be pulled by name, and what a recipe says to use each.

A repository, its commit, its files and their sizes were looked up, none is a guess. `main` stands
where no commit could be confirmed: the manifest then keeps the commit that was found. Where nobody
states a licence for the weights, that is what the entry says.
"""

from collections.abc import Mapping

from msgspec import Struct

UNPINNED = "main"
UNSTATED = "not stated"


class Source(Struct, frozen=True):
    """Files of one repository of the hub: those whose path fits one of the patterns in *files*.

    They lie in the model's folder as in the repository, less *above* at the beginning of their path.
    """

    repository: str
    revision: str
    files: tuple[str, ...]
    above: str = ""


class Model(Struct, frozen=True):
    """A model by name. *slot*, *engine* and *options* are what a recipe says beside `model`, the name.

    *licence* is an SPDX identifier where there is one; *terms* says where it is stated, or more.
    *extra* is the package's extra that its engine needs.
    """

    name: str
    slot: str
    engine: str
    options: Mapping[str, str]
    sources: tuple[Source, ...]
    licence: str
    terms: str
    megabytes: int
    languages: tuple[str, ...]
    extra: str


ENGLISH = ("en",)
MANY = ("99 languages",)
SHERPA, WHISPER, TURN = "sherpa-onnx", "faster-whisper", "smart-turn"
TRANSCRIBER, SYNTHESISER, JUDGE = "transcriber", "synthesiser", "turn_judge"

_OPENAI = "the weights are OpenAI's: https://github.com/openai/whisper/blob/main/LICENSE"
_KOKORO = "https://huggingface.co/hexgrad/Kokoro-82M"


def _card(repository: str) -> str:
    return f"https://huggingface.co/{repository}"


def _zipformer(
    name: str, repository: str, revision: str, files: tuple[str, str, str], megabytes: int
) -> Model:
    return Model(
        name=name,
        slot=TRANSCRIBER,
        engine="sherpa",
        options={"kind": "zipformer"},
        sources=(Source(repository, revision, (*files, "tokens.txt")),),
        licence="Apache-2.0" if name == "zipformer-en" else UNSTATED,
        terms=_card(repository),
        megabytes=megabytes,
        languages=ENGLISH,
        extra=SHERPA,
    )


def _openai_whisper(size: str, revision: str, megabytes: int) -> Model:
    repository = f"csukuangfj/sherpa-onnx-whisper-{size}"
    encoder, decoder = f"{size}-encoder.int8.onnx", f"{size}-decoder.int8.onnx"
    tokens = f"{size}-tokens.txt"
    return Model(
        name=f"whisper-{size}",
        slot=TRANSCRIBER,
        engine="sherpa",
        options={"kind": "whisper"},
        sources=(Source(repository, revision, (encoder, decoder, tokens)),),
        licence="MIT",
        terms=_OPENAI,
        megabytes=megabytes,
        languages=ENGLISH,
        extra=SHERPA,
    )


def _moonshine(size: str, revision: str, megabytes: int) -> Model:
    repository = f"csukuangfj/sherpa-onnx-moonshine-{size}-en-int8"
    files = (
        "preprocess.onnx",
        "encode.int8.onnx",
        "uncached_decode.int8.onnx",
        "cached_decode.int8.onnx",
        "tokens.txt",
    )
    return Model(
        name=f"moonshine-{size}-en",
        slot=TRANSCRIBER,
        engine="sherpa",
        options={"kind": "moonshine"},
        sources=(Source(repository, revision, files),),
        licence="MIT",
        terms="https://huggingface.co/UsefulSensors/moonshine",
        megabytes=megabytes,
        languages=ENGLISH,
        extra=SHERPA,
    )


def _piper(name: str, voice: str, revision: str, licence: str, terms: str, megabytes: int) -> Model:
    weights = f"{voice}.onnx"
    return Model(
        name=name,
        slot=SYNTHESISER,
        engine="sherpa",
        options={"kind": "vits"},
        sources=(
            Source(
                f"csukuangfj/vits-piper-{voice}",
                revision,
                (weights, "tokens.txt", "MODEL_CARD"),
            ),
        ),
        licence=licence,
        terms=terms,
        megabytes=megabytes,
        languages=ENGLISH,
        extra=SHERPA,
    )


def _faster_whisper(size: str, revision: str, megabytes: int) -> Model:
    repository = f"Systran/faster-whisper-{size}"
    files = ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt")
    return Model(
        name=f"faster-whisper-{size}",
        slot=TRANSCRIBER,
        engine=WHISPER,
        options={},
        sources=(Source(repository, revision, files),),
        licence="MIT",
        terms=_card(repository),
        megabytes=megabytes,
        languages=MANY,
        extra=WHISPER,
    )


_PARAKEET = "csukuangfj/sherpa-onnx-nemo-parakeet-tdt-0.6b-v2-int8"
_SENSE_VOICE = "csukuangfj/sherpa-onnx-sense-voice-zh-en-ja-ko-yue-2024-07-17"
_SMART_TURN = "pipecat-ai/smart-turn-v3"
_TRANSDUCER = ("encoder.int8.onnx", "decoder.int8.onnx", "joiner.int8.onnx", "tokens.txt")

_MODELS = (
    _zipformer(
        "zipformer-en",
        "csukuangfj/sherpa-onnx-streaming-zipformer-en-2023-06-26",
        "672fbf1b30579d6585301139bb363f42a0ad4a24",
        (
            "encoder-epoch-99-avg-1-chunk-16-left-128.int8.onnx",
            "decoder-epoch-99-avg-1-chunk-16-left-128.onnx",
            "joiner-epoch-99-avg-1-chunk-16-left-128.int8.onnx",
        ),
        74,
    ),
    _zipformer(
        "zipformer-en-small",
        "csukuangfj/sherpa-onnx-streaming-zipformer-en-20M-2023-02-17",
        "d42f2d9f7ca24806fb667456a18a9f1b60f70d16",
        (
            "encoder-epoch-99-avg-1.int8.onnx",
            "decoder-epoch-99-avg-1.onnx",
            "joiner-epoch-99-avg-1.int8.onnx",
        ),
        46,
    ),
    _openai_whisper("tiny.en", "d026532c022fa99fd789d6b32446a1df7b6bfc43", 104),
    _openai_whisper("base.en", "59eea950fc76df2453efb57e6c0fd334548e8ffe", 161),
    _moonshine("tiny", "bf2b762c076d8ea61e2af0b3851c9564fb77552e", 124),
    _moonshine("base", "052b0798ad1bf046a140fdd4efcd9426530fa3f5", 287),
    Model(
        name="parakeet-tdt-0.6b-v2",
        slot=TRANSCRIBER,
        engine="sherpa",
        options={"kind": "parakeet"},
        sources=(Source(_PARAKEET, "1ab9323565ddb038682214b292f588070a538ce2", _TRANSDUCER),),
        licence="CC-BY-4.0",
        terms=_card(_PARAKEET),
        megabytes=661,
        languages=ENGLISH,
        extra=SHERPA,
    ),
    Model(
        name="sense-voice-small",
        slot=TRANSCRIBER,
        engine="sherpa",
        options={"kind": "sense-voice"},
        sources=(
            Source(
                _SENSE_VOICE,
                "2365baeacb507f821a0c8120fcee3d484dba7a07",
                ("model.int8.onnx", "tokens.txt", "LICENSE"),
            ),
        ),
        licence="FunASR",
        terms="FunASR's model licence: https://github.com/modelscope/FunASR/blob/main/MODEL_LICENSE",
        megabytes=240,
        languages=("zh", "yue", "en", "ja", "ko"),
        extra=SHERPA,
    ),
    _faster_whisper("tiny", "d90ca5fe260221311c53c58e660288d3deb8d356", 78),
    _faster_whisper("base", "ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66", 148),
    _faster_whisper("small", "536b0662742c02347bc0e980a01041f333bce120", 486),
    Model(
        name="smart-turn-v3",
        slot=JUDGE,
        engine=TURN,
        options={"file": "smart-turn-v3.2-cpu.onnx"},
        sources=(
            Source(
                _SMART_TURN,
                "f766f81d3cfdf7737ac64aad813d91bbfd56bf93",
                ("smart-turn-v3.2-cpu.onnx",),
            ),
        ),
        licence="BSD-2-Clause",
        terms=_card(_SMART_TURN),
        megabytes=9,
        languages=("23 languages",),
        extra=TURN,
    ),
    Model(
        name="kokoro-en",
        slot=SYNTHESISER,
        engine="sherpa",
        options={"kind": "kokoro"},
        sources=(
            Source(
                "csukuangfj/kokoro-en-v0_19",
                "f9b4f1588b1a85ba3ec2e5191908da7a84a1eb25",
                ("model.onnx", "voices.bin", "tokens.txt"),
            ),
        ),
        licence="Apache-2.0",
        terms=_KOKORO,
        megabytes=352,
        languages=ENGLISH,
        extra=SHERPA,
    ),
    Model(
        name="kokoro-multi",
        slot=SYNTHESISER,
        engine="sherpa",
        options={"kind": "kokoro"},
        sources=(
            Source(
                "csukuangfj/kokoro-multi-lang-v1_0",
                "f7b96bb6bef5c5da4d3aa4f4e0498fbbf62dc78b",
                (
                    "model.onnx",
                    "voices.bin",
                    "tokens.txt",
                    "lexicon-us-en.txt",
                    "lexicon-zh.txt",
                    "LICENSE",
                ),
            ),
        ),
        licence="Apache-2.0",
        terms=_KOKORO,
        megabytes=361,
        languages=("en", "zh"),
        extra=SHERPA,
    ),
    _piper(
        "piper-en-amy",
        "en_US-amy-medium",
        "79936839cc9409b1a752a45c629fe21639e1c1b2",
        UNSTATED,
        "the MODEL_CARD that comes with it says where the recordings are from",
        64,
    ),
    _piper(
        "piper-en-libritts",
        "en_US-libritts_r-medium",
        UNPINNED,
        "CC-BY-4.0",
        "that of its recordings, LibriTTS-R: https://www.openslr.org/141/",
        79,
    ),
    Model(
        name="matcha-en-ljspeech",
        slot=SYNTHESISER,
        engine="sherpa",
        options={"kind": "matcha"},
        sources=(
            Source(
                "csukuangfj/matcha-icefall-en_US-ljspeech",
                UNPINNED,
                ("model-steps-3.onnx", "tokens.txt"),
            ),
            Source(
                "k2-fsa/sherpa-onnx-models",
                UNPINNED,
                ("vocoder-models/vocos-22khz-univ.onnx",),
                above="vocoder-models/",
            ),
        ),
        licence=UNSTATED,
        terms="the recordings, LJSpeech, are in the public domain; the vocoder, Vocos, is MIT",
        megabytes=128,
        languages=ENGLISH,
        extra=SHERPA,
    ),
)

CATALOGUE: Mapping[str, Model] = {model.name: model for model in _MODELS}
