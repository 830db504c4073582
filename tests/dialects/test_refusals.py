"""What is refused, with which code, at which path: client-events, section 4."""

import base64
import json

import pytest
from dialect_wire import refused, refused_item, refused_response, refused_update, updated

from vivavoce.core.errors import Refusal
from vivavoce.dialects.api import Dialect, codec
from vivavoce.dialects.ga_reading import CLIENT_EVENTS
from vivavoce.dialects.meaning import MAX_CARRIED_BYTES, MAX_TOOLS_BYTES

BOTH = pytest.mark.parametrize("dialect", ["ga", "preview"])


def told(refusal: Refusal) -> tuple[str | None, str | None]:
    """What a program reads of it."""
    return refusal.code, refusal.param


@BOTH
@pytest.mark.parametrize(
    "frame",
    [
        "",
        "hello",
        "[]",
        "3",
        "null",
        '"response.create"',
        "{}",
        '{"type": null}',
        b"\xff\xfe\x00",
        b'{"type": "\xff"}',
        '{"type": "\ud800"}',
        "[" * 100_000,
        '{"a":' * 100_000,
        '"' + '\\"' * 100_000,  # would take minutes if each quote began a search for the last one
    ],
)
def test_what_is_no_event_is_an_invalid_event(dialect: Dialect, frame: str | bytes) -> None:
    with pytest.raises(Refusal) as caught:
        codec(dialect).decode(frame)

    assert told(caught.value) == ("invalid_event", None)


@BOTH
@pytest.mark.parametrize("kind", ["response.erase", ""])
def test_an_unknown_type_is_answered_with_those_that_are_known(
    dialect: Dialect, kind: object
) -> None:
    refusal = refused(dialect, {"type": kind, "event_id": "e"})

    assert told(refusal) == ("invalid_value", "type")
    assert refusal.event_id == "e"
    assert refusal.message.startswith(f"Invalid value: '{kind}'. Supported values are: '")
    assert all(f"'{name}'" in refusal.message for name in CLIENT_EVENTS)


@BOTH
@pytest.mark.parametrize("kind", [3, ["response.create"], {}, True])
def test_a_type_that_is_no_text_is_of_the_wrong_type(dialect: Dialect, kind: object) -> None:
    refusal = refused(dialect, {"type": kind, "event_id": "e"})

    assert told(refusal) == ("invalid_type", "type")
    assert refusal.event_id == "e"


def test_only_preview_lists_the_update_of_transcription_sessions() -> None:
    listed = "'transcription_session.update'"

    assert listed in refused("preview", {"type": "x"}).message
    assert listed not in refused("ga", {"type": "x"}).message


def test_a_long_value_is_not_repeated_at_length() -> None:
    assert len(refused("ga", {"type": "x" * 10_000}).message) < 600


@BOTH
@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
        ({"type": "input_audio_buffer.append", "audio": 3}, "invalid_type", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "A"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "AA\n=="}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "ÄÄ=="}, "invalid_value", "audio"),
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        ({"type": "session.update", "session": 3}, "invalid_type", "session"),
        ({"type": "conversation.item.create"}, "missing_required_parameter", "item"),
        (
            {"type": "conversation.item.create", "item": {}, "previous_item_id": 3},
            "invalid_type",
            "previous_item_id",
        ),
        ({"type": "conversation.item.retrieve"}, "missing_required_parameter", "item_id"),
        ({"type": "conversation.item.delete", "item_id": None}, "invalid_type", "item_id"),
        (
            {"type": "conversation.item.delete", "item_id": "i" * 513},
            "string_above_max_length",
            "item_id",
        ),
        (
            {
                "type": "conversation.item.truncate",
                "item_id": "i",
                "content_index": 0,
                "audio_end_ms": -1,
            },
            "integer_below_min_value",
            "audio_end_ms",
        ),
        (
            {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0},
            "missing_required_parameter",
            "audio_end_ms",
        ),
        ({"type": "response.create", "response": []}, "invalid_type", "response"),
        ({"type": "response.cancel", "response_id": 3}, "invalid_type", "response_id"),
    ],
)
def test_a_fault_of_an_event_names_its_field(
    dialect: Dialect, event: dict[str, object], code: str, param: str
) -> None:
    refusal = refused(dialect, {**event, "event_id": "mine"})

    assert told(refusal) == (code, param)
    assert refusal.event_id == "mine"


@BOTH
def test_an_event_id_has_at_most_512_characters(dialect: Dialect) -> None:
    fitting, long = "e" * 512, "e" * 513

    assert codec(dialect).decode(json.dumps({"type": "response.create", "event_id": fitting}))
    refusal = refused(dialect, {"type": "response.create", "event_id": long})
    assert told(refusal) == ("string_above_max_length", "event_id")
    assert refusal.message == (
        "Invalid 'event_id': string too long. Expected at most 512 characters, but got 513 instead."
    )


@BOTH
def test_an_event_id_that_is_too_long_is_not_said_back(dialect: Dialect) -> None:
    assert refused(dialect, {"type": "response.create", "event_id": "e" * 513}).event_id is None
    assert refused(dialect, {"type": "x", "event_id": "e" * 512}).event_id == "e" * 512


@BOTH
def test_an_event_id_that_is_no_text_cannot_be_echoed(dialect: Dialect) -> None:
    refusal = refused(dialect, {"type": "response.create", "event_id": 3})

    assert told(refusal) == ("invalid_type", "event_id")
    assert refusal.event_id is None


@BOTH
def test_more_than_fifteen_mebibytes_of_audio_are_refused_with_the_limit(dialect: Dialect) -> None:
    audio = base64.b64encode(bytes(15 * 1024 * 1024 + 1)).decode()

    refusal = refused(
        dialect, {"type": "input_audio_buffer.append", "event_id": "a", "audio": audio}
    )

    assert told(refusal) == ("invalid_value", "audio")
    assert "15728640 bytes" in refusal.message
    assert refusal.event_id == "a"


VAD = {"type": "server_vad"}


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"output_modalities": "audio"}, "invalid_type", "output_modalities"),
        ({"output_modalities": ["video"]}, "invalid_value", "output_modalities[0]"),
        ({"instructions": None}, "invalid_type", "instructions"),
        ({"type": "dictation"}, "invalid_value", "type"),
        ({"tools": [{"name": "f"}] * 129}, "array_above_max_length", "tools"),
        ({"tools": [{"name": "a b"}]}, "invalid_value", "tools[0].name"),
        ({"tools": [{"name": "a" * 65}]}, "invalid_value", "tools[0].name"),
        ({"tools": [{"name": "a"}, {}]}, "missing_required_parameter", "tools[1].name"),
        ({"tools": [{"name": "a", "parameters": "{}"}]}, "invalid_type", "tools[0].parameters"),
        ({"tools": [{"type": "mcp", "server_label": "s"}]}, "invalid_value", "tools[0].type"),
        ({"tool_choice": "never"}, "invalid_value", "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "missing_required_parameter", "tool_choice.name"),
        (
            {"tool_choice": {"type": "mcp", "server_label": "s"}},
            "invalid_value",
            "tool_choice.type",
        ),
        ({"max_output_tokens": 0}, "integer_below_min_value", "max_output_tokens"),
        ({"max_output_tokens": 4097}, "integer_above_max_value", "max_output_tokens"),
        ({"max_output_tokens": 10**40}, "integer_above_max_value", "max_output_tokens"),
        ({"max_output_tokens": 1.5}, "invalid_type", "max_output_tokens"),
        ({"max_output_tokens": "all"}, "invalid_value", "max_output_tokens"),
        ({"tracing": "always"}, "invalid_value", "tracing"),
        ({"truncation": "some"}, "invalid_value", "truncation"),
        (
            {"truncation": {"type": "retention_ratio", "retention_ratio": 2}},
            "decimal_above_max_value",
            "truncation.retention_ratio",
        ),
        ({"prompt": {}}, "missing_required_parameter", "prompt.id"),
        ({"include": ["everything"]}, "invalid_value", "include[0]"),
        ({"reasoning": {"effort": "huge"}}, "invalid_value", "reasoning.effort"),
        ({"audio": 3}, "invalid_type", "audio"),
        (
            {"audio": {"input": {"transcription": {"languages": "de"}}}},
            "invalid_type",
            "audio.input.transcription.languages",
        ),
        (
            {"audio": {"input": {"transcription": {"keywords": [3]}}}},
            "invalid_type",
            "audio.input.transcription.keywords[0]",
        ),
        (
            {"audio": {"input": {"transcription": {"delay": "long"}}}},
            "invalid_value",
            "audio.input.transcription.delay",
        ),
        (
            {"audio": {"input": {"noise_reduction": {"type": "near_field", "strength": "a"}}}},
            "invalid_type",
            "audio.input.noise_reduction.strength",
        ),
        (
            {
                "truncation": {
                    "type": "retention_ratio",
                    "retention_ratio": 0.5,
                    "token_limits": {"post_instructions": 28673},
                }
            },
            "integer_above_max_value",
            "truncation.token_limits.post_instructions",
        ),
        ({"audio": {"input": {"format": "mp3"}}}, "invalid_value", "audio.input.format"),
        (
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            "invalid_value",
            "audio.input.format.rate",
        ),
        (
            {"audio": {"output": {"format": {"type": "audio/opus"}}}},
            "invalid_value",
            "audio.output.format.type",
        ),
        ({"audio": {"output": {"voice": 3}}}, "invalid_type", "audio.output.voice"),
        ({"audio": {"output": {"speed": 0.2}}}, "decimal_below_min_value", "audio.output.speed"),
        ({"audio": {"output": {"speed": 1.6}}}, "decimal_above_max_value", "audio.output.speed"),
        (
            {"audio": {"input": {"noise_reduction": {"type": "far"}}}},
            "invalid_value",
            "audio.input.noise_reduction.type",
        ),
        (
            {"audio": {"input": {"turn_detection": {}}}},
            "missing_required_parameter",
            "audio.input.turn_detection.type",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "psychic"}}}},
            "invalid_value",
            "audio.input.turn_detection.type",
        ),
    ],
)
def test_a_fault_of_a_ga_session_names_its_field(
    session: dict[str, object], code: str, param: str
) -> None:
    refusal = refused("ga", {"type": "session.update", "session": session})

    assert told(refusal) == (code, f"session.{param}")


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("threshold", -0.1, "decimal_below_min_value"),
        ("threshold", 1.1, "decimal_above_max_value"),
        ("threshold", "0.5", "invalid_type"),
        ("prefix_padding_ms", -1, "integer_below_min_value"),
        ("prefix_padding_ms", 5001, "integer_above_max_value"),
        ("silence_duration_ms", -1, "integer_below_min_value"),
        ("silence_duration_ms", 10001, "integer_above_max_value"),
        ("silence_duration_ms", 200.5, "invalid_type"),
        ("create_response", 1, "invalid_type"),
        ("interrupt_response", None, "invalid_type"),
    ],
)
def test_the_ranges_of_turn_detection_are_named_in_the_dialects_own_path(
    key: str, value: object, code: str
) -> None:
    detection = {"type": "server_vad", key: value}

    in_ga = refused_update("ga", audio={"input": {"turn_detection": detection}})
    in_preview = refused_update("preview", turn_detection=detection)

    assert told(in_ga) == (code, f"session.audio.input.turn_detection.{key}")
    assert told(in_preview) == (code, f"session.turn_detection.{key}")
    assert f"'session.turn_detection.{key}'" in in_preview.message


@pytest.mark.parametrize("ms", [4999, 30001])
def test_an_idle_timeout_lasts_five_to_thirty_seconds(ms: int) -> None:
    detection = {"type": "server_vad", "idle_timeout_ms": ms}

    refusal = refused_update("ga", audio={"input": {"turn_detection": detection}})

    assert refusal.param == "session.audio.input.turn_detection.idle_timeout_ms"


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"temperature": 0.5}, "decimal_below_min_value", "temperature"),
        ({"temperature": 1.3}, "decimal_above_max_value", "temperature"),
        ({"modalities": ["video"]}, "invalid_value", "modalities[0]"),
        ({"max_response_output_tokens": 5000}, "integer_above_max_value", None),
        ({"input_audio_format": "mp3"}, "invalid_value", "input_audio_format"),
        ({"input_audio_transcription": "whisper-1"}, "invalid_type", "input_audio_transcription"),
        ({"turn_detection": {"type": "psychic"}}, "invalid_value", "turn_detection.type"),
        ({"turn_detection": "server_vad"}, "invalid_type", "turn_detection"),
        ({"tools": [{"type": "function"}]}, "missing_required_parameter", "tools[0].name"),
        ({"voice": None}, "invalid_type", "voice"),
    ],
)
def test_a_fault_of_a_preview_session_names_its_field(
    session: dict[str, object], code: str, param: str | None
) -> None:
    refusal = refused("preview", {"type": "session.update", "session": session})

    assert told(refusal) == (code, f"session.{param or next(iter(session))}")


TEXT = {"type": "input_text", "text": "Hi"}


@BOTH
@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        ({}, "missing_required_parameter", "type"),
        ({"type": "mcp_call"}, "invalid_value", "type"),
        ({"type": "mcp_approval_response", "approve": True}, "invalid_value", "type"),
        ({"type": "item_reference", "id": "i"}, "invalid_value", "type"),
        ({"type": "message", "content": []}, "missing_required_parameter", "role"),
        ({"role": "tool", "content": []}, "invalid_value", "role"),
        ({"role": "user"}, "missing_required_parameter", "content"),
        ({"role": "user", "content": "Hi"}, "invalid_type", "content"),
        ({"role": "user", "content": ["Hi"]}, "invalid_type", "content[0]"),
        (
            {"role": "user", "content": [{"type": "input_text"}]},
            "missing_required_parameter",
            "content[0].text",
        ),
        (
            {"role": "user", "content": [TEXT, {"text": "Hi"}]},
            "missing_required_parameter",
            "content[1].type",
        ),
        (
            {"role": "user", "content": [{"type": "input_audio", "audio": "!"}]},
            "invalid_value",
            "content[0].audio",
        ),
        (
            {"role": "assistant", "content": [{"type": "text"}]},
            "missing_required_parameter",
            "content[0].text",
        ),
        ({"role": "assistant", "content": [TEXT]}, "invalid_value", "content[0].type"),
        (
            {"role": "assistant", "content": [{"type": "output_audio", "transcript": "x"}]},
            "invalid_value",
            "content[0].type",
        ),
        (
            {"role": "assistant", "content": [{"type": "audio", "audio": "AA=="}]},
            "invalid_value",
            "content[0].type",
        ),
        (
            {"role": "system", "content": [{"type": "input_audio", "audio": "AA=="}]},
            "invalid_value",
            "content[0].type",
        ),
        ({"role": "user", "content": [], "id": "i" * 513}, "string_above_max_length", "id"),
        ({"type": "function_call", "arguments": ""}, "missing_required_parameter", "name"),
        (
            {"type": "function_call", "name": "f", "arguments": "", "call_id": "a b"},
            "invalid_value",
            "call_id",
        ),
        ({"type": "function_call_output", "output": "x"}, "missing_required_parameter", "call_id"),
        (
            {"type": "function_call_output", "call_id": "c", "output": {"x": 1}},
            "invalid_type",
            "output",
        ),
    ],
)
def test_a_fault_of_an_item_names_its_field_wherever_the_item_stands(
    dialect: Dialect, item: dict[str, object], code: str, param: str
) -> None:
    assert told(refused_item(dialect, **item)) == (code, f"item.{param}")  # type: ignore[arg-type]
    if item.get("type") != "item_reference":
        listed = refused_response(dialect, input=[{"type": "item_reference", "id": "x"}, item])
        assert told(listed) == (code, f"response.input[1].{param}")


def test_a_call_has_arguments_in_ga() -> None:
    refusal = refused_item("ga", type="function_call", name="f")

    assert told(refusal) == ("missing_required_parameter", "item.arguments")


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"modalities": "text"}, "invalid_type", "modalities"),
        ({"client_secret": "ek"}, "invalid_type", "client_secret"),
        (
            {"client_secret": {"expires_at": {"seconds": 9}}},
            "integer_below_min_value",
            "client_secret.expires_at.seconds",
        ),
        ({"include": ["all"]}, "invalid_value", "include[0]"),
    ],
)
def test_a_fault_of_a_transcription_session_names_its_field(
    session: dict[str, object], code: str, param: str
) -> None:
    refusal = refused("preview", {"type": "transcription_session.update", "session": session})

    assert told(refusal) == (code, f"session.{param}")


def test_the_types_of_content_are_those_of_the_role_and_the_dialect() -> None:
    wrong = [{"type": "audio"}]

    def said(dialect: Dialect, role: str) -> str:
        return refused_item(dialect, role=role, content=wrong).message.split("are: ")[1]

    assert said("ga", "system") == "'input_text'."
    assert said("ga", "user") == "'input_text', 'input_audio', 'input_image'."
    assert said("ga", "assistant") == "'output_text'."
    assert said("preview", "user") == "'input_text', 'input_audio'."
    assert said("preview", "assistant") == "'text'."


@pytest.mark.parametrize("url", ["https://a.example/b.png", "data:image/gif;base64,R0lGODlh"])
def test_a_picture_is_a_data_uri_of_png_or_jpeg(url: str) -> None:
    content = [{"type": "input_image", "image_url": url}]

    assert refused_item("ga", role="user", content=content).param == "item.content[0].image_url"


@BOTH
@pytest.mark.parametrize(
    ("response", "code", "param"),
    [
        ({"conversation": "other"}, "invalid_value", "conversation"),
        ({"metadata": {str(n): "" for n in range(17)}}, "array_above_max_length", "metadata"),
        ({"metadata": {"topic": 3}}, "invalid_type", "metadata.topic"),
        ({"metadata": {"topic": "x" * 513}}, "string_above_max_length", "metadata.topic"),
        ({"metadata": {"k" * 65: "x"}}, "string_above_max_length", f"metadata.{'k' * 65}"),
        ({"input": "Hi"}, "invalid_type", "input"),
        ({"input": ["Hi"]}, "invalid_type", "input[0]"),
        ({"input": [{"type": "item_reference"}]}, "missing_required_parameter", "input[0].id"),
        ({"tools": [{"type": "mcp"}]}, "invalid_value", "tools[0].type"),
        ({"voice": 3}, "invalid_type", "voice"),
        ({"instructions": 3}, "invalid_type", "instructions"),
    ],
)
def test_a_fault_of_a_response_names_its_field(
    dialect: Dialect, response: dict[str, object], code: str, param: str
) -> None:
    refusal = refused(dialect, {"type": "response.create", "response": response, "event_id": "r"})

    assert told(refusal) == (code, f"response.{param}")
    assert refusal.event_id == "r"


@pytest.mark.parametrize(
    ("session", "message"),
    [
        ({"tools": [{}]}, "Missing required parameter: 'session.tools[0].name'."),
        (
            {"tools": 3},
            "Invalid type for 'session.tools': expected an array, but got an integer instead.",
        ),
        (
            {"voice": None},
            "Invalid type for 'session.voice': expected a string or an object, but got null instead.",
        ),
        (
            {"tool_choice": "x"},
            "Invalid value: 'x'. Supported values are: 'auto', 'none', 'required'.",
        ),
        (
            {"max_output_tokens": "x"},
            "Invalid value: 'x'. Supported values are: integers from 1 to 4096, 'inf'.",
        ),
        (
            {"speed": 0.2},
            "Invalid 'session.speed': decimal below minimum value. Expected a value >= 0.25, but got 0.2 instead.",
        ),
        (
            {"tools": [{"name": "é"}]},
            "Invalid value: 'é'. Expected a string that matches '^[a-zA-Z0-9_-]{1,64}$'.",
        ),
    ],
)
def test_a_message_says_what_would_be_right(session: dict[str, object], message: str) -> None:
    assert refused("ga", {"type": "session.update", "session": session}).message == message


HEARD = "audio.input.transcription"
TOO_LONG = "string_above_max_length"


def session_with(path: str, value: object) -> dict[str, object]:
    """A session in which only *path* is set."""
    first, *rest = path.split(".")
    return {first: session_with(".".join(rest), value) if rest else value}


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("instructions", 1 << 20),
        (f"{HEARD}.prompt", 16384),
        (f"{HEARD}.language", 64),
        (f"{HEARD}.model", 256),
        ("audio.output.voice", 256),
        ("audio.output.voice.id", 256),
        ("prompt.id", 256),
        ("tracing.workflow_name", 256),
        ("tracing.group_id", 256),
    ],
)
def test_a_text_that_a_session_carries_has_a_greatest_length(path: str, most: int) -> None:
    updated("ga", strict=False, **session_with(path, "x" * most))

    refusal = refused_update("ga", strict=False, **session_with(path, "x" * (most + 1)))

    assert told(refusal) == (TOO_LONG, f"session.{path}")
    assert f"at most {most} characters" in refusal.message


def test_a_text_beyond_its_length_is_named_as_preview_has_it() -> None:
    heard = {"model": "whisper-1", "prompt": "x" * 16385}

    refusal = refused_update("preview", input_audio_transcription=heard)

    assert told(refusal) == (TOO_LONG, "session.input_audio_transcription.prompt")


def test_the_same_may_not_be_included_over_and_over() -> None:
    logprobs = "item.input_audio_transcription.logprobs"

    refusal = refused_update("ga", include=[logprobs] * 17)

    assert told(refusal) == ("array_above_max_length", "session.include")


@pytest.mark.parametrize("path", ["prompt.variables", "tracing.metadata"])
def test_an_object_that_a_session_carries_has_a_greatest_size(path: str) -> None:
    def session(size: int) -> dict[str, object]:
        value = {"a": "x" * (size - len('{"a":""}'))}
        first, second = path.split(".")
        return {first: {"id": "p", second: value}}

    updated("ga", strict=False, **session(MAX_CARRIED_BYTES))

    refusal = refused_update("ga", strict=False, **session(MAX_CARRIED_BYTES + 1))
    assert told(refusal) == ("object_above_max_length", f"session.{path}")
    assert refusal.message == (
        f"Invalid 'session.{path}': object too long. "
        "Expected at most 65536 bytes of JSON, but got 65537 instead."
    )


@BOTH
def test_all_functions_together_have_a_greatest_size(dialect: Dialect) -> None:
    def tools(size: int) -> list[dict[str, object]]:
        half = {"a": "x" * (size // 2)}
        return [{"type": "function", "name": name, "parameters": half} for name in "fg"]

    updated(dialect, tools=tools(MAX_TOOLS_BYTES - 200))

    for refusal, root in (
        (refused_update(dialect, tools=tools(MAX_TOOLS_BYTES)), "session"),
        (refused_response(dialect, tools=tools(MAX_TOOLS_BYTES)), "response"),
    ):
        assert told(refusal) == ("array_above_max_length", f"{root}.tools")


def test_what_can_barely_be_read_and_not_be_written_again_is_refused() -> None:
    def code(depth: int) -> str | None:
        nested = '{"a":' * depth + "1" + "}" * depth
        session = f'{{"prompt":{{"id":"p","variables":{nested}}}}}'
        try:
            codec("ga").decode(f'{{"type":"session.update","session":{session}}}')
        except Refusal as refusal:
            return refusal.code
        return None

    assert {code(depth) for depth in range(700, 1000)} <= {None, "invalid_event"}


def test_a_key_of_any_length_is_not_repeated_at_length() -> None:
    unknown = refused_update("ga", strict=True, type="realtime", **{"k" * 10_000: 1})
    long = refused_response("ga", metadata={"k" * 10_000: "v"})

    assert len(unknown.message) < 300
    assert len(unknown.param or "") == 200
    assert len(long.message) < 400
