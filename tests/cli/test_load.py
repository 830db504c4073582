"""What a session of the bench makes of what it said and saw; every moment is written down here."""

from collections.abc import AsyncIterator
from functools import partial
from typing import cast

import anyio
import msgspec
import pytest

from vivavoce.cli.client import Call
from vivavoce.cli.load import Seen, Sound, Talker, Tally, Times

Event = dict[str, object]

STARTED: Event = {"type": "input_audio_buffer.speech_started", "item_id": "item_1"}
AUDIO_OF_R1: Event = {"type": "response.output_audio.delta", "response_id": "r1", "delta": "AAAA"}
AUDIO_OF_R2: Event = AUDIO_OF_R1 | {"response_id": "r2"}


def stopped(audio_end_ms: int) -> Event:
    return {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": audio_end_ms}


def created(response_id: str = "r1") -> Event:
    return {"type": "response.created", "response": {"id": response_id, "status": "in_progress"}}


def done(status: str, response_id: str = "r1") -> Event:
    return {"type": "response.done", "response": {"id": response_id, "status": status}}


class Session:
    """A tally and its times. Appends go out at 0.0, 0.1, 0.2 ... seconds, the first with speech."""

    def __init__(self, appends: int = 0) -> None:
        self.times = Times()
        self.tally = Tally(self.times)
        for number in range(appends):
            self.tally.sent(number / 10, begins_turn=number == 0)

    def see(self, event: Event, at: float) -> None:
        self.tally.see(msgspec.json.decode(msgspec.json.encode(event), type=Seen), at)


@pytest.mark.parametrize(("audio_end_ms", "due"), [(1, 0.0), (100, 0.0), (101, 0.1), (512, 0.5)])
def test_the_end_of_speech_is_due_with_the_append_that_holds_it(
    audio_end_ms: int, due: float
) -> None:
    session = Session(appends=8)

    session.see(stopped(audio_end_ms), due + 0.25)

    assert session.times.stopped_late == pytest.approx([250])


def test_an_end_beyond_what_was_sent_is_due_with_the_last_append() -> None:
    session = Session(appends=3)

    session.see(stopped(5000), 0.21)

    assert session.times.stopped_late == pytest.approx([10])


def test_only_the_first_audio_after_the_end_of_speech_is_an_answer() -> None:
    session = Session(appends=8)

    session.see(stopped(700), 0.61)
    session.see(AUDIO_OF_R1, 0.64)
    session.see(AUDIO_OF_R1, 0.9)

    assert session.times.first_audio == pytest.approx([40])


def test_the_preview_dialects_audio_is_an_answer_too() -> None:
    session = Session(appends=8)

    session.see(stopped(700), 0.61)
    session.see(AUDIO_OF_R1 | {"type": "response.audio.delta"}, 0.64)

    assert session.times.first_audio == pytest.approx([40])


def test_audio_before_the_end_of_speech_answers_nothing() -> None:
    session = Session(appends=8)

    session.see(AUDIO_OF_R1, 0.3)

    assert session.times.first_audio == []


def test_an_interrupted_answer_is_timed_from_the_speech_and_from_its_detection() -> None:
    session = Session(appends=8)
    session.see(created(), 0.7)
    session.tally.sent(0.8, begins_turn=True)

    session.see(STARTED, 0.82)
    session.see(done("cancelled"), 0.83)

    assert session.times.cancelled == pytest.approx([10])
    assert session.times.interrupted == pytest.approx([30])
    assert session.times.errors == []


def test_speech_that_began_while_nothing_was_answered_interrupts_nothing() -> None:
    session = Session(appends=8)
    session.see(created("r1"), 0.1)
    session.see(done("completed", "r1"), 0.2)

    session.see(STARTED, 0.3)
    session.see(created("r2"), 0.7)
    session.see(done("cancelled", "r2"), 0.75)

    assert session.times.cancelled == []
    assert session.times.errors == ["a response ended as cancelled"]


@pytest.mark.parametrize("status", ["failed", "incomplete"])
def test_an_answer_that_broke_off_was_not_interrupted(status: str) -> None:
    session = Session(appends=8)
    session.see(created(), 0.7)

    session.see(STARTED, 0.72)
    session.see(done(status), 0.8)

    assert session.times.cancelled == []
    assert session.times.errors == [f"a response ended as {status}"]


def test_audio_of_an_answer_that_was_cancelled_is_counted() -> None:
    session = Session(appends=8)
    session.see(created("r1"), 0.7)
    session.see(AUDIO_OF_R1, 0.71)
    session.see(STARTED, 0.72)
    session.see(done("cancelled", "r1"), 0.73)

    session.see(AUDIO_OF_R1, 0.74)
    session.see(AUDIO_OF_R2, 0.75)

    assert session.times.audio_after_done == 1


def test_a_turn_without_an_answer_is_counted_when_the_next_one_begins() -> None:
    session = Session(appends=8)

    session.see(stopped(700), 0.61)
    session.tally.sent(0.8, begins_turn=True)

    assert session.times.unanswered == 1


def test_a_turn_that_the_server_did_not_even_hear_is_counted_too() -> None:
    session = Session(appends=8)

    session.tally.sent(0.8, begins_turn=True)

    assert session.times.unanswered == 1


def test_the_answer_to_a_turn_given_up_is_not_taken_for_the_next_ones() -> None:
    session = Session(appends=8)
    session.see(stopped(700), 0.61)
    session.tally.sent(0.8, begins_turn=True)

    session.see(AUDIO_OF_R1, 0.85)

    assert session.times.first_audio == []


def test_an_answered_turn_is_not_counted_as_unanswered() -> None:
    session = Session(appends=8)
    session.see(stopped(700), 0.61)
    session.see(AUDIO_OF_R1, 0.64)

    session.tally.sent(0.8, begins_turn=True)

    assert session.times.unanswered == 0


@pytest.mark.parametrize("status", ["failed", "incomplete", "cancelled"])
def test_an_answer_that_ends_otherwise_than_it_should_is_an_error(status: str) -> None:
    session = Session(appends=8)
    session.see(created(), 0.7)

    session.see(done(status), 0.8)

    assert session.times.errors == [f"a response ended as {status}"]


def test_what_the_server_calls_an_error_is_one() -> None:
    session = Session()

    session.see({"type": "error", "error": {"message": "no such thing", "code": None}}, 0.1)

    assert session.times.errors == ["no such thing"]


def test_other_events_leave_no_trace() -> None:
    session = Session(appends=1)

    session.see({"type": "response.output_item.added", "response_id": "r1", "item": {}}, 0.1)

    assert session.times == Times()


class HangsUp:
    """A line on which there is a frame that is no event, and then nobody."""

    def __init__(self) -> None:
        self.gone = anyio.Event()

    async def say_encoded(self, frame: str) -> None:
        """To nobody."""

    async def frames(self) -> AsyncIterator[str]:
        """One."""
        yield "hello"

    @property
    def farewell(self) -> str:
        """Asked for once it is over."""
        self.gone.set()
        return "1001 going away"


@pytest.mark.anyio
async def test_a_server_that_hangs_up_or_speaks_of_something_else_is_an_error() -> None:
    line, times = HangsUp(), Times()
    talker = Talker(cast(Call, line), Sound(speech=["a"], quiet=["b"]), times, period_s=3)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(talker.talk, 0.0, turn=0.0, phase=0.0))
        await line.gone.wait()
        tasks.cancel_scope.cancel()

    assert times.errors == [
        "a frame is no event: is this a realtime server?",
        "the server hung up: 1001 going away",
    ]
