"""Write the package's catalogue of wire events from the protocol reference's own.

    python scripts/generate_catalogue.py .../protocol/events.json

What is written holds the facts a validator needs and none of the reference's prose. The tables
below are amendments: what the reference says in words and its catalogue does not.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parents[1] / "src/vivavoce/conformance/catalogue.json"

Field = dict[str, Any]
Objects = dict[str, dict[str, Field]]

FACTS = (
    "required", "nullable", "emit", "const", "enum", "enum_open", "min", "max", "max_length",
    "max_bytes", "max_properties", "max_key_length", "max_value_length", "pattern", "extra",
)  # fmt: skip

# Keys the reference demands and its catalogue refuses.
ADDED: dict[str, Objects] = {
    "ga": {
        # Retrieved audio names its encoding under this key, which no published type has.
        name: {"format": {"type": "string", "extra": "documented"}}
        for name in ("content.user", "content.assistant")
    }
    | {
        # In words these are common to all items; the published types leave them out of MCP's.
        f"item.{name}": {
            "object": {"type": "string", "const": "realtime.item"},
            "status": {"type": "string", "enum": ["in_progress", "completed", "incomplete"]},
        }
        for name in ("mcp_approval_response", "mcp_list_tools", "mcp_call", "mcp_approval_request")
    },
    "preview": {},
}

# Objects which the published types leave flat although each kind has keys of its own.
# A key with "!" must be there, one with "+" is there whenever the server speaks.
KINDS_OF_BOTH = {
    "part": {"text": "type! text!", "audio": "type! transcript!"},
    "status_details": {
        "completed": "type!",
        "cancelled": "type! reason+",
        "incomplete": "type! reason+",
        "failed": "type! error+",
    },
}
KINDS: dict[str, dict[str, dict[str, str]]] = {
    "preview": KINDS_OF_BOTH
    | {
        "item": {
            "message": "id+ object+ type+ status+ role+ content+",
            "function_call": "id+ object+ type+ status+ name+ call_id+ arguments+",
            "function_call_output": "id+ object+ type+ status+ call_id+ output+",
        },
        "content": {
            "input_text": "type! text!",
            "input_audio": "type! audio transcript+",
            "text": "type! text!",
            "audio": "type! audio transcript+",
            "input_image": "type!",
            "item_reference": "type! id!",
        },
        "turn_detection": {
            "server_vad": "type+ threshold+ prefix_padding_ms+ silence_duration_ms+"
            " create_response interrupt_response",
            "semantic_vad": "type+ eagerness+ create_response interrupt_response",
            "none": "type",
        },
    },
    "ga": KINDS_OF_BOTH
    | {
        "content.user": {
            "input_text": "type! text!",
            "input_audio": "type! audio transcript+ format",
            "input_image": "type! image_url! detail",
        },
        "content.assistant": {
            "output_text": "type! text!",
            "output_audio": "type! audio transcript+ format",
        },
    },
}

# Keys this server always sends although the published types call them optional: the reference
# shows them in every object of the real services, and older sample clients read them unasked.
ALWAYS_IN_BOTH = {
    "conversation": "id object",
    "noise_reduction": "type",
    "rate_limit": "name limit remaining reset_seconds",
    "status_error": "type code message",
    "transcription": "model language prompt",
    "transcription_error": "type code message param",
    "transcription_usage.tokens": "input_token_details",
    "transcription_usage.token_details": "text_tokens audio_tokens",
    "usage": "total_tokens input_tokens output_tokens input_token_details output_token_details",
    "usage.input": "text_tokens audio_tokens cached_tokens",
    "usage.output": "text_tokens audio_tokens",
    "usage.cached": "text_tokens audio_tokens",
}
ALWAYS: dict[str, dict[str, str]] = {
    "preview": ALWAYS_IN_BOTH
    | {
        "session": "id object expires_at input_audio_noise_reduction turn_detection"
        " input_audio_format input_audio_transcription client_secret include model modalities"
        " instructions voice output_audio_format tool_choice temperature"
        " max_response_output_tokens speed tools",
        "transcription_session": "id object expires_at modalities turn_detection"
        " input_audio_format input_audio_transcription input_audio_noise_reduction include",
        "response": "conversation_id modalities voice output_audio_format temperature"
        " max_output_tokens metadata",
        "tool": "type name",
        # Absent from the service before mid 2025, sent by this server for every version.
        "conversation.item.input_audio_transcription.completed": "usage",
    },
    "ga": ALWAYS_IN_BOTH
    | {
        "session.realtime": "object id model output_modalities instructions tools tool_choice"
        " max_output_tokens tracing truncation prompt expires_at audio include",
        "session.transcription": "object id expires_at audio include",
        "session.audio": "input output",
        "session.transcription.audio": "input",
        "session.audio.input": "format transcription noise_reduction turn_detection",
        "session.audio.output": "format voice speed",
        "audio_format.pcm": "type rate",
        "audio_format.pcmu": "type",
        "audio_format.pcma": "type",
        "turn_detection.server_vad": "threshold prefix_padding_ms silence_duration_ms",
        "turn_detection.semantic_vad": "eagerness",
        "item.system": "id object status",
        "item.user": "id object status",
        "item.assistant": "id object status",
        "item.function_call": "id object status call_id",
        "item.function_call_output": "id object status",
        "item.mcp_list_tools": "id",
        "response": "max_output_tokens metadata",
        "response.audio": "output",
        "response.audio.output": "format voice",
        "tool.function": "type name",
    },
}

# A detector that is off is echoed as null, however the client turned it off.
NEVER: dict[str, dict[str, str]] = {"preview": {"turn_detection.none": "type"}, "ga": {}}


def narrowed(field: Field, kind: str, key: str) -> Field:
    """A field of a flat object as one kind of that object has it."""
    if key.rstrip("!+") == "type":
        field = {"type": "string", "const": kind}
    demand: dict[str, Field] = {"!": {"required": True}, "+": {"emit": "always"}}
    return field | demand.get(key[-1], {})


def split(kinds_of: dict[str, dict[str, str]], objects: Objects) -> dict[str, list[str]]:
    """Replace each flat object by one for each kind; return what every name stands for now."""
    stands_for = {name: [name] for name in objects}
    for name, kinds in kinds_of.items():
        flat = objects.pop(name)
        stands_for[name] = [f"{name}.{kind}" for kind in kinds]
        for kind, keys in kinds.items():
            fields = {key.rstrip("!+"): key for key in keys.split()}
            objects[f"{name}.{kind}"] = {
                field: narrowed(flat[field], kind, key) for field, key in fields.items()
            }
    return stands_for


def mark(emit: str, table: dict[str, str], fields_of: Mapping[str, dict[str, Field]]) -> None:
    """Say of the fields in *table* whether the server sends them."""
    for name, keys in table.items():
        for key in keys.split():
            fields_of[name][key] = fields_of[name][key] | {"emit": emit}


def compact(field: Field, stands_for: dict[str, list[str]]) -> Field:
    """The facts of one field, without those that say nothing."""
    facts = {"type": field["type"]}
    facts |= {key: field[key] for key in FACTS if key in field and field[key] is not False}
    of = [field["ref"]] if "ref" in field else field.get("one_of", [])
    items_of = [field["items_ref"]] if "items_ref" in field else field.get("items_one_of", [])
    if of:
        facts["of"] = [name for old in of for name in stands_for[old]]
    if items_of:
        facts["items_of"] = [name for old in items_of for name in stands_for[old]]
    elif "items" in field:
        facts["items"] = field["items"]
    if "aliases" in field:
        facts["aliases"] = sorted(field["aliases"])
    return facts


def dialect(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """One dialect: the events of both directions and the objects they are made of."""
    objects: Objects = given["objects"]
    for target, fields in ADDED[name].items():
        objects[target] |= fields
    stands_for = split(KINDS[name], objects)
    spoken = {kind: entry["fields"] for kind, entry in given["server_events"].items()}
    mark("always", ALWAYS[name], spoken | objects)
    mark("never", NEVER[name], objects)

    def compacted(fields: dict[str, Field]) -> dict[str, Field]:
        return {key: compact(field, stands_for) for key, field in fields.items()}

    def events(entries: dict[str, dict[str, Any]]) -> dict[str, Any]:
        return {
            kind: {key: entry[key] for key in ("emit", "transports") if key in entry}
            | {"fields": compacted(entry["fields"])}
            for kind, entry in entries.items()
        }

    return {
        "server": events(given["server_events"]),
        "client": events(given["client_events"]),
        "objects": {target: compacted(fields) for target, fields in objects.items()},
    }


def written(value: object, depth: int, indent: str = "") -> str:
    """JSON with a line for each event and object, so that a change of one reads as one line."""
    if depth == 0 or not isinstance(value, dict):
        return json.dumps(value, separators=(",", ":"))
    inner = indent + " "
    lines = [f"{inner}{json.dumps(k)}: {written(v, depth - 1, inner)}" for k, v in value.items()]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def catalogue(reference: str) -> str:
    """The text of the package's catalogue, made from the text of the reference's."""
    dialects = json.loads(reference)["dialects"]
    made = {name: dialect(name, given) for name, given in sorted(dialects.items())}
    return written(made, depth=3) + "\n"


if __name__ == "__main__":
    TARGET.write_text(catalogue(Path(sys.argv[1]).read_text("utf-8")), "utf-8")
