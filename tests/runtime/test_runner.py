"""Whole sessions in virtual time: a minute of talk takes milliseconds."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager

import anyio
import msgspec
import numpy as np
import pytest

from vivavoce.audio.pcm import of_samples
from vivavoce.core import commands, events
from vivavoce.core.errors import Refusal
from vivavoce.core.items import InputAudio, InputImage, InputText, Message
from vivavoce.core.settings import (
    AudioFormat,
    AudioInput,
    AudioInputUpdate,
    FunctionTool,
    ServerVad,
    SessionSettings,
    SessionUpdate,
    Transcription,
)
from vivavoce.engines.api import EngineFailure, Frames
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
from vivavoce.runtime.runner import Limits, Runners, Scale, _size
from vivavoce.testing import virtual_time
from vivavoce.testing.ids import CountingIds
from vivavoce.testing.level_detector import LevelDetector
from vivavoce.testing.line import Line, Said

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


class Stumbling(LevelDetector):
    """Fails in the middle of the first stream that it listens to."""

    def __init__(self) -> None:
        super().__init__()
        self._stumbled = False

    async def detect(
        self, frames: AsyncIterator[Frames]
    ) -> AsyncGenerator[tuple[float, ...], None]:
        judged = 0
        async with aclosing(super().detect(frames)) as heard:
            async for probabilities in heard:
                yield probabilities
                judged += len(probabilities)
                if judged > 10 and not self._stumbled:
                    self._stumbled = True
                    raise EngineFailure("stumbled")


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


def scripted(script: str = SCRIPT) -> Recipe:
    scenario: Scenario = decode(script, "the test's script")
    return Recipe(
        "scripted",
        LevelDetector(),
        ScriptedTranscriber(scenario=scenario),
        ScriptedLanguageModel(scenario=scenario),
        ScriptedSynthesiser(scenario=scenario),
    )


@asynccontextmanager
async def session(
    line: Line,
    settings: SessionSettings = LISTENING,
    *,
    script: str = SCRIPT,
    recipe: Recipe | None = None,
    clock: Clock | None = None,
    limits: Limits | None = None,
    observers: Sequence[Observer] = (),
) -> AsyncIterator[Live]:
    """A live session with one client on the line."""
    backend = Runners(
        recipe or scripted(script),
        clock or Clock(),
        CountingIds(),
        limits=limits,
        observers=observers,
    )
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
        # The engines wait for room when the client is cut off.
        async with session(line, limits=Limits(outbox_items=20, grace_seconds=20)):
            line._reading_s = 1e6
            line.say(commands.CreateResponse())
            await line.wait_until(lambda line: line.closed is not None)

        assert line.closed is not None
        code, reason = line.closed
        assert code == 1008
        assert "does not read" in reason

    talk(main)


def test_a_client_that_takes_its_time_to_come_is_waited_for() -> None:
    """As a caller does, until media gets through: whether it ever does is for its transport to say."""

    async def main() -> None:
        line = Line(coming_s=60)
        async with session(line, limits=Limits(grace_seconds=20)):
            assert line.heard[0][0] == 60
            assert line.closed is None

    talk(main)


def test_a_fault_of_ours_is_told_to_everybody_in_the_session() -> None:
    class Broken:
        def __call__(self, step: Step) -> None:
            if isinstance(step.said, commands.ClearAudio):
                raise ZeroDivisionError

    async def main() -> None:
        line, observer = Line(), Line()
        with pytest.RaisesGroup(pytest.RaisesExc(ZeroDivisionError), flatten_subgroups=True):
            async with (
                session(line, observers=(Broken(),)) as live,
                anyio.create_task_group() as tasks,
            ):
                tasks.start_soon(live.attach, observer, View(owns=False, hears_audio=False))
                await anyio.sleep(1)
                line.say(commands.ClearAudio())
                await anyio.sleep(1)
        assert line.closed == observer.closed == (1011, "the server made a mistake")

    talk(main)


def test_audio_of_a_client_with_a_track_is_played_and_concluded_in_order() -> None:
    async def main() -> None:
        line = Line()
        backend = Runners(scripted(SCRIPT), Clock(), CountingIds())
        async with (
            backend.open(Opening("sess_1", LISTENING, plays=True)) as live,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(live.attach, line, View(hears_audio=False, plays=True))
            await line.wait_for(events.SessionCreated)
            line.say(commands.CreateResponse())
            done = await line.wait_for(events.ResponseDone)
            await anyio.sleep(1)
            line.leave()
        assert line.events(events.AudioDelta) == []
        assert {response_id for response_id, _ in line.played} == {done.response.id}
        assert {audio.rate_hz for _, audio in line.played} == {24000}
        assert line.concluded == [done.response.id]

    talk(main)


def test_a_client_that_asks_for_more_than_it_reads_is_cut_off_at_the_cap() -> None:
    async def main() -> None:
        line = Line()
        async with session(line, limits=Limits(outbox_items=50, grace_seconds=3600)):
            line._reading_s = 1000
            line.say(*[commands.ClearAudio()] * 200)
            await line.wait_until(lambda line: line.closed is not None)

        assert line.closed is not None
        assert line.closed[0] == 1008

    talk(main)


class Socket(Line):
    """A line on which nothing comes without a wait, as it is with sockets."""

    async def inputs(self) -> AsyncIterator[Said]:
        async for said in super().inputs():
            yield said
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()


def test_no_more_large_items_are_taken_than_a_slow_client_reads_of_them() -> None:
    async def main() -> None:
        line = Socket(reading_s=0.5)
        async with session(line, limits=Limits(outbox_bytes=40_000)):
            for _ in range(12):
                write(line, "x" * 15_000)
            await line.wait_for(events.ItemDone, 12)

        assert line.closed is None

    talk(main)


BULK = "x" * 15_000
WRITTEN = Message("", "user", (InputText(BULK),))


def settings_update(**changed: object) -> commands.UpdateSession:
    return commands.UpdateSession(update=msgspec.structs.replace(SessionUpdate(), **changed))


ECHOES: dict[str, commands.Command] = {
    "an item": commands.CreateItem(item=WRITTEN),
    "a picture": commands.CreateItem(item=Message("", "user", (InputImage(BULK),))),
    "many empty parts": commands.CreateItem(item=Message("", "user", (InputText(""),) * 500)),
    "instructions": settings_update(instructions=BULK),
    "tools": settings_update(tools=(FunctionTool("f", BULK),)),
    "a prompt": settings_update(prompt={"id": "p", "variables": {"a": BULK}}),
    "tracing": settings_update(tracing={"metadata": {"a": BULK}}),
    "a transcription prompt": settings_update(
        input=AudioInputUpdate(transcription=Transcription("whisper-1", None, BULK))
    ),
    "items of a response": commands.CreateResponse(
        append=(commands.CreateItem(item=WRITTEN),), conversation="none", cancel_previous=True
    ),
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_what_a_client_has_to_read_again_is_not_taken_faster_than_it_reads(
    echo: commands.AnyCommand,
) -> None:
    async def main() -> None:
        line, taken = Line(), list[Step]()
        limits = Limits(outbox_bytes=40_000)
        async with session(line, limits=limits, observers=[taken.append]):
            line._reading_s = 15
            line.say(*[echo] * 20)
            await anyio.sleep(10)

            assert line.closed is None
            assert 1 < len([step for step in taken if isinstance(step.said, type(echo))]) < 6

    talk(main)


@pytest.mark.parametrize("quick", [Line, Socket], ids=["at once", "as from a socket"])
def test_a_client_that_reads_may_change_its_tools_as_quickly_as_it_likes(quick: type[Line]) -> None:
    async def main() -> None:
        line = quick(reading_s=0.1)
        async with session(line, limits=Limits(outbox_bytes=40_000)):
            for n in range(20):
                line.say(settings_update(tools=(FunctionTool(f"f{n}", BULK),)))
            await line.wait_for(events.SessionUpdated, 20)

        assert line.closed is None

    talk(main)


def test_a_client_that_reads_may_send_what_is_larger_than_its_outbox() -> None:
    async def main() -> None:
        line = Line(reading_s=0.1)
        async with session(line, limits=Limits(outbox_bytes=40_000)):
            for _ in range(5):
                write(line, "x" * 100_000)
                line.say(commands.ClearAudio())
            await line.wait_for(events.ItemDone, 5)

        assert line.closed is None

    talk(main)


LARGE = commands.CreateResponse(
    conversation="none",
    instructions=BULK,
    tools=(FunctionTool("f", BULK),),
    input=(WRITTEN, commands.ItemReference("item_1")),
)


@pytest.mark.parametrize(
    "said",
    [*ECHOES.values(), LARGE, msgspec.structs.replace(LARGE, input=None, tools=())],
    ids=[*ECHOES, "a response", "its instructions"],
)
def test_what_waits_to_be_taken_is_counted_with_all_that_it_brings(
    said: commands.AnyCommand,
) -> None:
    assert 15_000 <= _size(said) <= 60_000


def test_tools_are_weighed_when_they_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    weighed: list[object] = []

    def weigh(value: object) -> int:
        weighed.append(value)
        return 0

    monkeypatch.setattr("vivavoce.runtime.runner._json_size", weigh)
    one, other = (FunctionTool("f"),), (FunctionTool("g"),)
    scale = Scale()

    for tools in (one, one, other, other):
        view = events.SessionView("s", SessionSettings(tools=tools), 0)
        scale.weigh(events.SessionUpdated(event_id="e", session=view))

    assert [value for value in weighed if value in (one, other)] == [one, other]


def test_a_client_that_is_cut_off_is_not_waited_for() -> None:
    async def main() -> None:
        line = Line()
        async with session(line, limits=Limits(outbox_items=50, grace_seconds=3600)):
            line._reading_s = 1000
            line.say(*[commands.ClearAudio()] * 200)
            await line.wait_until(lambda line: line.closed is not None)

        assert anyio.current_time() == 0
        assert len(line.events(events.AudioCleared)) == 0

    talk(main)


def test_when_the_session_ends_a_slow_client_has_the_grace_period_for_the_rest() -> None:
    async def main() -> None:
        line = Line()
        async with session(line, limits=Limits(grace_seconds=20)):
            await anyio.sleep(3590)
            line._reading_s = 15
            for _ in range(30):
                write(line, "x")
            await line.wait_until(lambda line: line.closed is not None)

        assert anyio.current_time() == 3620
        assert line.closed is not None
        assert line.closed[0] == 1001

    talk(main)


def test_who_comes_when_the_session_is_over_is_turned_away() -> None:
    async def main() -> None:
        owner, late = Line(), Line()
        async with session(owner) as live:
            await owner.wait_until(lambda line: line.closed is not None)
            await anyio.sleep(1)
            await live.attach(late, View(owns=False))

        assert late.closed == (1000, "")

    talk(main)


def test_what_is_cleared_in_mid_turn_is_not_written_down() -> None:
    async def main() -> None:
        line = Line()
        async with session(line):
            await append(line, voice(500))
            line.say(commands.ClearAudio())
            await append(line, voice(500) + quiet(500))
            await line.wait_for(events.ResponseDone)

        assert len(line.events(events.SpeechStarted)) == 2
        assert len(line.events(events.TranscriptionCompleted)) == 1

    talk(main)


def test_a_client_that_vanishes_in_mid_turn_ends_its_session() -> None:
    async def main() -> None:
        line = Line()
        async with session(line):
            await append(line, voice(500))
            line.leave()

        assert line.names == ["SessionCreated", "SpeechStarted"]

    talk(main)


class Alarms(Clock):
    """A clock whose alarms are kept, and of which the first may ring too soon."""

    def __init__(self, early_s: float = 0) -> None:
        self._early_s = early_s
        self.set: list[asyncio.TimerHandle] = []

    def call_at(self, when: float, ring: Callable[[], object]) -> asyncio.TimerHandle:
        early_s, self._early_s = self._early_s, 0
        self.set.append(super().call_at(when - early_s, ring))
        return self.set[-1]


def test_a_session_that_is_over_leaves_no_alarm_behind() -> None:
    clock = Alarms()

    async def main() -> None:
        line = Line()
        patient = AudioInput(turn_detection=ServerVad(idle_timeout_ms=5000))
        async with session(line, SessionSettings(input=patient), clock=clock):
            line.say(commands.CreateResponse())
            await line.wait_for(events.ResponseDone)
            # All of this is in the inbox when the client is gone.
            line.say(*[commands.CreateResponse(conversation="none")] * 5)
            line.leave()

    talk(main)

    assert len(clock.set) > 1
    assert all(alarm.cancelled() for alarm in clock.set)


def test_an_alarm_that_rings_too_soon_is_set_again() -> None:
    async def main() -> None:
        line = Line()
        async with session(line, clock=Alarms(early_s=0.0005)):
            await line.wait_until(lambda line: line.closed is not None)

        assert anyio.current_time() == 3600

    talk(main)


def test_voice_detection_that_fails_is_told_and_the_turn_goes_on() -> None:
    async def main() -> None:
        line = Line()
        recipe = msgspec.structs.replace(scripted(), detector=Stumbling())
        async with session(line, recipe=recipe):
            await append(line, voice(1000) + quiet(600))
            await line.wait_for(events.ResponseDone)

        (error,) = line.events(events.ErrorRaised)
        assert error.refusal.kind == "server_error"
        assert len(line.events(events.SpeechStarted)) == 1

    talk(main)


def test_a_transcriber_that_fails_at_once_is_told_when_its_item_is_there() -> None:
    async def main() -> None:
        line = Line()
        script = '[[heard]]\ntranscript = "a"\nfail = "deaf"\nfail_after_words = 0\n'
        async with session(line, script=script):
            await append(line, voice(600) + quiet(400))
            await line.wait_for(events.ResponseDone)

        names = line.names[line.names.index("SpeechStopped") :]
        assert names.index("ItemDone") < names.index("TranscriptionFailed")

    talk(main)


def test_sessions_share_engines_and_nothing_else() -> None:
    async def main() -> None:
        recipe, one, two = scripted(), Line(), Line()
        async with session(one, recipe=recipe), session(two, recipe=recipe):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(append, one, voice(1000) + quiet(600))
                tasks.start_soon(append, two, quiet(300) + voice(700) + quiet(600))
            first = await one.wait_for(events.ResponseDone)
            second = await two.wait_for(events.ResponseDone)

        for line, done in ((one, first), (two, second)):
            assert done.response.status == "completed"
            assert len(line.events(events.SpeechStarted)) == 1
            assert len(line.events(events.TranscriptionCompleted)) == 1
        sounds = [
            b"".join(each.audio for each in line.events(events.AudioDelta)) for line in (one, two)
        ]
        assert sounds[0] == sounds[1]

    talk(main)


def test_what_engines_still_say_when_the_session_is_over_goes_nowhere() -> None:
    async def main() -> None:
        line = Line()
        async with session(line, limits=Limits(grace_seconds=1)):
            await anyio.sleep(3599.9)
            line.say(commands.CreateResponse())
            await line.wait_until(lambda line: line.closed is not None)
            await anyio.sleep(60)

        assert line.names[-1] == "ErrorRaised"
        assert "ResponseDone" not in line.names

    talk(main)


def test_an_items_own_audio_is_in_the_format_that_was_set_last() -> None:
    async def main() -> None:
        line = Line()
        async with session(line):
            await append(line, voice(500))
            await line.wait_for(events.SpeechStarted)
            narrow = SessionUpdate(input=AudioInputUpdate(format=AudioFormat("audio/pcmu")))
            line.say(commands.UpdateSession(update=narrow))
            item = Message("mine", "user", (InputAudio(0, 8000),))
            audio = (commands.ItemAudio(0, bytes([0xFF] * 800)),)
            line.say(commands.CreateItem(item=item, audio=audio))
            line.say(commands.RetrieveItem(item_id="mine"))
            retrieved = await line.wait_for(events.ItemRetrieved)

        assert retrieved.audio == (
            events.RetrievedAudio(0, bytes(1600), AudioFormat("audio/pcmu")),
        )

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
