"""Whisper: our own loading code, and turns of any length, on a tiny model in the real form."""

import asyncio
import shutil
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from vivavoce.audio.pcm import Pcm, silence
from vivavoce.engines import faster_whisper
from vivavoce.engines.api import (
    EngineFailure,
    Transcript,
    TranscriptDelta,
    TranscriptionHints,
    Work,
)
from vivavoce.engines.faster_whisper import FasterWhisper, Piece, Whisper, Words
from vivavoce.engines.log_mel import features
from vivavoce.testing.babble import babble
from vivavoce.testing.engine_kit import CHECKS
from vivavoce.testing.stopping import Inputs
from vivavoce.testing.tiny_whisper import make_tiny_whisper

pytestmark = [pytest.mark.extras, pytest.mark.anyio]

TURN = babble(1200, 120)
EN = TranscriptionHints(language="en")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny")


@pytest.fixture(scope="session")
def english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny.en", multilingual=False)


@pytest.fixture
async def whisper(folder: Path) -> AsyncIterator[FasterWhisper]:
    async with FasterWhisper(model=str(folder), device="cpu") as whisper:
        yield whisper


@pytest.mark.parametrize("check", CHECKS["transcriber"].values(), ids=CHECKS["transcriber"])
async def test_it_keeps_the_contract_of_a_transcriber(
    check: Callable[[Any], Awaitable[None]], whisper: FasterWhisper
) -> None:
    await check(whisper)


async def test_what_the_model_writes_is_the_transcript(whisper: FasterWhisper) -> None:
    given = await _written(whisper, TURN, EN)

    assert given == [TranscriptDelta(given[-1].text), Transcript(given[-1].text)]
    assert len(given[-1].text) > 10
    assert given[-1] != (await _written(whisper, babble(1300, 200), EN))[-1]


async def test_the_prompt_is_told_to_the_model(whisper: FasterWhisper) -> None:
    prompted = TranscriptionHints("en", "Ada and Charles.")

    assert await _text(whisper, TURN, EN) != await _text(whisper, TURN, prompted)


async def test_the_language_is_told_to_the_model(whisper: FasterWhisper) -> None:
    texts = {await _text(whisper, TURN, TranscriptionHints(code)) for code in ("en", "de", "ja")}

    assert len(texts) == 3


async def test_an_unsaid_language_is_heard_by_the_same_run_of_the_encoder(
    whisper: FasterWhisper, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = _its_own_model(whisper).transcribe(TURN.floats)[1].language
    runs = _count_encodings(whisper, monkeypatch)

    text = await _text(whisper, TURN, TranscriptionHints())

    assert runs == [1]
    assert text == await _text(whisper, TURN, TranscriptionHints(heard))


@pytest.mark.parametrize(
    ("asked", "known"), [("pt-BR", "pt"), ("EN_us", "en"), ("nb", "no"), ("jv", "jw")]
)
async def test_regions_and_other_names_of_a_language_are_understood(
    asked: str, known: str, whisper: FasterWhisper
) -> None:
    texts = [await _text(whisper, TURN, TranscriptionHints(each)) for each in (asked, known)]

    assert texts[0] == texts[1]


@pytest.mark.parametrize("language", ["tlh", "english"])
async def test_a_language_that_it_does_not_know_is_refused(
    language: str, whisper: FasterWhisper
) -> None:
    with pytest.raises(EngineFailure, match="hears 100 languages, and was asked for") as refused:
        await _written(whisper, TURN, TranscriptionHints(language))

    assert refused.value.code == "unsupported_language"


async def test_an_english_model_hears_english_alone(english: Path) -> None:
    async with FasterWhisper(model=str(english), device="cpu") as whisper:
        assert await _text(whisper, TURN, TranscriptionHints()) == await _text(whisper, TURN, EN)
        with pytest.raises(EngineFailure, match="hears English alone"):
            await _written(whisper, TURN, TranscriptionHints("de"))


async def test_the_language_of_the_options_is_taken_where_a_session_says_none(
    folder: Path, whisper: FasterWhisper
) -> None:
    async with FasterWhisper(model=str(folder), device="cpu", language="ja") as japanese:
        text = await _text(japanese, TURN, TranscriptionHints())
        english = await _text(japanese, TURN, EN)

    assert text == await _text(whisper, TURN, TranscriptionHints("ja"))
    assert english == await _text(whisper, TURN, EN)


async def test_a_long_turn_is_written_down_while_it_goes_on(whisper: FasterWhisper) -> None:
    over = False

    async def turn() -> AsyncIterator[Pcm]:
        for _ in range(31):
            yield babble(1000, 120)
        while not over:
            yield Pcm(b"", 16000)
            await anyio.lowlevel.checkpoint()

    async with aclosing(whisper.transcribe(turn(), EN)) as stream:
        with anyio.fail_after(20):
            first = await anext(stream)
        over = True
        rest = [each async for each in stream]

    deltas = [first, *rest[:-1]]
    assert [type(each) for each in deltas] == [TranscriptDelta, TranscriptDelta]
    assert "".join(each.text for each in deltas) == rest[-1].text


async def test_no_piece_is_longer_than_the_window_and_none_is_lost(
    whisper: FasterWhisper, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = _watch_pieces(monkeypatch)

    await _written(whisper, babble(70_000, 120), EN)

    lengths_s = [len(each.samples) / 16000 for each in pieces]
    assert sum(lengths_s) == 70
    assert len(lengths_s) == 3
    assert max(lengths_s) <= 30


@pytest.mark.parametrize("told", [False, True])
async def test_the_words_before_a_piece_are_told_if_that_is_wanted(
    told: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = _watch_pieces(monkeypatch)
    hints = TranscriptionHints("en", "Ada.")
    async with FasterWhisper(
        model=str(folder), device="cpu", condition_on_previous_text=told
    ) as whisper:
        pieces.clear()
        given = await _written(whisper, babble(40_000, 120), hints)

    before = f"Ada. {given[0].text}" if told else "Ada."
    assert [each.prompt for each in pieces] == ["Ada.", before]


async def test_blank_audio_is_not_given_to_the_model(
    whisper: FasterWhisper, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = _count_encodings(whisper, monkeypatch)

    assert await _written(whisper, silence(2000, 16000), EN) == [Transcript("")]
    assert runs == [0]


async def test_a_click_too_short_to_be_heard_gives_no_words(whisper: FasterWhisper) -> None:
    assert await _written(whisper, Pcm(b"\x00\x40", 16000), EN) == [Transcript("")]


async def test_what_has_no_voice_can_be_left_out(folder: Path) -> None:
    noise = np.random.default_rng(1).integers(-900, 900, 16000).astype("<i2").tobytes()
    async with FasterWhisper(model=str(folder), device="cpu", vad_filter=True) as whisper:
        given = await _written(whisper, Pcm(noise, 16000), EN)

    assert given == [Transcript("")]


async def test_a_stream_that_is_closed_does_not_wait_for_its_piece(
    whisper: FasterWhisper, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = anyio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def stuck(_whisper: Whisper, _piece: Piece) -> str:
        loop.call_soon_threadsafe(begun.set)
        assert go.wait(30)
        return "unheard"

    monkeypatch.setattr(Whisper, "write_down", stuck)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_written, whisper, TURN, EN)
        await begun.wait()
        tasks.cancel_scope.cancel()
    assert not go.is_set()  # the stream has ended, its piece has not

    go.set()
    monkeypatch.undo()
    assert await _text(whisper, TURN, EN) != "unheard"


async def test_a_model_that_fails_fails_that_turn_alone(
    whisper: FasterWhisper, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:

        def fail(_whisper: Whisper, _piece: Piece) -> str:
            raise RuntimeError("no memory")

        broken.setattr(Whisper, "write_down", fail)
        with pytest.raises(EngineFailure, match="faster-whisper failed: RuntimeError: no memory"):
            await _written(whisper, TURN, EN)

    assert await _text(whisper, TURN, EN)


async def test_turns_side_by_side_are_each_their_own(folder: Path) -> None:
    turns = [babble(900 + 100 * each, 110 + 10 * each) for each in range(6)]
    async with FasterWhisper(model=str(folder), device="cpu", workers=3) as whisper:
        assert _its_own_model(whisper).model.num_workers == 3
        alone = [await _text(whisper, each, EN) for each in turns]
        beside = [""] * len(turns)

        async def write(place: int) -> None:
            beside[place] = await _text(whisper, turns[place], EN)

        async with anyio.create_task_group() as tasks:
            for place in range(len(turns)):
                tasks.start_soon(write, place)

    assert beside == alone
    assert len(set(alone)) > 1


async def test_every_piece_is_reported_with_its_audio(whisper: FasterWhisper) -> None:
    works: list[Work] = []
    whisper.report = works.append

    await _written(whisper, TURN, EN)

    assert [work.audio_s for work in works] == [pytest.approx(1.2)]
    assert works[0].busy_s > 0


async def test_nobody_waits_where_nobody_speaks(whisper: FasterWhisper) -> None:
    assert whisper.queued == 0
    assert not whisper.full


async def test_the_package_the_model_and_its_form_are_in_the_version(
    whisper: FasterWhisper,
) -> None:
    assert whisper.version.startswith("faster-whisper 1.")
    assert whisper.version.endswith(" on cpu)")
    assert "(tiny, int8" in whisper.version


async def test_it_cannot_be_used_before_it_is_loaded_nor_after(folder: Path) -> None:
    whisper = FasterWhisper(model=str(folder), device="cpu")
    with pytest.raises(EngineFailure, match="not running"):
        await _written(whisper, TURN, EN)
    async with whisper:
        pass
    with pytest.raises(EngineFailure, match="not running"):
        await _written(whisper, TURN, EN)


async def test_a_missing_package_is_named_with_its_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "faster_whisper", None)

    await _fails(FasterWhisper(model=str(folder)), r"pip install 'vivavoce\[faster-whisper\]'")


@pytest.mark.parametrize("model", ["no-such-model", "/no/such/folder", "faster-whisper-base"])
async def test_a_missing_model_is_told_with_the_command_that_brings_it(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    await _fails(FasterWhisper(model=model), "vivavoce models pull faster-whisper-base")


@pytest.mark.parametrize("name", faster_whisper.FILES)
async def test_a_missing_file_is_named(name: str, folder: Path, tmp_path: Path) -> None:
    partly = tmp_path / "partly"
    shutil.copytree(folder, partly, ignore=shutil.ignore_patterns(name))

    await _fails(
        FasterWhisper(model=str(partly)),
        rf"no Whisper model .*: {name} missing; .*vivavoce models pull faster-whisper-base",
    )


async def test_a_file_that_is_no_model_is_told(folder: Path, tmp_path: Path) -> None:
    wrong = shutil.copytree(folder, tmp_path / "wrong")
    (wrong / "model.bin").write_bytes(b"not a model")

    await _fails(FasterWhisper(model=str(wrong)), "wrong cannot be loaded as a Whisper model: ")


async def test_an_unknown_compute_type_is_told_when_loading(folder: Path) -> None:
    await _fails(FasterWhisper(model=str(folder), compute_type="int7"), "compute type: int7")


async def test_an_unknown_language_in_the_options_is_told_when_loading(folder: Path) -> None:
    await _fails(FasterWhisper(model=str(folder), language="tlh"), "asked for 'tlh'")


def test_pieces_are_joined_by_the_blanks_that_whisper_writes() -> None:
    words = Words()

    deltas = [words.add(each) for each in (" One two. ", "", " Three.")]

    assert deltas == ["One two.", "", " Three."]
    assert words.text == "One two. Three."


def test_languages_without_blanks_are_joined_without() -> None:
    words = Words()

    for each in ("これは", "何ですか"):
        words.add(each)

    assert words.text == "これは何ですか"


def test_our_log_mel_features_are_those_of_the_package() -> None:
    from faster_whisper.feature_extractor import FeatureExtractor

    sound = babble(8000, 120).floats

    theirs = FeatureExtractor(chunk_length=8)(sound, padding=0)

    np.testing.assert_allclose(features(sound), theirs, atol=1e-5)


async def _written(
    whisper: FasterWhisper, turn: Pcm, hints: TranscriptionHints
) -> list[TranscriptDelta | Transcript]:
    async with aclosing(whisper.transcribe(Inputs([turn]), hints)) as stream:
        return [each async for each in stream]


async def _text(whisper: FasterWhisper, turn: Pcm, hints: TranscriptionHints) -> str:
    return (await _written(whisper, turn, hints))[-1].text


async def _fails(whisper: FasterWhisper, message: str) -> None:
    with pytest.raises(EngineFailure, match=message):
        async with whisper:
            pass


def _its_own_model(whisper: FasterWhisper) -> Any:  # of a package without types
    assert whisper._whisper is not None
    return whisper._whisper._model


def _count_encodings(whisper: FasterWhisper, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list of one number, which counts up."""
    model, runs = _its_own_model(whisper), [0]
    encode = model.encode

    def counted(*given: Any, **named: Any) -> Any:
        runs[0] += 1
        return encode(*given, **named)

    monkeypatch.setattr(model, "encode", counted)
    return runs


def _watch_pieces(monkeypatch: pytest.MonkeyPatch) -> list[Piece]:
    pieces: list[Piece] = []
    write_down = Whisper.write_down

    def watched(whisper: Whisper, piece: Piece) -> str:
        pieces.append(piece)
        return write_down(whisper, piece)

    monkeypatch.setattr(Whisper, "write_down", watched)
    return pieces
