"""Answers that are made ready while it is still being waited out whether the user has finished."""

from vivavoce.core import commands, effects, events, signals
from vivavoce.core.items import InputAudio, Message
from vivavoce.core.settings import (
    AudioInput,
    AudioInputUpdate,
    SessionSettings,
    SessionUpdate,
    Transcription,
)
from vivavoce.testing.conversations import SILENCE, VOICE, Talk, effects_in, names

READING = SessionSettings(input=AudioInput(transcription=Transcription("whisper-1")))
QUIET = (SILENCE,) * 3


def quiet(settings: SessionSettings | None = None) -> tuple[Talk, effects.PeekTranscript]:
    """Somebody spoke and has just gone quiet; what was asked of the transcriber."""
    talk = Talk(settings, speculates=True)
    talk.hear(*[VOICE] * 20, *QUIET)
    (question,) = talk.effects(effects.PeekTranscript)
    return talk, question


def prepared(words: str = "hello") -> tuple[Talk, effects.Prepare, str]:
    talk, question = quiet()
    talk.say(signals.TranscriptPeeked(question.item_id, question.number, words))
    (order,) = talk.effects(effects.Prepare)
    return talk, order, question.item_id


def test_as_soon_as_it_is_quiet_the_words_so_far_are_asked_for() -> None:
    _, question = quiet()

    assert question == effects.PeekTranscript("item_1", 1)


def test_with_these_words_the_answer_is_made_ready_and_nobody_is_told() -> None:
    talk, question = quiet()
    made = talk.say(signals.TranscriptPeeked("item_1", question.number, " hello "))

    assert names(made) == []
    (order,) = effects_in(made)
    assert isinstance(order, effects.Prepare)
    (item,) = order.request.context
    assert isinstance(item, Message)
    assert isinstance(item.content[0], InputAudio)
    assert item.content[0].transcript == "hello"


def test_an_answer_that_was_made_ready_is_told_when_the_turn_has_ended_so() -> None:
    talk, order, item_id = prepared()
    made = talk.hear(*[SILENCE] * 4)
    assert effects.FinishTranscript(item_id, peeked=1) in effects_in(made)
    assert "ResponseCreated" in names(made)

    told = talk.say(signals.TranscriptFinished(item_id, "hello"))
    assert effects_in(told) == [effects.Release(order.response_id)]
    assert not talk.effects(effects.Generate)
    assert names(talk.say(signals.TextProduced(order.response_id, "Hi")))[0] == "OutputItemAdded"


def test_an_answer_to_other_words_is_thrown_away() -> None:
    talk, order, item_id = prepared()
    talk.hear(*[SILENCE] * 4)
    told = talk.say(signals.TranscriptFinished(item_id, "hello there"))

    assert [type(each) for each in effects_in(told)] == [effects.Discard, effects.Generate]
    assert talk.effects(effects.Generate)[0].response_id == order.response_id


def test_whoever_goes_on_speaking_is_answered_anew() -> None:
    talk, order, _ = prepared()
    made = talk.hear(VOICE)

    assert effects.Discard(order.response_id) in effects_in(made)
    assert names(made) == []
    talk.hear(*[VOICE] * 5, *QUIET)
    assert [each.number for each in talk.effects(effects.PeekTranscript)] == [1, 2]


def test_words_that_come_after_the_voice_is_back_prepare_nothing() -> None:
    talk, question = quiet()
    talk.hear(VOICE)

    assert talk.say(signals.TranscriptPeeked("item_1", question.number, "hello")) == []


def test_where_there_are_no_words_nothing_is_prepared() -> None:
    talk, question = quiet()

    assert talk.say(signals.TranscriptPeeked("item_1", question.number, None)) == []
    assert talk.say(signals.TranscriptPeeked("item_1", question.number, " ")) == []


def test_whatever_changes_the_conversation_changes_the_answer() -> None:
    talk, order, item_id = prepared()
    talk.write("by the way")
    talk.hear(*[SILENCE] * 4)
    told = talk.say(signals.TranscriptFinished(item_id, "hello"))

    assert effects_in(told)[0] == effects.Discard(order.response_id)
    assert len(talk.effects(effects.Generate)[0].request.context) == 2


def test_a_settings_update_throws_it_away() -> None:
    talk, order, _ = prepared()
    made = talk.say(commands.UpdateSession(update=SessionUpdate(instructions="Be brief.")))

    assert effects.Discard(order.response_id) in effects_in(made)


def test_clearing_and_committing_by_hand_throw_it_away() -> None:
    for command in (commands.ClearAudio(), commands.CommitAudio()):
        talk, order, _ = prepared()
        assert effects.Discard(order.response_id) in effects_in(talk.say(command))


def test_a_response_that_the_client_asks_for_is_not_the_one_that_was_prepared() -> None:
    talk, order, _ = prepared()
    made = talk.say(commands.CreateResponse())
    assert "ResponseCreated" in names(made)
    made += talk.hear(*[SILENCE] * 4)

    assert effects.Discard(order.response_id) in effects_in(made)
    assert order.response_id not in [each.response_id for each in talk.effects(effects.Generate)]


def test_nothing_of_what_was_prepared_is_counted() -> None:
    talk, _, _ = prepared()
    talk.hear(VOICE)
    talk.hear(*[VOICE] * 5, *[SILENCE] * 7)
    talk.say(signals.TranscriptFinished("item_1", "hello you"))
    (response,) = talk.effects(effects.Generate)
    done = talk.say(
        signals.TextProduced(response.response_id, "Hi"),
        signals.GenerationFinished(response.response_id),
    )

    (ended,) = (
        each.event
        for each in done
        if isinstance(each, effects.Tell) and isinstance(each.event, events.ResponseDone)
    )
    assert ended.response.usage is not None
    assert ended.response.usage.cached == events.Tokens()


def test_without_speculation_nobody_is_asked() -> None:
    talk = Talk()
    talk.hear(*[VOICE] * 20, *[SILENCE] * 7)

    assert not talk.effects(effects.PeekTranscript)


def test_where_nothing_is_to_be_answered_nothing_is_prepared() -> None:
    settings = SessionSettings(
        type="transcription", input=AudioInput(transcription=Transcription("whisper-1"))
    )
    talk = Talk(settings, speculates=True)
    talk.hear(*[VOICE] * 20, *QUIET)

    assert not talk.effects(effects.PeekTranscript)
    made = talk.hear(*[SILENCE] * 4)
    assert [type(each) for each in effects_in(made)][-1] is effects.FinishTranscript


def test_the_question_is_taken_back_when_the_user_goes_on() -> None:
    talk, question = quiet()
    made = talk.hear(VOICE)

    assert effects.DropPeek(question.item_id) in effects_in(made)


def test_a_long_speech_is_not_written_down_again_in_every_pause() -> None:
    talk = Talk(speculates=True)
    talk.hear(*[VOICE] * 1000, *QUIET)

    assert not talk.effects(effects.PeekTranscript)


def test_detection_that_breaks_in_a_pause_forgets_the_question() -> None:
    talk, order, _ = prepared()
    made = talk.say(signals.DetectionFailed(0, "it broke"))

    assert effects.Discard(order.response_id) in effects_in(made)


def test_switching_detection_off_throws_it_away() -> None:
    talk, order, _ = prepared()
    update = SessionUpdate(input=AudioInputUpdate(turn_detection=None))

    assert effects.Discard(order.response_id) in effects_in(
        talk.say(commands.UpdateSession(update=update))
    )
