"""Every server event of both dialects, as frames."""

import json
from typing import Any, get_args

import msgspec
import pybase64
import pytest
from dialect_wire import frame, frames

from vivavoce.conformance.validator import faults
from vivavoce.core import events
from vivavoce.core.errors import Refusal
from vivavoce.core.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    Item,
    Message,
    OutputAudio,
    OutputText,
)
from vivavoce.core.settings import (
    AudioFormat,
    AudioInput,
    AudioOutput,
    CustomVoice,
    FunctionTool,
    NamedTool,
    NoiseReduction,
    RetentionRatio,
    SemanticVad,
    ServerVad,
    SessionSettings,
    Transcription,
)
from vivavoce.dialects.api import Dialect, codec
from vivavoce.testing.frames import official

BOTH = pytest.mark.parametrize("dialect", ["ga", "preview"])
EVENT = "event_CQx8Y0123456789abcdef"

SPOKEN = Message("item_a", "assistant", (OutputAudio("Hello.", "Hello.", 24000, 24000),))
WRITTEN = Message("item_b", "assistant", (OutputText("Hello."),))
HEARD = Message("item_u", "user", (InputText("Hear:"), InputAudio(24000, 24000)))
RULES = Message("item_s", "system", (InputText("Be brief."),))
CALL = FunctionCall("item_c", "weather", "call_1", '{"in":"Bath"}')
ANSWER = FunctionCallOutput("item_o", "call_1", "rain")
ITEMS: tuple[Item, ...] = (SPOKEN, WRITTEN, HEARD, RULES, CALL, ANSWER)

FULL = SessionSettings(
    output_modality="text",
    tools=(FunctionTool("weather", "Tells it.", {"type": "object"}), FunctionTool("time")),
    tool_choice=NamedTool("weather"),
    max_output_tokens=100,
    tracing="auto",
    truncation=RetentionRatio(0.5, 800),
    include=("item.input_audio_transcription.logprobs",),
    parallel_tool_calls=True,
    input=AudioInput(
        format=AudioFormat("audio/pcmu"),
        transcription=Transcription("whisper-1"),
        noise_reduction=NoiseReduction("near_field"),
        turn_detection=SemanticVad("low"),
    ),
    output=AudioOutput(format=AudioFormat("audio/pcma"), voice="echo", speed=1.25),
)
PLAIN = SessionSettings(instructions="Be kind.")
SILENT = SessionSettings(input=AudioInput(turn_detection=None))
DICTATION = SessionSettings(
    type="transcription", input=AudioInput(transcription=Transcription("whisper-1"))
)
USAGE = events.Usage(events.Tokens(20, 30), events.Tokens(10, 0), events.Tokens(7, 20))


def session(settings: SessionSettings) -> events.SessionView:
    return events.SessionView("sess_1", settings, 1785217648)


def response(status: events.ResponseStatus = "in_progress", **more: Any) -> events.ResponseView:
    return events.ResponseView(
        id="resp_1",
        status=status,
        conversation_id="conv_1",
        output_modality="audio",
        format=AudioFormat(),
        voice="alloy",
        temperature=0.8,
        max_output_tokens=None,
        metadata=more.pop("metadata", None),
        **more,
    )


LIMITS = (
    events.RateLimit("requests", 100, 99, 0.6),
    events.RateLimit("tokens", 20000, 15482, 13.554),
)
PART: dict[str, Any] = {
    "event_id": EVENT,
    "response_id": "resp_1",
    "item_id": "item_a",
    "output_index": 0,
    "content_index": 0,
}
ALL: tuple[events.ServerEvent, ...] = (
    *(
        made(event_id=EVENT, session=session(settings))
        for made in (events.SessionCreated, events.SessionUpdated)
        for settings in (PLAIN, FULL, SILENT)
    ),
    events.SessionCreated(event_id=EVENT, session=session(DICTATION)),
    events.SessionUpdated(event_id=EVENT, session=session(DICTATION)),
    events.ConversationCreated(event_id=EVENT, conversation_id="conv_1"),
    events.ErrorRaised(event_id=EVENT, refusal=Refusal("No.", param="item.id", event_id="mine")),
    *(events.ItemAdded(event_id=EVENT, previous_item_id=None, item=item) for item in ITEMS),
    *(events.ItemDone(event_id=EVENT, previous_item_id="item_0", item=item) for item in ITEMS),
    events.ItemRetrieved(
        event_id=EVENT, item=SPOKEN, audio=(events.RetrievedAudio(0, b"\0\1", AudioFormat()),)
    ),
    events.ItemRetrieved(
        event_id=EVENT, item=HEARD, audio=(events.RetrievedAudio(1, b"\0\1", AudioFormat()),)
    ),
    events.ItemRetrieved(event_id=EVENT, item=CALL),
    events.ItemTruncated(event_id=EVENT, item_id="item_a", content_index=0, audio_end_ms=5),
    events.ItemDeleted(event_id=EVENT, item_id="item_a"),
    events.TranscriptionDelta(event_id=EVENT, item_id="item_u", delta="Hel"),
    events.TranscriptionCompleted(
        event_id=EVENT,
        item_id="item_u",
        transcript="Hello.",
        usage=events.TranscriptionUsage(seconds=3),
    ),
    events.TranscriptionCompleted(
        event_id=EVENT,
        item_id="item_u",
        transcript="Hello.",
        usage=events.TranscriptionUsage(input=events.Tokens(2, 13), output_tokens=4),
    ),
    events.TranscriptionFailed(event_id=EVENT, item_id="item_u", code="c", message="m"),
    events.SpeechStarted(event_id=EVENT, item_id="item_u", audio_start_ms=1460),
    events.SpeechStopped(event_id=EVENT, item_id="item_u", audio_end_ms=4256),
    events.AudioCommitted(event_id=EVENT, item_id="item_u", previous_item_id=None),
    events.AudioCleared(event_id=EVENT),
    events.TimeoutTriggered(event_id=EVENT, item_id="i", audio_start_ms=0, audio_end_ms=5000),
    events.OutputStarted(event_id=EVENT, response_id="resp_1"),
    events.OutputStopped(event_id=EVENT, response_id="resp_1"),
    events.OutputCleared(event_id=EVENT, response_id="resp_1"),
    events.ResponseCreated(event_id=EVENT, response=response()),
    events.ResponseDone(
        event_id=EVENT,
        response=response("completed", output=ITEMS[:2], usage=USAGE, metadata={"topic": "x"}),
    ),
    events.OutputItemAdded(event_id=EVENT, response_id="resp_1", output_index=0, item=SPOKEN),
    events.OutputItemDone(event_id=EVENT, response_id="resp_1", output_index=1, item=CALL),
    *(events.PartAdded(**PART, kind=kind) for kind in ("text", "audio")),
    *(events.PartDone(**PART, kind=kind, words="Hello.") for kind in ("text", "audio")),
    events.TextDelta(**PART, delta="Hel"),
    events.TextDone(**PART, text="Hello."),
    events.AudioDelta(**PART, audio=b"\0\1", format=AudioFormat()),
    events.AudioDone(**PART),
    events.AudioTranscriptDelta(**PART, delta="Hel"),
    events.AudioTranscriptDone(**PART, transcript="Hello."),
    events.ArgumentsDelta(
        event_id=EVENT,
        response_id="resp_1",
        item_id="item_c",
        output_index=1,
        call_id="call_1",
        delta='{"in"',
    ),
    events.ArgumentsDone(event_id=EVENT, response_id="resp_1", output_index=1, call=CALL),
    *(
        events.RateLimitsUpdated(event_id=EVENT, begins=begins, rate_limits=LIMITS)
        for begins in (True, False)
    ),
)


def test_these_are_all_the_events_there_are() -> None:
    assert {type(event) for event in ALL} == set(get_args(events.ServerEvent))


@BOTH
@pytest.mark.parametrize("azure", [False, True])
@pytest.mark.parametrize("event", ALL, ids=lambda event: type(event).__name__)
def test_a_frame_is_as_the_catalogue_has_it(
    dialect: Dialect, azure: bool, event: events.ServerEvent
) -> None:
    for written in frames(dialect, event, azure=azure):
        assert list(written)[:2] == ["type", "event_id"]
        assert written["event_id"] == EVENT
        assert faults(written, dialect) == []


@pytest.mark.parametrize("event", ALL, ids=lambda event: type(event).__name__)
def test_a_ga_frame_is_what_the_official_client_parses(event: events.ServerEvent) -> None:
    for written in frames("ga", event):
        assert official(written).type == written["type"]


@BOTH
@pytest.mark.parametrize("event", ALL, ids=lambda event: type(event).__name__)
def test_the_same_event_is_the_same_bytes(dialect: Dialect, event: events.ServerEvent) -> None:
    assert codec(dialect).encode(event) == codec(dialect).encode(event)


def test_preview_has_its_own_names_and_nothing_to_say_of_what_is_ga_only() -> None:
    names = {written["type"] for event in ALL for written in frames("preview", event)}

    assert names == {
        "session.created",
        "session.updated",
        "transcription_session.created",
        "transcription_session.updated",
        "conversation.created",
        "error",
        "conversation.item.created",
        "conversation.item.retrieved",
        "conversation.item.truncated",
        "conversation.item.deleted",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.input_audio_transcription.failed",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "input_audio_buffer.cleared",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "output_audio_buffer.cleared",
        "response.created",
        "response.done",
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.added",
        "response.content_part.done",
        "response.text.delta",
        "response.text.done",
        "response.audio.delta",
        "response.audio.done",
        "response.audio_transcript.delta",
        "response.audio_transcript.done",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "rate_limits.updated",
    }


def test_a_ga_session_shows_everything_in_the_order_of_the_wire() -> None:
    written = frame("ga", events.SessionCreated(event_id=EVENT, session=session(PLAIN)))

    expected = {
        "type": "session.created",
        "event_id": EVENT,
        "session": {
            "type": "realtime",
            "object": "realtime.session",
            "id": "sess_1",
            "model": "gpt-realtime",
            "output_modalities": ["audio"],
            "instructions": "Be kind.",
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "tracing": None,
            "truncation": "auto",
            "prompt": None,
            "expires_at": 1785217648,
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "transcription": None,
                    "noise_reduction": None,
                    "turn_detection": {
                        "type": "server_vad",
                        "threshold": 0.5,
                        "prefix_padding_ms": 300,
                        "silence_duration_ms": 200,
                        "idle_timeout_ms": None,
                        "create_response": True,
                        "interrupt_response": True,
                    },
                },
                "output": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "voice": "alloy",
                    "speed": 1.0,
                },
            },
            "include": None,
        },
    }
    assert json.dumps(written) == json.dumps(expected)


def test_a_ga_session_shows_what_was_set() -> None:
    shown = frame("ga", events.SessionUpdated(event_id=EVENT, session=session(FULL)))["session"]

    assert shown["tools"] == [
        {
            "type": "function",
            "name": "weather",
            "description": "Tells it.",
            "parameters": {"type": "object"},
        },
        {"type": "function", "name": "time"},
    ]
    assert shown["tool_choice"] == {"type": "function", "name": "weather"}
    assert shown["max_output_tokens"] == 100
    assert shown["output_modalities"] == ["text"]
    assert shown["truncation"] == {
        "type": "retention_ratio",
        "retention_ratio": 0.5,
        "token_limits": {"post_instructions": 800},
    }
    assert shown["parallel_tool_calls"] is True
    assert shown["audio"] == {
        "input": {
            "format": {"type": "audio/pcmu"},
            "transcription": {"model": "whisper-1", "language": None, "prompt": None},
            "noise_reduction": {"type": "near_field"},
            "turn_detection": {
                "type": "semantic_vad",
                "eagerness": "low",
                "create_response": True,
                "interrupt_response": True,
            },
        },
        "output": {"format": {"type": "audio/pcma"}, "voice": "echo", "speed": 1.25},
    }


def test_a_ga_transcription_session_shows_its_input_alone() -> None:
    written = frame("ga", events.SessionCreated(event_id=EVENT, session=session(DICTATION)))

    expected = {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "id": "sess_1",
        "expires_at": 1785217648,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": {"model": "whisper-1", "language": None, "prompt": None},
                "noise_reduction": None,
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 200,
                },
            }
        },
        "include": None,
    }
    assert written["type"] == "session.created"
    assert json.dumps(written["session"]) == json.dumps(expected)


def test_a_preview_session_is_flat_in_the_order_of_the_wire() -> None:
    written = frame("preview", events.SessionCreated(event_id=EVENT, session=session(PLAIN)))

    expected = {
        "id": "sess_1",
        "object": "realtime.session",
        "expires_at": 1785217648,
        "input_audio_noise_reduction": None,
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 200,
            "create_response": True,
            "interrupt_response": True,
        },
        "input_audio_format": "pcm16",
        "input_audio_transcription": None,
        "client_secret": None,
        "include": None,
        "model": "gpt-realtime",
        "modalities": ["audio", "text"],
        "instructions": "Be kind.",
        "voice": "alloy",
        "output_audio_format": "pcm16",
        "tool_choice": "auto",
        "temperature": 0.8,
        "max_response_output_tokens": "inf",
        "speed": 1.0,
        "tools": [],
    }
    assert json.dumps(written["session"]) == json.dumps(expected)


def test_a_preview_session_shows_what_was_set() -> None:
    shown = frame("preview", events.SessionUpdated(event_id=EVENT, session=session(FULL)))

    assert shown["type"] == "session.updated"
    assert shown["session"]["modalities"] == ["text"]
    assert shown["session"]["input_audio_format"] == "g711_ulaw"
    assert shown["session"]["output_audio_format"] == "g711_alaw"
    assert shown["session"]["max_response_output_tokens"] == 100
    assert shown["session"]["tracing"] == "auto"
    assert shown["session"]["turn_detection"]["type"] == "semantic_vad"


def test_a_preview_transcription_session_has_events_of_its_own() -> None:
    view = session(DICTATION)

    begun = frame("preview", events.SessionCreated(event_id=EVENT, session=view))
    changed = events.SessionUpdated(event_id=EVENT, session=view)

    expected = {
        "id": "sess_1",
        "object": "realtime.transcription_session",
        "expires_at": 1785217648,
        "modalities": ["audio", "text"],
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 200,
        },
        "input_audio_format": "pcm16",
        "input_audio_transcription": {"model": "whisper-1", "language": None, "prompt": None},
        "input_audio_noise_reduction": None,
        "include": None,
        "client_secret": None,
    }
    assert begun["type"] == "transcription_session.created"
    assert json.dumps(begun["session"]) == json.dumps(expected)
    assert frame("preview", changed)["type"] == "transcription_session.updated"
    assert frame("ga", changed)["type"] == "session.updated"


@BOTH
def test_turn_detection_that_is_off_is_null(dialect: Dialect) -> None:
    shown = frame(dialect, events.SessionCreated(event_id=EVENT, session=session(SILENT)))

    heard = shown["session"] if dialect == "preview" else shown["session"]["audio"]["input"]
    assert heard["turn_detection"] is None


def test_an_idle_timeout_shows_in_ga_alone() -> None:
    settings = SessionSettings(input=AudioInput(turn_detection=ServerVad(idle_timeout_ms=6000)))
    event = events.SessionCreated(event_id=EVENT, session=session(settings))

    shown = frame("ga", event)["session"]["audio"]["input"]["turn_detection"]
    assert shown["idle_timeout_ms"] == 6000
    assert "idle_timeout_ms" not in frame("preview", event)["session"]["turn_detection"]


@BOTH
def test_an_error_has_all_five_keys(dialect: Dialect) -> None:
    event = events.ErrorRaised(event_id=EVENT, refusal=Refusal("No.", code=None))

    assert frame(dialect, event)["error"] == {
        "type": "invalid_request_error",
        "code": None,
        "message": "No.",
        "param": None,
        "event_id": None,
    }


def test_what_the_core_refuses_is_named_as_the_dialect_has_it() -> None:
    refusal = Refusal("No.", param="session.audio.output.voice", event_id="mine")
    event = events.ErrorRaised(event_id=EVENT, refusal=refusal)

    assert frame("ga", event)["error"]["param"] == "session.audio.output.voice"
    assert frame("preview", event)["error"]["param"] == "session.voice"
    assert frame("preview", event)["error"]["event_id"] == "mine"


@pytest.mark.parametrize(
    ("param", "in_preview"),
    [
        ("session.audio.input.turn_detection.type", "session.turn_detection.type"),
        ("session.tools[0].name", "session.tools[0].name"),
        ("response.audio.output.voice", "response.voice"),
        ("response.input[0].id", "response.input[0].id"),
        ("item.content[0].audio", "item.content[0].audio"),
    ],
)
def test_so_is_what_lies_below_a_field(param: str, in_preview: str) -> None:
    event = events.ErrorRaised(event_id=EVENT, refusal=Refusal("No.", param=param))

    assert frame("preview", event)["error"]["param"] == in_preview


def test_an_item_that_was_added_was_created_in_preview() -> None:
    event = events.ItemAdded(event_id=EVENT, previous_item_id=None, item=HEARD)
    item = {
        "id": "item_u",
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [
            {"type": "input_text", "text": "Hear:"},
            {"type": "input_audio", "transcript": None},
        ],
    }
    expected = {"event_id": EVENT, "previous_item_id": None, "item": item}

    ga, preview = frame("ga", event), frame("preview", event)

    assert json.dumps(ga) == json.dumps({"type": "conversation.item.added", **expected})
    assert json.dumps(preview) == json.dumps({"type": "conversation.item.created", **expected})


def test_the_assistants_parts_have_their_own_types_in_each_dialect() -> None:
    both = Message("i", "assistant", (*SPOKEN.content, *WRITTEN.content), "in_progress")
    event = events.ItemAdded(event_id=EVENT, previous_item_id="p", item=both)

    assert frame("ga", event)["item"]["content"] == [
        {"type": "output_audio", "transcript": "Hello."},
        {"type": "output_text", "text": "Hello."},
    ]
    assert frame("preview", event)["item"]["content"] == [
        {"type": "audio", "transcript": "Hello."},
        {"type": "text", "text": "Hello."},
    ]
    assert frame("ga", event)["item"]["status"] == "in_progress"


def test_a_picture_is_shown_as_it_came() -> None:
    shown = Message("i", "user", (InputImage("data:image/png;base64,AA==", "low"),))
    event = events.ItemDone(event_id=EVENT, previous_item_id=None, item=shown)

    assert frame("ga", event)["item"]["content"] == [
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}
    ]


@BOTH
def test_function_items_keep_the_order_of_their_keys(dialect: Dialect) -> None:
    call, output = (
        frame(dialect, events.ItemAdded(event_id=EVENT, previous_item_id=None, item=item))["item"]
        for item in (CALL, ANSWER)
    )

    assert list(call) == ["id", "object", "type", "status", "name", "call_id", "arguments"]
    assert list(output) == ["id", "object", "type", "status", "call_id", "output"]
    assert output["status"] == "completed"


def test_a_retrieved_item_comes_with_its_audio() -> None:
    item = Message("i", "user", (InputText("a"), InputAudio(1, 24000, "b")))
    event = events.ItemRetrieved(
        event_id=EVENT, item=item, audio=(events.RetrievedAudio(1, b"\1\2", AudioFormat()),)
    )

    said = {"type": "input_audio", "transcript": "b", "audio": "AQI="}
    assert frame("ga", event)["item"]["content"][1] == {**said, "format": "pcm16"}
    assert frame("preview", event)["item"]["content"][1] == said
    assert frame("ga", event)["item"]["content"][0] == {"type": "input_text", "text": "a"}


@pytest.mark.parametrize(
    ("coding", "audio", "label"),
    [("audio/pcmu", b"\xff", "g711_ulaw"), ("audio/pcma", b"\xd5", "g711_alaw")],
)
def test_retrieved_audio_is_coded_as_it_was_said(coding: Any, audio: bytes, label: str) -> None:
    kept = events.RetrievedAudio(0, bytes(4), AudioFormat(coding))
    event = events.ItemRetrieved(event_id=EVENT, item=SPOKEN, audio=(kept,))

    ga, preview = (frame(dialect, event)["item"]["content"][0] for dialect in ("ga", "preview"))

    assert pybase64.b64decode(ga["audio"]) == pybase64.b64decode(preview["audio"]) == audio * 2
    assert (ga["format"], "format" in preview) == (label, False)


@BOTH
def test_a_voice_of_the_clients_own_is_shown_by_its_id(dialect: Dialect) -> None:
    settings = SessionSettings(output=AudioOutput(voice=CustomVoice("voice_1")))
    begun = frame(dialect, events.SessionCreated(event_id=EVENT, session=session(settings)))
    made = msgspec.structs.replace(response(), voice=CustomVoice("voice_1"))
    answer = frame(dialect, events.ResponseCreated(event_id=EVENT, response=made))

    if dialect == "preview":
        assert begun["session"]["voice"] == answer["response"]["voice"] == "voice_1"
    else:
        assert begun["session"]["audio"]["output"]["voice"] == {"id": "voice_1"}
        # There the official types have a name and nothing else.
        assert answer["response"]["audio"]["output"]["voice"] == "voice_1"


def test_the_effort_of_reasoning_shows_in_ga_once_it_is_set() -> None:
    settings = SessionSettings(reasoning_effort="low")
    event = events.SessionUpdated(event_id=EVENT, session=session(settings))

    assert frame("ga", event)["session"]["reasoning"] == {"effort": "low"}
    assert "reasoning" not in frame("preview", event)["session"]
    plain = events.SessionUpdated(event_id=EVENT, session=session(PLAIN))
    assert "reasoning" not in frame("ga", plain)["session"]
    assert faults(frame("ga", event), "ga") == []


def test_an_update_is_answered_by_the_kind_of_session_that_it_is() -> None:
    def name(settings: SessionSettings) -> object:
        event = events.SessionUpdated(event_id=EVENT, session=session(settings))
        assert frame("ga", event)["type"] == "session.updated"
        return frame("preview", event)["type"]

    assert name(DICTATION) == "transcription_session.updated"
    assert name(PLAIN) == "session.updated"


def test_the_conversation_is_announced_in_preview_alone() -> None:
    event = events.ConversationCreated(event_id=EVENT, conversation_id="conv_1")

    assert frames("ga", event) == []
    expected = {
        "type": "conversation.created",
        "event_id": EVENT,
        "conversation": {"id": "conv_1", "object": "realtime.conversation"},
    }
    assert json.dumps(frame("preview", event)) == json.dumps(expected)


@pytest.mark.parametrize(("kind", "key"), [("text", "text"), ("audio", "transcript")])
@BOTH
def test_a_part_is_text_or_audio_in_both_dialects(
    dialect: Dialect, kind: events.PartKind, key: str
) -> None:
    opened = frame(dialect, events.PartAdded(**PART, kind=kind))
    closed = frame(dialect, events.PartDone(**PART, kind=kind, words="Hi."))

    assert list(opened)[2:] == ["response_id", "item_id", "output_index", "content_index", "part"]
    assert opened["part"] == {"type": kind, key: ""}
    assert closed["part"] == {"type": kind, key: "Hi."}


@BOTH
def test_azure_repeats_a_part_as_content(dialect: Dialect) -> None:
    written = frame(dialect, events.PartAdded(**PART, kind="audio"), azure=True)

    assert written["content"] == written["part"] == {"type": "audio", "transcript": ""}


@BOTH
@pytest.mark.parametrize("kind", ["audio/pcm", "audio/pcmu", "audio/pcma"])
def test_audio_is_coded_in_its_format(dialect: Dialect, kind: Any) -> None:
    silence = events.AudioDelta(**PART, audio=bytes(8), format=AudioFormat(kind))

    written = frame(dialect, silence)

    coded = {"audio/pcm": bytes(8), "audio/pcmu": b"\xff" * 4, "audio/pcma": b"\xd5" * 4}
    assert pybase64.b64decode(written["delta"]) == coded[kind]
    assert list(written) == [
        "type",
        "event_id",
        "response_id",
        "item_id",
        "output_index",
        "content_index",
        "delta",
    ]


def test_obfuscation_fills_a_ga_delta_up_to_sixteen_characters() -> None:
    def fill(delta: str) -> str:
        written = frame("ga", events.AudioTranscriptDelta(**PART, delta=delta))
        obfuscation: str = written["obfuscation"]
        return obfuscation

    assert fill("") == "0123456789abcdef"
    assert fill("Hello") == "0123456789a"
    assert fill("x" * 16) == fill("x" * 17) == ""


@pytest.mark.parametrize(
    "event",
    [
        events.TextDelta(**PART, delta="a"),
        events.AudioTranscriptDelta(**PART, delta="a"),
        events.TranscriptionDelta(event_id="event_1", item_id="i", delta="a"),
        events.ArgumentsDelta(
            event_id="event_1", response_id="r", item_id="i", output_index=0, call_id="c", delta="a"
        ),
    ],
    ids=lambda event: type(event).__name__,
)
def test_words_are_obfuscated_in_ga_alone(event: events.ServerEvent) -> None:
    assert len(frame("ga", event)["obfuscation"]) == 15
    assert "obfuscation" not in frame("preview", event)


@BOTH
def test_the_arguments_of_a_call_are_concluded_with_its_name(dialect: Dialect) -> None:
    event = events.ArgumentsDone(event_id=EVENT, response_id="r", output_index=1, call=CALL)

    expected = {
        "type": "response.function_call_arguments.done",
        "event_id": EVENT,
        "response_id": "r",
        "item_id": "item_c",
        "output_index": 1,
        "call_id": "call_1",
        "name": "weather",
        "arguments": '{"in":"Bath"}',
    }
    assert json.dumps(frame(dialect, event)) == json.dumps(expected)


def test_a_response_is_shown_in_the_order_of_the_wire() -> None:
    view = response("completed", output=(SPOKEN,), usage=USAGE, metadata={"topic": "x"})
    event = events.ResponseDone(event_id=EVENT, response=view)

    ga, preview = frame("ga", event)["response"], frame("preview", event)["response"]

    assert list(ga) == [
        "object",
        "id",
        "status",
        "status_details",
        "output",
        "conversation_id",
        "output_modalities",
        "max_output_tokens",
        "audio",
        "usage",
        "metadata",
    ]
    assert ga["audio"] == {
        "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy"}
    }
    assert list(preview) == [
        "object",
        "id",
        "status",
        "status_details",
        "output",
        "conversation_id",
        "modalities",
        "voice",
        "output_audio_format",
        "temperature",
        "max_output_tokens",
        "usage",
        "metadata",
    ]
    assert preview["modalities"] == ["audio", "text"]
    assert preview["max_output_tokens"] == ga["max_output_tokens"] == "inf"
    assert preview["metadata"] == ga["metadata"] == {"topic": "x"}


def test_usage_adds_up_and_counts_images_in_ga_alone() -> None:
    event = events.ResponseDone(event_id=EVENT, response=response("completed", usage=USAGE))

    expected = {
        "total_tokens": 77,
        "input_tokens": 50,
        "output_tokens": 27,
        "input_token_details": {
            "text_tokens": 20,
            "audio_tokens": 30,
            "image_tokens": 0,
            "cached_tokens": 10,
            "cached_tokens_details": {"text_tokens": 10, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": 7, "audio_tokens": 20},
    }
    assert json.dumps(frame("ga", event)["response"]["usage"]) == json.dumps(expected)
    assert "image_tokens" not in json.dumps(frame("preview", event))


@BOTH
@pytest.mark.parametrize(
    ("status", "details", "shown"),
    [
        ("in_progress", None, None),
        ("completed", None, None),
        (
            "cancelled",
            events.StatusDetails(reason="turn_detected"),
            {"type": "cancelled", "reason": "turn_detected"},
        ),
        (
            "incomplete",
            events.StatusDetails(reason="max_output_tokens"),
            {"type": "incomplete", "reason": "max_output_tokens"},
        ),
        (
            "failed",
            events.StatusDetails(error_code="rate_limit_exceeded", error_message="Wait."),
            {
                "type": "failed",
                "error": {
                    "type": "rate_limit_error",
                    "code": "rate_limit_exceeded",
                    "message": "Wait.",
                },
            },
        ),
        (
            "failed",
            events.StatusDetails(error_code="exploded", error_message="Bang."),
            {
                "type": "failed",
                "error": {"type": "server_error", "code": "exploded", "message": "Bang."},
            },
        ),
    ],
)
def test_status_details_say_why_a_response_was_not_completed(
    dialect: Dialect,
    status: events.ResponseStatus,
    details: events.StatusDetails | None,
    shown: object,
) -> None:
    view = response(status, status_details=details, usage=events.Usage())
    event = events.ResponseDone(event_id=EVENT, response=view)

    written = frame(dialect, event)

    assert written["response"]["status_details"] == shown
    assert faults(written, dialect) == []


@BOTH
def test_a_transcription_costs_time_or_tokens(dialect: Dialect) -> None:
    timed = events.TranscriptionUsage(seconds=3)
    counted = events.TranscriptionUsage(input=events.Tokens(2, 13), output_tokens=4)

    def cost(usage: events.TranscriptionUsage) -> object:
        event = events.TranscriptionCompleted(
            event_id=EVENT, item_id="i", transcript="Hi.", usage=usage
        )
        return frame(dialect, event)["usage"]

    assert cost(timed) == {"type": "duration", "seconds": 3}
    assert cost(counted) == {
        "type": "tokens",
        "total_tokens": 19,
        "input_tokens": 15,
        "input_token_details": {"text_tokens": 2, "audio_tokens": 13},
        "output_tokens": 4,
    }


@BOTH
def test_a_failed_transcription_tells_four_strings(dialect: Dialect) -> None:
    event = events.TranscriptionFailed(event_id=EVENT, item_id="i", code="c", message="m")

    assert frame(dialect, event)["error"] == {
        "type": "transcription_error",
        "code": "c",
        "message": "m",
        "param": "",
    }


@BOTH
def test_boundaries_of_speech_tell_the_time_first(dialect: Dialect) -> None:
    event = events.SpeechStarted(event_id=EVENT, item_id="i", audio_start_ms=1460)
    committed = events.AudioCommitted(event_id=EVENT, item_id="i", previous_item_id="p")

    assert list(frame(dialect, event))[2:] == ["audio_start_ms", "item_id"]
    assert list(frame(dialect, committed))[2:] == ["previous_item_id", "item_id"]


REQUESTS = {"name": "requests", "limit": 100, "remaining": 99, "reset_seconds": 0.6}
TOKENS = {"name": "tokens", "limit": 20000, "remaining": 15482, "reset_seconds": 13.554}


@pytest.mark.parametrize(
    ("dialect", "azure", "begins", "told"),
    [
        ("preview", False, True, [REQUESTS, TOKENS]),
        ("preview", False, False, None),
        ("preview", True, True, None),
        ("preview", True, False, [REQUESTS, TOKENS]),
        ("ga", False, True, None),
        ("ga", False, False, [TOKENS]),
        ("ga", True, True, None),
        ("ga", True, False, [TOKENS]),
    ],
)
def test_rate_limits_are_told_when_each_kind_of_connection_expects_them(
    dialect: Dialect, azure: bool, begins: bool, told: list[Any] | None
) -> None:
    event = events.RateLimitsUpdated(event_id=EVENT, begins=begins, rate_limits=LIMITS)

    written = frames(dialect, event, azure=azure)

    assert [each["rate_limits"] for each in written] == ([] if told is None else [told])


def test_without_a_limit_of_tokens_ga_tells_none() -> None:
    event = events.RateLimitsUpdated(event_id=EVENT, begins=False, rate_limits=LIMITS[:1])

    assert frames("ga", event) == []
