"""Whole sessions in virtual time: a minute of talk takes milliseconds."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import anyio
import numpy as np
import pytest

from vivavoce.audio.pcm import of_samples
from vivavoce.core import commands, events
from vivavoce.core.errors import Refusal
from vivavoce.core.items import InputText, Message
from vivavoce.core.settings import (
    AudioFormat,
    AudioInput,
    ServerVad,
    SessionSettings,
    Transcription,
)
from vivavoce.engines.scenario import Scenario, decode
from vivavoce.engines.scripted import (
    ScriptedLanguageModel,
    ScriptedSynthesiser,
    ScriptedTranscriber,
)
from vivavoce.runtime.channel import Live, Opening, View
from vivavoce.runtime.clock import Clock
from vivavoce.runtime.observer import Observer, Step
from vivavoce.runtime.recipe import Recipe
from vivavoce.runtime.runner import Limits, Runners
from vivavoce.testing import virtual_time
from vivavoce.testing.ids import CountingIds
from vivavoce.testing.level_detector import LevelDetector
from vivavoce.testing.line import Line

RATE = 24000
CHUNK_MS = 100
SCRIPT = """
otherwise = "This is a rather long answer, and it goes on for a good while after that."
[[heard]]
transcript = "what is the weather in paris"
word_ms = 5
pause_ms = 20
[[turn]]
hears = "weather"
say = "It is sunny in Paris."
word_ms = 10
[[turn]]
hears = "fail"
say = "This will not end well."
fail = "out of memory"
fail_after_words = 2
[speech]
pace = 4
"""
LISTENING = SessionSettings(input=AudioInput(transcription=Transcription("whisper-1")))


def voice(ms: int) -> bytes:
    """A loud tone."""
    wave = 8000 * np.sin(np.arange(RATE * ms // 1000) * 0.2)
    return of_samples(wave.astype(np.int16), RATE).data


def quiet(ms: int) -> bytes:
    return bytes(2 * RATE * ms // 1000)


async def append(line: Line, audio: bytes) -> None:
    """Speak in real time, a tenth of a second after the other."""
    size = 2 * RATE * CHUNK_MS // 1000
    for start in range(0, len(audio), size):
        await anyio.sleep(CHUNK_MS / 1000)
        line.say(commands.AppendAudio(audio=audio[start : start + size]))


def write(line: Line, text: str) -> None:
    line.say(commands.CreateItem(item=Message("", "user", (InputText(text),))))


@asynccontextmanager
async def session(
    line: Line,
    settings: SessionSettings = LISTENING,
    *,
    script: str = SCRIPT,
    limits: Limits | None = None,
    observers: Sequence[Observer] = (),
) -> AsyncIterator[Live]:
    """A live session with one client on the line."""
    scenario: Scenario = decode(script, "the test's script")
    recipe = Recipe(
        "scripted",
        LevelDetector(),
        ScriptedTranscriber(scenario=scenario),
        ScriptedLanguageModel(scenario=scenario),
        ScriptedSynthesiser(scenario=scenario),
    )
    backend = Runners(recipe, Clock(), CountingIds(), limits=limits, observers=observers)
    async with (
        backend.open(Opening("sess_1", settings)) as live,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(live.attach, line, View())
        await line.wait_for(events.SessionCreated)
        yield live
        line.leave()


def talk(main: Callable[[], Awaitable[None]]) -> None:
    virtual_time.run(main)


def test_a_spoken_question_is_heard_and_answered_in_speech() -> None:
    async def main() -> None:
        line = Line()
        async with session(line):
            await append(line, quiet(500) + voice(1000) + quiet(600))
            done = await line.wait_for(events.ResponseDone)

        assert done.response.status == "completed"
        (completed,) = line.events(events.TranscriptionCompleted)
        assert completed.transcript == "what is the weather in paris"
        deltas = line.events(events.AudioTranscriptDelta)
        assert "".join(each.delta for each in deltas) == "It is sunny in Paris."
        sounds = line.events(events.AudioDelta)
        # 60 ms a letter, in pieces of 100, 150 and then 250 ms
        lengths = [len(each.audio) for each in sounds]
        assert sum(lengths) == 21 * 60 * 48
        assert lengths[:3] == [4800, 7200, 12000]

    talk(main)


def test_speech_stopped_comes_with_the_append_that_completes_the_silence() -> None:
    async def main() -> None:
        line = Line()
        async with session(line):
            await append(line, quiet(500) + voice(1000) + quiet(600))
            stopped = await line.wait_for(events.SpeechStopped)

        (heard_at,) = [at for at, event in line.heard if event is stopped]
        chunks = -(-stopped.audio_end_ms // CHUNK_MS)
        assert heard_at == pytest.approx(chunks * CHUNK_MS / 1000)

    talk(main)


def test_barge_in_silences_the_answer_and_the_new_turn_is_answered() -> None:
    async def main() -> None:
        line = Line()
        async with session(line):
            write(line, "tell me")
            line.say(commands.CreateResponse())
            await line.wait_for(events.AudioDelta, 2)
            await append(line, voice(500) + quiet(500))
            await line.wait_for(events.ResponseDone, 2)

        first, second = (event.response for event in line.events(events.ResponseDone))
        assert (first.status, second.status) == ("cancelled", "completed")
        after = line.names[line.names.index("ResponseDone") :]
        names = [
            type(event).__name__
            for _, event in line.heard[line.names.index("ResponseDone") + 1 :]
            if getattr(event, "response_id", None) == first.id
        ]
        assert names == []
        assert "AudioDelta" in after

    talk(main)


def test_an_engine_that_fails_fails_its_response_and_the_next_one_works() -> None:
    async def main() -> None:
        line = Line()
        async with session(line):
            write(line, "fail please")
            line.say(commands.CreateResponse())
            failed = await line.wait_for(events.ResponseDone)
            write(line, "and again")
            line.say(commands.CreateResponse())
            fine = await line.wait_for(events.ResponseDone, 2)

        assert failed.response.status == "failed"
        assert failed.response.status_details is not None
        assert failed.response.status_details.error_message == "out of memory"
        assert fine.response.status == "completed"

    talk(main)


def test_a_failed_transcription_is_told_and_the_session_lives() -> None:
    async def main() -> None:
        line = Line()
        script = '[[heard]]\ntranscript = "a b c"\nfail = "deaf"\nfail_after_words = 1\n'
        async with session(line, script=script):
            await append(line, voice(600) + quiet(400))
            failed = await line.wait_for(events.TranscriptionFailed)
            done = await line.wait_for(events.ResponseDone)

        assert failed.message == "deaf"
        assert done.response.status == "failed"

    talk(main)


def test_a_slow_reader_slows_the_engines_and_nothing_is_lost() -> None:
    async def main() -> None:
        line = Line(reading_s=0.5)
        limits = Limits(outbox_items=40, outbox_bytes=40_000)
        script = '[speech]\npace = 0\n[[turn]]\nsay = "' + "Many words follow here. " * 20 + '"\n'
        async with session(line, script=script, limits=limits):
            line.say(commands.CreateResponse())
            write(line, "later")
            done = await line.wait_for(events.ResponseDone)

        assert done.response.status == "completed"
        assert line.closed is None

    talk(main)


def test_a_client_that_never_reads_is_hung_up_on() -> None:
    async def main() -> None:
        line = Line()
        async with session(line, limits=Limits(grace_seconds=20)):
            line._reading_s = 1e6
            line.say(commands.CreateResponse())
            await line.wait_until(lambda line: line.closed is not None)

        assert line.closed is not None
        code, reason = line.closed
        assert code == 1008
        assert "does not read" in reason

    talk(main)


def test_a_client_that_asks_for_more_than_it_reads_is_cut_off_at_the_cap() -> None:
    async def main() -> None:
        line = Line()
        async with session(line, limits=Limits(outbox_items=50, grace_seconds=3600)):
            line._reading_s = 1000
            for _ in range(200):
                write(line, "x")
            await line.wait_until(lambda line: line.closed is not None)

        assert line.closed is not None
        assert line.closed[0] == 1008

    talk(main)


def test_a_client_that_vanishes_in_mid_turn_ends_its_session() -> None:
    async def main() -> None:
        line = Line()
        async with session(line):
            await append(line, voice(500))
            line.leave()

        assert line.names == ["SessionCreated", "SpeechStarted"]

    talk(main)


def test_an_observer_may_leave_and_the_owner_may_not_be_left() -> None:
    async def main() -> None:
        owner, observer = Line(), Line()
        async with session(owner) as live, anyio.create_task_group() as tasks:
            tasks.start_soon(
                live.attach, observer, View(owns=False, hears_audio=False, may_speak=False)
            )
            observer.say(commands.CommitAudio(event_id="mine"))
            refused = await observer.wait_for(events.ErrorRaised)
            owner.say(commands.CreateResponse())
            await observer.wait_for(events.ResponseDone)
            observer.leave()
            owner.say(commands.CreateResponse())
            await owner.wait_for(events.ResponseDone, 2)

        assert refused.refusal.code == "read_only"
        assert observer.events(events.AudioDelta) == []
        assert observer.events(events.SessionCreated) == []
        assert owner.events(events.ErrorRaised) == []

    talk(main)


def test_g711_is_understood_and_spoken() -> None:
    async def main() -> None:
        line = Line()
        ulaw = AudioFormat("audio/pcmu")
        settings = SessionSettings(input=AudioInput(format=ulaw))
        async with session(line, settings):
            loud = bytes([0x80, 0x00] * 2400)  # full scale, both signs: 600 ms
            line.say(commands.AppendAudio(audio=loud))
            line.say(commands.AppendAudio(audio=bytes([0xFF] * 8000)))
            stopped = await line.wait_for(events.SpeechStopped)
            await line.wait_for(events.ResponseDone)

        assert 600 <= stopped.audio_end_ms <= 900

    talk(main)


def test_what_cannot_be_read_is_answered_and_the_session_lives() -> None:
    async def main() -> None:
        line = Line()
        async with session(line):
            line.say(Refusal("not JSON", code="invalid_event"))
            await line.wait_for(events.ErrorRaised)
            line.say(commands.CreateResponse())
            await line.wait_for(events.ResponseDone)

    talk(main)


def test_a_session_expires_by_the_clock_while_nobody_says_anything() -> None:
    async def main() -> None:
        line = Line()
        async with session(line):
            await line.wait_until(lambda line: line.closed is not None)

        assert anyio.current_time() == pytest.approx(3600)
        assert line.closed is not None
        assert line.closed[0] == 1001
        assert line.names[-1] == "ErrorRaised"

    talk(main)


def test_silence_is_addressed_by_the_clock() -> None:
    async def main() -> None:
        line = Line()
        patient = AudioInput(turn_detection=ServerVad(idle_timeout_ms=5000))
        async with session(line, SessionSettings(input=patient)):
            line.say(commands.CreateResponse())
            await line.wait_for(events.ResponseDone)
            await append(line, quiet(500))
            await line.wait_for(events.TimeoutTriggered)

    talk(main)


def test_every_step_is_observed() -> None:
    steps: list[Step] = []

    async def main() -> None:
        line = Line()
        async with session(line, observers=[steps.append]):
            line.say(commands.ClearAudio())
            await line.wait_for(events.AudioCleared)

    talk(main)

    assert [type(step.said).__name__ for step in steps] == ["Connected", "ClearAudio"]
    assert steps[1].origin == 0


def test_a_fault_of_ours_ends_the_session_and_is_not_hidden() -> None:
    def stumble(step: Step) -> None:
        if isinstance(step.said, commands.ClearAudio):
            raise RuntimeError("a bug")  # noqa: TRY004 - it is no more than that

    async def main() -> None:
        line = Line()
        async with session(line, observers=[stumble]):
            line.say(commands.ClearAudio())
            await anyio.sleep(1)

    with pytest.raises(BaseExceptionGroup) as raised:
        talk(main)

    assert raised.group_contains(RuntimeError, match="a bug")
