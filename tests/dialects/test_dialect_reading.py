"""Every client event of both dialects, as a command."""

import base64
import json
from typing import Any

import pytest
from dialect_wire import added, created, decoded, refused, updated

from vivavoce.core.commands import (
    AppendAudio,
    CancelResponse,
    ClearAudio,
    ClearOutput,
    CommitAudio,
    CreateItem,
    CreateResponse,
    DeleteItem,
    ItemAudio,
    ItemReference,
    ListedAudio,
    RetrieveItem,
    TruncateItem,
    UpdateSession,
)
from vivavoce.core.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    Message,
    OutputText,
)
from vivavoce.core.settings import (
    AudioFormat,
    AudioInputUpdate,
    AudioOutputUpdate,
    CustomVoice,
    DetectionUpdate,
    FunctionTool,
    NamedTool,
    NoiseReduction,
    RetentionRatio,
    SemanticVad,
    ServerVad,
    SessionUpdate,
    Transcription,
)
from vivavoce.dialects.api import Dialect, codec
from vivavoce.dialects.refusals import unknown

BOTH = pytest.mark.parametrize("dialect", ["ga", "preview"])
PICTURE = "data:image/png;base64,iVBORw0KGgo="


@BOTH
@pytest.mark.parametrize("wrap", [str, str.encode])
def test_appended_audio_comes_as_bytes_from_text_and_from_binary_frames(
    dialect: Dialect, wrap: type[str]
) -> None:
    frame = '{"type":"input_audio_buffer.append","event_id":"a1","audio":"AAEC/w=="}'

    command = codec(dialect).decode(wrap(frame))

    assert command == AppendAudio(event_id="a1", audio=b"\x00\x01\x02\xff")


@BOTH
def test_an_append_without_audio_in_it_is_taken(dialect: Dialect) -> None:
    event = {"type": "input_audio_buffer.append", "event_id": None, "audio": ""}

    assert decoded(dialect, event) == AppendAudio(audio=b"")


@BOTH
def test_fifteen_mebibytes_of_audio_fit_one_event(dialect: Dialect) -> None:
    audio = bytes(15 * 1024 * 1024)
    event = {"audio": base64.b64encode(audio).decode(), "type": "input_audio_buffer.append"}

    assert decoded(dialect, event) == AppendAudio(audio=audio)


@BOTH
@pytest.mark.parametrize(
    ("event", "command"),
    [
        ({"type": "input_audio_buffer.commit"}, CommitAudio()),
        ({"type": "input_audio_buffer.clear", "event_id": "c"}, ClearAudio(event_id="c")),
        ({"type": "output_audio_buffer.clear"}, ClearOutput()),
        (
            {"type": "conversation.item.retrieve", "item_id": "i", "event_id": "r"},
            RetrieveItem(event_id="r", item_id="i"),
        ),
        ({"type": "conversation.item.delete", "item_id": "i"}, DeleteItem(item_id="i")),
        (
            {
                "type": "conversation.item.truncate",
                "item_id": "i",
                "content_index": 0,
                "audio_end_ms": 1500,
            },
            TruncateItem(item_id="i", content_index=0, audio_end_ms=1500),
        ),
        ({"type": "response.create"}, CreateResponse()),
        ({"type": "response.create", "response": None}, CreateResponse()),
        ({"type": "response.cancel"}, CancelResponse()),
        ({"type": "response.cancel", "response_id": "r"}, CancelResponse(response_id="r")),
        ({"type": "response.cancel", "response_id": None}, CancelResponse()),
    ],
)
def test_a_plain_event_is_its_command(dialect: Dialect, event: object, command: object) -> None:
    assert decoded(dialect, event) == command


@pytest.mark.parametrize("strict", [False, True])
def test_a_ga_session_update_names_what_changes_and_nothing_else(strict: bool) -> None:
    update = updated(
        "ga",
        strict=strict,
        type="realtime",
        model="another",
        output_modalities=["text"],
        instructions="Be brief.",
        tools=[
            {
                "type": "function",
                "name": "weather",
                "description": "Tells it.",
                "parameters": {"type": "object", "strict": True},
            }
        ],
        tool_choice={"type": "function", "name": "weather"},
        max_output_tokens=100,
        tracing={"workflow_name": "w", "metadata": {"a": 1}},
        truncation={
            "type": "retention_ratio",
            "retention_ratio": 0.5,
            "token_limits": {"post_instructions": 800},
        },
        prompt={"id": "p", "version": "2"},
        include=["item.input_audio_transcription.logprobs"],
        reasoning={"effort": "low"},
        parallel_tool_calls=True,
        audio={
            "input": {
                "format": {"type": "audio/pcmu"},
                "transcription": {"model": "whisper-1", "language": "de"},
                "noise_reduction": {"type": "near_field"},
                "turn_detection": {"type": "semantic_vad", "eagerness": "low"},
            },
            "output": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "voice": {"id": "voice_1"},
                "speed": 1,
            },
        },
    )

    assert update == SessionUpdate(
        type="realtime",
        output_modality="text",
        instructions="Be brief.",
        tools=(FunctionTool("weather", "Tells it.", {"type": "object", "strict": True}),),
        tool_choice=NamedTool("weather"),
        max_output_tokens=100,
        tracing={"workflow_name": "w", "metadata": {"a": 1}},
        truncation=RetentionRatio(0.5, 800),
        prompt={"id": "p", "version": "2"},
        include=("item.input_audio_transcription.logprobs",),
        reasoning_effort="low",
        parallel_tool_calls=True,
        input=AudioInputUpdate(
            format=AudioFormat("audio/pcmu"),
            transcription=Transcription("whisper-1", "de"),
            noise_reduction=NoiseReduction("near_field"),
            turn_detection=DetectionUpdate(SemanticVad, {"eagerness": "low"}),
        ),
        output=AudioOutputUpdate(format=AudioFormat(), voice=CustomVoice("voice_1"), speed=1.0),
    )


@pytest.mark.parametrize("strict", [False, True])
def test_a_preview_session_update_is_the_same_in_its_own_names(strict: bool) -> None:
    update = updated(
        "preview",
        strict=strict,
        modalities=["text", "audio"],
        instructions="",
        voice="echo",
        speed=1.5,
        input_audio_format="g711_ulaw",
        output_audio_format="g711_alaw",
        input_audio_transcription={"model": "whisper-1"},
        input_audio_noise_reduction=None,
        turn_detection={"threshold": 0.7, "silence_duration_ms": 500},
        tools=[],
        tool_choice="required",
        temperature=0.9,
        max_response_output_tokens="inf",
        tracing="auto",
        include=None,
        client_secret=None,
        id="sess_1",
        object="realtime.session",
        expires_at=1,
        model="another",
    )

    assert update == SessionUpdate(
        output_modality="audio",
        instructions="",
        tools=(),
        tool_choice="required",
        max_output_tokens=None,
        temperature=0.9,
        tracing="auto",
        include=None,
        input=AudioInputUpdate(
            format=AudioFormat("audio/pcmu"),
            transcription=Transcription("whisper-1"),
            noise_reduction=None,
            turn_detection=DetectionUpdate(
                ServerVad, {"threshold": 0.7, "silence_duration_ms": 500}
            ),
        ),
        output=AudioOutputUpdate(format=AudioFormat("audio/pcma"), voice="echo", speed=1.5),
    )


def test_an_empty_update_changes_nothing() -> None:
    assert updated("ga") == updated("preview") == SessionUpdate()


def test_null_is_a_value_where_absent_is_none() -> None:
    audio = {"input": {"turn_detection": None, "transcription": None, "noise_reduction": None}}

    update = updated("ga", audio=audio, tracing=None, prompt=None)

    assert update == SessionUpdate(
        tracing=None,
        prompt=None,
        input=AudioInputUpdate(turn_detection=None, transcription=None, noise_reduction=None),
    )


@pytest.mark.parametrize("strict", [False, True])
def test_a_turn_detection_bears_the_keys_that_were_sent_and_no_others(strict: bool) -> None:
    sent = {
        "threshold": 0.1,
        "prefix_padding_ms": 1,
        "silence_duration_ms": 2,
        "idle_timeout_ms": None,
        "create_response": False,
        "interrupt_response": False,
    }

    for keys in ({}, {"create_response": False}, sent):
        audio = {"input": {"turn_detection": {"type": "server_vad", **keys}}}
        update = updated("ga", strict=strict, type="realtime", audio=audio)
        assert update.input.turn_detection == DetectionUpdate(ServerVad, keys)


@BOTH
@pytest.mark.parametrize(
    ("reasoning", "effort"), [(None, None), ({}, None), ({"effort": "high"}, "high")]
)
def test_an_effort_is_set_and_taken_back(
    dialect: Dialect, reasoning: object, effort: str | None
) -> None:
    if dialect == "ga":
        assert updated(dialect, reasoning=reasoning).reasoning_effort == effort
    else:  # it has none
        assert updated(dialect, reasoning=reasoning) == SessionUpdate()


def test_empty_instructions_bring_back_the_first_ones_in_ga_alone() -> None:
    assert updated("ga", instructions="").instructions is None
    assert updated("preview", instructions="").instructions == ""


@pytest.mark.parametrize(
    ("sent", "coded"),
    [
        ("pcm16", "audio/pcm"),
        ({"type": "audio/pcm"}, "audio/pcm"),
        ({"rate": 24000}, "audio/pcm"),
        ({"type": "audio/pcmu"}, "audio/pcmu"),
        ({"type": "audio/pcma"}, "audio/pcma"),
    ],
)
def test_ga_formats_are_objects_and_bare_names_are_taken(sent: object, coded: str) -> None:
    assert updated("ga", audio={"input": {"format": sent}}).input.format == AudioFormat(coded)  # type: ignore[arg-type]


@pytest.mark.parametrize("strict", [False, True])
def test_a_transcription_session_is_updated_in_preview(strict: bool) -> None:
    session = {
        "input_audio_format": "pcm16",
        "input_audio_transcription": {"model": "gpt-4o-transcribe", "language": "en"},
        "turn_detection": None,
        "input_audio_noise_reduction": {"type": "far_field"},
        "include": ["item.input_audio_transcription.logprobs"],
        "modalities": ["whatever"],
        "client_secret": {"expires_at": {"anchor": "created_at"}},
    }

    command = decoded(
        "preview", {"type": "transcription_session.update", "session": session}, strict=strict
    )

    assert command == UpdateSession(
        update=SessionUpdate(
            type="transcription",
            include=("item.input_audio_transcription.logprobs",),
            input=AudioInputUpdate(
                format=AudioFormat(),
                transcription=Transcription("gpt-4o-transcribe", "en"),
                noise_reduction=NoiseReduction("far_field"),
                turn_detection=None,
            ),
        ),
        as_transcription=True,
    )


OF_REALTIME = {
    "instructions": "x",
    "tools": [],
    "temperature": 0.7,
    "voice": "echo",
    "max_response_output_tokens": 5,
    "tracing": "auto",
}


@BOTH
def test_what_only_a_realtime_session_has_does_not_change_a_transcription(
    dialect: Dialect,
) -> None:
    ignored: list[str] = []
    event = {"type": "transcription_session.update", "session": {"turn_detection": None}}
    event["session"] |= OF_REALTIME  # type: ignore[operator]

    command = codec(dialect, on_ignored=ignored.append).decode(json.dumps(event))

    assert command == UpdateSession(
        update=SessionUpdate(type="transcription", input=AudioInputUpdate(turn_detection=None)),
        as_transcription=True,
    )
    assert sorted(ignored) == sorted(f"session.{key}" for key in OF_REALTIME)


@pytest.mark.parametrize("key", [*OF_REALTIME, "id", "model", "output_audio_format", "speed"])
def test_strict_mode_refuses_it(key: str) -> None:
    event = {
        "type": "transcription_session.update",
        "session": {key: OF_REALTIME.get(key, "pcm16")},
    }

    assert refused("preview", event, strict=True) == unknown(f"session.{key}")


def test_a_ga_session_of_type_transcription_has_its_input_alone() -> None:
    ignored: list[str] = []
    session = {
        "type": "transcription",
        "model": "whisper-1",
        "instructions": "x",
        "include": None,
        "audio": {
            "input": {"turn_detection": {"type": "semantic_vad"}},
            "output": {"voice": "echo"},
        },
    }
    frame = json.dumps({"type": "session.update", "session": session})

    command = codec("ga", on_ignored=ignored.append).decode(frame)

    assert command == UpdateSession(
        update=SessionUpdate(
            type="transcription",
            include=None,
            input=AudioInputUpdate(turn_detection=DetectionUpdate(SemanticVad)),
        )
    )
    assert ignored == ["session.instructions", "session.audio.output"]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"instructions": "x"}, "session.instructions"),
        ({"output_modalities": ["text"]}, "session.output_modalities"),
        ({"audio": {"output": {}}}, "session.audio.output"),
        ({"modalities": ["text"]}, "session.modalities"),
    ],
)
def test_strict_mode_refuses_the_rest(more: dict[str, object], param: str) -> None:
    session = {"type": "transcription", **more}

    refusal = refused("ga", {"type": "session.update", "session": session}, strict=True)

    assert refusal == unknown(param)


@BOTH
def test_a_message_of_the_user_may_hold_text_and_audio(dialect: Dialect) -> None:
    content = [
        {"type": "input_text", "text": "Hear:"},
        {"type": "input_audio", "audio": "AAEC", "transcript": "Hello."},
        {"type": "input_audio", "transcript": None},
    ]

    command = added(dialect, id="i", type="message", role="user", content=content)

    parts = (InputText("Hear:"), InputAudio(0, 24000, "Hello."), InputAudio(0, 24000))
    assert command == CreateItem(
        item=Message("i", "user", parts), audio=(ItemAudio(1, b"\x00\x01\x02"),)
    )


def test_a_message_of_the_user_may_hold_a_picture_in_ga() -> None:
    content = [{"type": "input_image", "image_url": PICTURE, "detail": "low"}]

    command = added("ga", type="message", role="user", content=content)

    assert command.item == Message("", "user", (InputImage(PICTURE, "low"),))


@BOTH
def test_an_item_with_a_role_needs_no_type_and_its_status_is_ignored(dialect: Dialect) -> None:
    content = [{"type": "input_text", "text": "Rules."}]

    command = added(
        dialect, role="system", content=content, status="incomplete", object="realtime.item"
    )

    assert command.item == Message("", "system", (InputText("Rules."),))


@pytest.mark.parametrize("strict", [False, True])
def test_the_assistants_text_has_its_own_type_in_each_dialect(strict: bool) -> None:
    for dialect, kind in (("ga", "output_text"), ("preview", "text")):
        content = [{"type": kind, "text": "Hi."}]

        command = added(dialect, strict=strict, type="message", role="assistant", content=content)  # type: ignore[arg-type]

        assert command.item == Message("", "assistant", (OutputText("Hi."),))


@BOTH
@pytest.mark.parametrize("call_id", [None, "call_1"])
def test_a_function_call_may_come_without_a_call_id(dialect: Dialect, call_id: str | None) -> None:
    named: dict[str, Any] = {"call_id": call_id} if call_id else {}

    command = added(dialect, type="function_call", name="f", arguments="{}", **named)

    assert command.item == FunctionCall("", "f", call_id or "", "{}")


@BOTH
def test_the_output_of_a_function_goes_after_the_item_that_is_named(dialect: Dialect) -> None:
    item = {"id": "o", "type": "function_call_output", "call_id": "call_1", "output": "3"}
    event = {"type": "conversation.item.create", "previous_item_id": "root", "item": item}

    command = decoded(dialect, event)

    assert command == CreateItem(
        item=FunctionCallOutput("o", "call_1", "3"), previous_item_id="root"
    )


@pytest.mark.parametrize("strict", [False, True])
def test_a_ga_response_is_created_as_asked(strict: bool) -> None:
    command = created(
        "ga",
        strict=strict,
        output_modalities=["audio"],
        instructions="Shout.",
        audio={"output": {"format": {"type": "audio/pcma"}, "voice": "cedar"}},
        tools=[{"type": "function", "name": "f"}],
        tool_choice="none",
        max_output_tokens=4096,
        parallel_tool_calls=False,
        reasoning={"effort": "high"},
        prompt={"id": "p"},
        conversation="none",
        metadata={"topic": "x"},
        input=[
            {"type": "item_reference", "id": "i1"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        ],
    )

    assert command == CreateResponse(
        output_modality="audio",
        instructions="Shout.",
        voice="cedar",
        format=AudioFormat("audio/pcma"),
        tools=(FunctionTool("f"),),
        tool_choice="none",
        max_output_tokens=4096,
        parallel_tool_calls=False,
        reasoning_effort="high",
        conversation="none",
        metadata={"topic": "x"},
        input=(ItemReference("i1"), Message("", "user", (InputText("Hi"),))),
    )


@pytest.mark.parametrize("strict", [False, True])
def test_a_preview_response_is_created_as_asked(strict: bool) -> None:
    command = created(
        "preview",
        strict=strict,
        modalities=["text"],
        voice="ash",
        output_audio_format="g711_ulaw",
        temperature=0.6,
        max_response_output_tokens=1,
        input=[],
        metadata=None,
    )

    assert command == CreateResponse(
        output_modality="text",
        voice="ash",
        format=AudioFormat("audio/pcmu"),
        temperature=0.6,
        max_output_tokens=1,
        input=(),
    )


@pytest.mark.parametrize("strict", [False, True])
def test_preview_knows_the_limit_of_tokens_under_both_of_its_names(strict: bool) -> None:
    assert created("preview", strict=strict, max_output_tokens=7).max_output_tokens == 7


@BOTH
@pytest.mark.parametrize("strict", [False, True])
def test_audio_in_the_input_of_a_response_comes_along_with_its_place(
    dialect: Dialect, strict: bool
) -> None:
    parts = [
        {"type": "input_text", "text": "Hear:"},
        {"type": "input_audio", "audio": "AAEC", "transcript": "Hello."},
    ]
    listed = [
        {"type": "item_reference", "id": "i"},
        {"type": "message", "role": "user", "content": parts},
    ]

    command = created(dialect, strict=strict, input=listed)

    said = (InputText("Hear:"), InputAudio(0, 24000, "Hello."))
    assert command == CreateResponse(
        input=(ItemReference("i"), Message("", "user", said)),
        audio=(ListedAudio(1, 1, b"\x00\x01\x02"),),
    )


def test_preview_needs_no_arguments_in_a_call() -> None:
    assert added("preview", type="function_call", name="f").item == FunctionCall("", "f", "", "")
