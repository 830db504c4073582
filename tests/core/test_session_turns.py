"""Speech in: turns, commits, transcripts, interruptions."""

from typing import TypeVar

import pytest

from vivavoce.core import commands, effects, events, signals
from vivavoce.core.errors import Refusal
from vivavoce.core.items import InputAudio, Message
from vivavoce.core.settings import (
    AudioFormat,
    AudioInput,
    AudioInputUpdate,
    SemanticVad,
    ServerVad,
    SessionSettings,
    SessionUpdate,
    Transcription,
)
from vivavoce.testing.conversations import (
    SILENCE,
    VOICE,
    Talk,
    effects_in,
    events_in,
    names,
)

Kind = TypeVar("Kind")

BY_HAND = SessionSettings(input=AudioInput(turn_detection=None))
READING_ALONG = SessionSettings(input=AudioInput(transcription=Transcription("whisper-1")))
TurnEvent = (
    events.SpeechStarted
    | events.SpeechStopped
    | events.AudioCommitted
    | events.ItemAdded
    | events.ItemDone
)
TURN = ["SpeechStarted", "SpeechStopped", "AudioCommitted", "ItemAdded", "ItemDone"]


PATIENT = SessionSettings(input=AudioInput(turn_detection=ServerVad(idle_timeout_ms=6000)))
LISTENING = SessionSettings(
    type="transcription", input=AudioInput(transcription=Transcription("whisper-1"))
)


def only(talk: Talk, kind: type[Kind]) -> Kind:
    (found,) = [event for event in events_in(talk.outputs) if isinstance(event, kind)]
    return found


def error(outputs: list[effects.Output]) -> Refusal:
    (raised,) = [event for event in events_in(outputs) if isinstance(event, events.ErrorRaised)]
    return raised.refusal


def reading(asked: Transcription | None) -> commands.UpdateSession:
    """The client asks to read along, or no longer."""
    return commands.UpdateSession(update=SessionUpdate(input=AudioInputUpdate(transcription=asked)))


def words_in(outputs: list[effects.Output]) -> str:
    told = events_in(outputs)
    return "".join(each.delta for each in told if isinstance(each, events.TranscriptionDelta))


def test_the_first_event_is_session_created() -> None:
    talk = Talk()

    created = only(talk, events.SessionCreated)

    assert created.session.expires_at == 1_700_003_600


def test_a_spoken_turn_is_announced_committed_and_answered_in_order() -> None:
    talk = Talk()

    assert names(talk.speak_a_turn()) == [*TURN, "ResponseCreated"]


def test_one_item_id_runs_through_the_whole_turn() -> None:
    talk = Talk()
    talk.speak_a_turn()

    ids = [
        event.item.id if isinstance(event, events.ItemAdded | events.ItemDone) else event.item_id
        for event in events_in(talk.outputs)
        if isinstance(event, TurnEvent)
    ]

    assert ids == ["item_1"] * 5


def test_a_turn_reaches_back_by_the_prefix_and_includes_the_silence() -> None:
    talk = Talk()
    talk.hear(*[SILENCE] * 20)
    talk.speak_a_turn(voiced=10, silent=7)

    started, stopped = only(talk, events.SpeechStarted), only(talk, events.SpeechStopped)

    assert started.audio_start_ms == 20 * 32 - 300
    assert stopped.audio_end_ms == 37 * 32


def test_the_prefix_never_reaches_into_the_turn_before() -> None:
    talk = Talk()
    talk.speak_a_turn()
    talk.hear(VOICE, VOICE)

    first, second = [
        event for event in events_in(talk.outputs) if isinstance(event, events.SpeechStarted)
    ]

    assert (first.audio_start_ms, second.audio_start_ms) == (0, 27 * 32)


def test_the_committed_item_is_as_long_as_the_turn() -> None:
    talk = Talk()
    talk.hear(*[SILENCE] * 20)
    talk.speak_a_turn(voiced=10, silent=7)

    added = only(talk, events.ItemAdded)

    assert isinstance(added.item, Message)
    assert added.item.content == (InputAudio((17 * 32 + 300) * 24, 24000),)


def test_silence_is_forgotten_but_for_the_prefix() -> None:
    talk = Talk()
    talk.hear(*[SILENCE] * 1000)

    talk.hear(VOICE, VOICE)

    (order,) = talk.effects(effects.Transcribe)
    assert len(order.pcm) == (300 + 64) * 48


def test_a_response_waits_for_the_words_it_is_to_answer() -> None:
    talk = Talk()
    talk.speak_a_turn()
    assert talk.effects(effects.Generate) == []

    talk.say(signals.TranscriptFinished("item_1", "what time is it"))

    (item,) = talk.request.context
    assert isinstance(item, Message)
    assert item.content == (InputAudio(27 * 32 * 24, 24000, "what time is it"),)


def test_a_recipe_that_listens_itself_does_not_wait_for_words() -> None:
    talk = Talk(reads=False)

    talk.speak_a_turn()

    assert len(talk.effects(effects.Generate)) == 1
    assert talk.effects(effects.Transcribe) == []


def test_without_create_response_the_turn_ends_with_its_item() -> None:
    quiet = AudioInput(turn_detection=ServerVad(create_response=False))
    talk = Talk(SessionSettings(input=quiet))

    assert names(talk.speak_a_turn()) == TURN


def test_speech_is_transcribed_as_it_arrives() -> None:
    talk = Talk()
    talk.hear(VOICE, VOICE)
    made = talk.hear(VOICE)

    assert effects.TranscribeMore("item_1", bytes(1536)) in effects_in(made)


def test_words_are_shown_once_their_item_is_known() -> None:
    talk = Talk(READING_ALONG)
    talk.hear(VOICE, VOICE)
    early = talk.say(signals.TranscriptGrew("item_1", "what "))
    late = talk.hear(*[SILENCE] * 7)
    more = talk.say(signals.TranscriptGrew("item_1", "time"))

    assert names(early) == []
    assert names(late)[-2:] == ["ResponseCreated", "TranscriptionDelta"]
    assert names(more) == ["TranscriptionDelta"]


def test_who_begins_to_read_in_mid_turn_reads_all_of_it() -> None:
    talk = Talk()
    talk.hear(VOICE, VOICE)
    talk.say(signals.TranscriptGrew("item_1", "what "))
    talk.say(reading(Transcription("whisper-1")))
    talk.say(signals.TranscriptGrew("item_1", "time"))

    made = talk.hear(*[SILENCE] * 7)

    assert words_in(made) == "what time"


def test_who_has_begun_to_read_reads_to_the_end() -> None:
    talk = Talk(READING_ALONG)
    talk.speak_a_turn()
    talk.say(signals.TranscriptGrew("item_1", "what "))
    talk.say(reading(None))

    made = talk.say(
        signals.TranscriptGrew("item_1", "time"),
        signals.TranscriptFinished("item_1", "what time"),
    )

    assert names(made)[:2] == ["TranscriptionDelta", "TranscriptionCompleted"]


def test_who_does_not_read_when_the_turn_is_over_never_reads_it() -> None:
    talk = Talk(READING_ALONG)
    talk.hear(VOICE, VOICE)
    talk.say(signals.TranscriptGrew("item_1", "what "))
    talk.say(reading(None))
    talk.hear(*[SILENCE] * 7)
    talk.say(reading(Transcription("whisper-1")))

    made = talk.say(
        signals.TranscriptGrew("item_1", "time"),
        signals.TranscriptFinished("item_1", "what time"),
    )

    assert names(made) == []


def test_words_that_waited_come_before_those_that_are_shown_live() -> None:
    talk = Talk(READING_ALONG)
    talk.hear(VOICE, VOICE)
    talk.say(signals.TranscriptGrew("item_1", "what "))
    talk.say(commands.UpdateSession(update=SessionUpdate(type="transcription")))

    made = talk.say(signals.TranscriptGrew("item_1", "time"))

    assert words_in(made) == "what time"


def test_words_shown_live_are_concluded_whatever_the_settings_say_by_then() -> None:
    talk = Talk(LISTENING)
    talk.hear(VOICE, VOICE)
    talk.say(signals.TranscriptGrew("item_1", "what "))
    talk.say(reading(None))
    more = talk.say(signals.TranscriptGrew("item_1", "time"))
    talk.hear(*[SILENCE] * 7)

    made = talk.say(signals.TranscriptFinished("item_1", "what time"))

    assert names(more) == ["TranscriptionDelta"]
    assert names(made) == ["TranscriptionCompleted"]


def test_nobody_reads_words_that_were_not_asked_for() -> None:
    talk = Talk()
    talk.hear(VOICE, VOICE)
    talk.say(signals.TranscriptGrew("item_1", "what "))
    talk.hear(*[SILENCE] * 7)

    assert names(talk.say(signals.TranscriptFinished("item_1", "what"))) == []


def test_a_transcription_is_completed_once_with_its_length() -> None:
    talk = Talk(READING_ALONG)
    talk.speak_a_turn(voiced=50)

    talk.say(signals.TranscriptFinished("item_1", "hello"))
    again = talk.say(signals.TranscriptFinished("item_1", "hello"))

    completed = only(talk, events.TranscriptionCompleted)
    assert (completed.transcript, completed.usage.seconds) == ("hello", 2)
    assert again == []


def test_models_billed_by_tokens_report_tokens() -> None:
    asked = AudioInput(transcription=Transcription("gpt-4o-transcribe", prompt="greetings"))
    talk = Talk(SessionSettings(input=asked))
    talk.speak_a_turn(voiced=50)

    talk.say(signals.TranscriptFinished("item_1", "hello there"))

    completed = only(talk, events.TranscriptionCompleted)
    assert completed.usage == events.TranscriptionUsage(
        input=events.Tokens(text=3, audio=18), output_tokens=3
    )


@pytest.mark.parametrize("model", [None, "whisper-1", "gpt-transcribe", "gpt-realtime-whisper"])
def test_all_other_models_report_seconds(model: str | None) -> None:
    talk = Talk(SessionSettings(input=AudioInput(transcription=Transcription(model))))
    talk.speak_a_turn(voiced=50)

    talk.say(signals.TranscriptFinished("item_1", "hello there"))

    assert only(talk, events.TranscriptionCompleted).usage == events.TranscriptionUsage(seconds=2)


def test_a_failed_transcription_fails_the_response_that_waits_for_it() -> None:
    talk = Talk(READING_ALONG)
    talk.speak_a_turn()

    made = talk.say(signals.TranscriptFailed("item_1", "server_error", "it broke"))

    assert names(made) == ["TranscriptionFailed", "ResponseDone"]
    done = events_in(made)[-1]
    assert isinstance(done, events.ResponseDone)
    assert done.response.status == "failed"


def test_a_transcription_that_fails_in_mid_turn_is_told_at_its_end() -> None:
    talk = Talk(READING_ALONG)
    talk.hear(VOICE, VOICE)
    early = talk.say(signals.TranscriptFailed("item_1", "server_error", "it broke"))
    late = talk.hear(VOICE, *[SILENCE] * 7)

    assert names(early) == []
    assert names(late)[-3:] == ["ResponseCreated", "TranscriptionFailed", "ResponseDone"]
    assert effects.TranscribeMore("item_1", bytes(1536)) not in effects_in(late)


def test_a_transcript_that_is_over_before_the_turn_is_answered_at_its_end() -> None:
    talk = Talk(READING_ALONG)
    talk.hear(VOICE, VOICE)
    early = talk.say(
        signals.TranscriptGrew("item_1", "what"),
        signals.TranscriptFinished("item_1", "what"),
        signals.TranscriptGrew("item_1", " more"),
    )
    late = talk.hear(VOICE, *[SILENCE] * 7)

    assert early == []
    assert names(late)[-3:] == ["ResponseCreated", "TranscriptionDelta", "TranscriptionCompleted"]
    assert words_in(late) == "what"
    orders = {type(each) for each in effects_in(late)}
    assert orders == {effects.Listen, effects.Generate}


def test_after_a_failed_turn_the_next_one_works() -> None:
    talk = Talk()
    talk.hear(VOICE, VOICE)
    talk.say(signals.TranscriptFailed("item_1", "server_error", "it broke"))
    talk.hear(*[SILENCE] * 7)

    talk.speak_a_turn()
    talk.say(signals.TranscriptFinished("item_2", "hello"))

    assert len(talk.effects(effects.Generate)) == 1


def test_barge_in_ends_the_response_at_once() -> None:
    talk = Talk()
    talk.write("hello")
    talk.say(commands.CreateResponse())
    talk.say(signals.TextProduced("resp_1", "I "), signals.AudioProduced("resp_1", bytes(4800)))

    made = talk.hear(VOICE, VOICE)

    assert names(made) == [
        "SpeechStarted",
        "AudioDone",
        "AudioTranscriptDone",
        "PartDone",
        "ItemDone",
        "OutputItemDone",
        "ResponseDone",
    ]
    done = events_in(made)[-1]
    assert isinstance(done, events.ResponseDone)
    assert done.response.status == "cancelled"
    assert done.response.status_details == events.StatusDetails(reason="turn_detected")
    assert effects.StopGenerating("resp_1") in effects_in(made)


def test_what_comes_late_of_an_interrupted_response_goes_nowhere() -> None:
    talk = Talk()
    talk.write("hello")
    talk.say(commands.CreateResponse())
    talk.hear(VOICE, VOICE)

    late = talk.say(
        signals.TextProduced("resp_1", "I "),
        signals.AudioProduced("resp_1", bytes(4800)),
        signals.CallProduced("resp_1", 0, "f"),
        signals.GenerationFinished("resp_1"),
        signals.GenerationFailed("resp_1", "server_error", "late"),
    )

    assert late == []


def test_without_interrupt_response_speech_cancels_nothing() -> None:
    polite = AudioInput(turn_detection=ServerVad(interrupt_response=False))
    talk = Talk(SessionSettings(input=polite))
    talk.write("hello")
    talk.say(commands.CreateResponse())

    assert names(talk.speak_a_turn()) == TURN


def test_an_out_of_band_response_is_not_interrupted() -> None:
    talk = Talk()
    talk.say(commands.CreateResponse(conversation="none"))

    assert names(talk.hear(VOICE, VOICE)) == ["SpeechStarted"]


def test_by_hand_the_client_commits_and_asks() -> None:
    talk = Talk(BY_HAND)
    talk.say(commands.AppendAudio(audio=bytes(4800)), commands.AppendAudio(audio=bytes(4800)))

    made = talk.say(commands.CommitAudio())

    assert names(made) == ["AudioCommitted", "ItemAdded", "ItemDone"]
    assert [type(each) for each in effects_in(talk.outputs)] == [
        effects.Transcribe,
        effects.TranscribeMore,
        effects.FinishTranscript,
    ]


def test_the_words_of_a_turn_by_hand_belong_to_its_item() -> None:
    talk = Talk(BY_HAND)
    talk.say(commands.AppendAudio(audio=bytes(9600)), commands.CommitAudio())
    talk.say(commands.CreateResponse())
    (order,) = talk.effects(effects.Transcribe)

    talk.say(signals.TranscriptFinished(order.item_id, "hello"))

    assert talk.request.context[0].id == order.item_id


@pytest.mark.parametrize("settings", [BY_HAND, SessionSettings()])
def test_less_than_a_tenth_of_a_second_cannot_be_committed(settings: SessionSettings) -> None:
    talk = Talk(settings)
    talk.say(commands.AppendAudio(audio=bytes(2400)))

    refusal = error(talk.say(commands.CommitAudio(event_id="mine")))

    assert refusal.code == "input_audio_buffer_commit_empty"
    assert refusal.event_id == "mine"
    assert "only has 50.00ms" in refusal.message


def test_committing_in_mid_speech_cuts_the_turn_there() -> None:
    talk = Talk()
    talk.hear(*[VOICE] * 10)

    made = talk.say(commands.CommitAudio())

    assert names(made) == ["AudioCommitted", "ItemAdded", "ItemDone"]
    committed = events_in(made)[0]
    assert isinstance(committed, events.AudioCommitted)
    assert committed.item_id == "item_1"
    assert names(talk.hear(VOICE, VOICE)) == ["SpeechStarted"]


def test_what_was_committed_before_it_was_judged_begins_no_turn() -> None:
    talk = Talk()
    talk.say(*[commands.AppendAudio(audio=bytes(1536))] * 10, commands.CommitAudio())

    made = talk.say(signals.Heard(0, (VOICE,) * 10))

    assert names(made) == []
    assert names(talk.hear(VOICE, VOICE)) == ["SpeechStarted"]
    assert only(talk, events.SpeechStarted).audio_start_ms == 320


def test_a_turn_never_ends_behind_the_audio_there_is() -> None:
    talk = Talk()
    talk.say(commands.AppendAudio(audio=bytes(9600)))

    talk.say(signals.Heard(0, (VOICE, VOICE, *[SILENCE] * 20)))

    assert only(talk, events.SpeechStopped).audio_end_ms == 200
    assert "only has 0.00ms" in error(talk.say(commands.CommitAudio())).message


def test_nobody_can_take_the_id_of_an_item_that_is_being_spoken() -> None:
    talk = Talk()
    talk.hear(VOICE, VOICE)
    mine = Message("item_1", "user", ())

    refusal = error(talk.say(commands.CreateItem(item=mine)))

    assert refusal.code == "item_create_duplicate_item_id"
    assert names(talk.hear(*[SILENCE] * 7)) == [*TURN[1:], "ResponseCreated"]


def test_the_id_of_an_item_whose_words_are_due_is_not_free_either() -> None:
    talk = Talk()
    talk.speak_a_turn()
    talk.say(commands.CancelResponse(), commands.DeleteItem(item_id="item_1"))
    mine = commands.CreateItem(item=Message("item_1", "user", ()))

    assert error(talk.say(mine)).code == "item_create_duplicate_item_id"
    talk.say(signals.TranscriptFinished("item_1", "hello"))
    assert names(talk.say(mine)) == ["ItemAdded", "ItemDone"]


def test_committing_silence_with_detection_on_takes_what_is_kept() -> None:
    talk = Talk()
    talk.hear(*[SILENCE] * 10)

    made = talk.say(commands.CommitAudio())

    assert names(made) == ["AudioCommitted", "ItemAdded", "ItemDone"]
    assert [type(each) for each in effects_in(made)] == [
        effects.Transcribe,
        effects.FinishTranscript,
    ]


def test_clearing_drops_the_turn_and_its_transcription() -> None:
    talk = Talk()
    talk.hear(*[VOICE] * 10)

    made = talk.say(commands.ClearAudio())

    assert names(made) == ["AudioCleared"]
    assert effects_in(made) == [effects.DropTranscript("item_1")]
    assert names(talk.hear(*[SILENCE] * 20)) == []


def test_clearing_forgets_the_words_that_waited() -> None:
    talk = Talk(READING_ALONG)
    talk.hear(*[VOICE] * 10)
    talk.say(signals.TranscriptGrew("item_1", "never mind"))
    talk.say(commands.ClearAudio())

    assert words_in(talk.speak_a_turn()) == ""
    assert not talk.session._captions._held


def test_clearing_nothing_is_fine() -> None:
    assert names(Talk().say(commands.ClearAudio())) == ["AudioCleared"]


def test_what_was_heard_before_a_clear_says_nothing_about_what_comes_after() -> None:
    talk = Talk()
    talk.hear(VOICE)
    talk.say(commands.ClearAudio())

    assert names(talk.say(signals.Heard(0, (VOICE, VOICE, VOICE)))) == []


def test_voice_detection_that_breaks_begins_anew() -> None:
    talk = Talk()
    talk.hear(VOICE)

    made = talk.say(signals.DetectionFailed(0, "voice detection broke"))

    assert error(made).kind == "server_error"
    assert names(talk.hear(VOICE, VOICE)) == ["SpeechStarted"]
    assert talk.say(signals.DetectionFailed(0, "again")) == []


def test_voice_detection_that_breaks_in_mid_turn_leaves_the_turn_to_go_on() -> None:
    talk = Talk()
    talk.hear(VOICE, VOICE)
    talk.say(signals.DetectionFailed(0, "voice detection broke"))

    assert names(talk.hear(VOICE, VOICE, *[SILENCE] * 7)) == [*TURN[1:], "ResponseCreated"]
    assert only(talk, events.SpeechStopped).audio_end_ms == 11 * 32


def test_voice_detection_that_nobody_needs_may_break() -> None:
    talk = Talk(BY_HAND)

    assert talk.say(signals.DetectionFailed(0, "voice detection broke")) == []


def test_switching_detection_off_in_mid_speech_keeps_the_audio_uncommitted() -> None:
    talk = Talk()
    talk.hear(*[VOICE] * 10)
    off = SessionUpdate(input=AudioInputUpdate(turn_detection=None))

    talk.say(commands.UpdateSession(update=off))
    made = talk.say(commands.CommitAudio())

    assert names(made) == ["AudioCommitted", "ItemAdded", "ItemDone"]
    assert effects.FinishTranscript("item_1") in effects_in(made)


def test_switching_detection_on_begins_afresh() -> None:
    talk = Talk(BY_HAND)
    talk.say(commands.AppendAudio(audio=bytes(9600)))
    on = SessionUpdate(input=AudioInputUpdate(turn_detection=SemanticVad()))

    made = talk.say(commands.UpdateSession(update=on))

    assert [type(each) for each in effects_in(made)] == [effects.DropTranscript]
    assert names(talk.hear(VOICE, VOICE)) == ["SpeechStarted"]


def test_another_input_format_is_taken_up_between_turns() -> None:
    talk = Talk()
    talk.hear(*[SILENCE] * 10)
    narrow = SessionUpdate(input=AudioInputUpdate(format=AudioFormat("audio/pcmu")))

    talk.say(commands.UpdateSession(update=narrow))

    assert talk.session.input_format == AudioFormat("audio/pcmu")
    made = talk.hear(VOICE, VOICE, frame_bytes=512)
    started = events_in(made)[0]
    assert isinstance(started, events.SpeechStarted)
    assert started.audio_start_ms == 320


def test_another_input_format_waits_for_the_end_of_the_turn() -> None:
    talk = Talk()
    talk.hear(VOICE, VOICE)
    narrow = SessionUpdate(input=AudioInputUpdate(format=AudioFormat("audio/pcma")))

    talk.say(commands.UpdateSession(update=narrow))
    assert talk.session.input_format == AudioFormat("audio/pcm")
    talk.hear(*[SILENCE] * 7)

    assert talk.session.input_format == AudioFormat("audio/pcma")


def test_what_was_heard_of_the_old_format_says_nothing_about_the_new() -> None:
    talk = Talk()
    talk.hear(VOICE, VOICE)
    narrow = SessionUpdate(input=AudioInputUpdate(format=AudioFormat("audio/pcma")))
    talk.say(commands.UpdateSession(update=narrow))
    talk.say(commands.AppendAudio(audio=bytes(20 * 1536)))

    made = talk.say(signals.Heard(0, (*[SILENCE] * 7, *[VOICE] * 13)))

    assert names(made) == [*TURN[1:], "ResponseCreated"]
    assert names(talk.hear(VOICE, frame_bytes=512)) == []


def test_half_a_sample_waits_for_its_other_half() -> None:
    talk = Talk()

    assert talk.say(commands.AppendAudio(audio=b"\0")) == []
    (order,) = effects_in(talk.say(commands.AppendAudio(audio=b"\0")))

    assert order == effects.Listen(0, b"\0\0", 24000)


def test_uncommitted_audio_is_bounded_and_the_session_lives_on() -> None:
    talk = Talk(BY_HAND)
    talk.say(commands.AppendAudio(audio=bytes(20 * 1024 * 1024)))

    refusal = error(talk.say(commands.AppendAudio(audio=bytes(20 * 1024 * 1024), event_id="big")))

    assert (refusal.param, refusal.event_id) == ("audio", "big")
    assert names(talk.say(commands.CommitAudio()))[0] == "AudioCommitted"


def test_noise_that_never_ends_is_cut_into_turns() -> None:
    talk = Talk()
    talk.hear(VOICE, VOICE)

    made = talk.hear(VOICE, frame_bytes=33 * 1024 * 1024)

    assert "SpeechStopped" in names(made)


def test_a_transcription_session_transcribes_and_never_answers() -> None:
    talk = Talk(LISTENING)
    talk.hear(VOICE, VOICE)

    live = talk.say(signals.TranscriptGrew("item_1", "what "))

    assert names(live) == ["TranscriptionDelta"]
    assert names(talk.hear(*[SILENCE] * 7))[-1] == "ItemDone"
    assert error(talk.say(commands.CreateResponse())).param == "type"
    assert error(talk.say(commands.CancelResponse())).param == "type"


def test_after_a_response_silence_is_addressed_once() -> None:
    talk = Talk(PATIENT)
    talk.say(commands.CreateResponse())
    talk.say(signals.AudioProduced("resp_1", bytes(96000)), signals.GenerationFinished("resp_1"))
    talk.hear(*[SILENCE] * 10)

    assert talk.wait(7.9) == []
    made = talk.wait(0.2)

    assert names(made) == [
        "TimeoutTriggered",
        "AudioCommitted",
        "ItemAdded",
        "ItemDone",
        "ResponseCreated",
    ]
    assert talk.wait(60) == []


def test_silence_is_said_to_begin_where_the_last_turn_ended() -> None:
    talk = Talk(PATIENT)
    talk.speak_a_turn()
    talk.say(signals.TranscriptFinished("item_1", "hi"), signals.GenerationFinished("resp_1"))
    talk.hear(*[SILENCE] * 10)

    talk.wait(6)

    triggered = only(talk, events.TimeoutTriggered)
    assert (triggered.audio_start_ms, triggered.audio_end_ms) == (27 * 32, 37 * 32)


def test_silence_that_nobody_recorded_cannot_be_addressed() -> None:
    talk = Talk(PATIENT)
    talk.say(commands.CreateResponse(), signals.GenerationFinished("resp_1"))

    assert talk.wait(60) == []


def test_a_response_out_of_band_leaves_the_clock_of_silence_running() -> None:
    talk = Talk(PATIENT)
    talk.say(commands.CreateResponse(), signals.GenerationFinished("resp_1"))
    talk.hear(*[SILENCE] * 10)
    talk.say(commands.CreateResponse(conversation="none"), signals.GenerationFinished("resp_2"))

    assert names(talk.wait(6))[0] == "TimeoutTriggered"


def test_other_settings_leave_the_clock_of_silence_running() -> None:
    talk = Talk(PATIENT)
    talk.say(commands.CreateResponse(), signals.GenerationFinished("resp_1"))
    talk.hear(*[SILENCE] * 10)
    talk.say(commands.UpdateSession(update=SessionUpdate(instructions="Be brief.")))

    assert talk.session.tick(5.9) == []
    assert names(talk.wait(6))[0] == "TimeoutTriggered"


def test_a_response_that_ends_while_somebody_speaks_starts_no_clock_of_silence() -> None:
    patient = ServerVad(idle_timeout_ms=6000, interrupt_response=False, create_response=False)
    talk = Talk(SessionSettings(input=AudioInput(turn_detection=patient)))
    talk.say(commands.CreateResponse())
    talk.hear(VOICE, VOICE)
    talk.say(signals.GenerationFinished("resp_1"))
    talk.hear(*[SILENCE] * 20)

    assert talk.wait(60) == []


def test_without_the_timeout_the_clock_of_silence_stops() -> None:
    talk = Talk(PATIENT)
    talk.say(commands.CreateResponse(), signals.GenerationFinished("resp_1"))
    talk.hear(*[SILENCE] * 10)
    calm = SessionUpdate(input=AudioInputUpdate(turn_detection=ServerVad()))
    talk.say(commands.UpdateSession(update=calm))

    assert talk.wait(60) == []


def test_speech_stops_the_clock_of_silence() -> None:
    talk = Talk(PATIENT)
    talk.say(commands.CreateResponse(), signals.GenerationFinished("resp_1"))
    talk.hear(VOICE, VOICE)

    assert talk.wait(60) == []


def test_a_session_ends_when_its_time_is_up() -> None:
    talk = Talk(max_seconds=1800)

    assert talk.wait(1799) == []
    made = talk.wait(1)

    assert error(made).code == "session_expired"
    assert "30 minutes" in error(made).message
    assert isinstance(effects_in(made)[-1], effects.HangUp)
    assert talk.say(commands.CommitAudio()) == []
    assert talk.session.deadline is None
    assert talk.session.tick(9999) == []


def test_silence_is_addressed_whatever_the_prefix_is() -> None:
    detection = ServerVad(prefix_padding_ms=0, idle_timeout_ms=6000)
    talk = Talk(SessionSettings(input=AudioInput(turn_detection=detection)))
    talk.say(commands.CreateResponse(), signals.GenerationFinished("resp_1"))
    talk.hear(*[SILENCE] * 200)

    assert "TimeoutTriggered" in names(talk.wait(6.5))


def test_the_silence_that_is_announced_is_the_silence_that_is_committed() -> None:
    talk = Talk(PATIENT)
    talk.say(commands.CreateResponse(), signals.GenerationFinished("resp_1"))
    talk.hear(*[SILENCE] * 200)
    made = talk.wait(6.5)

    triggered = only(talk, events.TimeoutTriggered)
    assert (triggered.audio_start_ms, triggered.audio_end_ms) == (400, 6400)
    added = next(each for each in events_in(made) if isinstance(each, events.ItemAdded))
    assert isinstance(added.item, Message)
    assert added.item.content == (InputAudio(6000 * 24, 24000),)


def test_silence_that_nobody_recorded_is_addressed_once_there_is_some() -> None:
    talk = Talk(PATIENT)
    talk.say(commands.CreateResponse(), signals.GenerationFinished("resp_1"))

    assert events_in(talk.wait(60)) == []
    made = talk.hear(*[SILENCE] * 4)
    assert names(made)[:2] == ["TimeoutTriggered", "AudioCommitted"]
    assert names(talk.hear(*[SILENCE] * 100)) == []


def test_silence_is_counted_from_the_last_of_the_audio_that_is_still_played() -> None:
    talk = Talk(PATIENT)
    talk.say(commands.CreateResponse(), signals.AudioProduced("resp_1", bytes(10 * 48000)))
    talk.wait(4)
    talk.say(signals.GenerationFinished("resp_1"))

    assert talk.session.deadline == 10 + 6


def test_audio_that_was_played_already_delays_nothing() -> None:
    talk = Talk(PATIENT)
    talk.say(commands.CreateResponse(), signals.AudioProduced("resp_1", bytes(2 * 48000)))
    talk.wait(4)
    talk.say(signals.GenerationFinished("resp_1"))

    assert talk.session.deadline == 4 + 6


def test_where_the_server_plays_silence_is_counted_from_the_last_that_was_heard() -> None:
    talk = Talk(PATIENT, plays=True)
    talk.say(
        commands.CreateResponse(),
        signals.AudioProduced("resp_1", bytes(48000)),
        signals.GenerationFinished("resp_1"),
        signals.Played("resp_1", 480),
    )
    assert events_in(talk.wait(30)) == []  # something else is played before the rest of it

    made = talk.say(signals.Played("resp_1", 24000, finished=True))

    assert names(made) == ["OutputStopped"]
    assert talk.session.deadline == talk.now + 6


def test_a_listener_who_stopped_playing_is_waited_for_from_then_on() -> None:
    talk = Talk(PATIENT)
    talk.say(commands.CreateResponse(), signals.AudioProduced("resp_1", bytes(10 * 48000)))
    talk.say(signals.GenerationFinished("resp_1"))
    talk.wait(1)
    talk.say(commands.TruncateItem(item_id="item_1", content_index=0, audio_end_ms=1000))

    assert talk.session.deadline == 1 + 6


def test_silence_can_be_committed_whatever_the_prefix_is() -> None:
    detection = ServerVad(prefix_padding_ms=0)
    talk = Talk(SessionSettings(input=AudioInput(turn_detection=detection)))
    talk.hear(*[SILENCE] * 40)

    assert names(talk.say(commands.CommitAudio()))[0] == "AudioCommitted"


def test_a_transcription_is_billed_as_it_was_asked_for() -> None:
    by_tokens = Transcription("gpt-4o-transcribe")
    talk = Talk(SessionSettings(input=AudioInput(transcription=by_tokens)))
    talk.speak_a_turn()
    talk.say(reading(Transcription("whisper-1")))
    (order,) = talk.effects(effects.Transcribe)
    talk.say(signals.TranscriptFinished(order.item_id, "hello"))

    assert only(talk, events.TranscriptionCompleted).usage.seconds is None


def test_words_lose_the_blanks_around_them() -> None:
    talk = Talk(READING_ALONG)
    talk.speak_a_turn()
    (order,) = talk.effects(effects.Transcribe)
    talk.say(signals.TranscriptFinished(order.item_id, " hello \n"))

    assert only(talk, events.TranscriptionCompleted).transcript == "hello"
    (item,) = talk.request.context
    assert isinstance(item, Message)
    assert item.content == (InputAudio(item.content[0].samples, 24000, "hello"),)  # type: ignore[union-attr]


def test_a_transcription_hears_its_own_turn_and_not_the_next() -> None:
    talk = Talk()
    frames = [VOICE] * 20 + [SILENCE] * 7 + [VOICE] * 20 + [SILENCE] * 7
    talk.say(commands.AppendAudio(audio=bytes(1536 * len(frames))))
    talk.say(signals.Heard(0, tuple(frames)))

    heard: dict[str, int] = {}
    for each in talk.effects(object):
        if isinstance(each, effects.Transcribe | effects.TranscribeMore):
            heard[each.item_id] = heard.get(each.item_id, 0) + len(each.pcm) // 1536
    items = [each.item for each in events_in(talk.outputs) if isinstance(each, events.ItemAdded)]
    lengths = {
        item.id: item.content[0].samples // 768
        for item in items
        if isinstance(item, Message) and isinstance(item.content[0], InputAudio)
    }
    assert heard == lengths
    assert len(heard) == 2


def test_a_transcription_that_a_commit_overtakes_hears_the_rest() -> None:
    talk = Talk()
    talk.hear(*[VOICE] * 10)
    talk.say(commands.AppendAudio(audio=bytes(1536 * 5)))  # nobody has judged it yet
    made = talk.say(commands.CommitAudio())

    (order,) = talk.effects(effects.Transcribe)
    more = [each for each in effects_in(made) if isinstance(each, effects.TranscribeMore)]
    assert [len(each.pcm) for each in more] == [1536 * 5]
    assert effects.FinishTranscript(order.item_id) in effects_in(made)


def test_switching_detection_off_in_mid_turn_leaves_no_gap_in_what_is_transcribed() -> None:
    talk = Talk()
    talk.hear(*[VOICE] * 10)
    talk.say(commands.AppendAudio(audio=bytes(1536 * 5)))
    update = SessionUpdate(input=AudioInputUpdate(turn_detection=None))
    talk.say(commands.UpdateSession(update=update))
    made = talk.say(commands.AppendAudio(audio=bytes(1536)))

    (more,) = (each for each in effects_in(made) if isinstance(each, effects.TranscribeMore))
    assert len(more.pcm) == 1536 * 6
