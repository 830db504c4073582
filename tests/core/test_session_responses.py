"""Answers out: responses, items, settings, and everything that is refused."""

import pytest

from vivavoce.core import commands, effects, events, signals
from vivavoce.core.errors import Refusal
from vivavoce.core.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputText,
    Item,
    Mark,
    Message,
    OutputAudio,
)
from vivavoce.core.settings import (
    AudioFormat,
    AudioInput,
    AudioInputUpdate,
    AudioOutputUpdate,
    FunctionTool,
    ServerVad,
    SessionSettings,
    SessionUpdate,
    Transcription,
)
from vivavoce.testing.conversations import Talk, effects_in, events_in, names

TEXT = commands.CreateResponse(output_modality="text")
DONE = signals.GenerationFinished("resp_1")


def error(outputs: list[effects.Output]) -> Refusal:
    (raised,) = [event for event in events_in(outputs) if isinstance(event, events.ErrorRaised)]
    return raised.refusal


def ended(outputs: list[effects.Output]) -> events.ResponseView:
    (done,) = [event for event in events_in(outputs) if isinstance(event, events.ResponseDone)]
    return done.response


def user(text: str, item_id: str = "") -> Message:
    return Message(item_id, "user", (InputText(text),))


def spoken() -> Talk:
    """A talk in which the assistant has said a second of `one two three`."""
    talk = Talk()
    talk.say(
        commands.CreateResponse(),
        signals.TextProduced("resp_1", "one two three"),
        signals.AudioProduced(
            "resp_1", bytes(48000), (Mark(0, 3, 0), Mark(4, 7, 8000), Mark(8, 13, 16000))
        ),
    )
    return talk


def test_a_text_response_from_created_to_done() -> None:
    talk = Talk()
    talk.write("hello")

    made = talk.say(
        TEXT,
        signals.TextProduced("resp_1", "Hi"),
        signals.TextProduced("resp_1", " there"),
        DONE,
    )

    assert names(made) == [
        "ResponseCreated",
        "OutputItemAdded",
        "ItemAdded",
        "PartAdded",
        "TextDelta",
        "TextDelta",
        "TextDone",
        "PartDone",
        "ItemDone",
        "OutputItemDone",
        "ResponseDone",
    ]
    response = ended(made)
    assert (response.status, response.status_details) == ("completed", None)
    assert response.output[0].status == "completed"


def test_an_audio_response_closes_audio_before_transcript() -> None:
    made = spoken().say(DONE)

    assert names(made) == [
        "AudioDone",
        "AudioTranscriptDone",
        "PartDone",
        "ItemDone",
        "OutputItemDone",
        "ResponseDone",
    ]


def test_a_response_without_a_word_is_concluded_all_the_same() -> None:
    made = Talk().say(commands.CreateResponse(), DONE)

    assert names(made) == ["ResponseCreated", "ResponseDone"]


def test_the_answer_joins_the_conversation_behind_the_question() -> None:
    talk = Talk()
    talk.write("hello")
    made = talk.say(TEXT, signals.TextProduced("resp_1", "Hi"))

    (added,) = [event for event in events_in(made) if isinstance(event, events.ItemAdded)]

    assert added.previous_item_id == "item_1"
    assert added.item.status == "in_progress"


def test_a_function_call_streams_its_arguments() -> None:
    talk = Talk()

    made = talk.say(
        commands.CreateResponse(),
        signals.CallProduced("resp_1", 0, "get_weather", '{"city":'),
        signals.CallProduced("resp_1", 0, "get_weather", '"Paris"}'),
        signals.CallProduced("resp_1", 0, "get_weather", final=True),
        DONE,
    )

    assert names(made) == [
        "ResponseCreated",
        "OutputItemAdded",
        "ItemAdded",
        "ArgumentsDelta",
        "ArgumentsDelta",
        "ArgumentsDone",
        "ItemDone",
        "OutputItemDone",
        "ResponseDone",
    ]
    assert ended(made).output == (
        FunctionCall("item_1", "get_weather", "call_1", '{"city":"Paris"}', "completed"),
    )


def test_what_comes_of_a_call_after_its_end_goes_nowhere() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(), signals.CallProduced("resp_1", 0, "f", "{}", final=True))

    assert talk.say(signals.CallProduced("resp_1", 0, "f", "{}", final=True)) == []


def test_a_call_that_was_concluded_cannot_be_deleted_while_the_response_goes_on() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(), signals.CallProduced("resp_1", 0, "f", "{}", final=True))

    assert error(talk.say(commands.DeleteItem(item_id="item_1"))).param == "item_id"
    assert names(talk.say(DONE)) == ["ResponseDone"]
    assert names(talk.say(commands.DeleteItem(item_id="item_1"))) == ["ItemDeleted"]


def test_several_calls_and_words_keep_their_places_in_the_output() -> None:
    made = Talk().say(
        TEXT,
        signals.TextProduced("resp_1", "Let me see."),
        signals.CallProduced("resp_1", 0, "a", "{}", final=True),
        signals.CallProduced("resp_1", 1, "b", "{}", final=True),
        DONE,
    )

    kinds = [type(item).__name__ for item in ended(made).output]
    assert kinds == ["Message", "FunctionCall", "FunctionCall"]


def test_a_result_is_only_taken_for_a_call_that_was_made() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(), signals.CallProduced("resp_1", 0, "f", "{}", final=True))

    known = talk.say(commands.CreateItem(item=FunctionCallOutput("", "call_1", "ok")))
    unknown = talk.say(commands.CreateItem(item=FunctionCallOutput("", "call_9", "ok")))

    assert names(known) == ["ItemAdded", "ItemDone"]
    assert error(unknown).code == "invalid_tool_call_id"
    assert error(unknown).message == "Tool call ID 'call_9' not found in conversation."


def test_a_second_response_in_the_conversation_is_refused_and_the_first_goes_on() -> None:
    talk = Talk()
    talk.say(TEXT)

    refusal = error(talk.say(commands.CreateResponse(event_id="mine")))

    assert refusal.code == "conversation_already_has_active_response"
    assert refusal.message.startswith(
        "Conversation already has an active response in progress: resp_1."
    )
    assert refusal.event_id == "mine"
    assert names(talk.say(signals.TextProduced("resp_1", "Hi")))[-1] == "TextDelta"


def test_out_of_band_responses_run_beside_and_leave_no_items() -> None:
    talk = Talk()
    talk.say(TEXT)
    beside = commands.CreateResponse(
        conversation="none", output_modality="text", metadata={"topic": "x"}
    )

    made = talk.say(
        beside,
        signals.TextProduced("resp_2", "aside"),
        signals.GenerationFinished("resp_2"),
    )

    assert not {"ItemAdded", "ItemDone"} & set(names(made))
    response = ended(made)
    assert (response.conversation_id, response.metadata) == (None, {"topic": "x"})


def test_a_response_sees_the_conversation_or_exactly_what_is_listed() -> None:
    talk = Talk()
    talk.write("hello")
    talk.say(commands.CreateResponse(conversation="none"))
    assert [item.id for item in talk.request.context] == ["item_1"]

    listed: tuple[Item | commands.ItemReference, ...] = (
        commands.ItemReference("item_1"),
        user("more", "mine"),
    )
    talk.say(
        commands.CreateResponse(conversation="none", input=listed, extra=(user("extra", "last"),))
    )
    assert [item.id for item in talk.request.context] == ["item_1", "mine", "last"]

    talk.say(commands.CreateResponse(conversation="none", input=()))
    assert talk.request.context == ()


def test_a_listed_item_is_taken_as_listed_whatever_its_id() -> None:
    talk = Talk()
    talk.speak_a_turn()
    mine = user("something else", "item_1")

    talk.say(commands.CreateResponse(conversation="none", input=(mine,)))

    assert talk.request.context == (mine,)


def test_what_is_still_being_said_is_no_context_unless_it_is_listed() -> None:
    talk = spoken()
    talk.say(commands.CreateResponse(conversation="none"))
    whole = talk.request.context
    listed = (commands.ItemReference("item_1"),)
    talk.say(commands.CreateResponse(conversation="none", input=listed))

    assert whole == ()
    (item,) = talk.request.context
    assert isinstance(item, Message)
    assert [part.heard for part in item.content if isinstance(part, OutputAudio)] == [
        "one two three"
    ]


def test_a_response_waits_for_all_the_words_it_is_to_answer() -> None:
    talk = Talk(SessionSettings(input=AudioInput(turn_detection=ServerVad(create_response=False))))
    talk.speak_a_turn()
    talk.speak_a_turn()
    talk.say(commands.CreateResponse())
    talk.say(commands.CreateResponse(conversation="none", input=()))

    talk.say(signals.TranscriptFinished("item_2", "two"))
    assert [order.response_id for order in talk.effects(effects.Generate)] == ["resp_2"]
    talk.say(signals.TranscriptFinished("item_1", "one"))
    assert [order.response_id for order in talk.effects(effects.Generate)] == ["resp_2", "resp_1"]


def test_an_unknown_reference_is_refused_by_its_path() -> None:
    reference = commands.ItemReference("nowhere")

    refusal = error(Talk().say(commands.CreateResponse(input=(user("x"), reference))))

    assert (refusal.code, refusal.param) == ("invalid_value", "response.input[1].id")


def test_what_a_response_overrides_holds_for_it_alone() -> None:
    talk = Talk()
    tool = FunctionTool("f")
    talk.say(
        commands.CreateResponse(
            conversation="none",
            instructions="Be brief.",
            voice="verse",
            format=AudioFormat("audio/pcmu"),
            tools=(tool,),
            tool_choice="required",
            max_output_tokens=100,
            temperature=1.1,
        )
    )
    request = talk.request

    assert (request.instructions, request.voice, request.rate_hz) == ("Be brief.", "verse", 8000)
    assert (request.tools, request.tool_choice) == ((tool,), "required")
    assert (request.max_output_tokens, request.temperature) == (100, 1.1)
    talk.say(commands.CreateResponse(conversation="none"))
    assert talk.request.voice == "alloy"


def test_cancelling_closes_what_is_open_and_says_why() -> None:
    made = spoken().say(commands.CancelResponse())

    assert names(made)[-1] == "ResponseDone"
    response = ended(made)
    assert response.status_details == events.StatusDetails(reason="client_cancelled")
    assert response.output[0].status == "incomplete"
    assert effects_in(made) == [effects.StopGenerating("resp_1")]


def test_an_out_of_band_response_is_cancelled_by_its_id() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(conversation="none"))

    assert error(talk.say(commands.CancelResponse())).code == "response_cancel_not_active"
    made = talk.say(commands.CancelResponse(response_id="resp_1"))
    assert ended(made).status == "cancelled"


def test_cancelling_nothing_is_refused_and_harmless() -> None:
    refusal = error(Talk().say(commands.CancelResponse(response_id="resp_9")))

    assert refusal.code == "response_cancel_not_active"
    assert refusal.message.startswith("Cancellation failed")


def test_a_failing_engine_fails_its_response_and_no_more() -> None:
    talk = spoken()

    made = talk.say(signals.GenerationFailed("resp_1", "server_error", "it broke"))

    response = ended(made)
    assert response.status == "failed"
    assert response.status_details == events.StatusDetails(
        error_code="server_error", error_message="it broke"
    )
    assert names(talk.say(TEXT)) == ["ResponseCreated"]


def test_the_budget_of_tokens_ends_a_response_as_incomplete() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(output_modality="text", max_output_tokens=10))

    made = talk.say(signals.TextProduced("resp_1", "word " * 20))

    response = ended(made)
    assert response.status == "incomplete"
    assert response.status_details == events.StatusDetails(reason="max_output_tokens")
    assert effects.StopGenerating("resp_1") in effects_in(made)


def test_usage_counts_audio_by_its_length() -> None:
    usage = ended(spoken().say(DONE)).usage

    assert usage is not None
    assert usage.output.audio == 20
    assert usage.output.text == 4 + 4 + 2


def test_usage_counts_bursts_of_words_between_audio() -> None:
    talk = spoken()
    talk.say(signals.TextProduced("resp_1", ""), signals.TextProduced("resp_1", " four"))

    usage = ended(talk.say(DONE)).usage

    assert usage is not None
    assert usage.output.text == 5 + 4 + 2 * 2


def test_usage_counts_the_whole_context_again() -> None:
    talk = Talk(SessionSettings(instructions=""))
    talk.write("hello you")
    talk.write("and me")

    usage = ended(talk.say(TEXT, DONE)).usage

    assert usage is not None
    assert usage.input == events.Tokens(text=3 + 2 + 2 + 2)


def test_truncating_what_was_said_forgets_it_in_the_next_context() -> None:
    talk = spoken()
    talk.say(DONE)

    made = talk.say(commands.TruncateItem(item_id="item_1", content_index=0, audio_end_ms=500))
    talk.say(TEXT)

    assert names(made) == ["ItemTruncated"]
    (item,) = talk.request.context
    assert isinstance(item, Message)
    (part,) = item.content
    assert isinstance(part, OutputAudio)
    assert (part.heard, part.transcript) == ("one two", "")


def test_truncating_what_is_still_being_said_silences_it_and_lets_it_finish() -> None:
    talk = spoken()

    talk.say(commands.TruncateItem(item_id="item_1", content_index=0, audio_end_ms=500))
    more = talk.say(
        signals.TextProduced("resp_1", " four"), signals.AudioProduced("resp_1", bytes(4800))
    )
    talk.say(DONE, commands.RetrieveItem(item_id="item_1"))

    assert names(more) == []
    retrieved = events_in(talk.outputs)[-1]
    assert isinstance(retrieved, events.ItemRetrieved)
    assert [len(part.pcm) for part in retrieved.audio] == [24000]
    assert isinstance(retrieved.item, Message)
    (part,) = retrieved.item.content
    assert isinstance(part, OutputAudio)
    assert (part.heard, part.transcript) == ("one two", "")


def test_what_was_truncated_while_it_was_said_is_as_long_as_what_is_left() -> None:
    talk = spoken()
    talk.say(commands.TruncateItem(item_id="item_1", content_index=0, audio_end_ms=500))

    more = talk.say(commands.TruncateItem(item_id="item_1", content_index=0, audio_end_ms=600))

    assert error(more).message == "Audio content of 500ms is already shorter than 600ms"


@pytest.mark.parametrize("cut_ms", [None, 0])
def test_of_words_that_nobody_has_heard_any_sound_of_none_are_remembered(
    cut_ms: int | None,
) -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(), signals.TextProduced("resp_1", "one two"))
    if cut_ms is not None:
        talk.say(signals.AudioProduced("resp_1", bytes(48000)))
        talk.say(commands.TruncateItem(item_id="item_1", content_index=0, audio_end_ms=cut_ms))
    talk.say(commands.CancelResponse(), TEXT)

    (item,) = talk.request.context
    assert isinstance(item, Message)
    assert [part.heard for part in item.content if isinstance(part, OutputAudio)] == [""]


@pytest.mark.parametrize(("index", "end_ms"), [(0, 1001), (1, 0)])
def test_what_is_being_said_cannot_be_truncated_beyond_its_end(index: int, end_ms: int) -> None:
    cut = commands.TruncateItem(item_id="item_1", content_index=index, audio_end_ms=end_ms)

    assert error(spoken().say(cut)).code == "invalid_value"


def test_an_item_in_the_making_cannot_be_deleted() -> None:
    talk = spoken()

    assert "still being generated" in error(talk.say(commands.DeleteItem(item_id="item_1"))).message
    talk.say(DONE)
    assert names(talk.say(commands.DeleteItem(item_id="item_1"))) == ["ItemDeleted"]


def test_what_is_being_said_can_be_truncated_before_it_sounds_and_again_but_never_regrows() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(), signals.TextProduced("resp_1", "one"))
    silent = talk.say(commands.TruncateItem(item_id="item_1", content_index=0, audio_end_ms=0))
    talk.say(signals.AudioProduced("resp_1", bytes(48000)))

    grown = talk.say(commands.TruncateItem(item_id="item_1", content_index=0, audio_end_ms=1))

    assert names(silent) == ["ItemTruncated"]
    assert error(grown).message == "Audio content of 0ms is already shorter than 1ms"


def test_what_is_out_of_band_is_no_item_of_the_conversation() -> None:
    talk = Talk()
    talk.say(
        commands.CreateResponse(conversation="none"),
        signals.AudioProduced("resp_1", bytes(48000)),
    )

    truncated = talk.say(commands.TruncateItem(item_id="item_1", content_index=0, audio_end_ms=0))

    assert error(truncated).code == "item_truncate_invalid_item_id"
    assert error(talk.say(commands.DeleteItem(item_id="item_1"))).code == (
        "item_delete_invalid_item_id"
    )


def test_of_words_that_were_written_and_not_spoken_nobody_remembers_any() -> None:
    talk = spoken()
    talk.say(signals.TextProduced("resp_1", ", four and five."), commands.CancelResponse(), TEXT)

    (item,) = talk.request.context

    assert isinstance(item, Message)
    (part,) = item.content
    assert isinstance(part, OutputAudio)
    assert part.heard == "one two three,"
    assert part.transcript == "one two three, four and five."


def test_an_item_in_the_making_is_retrieved_as_far_as_it_is_made() -> None:
    talk = spoken()
    talk.say(signals.CallProduced("resp_1", 0, "f", '{"a'))

    message, call = events_in(
        talk.say(commands.RetrieveItem(item_id="item_1"), commands.RetrieveItem(item_id="item_2"))
    )

    assert isinstance(message, events.ItemRetrieved)
    assert isinstance(message.item, Message)
    assert [part.transcript for part in message.item.content if isinstance(part, OutputAudio)] == [
        "one two three"
    ]
    assert [len(part.pcm) for part in message.audio] == [48000]
    assert isinstance(call, events.ItemRetrieved)
    assert call.item == FunctionCall("item_2", "f", "call_1", '{"a', "in_progress")


def test_a_retrieved_item_comes_with_its_audio_and_to_who_asked() -> None:
    talk = spoken()
    talk.say(DONE)

    (told,) = talk.say(commands.RetrieveItem(item_id="item_1"), origin=3)

    assert isinstance(told, effects.Tell)
    assert told.to == 3
    assert isinstance(told.event, events.ItemRetrieved)
    assert told.event.audio == (events.RetrievedAudio(0, bytes(48000), AudioFormat("audio/pcm")),)


def test_an_error_goes_to_who_made_it() -> None:
    (told,) = Talk().say(commands.RetrieveItem(item_id="x", event_id="e"), origin=2)

    assert isinstance(told, effects.Tell)
    assert told.to == 2
    assert isinstance(told.event, events.ErrorRaised)
    assert told.event.refusal.code == "item_retrieve_invalid_item_id"
    assert told.event.refusal.event_id == "e"


def test_what_could_not_be_read_is_answered_with_its_refusal() -> None:
    refusal = Refusal("not JSON", code="invalid_event", event_id="e")

    assert error(Talk().say(refusal)) == refusal


def test_an_item_that_is_refused_changes_nothing() -> None:
    talk = Talk()
    talk.say(commands.CreateItem(item=user("a", "one")))

    assert error(talk.say(commands.CreateItem(item=user("b", "one")))).code == (
        "item_create_duplicate_item_id"
    )
    assert error(
        talk.say(commands.CreateItem(item=user("b", "two"), previous_item_id="nobody"))
    ).code == ("item_create_invalid_previous_item_id")
    talk.say(TEXT)
    assert [item.id for item in talk.request.context] == ["one"]


def test_a_call_created_by_the_client_gets_the_ids_it_lacks() -> None:
    made = Talk().say(commands.CreateItem(item=FunctionCall("", "f", "")))

    added = events_in(made)[0]
    assert isinstance(added, events.ItemAdded)
    assert isinstance(added.item, FunctionCall)
    assert (added.item.id, added.item.call_id) == ("item_1", "call_1")


def test_audio_inside_an_item_is_measured_kept_and_written_down() -> None:
    talk = Talk(SessionSettings(input=AudioInput(transcription=Transcription("whisper-1"))))
    item = Message("mine", "user", (InputAudio(0, 24000),))

    made = talk.say(
        commands.CreateItem(item=item, audio=(commands.ItemAudio(0, bytes(4800)),)),
        TEXT,
        signals.TranscriptFinished("mine", "hello"),
    )

    added = events_in(made)[0]
    assert isinstance(added, events.ItemAdded)
    assert isinstance(added.item, Message)
    assert added.item.content == (InputAudio(2400, 24000),)
    assert names(made)[-1] == "TranscriptionCompleted"
    (item_heard,) = talk.request.context
    assert isinstance(item_heard, Message)
    assert item_heard.content == (InputAudio(2400, 24000, "hello"),)


def test_audio_that_is_cut_within_a_sample_loses_the_half() -> None:
    talk = Talk()
    item = Message("mine", "user", (InputAudio(0, 24000),))

    talk.say(commands.CreateItem(item=item, audio=(commands.ItemAudio(0, bytes(4801)),)))
    talk.say(commands.RetrieveItem(item_id="mine"))

    assert [len(order.pcm) for order in talk.effects(effects.Transcribe)] == [4800]
    retrieved = events_in(talk.outputs)[-1]
    assert isinstance(retrieved, events.ItemRetrieved)
    assert [len(part.pcm) for part in retrieved.audio] == [4800]


def test_each_recording_of_an_item_is_written_down_at_its_place() -> None:
    talk = Talk(SessionSettings(input=AudioInput(transcription=Transcription("whisper-1"))))
    content = (InputText("look:"), InputAudio(0, 24000), InputAudio(0, 24000))
    audio = (commands.ItemAudio(1, bytes(4800)), commands.ItemAudio(2, bytes(9600)))
    talk.say(commands.CreateItem(item=Message("mine", "user", content), audio=audio))

    first, second = (order.item_id for order in talk.effects(effects.Transcribe))
    talk.say(TEXT)
    made = talk.say(
        signals.TranscriptGrew(second, "you"),
        signals.TranscriptFinished(second, " you\n"),
        signals.TranscriptFinished(first, "hello"),
    )

    told = [
        (each.item_id, each.content_index, each.transcript)
        for each in events_in(made)
        if isinstance(each, events.TranscriptionCompleted)
    ]
    assert told == [("mine", 2, "you"), ("mine", 1, "hello")]
    (item,) = talk.request.context
    assert isinstance(item, Message)
    assert item.content[1:] == (InputAudio(2400, 24000, "hello"), InputAudio(4800, 24000, "you"))


def test_a_recording_that_could_not_be_written_down_is_told_with_its_place() -> None:
    talk = Talk(SessionSettings(input=AudioInput(transcription=Transcription("whisper-1"))))
    content = (InputText("look:"), InputAudio(0, 24000))
    audio = (commands.ItemAudio(1, bytes(4800)),)
    talk.say(commands.CreateItem(item=Message("mine", "user", content), audio=audio))

    (failed,) = events_in(talk.say(signals.TranscriptFailed("mine", "server_error", "it broke")))

    assert isinstance(failed, events.TranscriptionFailed)
    assert (failed.content_index, failed.message) == (1, "it broke")


def test_where_nobody_wants_words_a_recording_is_kept_as_it_is() -> None:
    talk = Talk(reads=False)
    item = Message("mine", "user", (InputAudio(0, 24000),))

    made = talk.say(commands.CreateItem(item=item, audio=(commands.ItemAudio(0, bytes(4800)),)))

    assert effects_in(made) == []


def test_audio_that_comes_with_its_words_is_not_written_down() -> None:
    talk = Talk()
    item = Message("mine", "user", (InputAudio(0, 24000, "hello"),))

    talk.say(commands.CreateItem(item=item, audio=(commands.ItemAudio(0, bytes(4800)),)), TEXT)

    assert talk.effects(effects.Transcribe) == []
    assert len(talk.effects(effects.Generate)) == 1


def test_the_previews_way_commits_and_cancels_first() -> None:
    talk = Talk(SessionSettings(input=AudioInput(turn_detection=None)))
    talk.say(TEXT)
    talk.say(commands.AppendAudio(audio=bytes(9600)))

    made = talk.say(commands.CreateResponse(commit=True, cancel_previous=True))

    assert names(made) == [
        "ResponseDone",
        "AudioCommitted",
        "ItemAdded",
        "ItemDone",
        "ResponseCreated",
    ]


@pytest.mark.parametrize(
    "wrong", [{"voice": "nobody"}, {"input": (commands.ItemReference("nowhere"),)}]
)
def test_a_response_that_is_refused_cancels_and_commits_nothing(wrong: dict[str, object]) -> None:
    talk = Talk(SessionSettings(input=AudioInput(turn_detection=None)), voices=("alloy",))
    talk.say(TEXT, commands.AppendAudio(audio=bytes(9600)))

    made = talk.say(
        commands.CreateResponse(commit=True, cancel_previous=True, **wrong)  # type: ignore[arg-type]
    )

    assert names(made) == ["ErrorRaised"]
    assert names(talk.say(DONE)) == ["ResponseDone"]


def test_the_previews_way_with_nothing_to_commit_or_cancel_is_no_error() -> None:
    made = Talk().say(commands.CreateResponse(commit=True, cancel_previous=True))

    assert names(made) == ["ResponseCreated"]


def test_an_update_changes_what_it_names_and_nothing_else() -> None:
    talk = Talk()
    update = SessionUpdate(
        instructions="Be brief.", input=AudioInputUpdate(transcription=Transcription("whisper-1"))
    )

    talk.say(commands.UpdateSession(update=update))

    settings = talk.session.settings
    assert settings.instructions == "Be brief."
    assert settings.input.transcription == Transcription("whisper-1")
    assert settings.input.turn_detection is not None
    assert settings.output.voice == "alloy"


def test_null_is_a_value_and_absence_is_none() -> None:
    talk = Talk(SessionSettings(input=AudioInput(transcription=Transcription("whisper-1"))))
    off = SessionUpdate(input=AudioInputUpdate(turn_detection=None))

    talk.say(commands.UpdateSession(update=off))

    assert talk.session.settings.input.turn_detection is None
    assert talk.session.settings.input.transcription is not None


def test_the_voice_is_fixed_once_it_was_heard_and_the_update_is_refused_whole() -> None:
    talk = spoken()
    change = SessionUpdate(instructions="new", output=AudioOutputUpdate(voice="verse"))
    same = SessionUpdate(instructions="new", output=AudioOutputUpdate(voice="alloy"))

    refusal = error(talk.say(commands.UpdateSession(update=change)))

    assert refusal.code == "cannot_update_voice"
    assert talk.session.settings.instructions != "new"
    assert names(talk.say(commands.UpdateSession(update=same))) == ["SessionUpdated"]


def test_an_unknown_voice_is_refused_with_those_there_are() -> None:
    talk = Talk(voices=("alloy", "verse"))
    change = SessionUpdate(output=AudioOutputUpdate(voice="nobody"))

    refusal = error(talk.say(commands.UpdateSession(update=change)))

    assert refusal.message == "Invalid value: 'nobody'. Supported values are: 'alloy', 'verse'."


def test_tracing_cannot_change_once_it_is_on() -> None:
    talk = Talk()
    talk.say(commands.UpdateSession(update=SessionUpdate(tracing="auto")))

    off = talk.say(commands.UpdateSession(update=SessionUpdate(tracing=None)))

    assert error(off).param == "session.tracing"


def test_the_type_of_a_session_cannot_change_once_it_has_responded() -> None:
    talk = Talk()
    talk.write("hello")
    talk.say(TEXT)
    late = talk.say(commands.UpdateSession(update=SessionUpdate(type="transcription")))

    assert error(late).param == "session.type"


def test_a_transcription_session_stays_one() -> None:
    talk = Talk()
    fresh = talk.say(commands.UpdateSession(update=SessionUpdate(type="transcription")))
    back = talk.say(commands.UpdateSession(update=SessionUpdate(type="realtime")))

    assert names(fresh) == ["SessionUpdated"]
    assert error(back).param == "session.type"


def test_a_transcription_update_makes_it_a_transcription_session() -> None:
    made = Talk().say(commands.UpdateSession(update=SessionUpdate(), as_transcription=True))

    (updated,) = events_in(made)
    assert isinstance(updated, events.SessionUpdated)
    assert updated.session.settings.type == "transcription"


def test_on_a_websocket_the_client_clears_its_own_playback() -> None:
    assert error(Talk().say(commands.ClearOutput())).param == "type"


def test_where_the_server_plays_it_says_when_playing_starts_and_stops() -> None:
    talk = Talk(plays=True)
    made = talk.say(
        commands.CreateResponse(),
        signals.AudioProduced("resp_1", bytes(4800)),
        signals.AudioProduced("resp_1", bytes(4800)),
        DONE,
        signals.Played("resp_1", 2400),
        signals.Played("resp_1", 4800, finished=True),
        signals.Played("resp_1", 4800, finished=True),
    )

    playing = [name for name in names(made) if name.startswith("Output") and "Item" not in name]
    assert playing == ["OutputStarted", "OutputStopped"]


def test_where_the_server_plays_an_interruption_truncates_at_what_was_heard() -> None:
    talk = Talk(plays=True)
    talk.say(
        commands.CreateResponse(),
        signals.TextProduced("resp_1", "one two"),
        signals.AudioProduced("resp_1", bytes(48000)),
        DONE,
        signals.Played("resp_1", 12000),
    )

    made = talk.hear(0.9, 0.9)

    assert names(made) == ["SpeechStarted", "OutputCleared", "ItemTruncated"]
    truncated = events_in(made)[-1]
    assert isinstance(truncated, events.ItemTruncated)
    assert truncated.audio_end_ms == 500
    assert effects.FlushPlayback("resp_1") in effects_in(made)


def test_where_the_server_plays_what_was_cleared_does_not_sound_again() -> None:
    talk = Talk(plays=True)
    talk.say(commands.CreateResponse(), signals.AudioProduced("resp_1", bytes(48000)))
    talk.say(signals.Played("resp_1", 480))
    cleared = talk.say(commands.ClearOutput())
    again = talk.say(commands.ClearOutput())

    more = talk.say(
        signals.AudioProduced("resp_1", bytes(48000)), signals.Played("resp_1", 24000), DONE
    )

    assert (names(cleared), again) == (["OutputCleared", "ItemTruncated"], [])
    assert names(more)[0] == "AudioDone"
    assert talk.session._responses._playback._row == {}


def test_where_the_server_plays_no_truncation_gives_back_what_the_client_took() -> None:
    talk = Talk(plays=True)
    talk.say(
        commands.CreateResponse(),
        signals.AudioProduced("resp_1", bytes(48000)),
        DONE,
        signals.Played("resp_1", 12000),
        commands.TruncateItem(item_id="item_1", content_index=0, audio_end_ms=100),
    )

    made = talk.hear(0.9, 0.9)

    assert names(made) == ["SpeechStarted", "OutputCleared", "ItemTruncated"]
    truncated = events_in(made)[-1]
    assert isinstance(truncated, events.ItemTruncated)
    assert truncated.audio_end_ms == 100
    assert [type(each) for each in effects_in(made)][-1] is effects.Transcribe


def test_where_the_server_plays_only_what_is_in_the_conversation_is_truncated() -> None:
    talk = Talk(plays=True)
    talk.say(
        commands.CreateResponse(),
        signals.AudioProduced("resp_1", bytes(48000)),
        DONE,
        commands.DeleteItem(item_id="item_1"),
        commands.CreateItem(item=Message("item_1", "user", ())),
        commands.CreateResponse(conversation="none"),
        signals.AudioProduced("resp_2", bytes(48000)),
        signals.Played("resp_1", 24000, finished=False),
        signals.Played("resp_2", 480),
    )

    assert names(talk.say(commands.ClearOutput())) == ["OutputCleared", "OutputCleared"]
    assert names(talk.say(signals.AudioProduced("resp_2", bytes(48000)))) == ["AudioDelta"]


def test_where_the_server_plays_the_client_may_clear_it() -> None:
    talk = Talk(plays=True)
    talk.say(commands.CreateResponse(), signals.AudioProduced("resp_1", bytes(48000)), DONE)
    talk.say(signals.Played("resp_1", 480))

    assert names(talk.say(commands.ClearOutput())) == ["OutputCleared", "ItemTruncated"]
    assert names(talk.say(commands.ClearOutput())) == []


def test_where_the_server_plays_what_never_began_is_not_cleared_but_was_not_heard_either() -> None:
    talk = Talk(plays=True)
    talk.say(commands.CreateResponse(), signals.AudioProduced("resp_1", bytes(48000)), DONE)

    made = talk.say(commands.ClearOutput())

    assert names(made) == ["ItemTruncated"]
    assert effects.FlushPlayback("resp_1") in effects_in(made)
    truncated = events_in(made)[-1]
    assert isinstance(truncated, events.ItemTruncated)
    assert truncated.audio_end_ms == 0


def test_where_the_server_plays_audio_is_24_khz_whatever_format_is_told() -> None:
    talk = Talk(plays=True)
    g711 = AudioFormat("audio/pcmu")
    talk.say(
        commands.UpdateSession(
            update=SessionUpdate(
                input=AudioInputUpdate(format=g711), output=AudioOutputUpdate(format=g711)
            )
        )
    )

    made = talk.say(commands.CreateResponse(), signals.AudioProduced("resp_1", bytes(4800)))

    created = next(each for each in events_in(made) if isinstance(each, events.ResponseCreated))
    delta = next(each for each in events_in(made) if isinstance(each, events.AudioDelta))
    generate = next(each for each in effects_in(made) if isinstance(each, effects.Generate))
    assert created.response.format == g711
    assert (delta.format.rate_hz, generate.request.rate_hz) == (24000, 24000)
    assert talk.session.input_format.rate_hz == 24000


def test_the_same_inputs_give_the_same_outputs() -> None:
    def talked() -> list[effects.Output]:
        talk = spoken()
        talk.say(DONE)
        talk.speak_a_turn()
        return talk.outputs

    assert talked() == talked()
