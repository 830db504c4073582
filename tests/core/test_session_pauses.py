"""Semantic turn detection: the judge is asked in each pause, and its word ends the turn or not."""

from vivavoce.core import commands, effects, events, signals
from vivavoce.core.settings import (
    AudioInput,
    AudioInputUpdate,
    SemanticVad,
    ServerVad,
    SessionSettings,
    SessionUpdate,
    Transcription,
)
from vivavoce.testing.conversations import FRAME_BYTES, SILENCE, VOICE, Talk, effects_in, names

SEMANTIC = SessionSettings(
    input=AudioInput(
        transcription=Transcription("whisper-1", language="en"), turn_detection=SemanticVad()
    )
)
PAUSE = (SILENCE,) * 5


def pausing(settings: SessionSettings = SEMANTIC) -> tuple[Talk, effects.JudgeTurn]:
    """Somebody spoke and pauses; the question that was asked."""
    talk = Talk(settings, judges=True)
    talk.hear(*[VOICE] * 20, *PAUSE)
    return talk, talk.effects(effects.JudgeTurn)[-1]


def stopped(outputs: list[effects.Output]) -> bool:
    return "SpeechStopped" in names(outputs)


def test_a_pause_is_judged_by_the_turn_so_far() -> None:
    _, question = pausing()

    assert question == effects.JudgeTurn(1, bytes(25 * FRAME_BYTES), 24000, "", "en")


def test_a_turn_that_sounds_finished_is_answered_with_the_verdict() -> None:
    talk, question = pausing()

    outputs = talk.say(signals.TurnJudged(question.number, 1.0))
    assert names(outputs)[:3] == ["SpeechStopped", "AudioCommitted", "ItemAdded"]
    assert "ResponseCreated" in names(outputs)


def test_a_turn_that_sounds_unfinished_goes_on_after_the_pause_under_the_same_id() -> None:
    talk, question = pausing()

    assert not stopped(talk.say(signals.TurnJudged(question.number, 0.0)))
    talk.hear(*[SILENCE] * 40, *[VOICE] * 10)
    talk.hear(*PAUSE)
    talk.say(signals.TurnJudged(talk.effects(effects.JudgeTurn)[-1].number, 1.0))

    assert names(talk.outputs).count("SpeechStarted") == 1
    assert names(talk.outputs).count("SpeechStopped") == 1


def test_the_limit_of_the_eagerness_ends_a_turn_that_sounds_unfinished() -> None:
    talk, question = pausing()
    talk.say(signals.TurnJudged(question.number, 0.0))

    assert not stopped(talk.hear(*[SILENCE] * 119))
    assert stopped(talk.hear(SILENCE))


def test_words_that_come_in_the_pause_are_judged_too() -> None:
    talk, question = pausing()
    started = next(
        each.event
        for each in talk.outputs
        if isinstance(each, effects.Tell) and isinstance(each.event, events.SpeechStarted)
    )
    item_id = started.item_id

    (again,) = (
        each
        for each in effects_in(talk.say(signals.TranscriptGrew(item_id, "and so")))
        if isinstance(each, effects.JudgeTurn)
    )
    assert (again.number, again.words) == (question.number + 1, "and so")
    # Only the newest question counts.
    assert not stopped(talk.say(signals.TurnJudged(question.number, 1.0)))
    assert stopped(talk.say(signals.TurnJudged(again.number, 1.0)))


def test_words_that_come_while_somebody_speaks_are_kept_for_the_pause() -> None:
    talk = Talk(SEMANTIC, judges=True)
    outputs = talk.hear(*[VOICE] * 20)
    (order,) = (each for each in outputs if isinstance(each, effects.Transcribe))

    assert not effects_in(talk.say(signals.TranscriptGrew(order.item_id, "what ")))
    talk.say(signals.TranscriptGrew(order.item_id, "is"))
    talk.hear(*PAUSE)
    assert talk.effects(effects.JudgeTurn)[-1].words == "what is"


def test_the_words_of_one_turn_are_not_those_of_the_next() -> None:
    talk, question = pausing()
    (order,) = talk.effects(effects.Transcribe)
    talk.say(signals.TranscriptGrew(order.item_id, "first"))
    talk.say(signals.TurnJudged(question.number + 1, 1.0))
    talk.hear(*[VOICE] * 20, *PAUSE)

    assert talk.effects(effects.JudgeTurn)[-1].words == ""


def test_a_judge_listens_to_the_newest_eight_seconds() -> None:
    talk = Talk(SEMANTIC, judges=True)
    talk.hear(*[VOICE] * 400, *PAUSE)

    assert len(talk.effects(effects.JudgeTurn)[-1].pcm) == 8 * 48000


def test_without_a_word_of_the_judge_patience_decides() -> None:
    talk, question = pausing()
    talk.say(signals.TurnJudged(question.number, None))

    assert not stopped(talk.hear(*[SILENCE] * 14))
    assert stopped(talk.hear(SILENCE))


def test_a_recipe_without_a_judge_is_asked_nothing() -> None:
    talk = Talk(SEMANTIC)
    talk.hear(*[VOICE] * 20, *[SILENCE] * 20)

    assert not talk.effects(effects.JudgeTurn)
    assert stopped(talk.outputs)


def test_a_verdict_after_the_turn_was_cut_by_hand_ends_nothing() -> None:
    talk, question = pausing()
    talk.say(commands.CommitAudio())

    assert talk.say(signals.TurnJudged(question.number, 1.0)) == []


def test_a_verdict_after_the_buffer_was_cleared_ends_nothing() -> None:
    talk, question = pausing()
    talk.say(commands.ClearAudio())

    assert talk.say(signals.TurnJudged(question.number, 1.0)) == []


def test_a_change_to_server_vad_in_a_pause_forgets_the_question() -> None:
    talk, question = pausing()
    update = SessionUpdate(
        input=AudioInputUpdate(turn_detection=ServerVad(silence_duration_ms=500))
    )
    talk.say(commands.UpdateSession(update=update))

    assert talk.say(signals.TurnJudged(question.number, 1.0)) == []
    assert stopped(talk.hear(*[SILENCE] * 11))
