"""The scripted engines: what a scenario says, in the time it says, the same every time."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TypeVar

import anyio
import numpy as np
import pytest

from vivavoce.audio.pcm import Pcm, of_samples, silence
from vivavoce.core.effects import GenerationRequest
from vivavoce.core.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputText,
    Item,
    Message,
    OutputText,
)
from vivavoce.engines.api import (
    HEARING_RATE_HZ,
    EngineFailure,
    Spoken,
    SpokenMark,
    Transcript,
    TranscriptDelta,
    TranscriptionHints,
    Voice,
    WrittenCall,
    WrittenText,
)
from vivavoce.engines.scenario import (
    Call,
    Hearing,
    Scenario,
    ScenarioError,
    Speech,
    Turn,
    decode,
    load,
)
from vivavoce.engines.scripted import (
    ScriptedLanguageModel,
    ScriptedSynthesiser,
    ScriptedTranscriber,
    tone_hz,
)
from vivavoce.testing import virtual_time

Value = TypeVar("Value")


async def _each(values: Sequence[Value]) -> AsyncIterator[Value]:
    for value in values:
        yield value


def _speech(duration_ms: int) -> Pcm:
    count = duration_ms * HEARING_RATE_HZ // 1000
    return of_samples(np.full(count, 1000, np.int16), HEARING_RATE_HZ)


def _user(words: str) -> Message:
    return Message("u", "user", (InputText(words),))


def _assistant(words: str) -> Message:
    return Message("a", "assistant", (OutputText(words),))


def _heard(
    scenario: Scenario | None, *audio: Pcm, hints: TranscriptionHints | None = None
) -> list[TranscriptDelta | Transcript]:
    async def main() -> list[TranscriptDelta | Transcript]:
        stream = ScriptedTranscriber(scenario=scenario).transcribe(
            _each(audio), hints or TranscriptionHints()
        )
        return [value async for value in stream]

    return virtual_time.run(main)


def _answered(scenario: Scenario | None, *context: Item) -> list[WrittenText | WrittenCall]:
    async def main() -> list[WrittenText | WrittenCall]:
        stream = ScriptedLanguageModel(scenario=scenario).respond(GenerationRequest("", context))
        return [value async for value in stream]

    return virtual_time.run(main)


def _said(scenario: Scenario | None, *context: Item) -> str:
    given = _answered(scenario, *context)
    return "".join(value.text for value in given if isinstance(value, WrittenText))


def _spoken(scenario: Scenario | None, *phrases: str, speed: float = 1.0) -> list[Spoken]:
    async def main() -> list[Spoken]:
        stream = ScriptedSynthesiser(scenario=scenario).speak(_each(phrases), Voice(speed=speed))
        return [value async for value in stream]

    return virtual_time.run(main)


def _joined(spoken: Sequence[Spoken]) -> bytes:
    return b"".join(each.pcm.data for each in spoken)


def _marks(spoken: Sequence[Spoken]) -> list[SpokenMark]:
    return [mark for each in spoken for mark in each.marks]


class TestTranscriber:
    def test_without_a_scenario_it_hears_hello(self) -> None:
        assert _heard(None, _speech(500)) == [TranscriptDelta("hello"), Transcript("hello")]

    def test_words_come_one_by_one_and_then_all_together(self) -> None:
        scenario = Scenario(heard=(Hearing(transcript=" good  morning to you "),))

        given = _heard(scenario, _speech(500))

        assert given == [
            TranscriptDelta("good"),
            TranscriptDelta("  morning"),
            TranscriptDelta(" to"),
            TranscriptDelta(" you"),
            Transcript("good  morning to you"),
        ]

    def test_no_audio_and_digital_silence_are_written_down_as_nothing(self) -> None:
        assert _heard(None) == [Transcript("")]
        assert _heard(None, silence(300, HEARING_RATE_HZ)) == [Transcript("")]

    def test_the_length_of_the_whole_turn_chooses_what_was_said(self) -> None:
        scenario = Scenario(
            heard=(Hearing(up_to_ms=400, transcript="short"), Hearing(transcript="long"))
        )

        assert _heard(scenario, _speech(200), _speech(200))[-1] == Transcript("short")
        assert _heard(scenario, _speech(200), _speech(201))[-1] == Transcript("long")

    def test_the_hints_choose_what_was_said(self) -> None:
        scenario = Scenario(
            heard=(
                Hearing(language="de", transcript="guten Tag"),
                Hearing(prompt="T(ea|ee)", transcript="two sugars"),
            )
        )

        german = _heard(scenario, _speech(100), hints=TranscriptionHints(language="de"))
        tea = _heard(scenario, _speech(100), hints=TranscriptionHints(prompt="about tea"))
        neither = _heard(scenario, _speech(100), hints=TranscriptionHints(language="fr"))

        assert german[-1] == Transcript("guten Tag")
        assert tea[-1] == Transcript("two sugars")
        assert neither[-1] == Transcript("hello")

    def test_it_pauses_before_the_first_word_and_between_words(self) -> None:
        hearing = Hearing(transcript="one two three", pause_ms=500, word_ms=200)

        async def main() -> list[tuple[str, float]]:
            engine = ScriptedTranscriber(scenario=Scenario(heard=(hearing,)))
            stream = engine.transcribe(_each([_speech(100)]), TranscriptionHints())
            return [(value.text, round(anyio.current_time(), 6)) async for value in stream]

        assert virtual_time.run(main) == [
            ("one", 0.5),
            (" two", 0.7),
            (" three", 0.9),
            ("one two three", 0.9),
        ]

    def test_it_fails_where_the_scenario_says_so(self) -> None:
        scenario = Scenario(heard=(Hearing(transcript="one two", fail="noisy line"),))

        with pytest.raises(EngineFailure, match="noisy line"):
            _heard(scenario, _speech(100))


class TestLanguageModel:
    def test_without_a_scenario_it_repeats_the_last_words_of_the_user(self) -> None:
        said = _said(None, _user("first"), _assistant("hm"), _user("Good morning."))

        assert said == "You said: Good morning."

    def test_with_nothing_heard_it_says_so(self) -> None:
        unheard = Message("u", "user", (InputAudio(2400, 24000),))

        assert _said(None) == "You said: nothing"
        assert _said(None, unheard) == "You said: nothing"

    def test_the_words_come_one_by_one_with_their_blanks(self) -> None:
        scenario = Scenario(turns=(Turn(say="Well,  yes. "),))

        assert _answered(scenario, _user("?")) == [
            WrittenText("Well,"),
            WrittenText("  yes."),
            WrittenText(" "),
        ]

    def test_the_first_turn_whose_expression_is_found_answers_whatever_the_case(self) -> None:
        scenario = Scenario(
            turns=(
                Turn(hears="rome", say="Rome it is."),
                Turn(hears="weather", say="Which town?"),
                Turn(hears="weather", say="Never reached."),
            )
        )

        assert _said(scenario, _user("Weather in ROME")) == "Rome it is."
        assert _said(scenario, _user("The weather?")) == "Which town?"

    def test_turns_without_conditions_answer_the_turns_of_the_user_in_order(self) -> None:
        scenario = Scenario(
            otherwise="Bye.", turns=(Turn(say="One."), Turn(hears="x", say="X."), Turn(say="Two."))
        )
        talk = (_user("a"), _assistant("One."), _user("b"), _assistant("Two."), _user("c"))

        assert [_said(scenario, *talk[:n]) for n in (0, 1, 3, 5)] == [
            "One.",
            "One.",
            "Two.",
            "Bye.",
        ]
        assert _said(scenario, _user("x")) == "X."

    def test_a_call_comes_in_pieces_that_make_its_arguments_when_joined(self) -> None:
        call = Call(name="get_weather", arguments={"city": "Paris", "days": 2})
        scenario = Scenario(turns=(Turn(say="Wait.", calls=(call, Call(name="beep"))),))

        given = _answered(scenario, _user("weather?"))

        assert given[0] == WrittenText("Wait.")
        calls = [value for value in given[1:] if isinstance(value, WrittenCall)]
        assert [(call.index, call.name, call.final) for call in calls] == [
            (0, "get_weather", False),
            (0, "get_weather", True),
            (1, "beep", False),
            (1, "beep", True),
        ]
        assert "".join(call.arguments for call in calls[:2]) == '{"city":"Paris","days":2}'
        assert "".join(call.arguments for call in calls[2:]) == "{}"

    def test_arguments_written_as_a_string_are_sent_as_they_are(self) -> None:
        scenario = Scenario(turns=(Turn(calls=(Call(name="f", arguments='{"broken'),)),))

        given = _answered(scenario, _user("?"))

        assert "".join(c.arguments for c in given if isinstance(c, WrittenCall)) == '{"broken'

    def test_the_turn_after_a_call_answers_its_result_and_does_not_call_again(self) -> None:
        scenario = Scenario(
            turns=(
                Turn(hears="weather", calls=(Call(name="get_weather"),)),
                Turn(after_call="weather", say="It is {result} there."),
            )
        )
        call = FunctionCall("c", "get_weather", "call_1")
        context = (_user("The weather?"), call, FunctionCallOutput("o", "call_1", "sunny"))

        assert _said(scenario, *context) == "It is sunny there."
        assert _said(scenario, *context, _assistant("It is")) == "It is sunny there."
        assert _answered(scenario, *context, _user("The weather?"))[-1] == WrittenCall(
            0, "get_weather", "}", final=True
        )

    def test_a_result_that_no_turn_is_meant_for_is_told_as_it_is(self) -> None:
        scenario = Scenario(turns=(Turn(after_call="other", say="no"), Turn(say="in order")))
        call = FunctionCall("c", "roll", "call_1")

        said = _said(scenario, _user("roll"), call, FunctionCallOutput("o", "call_1", "six"))

        assert said == "The answer is: six"

    def test_both_conditions_of_a_turn_have_to_hold(self) -> None:
        scenario = Scenario(
            turns=(
                Turn(hears="paris", after_call="weather", say="P"),
                Turn(after_call="weather", say="W"),
            )
        )
        call = FunctionCall("c", "get_weather", "call_1")
        result = FunctionCallOutput("o", "call_1", "sun")

        assert _said(scenario, _user("in Paris?"), call, result) == "P"
        assert _said(scenario, _user("in Rome?"), call, result) == "W"

    def test_it_pauses_before_the_first_word_and_between_words(self) -> None:
        turn = Turn(say="one two three", pause_ms=1000, word_ms=250)

        async def main() -> list[float]:
            engine = ScriptedLanguageModel(scenario=Scenario(turns=(turn,)))
            stream = engine.respond(GenerationRequest("", (_user("?"),)))
            return [anyio.current_time() async for _ in stream]

        assert virtual_time.run(main) == pytest.approx([1.0, 1.25, 1.5])

    def test_it_fails_after_as_many_words_as_the_scenario_says(self) -> None:
        turn = Turn(say="one two three", fail="out of memory", fail_after_words=2)
        given: list[str] = []

        async def main() -> None:
            engine = ScriptedLanguageModel(scenario=Scenario(turns=(turn,)))
            async for value in engine.respond(GenerationRequest("", (_user("?"),))):
                assert isinstance(value, WrittenText)
                given.append(value.text)

        with pytest.raises(EngineFailure, match="out of memory"):
            virtual_time.run(main)
        assert given == ["one", " two"]


class TestSynthesiser:
    def test_the_length_follows_from_the_number_of_characters(self) -> None:
        spoken = _spoken(None, "Hello. ", "You!")

        assert sum(each.pcm.duration_ms for each in spoken) == 11 * 60
        assert {each.pcm.rate_hz for each in spoken} == {24000}

    def test_a_faster_voice_takes_less_time(self) -> None:
        spoken = _spoken(None, "Hello.", speed=1.5)

        assert sum(each.pcm.duration_ms for each in spoken) == 6 * 40

    def test_each_word_has_a_mark_counted_from_the_beginning_of_the_stream(self) -> None:
        spoken = _spoken(None, "Oh, I - ", "see. ")

        assert _marks(spoken) == [
            SpokenMark(0, 3, 0),
            SpokenMark(4, 5, 4 * 60),
            SpokenMark(8, 12, 8 * 60),
        ]

    def test_a_mark_comes_with_the_audio_in_which_its_word_begins(self) -> None:
        begun_ms = 0.0
        for each in _spoken(None, "Where there is a will there is a way."):
            for mark in each.marks:
                assert begun_ms <= mark.at_ms < begun_ms + each.pcm.duration_ms
            begun_ms += each.pcm.duration_ms

    def test_words_are_tones_of_their_own_and_blanks_are_silent(self) -> None:
        spoken = _spoken(None, "hello world")
        samples = np.frombuffer(_joined(spoken), "<i2")
        per_character = 1440

        first = samples[: 5 * per_character]
        blank = samples[5 * per_character : 6 * per_character]
        second = samples[6 * per_character :]

        assert not blank.any()
        for word, heard in (("hello", first), ("world", second)):
            pitch = np.argmax(np.abs(np.fft.rfft(heard))) * 24000 / len(heard)
            assert pitch == pytest.approx(tone_hz(word), abs=10)
            assert -30 < of_samples(heard, 24000).level_dbfs < -20
        assert tone_hz("hello") != pytest.approx(tone_hz("world"), abs=10)

    def test_a_word_has_one_tone_whatever_its_case_and_punctuation(self) -> None:
        assert tone_hz("Hello,") == tone_hz("hello")

    def test_a_phrase_with_nothing_to_pronounce_gives_no_audio_but_counts_as_text(self) -> None:
        assert _spoken(None, "", " ", "...\n") == []
        assert _marks(_spoken(None, " ... ", "Hi")) == [SpokenMark(5, 7, 0)]

    def test_the_same_words_sound_the_same_every_time(self) -> None:
        assert _spoken(None, "Again and again.") == _spoken(None, "Again and again.")

    def test_chunks_are_as_long_as_the_scenario_says_and_come_at_its_pace(self) -> None:
        speech = Speech(rate_hz=16000, ms_per_character=50, chunk_ms=200, first_ms=300, pace=2.0)

        async def main() -> list[tuple[float, float]]:
            engine = ScriptedSynthesiser(scenario=Scenario(speech=speech))
            stream = engine.speak(_each(["Ten marks."]), Voice())
            return [(each.pcm.duration_ms, round(anyio.current_time(), 6)) async for each in stream]

        assert virtual_time.run(main) == [
            (200, 0.4),
            (200, 0.5),
            (100, 0.55),
        ]

    def test_it_fails_after_as_much_audio_as_the_scenario_says(self) -> None:
        speech = Speech(fail="no voice today", fail_after_ms=200)
        given: list[float] = []

        async def main() -> None:
            engine = ScriptedSynthesiser(scenario=Scenario(speech=speech))
            async for each in engine.speak(_each(["A long sentence."]), Voice()):
                given.append(each.pcm.duration_ms)  # noqa: PERF401 - read up to the failure

        with pytest.raises(EngineFailure, match="no voice today"):
            virtual_time.run(main)
        assert given == [100, 100]

    def test_a_failure_comes_even_after_speech_that_is_shorter(self) -> None:
        with pytest.raises(EngineFailure, match="gone"):
            _spoken(Scenario(speech=Speech(fail="gone", fail_after_ms=9000)), "Hi.")


WHOLE = """
otherwise = "Pardon?"

[[heard]]
up_to_ms = 900
language = "en"
prompt = "tea"
transcript = "yes please"
pause_ms = 1
word_ms = 2
fail = "broken"
fail_after_words = 3

[[turn]]
hears = "weather"
after_call = "get"
say = "Look."
pause_ms = 4
word_ms = 5
fail = "gone"
fail_after_words = 6

[[turn.call]]
name = "get_weather"
arguments = { city = "Paris" }

[[turn.call]]
name = "raw"
arguments = "[]"

[speech]
rate_hz = 16000
ms_per_character = 50
first_ms = 7
chunk_ms = 40
pace = 1.5
fail = "hoarse"
fail_after_ms = 8
"""


class TestToml:
    def test_a_file_says_all_that_a_value_can_say(self) -> None:
        assert decode(WHOLE) == Scenario(
            otherwise="Pardon?",
            heard=(
                Hearing(
                    up_to_ms=900,
                    language="en",
                    prompt="tea",
                    transcript="yes please",
                    pause_ms=1,
                    word_ms=2,
                    fail="broken",
                    fail_after_words=3,
                ),
            ),
            turns=(
                Turn(
                    hears="weather",
                    after_call="get",
                    say="Look.",
                    pause_ms=4,
                    word_ms=5,
                    fail="gone",
                    fail_after_words=6,
                    calls=(
                        Call(name="get_weather", arguments={"city": "Paris"}),
                        Call(name="raw", arguments="[]"),
                    ),
                ),
            ),
            speech=Speech(
                rate_hz=16000,
                ms_per_character=50,
                first_ms=7,
                chunk_ms=40,
                pace=1.5,
                fail="hoarse",
                fail_after_ms=8,
            ),
        )

    def test_an_empty_file_is_the_smallest_scenario(self) -> None:
        assert decode("") == Scenario()

    def test_the_example_in_the_documentation_is_a_scenario(self) -> None:
        from vivavoce.engines import scenario

        lines = (scenario.__doc__ or "").splitlines()
        example = decode("\n".join(line[4:] for line in lines if line.startswith("    ")))

        assert (len(example.heard), len(example.turns)) == (2, 4)
        assert _said(example, _user("How is the weather in Rome?")) == "Let me look."

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("[[turn]]\nhear = 'x'", r"turn\[0\]: there is no key `hear` here; there are .*hears"),
            ("[[turn]]\n[[turn.call]]\nnam = 'x'", r"turn\[0\]\.call\[0\]: .*`nam`.* name, arg"),
            ("turns = []", r"there is no key `turns` here; there are otherwise, heard, turn, sp"),
            ("[[turn]]\npause_ms = 'x'", r"turn\[0\]\.pause_ms: Expected `int`, got `str`"),
            ("[speech]\npace = -1", r"speech\.pace: Expected `float` >= 0"),
            ("[[turn]]\n[[turn]]\nhears = '('", r"turn\[1\]: `hears` has to be a regular expr"),
            ("[[turn]]\nafter_call = '*'", r"turn\[0\]: `after_call` has to be a regular"),
            ("[[heard]]\nprompt = '['", r"heard\[0\]: `prompt` has to be a regular expression"),
            ("[[turn]\n", r"not TOML: .*line 1"),
        ],
    )
    def test_an_error_names_the_file_the_place_and_what_would_be_right(
        self, text: str, complaint: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "talk.toml"
        file.write_text(text)

        with pytest.raises(ScenarioError, match=rf"talk\.toml: {complaint}"):
            load(file)

    def test_a_file_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ScenarioError, match=r"nowhere\.toml: cannot be read"):
            ScriptedTranscriber(scenario=str(tmp_path / "nowhere.toml"))

    def test_the_engines_take_the_path_of_a_file(self, tmp_path: Path) -> None:
        file = tmp_path / "talk.toml"
        file.write_text("otherwise = 'From a file.'")

        async def main() -> list[WrittenText | WrittenCall]:
            async with ScriptedLanguageModel(scenario=str(file)) as engine:
                assert isinstance(engine, ScriptedLanguageModel)
                return [value async for value in engine.respond(GenerationRequest("", ()))]

        assert virtual_time.run(main)[0] == WrittenText("From")
