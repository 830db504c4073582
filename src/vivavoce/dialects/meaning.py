"""What the values that a client sent mean to the core; absent stays absent, and null stays null."""

import binascii
from typing import Literal

import msgspec
import pybase64
from msgspec import UNSET, UnsetType

from vivavoce.core.commands import AppendAudio
from vivavoce.core.errors import Refusal
from vivavoce.core.settings import (
    AudioFormat,
    CustomVoice,
    FunctionTool,
    Json,
    ToolChoice,
    Truncation,
)
from vivavoce.dialects import shapes
from vivavoce.dialects.refusals import Where, fitted, too_large, too_long
from vivavoce.dialects.shapes import core

MAX_AUDIO_BYTES = 15 * 1024 * 1024  # in one event
MAX_METADATA_PAIRS = 16
MAX_DESCRIPTION_CHARACTERS = 1024  # of a tool
MAX_TOOLS_BYTES = 1024 * 1024  # of JSON, all of them together
MAX_CARRIED_BYTES = 64 * 1024  # of JSON, of an object that is carried and never read


def append_audio(sent: shapes.Append) -> AppendAudio:
    """The audio of one event."""
    return AppendAudio(event_id=sent.event_id, audio=audio_bytes(sent.audio, "audio"))


def audio_bytes(base64: str, param: str) -> bytes:
    """Audio as on the wire, without its base64; a Refusal if there is too much of it."""
    if len(base64) > MAX_AUDIO_BYTES // 3 * 4:
        raise Refusal(
            f"Invalid '{param}': at most {MAX_AUDIO_BYTES} bytes (15 MiB) of audio fit one event, "
            f"but got about {len(base64) * 3 // 4}.",
            param=param,
        )
    try:
        return pybase64.b64decode(base64, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(
            f"Invalid '{param}': expected base64 with its padding and without line breaks.",
            param=param,
        ) from None


def audio_format(sent: shapes.Format | UnsetType) -> AudioFormat | UnsetType:
    """A format by its name in preview or its object in GA."""
    return shapes.FORMATS[sent] if isinstance(sent, str) else core(sent)


def voice(sent: str | shapes.CustomVoice | UnsetType) -> str | CustomVoice | UnsetType:
    """A voice by its name, or the client's own by its id."""
    return sent if isinstance(sent, str) else core(sent)


def tools(
    sent: tuple[shapes.Tool, ...] | UnsetType, where: Where
) -> tuple[FunctionTool, ...] | UnsetType:
    """The functions that the client offers."""
    if sent is UNSET:
        return UNSET
    _require_small(sent, "array", MAX_TOOLS_BYTES, where.name("tools"))
    return tuple(tool.core() for tool in sent)


def check_descriptions(sent: tuple[shapes.Tool, ...] | UnsetType, where: Where) -> None:
    """A Refusal of the first function that is described at greater length than the service reads."""
    for index, tool in enumerate(() if sent is UNSET else sent):
        length = len(tool.description or "")
        if length > MAX_DESCRIPTION_CHARACTERS:
            param = where.name(f"tools[{index}].description")
            raise too_long(param, "string", MAX_DESCRIPTION_CHARACTERS, length)


def tool_choice(sent: shapes.ToolChoice | UnsetType) -> ToolChoice | UnsetType:
    """Which of them is to be called."""
    return sent if isinstance(sent, str) else core(sent)


def max_tokens(sent: int | str | UnsetType) -> int | UnsetType | None:
    """The limit of a response's tokens; `inf` is none."""
    return None if isinstance(sent, str) else sent


def tracing(
    sent: Literal["auto"] | shapes.Tracing | UnsetType | None, where: Where
) -> Json | Literal["auto"] | UnsetType | None:
    """Carried and shown, never read."""
    if isinstance(sent, shapes.Tracing):
        _require_small(sent.metadata, "object", MAX_CARRIED_BYTES, where.name("tracing.metadata"))
    return sent if isinstance(sent, str) else core(sent)


def prompt(sent: shapes.Prompt | UnsetType | None, where: Where) -> Json | UnsetType | None:
    """Carried and shown, never read."""
    if isinstance(sent, shapes.Prompt):
        _require_small(sent.variables, "object", MAX_CARRIED_BYTES, where.name("prompt.variables"))
    return core(sent)


def truncation(
    sent: Literal["auto", "disabled"] | shapes.RetentionRatio | UnsetType,
) -> Truncation | UnsetType:
    """How a conversation that became too long is cut."""
    return sent if isinstance(sent, str) else core(sent)


def metadata(sent: shapes.Raw | None, where: Where) -> dict[str, str] | None:
    """The pairs that a response bears for its client."""
    if sent is None:
        return None
    param = where.name("metadata")
    if len(sent) > MAX_METADATA_PAIRS:
        raise too_long(param, "array", MAX_METADATA_PAIRS, len(sent))
    pairs = {}
    for key, value in sent.items():
        named = Where(param, {"key": key, "value": key})
        pair = fitted({"key": key, "value": value}, shapes.MetadataPair, named)
        pairs[pair.key] = pair.value
    return pairs


def _require_small(sent: object, what: str, most: int, param: str) -> None:
    """A Refusal of what takes more than *most* bytes of JSON."""
    length = 0 if sent is UNSET else len(msgspec.json.encode(sent))
    if length > most:
        raise too_large(param, what, most, length)
