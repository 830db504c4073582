"""Whatever a client sends is a command or a Refusal."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.core.commands import AnyCommand
from vivavoce.core.errors import Refusal
from vivavoce.dialects.api import Dialect, codec
from vivavoce.dialects.preview import PreviewReader

AUDIO = {
    "input": {
        "format": {"type": "audio/pcm", "rate": 24000},
        "transcription": {"model": "whisper-1"},
        "turn_detection": {"type": "server_vad", "threshold": 0.5},
    },
    "output": {"voice": "alloy", "speed": 1.0},
}
ITEM = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "Hi"}, {"type": "input_audio", "audio": "AAAA"}],
}
VALID: list[dict[str, Any]] = [
    {
        "type": "session.update",
        "session": {
            "type": "realtime",
            "audio": AUDIO,
            "tools": [{"type": "function", "name": "f", "parameters": {}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "max_output_tokens": "inf",
        },
    },
    {
        "type": "session.update",
        "session": {
            "modalities": ["text", "audio"],
            "voice": "echo",
            "input_audio_format": "pcm16",
            "turn_detection": {"type": "semantic_vad"},
            "tools": [{"type": "function", "function": {"name": "f"}}],
        },
    },
    {"type": "transcription_session.update", "session": {"input_audio_format": "pcm16"}},
    {
        "type": "session.update",
        "session": {"type": "transcription", "audio": {"input": AUDIO["input"]}},
    },
    {"type": "input_audio_buffer.append", "audio": "AAAA"},
    {"type": "conversation.item.create", "item": ITEM, "previous_item_id": None},
    {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 1},
    {
        "type": "response.create",
        "response": {
            "input": [ITEM, {"type": "item_reference", "id": "i"}],
            "metadata": {"topic": "x"},
            "prompt": "text",
            "append_input_items": [ITEM],
            "max_output_tokens": 10.0,
            "modalities": ["text"],
        },
    },
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
DIALECTS = st.sampled_from(get_args(Dialect))


def taken(dialect: Dialect, strict: bool, frame: str | bytes) -> None:
    """Decode, and raise if anything else than the two comes of it."""
    outcome: AnyCommand | Refusal
    try:
        outcome = codec(dialect, strict=strict).decode(frame)
    except Refusal as refusal:
        outcome = refusal
    assert isinstance(outcome, (*get_args(AnyCommand), Refusal))


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values in there."""
    below = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [at, *(path for key, inner in below for path in places(inner, (*at, key)))]


def replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    """A copy with another value at that path."""
    if not path:
        return by
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], by)
    return copy


@settings(deadline=None)
@given(DIALECTS, st.booleans(), st.binary() | st.text())
def test_any_frame_is_taken_or_refused(dialect: Dialect, strict: bool, frame: str | bytes) -> None:
    taken(dialect, strict, frame)


@settings(deadline=None)
@given(DIALECTS, st.booleans(), JSON)
def test_any_json_is_taken_or_refused(dialect: Dialect, strict: bool, value: Any) -> None:
    taken(dialect, strict, json.dumps(value))


@settings(deadline=None)
@given(DIALECTS, st.booleans(), st.sampled_from(PreviewReader.client_events), JSON, JSON)
def test_any_fields_of_an_event_are_taken_or_refused(
    dialect: Dialect, strict: bool, kind: str, first: Any, second: Any
) -> None:
    keys = ("session", "item", "response", "audio", "item_id", "event_id", "response_id")
    fields = {key: value for key in keys for value in (first, second)}

    taken(dialect, strict, json.dumps({"type": kind, **fields}))


@settings(deadline=None)
@given(DIALECTS, st.booleans(), st.sampled_from(VALID), JSON, st.data())
def test_any_change_to_a_good_event_is_taken_or_refused(
    dialect: Dialect, strict: bool, event: dict[str, Any], by: Any, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(places(event)))

    taken(dialect, strict, json.dumps(replaced(event, path, by)))


@settings(deadline=None)
@given(DIALECTS, st.sampled_from(VALID), st.data())
def test_any_piece_of_a_good_frame_is_taken_or_refused(
    dialect: Dialect, event: dict[str, Any], data: st.DataObject
) -> None:
    frame = json.dumps(event)
    start = data.draw(st.integers(0, len(frame)))
    end = data.draw(st.integers(start, len(frame)))

    taken(dialect, False, frame[:start] + frame[end:])


@pytest.mark.parametrize("event", VALID, ids=lambda event: event["type"])
@pytest.mark.parametrize("dialect", get_args(Dialect))
def test_the_good_events_are_good(dialect: Dialect, event: dict[str, Any]) -> None:
    assert codec(dialect).decode(json.dumps(event))


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("strict", [False, True])
def test_a_frame_of_more_values_than_anybody_needs_is_not_even_decoded(
    strict: bool, binary: bool
) -> None:
    text = '{"type":"response.create","response":{"metadata":[' + "[]," * 250_001 + "[]]}}"
    with pytest.raises(Refusal, match="more than 250000 values") as refused:
        codec("ga", strict=strict).decode(text.encode() if binary else text)
    assert refused.value.code == "invalid_event"


def test_a_text_of_more_than_a_mebibyte_is_refused_by_name() -> None:
    part = {"type": "input_text", "text": "x" * ((1 << 20) + 1)}
    item = {"type": "message", "role": "user", "content": [part]}
    with pytest.raises(Refusal) as refused:
        codec("ga").decode(json.dumps({"type": "conversation.item.create", "item": item}))
    assert refused.value.code == "string_above_max_length"
    assert refused.value.param == "item.content[0].text"
