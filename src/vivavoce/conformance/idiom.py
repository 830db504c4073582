"""What a case asks for, in the words of either dialect.

Cases are written once, by the names here; where a setting lies and how its value is spelt is the
dialect's. The tables are the protocol reference's, not our codecs', so that they check each other.
"""

from typing import Any, Literal, NamedTuple

from vivavoce.conformance.catalogue import DialectName
from vivavoce.conformance.laws import GA_NAMES

Json = dict[str, Any]  # an event, or a part of one, as it is on the wire
Kind = Literal["session", "response"]


class Place(NamedTuple):
    """The path of one setting in each dialect."""

    ga: str
    preview: str


SETTINGS = {
    "instructions": Place("instructions", "instructions"),
    "modality": Place("output_modalities", "modalities"),
    "voice": Place("audio.output.voice", "voice"),
    "speed": Place("audio.output.speed", "speed"),
    "input_format": Place("audio.input.format", "input_audio_format"),
    "output_format": Place("audio.output.format", "output_audio_format"),
    "transcription": Place("audio.input.transcription", "input_audio_transcription"),
    "noise_reduction": Place("audio.input.noise_reduction", "input_audio_noise_reduction"),
    "turn_detection": Place("audio.input.turn_detection", "turn_detection"),
    "tools": Place("tools", "tools"),
    "tool_choice": Place("tool_choice", "tool_choice"),
    "max_tokens": Place("max_output_tokens", "max_response_output_tokens"),
    "temperature": Place("temperature", "temperature"),
    "truncation": Place("truncation", "truncation"),
    "tracing": Place("tracing", "tracing"),
    "conversation": Place("conversation", "conversation"),
    "metadata": Place("metadata", "metadata"),
    "input": Place("input", "input"),
}
FORMATS: dict[str, dict[DialectName, object]] = {
    "pcm": {"ga": {"type": "audio/pcm", "rate": 24000}, "preview": "pcm16"},
    "pcmu": {"ga": {"type": "audio/pcmu"}, "preview": "g711_ulaw"},
    "pcma": {"ga": {"type": "audio/pcma"}, "preview": "g711_alaw"},
}
MODALITIES: dict[str, dict[DialectName, list[str]]] = {
    "text": {"ga": ["text"], "preview": ["text"]},
    "audio": {"ga": ["audio"], "preview": ["audio", "text"]},
}
PREVIEW_NAMES = {ga: name for name, ga in GA_NAMES.items() if "session" not in name}


def kind_of(event: Json) -> str:
    """The type of a server event, by its name in GA."""
    kind = str(event.get("type"))
    return GA_NAMES.get(kind, kind)


def own_name(dialect: DialectName, kind: str) -> str:
    """The dialect's own name for GA's *kind*."""
    return PREVIEW_NAMES.get(kind, kind) if dialect == "preview" else kind


def spelt(dialect: DialectName, **settings: object) -> Json:
    """Those settings of a session or a response, as the dialect writes them."""
    whole: Json = {}
    for name, value in settings.items():
        *parents, last = getattr(SETTINGS[name], dialect).split(".")
        place = whole
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = _value(dialect, name, value)
    return whole


def setting(dialect: DialectName, whole: Json, name: str) -> Any:  # whatever the server put there
    """One setting of a session or a response, as it was sent; None where there is none."""
    value: Any = whole
    for step in getattr(SETTINGS[name], dialect).split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def path_of(dialect: DialectName, kind: Kind, name: str) -> str:
    """By which path an error names that setting."""
    return f"{kind}.{getattr(SETTINGS[name], dialect)}"


def shows(told: object, asked: object) -> bool:
    """Whether what the server tells has all that was asked for; it may tell more."""
    if isinstance(asked, dict) and isinstance(told, dict):
        return all(key in told and shows(told[key], value) for key, value in asked.items())
    if isinstance(asked, list) and isinstance(told, list):
        return len(told) == len(asked) and all(map(shows, told, asked))
    return told == asked


def text_item(text: str, **keys: object) -> Json:
    """A message that the user wrote."""
    return message("user", {"type": "input_text", "text": text}, **keys)


def message(role: str, *content: Json, **keys: object) -> Json:
    """A message."""
    return {"type": "message", "role": role, "content": list(content), **keys}


def _value(dialect: DialectName, name: str, value: object) -> object:
    if name.endswith("_format"):
        return FORMATS[str(value)][dialect]
    return MODALITIES[str(value)][dialect] if name == "modality" else value
