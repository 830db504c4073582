"""sherpa-onnx, on tiny models of its formats: loading, hearing, speaking, sharing."""

import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from vivavoce.audio.pcm import Pcm, silence
from vivavoce.core.effects import GenerationRequest
from vivavoce.core.signals import AudioProduced, GenerationFailed, GenerationFinished, Signal
from vivavoce.engines.api import (
    HEARING_RATE_HZ,
    EngineFailure,
    Spoken,
    Transcript,
    TranscriptDelta,
    TranscriptionHints,
    Voice,
    Work,
    WrittenText,
)
from vivavoce.engines.crew import Crew
from vivavoce.engines.sherpa_folder import metadata, recogniser_files, voice_files
from vivavoce.engines.sherpa_synthesiser import Phrase, SherpaSynthesiser, Speaking, speakers
from vivavoce.engines.sherpa_transcriber import SherpaTranscriber, Words
from vivavoce.runtime.recipe import Recipe
from vivavoce.runtime.responding import Responding
from vivavoce.testing import tiny_models
from vivavoce.testing.babble import babble
from vivavoce.testing.engine_kit import CHECKS

pytestmark = [pytest.mark.extras, pytest.mark.anyio]

Make = Callable[[Path], Path]
RECOGNISERS: dict[str, Make] = {
    "streaming": tiny_models.streaming_transducer,
    "offline": tiny_models.offline_ctc,
}
VOICES: dict[str, Make] = {"piper": tiny_models.piper_voice, "kokoro": tiny_models.kokoro_voice}


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("sherpa")
    return {name: make(base / name) for name, make in {**RECOGNISERS, **VOICES}.items()}


@pytest.fixture(params=RECOGNISERS)
async def transcriber(
    request: pytest.FixtureRequest, folders: dict[str, Path]
) -> AsyncIterator[SherpaTranscriber]:
    async with SherpaTranscriber(model=str(folders[request.param]), workers=2) as engine:
        yield engine


@pytest.fixture
async def streaming(folders: dict[str, Path]) -> AsyncIterator[SherpaTranscriber]:
    async with SherpaTranscriber(model=str(folders["streaming"]), workers=1) as engine:
        yield engine


@pytest.fixture(params=VOICES)
async def synthesiser(
    request: pytest.FixtureRequest, folders: dict[str, Path]
) -> AsyncIterator[SherpaSynthesiser]:
    async with SherpaSynthesiser(model=str(folders[request.param]), workers=2) as engine:
        yield engine


@pytest.mark.parametrize("check", CHECKS["transcriber"].values(), ids=CHECKS["transcriber"])
async def test_the_transcriber_keeps_the_contract(
    transcriber: SherpaTranscriber, check: Callable[[Any], Awaitable[None]]
) -> None:
    await check(transcriber)


@pytest.mark.parametrize("check", CHECKS["synthesiser"].values(), ids=CHECKS["synthesiser"])
async def test_the_synthesiser_keeps_the_contract(
    synthesiser: SherpaSynthesiser, check: Callable[[Any], Awaitable[None]]
) -> None:
    await check(synthesiser)


# Transcribing.


async def arriving(pcm: Pcm, ms: int = 100) -> AsyncIterator[Pcm]:
    size = 2 * HEARING_RATE_HZ * ms // 1000
    for start in range(0, len(pcm.data), size):
        await anyio.lowlevel.checkpoint()
        yield Pcm(pcm.data[start : start + size], pcm.rate_hz)


async def written(
    engine: SherpaTranscriber, audio: Pcm, ms: int = 100
) -> list[TranscriptDelta | Transcript]:
    return [each async for each in engine.transcribe(arriving(audio, ms), TranscriptionHints())]


def joined(*parts: Pcm) -> Pcm:
    return Pcm(b"".join(part.data for part in parts), HEARING_RATE_HZ)


SPEECH = joined(babble(2400, 180), babble(1200, 120))


async def test_something_is_written_of_what_is_loud(transcriber: SherpaTranscriber) -> None:
    assert len((await written(transcriber, SPEECH))[-1].text.split()) > 5


async def test_words_come_while_the_person_still_speaks(streaming: SherpaTranscriber) -> None:
    told = anyio.Event()

    async def until_told() -> AsyncIterator[Pcm]:
        while not told.is_set():
            await anyio.sleep(0.001)  # as a microphone does; nothing is waited for
            yield babble(1200, 120)

    stream = streaming.transcribe(until_told(), TranscriptionHints())
    async for each in stream:
        told.set()
        if isinstance(each, TranscriptDelta):
            first = each.text
            break
    await stream.aclose()
    assert first.strip()


async def test_how_audio_is_cut_changes_nothing(streaming: SherpaTranscriber) -> None:
    texts = [(await written(streaming, SPEECH, ms))[-1] for ms in (20, 70, 500, 3600)]

    assert texts == [texts[0]] * 4


async def test_the_last_word_is_not_lost(streaming: SherpaTranscriber) -> None:
    """The model wants half a second more than there is."""
    whole, more = await written(streaming, SPEECH), joined(SPEECH, silence(2000, HEARING_RATE_HZ))

    assert whole[-1] == (await written(streaming, more))[-1]


async def test_silence_before_the_first_word_is_not_decoded(streaming: SherpaTranscriber) -> None:
    reports: list[Work] = []
    streaming.report = reports.append
    await written(streaming, joined(silence(30_000, HEARING_RATE_HZ), SPEECH))

    assert sum(work.audio_s for work in reports) < 4.5


async def test_no_work_is_done_for_silence(transcriber: SherpaTranscriber) -> None:
    reports: list[Work] = []
    transcriber.report = reports.append

    assert await written(transcriber, silence(3000, HEARING_RATE_HZ)) == [Transcript("")]
    assert reports == []


async def test_a_long_turn_is_decoded_in_pieces(folders: dict[str, Path]) -> None:
    reports: list[Work] = []
    pause = silence(1000, HEARING_RATE_HZ)
    long = joined(*(joined(babble(9000, 110 + 10 * part), pause) for part in range(6)))
    async with SherpaTranscriber(model=str(folders["offline"]), workers=1) as engine:
        engine.report = reports.append
        given = await written(engine, long, 1000)

    assert len(reports) == 3
    assert sum(work.audio_s for work in reports) == pytest.approx(60)
    assert all(work.audio_s <= 25 for work in reports)
    assert "".join(each.text for each in given[:-1]) == given[-1].text


async def test_fifty_sessions_share_a_recogniser_fairly(folders: dict[str, Path]) -> None:
    """One brings 20 s at once, the others a second each: none of them waits for more than a round."""
    order: list[str] = []

    async def turn(name: str, audio: Pcm) -> None:
        given = await written(engine, audio, 60_000)
        order.append(name)
        transcripts[name] = given[-1].text

    second = babble(1000, 150)
    transcripts: dict[str, str] = {}
    async with SherpaTranscriber(model=str(folders["streaming"]), workers=1, batch=1) as engine:
        alone = (await written(engine, second, 60_000))[-1].text
        async with anyio.create_task_group() as sessions:
            sessions.start_soon(turn, "long", joined(*[second] * 20))
            for number in range(49):
                sessions.start_soon(turn, f"short {number}", second)

    assert order[-1] == "long"
    assert sorted(order) == sorted(["long", *(f"short {number}" for number in range(49))])
    assert {text for name, text in transcripts.items() if name != "long"} == {alone}


async def test_sessions_in_one_batch_hear_what_they_hear_alone(folders: dict[str, Path]) -> None:
    audios = [babble(700 + 37 * number, 100 + 5 * number) for number in range(16)]
    given: dict[int, str] = {}

    async def turn(number: int) -> None:
        given[number] = (await written(engine, audios[number]))[-1].text

    async with SherpaTranscriber(model=str(folders["streaming"]), workers=1, batch=8) as engine:
        alone = {
            number: (await written(engine, each))[-1].text for number, each in enumerate(audios)
        }
        async with anyio.create_task_group() as sessions:
            for number in range(16):
                sessions.start_soon(turn, number)

    assert given == alone


def test_a_word_is_told_once_another_follows_it() -> None:
    words = Words()

    assert [words.hear(text, at_s) for at_s, text in enumerate(["a", "a cat", "a cat sat"])] == [
        "",
        "a",
        " cat",
    ]


def test_a_word_is_told_when_nothing_has_changed_for_a_while() -> None:
    words = Words()

    assert [words.hear("a cat", at_s) for at_s in (0.0, 0.3, 0.7)] == ["a", "", " cat"]


def test_words_without_blanks_are_told_but_for_the_last_sign() -> None:
    words = Words()

    assert [words.hear("你", 0.1), words.hear("你好世", 0.2)] == ["", "你好"]


def test_what_was_told_is_never_taken_back() -> None:
    words = Words()
    told = words.hear("a cat sat", 0.0) + words.hear("the dog", 1.0)

    assert told == "a cat"
    assert words.finish("the dog sat there") == "a cat sat there"


# Speaking.


async def phrases_of(*phrases: str) -> AsyncIterator[str]:
    for phrase in phrases:
        await anyio.lowlevel.checkpoint()
        yield phrase


async def spoken(engine: SherpaSynthesiser, *phrases: str, voice: Voice = Voice()) -> list[Spoken]:  # noqa: B008 - a value
    return [each async for each in engine.speak(phrases_of(*phrases), voice)]


def seconds(given: Sequence[Spoken]) -> float:
    return sum(each.pcm.duration_ms for each in given) / 1000


def height(given: Sequence[Spoken]) -> float:
    """How often the sound goes up through zero in a second."""
    samples = np.concatenate([each.pcm.samples for each in given]).astype(int)
    return float(np.sum((samples[:-1] < 0) & (samples[1:] >= 0))) / seconds(given)


async def test_every_phrase_is_marked_where_it_begins(synthesiser: SherpaSynthesiser) -> None:
    given = await spoken(synthesiser, "Hello there. ", "  Good bye.")
    marks = [mark for each in given for mark in each.marks]
    first = await spoken(synthesiser, "Hello there. ")

    assert [(mark.text_start, mark.text_end) for mark in marks] == [(0, 12), (15, 24)]
    assert [mark.at_ms for mark in marks] == pytest.approx([0.0, 1000 * seconds(first)])


class Sentences:
    """A model that says two sentences, the second when it is let, and notes whether to go on."""

    sample_rate = 16000

    def __init__(self) -> None:
        self.open = threading.Event()
        self.asked_to_go_on: list[int] = []

    def generate(self, _text: str, _how: Any, callback: Callable[..., int]) -> None:
        self.asked_to_go_on.append(callback(np.ones(1600, np.float32), 0.5))
        self.open.wait()
        self.asked_to_go_on.append(callback(np.ones(1600, np.float32), 1.0))


async def test_a_sentence_goes_out_before_the_next_is_made_and_none_is_made_for_nobody() -> None:
    model = Sentences()
    crew: Crew[Phrase, Pcm] = Crew(Speaking(model).speak, name="Sentences", workers=1)
    async with crew:
        with crew.place() as place:
            place.bring(Phrase("One. Two.", (), 0, 1.0))
            assert (await anext(place)).duration_ms == 100
        model.open.set()
    assert (len(model.asked_to_go_on), model.asked_to_go_on[-1]) == (2, 0)


async def test_speed_is_honoured_from_a_quarter_to_one_and_a_half(
    synthesiser: SherpaSynthesiser,
) -> None:
    text = "How are you today?"
    plain = seconds(await spoken(synthesiser, text))

    for speed in (0.25, 0.5, 1.5):
        given = await spoken(synthesiser, text, voice=Voice(speed=speed))
        assert seconds(given) == pytest.approx(plain / speed, rel=0.01)


async def test_a_voice_is_the_speaker_that_the_table_names(folders: dict[str, Path]) -> None:
    table: dict[str, int | str] = {"alloy": "bf_emma", "echo": 0}
    async with SherpaSynthesiser(model=str(folders["kokoro"]), voices=table) as engine:
        high = height(await spoken(engine, "Hello.", voice=Voice("alloy")))
        low = height(await spoken(engine, "Hello.", voice=Voice("echo")))
        assert (engine.voices["alloy"], engine.voices["echo"]) == ("bf_emma", "af_alloy")
    assert high > 1.5 * low


async def test_a_voice_is_asked_for_by_its_speakers_own_name_or_number(
    folders: dict[str, Path],
) -> None:
    async with SherpaSynthesiser(model=str(folders["kokoro"])) as engine:
        heights = [
            height(await spoken(engine, "Hello.", voice=Voice(name)))
            for name in ("af_alloy", "am_echo", "bf_emma", "0", "1", "2", "alloy", "nobody", "7")
        ]

    low, middle, high = heights[:3]
    assert low < middle < high
    assert heights[3:6] == heights[:3]
    assert heights[6:] == [low] * 3


class Greeting:
    """A language model of one word."""

    version = "Greeting"

    async def __aenter__(self) -> "Greeting":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return None

    async def respond(self, _request: GenerationRequest) -> AsyncGenerator[WrittenText, None]:
        yield WrittenText("Hello.")


async def test_a_session_is_heard_in_the_voice_that_the_tables_say(
    folders: dict[str, Path],
) -> None:
    """*verse* by the engine's own table, *cedar* and *echo* by the recipe's, *alloy* by its name."""
    table: dict[str, int | str] = {"verse": 2}
    async with SherpaSynthesiser(model=str(folders["kokoro"]), voices=table) as engine:
        nobody: Any = None  # nothing is heard here
        voices = {**engine.voices, "cedar": "am_echo", "echo": "2"}
        recipe = Recipe("tried", nobody, nobody, Greeting(), engine, voices=voices)
        heights = {
            name: await height_of_session(recipe, name)
            for name in ("alloy", "cedar", "verse", "echo")
        }

    assert heights["alloy"] < heights["cedar"] < heights["verse"]
    assert heights["echo"] == heights["verse"]


async def height_of_session(recipe: Recipe, voice: str) -> float:
    """How high a session with that voice is answered."""
    pcm = bytearray()
    done = anyio.Event()

    async def tell(signal: Signal) -> None:
        if isinstance(signal, AudioProduced):
            pcm.extend(signal.pcm)
        elif isinstance(signal, GenerationFinished | GenerationFailed):
            done.set()

    async with anyio.create_task_group() as tasks:
        responding = Responding(recipe, tasks, tell, anyio.lowlevel.checkpoint)
        responding.generate("resp_1", GenerationRequest("", (), voice=voice))
        await done.wait()
    return height([Spoken(Pcm(bytes(pcm), 24000))])


async def test_a_speaker_that_is_not_there_is_told_with_those_who_are(
    folders: dict[str, Path],
) -> None:
    with pytest.raises(
        EngineFailure, match=r"voices\.alloy is 'bob', .* af_alloy, am_echo, bf_emma"
    ):
        async with SherpaSynthesiser(model=str(folders["kokoro"]), voices={"alloy": "bob"}):
            pass


def test_voices_are_spread_over_speakers_without_names() -> None:
    assert max(speakers((), 904, {}).values()) == 813
    assert set(speakers((), 3, {}).values()) == {0, 1, 2}
    assert set(speakers((), 0, {}).values()) == {0}


def test_voices_go_to_speakers_of_the_same_name_and_sex_and_of_english() -> None:
    names = ("af_alloy", "af_bella", "am_adam", "am_echo", "zf_xiaobei", "zm_yunxi", "bm_george")
    found = {voice: names[number] for voice, number in speakers(names, 7, {}).items()}

    assert (found["alloy"], found["echo"]) == ("af_alloy", "am_echo")
    assert {found[voice][1] for voice in ("coral", "sage", "shimmer", "marin")} == {"f"}
    assert {found[voice][0] for voice in found} <= {"a", "b"}


async def test_fifty_sessions_share_a_voice_fairly(folders: dict[str, Path]) -> None:
    """Whoever has twenty phrases is done after those who have one; all is said, in order."""
    order: list[str] = []
    given: dict[str, list[Spoken]] = {}

    async def speech(name: str, *phrases: str) -> None:
        given[name] = await spoken(engine, *phrases)
        order.append(name)

    async with SherpaSynthesiser(model=str(folders["piper"]), workers=1) as engine:
        one = seconds(await spoken(engine, "Hello there. "))
        async with anyio.create_task_group() as sessions:
            sessions.start_soon(speech, "long", *["Hello there. "] * 20)
            for number in range(49):
                sessions.start_soon(speech, f"short {number}", "Hello there. ")

    assert order[-1] == "long"
    assert len(order) == 50
    assert seconds(given["long"]) == pytest.approx(20 * one)
    assert all(seconds(given[f"short {number}"]) == pytest.approx(one) for number in range(49))


# What is wrong is said in a sentence.


async def failing(engine: SherpaTranscriber | SherpaSynthesiser) -> str:
    with pytest.raises(EngineFailure) as failure:
        async with engine:
            pass
    return failure.value.message


async def test_without_the_package_the_command_is_named(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sherpa_onnx", None)

    assert "pip install 'vivavoce[sherpa-onnx]'" in await failing(
        SherpaTranscriber(model=str(folders["streaming"]))
    )


async def test_a_model_that_is_not_there_is_told(tmp_path: Path) -> None:
    for engine in (
        SherpaTranscriber(model=str(tmp_path / "none")),
        SherpaSynthesiser(model=str(tmp_path / "none")),
    ):
        assert "vivavoce models pull" in await failing(engine)


async def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    assert "no *.onnx file is there" in await failing(SherpaTranscriber(model=str(tmp_path)))
    assert "holds no file *.onnx" in await failing(SherpaSynthesiser(model=str(tmp_path)))


async def test_a_model_of_another_kind_is_told(folders: dict[str, Path]) -> None:
    assert "metadata lacks sample_rate" in await failing(
        SherpaSynthesiser(model=str(folders["offline"]))
    )
    assert "no file *encoder*.onnx" in await failing(
        SherpaTranscriber(model=str(folders["offline"]), kind="whisper")
    )


async def test_a_model_that_would_end_the_process_ends_another(
    folders: dict[str, Path],
) -> None:
    """Without its key `vocab_size` the library would call exit."""
    told = await failing(SherpaTranscriber(model=str(folders["offline"]), kind="streaming-ctc"))

    assert "sherpa-onnx cannot load the recogniser" in told
    assert "does not exist in the metadata" in told


async def test_a_file_that_is_no_model_is_told(folders: dict[str, Path], tmp_path: Path) -> None:
    for file in folders["streaming"].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[:100])

    assert "sherpa-onnx cannot load" in await failing(
        SherpaTranscriber(model=str(tmp_path), kind="zipformer")
    )


async def test_a_kind_that_there_is_not_is_told() -> None:
    with pytest.raises(ValueError, match="one of: auto, zipformer"):
        SherpaTranscriber(model="any", kind="gramophone")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one of: auto, vits"):
        SherpaSynthesiser(model="any", kind="gramophone")  # type: ignore[arg-type]


def test_kinds_are_told_from_the_files(folders: dict[str, Path]) -> None:
    assert recogniser_files(folders["streaming"]).kind == "zipformer"
    assert recogniser_files(folders["offline"]).kind == "nemo-ctc"
    assert voice_files(folders["piper"]).kind == "vits"
    assert voice_files(folders["kokoro"]).kind == "kokoro"


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("moonshine", ["preprocess", "encode.int8", "uncached_decode.int8", "cached_decode.int8"]),
        ("whisper", ["tiny.en-encoder.int8", "tiny.en-decoder.int8"]),
        ("transducer", ["encoder", "decoder", "joiner"]),
    ],
)
def test_kinds_are_told_from_names_alone_where_these_tell(
    tmp_path: Path, kind: str, files: list[str]
) -> None:
    for name in files:
        (tmp_path / f"{name}.onnx").write_bytes(b"")
    (tmp_path / "tokens.txt").write_text("")

    assert recogniser_files(tmp_path).kind == kind


def test_of_two_precisions_a_processor_has_the_smaller(tmp_path: Path) -> None:
    for part in ("encoder", "decoder", "joiner"):
        for precision in ("", ".int8"):
            (tmp_path / f"{part}{precision}.onnx").write_bytes(b"")
    (tmp_path / "tokens.txt").write_text("")

    def names(provider: Any) -> list[str]:
        arguments = recogniser_files(tmp_path, provider=provider).arguments
        return [Path(arguments[part]).name for part in ("encoder", "decoder", "joiner")]

    assert names("cpu") == ["encoder.int8.onnx", "decoder.onnx", "joiner.int8.onnx"]
    assert names("cuda") == ["encoder.onnx", "decoder.onnx", "joiner.onnx"]


def test_metadata_is_read_without_the_weights(folders: dict[str, Path], tmp_path: Path) -> None:
    told = metadata(folders["streaming"] / "encoder.onnx")
    (tmp_path / "no.onnx").write_bytes(b"\x0a\xff\xff\xff\xff\xff\xff")

    assert (told["model_type"], told["T"]) == ("zipformer", "45")
    assert metadata(tmp_path / "no.onnx") == {}
    assert metadata(tmp_path / "none.onnx") == {}


async def test_the_version_names_the_kind(transcriber: SherpaTranscriber) -> None:
    assert transcriber.version.startswith("sherpa-onnx 2")
    assert transcriber.version.endswith(")")
