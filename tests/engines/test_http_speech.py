"""Speech by HTTP, against a real server on a real socket."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Any, Literal

import anyio
import numpy as np
import pytest

from vivavoce.audio.pcm import Pcm, of_samples, silence
from vivavoce.audio.wav import NotPcm, Unpacking, wav
from vivavoce.config import RecipePlan
from vivavoce.core.effects import GenerationRequest
from vivavoce.core.signals import GenerationFailed, GenerationFinished, Signal
from vivavoce.engines.api import (
    EngineFailure,
    Spoken,
    SpokenMark,
    Transcript,
    TranscriptDelta,
    TranscriptionHints,
    Voice,
    WrittenText,
)
from vivavoce.engines.http_synthesiser import Flow, HttpSynthesiser
from vivavoce.engines.http_transcriber import Final, HttpTranscriber, Words
from vivavoce.runtime.recipe import Recipe
from vivavoce.runtime.responding import Responding
from vivavoce.server.engine_room import voices
from vivavoce.testing.babble import babble
from vivavoce.testing.engine_kit import check_synthesiser, check_transcriber
from vivavoce.testing.http import serving
from vivavoce.testing.speech_server import Address, Asked, Conduct, SpeechServer, tone

pytestmark = pytest.mark.anyio

SPEECH = babble(1200, 120)
HEARD = "There are 1200 milliseconds."


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One loop for all, since they share the address."""
    return "asyncio"


@pytest.fixture(scope="module")
async def address() -> AsyncIterator[tuple[Address, str]]:
    address = Address()
    async with serving(address) as url:
        yield address, url


class Served(SpeechServer):
    """A server that knows where it is."""

    url = ""


@pytest.fixture
def server(address: tuple[Address, str]) -> Served:
    server = Served()
    address[0].server, server.url = server, address[1]
    return server


@asynccontextmanager
async def transcriber(server: Served, **options: Any) -> AsyncIterator[HttpTranscriber]:
    with anyio.fail_after(20):
        async with HttpTranscriber(url=server.url, **options) as engine:
            yield engine


@asynccontextmanager
async def synthesiser(server: Served, **options: Any) -> AsyncIterator[HttpSynthesiser]:
    with anyio.fail_after(20):
        async with HttpSynthesiser(url=server.url, **options) as engine:
            yield engine


async def these(*values: Any) -> AsyncIterator[Any]:
    for value in values:
        yield value


async def write_down(
    engine: HttpTranscriber, *audio: Pcm, hints: TranscriptionHints | None = None
) -> list[TranscriptDelta | Transcript]:
    stream = engine.transcribe(these(*audio), hints or TranscriptionHints())
    async with aclosing(stream):
        return [each async for each in stream]


async def say(engine: HttpSynthesiser, *phrases: str, voice: Voice | None = None) -> list[Spoken]:
    async with aclosing(engine.speak(these(*phrases), voice or Voice())) as stream:
        return [each async for each in stream]


def joined(spoken: list[Spoken]) -> bytes:
    return b"".join(each.pcm.data for each in spoken)


def marks(spoken: list[Spoken]) -> list[SpokenMark]:
    return [mark for each in spoken for mark in each.marks]


@pytest.mark.parametrize(
    ("name", "hz"), [("alloy", 220), ("verse", 330), ("cedar", 110), ("of nobody", 220)]
)
async def test_the_voice_that_the_page_builds_hums_as_high_as_the_tables_say(
    name: str, hz: int
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "engines.md").read_text(encoding="utf-8")
    program = page.partition("```python\n")[2].partition("async def main")[0]
    there: dict[str, Any] = {}
    exec(program, there)  # without its last lines
    hum: Any = there["Hum"]()
    own = voices(RecipePlan(voices={"cedar": "110"}), hum).get(name, name)

    sound = np.frombuffer(
        joined(await say(hum, "one two three four five", voice=Voice(own))), "<i2"
    )
    ups = np.sum((sound[:-1] < 0) & (sound[1:] >= 0))

    assert ups == pytest.approx(hz, abs=1)  # in five words, which take a second


# The kit.


@pytest.mark.parametrize("manner", ["stream", "json"])
async def test_the_transcriber_keeps_the_contract(
    server: Served, manner: Literal["stream", "json"]
) -> None:
    server.transcribes = manner
    server.conduct = Conduct(pause_s=0.001)
    await check_transcriber(lambda: HttpTranscriber(url=server.url))


@pytest.mark.parametrize("manner", ["pcm", "wav"])
async def test_the_synthesiser_keeps_the_contract(
    server: Served, manner: Literal["pcm", "wav"]
) -> None:
    server.speaks = manner
    server.conduct = Conduct(chunk_bytes=4801, pause_s=0.0005)
    await check_synthesiser(lambda: HttpSynthesiser(url=server.url))


# Transcription.


async def test_a_turn_is_sent_as_one_wav_when_it_is_over(server: Served) -> None:
    async with transcriber(server, model="hears-well") as engine:
        halves = SPEECH.data[:9000], SPEECH.data[9000:]
        await write_down(engine, *(Pcm(half, 16000) for half in halves))

    (asked,) = server.asked
    assert asked.audio == wav(SPEECH)
    assert asked.fields["model"] == "hears-well"
    assert asked.fields["response_format"] == "json"


async def test_language_and_prompt_are_passed_on_and_left_out_where_there_are_none(
    server: Served,
) -> None:
    async with transcriber(server) as engine:
        await write_down(engine, SPEECH, hints=TranscriptionHints("en-GB", "Names: Ada."))
        await write_down(engine, SPEECH)

    with_hints, without = (asked.fields for asked in server.asked)
    assert (with_hints["language"], with_hints["prompt"]) == ("en", "Names: Ada.")
    assert not {"language", "prompt"} & set(without)


@pytest.mark.parametrize("manner", ["stream", "vllm"])
async def test_words_come_as_they_are_written(
    server: Served, manner: Literal["stream", "vllm"]
) -> None:
    server.transcribes = manner
    async with transcriber(server) as engine:
        given = await write_down(engine, SPEECH)

    deltas = ["There", " are", " 1200", " milliseconds."]
    assert given == [*map(TranscriptDelta, deltas), Transcript(HEARD)]


async def test_a_delta_is_there_before_the_transcript_is(server: Served) -> None:
    server.conduct = Conduct(silent_after=1)
    async with transcriber(server) as engine:
        stream = engine.transcribe(these(SPEECH), TranscriptionHints())
        async with aclosing(stream):
            assert await anext(stream) == TranscriptDelta("There")


@pytest.mark.parametrize("manner", ["json", "text", "strict"])
async def test_a_server_that_does_not_stream_is_asked_for_a_stream_once(
    server: Served, manner: Literal["json", "text", "strict"]
) -> None:
    server.transcribes = manner
    async with transcriber(server) as engine:
        given = [await write_down(engine, SPEECH) for _ in range(3)]

    assert given == [[TranscriptDelta(HEARD), Transcript(HEARD)]] * 3
    wishes = ["stream" in asked.fields for asked in server.asked]
    assert wishes == [True] + [False] * (len(wishes) - 1)
    assert len(wishes) == (4 if manner == "strict" else 3)


async def test_a_request_that_is_wrong_either_way_does_not_end_the_wish_for_streams(
    server: Served,
) -> None:
    async with transcriber(server) as engine:
        server.conduct = Conduct(status=400, message="no such voice")
        with pytest.raises(EngineFailure, match="no such voice"):
            await write_down(engine, SPEECH)
        server.conduct = Conduct()
        await write_down(engine, SPEECH)

    assert ["stream" in asked.fields for asked in server.asked] == [True, False, True]


@pytest.mark.parametrize("stream", [True, False])
async def test_whether_to_stream_can_be_laid_down(server: Served, stream: bool) -> None:
    server.transcribes = "json"
    async with transcriber(server, stream=stream) as engine:
        for _ in range(2):
            await write_down(engine, SPEECH)

    assert ["stream" in asked.fields for asked in server.asked] == [stream] * 2


@pytest.mark.parametrize(
    "audio",
    [
        (),
        (silence(3000, 16000),),
        (of_samples(silence(3000, 16000).samples + 1, 16000),),
        (Pcm(babble(1000, 120).data[8000:10000], 16000),),
    ],
)
async def test_what_holds_no_words_is_not_sent(server: Served, audio: tuple[Pcm, ...]) -> None:
    async with transcriber(server) as engine:
        assert await write_down(engine, *audio) == [Transcript("")]

    assert server.asked == []


def test_words_that_were_told_are_not_taken_back() -> None:
    words = Words()

    deltas = [words.add(each) for each in ("  Hello ", "", "there ", Final("Hello, world."))]

    assert (deltas, words.text) == (["Hello", "", " there", ""], "Hello there")


def test_what_the_last_word_adds_is_told() -> None:
    words = Words()

    deltas = [words.add(each) for each in (" Hello", Final(" Hello there. "))]

    assert (deltas, words.text) == (["Hello", " there."], "Hello there.")


async def test_a_transcript_that_breaks_off_is_a_failure_after_its_words(
    server: Served,
) -> None:
    server.conduct = Conduct(close_after=2)
    async with transcriber(server) as engine:
        stream = engine.transcribe(these(SPEECH), TranscriptionHints())
        async with aclosing(stream):
            assert [await anext(stream), await anext(stream)]
            with pytest.raises(EngineFailure, match="broke off the connection"):
                await anext(stream)

    assert len(server.asked) == 1


@pytest.mark.parametrize("manner", ["stream", "vllm"])
async def test_a_stream_that_ends_before_its_last_word_is_no_transcript(
    server: Served, manner: Literal["stream", "vllm"]
) -> None:
    server.transcribes = manner
    server.conduct = Conduct(end_after=2)
    async with transcriber(server) as engine:
        with pytest.raises(EngineFailure, match="ended before the transcript did"):
            await write_down(engine, SPEECH)


async def test_a_silent_server_is_given_up(server: Served) -> None:
    server.conduct = Conduct(silent_after=1)
    async with transcriber(server, silence_s=0.05) as engine:
        with pytest.raises(EngineFailure, match="fell silent in mid-answer for"):
            await write_down(engine, SPEECH)
        await server.until(lambda: server.aborted == 1)


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (400, "refuses the request .400.: went wrong"),
        (401, "asks for a key"),
        (500, "failed .500.: went wrong"),
    ],
)
async def test_an_error_is_told_in_words(server: Served, status: int, sentence: str) -> None:
    server.conduct = Conduct(status=status, message="went wrong")
    async with transcriber(server, retries=0) as engine:
        with pytest.raises(EngineFailure, match=sentence):
            await write_down(engine, SPEECH)

    assert len(server.asked) == (2 if status == 400 else 1)  # a 400 may have been about `stream`


async def test_closing_aborts_the_transcription_at_the_server(server: Served) -> None:
    server.conduct = Conduct(silent_after=1)
    async with transcriber(server) as engine:
        stream = engine.transcribe(these(SPEECH), TranscriptionHints())
        await anext(stream)
        await stream.aclose()
        await server.until(lambda: server.aborted == 1)

    assert server.answered == 0


async def test_turn_after_turn_goes_by_one_connection(server: Served) -> None:
    async with transcriber(server) as engine:
        for _ in range(5):
            await write_down(engine, SPEECH)

    assert (len(server.asked), server.connections) == (5, 1)


async def test_fifty_turns_at_once_keep_their_words_apart(server: Served) -> None:
    server.conduct = Conduct(pause_s=0.005)
    turns = {number: babble(1000 + 10 * number, 120) for number in range(50)}
    heard: dict[int, Transcript | TranscriptDelta] = {}

    async with transcriber(server) as engine:

        async def write(number: int) -> None:
            heard[number] = (await write_down(engine, turns[number]))[-1]

        async with anyio.create_task_group() as tasks:
            for number in turns:
                tasks.start_soon(write, number)

    assert heard == {n: Transcript(f"There are {1000 + 10 * n} milliseconds.") for n in turns}
    assert server.most_running > 25


def test_an_odd_wish_is_refused_when_the_engine_is_made() -> None:
    with pytest.raises(ValueError, match="stream: true, false"):
        HttpTranscriber(url="http://127.0.0.1:1", stream="sometimes")  # type: ignore[arg-type]


# Synthesis.


@pytest.mark.parametrize("manner", ["pcm", "wav", "whole wav"])
async def test_samples_are_whole_however_their_bytes_come(
    server: Served, manner: Literal["pcm", "wav", "whole wav"]
) -> None:
    server.speaks = manner
    async with synthesiser(server) as engine:
        for chunk_bytes in (7, 999, 1000, 10**9):
            server.conduct = Conduct(chunk_bytes=chunk_bytes)
            spoken = await say(engine, "A b")

            assert joined(spoken) == tone("A b", "alloy").data
            assert {each.pcm.rate_hz for each in spoken} == {24000}


async def test_a_wav_tells_its_rate_and_raw_samples_have_the_one_of_the_options(
    server: Served,
) -> None:
    async with synthesiser(server, rate_hz=16000) as engine:
        raw = await say(engine, "Hello.")
        server.speaks = "wav"
        told = await say(engine, "Hello.")

    assert [{each.pcm.rate_hz for each in spoken} for spoken in (raw, told)] == [{16000}, {24000}]


async def test_a_rate_that_changes_is_a_failure(server: Served) -> None:
    def conduct(asked: Asked) -> Conduct:
        server.speaks = "wav" if asked.fields["input"] == "Two." else "pcm"
        return Conduct()

    server.conduct_of = conduct
    async with synthesiser(server, rate_hz=16000) as engine:
        with pytest.raises(EngineFailure, match="16000 Hz and goes on at 24000"):
            await say(engine, "One. ", "Two.")


async def test_each_phrase_has_a_mark_where_it_begins_to_sound(server: Served) -> None:
    phrases = ("Hello there. ", "  ", "How are you?")
    async with synthesiser(server) as engine:
        spoken = await say(engine, *phrases)

    assert marks(spoken) == [SpokenMark(0, 13, 0.0), SpokenMark(15, 27, 13 * 60.0)]
    assert joined(spoken) == b"".join(tone(phrases[n], "alloy").data for n in (0, 2))


async def test_a_phrase_without_words_makes_no_request(server: Served) -> None:
    async with synthesiser(server) as engine:
        assert await say(engine, "", " ", "\n", "...", " — ") == []

    assert server.asked == []


async def test_voice_speed_and_format_are_passed_on_in_the_servers_own_words(
    server: Served,
) -> None:
    options: dict[str, Any] = {"model": "kokoro", "voices": {"alloy": "af_heart"}}
    async with synthesiser(server, **options) as engine:
        await say(engine, "Hello.", voice=Voice("alloy", 1.25))
        await say(engine, "Hello.", voice=Voice("mine"))
        assert engine.voices == {"alloy": "af_heart"}

    fast, plain = (asked.fields for asked in server.asked)
    assert fast == {
        "model": "kokoro",
        "input": "Hello.",
        "voice": "af_heart",
        "response_format": "pcm",
        "speed": 1.25,
    }
    assert plain["voice"] == "mine"
    assert "speed" not in plain


class Greeting:
    """A language model of one word."""

    version = "Greeting"

    async def __aenter__(self) -> "Greeting":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return None

    async def respond(self, _request: GenerationRequest) -> AsyncGenerator[WrittenText, None]:
        yield WrittenText("Hello.")


@pytest.mark.parametrize(
    ("own", "name", "asked_for"),
    [
        ({"alloy": "verse", "verse": "alloy"}, "alloy", "verse"),
        ({"alloy": "af_heart", "cedar": "am_adam"}, "cedar", "am_adam"),
        (None, "marin", "marin"),
        (None, "echo", "theirs"),
    ],
)
async def test_a_session_is_heard_in_the_voice_that_the_tables_say(
    server: Served, own: dict[str, str] | None, name: str, asked_for: str
) -> None:
    async with synthesiser(server, voices=own) as engine:
        nobody: Any = None  # nothing is heard here
        voices = {**engine.voices, "echo": "theirs"}
        recipe = Recipe("tried", nobody, nobody, Greeting(), engine, voices=voices)
        done = anyio.Event()

        async def tell(signal: Signal) -> None:
            if isinstance(signal, GenerationFinished | GenerationFailed):
                done.set()

        async with anyio.create_task_group() as tasks:
            responding = Responding(recipe, tasks, tell, anyio.lowlevel.checkpoint)
            responding.generate("resp_1", GenerationRequest("", (), voice=name))
            await done.wait()

    assert [each.fields["voice"] for each in server.asked] == [asked_for]


async def test_a_voice_that_nobody_mapped_is_mapped_all_the_same(server: Served) -> None:
    """As in a self-check, which asks for `alloy`."""
    async with synthesiser(server, voices={"alloy": "af_heart"}) as engine:
        await say(engine, "Hello.")

    assert [each.fields["voice"] for each in server.asked] == ["af_heart"]


async def test_a_server_that_knows_no_speed_is_told_none(server: Served) -> None:
    async with synthesiser(server, takes_speed=False, response_format="wav") as engine:
        await say(engine, "Hello.", voice=Voice(speed=1.5))

    (asked,) = server.asked
    assert "speed" not in asked.fields
    assert asked.fields["response_format"] == "wav"


async def test_the_next_phrase_is_asked_for_while_one_plays_and_no_other(
    server: Served,
) -> None:
    taken: list[str] = []

    async def phrases() -> AsyncIterator[str]:
        for phrase in ("One. ", "Two. ", "Three. ", "Four."):
            taken.append(phrase)
            yield phrase

    first_held = anyio.Event()
    waits = Conduct(held=first_held)
    server.conduct_of = lambda asked: waits if asked.fields["input"] == "One. " else Conduct()
    async with synthesiser(server) as engine, aclosing(engine.speak(phrases(), Voice())) as stream:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anext, stream)
            await server.until(lambda: server.answered == 1)
            assert [asked.fields["input"] for asked in server.asked] == ["One. ", "Two. "]
            assert taken == ["One. ", "Two. "]
            first_held.set()
        rest = [each async for each in stream]

    assert [asked.fields["input"] for asked in server.asked] == taken
    assert [mark.text_start for mark in marks(rest)] == [5, 10, 17]


async def test_a_phrase_that_is_answered_first_waits_for_its_turn(server: Served) -> None:
    held = anyio.Event()

    def slow(asked: Asked) -> Conduct:
        return Conduct(held=held if asked.fields["input"] == "One. " else None)

    server.conduct_of = slow
    spoken: list[Spoken] = []
    async with synthesiser(server) as engine:

        async def listen() -> None:
            spoken.extend(await say(engine, "One. ", "And two."))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await server.until(lambda: server.answered == 1)
            held.set()

    assert joined(spoken) == tone("One. ", "alloy").data + tone("And two.", "alloy").data


async def test_audio_is_there_before_its_phrase_is_finished(server: Served) -> None:
    server.conduct = Conduct(silent_after=1)
    async with (
        synthesiser(server) as engine,
        aclosing(engine.speak(these("Hello there."), Voice())) as stream,
    ):
        assert (await anext(stream)).pcm.data == tone("Hello there.", "alloy").data[:4800]


async def test_closing_aborts_what_plays_and_what_is_ahead(server: Served) -> None:
    server.conduct = Conduct(silent_after=1)
    async with synthesiser(server) as engine:
        stream = engine.speak(these("One. ", "Two. ", "Three."), Voice())
        await anext(stream)
        await server.until(lambda: server.running == 2)
        await stream.aclose()
        await server.until(lambda: server.aborted == 2)

    assert (len(server.asked), server.answered) == (2, 0)


async def test_a_cancelled_listener_aborts_too(server: Served) -> None:
    server.conduct = Conduct(silent_after=1)
    async with synthesiser(server) as engine:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(say, engine, "One. ", "Two.")
            await server.until(lambda: server.running == 2)
            tasks.cancel_scope.cancel()
        await server.until(lambda: server.aborted == 2)

    assert server.answered == 0


async def test_a_phrase_that_fails_does_so_after_those_before_it(server: Served) -> None:
    broken = Conduct(status=400, message="too long")
    server.conduct_of = lambda asked: broken if asked.fields["input"] == "Two." else Conduct()
    heard = bytearray()

    async def listen(stream: AsyncIterator[Spoken]) -> None:
        async for spoken in stream:
            heard.extend(spoken.pcm.data)

    async with (
        synthesiser(server) as engine,
        aclosing(engine.speak(these("One. ", "Two.", "Three."), Voice())) as stream,
    ):
        with pytest.raises(EngineFailure, match=r"refuses the request \(400\): too long"):
            await listen(stream)

    assert bytes(heard) == tone("One. ", "alloy").data


async def test_speech_that_breaks_off_is_a_failure(server: Served) -> None:
    server.conduct = Conduct(close_after=2, pause_s=0.01)
    async with synthesiser(server) as engine:
        with pytest.raises(EngineFailure, match="broke off the connection"):
            await say(engine, "Hello there.")


async def test_speech_that_falls_silent_is_a_failure(server: Served) -> None:
    server.conduct = Conduct(silent_after=1)
    async with synthesiser(server, silence_s=0.05) as engine:
        with pytest.raises(EngineFailure, match="fell silent in mid-answer"):
            await say(engine, "Hello there.")
        await server.until(lambda: server.aborted == 1)


async def test_what_fails_before_its_first_byte_is_tried_again(server: Served) -> None:
    conducts = cycle([Conduct(status=503), Conduct()])
    server.conduct_of = lambda _: next(conducts)
    async with synthesiser(server) as engine:
        spoken = await say(engine, "Hello.")

    assert joined(spoken) == tone("Hello.", "alloy").data
    assert len(server.asked) == 2


async def test_what_nobody_hears_yet_waits_up_to_a_bound() -> None:
    flow: Flow[int] = Flow(10, 100)
    put: list[int] = []

    async def produce() -> None:
        for number in range(5):
            await flow.put(number, 40)
            put.append(number)
        flow.end()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(produce)
        await anyio.wait_all_tasks_blocked()
        assert put == [0, 1]
        assert [each async for each in flow] == [0, 1, 2, 3, 4]


async def test_sessions_share_connections_and_keep_them(server: Served) -> None:
    async with synthesiser(server) as engine:
        for _ in range(4):
            await say(engine, "One. ", "Two. ", "Three.")

    assert len(server.asked) == 12
    assert server.connections <= 2


async def test_fifty_streams_at_once_keep_their_speech_apart(server: Served) -> None:
    server.conduct = Conduct(pause_s=0.002)
    told: dict[str, bytes] = {}
    voices = [f"voice{number}" for number in range(50)]
    async with synthesiser(server) as engine:

        async def listen(voice: str) -> None:
            told[voice] = joined(await say(engine, f"I am {voice}. ", "Yes.", voice=Voice(voice)))

        async with anyio.create_task_group() as tasks:
            for voice in voices:
                tasks.start_soon(listen, voice)

    assert told == {
        voice: tone(f"I am {voice}. ", voice).data + tone("Yes.", voice).data for voice in voices
    }
    assert server.most_running > 50


async def test_an_engine_that_is_left_ends_its_streams(server: Served) -> None:
    server.conduct = Conduct(silent_after=1)
    async with synthesiser(server) as engine:
        stream = engine.speak(these("Hello there."), Voice())
        await anext(stream)
    with pytest.raises(EngineFailure, match="has been stopped"):
        await anext(stream)


async def test_a_page_is_not_taken_for_speech() -> None:
    async def page(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/html; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"<html>", "more_body": False})

    async with serving(page) as url, HttpSynthesiser(url=url) as engine:
        with pytest.raises(EngineFailure, match="answered text/html, where audio as pcm"):
            await say(engine, "Hello.")


# WAV.


def test_a_wav_of_another_kind_is_refused_with_what_it_is() -> None:
    stereo = bytearray(wav(SPEECH))
    stereo[22] = 2

    with pytest.raises(NotPcm, match="2 channels of 16 bits at 16000 Hz"):
        Unpacking(24000).push(bytes(stereo))


def test_a_file_is_what_python_reads_too(tmp_path: Any) -> None:
    import wave

    path = tmp_path / "speech.wav"
    path.write_bytes(wav(SPEECH))

    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        assert file.readframes(file.getnframes()) == SPEECH.data


def test_what_follows_the_audio_of_a_wav_is_not_heard() -> None:
    unpacking = Unpacking(24000)
    data = wav(SPEECH) + b"LIST\x04\x00\x00\x00INFO"

    heard = [unpacking.push(data[place : place + 5]).data for place in range(0, len(data), 5)]

    assert b"".join(heard) == SPEECH.data
