"""What a folder of model files is to sherpa-onnx: which kind of model, and which file plays what part.

The kind is told by the names of the files and by what the exporter wrote into the ONNX metadata, so
a recipe only has to name the folder. Where a model lies in two precisions, the smaller is taken on a
processor and the full one elsewhere.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Literal, get_args

from msgspec import Struct

from vivavoce.engines.api import EngineFailure

Provider = Literal["cpu", "cuda"]
RecogniserKind = Literal[
    "zipformer",
    "streaming-ctc",
    "streaming-nemo-ctc",
    "streaming-paraformer",
    "whisper",
    "moonshine",
    "moonshine-v2",
    "parakeet",
    "transducer",
    "nemo-ctc",
    "zipformer-ctc",
    "sense-voice",
    "paraformer",
]
VoiceKind = Literal["vits", "kokoro", "matcha"]
RECOGNISER_KINDS: tuple[RecogniserKind, ...] = get_args(RecogniserKind)
VOICE_KINDS: tuple[VoiceKind, ...] = get_args(VoiceKind)

# For each kind: what makes it in the package, and the files it takes by parameter.
_TRANSDUCER = {"encoder": "*encoder*.onnx", "decoder": "*decoder*.onnx", "joiner": "*joiner*.onnx"}
_PAIR = {"encoder": "*encoder*.onnx", "decoder": "*decoder*.onnx"}
_SINGLE = {"model": "*.onnx"}
_MAKERS: dict[RecogniserKind, tuple[str, str, Mapping[str, str]]] = {
    "zipformer": ("OnlineRecognizer", "from_transducer", _TRANSDUCER),
    "streaming-ctc": ("OnlineRecognizer", "from_zipformer2_ctc", _SINGLE),
    "streaming-nemo-ctc": ("OnlineRecognizer", "from_nemo_ctc", _SINGLE),
    "streaming-paraformer": ("OnlineRecognizer", "from_paraformer", _PAIR),
    "whisper": ("OfflineRecognizer", "from_whisper", _PAIR),
    "moonshine": (
        "OfflineRecognizer",
        "from_moonshine",
        {
            "preprocessor": "*preprocess*.onnx",
            "encoder": "encode*.onnx",
            "uncached_decoder": "*uncached_decode*.onnx",
            "cached_decoder": "cached_decode*.onnx",
        },
    ),
    "moonshine-v2": (
        "OfflineRecognizer",
        "from_moonshine_v2",
        {"encoder": "*encoder*.ort", "decoder": "*decoder*.ort"},
    ),
    "parakeet": ("OfflineRecognizer", "from_transducer", _TRANSDUCER),
    "transducer": ("OfflineRecognizer", "from_transducer", _TRANSDUCER),
    "nemo-ctc": ("OfflineRecognizer", "from_nemo_ctc", _SINGLE),
    "zipformer-ctc": ("OfflineRecognizer", "from_zipformer_ctc", _SINGLE),
    "sense-voice": ("OfflineRecognizer", "from_sense_voice", _SINGLE),
    "paraformer": ("OfflineRecognizer", "from_paraformer", {"paraformer": "*.onnx"}),
}
_TOKENS = {"tokens": "*tokens.txt"}
_MULTILINGUAL = ("whisper", "sense-voice")  # those that are told a language


class RecogniserFiles(Struct, frozen=True):
    """A recogniser to be made: by which class and method of the package, with which arguments."""

    kind: RecogniserKind
    made_by: tuple[str, str]
    arguments: dict[str, str]

    @property
    def streaming(self) -> bool:
        """Whether it decodes while the person speaks."""
        return self.made_by[0] == "OnlineRecognizer"


class VoiceFiles(Struct, frozen=True):
    """A voice to be made: the files of its kind, and what its metadata says of it.

    *espeak_voice* is the one of eSpeak NG whose phonemes it was trained on, empty if it takes text.
    *names* are those of its speakers, where it has any.
    """

    kind: VoiceKind
    arguments: dict[str, str]
    rules: str = ""
    espeak_voice: str = ""
    names: tuple[str, ...] = ()


def recogniser_files(
    folder: Path,
    *,
    kind: RecogniserKind | Literal["auto"] = "auto",
    provider: Provider = "cpu",
    language: str | None = None,
) -> RecogniserFiles:
    """The recogniser in *folder*; `EngineFailure` says what is missing."""
    found = _recogniser_kind(folder) if kind == "auto" else kind
    maker, method, parts = _MAKERS[found]
    arguments = _pick(folder, {**parts, **_TOKENS}, found, provider)
    if found == "parakeet":
        arguments["model_type"] = "nemo_transducer"
    if found in _MULTILINGUAL:
        arguments["language"] = language or ("" if found == "whisper" else "auto")
    return RecogniserFiles(found, (maker, method), arguments)


def _recogniser_kind(folder: Path) -> RecogniserKind:
    there = _models(folder)
    if _fit(there, "*joiner*"):
        return _transducer_kind(metadata(_fit(there, "*encoder*.onnx", "*joiner*")[0]))
    if _fit(there, "*uncached_decode*"):
        return "moonshine"
    if _fit(there, "*encoder*.ort"):
        return "moonshine-v2"
    if encoders := _fit(there, "*encoder*.onnx"):
        told = metadata(encoders[0])
        return "streaming-paraformer" if "decoder_num_blocks" in told else "whisper"
    if singles := _fit(there, "*.onnx"):
        return _single_kind(folder, metadata(singles[0]))
    raise EngineFailure(
        f"{folder} holds no model that sherpa-onnx recognises speech with: no *.onnx file is there. "
        "Name the folder that was unpacked, or pull one: vivavoce models pull zipformer-en"
    )


def _transducer_kind(told: Mapping[str, str]) -> RecogniserKind:
    if "decode_chunk_len" in told or "chunk_shift" in told:
        return "zipformer"
    return "parakeet" if told.get("model_type", "").startswith("EncDec") else "transducer"


def _single_kind(folder: Path, told: Mapping[str, str]) -> RecogniserKind:
    model = told.get("model_type", "")
    if "decode_chunk_len" in told:
        return "streaming-ctc"
    if "chunk_shift" in told:
        return "streaming-nemo-ctc"
    if model.startswith("EncDec"):
        return "nemo-ctc"
    if "with_itn" in told or "lang_auto" in told:
        return "sense-voice"
    if "lfr_window_size" in told:
        return "paraformer"
    if "ctc" in model or "ctc" in folder.name:
        return "zipformer-ctc"
    raise EngineFailure(
        f"{folder} holds one model, but its metadata does not tell which kind it is; say so with "
        f"the option `kind`, one of: {', '.join(RECOGNISER_KINDS)}"
    )


def voice_files(
    folder: Path,
    *,
    kind: VoiceKind | Literal["auto"] = "auto",
    provider: Provider = "cpu",
) -> VoiceFiles:
    """The voice in *folder*; `EngineFailure` says what is missing."""
    there = _models(folder)
    vocoders = _fit(there, "*vocos*.onnx") + _fit(there, "*hifigan*.onnx")
    found = kind
    if found == "auto":
        found = "matcha" if vocoders else "kokoro" if (folder / "voices.bin").exists() else "vits"
    parts = {"model": "*.onnx", **_TOKENS}
    if found == "kokoro":
        parts["voices"] = "*voices*.bin"
    if found == "matcha":
        del parts["model"]
        parts["vocoder"] = vocoders[0].name if vocoders else "*vocos*.onnx"
        parts["acoustic_model"] = "*model*.onnx"
    arguments = _pick(folder, parts, found, provider)
    lexicons = sorted(folder.glob("lexicon*.txt"))
    if lexicons:
        arguments["lexicon"] = ",".join(map(str, lexicons))
    told = metadata(Path(arguments.get("model") or arguments["acoustic_model"]))
    _require_voice(folder, found, told)
    names = tuple(filter(None, told.get("speaker_names", "").split(",")))
    rules = ",".join(str(path) for path in sorted(folder.glob("*.fst")))
    return VoiceFiles(found, arguments, rules, _espeak_voice(told), names)


def _require_voice(folder: Path, kind: VoiceKind, told: Mapping[str, str]) -> None:
    missing = [key for key in ("sample_rate", "n_speakers") if key not in told]
    if missing:
        raise EngineFailure(
            f"{folder} holds no {kind} voice for sherpa-onnx: its model's metadata lacks "
            f"{' and '.join(missing)}. Voices as their makers publish them have to be converted "
            "first; or pull one: vivavoce models pull piper-en-amy"
        )


def _espeak_voice(told: Mapping[str, str]) -> str:
    if told.get("has_espeak", "0") == "0" or told.get("frontend") == "characters":
        return ""
    return told.get("voice") or "en-us"


def _models(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise EngineFailure(f"{folder}: there is no such folder; name one that holds a model")
    return sorted(path for path in folder.iterdir() if path.suffix in {".onnx", ".ort"})


def _fit(paths: Sequence[Path], pattern: str, but: str = "") -> list[Path]:
    return [
        path
        for path in paths
        if fnmatchcase(path.name, pattern) and not fnmatchcase(path.name, but)
    ]


def _pick(folder: Path, parts: Mapping[str, str], kind: str, provider: Provider) -> dict[str, str]:
    """The file for each part; of several, by precision and then the first by name."""
    there = sorted(folder.iterdir())
    chosen: dict[str, str] = {}
    for part, pattern in parts.items():
        # A transducer's decoder gains nothing by a smaller precision, and loses a little by it.
        small = provider == "cpu" and not (part == "decoder" and "joiner" in parts)
        fitting = sorted(_fit(there, pattern), key=lambda path: ("int8" in path.name) is not small)
        if not fitting:
            raise EngineFailure(
                f"{folder} holds no file {pattern}, which a {kind} model has for its {part}. Name "
                "the folder that was unpacked, or say another `kind`"
            )
        chosen[part] = str(fitting[0])
    return chosen


def metadata(path: Path) -> dict[str, str]:
    """What the exporter of an ONNX file wrote into it; empty for a file that is none.

    Reads the few fields of the outermost message and skips the weights.
    """
    told: dict[str, str] = {}
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            while file.tell() < size:
                number, wire = divmod(_varint(file), 8)
                if wire == 0:
                    _varint(file)
                elif wire == 2:
                    length = _varint(file)
                    if number == _METADATA:
                        key, value = _entry(file.read(length))
                        told[key] = value
                    else:
                        file.seek(length, 1)
                else:
                    return {}
    except (OSError, EOFError, UnicodeDecodeError):
        return {}
    return told


_METADATA = 14  # the number of ModelProto.metadata_props


def _varint(file: BinaryIO) -> int:
    value = shift = 0
    while byte := file.read(1):
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7
    raise EOFError


def _entry(data: bytes) -> tuple[str, str]:
    file, texts = BytesIO(data), {1: "", 2: ""}
    while file.tell() < len(data):
        number = _varint(file) // 8
        texts[number] = file.read(_varint(file)).decode()
    return texts[1], texts[2]
