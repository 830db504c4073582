"""People talk to a running server."""

from pathlib import Path

import anyio
import msgspec
import pytest
from compat_servers import Site
from compat_speech import SECOND, appends, person
from compat_wire import (
    SLOW,
    WEATHER,
    Frame,
    Line,
    kinds,
    line,
    of_kind,
    spoken_bytes,
    words_of,
)

pytest_plugins = ["compat_fixtures"]
pytestmark = [pytest.mark.anyio, pytest.mark.shared]

LAST_WORD_MS = 10_450  # of the speech of 1961
TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


async def listen(client: Line, session: Frame | None = None, **detection: object) -> None:
    """Have speech written down."""
    heard = {
        "turn_detection": {"type": "server_vad", **detection},
        "transcription": {"model": "whisper-1"},
    }
    await client.say(
        "session.update", session={"type": "realtime", "audio": {"input": heard}, **(session or {})}
    )
    await client.until("session.updated")


async def test_a_question_about_the_weather_in_paris_calls_for_paris(
    embedded: Site, shared: Path
) -> None:
    async with line(embedded) as client:
        await listen(client, {"tools": [WEATHER]})
        await client.speak(person(shared / "audio" / "weather_question.wav"))
        heard = await client.until("response.done")

    call = heard[-1]["response"]["output"][0]
    assert (call["type"], call["name"]) == ("function_call", "get_weather")
    assert msgspec.json.decode(call["arguments"]) == {"city": "Paris"}


async def test_a_greeting_is_answered(embedded: Site, shared: Path) -> None:
    async with line(embedded) as client:
        await listen(client)
        await client.speak(person(shared / "audio" / "hello_world.wav"))
        heard = await client.until("response.done")

    assert of_kind(heard, TRANSCRIBED)[0]["transcript"]
    assert heard[-1]["response"]["status"] == "completed"
    assert words_of(heard)
    assert spoken_bytes(heard) > 0


async def test_noise_is_no_turn(embedded: Site, shared: Path) -> None:
    noise = person(shared / "audio" / "noise.wav")
    async with line(embedded) as client:
        await listen(client)
        # Whoever speaks afterwards is the first to be heard.
        await client.speak(noise)
        await client.speak(person(shared / "audio" / "hello_world.wav"))
        heard = await client.until("response.done")

    started = of_kind(heard, "input_audio_buffer.speech_started")
    committed = of_kind(heard, "input_audio_buffer.committed")
    assert len(started) == len(committed) == 1
    assert started[0]["audio_start_ms"] > len(noise) * 1000 // len(SECOND) - 400


async def test_a_speech_is_written_down(embedded: Site, shared: Path) -> None:
    # From "ask not" on, after the pause.
    speech = person(shared / "audio" / "jfk.wav")[3 * len(SECOND) :]
    async with line(embedded) as client:
        await listen(client, silence_duration_ms=1500, create_response=False)
        await client.speak(speech)
        heard = await client.until(TRANSCRIBED)

    words = set(heard[-1]["transcript"].split())
    assert words >= {"what", "your", "country", "can", "do", "for", "you"}
    assert heard[-1]["usage"] == {"type": "duration", "seconds": pytest.approx(8, abs=2)}


async def test_a_person_interrupts_a_long_answer(scripted: Site, shared: Path) -> None:
    async with line(scripted, SLOW) as client:
        await listen(client)
        await client.write("Tell me at length.")
        begun = await client.until("response.output_audio.delta")
        interrupted = of_kind(begun, "response.created")[0]["response"]["id"]
        await client.speak(person(shared / "audio" / "tell_me_the_weather.wav"))

        before = await client.until("input_audio_buffer.speech_started")
        closing = await client.until("response.done")
        after = await client.until("response.done")

    assert "response.done" not in kinds(before)
    assert kinds(closing) == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    cancelled = closing[-1]["response"]
    assert (cancelled["id"], cancelled["status"]) == (interrupted, "cancelled")
    assert cancelled["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert not [frame for frame in after if frame.get("response_id") == interrupted]
    assert spoken_bytes(client.witness.frames) > spoken_bytes(after) > 0
    assert after[-1]["response"]["status"] == "completed"
    assert words_of(after) == "You said: hello there"


async def ends_of_turns(site: Site, speech: bytes, pace_s: float, **detection: object) -> list[int]:
    """Where in the *speech*, in ms, turns end. Each tenth of a second of it takes *pace_s*."""
    heard = {"turn_detection": {"create_response": False, **detection}}
    async with line(site) as client:
        await client.say("session.update", session={"type": "realtime", "audio": {"input": heard}})
        for audio in appends(speech):
            await client.say("input_audio_buffer.append", audio=audio)
            await anyio.sleep(pace_s)
        await client.until("input_audio_buffer.speech_stopped")
        await client.still_lives()
    stopped = of_kind(client.witness.frames, "input_audio_buffer.speech_stopped")
    return [frame["audio_end_ms"] for frame in stopped]


async def test_a_speaker_who_pauses_in_mid_sentence_is_not_cut_off(
    embedded: Site, shared: Path
) -> None:
    # One sentence with pauses of a second and half a second in it.
    speech = person(shared / "audio" / "jfk.wav") + 2 * SECOND

    by_silence = await ends_of_turns(embedded, speech, 0, type="server_vad")
    # The judge goes by the words too, which are there no sooner than they were said.
    by_meaning = await ends_of_turns(embedded, speech, 0.1, type="semantic_vad")

    assert [end for end in by_silence if end < LAST_WORD_MS]
    assert min(by_meaning) > LAST_WORD_MS
