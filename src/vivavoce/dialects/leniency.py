"""What is taken although it is not the dialect's own: the rules of the protocol reference.

The numbers are those of its README, section 5. Everything here turns raw JSON into raw JSON of GA's
shape, before any field is checked; what is not recognised passes unchanged, and is refused later.
"""

import re
from collections.abc import Callable, Mapping

import msgspec

from vivavoce.core.errors import Refusal

Raw = dict[str, object]

# A string, be it unfinished, or a comma before a closing bracket. Possessive, so linear in time.
TRAILING_COMMA = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|,(?=\s*[}\]])', re.DOTALL)
# No honest event holds as many; to decode many more would take the whole server seconds.
MAX_VALUES = 250_000
CROWDED_BYTES = 256 * 1024  # a shorter frame cannot hold so many that it matters
UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)

# Preview's name of a field, and the path at which GA has it (README, section 2).
SESSION_PATHS = {
    "modalities": "output_modalities",
    "voice": "audio.output.voice",
    "speed": "audio.output.speed",
    "input_audio_format": "audio.input.format",
    "output_audio_format": "audio.output.format",
    "input_audio_transcription": "audio.input.transcription",
    "input_audio_noise_reduction": "audio.input.noise_reduction",
    "turn_detection": "audio.input.turn_detection",
    "max_response_output_tokens": "max_output_tokens",
}
RESPONSE_PATHS = {
    "modalities": "output_modalities",
    "voice": "audio.output.voice",
    "output_audio_format": "audio.output.format",
    "max_response_output_tokens": "max_output_tokens",
    "input_items": "input",
}
DETECTION = "audio.input.turn_detection"
# Those of them that a transcription session has.
TRANSCRIPTION_PATHS = {
    name: path for name, path in SESSION_PATHS.items() if path.startswith("audio.input.")
}


def parsed(frame: str | bytes, *, strict: bool) -> Raw:
    """The JSON object in *frame*; rule 12, commas before closing brackets, unless *strict*."""
    if len(frame) > CROWDED_BYTES and _separators(frame) > MAX_VALUES:
        raise invalid_event(f"The frame holds more than {MAX_VALUES} values.")
    try:
        return _object(frame)
    except UNREADABLE:
        if strict:
            raise invalid_event("The frame is not JSON.") from None
    try:
        frame = frame.encode() if isinstance(frame, str) else frame
        return _object(TRAILING_COMMA.sub(_without_comma, frame))
    except UNREADABLE:
        raise invalid_event("The frame is not JSON.") from None


def move(raw: Raw, paths: Mapping[str, str], *, over: bool) -> dict[str, str]:
    """Rule 9: bring *raw* into GA's shape; for each GA path so filled, the name that was sent.

    Where both are there, preview's field wins if *over*, else GA's.
    """
    sent = {}
    for name in [name for name in paths if name in raw]:
        *parents, last = paths[name].split(".")
        place: object = raw
        for parent in parents:
            place = place.setdefault(parent, {}) if isinstance(place, dict) else None
        if isinstance(place, dict) and (over or last not in place):
            place[last] = raw.pop(name)
            sent[paths[name]] = name
    return sent


def open_places(shape: Raw) -> None:
    """Let `audio`, `audio.input` and `audio.output` be absent where they are null.

    Clients that name all they know send them so, and nothing can be meant by it.
    """
    audio = shape.get("audio")
    if audio is None:
        shape.pop("audio", None)
    elif isinstance(audio, dict):
        shape["audio"] = {key: value for key, value in audio.items() if value is not None}


def type_detection(shape: Raw) -> None:
    """In preview a turn detection that names no type is `server_vad`."""
    _at(shape, DETECTION, _typed_detection)


def silence_detection(shape: Raw) -> None:
    """Rule 5: the type `none` is no turn detection."""
    _at(shape, DETECTION, _turn_detection)


def ease(shape: Raw) -> None:
    """Rules 5 to 8 in a session or a response of GA's shape."""
    _at(shape, "tools", _tools)
    _at(shape, "tool_choice", _tool_choice)
    _at(shape, "audio.input.format", _format)
    _at(shape, "audio.output.format", _format)
    silence_detection(shape)


def set_fields(response: Raw) -> Raw:
    """A response without its nulls, down to `audio.output`, where nothing is null.

    Clients name what they do not set: LiveKit does so with `instructions`.
    """
    return {
        key: set_fields(value) if key in ("audio", "output") and isinstance(value, dict) else value
        for key, value in response.items()
        if value is not None
    }


def written_prompt(response: Raw) -> str | None:
    """Rule 4: take a prompt that is plain text out of *response*."""
    prompt = response.get("prompt")
    if not isinstance(prompt, str):
        return None
    del response["prompt"]
    return prompt


def lifted(raw: Raw) -> Raw:
    """Rule 10: an update whose fields lie beside its `type` instead of inside `session`."""
    if "session" in raw:
        return raw
    beside = ("type", "event_id")
    event = {key: value for key, value in raw.items() if key in beside}
    return {**event, "session": {key: value for key, value in raw.items() if key not in beside}}


def respelt(item: object, spelling: str) -> object:
    """Rule 15: written text of the assistant, which one dialect calls text, the other output_text."""
    if not isinstance(item, dict) or item.get("role") != "assistant":
        return item
    content = item.get("content")
    if not isinstance(content, list):
        return item
    return {**item, "content": [_respelt_part(part, spelling) for part in content]}


def _separators(frame: str | bytes) -> int:
    """At least as many as there are values in *frame*; base64 has none."""
    if isinstance(frame, str):
        return sum(map(frame.count, ",[{"))
    return sum(map(frame.count, (b",", b"[", b"{")))


def _object(frame: str | bytes) -> Raw:
    raw = msgspec.json.decode(frame)
    if not isinstance(raw, dict):
        raise invalid_event("The frame is not a JSON object.")
    return raw


def invalid_event(message: str) -> Refusal:
    """What is no event at all."""
    return Refusal(
        f"{message} An event is an object with a 'type', one a frame.", code="invalid_event"
    )


def _without_comma(match: re.Match[bytes]) -> bytes:
    return b"" if match[0] == b"," else match[0]


def _at(shape: Raw, path: str, eased: Callable[[object], object]) -> None:
    *parents, last = path.split(".")
    place: object = shape
    for parent in parents:
        place = place.get(parent) if isinstance(place, dict) else None
    if isinstance(place, dict) and last in place:
        place[last] = eased(place[last])


def _turn_detection(value: object) -> object:
    match value:
        case {"type": "none"}:  # whatever else it says
            return None
    return value


def _typed_detection(value: object) -> object:
    return {"type": "server_vad", **value} if isinstance(value, dict) else value


def _format(value: object) -> object:
    """Rule 6: hyphens for underscores; and a format that names no type is PCM."""
    if isinstance(value, str):
        return value.replace("-", "_")
    return {"type": "audio/pcm", **value} if isinstance(value, dict) else value


def _tool_choice(value: object) -> object:
    """Rule 7: the chosen function's name, one level deeper or as the function itself."""
    match value:
        case {"type": "function", "function": {"name": name}}:
            return {"type": "function", "name": name}
        case {"type": "function", "function": str(name)}:
            return {"type": "function", "name": name}
    return value


def _tools(value: object) -> object:
    """Rule 8: functions as chat completions have them."""
    return [_tool(tool) for tool in value] if isinstance(value, list) else value


def _tool(value: object) -> object:
    match value:
        case {"type": "function", "function": {**function}}:
            return {"type": "function", **function}
    return value


def _respelt_part(part: object, spelling: str) -> object:
    match part:
        case {"type": "text" | "output_text", **rest}:
            return {"type": spelling, **rest}
    return part
