"""What is taken although it is not the dialect's own; classes cite README section 5 by number.

Each has its counterpart in strict mode, which refuses as the real service does.
"""

import json
from typing import ClassVar

import pytest
from dialect_wire import added, created, decoded, refused, refused_update, updated

from vivavoce.core.commands import (
    CreateItem,
    CreateResponse,
    ItemAudio,
    TruncateItem,
    UpdateSession,
)
from vivavoce.core.errors import Refusal
from vivavoce.core.items import (
    FunctionCallOutput,
    InputAudio,
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
    ServerVad,
    SessionUpdate,
    Transcription,
)
from vivavoce.dialects.api import Dialect, codec
from vivavoce.dialects.refusals import unknown

BOTH = pytest.mark.parametrize("dialect", ["ga", "preview"])


class TestRule1NoTypeOfSession:
    def test_the_type_is_the_sessions_own(self) -> None:
        assert updated("ga", instructions="x") == SessionUpdate(instructions="x")

    def test_strict_mode_misses_it(self) -> None:
        refusal = refused_update("ga", strict=True, instructions="x")

        assert (refusal.code, refusal.param) == ("missing_required_parameter", "session.type")


class TestRule2UnknownKeys:
    def test_a_misspelt_key_is_passed_over(self) -> None:
        detection = {"type": "server_vad", "threshold": 0.5, "create_responese": True}

        update = updated("ga", audio={"input": {"turn_detection": detection}})

        assert update.input.turn_detection == DetectionUpdate(ServerVad, {"threshold": 0.5})

    @BOTH
    def test_a_key_is_told_once_a_connection_by_its_path(self, dialect: Dialect) -> None:
        ignored: list[str] = []
        one = codec(dialect, on_ignored=ignored.append)
        tools = [{"type": "function", "name": "f", "strict": True}]
        event = {"type": "session.update", "session": {"tools": tools, "colour": "red"}}

        for _ in range(2):
            one.decode(json.dumps(event))

        assert ignored == ["session.colour", "session.tools[0].strict"] or ignored == [
            "session.tools[0].strict",
            "session.colour",
        ]

    def test_only_so_many_keys_are_told(self) -> None:
        ignored: list[str] = []
        one = codec("ga", on_ignored=ignored.append)
        session = {f"k{n}{'x' * 1000}": n for n in range(1000)}

        one.decode(json.dumps({"type": "session.update", "session": session}))

        assert len(ignored) == 64
        assert {len(path) for path in ignored} == {200}

    def test_the_path_is_the_one_that_was_sent(self) -> None:
        ignored: list[str] = []
        session = {"turn_detection": {"type": "server_vad", "colour": "red"}}

        codec("preview", on_ignored=ignored.append).decode(
            json.dumps({"type": "session.update", "session": session})
        )

        assert ignored == ["session.turn_detection.colour"]

    @pytest.mark.parametrize(
        ("dialect", "event", "param"),
        [
            ("ga", {"type": "session.update", "session": {"a": 1}}, "session.a"),
            ("ga", {"type": "session.update", "session": {"modalities": []}}, "session.modalities"),
            (
                "ga",
                {"type": "session.update", "session": {"temperature": 1}},
                "session.temperature",
            ),
            (
                "ga",
                {"type": "session.update", "session": {"audio": {"input": {"b": 1}}}},
                "session.audio.input.b",
            ),
            ("ga", {"type": "response.create", "response": {"commit": True}}, "response.commit"),
            (
                "preview",
                {"type": "session.update", "session": {"audio": {}}},
                "session.audio",
            ),
            ("preview", {"type": "session.update", "session": {"prompt": None}}, "session.prompt"),
            (
                "preview",
                {"type": "response.create", "response": {"prompt": "x"}},
                "response.prompt",
            ),
            (
                "preview",
                {
                    "type": "session.update",
                    "session": {"turn_detection": {"idle_timeout_ms": 9000}},
                },
                "session.turn_detection.idle_timeout_ms",
            ),
            (
                "preview",
                {
                    "type": "conversation.item.create",
                    "item": {
                        "role": "user",
                        "content": [{"type": "input_text", "text": "", "x": 1}],
                    },
                },
                "item.content[0].x",
            ),
            ("ga", {"type": "input_audio_buffer.append", "audio": "", "x": 1}, "x"),
            ("ga", {"type": "input_audio_buffer.commit", "x": 1}, "x"),
        ],
    )
    def test_strict_mode_refuses_it(self, dialect: Dialect, event: object, param: str) -> None:
        refusal = refused(dialect, event, strict=True)

        assert refusal == unknown(param)
        assert refusal.message == f"Unknown parameter: '{param}'."


class TestRule3OldFieldsOfResponses:
    def test_preview_commits_and_cancels_first(self) -> None:
        response = {"commit": True, "cancel_previous": True, "instructions": "x"}
        event = {"event_id": None, "type": "response.create", "response": response}

        assert decoded("preview", event) == CreateResponse(
            instructions="x", commit=True, cancel_previous=True
        )

    @pytest.mark.parametrize("sent", [True, False])
    def test_whether_to_cancel_or_to_wait_is_told_apart(self, sent: bool) -> None:
        assert created("preview", cancel_previous=sent).cancel_previous is sent
        assert created("preview", cancel_previous=None).cancel_previous is None
        assert created("preview").cancel_previous is None

    def test_in_ga_they_were_removed(self) -> None:
        orders = {"commit": True, "cancel_previous": True, "append_input_items": [3]}
        assert created("ga", **orders) == CreateResponse()  # type: ignore[arg-type]


class TestRule4PlainTextPrompt:
    @BOTH
    def test_it_is_one_more_message_of_the_user_for_this_response(self, dialect: Dialect) -> None:
        command = created(dialect, prompt="What is the capital of France?")

        said = Message("", "user", (InputText("What is the capital of France?"),))
        assert command == CreateResponse(extra=(said,))

    def test_it_comes_besides_the_listed_items(self) -> None:
        listed = {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}

        command = created("preview", prompt="x", input=[listed])

        assert command.input == (Message("", "user", (InputText("Hi"),)),)
        assert command.extra == (Message("", "user", (InputText("x"),)),)

    def test_a_stored_prompt_is_none(self) -> None:
        assert created("preview", prompt={"id": "p"}) == CreateResponse()

    def test_strict_ga_wants_a_stored_one(self) -> None:
        event = {"type": "response.create", "response": {"prompt": "x"}}

        refusal = refused("ga", event, strict=True)

        assert (refusal.code, refusal.param) == ("invalid_type", "response.prompt")


class TestRule5TurnDetectionNone:
    @BOTH
    @pytest.mark.parametrize("more", [{}, {"threshold": 0.5, "create_response": None}])
    def test_it_is_no_turn_detection(self, dialect: Dialect, more: dict[str, object]) -> None:
        none = {"type": "none", **more}

        assert updated(dialect, turn_detection=none).input.turn_detection is None
        nested = updated(dialect, audio={"input": {"turn_detection": none}})
        assert nested.input.turn_detection is None

    def test_preview_has_it_even_in_strict_mode(self) -> None:
        update = updated("preview", strict=True, turn_detection={"type": "none"})

        assert update.input.turn_detection is None

    def test_strict_ga_refuses_it(self) -> None:
        audio = {"input": {"turn_detection": {"type": "none"}}}
        refusal = refused_update("ga", strict=True, type="realtime", audio=audio)

        assert refusal.param == "session.audio.input.turn_detection.type"
        assert (
            refusal.message
            == "Invalid value: 'none'. Supported values are: 'server_vad', 'semantic_vad'."
        )


class TestRule6Hyphens:
    @pytest.mark.parametrize(
        ("name", "coded"), [("g711-ulaw", "audio/pcmu"), ("g711-alaw", "audio/pcma")]
    )
    def test_they_are_underscores(self, name: str, coded: str) -> None:
        assert updated("preview", output_audio_format=name).output.format == AudioFormat(coded)  # type: ignore[arg-type]

    def test_strict_mode_refuses_them(self) -> None:
        refusal = refused_update("preview", strict=True, input_audio_format="g711-ulaw")

        assert refusal.param == "session.input_audio_format"


class TestRule7ToolChoice:
    @BOTH
    @pytest.mark.parametrize(
        "choice",
        [
            {"type": "function", "name": "f"},
            {"type": "function", "function": {"name": "f"}},
            {"type": "function", "function": "f"},
        ],
    )
    def test_the_function_is_found_wherever_it_is_named(
        self, dialect: Dialect, choice: object
    ) -> None:
        assert updated(dialect, tool_choice=choice).tool_choice == NamedTool("f")
        assert created(dialect, tool_choice=choice).tool_choice == NamedTool("f")

    def test_strict_mode_knows_one_form(self) -> None:
        choice = {"type": "function", "function": "f"}

        refusal = refused_update("ga", strict=True, type="realtime", tool_choice=choice)

        assert refusal.param == "session.tool_choice.function"


class TestRule8ToolsOfChatCompletions:
    @BOTH
    def test_the_inner_object_is_the_tool(self, dialect: Dialect) -> None:
        tool = {"type": "function", "function": {"name": "f", "description": "d", "strict": True}}

        assert updated(dialect, tools=[tool]).tools == (FunctionTool("f", "d"),)

    def test_strict_mode_refuses_it(self) -> None:
        tool = {"type": "function", "function": {"name": "f"}}

        refusal = refused_update("ga", strict=True, type="realtime", tools=[tool])

        assert refusal.param == "session.tools[0].function"


class TestRule9TheOtherDialectsFields:
    def test_preview_fields_are_taken_in_ga(self) -> None:
        update = updated(
            "ga",
            modalities=["text"],
            voice="echo",
            speed=1.2,
            input_audio_format="g711_ulaw",
            output_audio_format="g711_alaw",
            input_audio_transcription={"model": "whisper-1"},
            input_audio_noise_reduction=None,
            turn_detection=None,
            max_response_output_tokens=5,
            temperature=0.8,
        )

        assert update == SessionUpdate(
            output_modality="text",
            max_output_tokens=5,
            input=AudioInputUpdate(
                format=AudioFormat("audio/pcmu"),
                transcription=Transcription("whisper-1"),
                noise_reduction=None,
                turn_detection=None,
            ),
            output=AudioOutputUpdate(format=AudioFormat("audio/pcma"), voice="echo", speed=1.2),
        )

    def test_ga_fields_are_taken_in_preview(self) -> None:
        update = updated(
            "preview",
            type="realtime",
            output_modalities=["audio"],
            max_output_tokens=5,
            audio={
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000},
                },
                "output": {"voice": "echo"},
            },
            truncation="disabled",
            parallel_tool_calls=True,
        )

        assert update == SessionUpdate(
            type="realtime",
            output_modality="audio",
            max_output_tokens=5,
            input=AudioInputUpdate(format=AudioFormat(), turn_detection=DetectionUpdate(ServerVad)),
            output=AudioOutputUpdate(voice="echo"),
        )

    def test_a_response_takes_them_as_well(self) -> None:
        preview = {"modalities": ["text"], "voice": "ash", "output_audio_format": "pcm16"}
        ga = {
            "output_modalities": ["text"],
            "audio": {"output": {"voice": "ash", "format": {"type": "audio/pcm"}}},
        }

        asked = CreateResponse(output_modality="text", voice="ash", format=AudioFormat())
        assert created("ga", **preview) == created("preview", **ga) == asked  # type: ignore[arg-type]

    def test_the_dialects_own_field_goes_first(self) -> None:
        audio = {"output": {"voice": "cedar"}}

        assert updated("ga", voice="echo", audio=audio).output.voice == "cedar"
        assert updated("preview", voice="echo", audio=audio).output.voice == "echo"

    def test_a_fault_is_named_as_the_field_was_sent(self) -> None:
        assert refused_update("ga", speed=9).param == "session.speed"
        assert refused_update("preview", audio={"output": {"speed": 9}}).param == (
            "session.audio.output.speed"
        )

    @BOTH
    def test_items_to_answer_have_an_older_name(self, dialect: Dialect) -> None:
        item = {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}

        command = created(dialect, input_items=[item])

        assert command == CreateResponse(input=(Message("", "user", (InputText("Hi"),)),))

    def test_preview_appends_items_first(self) -> None:
        said = {"role": "user", "content": [{"type": "input_audio", "audio": "AAEC"}]}
        output = {"type": "function_call_output", "call_id": "c", "output": "3"}

        command = created("preview", append_input_items=[said, output])

        audio = Message("", "user", (InputAudio(0, 24000),))
        assert command == CreateResponse(
            append=(
                CreateItem(item=audio, audio=(ItemAudio(0, b"\x00\x01\x02"),)),
                CreateItem(item=FunctionCallOutput("", "c", "3")),
            )
        )

    def test_an_appended_item_is_named_where_it_lies(self) -> None:
        event = {"type": "response.create", "response": {"append_input_items": [{"role": "user"}]}}

        assert refused("preview", event).param == "response.append_input_items[0].content"

    def test_a_turn_detection_of_previews_needs_no_type_in_ga(self) -> None:
        detection = {"silence_duration_ms": 700}

        update = updated("ga", turn_detection=detection)

        assert update.input.turn_detection == DetectionUpdate(ServerVad, detection)

    def test_one_of_gas_own_does(self) -> None:
        refusal = refused_update("ga", audio={"input": {"turn_detection": {"threshold": 0.5}}})

        assert refusal.code == "missing_required_parameter"
        assert refusal.param == "session.audio.input.turn_detection.type"


class TestRule10TranscriptionFieldsBesideTheType:
    def test_they_are_the_session(self) -> None:
        event = {
            "type": "transcription_session.update",
            "event_id": "e",
            "input_audio_format": "pcm16",
            "turn_detection": {"type": "none"},
        }

        assert decoded("preview", event) == UpdateSession(
            event_id="e",
            update=SessionUpdate(
                type="transcription",
                input=AudioInputUpdate(format=AudioFormat(), turn_detection=None),
            ),
            as_transcription=True,
        )

    def test_strict_mode_wants_them_inside(self) -> None:
        event = {"type": "transcription_session.update"}

        assert refused("preview", event, strict=True).param == "session"


class TestRule11TranscriptionSessionsInGa:
    def test_the_update_is_taken(self) -> None:
        event = {"type": "transcription_session.update", "session": {"turn_detection": None}}

        assert decoded("ga", event) == decoded("preview", event)

    def test_strict_mode_does_not_know_it(self) -> None:
        event = {"type": "transcription_session.update", "session": {}}

        assert refused("ga", event, strict=True).param == "type"


class TestRule12TrailingCommas:
    @BOTH
    def test_a_comma_before_a_closing_bracket_is_passed_over(self, dialect: Dialect) -> None:
        frame = (
            '{"type": "conversation.item.create", "item": {"role": "user", "content": ['
            '{"type": "input_text", "text": "a \\", ] b, }",}, \n ], }, }'
        )

        command = codec(dialect).decode(frame)

        assert command == added(
            dialect, role="user", content=[{"type": "input_text", "text": 'a ", ] b, }'}]
        )

    @pytest.mark.parametrize("frame", ['{"type": "x",, }', '{"type": "x}', '{"a": "\\', "[1,2,"])
    def test_what_is_broken_otherwise_stays_so(self, frame: str) -> None:
        with pytest.raises(Refusal) as caught:
            codec("ga").decode(frame)

        assert (caught.value.code, caught.value.param) == ("invalid_event", None)

    def test_strict_mode_refuses_it(self) -> None:
        with pytest.raises(Refusal) as caught:
            codec("ga", strict=True).decode('{"type": "response.create",}')

        assert caught.value.code == "invalid_event"


class TestRule13Modalities:
    @BOTH
    @pytest.mark.parametrize("sent", [["audio"], ["text", "audio"], ["audio", "text"]])
    def test_whatever_speaks_speaks(self, dialect: Dialect, sent: list[str]) -> None:
        assert updated(dialect, modalities=sent).output_modality == "audio"
        assert created(dialect, output_modalities=sent).output_modality == "audio"

    def test_strict_preview_wants_both_or_text(self) -> None:
        refusal = refused_update("preview", strict=True, modalities=["audio"])

        assert refusal.param == "session.modalities"
        assert refusal.message == (
            "Invalid modalities: ['audio']. "
            "Supported combinations are: ['text'] and ['audio', 'text']."
        )

    def test_strict_ga_wants_one(self) -> None:
        both = ["text", "audio"]
        refusal = refused_update("ga", strict=True, type="realtime", output_modalities=both)

        assert refusal.param == "session.output_modalities"
        assert "Supported combinations are: ['text'] and ['audio']." in refusal.message

    @BOTH
    def test_none_at_all_is_refused(self, dialect: Dialect) -> None:
        assert refused_update(dialect, modalities=[]).param == "session.modalities"


@BOTH
def test_rule_14_the_model_is_ignored_silently(dialect: Dialect) -> None:
    ignored: list[str] = []
    frame = json.dumps({"type": "session.update", "session": {"model": "x"}})

    command = codec(dialect, on_ignored=ignored.append).decode(frame)

    assert command == UpdateSession(update=SessionUpdate())
    assert ignored == []


class TestRule15TextOfTheAssistant:
    @BOTH
    @pytest.mark.parametrize("kind", ["text", "output_text"])
    def test_both_spellings_are_taken(self, dialect: Dialect, kind: str) -> None:
        command = added(dialect, role="assistant", content=[{"type": kind, "text": "Hi."}])

        assert command.item == Message("", "assistant", (OutputText("Hi."),))

    @BOTH
    def test_but_not_for_the_user(self, dialect: Dialect) -> None:
        item = {"role": "user", "content": [{"type": "text", "text": "Hi."}]}

        refusal = refused(dialect, {"type": "conversation.item.create", "item": item})

        assert refusal.param == "item.content[0].type"

    @pytest.mark.parametrize(("dialect", "kind"), [("ga", "text"), ("preview", "output_text")])
    def test_strict_mode_knows_one(self, dialect: Dialect, kind: str) -> None:
        item = {"role": "assistant", "type": "message", "content": [{"type": kind, "text": "Hi."}]}

        refusal = refused(dialect, {"type": "conversation.item.create", "item": item}, strict=True)

        assert refusal.param == "item.content[0].type"


NULLS = {
    "type": "response.create",
    "response": {"instructions": None, "metadata": {"a": "b"}, "conversation": None},
}


class TestNullsThatSayNothing:
    """Not in the reference: clients write out all they know."""

    @BOTH
    @pytest.mark.parametrize(
        "audio", [None, {"input": None}, {"output": None}, {"input": None, "output": None}]
    )
    def test_a_null_in_the_place_of_audio_leaves_the_rest_of_a_session(
        self, dialect: Dialect, audio: object
    ) -> None:
        assert updated(dialect, instructions="x", audio=audio) == SessionUpdate(instructions="x")

    @BOTH
    def test_nor_does_it_stand_in_the_way_of_what_is_moved_there(self, dialect: Dialect) -> None:
        update = updated(dialect, voice="echo", turn_detection=None, audio={"output": None})

        assert update.output.voice == "echo"
        assert update.input.turn_detection is None

    @BOTH
    @pytest.mark.parametrize(
        "audio", [None, {"output": None}, {"output": {"voice": None, "format": None}}]
    )
    def test_nulls_within_a_response_leave_its_rest(self, dialect: Dialect, audio: object) -> None:
        command = created(dialect, instructions="x", audio=audio, tools=None)

        assert command == CreateResponse(instructions="x")

    def test_strict_mode_refuses_them(self) -> None:
        refusal = refused_update("ga", strict=True, type="realtime", audio={"input": None})

        assert (refusal.code, refusal.param) == ("invalid_type", "session.audio.input")


class TestWholeNumbersWithAFraction:
    """Not in the reference: some languages know no integers."""

    @BOTH
    def test_are_integers(self, dialect: Dialect) -> None:
        cut = {"item_id": "i", "content_index": 0.0, "audio_end_ms": 1500.0}

        command = decoded(dialect, {"type": "conversation.item.truncate", **cut})

        assert command == TruncateItem(item_id="i", content_index=0, audio_end_ms=1500)
        assert isinstance(command.audio_end_ms, int)

    @BOTH
    def test_in_sessions_too(self, dialect: Dialect) -> None:
        detection = {"type": "server_vad", "prefix_padding_ms": 300.0, "silence_duration_ms": 2e2}

        update = updated(dialect, max_output_tokens=100.0, turn_detection=detection)

        assert repr(update.max_output_tokens) == "100"
        sent = {"prefix_padding_ms": 300, "silence_duration_ms": 200}
        assert repr(update.input.turn_detection) == repr(DetectionUpdate(ServerVad, sent))

    def test_but_not_in_what_is_only_carried(self) -> None:
        schema = {"type": "number", "minimum": 1.0}
        tool = {"type": "function", "name": "f", "parameters": schema}

        (read,) = updated("ga", tools=[tool], max_output_tokens=5.0).tools or ()

        assert repr(read.parameters) == repr(schema)

    def test_strict_mode_refuses_them(self) -> None:
        cut = {"item_id": "i", "content_index": 0, "audio_end_ms": 1500.0}

        refusal = refused("ga", {"type": "conversation.item.truncate", **cut}, strict=True)

        assert (refusal.code, refusal.param) == ("invalid_type", "audio_end_ms")


class TestKeysOfNoUse:
    HEARD: ClassVar[dict[str, object]] = {
        "transcription": {"model": "m", "languages": ["de"], "keywords": ["x"], "delay": "low"},
        "noise_reduction": {"type": "near_field", "strength": 0.5},
    }

    @BOTH
    def test_are_told_like_unknown_ones(self, dialect: Dialect) -> None:
        ignored: list[str] = []
        session = {"audio": {"input": self.HEARD}}
        frame = json.dumps({"type": "session.update", "session": session})

        codec(dialect, on_ignored=ignored.append).decode(frame)

        assert sorted(ignored) == [
            "session.audio.input.noise_reduction.strength",
            "session.audio.input.transcription.delay",
            "session.audio.input.transcription.keywords",
            "session.audio.input.transcription.languages",
        ]

    def test_strict_ga_knows_them(self) -> None:
        ignored: list[str] = []
        session = {"type": "realtime", "audio": {"input": self.HEARD}}
        frame = json.dumps({"type": "session.update", "session": session})

        command = codec("ga", strict=True, on_ignored=ignored.append).decode(frame)

        assert isinstance(command, UpdateSession)
        assert command.update.input.transcription == Transcription("m")
        assert ignored == []


class TestWhatOnlyGaHas:
    @pytest.mark.parametrize(
        ("session", "code", "param"),
        [
            ({"input_audio_format": {"type": "audio/pcm"}}, "invalid_type", "input_audio_format"),
            ({"output_audio_format": {"type": "audio/pcm"}}, "invalid_type", "output_audio_format"),
            ({"voice": {"id": "voice_1"}}, "invalid_type", "voice"),
            *(
                (
                    {"input_audio_transcription": {"model": "m", key: None}},
                    "unknown_parameter",
                    f"input_audio_transcription.{key}",
                )
                for key in ("languages", "keywords", "delay")
            ),
            (
                {"input_audio_noise_reduction": {"type": "near_field", "strength": 1}},
                "unknown_parameter",
                "input_audio_noise_reduction.strength",
            ),
            (
                {"turn_detection": {"idle_timeout_ms": None}},
                "unknown_parameter",
                "turn_detection.idle_timeout_ms",
            ),
        ],
    )
    def test_is_refused_by_strict_preview(
        self, session: dict[str, object], code: str, param: str
    ) -> None:
        refusal = refused_update("preview", strict=True, **session)

        assert (refusal.code, refusal.param) == (code, f"session.{param}")

    def test_nor_may_a_response_have_it(self) -> None:
        event = {"type": "response.create", "response": {"voice": {"id": "voice_1"}}}

        assert refused("preview", event, strict=True).param == "response.voice"

    def test_is_taken_otherwise(self) -> None:
        update = updated(
            "preview", voice={"id": "voice_1"}, input_audio_format={"type": "audio/pcmu"}
        )

        assert update.output.voice == CustomVoice("voice_1")
        assert update.input.format == AudioFormat("audio/pcmu")
        assert created("preview", voice={"id": "voice_1"}).voice == CustomVoice("voice_1")


class TestMcp:
    TOOL: ClassVar[dict[str, object]] = {
        "type": "mcp",
        "server_label": "s",
        "server_url": "https://a.example",
        "require_approval": "never",
    }

    @BOTH
    @pytest.mark.parametrize("strict", [False, True])
    def test_a_tool_is_refused_by_its_type_and_nothing_is_said_to_be_ignored(
        self, dialect: Dialect, strict: bool
    ) -> None:
        ignored: list[str] = []
        tools = [{"type": "function", "name": "f"}, self.TOOL]
        frame = json.dumps({"type": "session.update", "session": {"tools": tools}})

        with pytest.raises(Refusal) as caught:
            codec(dialect, strict=strict, on_ignored=ignored.append).decode(frame)

        assert (caught.value.code, caught.value.param) == ("invalid_value", "session.tools[1].type")
        assert ignored == []

    @pytest.mark.parametrize("strict", [False, True])
    def test_so_is_the_choice_of_one(self, strict: bool) -> None:
        choice = {"type": "mcp", "server_label": "s", "name": "t"}

        refusal = refused_update("ga", strict=strict, type="realtime", tool_choice=choice)

        assert (refusal.code, refusal.param) == ("invalid_value", "session.tool_choice.type")


class TestDescriptions:
    @pytest.mark.parametrize("length", [1024, 1025])
    def test_are_of_any_length(self, length: int) -> None:
        tool = {"type": "function", "name": "f", "description": "d" * length}

        assert updated("ga", tools=[tool]).tools == (FunctionTool("f", "d" * length),)

    @BOTH
    def test_strict_mode_takes_1024_characters(self, dialect: Dialect) -> None:
        def tools(length: int) -> list[object]:
            return [{"type": "function", "name": "f", "description": "d" * length}]

        assert created(dialect, strict=True, tools=tools(1024)).tools
        event = {"type": "response.create", "response": {"tools": tools(1025)}}
        refusal = refused(dialect, event, strict=True)
        assert refusal.code == "string_above_max_length"
        assert refusal.param == "response.tools[0].description"


class TestNullsOfAResponse:
    """Not in the reference: LiveKit names what it does not set."""

    @BOTH
    def test_are_as_good_as_absent(self, dialect: Dialect) -> None:
        assert decoded(dialect, NULLS) == CreateResponse(metadata={"a": "b"})

    def test_strict_mode_refuses_them(self) -> None:
        assert refused("ga", NULLS, strict=True).param == "response.instructions"
