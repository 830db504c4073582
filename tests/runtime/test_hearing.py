"""Audio to engines, and what becomes of it when they fail."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import msgspec
import pytest
from runtime_engines import Detector, Engine, Transcriber, Written

from vivavoce.audio.pcm import Pcm
from vivavoce.core.effects import JudgeTurn, Listen, Transcribe
from vivavoce.core.signals import (
    DetectionFailed,
    Heard,
    Signal,
    TranscriptFailed,
    TranscriptFinished,
    TranscriptGrew,
    TranscriptPeeked,
    TurnJudged,
)
from vivavoce.engines.api import EngineFailure, Pause, Transcript, TranscriptDelta
from vivavoce.runtime import hearing
from vivavoce.runtime.hearing import Dictation, Hearing, Peek
from vivavoce.runtime.recipe import Recipe
from vivavoce.testing import virtual_time

FRAME = bytes(1536)  # 32 ms of PCM16 at 24 kHz
ORDER = Transcribe("item_1", FRAME, 24000)

Script = Callable[[AsyncIterator[Pcm]], AsyncGenerator[Written, None]]


class Room:
    """What is told of what is heard."""

    def __init__(self) -> None:
        self.told: list[Signal] = []

    async def tell(self, signal: Signal) -> None:
        await anyio.lowlevel.checkpoint()
        self.told.append(signal)


async def deaf(audio: AsyncIterator[Pcm]) -> AsyncGenerator[Written, None]:
    """Fails at once."""
    yield no_words()


def no_words() -> Written:
    raise EngineFailure("deaf", code="no_ears")


async def length(audio: AsyncIterator[Pcm]) -> AsyncGenerator[Written, None]:
    """Writes how many pieces of audio there were."""
    pieces = [pcm async for pcm in audio]
    yield TranscriptDelta(f"{len(pieces)}")
    yield Transcript(f"{len(pieces)}")


async def hasty(audio: AsyncIterator[Pcm]) -> AsyncGenerator[Written, None]:
    """Is done before the audio is."""
    await anext(aiter(audio))
    yield Transcript("enough")
    raise AssertionError("nobody asks for more than the transcript")


async def speechless(audio: AsyncIterator[Pcm]) -> AsyncGenerator[Written, None]:
    """Ends without a transcript."""
    async for _ in audio:
        yield TranscriptDelta("well")


async def stuck(audio: AsyncIterator[Pcm]) -> AsyncGenerator[Written, None]:
    """Never gets anywhere."""
    await anyio.sleep_forever()
    yield Transcript("")


class Judge(Engine):
    """Notes what it is asked, and answers after a while."""

    def __init__(self, *verdicts: float | EngineFailure, seconds: float = 0) -> None:
        self.asked: list[Pause] = []
        self._verdicts = iter(verdicts)
        self._seconds = seconds

    async def judge(self, pause: Pause) -> float:
        self.asked.append(pause)
        verdict = next(self._verdicts)
        await anyio.sleep(self._seconds)
        if isinstance(verdict, EngineFailure):
            raise verdict
        return verdict


def heard(
    act: Callable[[Hearing], Awaitable[None]],
    detector: Detector | None = None,
    script: Script = length,
    judge: Judge | None = None,
) -> list[Signal]:
    """Everything that is told after *act*, until nothing happens any more."""

    async def main() -> list[Signal]:
        room = Room()
        async with anyio.create_task_group() as tasks:
            await act(Hearing(_recipe(detector or Detector(), script, judge), tasks, room.tell))
            await anyio.sleep(1)
            tasks.cancel_scope.cancel()
        return room.told

    return virtual_time.run(main)


def _recipe(detector: Detector, script: Script, judge: Judge | None) -> Recipe:
    nobody: Any = None  # hearing neither writes nor speaks
    return Recipe("heard", detector, Transcriber(script), nobody, nobody, judge)


async def settle() -> None:
    await anyio.sleep(0.1)


def test_each_frame_is_judged_in_order() -> None:
    async def main(hearing: Hearing) -> None:
        for _ in range(3):
            hearing.listen(Listen(0, FRAME, 24000))
            await settle()

    assert heard(main) == [Heard(0, (0.9,))] * 3


def test_another_stream_lets_go_of_the_one_before() -> None:
    async def main(hearing: Hearing) -> None:
        hearing.listen(Listen(0, FRAME, 24000))
        hearing.listen(Listen(1, FRAME, 24000))

    assert heard(main) == [Heard(1, (0.9,))]


def test_voice_detection_that_fails_says_so_once_and_another_stream_works() -> None:
    async def main(hearing: Hearing) -> None:
        for stream in (0, 0, 1):
            hearing.listen(Listen(stream, FRAME, 24000))
            await settle()
            await hearing.room()

    told = heard(main, Detector(EngineFailure("deaf")))

    assert told == [DetectionFailed(0, "deaf"), Heard(1, (0.9,))]


def test_voice_detection_that_ends_by_itself_has_failed() -> None:
    async def main(hearing: Hearing) -> None:
        hearing.listen(Listen(0, FRAME, 24000))

    assert heard(main, Detector(None)) == [
        DetectionFailed(0, "voice detection ended before the audio")
    ]


def test_voice_detection_that_is_hopelessly_behind_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hearing, "BOX_ITEMS", 5)

    async def main(hearing: Hearing) -> None:
        for _ in range(8):
            hearing.listen(Listen(0, FRAME, 24000))

    assert heard(main) == [DetectionFailed(0, "voice detection fell too far behind the audio")]


def test_who_waits_for_room_goes_on_when_the_stream_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hearing, "BOX_ITEMS", 5)
    waited: list[float] = []

    async def main(hearing: Hearing) -> None:
        async def wait() -> None:
            await hearing.room()
            waited.append(anyio.current_time())

        for _ in range(5):
            hearing.listen(Listen(0, FRAME, 24000))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.lowlevel.checkpoint()
            hearing.listen(Listen(1, FRAME, 24000))

    heard(main)

    assert waited == [0]


def test_nobody_waits_for_room_before_anything_was_heard() -> None:
    async def main(hearing: Hearing) -> None:
        await hearing.room()

    assert heard(main) == []


def test_a_turn_is_written_down_when_all_of_it_is_there() -> None:
    async def main(hearing: Hearing) -> None:
        hearing.transcribe(ORDER)
        hearing.transcribe_more("item_1", FRAME)
        await settle()
        hearing.finish_transcript("item_1")

    assert heard(main) == [TranscriptGrew("item_1", "2"), TranscriptFinished("item_1", "2")]


def test_a_transcriber_that_fails_at_once_says_so_once() -> None:
    async def main(hearing: Hearing) -> None:
        hearing.transcribe(ORDER)
        await settle()
        hearing.transcribe_more("item_1", FRAME)
        hearing.finish_transcript("item_1")

    assert heard(main, script=deaf) == [TranscriptFailed("item_1", "no_ears", "deaf")]


def test_a_transcriber_may_be_done_before_the_audio_is() -> None:
    async def main(hearing: Hearing) -> None:
        hearing.transcribe(ORDER)
        await settle()
        hearing.transcribe_more("item_1", FRAME)
        hearing.finish_transcript("item_1")

    assert heard(main, script=hasty) == [TranscriptFinished("item_1", "enough")]


def test_a_transcriber_that_ends_without_a_transcript_has_failed() -> None:
    async def main(hearing: Hearing) -> None:
        hearing.transcribe(ORDER)
        hearing.finish_transcript("item_1")

    assert heard(main, script=speechless) == [
        TranscriptGrew("item_1", "well"),
        TranscriptFailed("item_1", "server_error", "transcription ended without a transcript"),
    ]


def test_a_transcriber_that_is_hopelessly_behind_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hearing, "BOX_ITEMS", 5)

    async def main(hearing: Hearing) -> None:
        hearing.transcribe(ORDER)
        for _ in range(8):
            hearing.transcribe_more("item_1", FRAME)
        hearing.finish_transcript("item_1")

    assert heard(main, script=stuck) == [
        TranscriptFailed("item_1", "server_error", "transcription fell too far behind the audio")
    ]


def test_of_a_transcript_that_was_dropped_nothing_is_told() -> None:
    async def main(hearing: Hearing) -> None:
        hearing.transcribe(ORDER)
        hearing.drop_transcript("item_1")
        hearing.drop_transcript("item_1")

    assert heard(main) == []


def test_what_was_dropped_takes_nothing_with_it_that_bears_its_name() -> None:
    async def main(hearing: Hearing) -> None:
        hearing.transcribe(ORDER)
        await settle()
        hearing.drop_transcript("item_1")
        hearing.transcribe(ORDER)
        await settle()
        hearing.finish_transcript("item_1")

    assert heard(main)[-1] == TranscriptFinished("item_1", "1")


def test_a_long_recording_lets_others_run_in_between() -> None:
    turns: list[int] = []

    async def main(hearing: Hearing) -> None:
        async def count() -> None:
            while True:
                await anyio.lowlevel.checkpoint()
                turns.append(1)

        hearing.transcribe(Transcribe("item_1", bytes(48000 * 30), 24000))
        hearing.finish_transcript("item_1")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            for _ in range(40):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

    assert heard(main)[-1] == TranscriptFinished("item_1", "30")
    assert len(turns) >= 29


def test_a_judge_hears_the_turn_at_16_khz_with_its_words() -> None:
    judge = Judge(0.7)

    async def main(hearing: Hearing) -> None:
        hearing.judge(JudgeTurn(4, bytes(48000), 24000, "and then", "en"))

    assert heard(main, judge=judge) == [TurnJudged(4, 0.7)]
    (pause,) = judge.asked
    assert (pause.pcm.rate_hz, pause.words, pause.language) == (16000, "and then", "en")
    assert pause.pcm.duration_ms == pytest.approx(1000, abs=2)


def test_a_later_question_takes_the_place_of_an_earlier_one() -> None:
    async def main(hearing: Hearing) -> None:
        hearing.judge(JudgeTurn(1, FRAME, 24000))
        await settle()
        hearing.judge(JudgeTurn(2, FRAME, 24000))

    assert heard(main, judge=Judge(0.1, 0.9, seconds=0.5)) == [TurnJudged(2, 0.9)]


def test_a_judge_that_fails_has_nothing_to_say_and_is_asked_again() -> None:
    async def main(hearing: Hearing) -> None:
        hearing.judge(JudgeTurn(1, FRAME, 24000))
        await settle()
        hearing.judge(JudgeTurn(2, FRAME, 24000))

    told = heard(main, judge=Judge(EngineFailure("no idea"), 0.9))
    assert told == [TurnJudged(1, None), TurnJudged(2, 0.9)]


def peeking(
    act: Callable[[Hearing], Awaitable[None]],
    script: Script = length,
) -> list[Signal]:
    """Everything that is told of one item, whose transcript may be peeked at."""

    async def main() -> list[Signal]:
        room = Room()
        recipe = msgspec.structs.replace(_recipe(Detector(), script, None), speculates=True)
        async with anyio.create_task_group() as tasks:
            await act(Hearing(recipe, tasks, room.tell))
            await anyio.sleep(1)
            tasks.cancel_scope.cancel()
        return room.told

    return virtual_time.run(main)


async def size(audio: AsyncIterator[Pcm]) -> AsyncGenerator[Written, None]:
    """Writes how many milliseconds of audio there were, at the end."""
    samples = sum([len(pcm.samples) async for pcm in audio])
    yield Transcript(f"{samples // 16}")


def test_what_has_been_said_so_far_can_be_peeked_at() -> None:
    async def main(hearing: Hearing) -> None:
        hearing.transcribe(ORDER)
        hearing.transcribe_more("item_1", FRAME)
        hearing.peek_transcript("item_1", 1)
        await settle()
        hearing.transcribe_more("item_1", FRAME)
        hearing.finish_transcript("item_1")

    assert peeking(main, size) == [
        TranscriptPeeked("item_1", 1, "64"),
        TranscriptFinished("item_1", "96"),
    ]


def test_what_was_peeked_at_is_the_transcript_when_nothing_was_said_since() -> None:
    async def main(hearing: Hearing) -> None:
        hearing.transcribe(ORDER)
        hearing.peek_transcript("item_1", 1)
        await settle()
        hearing.transcribe_more("item_1", FRAME)
        hearing.finish_transcript("item_1", peeked=1)

    assert peeking(main, size) == [
        TranscriptPeeked("item_1", 1, "32"),
        TranscriptFinished("item_1", "32"),
    ]


def test_whichever_is_there_first_is_the_transcript() -> None:
    def takes(*seconds: float) -> list[Signal]:
        left = iter(seconds)

        async def late(audio: AsyncIterator[Pcm]) -> AsyncGenerator[Written, None]:
            mine = next(left)
            async for _ in audio:
                pass
            await anyio.sleep(mine)
            yield Transcript(f"after {mine}")

        async def main(hearing: Hearing) -> None:
            hearing.transcribe(ORDER)
            await settle()
            hearing.peek_transcript("item_1", 1)
            await settle()
            hearing.finish_transcript("item_1", peeked=1)

        return peeking(main, late)

    assert takes(0.5, 0.2) == [
        TranscriptPeeked("item_1", 1, "after 0.2"),
        TranscriptFinished("item_1", "after 0.2"),
    ]
    assert takes(0.1, 0.5) == [
        TranscriptFinished("item_1", "after 0.1"),
        TranscriptPeeked("item_1", 1, "after 0.5"),
    ]


def test_the_words_of_a_peek_come_as_they_would_have_come() -> None:
    async def at_the_end(audio: AsyncIterator[Pcm]) -> AsyncGenerator[Written, None]:
        async for _ in audio:
            pass
        yield TranscriptDelta("all of it")
        yield Transcript("all of it")

    async def main(hearing: Hearing) -> None:
        hearing.transcribe(ORDER)
        hearing.peek_transcript("item_1", 1)
        await settle()
        hearing.finish_transcript("item_1", peeked=1)

    assert peeking(main, at_the_end)[1:] == [
        TranscriptGrew("item_1", "all of it"),
        TranscriptFinished("item_1", "all of it"),
    ]


def test_a_peek_that_nobody_wants_is_stopped() -> None:
    left: list[bool] = []

    async def slow(audio: AsyncIterator[Pcm]) -> AsyncGenerator[Written, None]:
        try:
            async for _ in audio:
                pass
            await anyio.sleep(0.5)
            yield Transcript("never")
        except anyio.get_cancelled_exc_class():
            left.append(True)
            raise

    async def main(hearing: Hearing) -> None:
        hearing.transcribe(ORDER)
        hearing.peek_transcript("item_1", 1)
        await settle()
        hearing.drop_peek("item_1")
        await settle()
        assert left == [True]

    assert peeking(main, slow) == []


def test_a_peek_at_odds_with_words_that_were_told_is_not_the_transcript() -> None:
    streams = iter(("told ", "other "))

    async def fickle(audio: AsyncIterator[Pcm]) -> AsyncGenerator[Written, None]:
        words = next(streams)
        yield TranscriptDelta(words)
        async for _ in audio:
            pass
        yield Transcript(words.strip())

    async def main(hearing: Hearing) -> None:
        hearing.transcribe(ORDER)
        await settle()
        hearing.peek_transcript("item_1", 1)
        await settle()
        hearing.finish_transcript("item_1", peeked=1)

    assert peeking(main, fickle) == [
        TranscriptGrew("item_1", "told "),
        TranscriptPeeked("item_1", 1, "other"),
        TranscriptFinished("item_1", "told"),
    ]


def test_a_peek_that_fails_leaves_the_transcript_to_the_stream() -> None:
    streams = iter((size, deaf))

    async def one_fails(audio: AsyncIterator[Pcm]) -> AsyncGenerator[Written, None]:
        async for each in next(streams)(audio):
            yield each

    async def main(hearing: Hearing) -> None:
        hearing.transcribe(ORDER)
        await settle()
        hearing.peek_transcript("item_1", 1)
        await settle()
        hearing.finish_transcript("item_1", peeked=1)

    assert peeking(main, one_fails) == [
        TranscriptPeeked("item_1", 1, None),
        TranscriptFinished("item_1", "32"),
    ]


def test_what_is_dropped_is_not_peeked_at_any_more() -> None:
    async def main(hearing: Hearing) -> None:
        hearing.transcribe(ORDER)
        hearing.peek_transcript("item_1", 1)
        hearing.drop_transcript("item_1")
        hearing.peek_transcript("item_1", 2)

    assert peeking(main, size) == []


def test_words_told_at_the_last_moment_make_the_stream_the_one_that_counts() -> None:
    streams = iter(("mine", "theirs"))

    async def at_odds(audio: AsyncIterator[Pcm]) -> AsyncGenerator[Written, None]:
        words = next(streams)
        async for _ in audio:
            pass
        yield Transcript(words)

    class Late(Hearing):
        """Whose own stream tells words just before what was peeked at is taken."""

        async def _take_peek(self, item_id: str, stream: Dictation, peek: Peek) -> None:
            stream.words = "mine"
            await super()._take_peek(item_id, stream, peek)

    async def main() -> list[Signal]:
        room = Room()
        recipe = msgspec.structs.replace(_recipe(Detector(), at_odds, None), speculates=True)
        async with anyio.create_task_group() as tasks:
            hearing = Late(recipe, tasks, room.tell)
            hearing.transcribe(ORDER)
            await settle()
            hearing.peek_transcript("item_1", 1)
            await settle()
            hearing.finish_transcript("item_1", peeked=1)
            await anyio.sleep(1)
            tasks.cancel_scope.cancel()
        return room.told

    assert virtual_time.run(main)[-1] == TranscriptFinished("item_1", "mine")


def test_a_flood_of_audio_behind_a_peek_harms_nobody() -> None:
    async def main(hearing: Hearing) -> None:
        hearing.transcribe(ORDER)
        await settle()
        hearing.peek_transcript("item_1", 1)
        hearing.transcribe_more("item_1", bytes(2 * 24000 * 60))
        await settle()
        hearing.finish_transcript("item_1", peeked=1)

    told = peeking(main, size)
    assert told[0] == TranscriptPeeked("item_1", 1, "32")
    assert len(told) == 2
