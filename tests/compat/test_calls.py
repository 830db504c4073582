"""Calls over WebRTC, by aiortc's peer connection as the client."""

from pathlib import Path

import anyio
import httpx
import msgspec
import numpy as np
import pytest
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from av import AudioFrame
from compat_calls import (
    CALLS,
    LOUD,
    Codec,
    Microphone,
    calling,
    idle_offer,
    post_offer,
    secret,
)
from compat_servers import KEY, PATIENCE_S, Site, served, until
from compat_speech import SECOND, person
from compat_wire import Frame, of_kind, sideband, words_of

from vivavoce.config import Config
from vivavoce.transports.webrtc.opus import OpusMissing

pytest_plugins = ["compat_fixtures"]
pytestmark = pytest.mark.anyio

SLOW = f"{CALLS}?model=slow"
HEARING: Frame = {"type": "server_vad", "silence_duration_ms": 300}
SPOKEN_TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "output_audio_buffer.started",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "rate_limits.updated",
    "output_audio_buffer.stopped",
]


def in_order(kinds: list[str]) -> list[str]:
    """Those kinds without deltas."""
    return [kind for kind in kinds if not kind.endswith(".delta")]


@pytest.mark.parametrize("codec", ["audio/opus", "audio/PCMU", "audio/PCMA"])
async def test_a_spoken_turn_is_heard_and_answered_aloud(
    embedded: Site, speech: bytes, codec: Codec
) -> None:
    async with calling(embedded, codec=codec) as caller:
        caller.microphone.say(speech)
        told = await caller.until("output_audio_buffer.started")
        await caller.loud()
        told += await caller.until("output_audio_buffer.stopped")
    kinds = in_order([frame["type"] for frame in told])
    # Playing begins as the first audio leaves, anywhere among the events of an answer under way.
    kinds.remove("output_audio_buffer.started")
    assert kinds == [kind for kind in SPOKEN_TURN if kind != "output_audio_buffer.started"]
    assert not [kind for kind in caller.kinds if kind.endswith("audio.delta")]


@pytest.mark.shared
async def test_what_a_person_says_is_understood(embedded: Site, shared: Path) -> None:
    session = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    made = await secret(embedded, session={"type": "realtime", **session})
    async with calling(embedded, key=made["value"]) as caller:
        caller.microphone.say(person(shared / "audio" / "weather_question.wav"))
        told = await caller.until("conversation.item.input_audio_transcription.completed")
        assert "weather in paris" in told[-1]["transcript"]
        await caller.until("output_audio_buffer.stopped")


async def test_silence_is_sent_while_there_is_nothing_to_say(scripted: Site) -> None:
    async with calling(scripted) as caller:
        await caller.holds(lambda: len(caller.heard) >= 25)
        assert max(caller.heard) == 0


@pytest.mark.parametrize("codec", ["audio/opus", "audio/PCMU"])
async def test_speech_interrupts_and_truncates_at_what_was_played(
    scripted: Site, speech: bytes, codec: Codec
) -> None:
    async with calling(scripted, SLOW, codec=codec) as caller:
        caller.write("at length")
        await caller.until("output_audio_buffer.started")
        await caller.loud(30)
        caller.microphone.say(speech)
        await caller.until("input_audio_buffer.speech_started")
        told = await caller.until("conversation.item.truncated")
        await caller.quiet()
        loud = sum(level > 0 for level in caller.heard)
        item_id = told[-1]["item_id"]
        caller.say("conversation.item.retrieve", item_id=item_id)
        retrieved = (await caller.until("conversation.item.retrieved"))[-1]
        caller.say("response.cancel")
        caller.say("output_audio_buffer.clear")
    kinds = in_order([frame["type"] for frame in told])
    assert kinds[-2:] == ["output_audio_buffer.cleared", "conversation.item.truncated"]
    assert kinds.index("response.done") < kinds.index("output_audio_buffer.cleared")
    assert of_kind(told, "response.done")[0]["response"]["status"] == "cancelled"
    # What left is what was heard, but for the frames that were in the air as it was cut.
    played_ms = told[-1]["audio_end_ms"]
    assert abs(loud * 20 - played_ms) <= 300
    content = retrieved["item"]["content"][0]
    assert content["type"] == "output_audio"
    assert not content.get("transcript")


async def test_the_client_may_cancel_and_clear(scripted: Site) -> None:
    async with calling(scripted, SLOW) as caller:
        caller.write("at length")
        await caller.until("output_audio_buffer.started")
        await caller.loud()
        caller.say("response.cancel")
        await caller.until("response.done")
        caller.say("output_audio_buffer.clear")
        told = await caller.until("conversation.item.truncated")
        await caller.quiet()
    assert of_kind(told, "output_audio_buffer.cleared")


async def test_cancelled_without_clearing_what_was_made_is_played_to_its_end(
    scripted: Site,
) -> None:
    async with calling(scripted) as caller:
        caller.write("Good day, who is there?")
        await caller.until("output_audio_buffer.started")
        await caller.until("output_audio_buffer.stopped")
        await caller.quiet()


async def test_one_answer_plays_after_the_other(scripted: Site) -> None:
    async with calling(scripted) as caller:
        caller.write("Good day, who is there?")
        await caller.until("output_audio_buffer.started")
        caller.say("response.create", response={"conversation": "none"})
        told = await caller.until("output_audio_buffer.stopped")
        told += await caller.until("output_audio_buffer.started")
        told += await caller.until("output_audio_buffer.stopped")
    playing = [frame for frame in told if frame["type"].startswith("output_audio_buffer")]
    first, second, third = (frame["response_id"] for frame in playing)
    assert first != second == third


async def test_hanging_up_ends_the_session(scripted: Site) -> None:
    async with calling(scripted) as caller:
        assert scripted.sessions == 1
    until(lambda: scripted.sessions == 0)
    assert caller.call_id.startswith("rtc_")


async def test_the_server_hangs_up_when_it_is_asked_to(scripted: Site) -> None:
    async with calling(scripted) as caller, httpx.AsyncClient() as client:
        path = f"{CALLS}/{caller.call_id}/hangup"
        refused = await client.post(scripted.url + path)
        done = await client.post(scripted.url + path, headers={"api-key": KEY})
        with anyio.fail_after(PATIENCE_S):
            await caller.gone.wait()
        await anyio.to_thread.run_sync(until, lambda: scripted.sessions == 0)
        again = await client.post(scripted.url + path, headers={"api-key": KEY})
    assert (refused.status_code, done.status_code, done.content) == (401, 200, b"")
    assert again.status_code == 404


async def test_the_session_comes_along_in_a_form(scripted: Site) -> None:
    session = {"type": "realtime", "model": "gpt-realtime-mini", "instructions": "Be kind."}
    async with calling(scripted, session=msgspec.json.encode(session)) as caller:
        created = caller.witness.frames[0]["session"]
    assert created["instructions"] == "Be kind."
    assert created["model"] == "gpt-realtime-mini"


async def test_formats_are_told_and_make_no_difference(scripted: Site, speech: bytes) -> None:
    g711 = {"format": {"type": "audio/pcmu"}}
    session = {"type": "realtime", "audio": {"input": g711, "output": g711}}
    async with calling(scripted, session=msgspec.json.encode(session)) as caller:
        created = caller.witness.frames[0]["session"]
        caller.microphone.say(speech)
        await caller.until("output_audio_buffer.started")
        await caller.loud()
        await caller.until("output_audio_buffer.stopped")
    assert created["audio"]["output"]["format"] == {"type": "audio/pcmu"}


async def test_large_events_come_whole(scripted: Site) -> None:
    instructions = "Speak slowly. " * 8000
    async with calling(scripted) as caller:
        caller.say("session.update", session={"type": "realtime", "instructions": instructions})
        updated = (await caller.until("session.updated"))[-1]
    assert updated["session"]["instructions"] == instructions


async def test_a_filtered_channel_is_told_less(scripted: Site, speech: bytes) -> None:
    path = f"{CALLS}?webrtcfilter=on"
    async with calling(scripted, path, created=False, judged=False) as caller:
        caller.microphone.say(speech)
        await caller.until("output_audio_buffer.stopped")
        caller.say("no.such.event")
        await caller.until("error")
    assert set(caller.kinds) <= {
        "error",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "output_audio_buffer.started",
        "output_audio_buffer.stopped",
        "conversation.item.input_audio_transcription.completed",
        "conversation.item.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
    }
    assert "response.output_audio_transcript.done" in caller.kinds


@pytest.mark.parametrize(
    ("path", "made_at"),
    [
        ("/v1/realtime?model=gpt-4o-realtime-preview", "/v1/realtime/sessions"),
        ("/v1/realtimertc?model=gpt-4o-realtime-preview", "/openai/realtimeapi/sessions"),
    ],
)
async def test_the_preview_addresses_speak_preview(scripted: Site, path: str, made_at: str) -> None:
    made = await secret(scripted, made_at, model="gpt-4o-realtime-preview", voice="echo")
    key = made["client_secret"]["value"]
    async with calling(
        scripted, path, key=key, dialect="preview", label="realtime-channel"
    ) as caller:
        created = caller.witness.frames[0]["session"]
        caller.write("Good day, who is there?")
        told = await caller.until("output_audio_buffer.stopped")
    assert created["voice"] == "echo"
    assert words_of(told)
    assert "response.audio_transcript.done" in caller.kinds


BAD: list[tuple[str, str, dict[str, str], int, str]] = [
    ("", "application/sdp", {}, 400, "invalid_offer"),
    ("nonsense", "application/sdp", {}, 400, "invalid_offer"),
    ('{"sdp":', "application/json", {}, 400, "not a JSON object"),
    ('{"model": "gpt-realtime"}', "application/json", {}, 400, "sdp"),
    ("v=0", "application/xml", {}, 415, "unsupported_content_type"),
    ("v=0", "application/sdp", {"Authorization": "Bearer nobody"}, 401, "invalid_api_key"),
]


@pytest.mark.parametrize(("body", "kind", "headers", "status", "holds"), BAD)
async def test_a_bad_offer_is_told_what_is_wrong_with_it(
    scripted: Site, body: str, kind: str, headers: dict[str, str], status: int, holds: str
) -> None:
    answer = await post_offer(scripted, CALLS, body, headers={"Content-Type": kind, **headers})
    assert answer.status_code == status
    assert holds in answer.text
    assert answer.json()["error"]["message"]


async def test_a_form_without_its_boundary_is_read_all_the_same(scripted: Site) -> None:
    form = '--x\r\nContent-Disposition: form-data; name="sdp"\r\n\r\nnonsense\r\n--x--\r\n'
    answer = await post_offer(
        scripted, CALLS, form, headers={"Content-Type": "multipart/form-data"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_offer")


async def test_a_call_that_transcribes_has_what_transcribes(scripted: Site) -> None:
    async with calling(scripted, session=b'{"type":"transcription"}') as caller:
        created = caller.witness.frames[0]["session"]
    assert created["type"] == "transcription"
    assert created["audio"]["input"]["transcription"]["model"]


async def test_a_call_that_cannot_be_built_leaves_its_seat_and_its_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise OpusMissing("no libopus")

    file = tmp_path / "scenario.toml"
    file.write_text('[[turn]]\nsay = "Good day."\n')
    with served(Config(api_keys=(KEY,), data_dir=tmp_path, scenario=file)) as site:
        made = await secret(site, session={"type": "realtime"}, limits={"single_use": True})
        with monkeypatch.context() as broken:
            broken.setattr("vivavoce.transports.webrtc.channel.encoder_of", missing)
            answer = await post_offer(site, CALLS, await idle_offer(), key=made["value"])
        assert answer.status_code == 503
        assert site.sessions == 0
        async with calling(site, key=made["value"]):
            pass


async def test_calls_that_never_connect_lock_nobody_out(tmp_path: Path) -> None:
    file = tmp_path / "scenario.toml"
    file.write_text('[[turn]]\nsay = "Good day."\n')
    with served(Config(api_keys=(KEY,), data_dir=tmp_path, scenario=file, drain_s=0)) as site:
        greedy = (await secret(site, session={"type": "realtime"}))["value"]
        offer = await idle_offer()
        answers = [
            (await post_offer(site, CALLS, offer, key=greedy)).status_code for _ in range(12)
        ]
        async with calling(site):
            pass
    assert answers == [201] * 8 + [429] * 4


FORM = """--x\r
Content-Disposition: form-data; name="sdp"\r
\r
{sdp}\r
--x--\r
"""


async def test_an_offer_may_come_as_json_or_in_a_form_without_a_boundary(scripted: Site) -> None:
    sdp = await idle_offer()
    session = {"type": "realtime", "instructions": "Be kind."}
    as_json = msgspec.json.encode({"sdp": sdp, "session": session}).decode()
    ways = {"application/json": as_json, "multipart/form-data": FORM.format(sdp=sdp)}
    for kind, body in ways.items():
        answer = await post_offer(scripted, CALLS, body, headers={"Content-Type": kind})
        assert answer.status_code == 201, answer.text
        assert answer.text.startswith("v=0")
        await hang_up(scripted, answer.headers["location"])


async def test_calls_are_counted_by_whether_they_connected(scripted: Site) -> None:
    def counted(connected: str) -> float:
        return scripted.metric(f'vivavoce_calls_total{{codec="opus",connected="{connected}"}}')

    yes, no = counted("yes"), counted("no")
    async with calling(scripted) as caller:
        await caller.holds(lambda: len(caller.heard) > 0)
    answer = await post_offer(scripted, CALLS, await idle_offer())
    await hang_up(scripted, answer.headers["location"])
    await anyio.to_thread.run_sync(
        until, lambda: (counted("yes"), counted("no")) == (yes + 1, no + 1)
    )


async def hang_up(site: Site, location: str) -> None:
    async with httpx.AsyncClient() as client:
        done = await client.post(f"{site.url}{location}/hangup", headers={"api-key": KEY})
    assert done.status_code == 200


async def test_a_call_without_a_data_channel_is_led_by_a_sideband(scripted: Site) -> None:
    peer, loud = RTCPeerConnection(RTCConfiguration(iceServers=[])), anyio.Event()
    tracks: list[MediaStreamTrack] = []
    peer.on("track", tracks.append)
    peer.addTrack(Microphone())

    async def listen() -> None:
        while not loud.is_set():
            frame = await tracks[0].recv()
            assert isinstance(frame, AudioFrame)
            if np.abs(frame.to_ndarray()).mean() > LOUD:
                loud.set()

    await peer.setLocalDescription(await peer.createOffer())
    answer = await post_offer(scripted, CALLS, peer.localDescription.sdp)
    call_id = answer.headers["location"].rpartition("/")[2]
    path = f"/v1/realtime?call_id={call_id}"
    async with sideband(scripted, path, transport="webrtc") as line:
        await peer.setRemoteDescription(RTCSessionDescription(sdp=answer.text, type="answer"))
        await line.write("Good day, who is there?")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await line.until("output_audio_buffer.stopped")
            with anyio.fail_after(PATIENCE_S):
                await loud.wait()
        await peer.close()


async def test_a_microphone_that_stops_ends_the_turn(scripted: Site, speech: bytes) -> None:
    """Nothing comes any more, and so nobody speaks any more."""
    async with calling(scripted) as caller:
        caller.microphone.say(speech[: -len(SECOND)])
        await caller.until("input_audio_buffer.speech_started")
        await caller.holds(lambda: caller.microphone.silent)
        caller.peer.getSenders()[0].replaceTrack(None)
        await caller.until("input_audio_buffer.speech_stopped")
        await caller.until("output_audio_buffer.stopped")
