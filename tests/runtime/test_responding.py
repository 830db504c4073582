"""Requests to answers: writing and speaking side by side, and how that ends."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest
from runtime_engines import LanguageModel, Synthesiser

from vivavoce.audio.pcm import silence
from vivavoce.core.effects import GenerationRequest
from vivavoce.core.signals import (
    AudioProduced,
    CallProduced,
    GenerationFailed,
    GenerationFinished,
    Signal,
    TextProduced,
)
from vivavoce.engines.api import EngineFailure, Spoken, SpokenMark, Voice, WrittenCall
from vivavoce.runtime.recipe import Recipe
from vivavoce.runtime.responding import Responding
from vivavoce.testing import virtual_time

SPOKEN = GenerationRequest("", ())
WRITTEN = GenerationRequest("", (), output_modality="text")
SENTENCE = "This is a sentence. "


class Client:
    """Takes what is told, at once or after some seconds, and notes when."""

    def __init__(self, reading_s: float = 0) -> None:
        self._reading_s = reading_s
        self.told: list[Signal] = []
        self.at: list[float] = []

    async def tell(self, signal: Signal) -> None:
        self.told.append(signal)
        self.at.append(anyio.current_time())

    async def room(self) -> None:
        await anyio.sleep(self._reading_s)


def told(
    act: Callable[[Responding], Awaitable[None]],
    model: LanguageModel,
    synthesiser: Synthesiser | None = None,
    client: Client | None = None,
) -> list[Signal]:
    """Everything that is told after *act*, until a minute has passed."""
    client = client or Client()

    async def main() -> list[Signal]:
        async with anyio.create_task_group() as tasks:
            voice = synthesiser or Synthesiser()
            await act(Responding(_recipe(model, voice), tasks, client.tell, client.room))
            await anyio.sleep(60)
            tasks.cancel_scope.cancel()
        return client.told

    return virtual_time.run(main)


def _recipe(model: LanguageModel, synthesiser: Synthesiser) -> Recipe:
    nobody: Any = None  # responding hears nothing
    return Recipe("said", nobody, nobody, model, synthesiser)


async def speak(responding: Responding) -> None:
    responding.generate("resp_1", SPOKEN)


async def write(responding: Responding) -> None:
    responding.generate("resp_1", WRITTEN)


def kinds(signals: list[Signal]) -> list[str]:
    return [type(signal).__name__ for signal in signals]


def test_words_and_calls_are_told_as_they_are_written() -> None:
    model = LanguageModel("Hi ", WrittenCall(0, "f", "{}", final=True), "there")

    assert told(write, model) == [
        TextProduced("resp_1", "Hi "),
        CallProduced("resp_1", 0, "f", "{}", final=True),
        TextProduced("resp_1", "there"),
        GenerationFinished("resp_1"),
    ]


def test_audio_comes_in_pieces_that_grow() -> None:
    sounds = [each for each in told(speak, LanguageModel("Hi.")) if isinstance(each, AudioProduced)]

    assert [len(each.pcm) // 48 for each in sounds] == [100, 150, 250, 250, 250]


def test_a_slow_synthesiser_does_not_hold_up_the_words() -> None:
    client = Client()
    model = LanguageModel(*[SENTENCE] * 3)

    signals = told(speak, model, client=client)

    assert kinds(signals)[:3] == ["TextProduced"] * 3
    assert client.at[:3] == [0, 0, 0]
    assert client.at[-1] == 3
    assert signals[-1] == GenerationFinished("resp_1")


def test_the_words_wait_when_they_are_too_far_ahead_of_the_speech() -> None:
    client = Client()

    told(speak, LanguageModel(*[SENTENCE] * 20), client=client)

    words = [
        at
        for at, each in zip(client.at, client.told, strict=True)
        if isinstance(each, TextProduced)
    ]
    assert 10 < words[-1] < 20


def test_a_model_that_fails_while_it_is_spoken_silences_the_synthesiser() -> None:
    synthesiser = Synthesiser()
    model = LanguageModel(*[SENTENCE] * 3, 1.5, EngineFailure("out of memory", code="oom"))

    signals = told(speak, model, synthesiser)

    assert signals[-1] == GenerationFailed("resp_1", "oom", "out of memory")
    assert (len(synthesiser.spoken), synthesiser.closed) == (1, True)
    assert kinds(signals).count("GenerationFailed") == 1


def test_a_synthesiser_that_fails_ends_the_writing() -> None:
    sentence_a_second: list[str | float] = [SENTENCE, 1.0]
    model = LanguageModel(*sentence_a_second * 10)

    signals = told(speak, model, Synthesiser(fails=1))

    assert signals[-1] == GenerationFailed("resp_1", "server_error", "lost its voice")
    assert model.written < 5


def test_a_synthesiser_that_stops_early_leaves_the_words_to_be_written() -> None:
    signals = told(speak, LanguageModel(*[SENTENCE] * 20), Synthesiser(stops=2))

    assert kinds(signals).count("TextProduced") == 20
    assert signals[-1] == GenerationFinished("resp_1")


def test_when_both_fail_it_is_told_once() -> None:
    complaint = EngineFailure("and cannot stop")

    signals = told(
        speak,
        LanguageModel(SENTENCE, 0.5, EngineFailure("it broke")),
        Synthesiser(complains=complaint),
    )

    assert kinds(signals) == ["TextProduced", "GenerationFailed"]


def test_what_is_ours_to_mend_is_not_taken_for_an_engine_that_fails() -> None:
    model = LanguageModel(SENTENCE, 0.5, EngineFailure("it broke"))

    with pytest.raises(BaseExceptionGroup) as raised:
        told(speak, model, Synthesiser(complains=RuntimeError("a bug")))

    assert raised.group_contains(RuntimeError, match="a bug")


def test_once_stopped_nothing_more_is_told() -> None:
    async def main(responding: Responding) -> None:
        responding.generate("resp_1", SPOKEN)
        await anyio.sleep(1.5)
        responding.stop("resp_1")
        responding.stop("resp_1")

    client, synthesiser = Client(), Synthesiser()
    told(main, LanguageModel(*[SENTENCE] * 20), synthesiser, client)

    assert client.at[-1] < 1.5
    assert synthesiser.closed
    assert "GenerationFinished" not in kinds(client.told)


def test_what_is_stopped_before_it_began_does_nothing() -> None:
    async def main(responding: Responding) -> None:
        responding.generate("resp_1", SPOKEN)
        responding.stop("resp_1")

    model = LanguageModel(0.0, SENTENCE)

    assert told(main, model) == []
    assert model.written == 0


def test_an_engine_that_fails_while_it_is_stopped_harms_nobody() -> None:
    async def main(responding: Responding) -> None:
        responding.generate("resp_1", SPOKEN)
        await anyio.sleep(0.5)
        responding.stop("resp_1")
        await anyio.sleep(1)
        responding.generate("resp_2", WRITTEN)

    synthesiser = Synthesiser(complains=EngineFailure("cannot stop"))
    client = Client(reading_s=0.1)
    signals = told(main, LanguageModel(SENTENCE), synthesiser, client)

    assert signals[-1] == GenerationFinished("resp_2")
    assert "GenerationFailed" not in kinds(signals)


def test_an_engine_that_fails_while_the_session_ends_leaves_no_trace() -> None:
    client = Client(reading_s=0.1)

    async def main() -> None:
        synthesiser = Synthesiser(complains=EngineFailure("cannot stop"))
        async with anyio.create_task_group() as tasks:
            model = LanguageModel(SENTENCE)
            Responding(_recipe(model, synthesiser), tasks, client.tell, client.room).generate(
                "resp_1", SPOKEN
            )
            await anyio.sleep(0.5)
            tasks.cancel_scope.cancel()

    virtual_time.run(main)

    assert kinds(client.told) == ["TextProduced"]


def test_no_phrase_is_spoken_while_there_is_no_room_to_play_it() -> None:
    """And none that was begun is held up: others wait for the synthesiser."""
    client, synthesiser = Client(), Synthesiser()
    rooms: list[anyio.Event] = []

    async def room_to_play(response_id: str) -> None:
        assert response_id == "resp_1"
        rooms.append(anyio.Event())
        await rooms[-1].wait()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            responding = Responding(
                _recipe(LanguageModel(SENTENCE, SENTENCE), synthesiser),
                tasks,
                client.tell,
                client.room,
                room_to_play,
            )
            responding.generate("resp_1", SPOKEN)
            await anyio.sleep(10)
            assert (len(rooms), synthesiser.spoken) == (1, [])
            assert kinds(client.told) == ["TextProduced"] * 2  # words need no room
            rooms[0].set()
            await anyio.sleep(10)
            assert (len(rooms), len(synthesiser.spoken)) == (2, 1)
            rooms[1].set()
            await anyio.sleep(10)

    virtual_time.run(main)

    assert client.told[-1] == GenerationFinished("resp_1")


def test_what_is_prepared_is_told_when_it_is_released() -> None:
    async def main(responding: Responding) -> None:
        responding.prepare("resp_1", WRITTEN)
        await anyio.sleep(5)
        assert client.told == []
        responding.release("resp_1")

    client = Client()
    signals = told(main, LanguageModel("Hi"), client=client)

    assert signals == [TextProduced("resp_1", "Hi"), GenerationFinished("resp_1")]
    assert client.at == [5, 5]


def test_what_is_prepared_and_fails_says_so_when_it_is_released() -> None:
    async def main(responding: Responding) -> None:
        responding.prepare("resp_1", WRITTEN)
        await anyio.sleep(5)
        responding.release("resp_1")

    assert told(main, LanguageModel(EngineFailure("it broke"))) == [
        GenerationFailed("resp_1", "server_error", "it broke")
    ]


def test_what_is_prepared_and_discarded_never_was() -> None:
    async def main(responding: Responding) -> None:
        responding.prepare("resp_1", SPOKEN)
        await anyio.sleep(5)
        responding.stop("resp_1")
        responding.release("resp_1")

    assert told(main, LanguageModel("Hi")) == []


def test_what_was_discarded_takes_nothing_with_it_that_bears_its_name() -> None:
    async def main(responding: Responding) -> None:
        responding.prepare("resp_1", WRITTEN)
        responding.stop("resp_1")
        responding.prepare("resp_1", WRITTEN)
        await anyio.sleep(1)
        responding.release("resp_1")

    assert told(main, LanguageModel("Hi"))[-1] == GenerationFinished("resp_1")


def marks_of(signals: list[Signal]) -> list[tuple[int, int, int]]:
    """Which words begin at which millisecond."""
    return [
        (mark.text_start, mark.text_end, mark.sample // 24)
        for each in signals
        if isinstance(each, AudioProduced)
        for mark in each.marks
    ]


def test_where_a_synthesiser_gives_no_marks_its_phrases_are_marked() -> None:
    length = len(SENTENCE)
    marks = marks_of(told(speak, LanguageModel(*[SENTENCE] * 3)))

    assert marks == [(nth * length, (nth + 1) * length, nth * 1000) for nth in range(3)]


def test_a_single_phrase_needs_no_mark() -> None:
    assert marks_of(told(speak, LanguageModel(SENTENCE))) == []


class MarkingSynthesiser(Synthesiser):
    """Says when the first word of each phrase begins, though not with its first sound."""

    async def speak(
        self, phrases: AsyncIterator[str], voice: Voice
    ) -> AsyncGenerator[Spoken, None]:
        at = 0
        async for phrase in phrases:
            yield Spoken(silence(100, 24000))
            yield Spoken(silence(400, 24000), (SpokenMark(at, at + 4, at * 10 + 100.0),))
            at += len(phrase)


def test_the_marks_of_a_synthesiser_are_the_only_ones() -> None:
    marks = marks_of(told(speak, LanguageModel(*[SENTENCE] * 2), MarkingSynthesiser()))

    length = len(SENTENCE)
    assert marks == [(0, 4, 100), (length, length + 4, length * 10 + 100)]
