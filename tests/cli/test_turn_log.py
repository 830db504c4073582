"""A conversation as its client follows it; every moment is written down here."""

import pytest

from vivavoce.cli.turn_log import TurnLog

Event = dict[str, object]

STOPPED: Event = {
    "type": "input_audio_buffer.speech_stopped",
    "item_id": "item_1",
    "audio_end_ms": 250,
}
CREATED: Event = {"type": "response.created", "response": {"id": "r1"}}
AUDIO: Event = {"type": "response.output_audio.delta", "response_id": "r1", "delta": "AAAA"}
DONE: Event = {"type": "response.done", "response": {"id": "r1", "status": "completed"}}


def words(text: str) -> Event:
    return {
        "type": "response.output_audio_transcript.delta",
        "response_id": "r1",
        "delta": text,
    }


def of_turn(event: Event, number: int) -> Event:
    """The same event in another turn."""
    return event | {
        key: value
        for key, value in (
            ("item_id", f"item_{number}"),
            ("response_id", f"r{number}"),
            ("response", {"id": f"r{number}", "status": "completed"}),
        )
        if key in event
    }


def spoken() -> TurnLog:
    """Three appends of 100 ms went out at 1.0, 1.1 and 1.2 s, and speech ended in the third."""
    log = TurnLog()
    for number in range(3):
        log.sent(100, 1 + number / 10)
    log.see(STOPPED, 1.21)
    return log


def test_the_end_of_speech_is_due_with_the_append_that_holds_it() -> None:
    (turn,) = spoken().turns

    assert turn.due == pytest.approx(1.2)
    assert turn.after_due_ms(turn.stopped) == pytest.approx(10)


@pytest.mark.parametrize(("audio_end_ms", "due"), [(100, 1.0), (101, 1.1), (300, 1.2)])
def test_an_append_holds_its_last_moment_but_not_the_next(audio_end_ms: int, due: float) -> None:
    log = spoken()

    log.see(STOPPED | {"audio_end_ms": audio_end_ms}, 1.5)

    assert log.turns[-1].due == pytest.approx(due)


def test_of_audio_that_was_never_sent_nothing_is_due_and_latency_counts_from_the_event() -> None:
    log = spoken()

    log.see(STOPPED | {"audio_end_ms": 900}, 1.5)

    assert log.turns[-1].due is None
    assert log.turns[-1].after_due_ms(1.75) == pytest.approx(250)


def test_a_moment_that_never_came_has_no_latency() -> None:
    (turn,) = spoken().turns

    assert turn.after_due_ms(turn.first_audio) is None


def test_someone_speaks_from_speech_started_to_speech_stopped() -> None:
    log = TurnLog()

    log.see({"type": "input_audio_buffer.speech_started", "item_id": "item_1"}, 1.0)
    assert log.speaking
    log.see(STOPPED, 1.5)
    assert not log.speaking


def test_a_response_answers_the_turn_before_it() -> None:
    log = spoken()

    log.see(CREATED, 1.22)
    log.see(words(" It is"), 1.23)
    log.see(words(" ten."), 1.24)
    log.see(AUDIO, 1.3)
    log.see(AUDIO, 1.4)

    (turn,) = log.turns
    assert turn.words == " It is ten."
    assert turn.first_word == pytest.approx(1.23)
    assert turn.first_audio == pytest.approx(1.3)


def test_the_turn_is_returned_when_its_response_is_done() -> None:
    log = spoken()

    assert log.see(CREATED, 1.22) is None
    assert log.answering
    turn = log.see(DONE, 1.5)

    assert turn is log.turns[0]
    assert turn.status == "completed"
    assert not log.answering


def test_a_response_without_speech_is_a_turn_of_its_own() -> None:
    log = spoken()
    log.see(CREATED, 1.22)
    log.see(DONE, 1.3)

    log.see(of_turn(CREATED, 2), 1.4)
    done = log.see(of_turn(DONE, 2), 1.5)

    assert done is log.turns[1]
    assert done.item_id is None


def test_a_transcript_finds_its_turn_even_when_the_next_one_has_begun() -> None:
    log = spoken()
    log.see(of_turn(STOPPED, 2), 1.4)

    log.see(
        {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": "item_1",
            "transcript": "ten past four",
        },
        1.6,
    )

    assert [turn.transcript for turn in log.turns] == ["ten past four", None]
    assert log.turns[0].transcribed == pytest.approx(1.6)


def test_a_transcription_that_failed_has_a_moment_but_no_words() -> None:
    log = spoken()

    log.see(
        {
            "type": "conversation.item.input_audio_transcription.failed",
            "item_id": "item_1",
            "error": {"message": "the engine is gone"},
        },
        1.6,
    )

    assert log.turns[0].transcript is None
    assert log.turns[0].transcribed == pytest.approx(1.6)


def test_function_calls_belong_to_their_turn() -> None:
    log = spoken()
    log.see(CREATED, 1.22)

    log.see(
        {
            "type": "response.function_call_arguments.done",
            "response_id": "r1",
            "call_id": "call_1",
            "name": "get_weather",
            "arguments": '{"city": "Paris"}',
        },
        1.3,
    )

    assert log.turns[0].calls == (("call_1", "get_weather", '{"city": "Paris"}'),)


def test_events_of_a_response_that_was_never_announced_are_let_pass() -> None:
    log = spoken()

    log.see(AUDIO, 1.3)
    log.see(words("Hello"), 1.3)
    log.see({"type": "response.function_call_arguments.done", "response_id": "r1"}, 1.3)

    assert log.see(DONE, 1.4) is None
    assert log.turns[0].first_audio is None


def test_errors_are_kept() -> None:
    log = TurnLog()

    log.see({"type": "error", "error": {"message": "no such thing"}}, 1.0)

    assert log.errors == ["no such thing"]


def test_a_turn_that_is_committed_by_hand_is_due_from_then_on_and_is_answered_as_one() -> None:
    log = TurnLog()
    log.committed(2.0)

    log.see({"type": "input_audio_buffer.committed", "item_id": "item_1"}, 2.1)
    log.see(CREATED, 2.2)
    log.see(AUDIO, 2.3)
    log.see(
        {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": "item_1",
            "transcript": "hello",
        },
        2.4,
    )

    (turn,) = log.turns
    assert (turn.item_id, turn.response_id, turn.transcript) == ("item_1", "r1", "hello")
    assert turn.after_due_ms(turn.first_audio) == pytest.approx(300)


def test_an_answer_that_failed_says_why() -> None:
    log = TurnLog()
    created = {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}
    log.see(created, 1.0)
    error = {"type": "server_error", "code": "server_error", "message": "there is no model 'x'"}
    details = {"type": "failed", "error": error}
    response = {"id": "resp_1", "status": "failed", "status_details": details, "output": []}
    turn = log.see({"type": "response.done", "response": response}, 2.0)

    assert turn is not None
    assert (turn.status, turn.why) == ("failed", "there is no model 'x'")
