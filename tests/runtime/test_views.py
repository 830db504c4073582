"""What a channel sees of its session and may ask of it, by its view.

The canary is a word that stands wherever a client secret may lock something; whatever a locked view
shows is written in both dialects and searched for it.
"""

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core import commands, events, signals
from vivavoce.core.commands import AnyCommand, ItemReference
from vivavoce.core.conversation import Conversation
from vivavoce.core.errors import Refusal
from vivavoce.core.events import ServerEvent
from vivavoce.core.items import (
    FunctionCall,
    FunctionCallOutput,
    InputText,
    Item,
    Message,
    OutputAudio,
    OutputText,
)
from vivavoce.core.locks import LOCKABLE
from vivavoce.core.settings import (
    AudioFormat,
    AudioInput,
    AudioInputUpdate,
    AudioOutput,
    AudioOutputUpdate,
    CustomVoice,
    FunctionTool,
    NamedTool,
    NoiseReduction,
    RetentionRatio,
    SemanticVad,
    SessionSettings,
    SessionUpdate,
    Transcription,
)
from vivavoce.dialects.api import codec
from vivavoce.runtime.channel import View
from vivavoce.runtime.views import WEBRTC_FILTER, Sight
from vivavoce.testing.conversations import Talk, events_in

CANARY = "nightingale"
EVENT = "event_1"
EVERYTHING = frozenset(LOCKABLE)
FILTERED = frozenset({"instructions", "tools"})
BROWSER, SIDEBAND = 0, 1

SPOKEN = Message("item_a", "assistant", (OutputAudio("Hello.", "Hello.", 24000, 24000),))
HEARD = Message("item_u", "user", (InputText("Hear:"),))
RULES = Message("item_s", "system", (InputText(f"Say {CANARY}."),))
CALL = FunctionCall("item_c", CANARY, "call_1", f'{{"in":"{CANARY}"}}')
ANSWER = FunctionCallOutput("item_o", "call_1", CANARY)

OPEN = SessionSettings(instructions="")
# No value in it is the default, and none is what a test would write by chance.
CAGED = SessionSettings(
    instructions=f"Never say {CANARY}.",
    tools=(FunctionTool(CANARY, f"Tells of the {CANARY}.", {CANARY: {"enum": [CANARY]}}),),
    tool_choice=NamedTool(CANARY),
    prompt={"id": CANARY, "variables": {CANARY: CANARY}},
    tracing={"workflow_name": CANARY, "metadata": {CANARY: CANARY}},
    output_modality="text",
    max_output_tokens=3571,
    temperature=1.1357,
    truncation=RetentionRatio(0.7531, 13579),
    include=("item.input_audio_transcription.logprobs",),
    reasoning_effort="xhigh",
    parallel_tool_calls=False,
    input=AudioInput(
        transcription=Transcription(CANARY, CANARY, CANARY),
        noise_reduction=NoiseReduction("far_field"),
        turn_detection=SemanticVad("low"),
    ),
    output=AudioOutput(voice=CustomVoice(CANARY), speed=1.2468),
)
# What a locked field looks like on the wire.
TRACES = (
    *(CANARY, "3571", "1.1357", "0.7531", "13579", "logprobs", "xhigh", "parallel_tool_calls"),
    *("far_field", "semantic_vad", "1.2468"),
)


def session(settings: SessionSettings) -> events.SessionView:
    return events.SessionView("sess_1", settings, 1785217648)


def response(output: Sequence[Item] = (), **more: Any) -> events.ResponseView:
    fields: dict[str, Any] = {
        "id": "resp_1",
        "status": "in_progress",
        "conversation_id": "conv_1",
        "output_modality": "audio",
        "format": AudioFormat(),
        "voice": "alloy",
        "temperature": 0.8,
        "max_output_tokens": None,
        "metadata": None,
        "output": tuple(output),
    }
    return events.ResponseView(**(fields | more))


FAILURE = events.StatusDetails(None, "server_error", f"no grammar for the tool {CANARY}")
BLOTTED = "It failed. The client secret keeps the reason from this connection."
CAGED_RESPONSE = response(
    (CALL, SPOKEN),
    status="failed",
    voice=CustomVoice(CANARY),
    temperature=1.1357,
    max_output_tokens=3571,
    status_details=FAILURE,
)
FREE_RESPONSE = response(
    (SPOKEN,),
    status="failed",
    status_details=msgspec.structs.replace(FAILURE, error_message=BLOTTED),
)

PART: dict[str, Any] = {
    "event_id": EVENT,
    "response_id": "resp_1",
    "item_id": "item_a",
    "output_index": 0,
    "content_index": 0,
}
OUTPUT: dict[str, Any] = {"event_id": EVENT, "response_id": "resp_1", "output_index": 0}
PLACED: dict[str, Any] = {"event_id": EVENT, "previous_item_id": None}


def error(refusal: Refusal) -> events.ErrorRaised:
    return events.ErrorRaised(event_id=EVENT, refusal=refusal)


# Each kind of event that passes whatever is locked.
PASSING: tuple[ServerEvent, ...] = (
    events.ConversationCreated(event_id=EVENT, conversation_id="conv_1"),
    error(Refusal("No.", param="item.id", event_id="mine")),
    events.ItemAdded(**PLACED, item=HEARD),
    events.ItemDone(**PLACED, item=SPOKEN),
    events.ItemRetrieved(event_id=EVENT, item=SPOKEN),
    events.ItemTruncated(event_id=EVENT, item_id="item_a", content_index=0, audio_end_ms=5),
    events.ItemDeleted(event_id=EVENT, item_id="item_a"),
    events.TranscriptionDelta(event_id=EVENT, item_id="item_u", delta="Hel"),
    events.TranscriptionCompleted(
        event_id=EVENT,
        item_id="item_u",
        transcript="Hello.",
        usage=events.TranscriptionUsage(seconds=3),
    ),
    events.SpeechStarted(event_id=EVENT, item_id="item_u", audio_start_ms=1460),
    events.SpeechStopped(event_id=EVENT, item_id="item_u", audio_end_ms=4256),
    events.AudioCommitted(**PLACED, item_id="item_u"),
    events.AudioCleared(event_id=EVENT),
    events.TimeoutTriggered(event_id=EVENT, item_id="i", audio_start_ms=0, audio_end_ms=5000),
    events.OutputStarted(event_id=EVENT, response_id="resp_1"),
    events.OutputStopped(event_id=EVENT, response_id="resp_1"),
    events.OutputCleared(event_id=EVENT, response_id="resp_1"),
    events.ResponseCreated(event_id=EVENT, response=response()),
    events.ResponseDone(event_id=EVENT, response=response((SPOKEN,), status="completed")),
    events.OutputItemAdded(**OUTPUT, item=SPOKEN),
    events.OutputItemDone(**OUTPUT, item=SPOKEN),
    events.PartAdded(**PART, kind="audio"),
    events.PartDone(**PART, kind="audio", words="Hello."),
    events.TextDelta(**PART, delta="Hel"),
    events.TextDone(**PART, text="Hello."),
    events.AudioDelta(**PART, audio=b"\0\1", format=AudioFormat()),
    events.AudioDone(**PART),
    events.AudioTranscriptDelta(**PART, delta="Hel"),
    events.AudioTranscriptDone(**PART, transcript="Hello."),
    events.RateLimitsUpdated(event_id=EVENT, begins=True, rate_limits=()),
    events.SessionCreated(event_id=EVENT, session=session(OPEN)),
    events.SessionUpdated(event_id=EVENT, session=session(OPEN)),
)
# What is locked, and what becomes of it.
SCREENED: tuple[tuple[ServerEvent, ServerEvent | None], ...] = (
    (
        events.SessionCreated(event_id=EVENT, session=session(CAGED)),
        events.SessionCreated(event_id=EVENT, session=session(OPEN)),
    ),
    (
        events.SessionUpdated(event_id=EVENT, session=session(CAGED)),
        events.SessionUpdated(event_id=EVENT, session=session(OPEN)),
    ),
    *(
        (made(**PLACED, item=item), None)
        for made in (events.ItemAdded, events.ItemDone)
        for item in (RULES, CALL, ANSWER)
    ),
    *((events.ItemRetrieved(event_id=EVENT, item=item), None) for item in (RULES, CALL, ANSWER)),
    *(
        (made(**OUTPUT, item=CALL), None)
        for made in (events.OutputItemAdded, events.OutputItemDone)
    ),
    (events.ArgumentsDelta(**OUTPUT, item_id="item_c", call_id="call_1", delta=CANARY), None),
    (events.ArgumentsDone(**OUTPUT, call=CALL), None),
    *(
        (
            made(event_id=EVENT, response=CAGED_RESPONSE),
            made(event_id=EVENT, response=FREE_RESPONSE),
        )
        for made in (events.ResponseCreated, events.ResponseDone)
    ),
    (
        events.TranscriptionFailed(event_id=EVENT, item_id="item_u", code="c", message=CANARY),
        events.TranscriptionFailed(event_id=EVENT, item_id="item_u", code="c", message=BLOTTED),
    ),
)


def written(event: ServerEvent | None) -> bytes:
    """All the ways in which an event may go out."""
    if event is None:
        return b""
    return b"".join(
        frame
        for dialect in ("ga", "preview")
        for azure in (False, True)
        for frame in codec(dialect, azure=azure).encode(event)
    )


def shown(sight: Sight, told: Sequence[ServerEvent]) -> list[ServerEvent]:
    """What is left of a stream of events."""
    return [seen for event in told if (seen := sight.shown(event)) is not None]


# Events, one at a time.


def test_these_are_all_the_events_there_are() -> None:
    known = {type(event) for event in (*PASSING, *(before for before, _ in SCREENED))}

    assert known == set(get_args(ServerEvent))


@pytest.mark.parametrize("event", PASSING, ids=lambda event: type(event).__name__)
def test_what_holds_nothing_locked_passes_every_lock(event: ServerEvent) -> None:
    assert Sight(View(locked=EVERYTHING)).shown(event) == event


@pytest.mark.parametrize(("event", "seen"), SCREENED, ids=lambda event: type(event).__name__)
def test_of_what_is_locked_the_client_sees_a_blank(
    event: ServerEvent, seen: ServerEvent | None
) -> None:
    assert Sight(View(locked=EVERYTHING)).shown(event) == seen


@pytest.mark.parametrize("event", [*PASSING, *(before for before, _ in SCREENED)])
def test_an_open_view_passes_each_event_on_as_it_is(event: ServerEvent) -> None:
    assert Sight(View()).shown(event) is event


@pytest.mark.parametrize("event", [before for before, _ in SCREENED])
def test_no_frame_to_a_locked_client_holds_the_canary(event: ServerEvent) -> None:
    frames = written(Sight(View(locked=EVERYTHING)).shown(event))

    assert not [trace for trace in TRACES if trace.encode() in frames]
    assert CANARY.encode() in written(event)  # so the bird would be heard


def test_every_setting_can_be_locked_but_for_what_the_client_needs_to_connect() -> None:
    leaves = {
        *(name for name in SessionSettings.__struct_fields__ if name not in ("input", "output")),
        *(f"input.{name}" for name in AudioInput.__struct_fields__),
        *(f"output.{name}" for name in AudioOutput.__struct_fields__),
    }

    lockable = {each.setting for each in LOCKABLE.values()}

    assert leaves - lockable == {"type", "model", "input.format", "output.format"}
    assert lockable <= leaves


@pytest.mark.parametrize("name", LOCKABLE)
def test_a_lock_blots_its_own_field_and_no_other(name: str) -> None:
    # Tools take along the name of the one that has to be called, which is set apart here.
    caged = msgspec.structs.replace(CAGED, tool_choice="required")
    event = events.SessionUpdated(event_id=EVENT, session=session(caged))

    seen = Sight(View(locked=frozenset({name}))).shown(event)

    assert isinstance(seen, events.SessionUpdated)
    for other, each in LOCKABLE.items():
        value = attrgetter(each.setting)
        expected = OPEN if other == name else caged
        assert value(seen.session.settings) == value(expected), other


def test_locked_tools_take_along_the_name_of_the_one_that_has_to_be_called() -> None:
    event = events.SessionUpdated(event_id=EVENT, session=session(CAGED))

    seen = Sight(View(locked=frozenset({"tools"}))).shown(event)

    assert isinstance(seen, events.SessionUpdated)
    assert seen.session.settings.tool_choice == "auto"


def test_a_field_that_nobody_knows_cannot_be_locked() -> None:
    with pytest.raises(ValueError, match="instruction, tool"):
        Sight(View(locked=frozenset({"tool", "instruction", "voice"})))


# Whom events are for.


AUDIO = events.AudioDelta(**PART, audio=b"\0\1", format=AudioFormat())
CREATED = events.SessionCreated(event_id=EVENT, session=session(CAGED))


@pytest.mark.parametrize(
    ("view", "passes"),
    [
        (View(hears_audio=True, plays=False), True),
        (View(hears_audio=False, plays=False), False),
        (View(hears_audio=False, plays=True), True),
        (View(hears_audio=True, only=WEBRTC_FILTER), False),
        (View(hears_audio=False, plays=True, only=WEBRTC_FILTER), True),
    ],
)
def test_audio_goes_to_whom_hears_it_in_events_or_from_a_track(view: View, passes: bool) -> None:
    assert (Sight(view).shown(AUDIO) is AUDIO) is passes


def test_who_joins_a_session_is_not_told_that_it_was_created() -> None:
    updated = events.SessionUpdated(event_id=EVENT, session=session(CAGED))

    sight = Sight(View(owns=False))

    assert shown(sight, [CREATED, updated]) == [updated]


def test_a_filtered_call_is_told_what_the_filter_names_and_nothing_else() -> None:
    filtered = shown(Sight(View(hears_audio=False, only=WEBRTC_FILTER)), PASSING)

    assert {written_name(event) for event in filtered} == {
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
        "error",
    }


def written_name(event: ServerEvent) -> str:
    (frame,) = codec("ga").encode(event)
    return str(msgspec.json.decode(frame)["type"])


def test_a_filter_does_not_make_a_lock_forget_what_it_hides() -> None:
    sight = Sight(View(locked=FILTERED, only=frozenset({events.ItemDone})))
    told: list[ServerEvent] = [
        events.ItemAdded(event_id=EVENT, previous_item_id=None, item=HEARD),
        events.ItemAdded(event_id=EVENT, previous_item_id="item_u", item=CALL),
        events.ItemDone(event_id=EVENT, previous_item_id="item_c", item=SPOKEN),
    ]

    (done,) = shown(sight, told)

    assert isinstance(done, events.ItemDone)
    assert done.previous_item_id == "item_u"


# The chain of items.


def added(item: Item, previous: str | None) -> events.ItemAdded:
    return events.ItemAdded(event_id=EVENT, previous_item_id=previous, item=item)


@pytest.mark.parametrize("item", [RULES, CALL, ANSWER])
def test_what_becomes_of_a_hidden_item_is_not_told_either(item: Item) -> None:
    sight = Sight(View(locked=FILTERED))
    cut = events.ItemTruncated(event_id=EVENT, item_id=item.id, content_index=0, audio_end_ms=5)
    gone = events.ItemDeleted(event_id=EVENT, item_id=item.id)

    assert shown(sight, [added(item, None), cut, gone]) == []
    # Its id is free again, and what bears it now is no secret.
    free = msgspec.structs.replace(HEARD, id=item.id)
    assert shown(sight, [added(free, None), cut, gone]) == [added(free, None), cut, gone]


@pytest.mark.parametrize(
    ("locked", "hidden"),
    [("tools", {"item_c", "item_o"}), ("instructions", {"item_s"}), ("voice", set())],
)
def test_a_lock_hides_the_items_that_belong_to_it(locked: str, hidden: set[str]) -> None:
    sight = Sight(View(locked=frozenset({locked})))
    items = (RULES, HEARD, CALL, ANSWER, SPOKEN)

    seen = [item.id for item in items if sight.shown(added(item, None)) is not None]

    assert {item.id for item in items} - set(seen) == hidden


def test_committed_audio_is_behind_the_item_that_the_client_knows() -> None:
    sight = Sight(View(locked=FILTERED))
    told = [added(HEARD, None), added(CALL, "item_u"), added(ANSWER, "item_c")]
    shown(sight, told)
    committed = events.AudioCommitted(event_id=EVENT, item_id="i", previous_item_id="item_o")

    (seen,) = shown(sight, [committed])

    assert seen == msgspec.structs.replace(committed, previous_item_id="item_u")


def test_an_id_that_comes_again_elsewhere_has_left_its_old_place() -> None:
    sight = Sight(View(locked=FILTERED))

    def gone(item_id: str) -> events.ItemDeleted:
        return events.ItemDeleted(event_id=EVENT, item_id=item_id)

    # The call stands behind all others, then before them.
    shown(sight, [added(HEARD, None), added(CALL, "item_u"), gone("item_c")])
    shown(sight, [added(SPOKEN, "item_u"), added(CALL, None), gone("item_a")])

    assert sight.shown(added(SPOKEN, "item_c")) == added(SPOKEN, None)


MAKERS = (
    lambda name: Message(name, "user", ()),
    lambda name: Message(name, "system", ()),
    lambda name: FunctionCall(name, "f", f"call_{name}"),
    lambda name: FunctionCallOutput(name, f"call_{name}", "x"),
)
MOVES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 63)), max_size=60)


@given(MOVES)
def test_the_client_of_a_locked_view_knows_one_chain_without_gaps(
    moves: list[tuple[int, int]],
) -> None:
    conversation, sight = Conversation("conv_1"), Sight(View(locked=FILTERED))
    known: list[str] = []  # what a client makes of the events
    for number, (move, at) in enumerate(moves):
        reused = f"item_{number % 5}"
        name = reused if conversation.find(reused) is None else f"item_{number}"
        for event in happening(conversation, move, at, name):
            match sight.shown(event):
                case events.ItemAdded(item=item, previous_item_id=previous):
                    known.insert(known.index(previous) + 1 if previous else 0, item.id)
                case events.ItemDone(item=item, previous_item_id=previous):
                    assert [previous, item.id] == ([None, *known])[known.index(item.id) :][:2]
                case events.ItemDeleted(item_id=item_id):
                    known.remove(item_id)
                case events.AudioCommitted(previous_item_id=previous):
                    assert previous == (known[-1] if known else None)
        assert known == [
            item.id
            for item in conversation.items
            if isinstance(item, Message) and item.role != "system"
        ]


def happening(conversation: Conversation, move: int, at: int, name: str) -> Iterator[ServerEvent]:
    """One thing that happens to a conversation, told as the session tells it."""
    items = conversation.items
    if move == 4 and items:
        item_id = items[at % len(items)].id
        conversation.delete(item_id)
        yield events.ItemDeleted(event_id=EVENT, item_id=item_id)
    elif move == 5 and items:
        yield events.AudioCommitted(
            event_id=EVENT, item_id="next", previous_item_id=conversation.last_id
        )
        item = items[at % len(items)]
        yield events.ItemDone(
            event_id=EVENT, previous_item_id=conversation.previous(item.id), item=item
        )
    elif move < 4:
        item = MAKERS[move](name)
        places = [None, "root", *(item.id for item in items)]
        yield added(item, conversation.add(item, places[at % len(places)]))


# The output of a response.


def test_a_response_numbers_the_items_that_the_client_knows() -> None:
    talk, sight = Talk(), Sight(View(locked=FILTERED))
    talk.say(commands.CreateResponse(conversation="none"))
    made = [
        *talk.say(signals.CallProduced("resp_1", 0, CANARY, "{}", final=True)),
        *talk.say(signals.TextProduced("resp_1", "One moment.")),
        *talk.say(signals.CallProduced("resp_1", 1, CANARY, "{}")),
        *talk.say(signals.AudioProduced("resp_1", bytes(960))),
        *talk.say(signals.GenerationFinished("resp_1")),
    ]

    seen = shown(sight, events_in(made))

    places = {event.output_index for event in seen if hasattr(event, "output_index")}
    assert places == {0}
    done = seen[-1]
    assert isinstance(done, events.ResponseDone)
    assert [type(item) for item in done.response.output] == [Message]
    # A later response has gaps of its own.
    part = events.TextDone(**(PART | {"output_index": 1}), text="Hello.")
    assert sight.shown(part) is part


# Commands.


FULL_UPDATE: Mapping[str, SessionUpdate] = {
    "instructions": SessionUpdate(instructions="Be rude."),
    "tools": SessionUpdate(tools=()),
    "tool_choice": SessionUpdate(tool_choice="none"),
    "prompt": SessionUpdate(prompt=None),
    "tracing": SessionUpdate(tracing="auto"),
    "audio.output.voice": SessionUpdate(output=AudioOutputUpdate(voice="echo")),
    "audio.output.speed": SessionUpdate(output=AudioOutputUpdate(speed=1.5)),
    "output_modalities": SessionUpdate(output_modality="text"),
    "max_output_tokens": SessionUpdate(max_output_tokens=None),
    "temperature": SessionUpdate(temperature=0.7),
    "audio.input.transcription": SessionUpdate(input=AudioInputUpdate(transcription=None)),
    "audio.input.noise_reduction": SessionUpdate(input=AudioInputUpdate(noise_reduction=None)),
    "audio.input.turn_detection": SessionUpdate(input=AudioInputUpdate(turn_detection=None)),
    "truncation": SessionUpdate(truncation="disabled"),
    "reasoning": SessionUpdate(reasoning_effort=None),
    "parallel_tool_calls": SessionUpdate(parallel_tool_calls=None),
    "include": SessionUpdate(include=None),
}
RESPONSES: Mapping[str, commands.CreateResponse] = {
    "instructions": commands.CreateResponse(instructions="Be rude."),
    "tools": commands.CreateResponse(tools=()),
    "tool_choice": commands.CreateResponse(tool_choice="none"),
    "audio.output.voice": commands.CreateResponse(voice="echo"),
    "output_modalities": commands.CreateResponse(output_modality="text"),
    "max_output_tokens": commands.CreateResponse(max_output_tokens=None),
    "temperature": commands.CreateResponse(temperature=0.7),
    "reasoning": commands.CreateResponse(reasoning_effort=None),
    "parallel_tool_calls": commands.CreateResponse(parallel_tool_calls=None),
}
# Commands that trespass on locked ground, with the field that is named to the client.
TRESPASSES: tuple[tuple[str, AnyCommand], ...] = (
    *(
        (f"session.{path}", commands.UpdateSession(update=update))
        for path, update in FULL_UPDATE.items()
    ),
    (
        "session.instructions",
        commands.UpdateSession(update=SessionUpdate(type="realtime", instructions=None)),
    ),
    *((f"response.{path}", command) for path, command in RESPONSES.items()),
    ("item.role", commands.CreateItem(item=RULES)),
    ("item.type", commands.CreateItem(item=CALL)),
    ("item.type", commands.CreateItem(item=ANSWER)),
    ("response.input[1].role", commands.CreateResponse(input=(HEARD, RULES))),
    ("response.input[0].type", commands.CreateResponse(input=(CALL,))),
    (
        "response.append_input_items[1].type",
        commands.CreateResponse(
            append=(commands.CreateItem(item=HEARD), commands.CreateItem(item=ANSWER))
        ),
    ),
    ("response.prompt.role", commands.CreateResponse(extra=(RULES,))),
)
# And those that touch nothing that can be locked.
HARMLESS: tuple[AnyCommand, ...] = (
    commands.UpdateSession(
        update=SessionUpdate(
            type="realtime",
            input=AudioInputUpdate(format=AudioFormat("audio/pcmu")),
            output=AudioOutputUpdate(format=AudioFormat("audio/pcmu")),
        )
    ),
    commands.AppendAudio(audio=b"\0\0"),
    commands.CommitAudio(),
    commands.ClearAudio(),
    commands.ClearOutput(),
    commands.CreateItem(item=HEARD, previous_item_id="item_a"),
    commands.RetrieveItem(item_id="item_a"),
    commands.TruncateItem(item_id="item_a", content_index=0, audio_end_ms=0),
    commands.DeleteItem(item_id="item_a"),
    commands.CreateResponse(
        format=AudioFormat("audio/pcmu"),
        conversation="none",
        metadata={"topic": "x"},
        input=(HEARD, SPOKEN, ItemReference("item_a")),
        extra=(HEARD,),
        append=(commands.CreateItem(item=HEARD),),
        commit=True,
    ),
    commands.CancelResponse(),
)


def test_these_are_all_the_commands_there_are() -> None:
    assert {type(command) for command in HARMLESS} == set(get_args(AnyCommand))


def test_these_are_all_the_fields_of_commands_that_can_be_locked() -> None:
    assert set(FULL_UPDATE) == {each.path for each in LOCKABLE.values()}
    assert set(RESPONSES) == {each.path for each in LOCKABLE.values() if each.of_response}
    mine = {"event_id", "format", "conversation", "metadata", "input", "extra", "audio"}
    fields = {each.of_response for each in LOCKABLE.values()} - {None}
    others = {"commit", "append", "cancel_previous"}
    assert set(commands.CreateResponse.__struct_fields__) == fields | mine | others


@pytest.mark.parametrize(("param", "command"), TRESPASSES)
def test_what_the_secret_fixes_its_holder_cannot_set(param: str, command: AnyCommand) -> None:
    refusal = Sight(View(locked=EVERYTHING)).allowed(command)

    assert refusal is not None
    assert (refusal.code, refusal.param) == ("forbidden_field", param)
    assert "client secret that this connection came with" in refusal.message
    assert "server that made the secret" in refusal.message


@pytest.mark.parametrize("command", [*HARMLESS, *(command for _, command in TRESPASSES)])
def test_an_open_view_may_ask_for_everything(command: AnyCommand) -> None:
    sight = Sight(View())

    assert sight.allowed(command) is None
    assert sight.veiled(command) is command


@pytest.mark.parametrize("command", HARMLESS, ids=lambda command: type(command).__name__)
def test_what_touches_nothing_locked_is_allowed(command: AnyCommand) -> None:
    sight = Sight(View(locked=EVERYTHING))

    assert sight.allowed(command) is None
    assert sight.veiled(command) is command


@pytest.mark.parametrize("name", LOCKABLE)
def test_a_lock_forbids_its_own_field_and_no_other(name: str) -> None:
    sight = Sight(View(locked=frozenset({name})))

    refused = {
        path
        for path, update in FULL_UPDATE.items()
        if sight.allowed(commands.UpdateSession(update=update)) is not None
    }

    assert refused == {LOCKABLE[name].path}


@pytest.mark.parametrize(
    ("param", "command"),
    [
        (
            "session.tool_choice",
            commands.UpdateSession(update=SessionUpdate(tool_choice=NamedTool("guess"))),
        ),
        ("response.tool_choice", commands.CreateResponse(tool_choice=NamedTool("guess"))),
    ],
)
def test_nobody_can_guess_at_the_names_of_locked_tools(param: str, command: AnyCommand) -> None:
    refusal = Sight(View(locked=frozenset({"tools"}))).allowed(command)

    assert refusal is not None
    assert refusal.param == param


@pytest.mark.parametrize("command", HARMLESS, ids=lambda command: type(command).__name__)
def test_who_may_only_listen_may_ask_for_nothing(command: AnyCommand) -> None:
    assert Sight(View(may_speak=False)).allowed(command) == Refusal(
        "This connection may only listen.", code="read_only"
    )


# Hidden items are items that do not exist.


def about(item_id: str) -> tuple[AnyCommand, ...]:
    """All the ways to name an item."""
    return (
        commands.RetrieveItem(event_id="mine", item_id=item_id),
        commands.DeleteItem(event_id="mine", item_id=item_id),
        commands.TruncateItem(event_id="mine", item_id=item_id, content_index=0, audio_end_ms=0),
        commands.CreateItem(event_id="mine", item=HEARD, previous_item_id=item_id),
        commands.CreateResponse(event_id="mine", input=(SPOKEN, ItemReference(item_id))),
        commands.CreateResponse(
            event_id="mine", input=(ItemReference(item_id),), cancel_previous=False
        ),
        commands.CreateResponse(
            event_id="mine", input=(ItemReference(item_id),), conversation="none"
        ),
    )


def answered(command: AnyCommand, *, busy: bool) -> list[ServerEvent]:
    """What the browser reads when it says that in a conversation that has hidden items."""
    talk, sight = Talk(connected=False), Sight(View(locked=FILTERED))
    told = talk.say(
        signals.Connected(0.0),
        *(commands.CreateItem(item=item) for item in (RULES, CALL, ANSWER)),
        *([commands.CreateResponse()] if busy else []),
        origin=SIDEBAND,
    )
    shown(sight, events_in(told))
    assert sight.allowed(command) is None
    return shown(sight, events_in(talk.say(sight.veiled(command), origin=BROWSER)))


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("which", range(len(about("any"))))
@pytest.mark.parametrize("hidden", [RULES.id, CALL.id, ANSWER.id])
def test_a_hidden_item_cannot_be_told_from_one_that_does_not_exist(
    hidden: str, which: int, busy: bool
) -> None:
    nobody = "item_x"

    about_hidden = answered(about(hidden)[which], busy=busy)

    about_nobody = answered(about(nobody)[which], busy=busy)
    assert [error_of(event, hidden) for event in about_hidden] == [
        error_of(event, nobody) for event in about_nobody
    ]


def error_of(event: ServerEvent, item_id: str) -> Mapping[str, object]:
    """An error without the id that was asked about."""
    assert isinstance(event, events.ErrorRaised)
    return vars(event.refusal) | {"message": event.refusal.message.replace(item_id, "<id>")}


@pytest.mark.parametrize("which", [0, 1, 2, 3, 4])
def test_a_visible_item_can_be_named_by_its_client(which: int) -> None:
    sight = Sight(View(locked=FILTERED))
    shown(sight, [added(HEARD, None), added(CALL, "item_u")])
    command = about("item_u")[which]

    assert sight.veiled(command) is command


# Errors.


@pytest.mark.parametrize(
    ("locked", "refusal"),
    [
        ("include", Refusal(f"Invalid value: '{CANARY}'.", param="session.include")),
        ("voice", Refusal(CANARY, param="response.audio.output.voice")),
        ("tools", Refusal(CANARY, param="session.tools[0].name")),
        ("reasoning", Refusal(CANARY, param="session.reasoning.effort")),
    ],
)
def test_an_error_about_a_locked_field_says_only_that_it_is_fixed(
    locked: str, refusal: Refusal
) -> None:
    sight = Sight(View(locked=frozenset({locked})))

    seen = sight.shown(error(refusal.of("mine")))

    assert isinstance(seen, events.ErrorRaised)
    assert seen.refusal.code == "forbidden_field"
    assert seen.refusal.event_id == "mine"
    assert CANARY not in seen.refusal.message
    assert Sight(View(locked=EVERYTHING - {locked})).shown(error(refusal)) == error(refusal)


@pytest.mark.parametrize(("param", "command"), TRESPASSES)
def test_what_was_forbidden_is_told_as_it_was(param: str, command: AnyCommand) -> None:
    sight = Sight(View(locked=EVERYTHING))
    refusal = sight.allowed(command)
    assert refusal is not None

    seen = sight.shown(error(refusal))

    assert seen == error(refusal)


@pytest.mark.parametrize("locked", [name for name in LOCKABLE if name != "transcription"])
def test_why_no_words_came_is_told_unless_that_was_locked(locked: str) -> None:
    failed = events.TranscriptionFailed(event_id=EVENT, item_id="i", code="c", message="deaf")

    assert Sight(View(locked=frozenset({locked}))).shown(failed) == failed


# A whole session.


def test_a_browser_with_a_filtered_secret_never_reads_the_canary() -> None:
    told = list(a_session_with_a_second_hand())
    sight = Sight(View(locked=EVERYTHING))

    seen = shown(sight, told)

    frames = b"".join(map(written, seen))
    assert CANARY.encode() not in frames
    assert b"It is sunny." in frames
    assert b"item_u" in frames
    assert b"".join(map(written, told)).count(CANARY.encode()) > 50


def a_session_with_a_second_hand() -> Iterator[ServerEvent]:
    """A tool is called, answered and spoken of, then fails; the sideband has canaries everywhere."""
    settings = msgspec.structs.replace(CAGED, include=None, output_modality="audio")
    secret = Message(f"item_{CANARY}", "system", (InputText(CANARY),))
    talk = Talk(settings, connected=False)

    def say(*said: Any, origin: int = SIDEBAND) -> Iterator[ServerEvent]:
        yield from events_in(talk.say(*said, origin=origin))

    yield from say(signals.Connected(0.0))
    yield from say(commands.UpdateSession(update=SessionUpdate(instructions=CANARY)))
    yield from say(commands.CreateItem(item=secret))
    yield from say(commands.CreateItem(item=HEARD), origin=BROWSER)
    yield from say(commands.CreateResponse(instructions=CANARY))
    yield from say(signals.CallProduced("resp_1", 0, CANARY, '{"a":'))
    yield from say(signals.CallProduced("resp_1", 0, CANARY, f'"{CANARY}"}}', final=True))
    yield from say(signals.GenerationFinished("resp_1"))
    output = FunctionCallOutput(f"item_{CANARY}_2", "call_1", CANARY)
    yield from say(commands.CreateItem(item=output))
    yield from say(commands.CreateResponse())
    yield from say(signals.TextProduced("resp_2", "It is sunny."))
    yield from say(signals.AudioProduced("resp_2", bytes(960)))
    yield from say(signals.CallProduced("resp_2", 0, CANARY, CANARY))
    yield from say(signals.GenerationFailed("resp_2", "server_error", f"tool {CANARY}?"))
    yield from say(commands.DeleteItem(item_id=secret.id))
    written_last = Message("", "user", (InputText("And now?"),))
    yield from say(commands.CreateItem(item=written_last), origin=BROWSER)


def test_what_the_model_wrote_is_shown_to_a_locked_client() -> None:
    text = events.TextDone(**PART, text="Hello.")
    done = events.ItemDone(**PLACED, item=Message("m", "assistant", (OutputText("Hello."),)))

    assert shown(Sight(View(locked=EVERYTHING)), [text, done]) == [text, done]


@pytest.mark.parametrize(
    "command",
    [
        commands.UpdateSession(update=SessionUpdate(type="transcription")),
        commands.UpdateSession(update=SessionUpdate(), as_transcription=True),
    ],
)
def test_a_conversation_with_anything_locked_stays_one(command: commands.UpdateSession) -> None:
    locked = View(locked=frozenset({"voice"}))
    refusal = Sight(locked).allowed(command)

    assert refusal is not None
    assert (refusal.code, refusal.param) == ("forbidden_field", "session.type")
    assert Sight(locked, "transcription").allowed(command) is None
    assert Sight(View()).allowed(command) is None
