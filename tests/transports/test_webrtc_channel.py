"""The channel of a call, over a peer that is a list of what was sent, in virtual time."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import msgspec
import pytest

from vivavoce.audio.pcm import Pcm
from vivavoce.core import commands, events
from vivavoce.core.errors import Refusal
from vivavoce.core.items import InputAudio, Message
from vivavoce.core.settings import AudioFormat
from vivavoce.core.signals import Played
from vivavoce.dialects.api import codec
from vivavoce.runtime.channel import Captured
from vivavoce.runtime.clock import Clock
from vivavoce.testing import virtual_time
from vivavoce.transports.webrtc import channel as channel_module
from vivavoce.transports.webrtc.channel import WebRtcChannel
from vivavoce.transports.webrtc.jitter import Packet
from vivavoce.transports.webrtc.offer import AudioCodec
from vivavoce.transports.webrtc.peer import PeerFailed, TooLargeForChannel

PCMU = AudioCodec("PCMU", 0, 8000)
FRAME = b"\x10\x27" * 480  # 20 ms, loud
HOUR_S = 3600


class Ether:
    """A peer without a network: keeps what is sent, and when."""

    def __init__(self, _offer: Any, _gatherer: Any, listener: WebRtcChannel) -> None:
        self.listener = listener
        self.packets: list[tuple[float, bytes, int]] = []
        self.skipped = 0
        self.texts: list[bytes] = []
        self.limit = 1 << 20
        self.closed = False
        self.fails = False
        self.over = anyio.Event()
        self.up = anyio.Event()

    async def answer(self) -> str:
        return "v=0"

    async def run(self, connect_seconds: float) -> None:
        if self.fails:
            raise PeerFailed("nobody came")
        self.up.set()
        await self.over.wait()

    async def wait_connected(self) -> None:
        await self.up.wait()

    async def send_audio(self, payload: bytes, ticks: int) -> None:
        self.packets.append((anyio.current_time(), payload, ticks))

    def skip(self, ticks: int) -> None:
        self.skipped += ticks

    async def wait_open(self) -> None:
        await self.up.wait()

    async def send_text(self, frame: bytes) -> None:
        if len(frame) > self.limit:
            raise TooLargeForChannel(len(frame), self.limit)
        self.texts.append(frame)

    async def close(self) -> None:
        self.closed = True
        self.over.set()


class Offered:
    """As much of an offer as the channel looks at."""

    codec: AudioCodec | None = PCMU


class NoNetwork:
    def gatherer(self) -> None:
        return None


Said = commands.AnyCommand | Refusal | Played | Captured


class Call:
    """A channel on the ether, and what it took in."""

    def __init__(self) -> None:
        self.channel = WebRtcChannel(Offered(), NoNetwork(), codec("ga"), Clock())  # type: ignore[arg-type]
        peer: Any = self.channel._peer
        assert isinstance(peer, Ether)
        self.ether = peer
        self.inputs: list[Said] = []

    async def read(self) -> None:
        async for said in self.channel.inputs():
            self.inputs.append(said)

    def of(self, kind: type) -> list[Any]:
        return [said for said in self.inputs if isinstance(said, kind)]


@pytest.fixture(autouse=True)
def without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "Peer", Ether)


def during(talk: Callable[[Call], Awaitable[None]]) -> Call:
    """A call that connects, in which that is done; then it is closed."""

    async def main() -> Call:
        call = Call()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.channel.run)
            tasks.start_soon(call.read)
            await talk(call)
            await call.channel.close(1000, "")
        return call

    return virtual_time.run(main)


def audio_of(*frames: bytes) -> Pcm:
    return Pcm(b"".join(frames), 24000)


def test_an_hour_of_frames_is_an_hour_long() -> None:
    async def talk(call: Call) -> None:
        await anyio.sleep(HOUR_S)

    gc.disable()
    try:
        call = during(talk)
    finally:
        gc.enable()
    began = call.ether.packets[0][0]
    worst = max(
        abs(at - began - number / 50) for number, (at, _, _) in enumerate(call.ether.packets)
    )
    assert len(call.ether.packets) in (HOUR_S * 50, HOUR_S * 50 + 1)
    assert worst < 0.001
    assert sum(ticks for _, _, ticks in call.ether.packets[: HOUR_S * 50]) == HOUR_S * 8000
    assert call.ether.skipped == 0


def test_time_that_was_slept_through_passes_on_the_track_too() -> None:
    async def talk(call: Call) -> None:
        await anyio.sleep(0.01)
        loop: Any = asyncio.get_running_loop()
        loop._selector.now += 2  # nothing ran for two seconds
        await anyio.sleep(0.1)

    call = during(talk)
    passed = sum(ticks for _, _, ticks in call.ether.packets) + call.ether.skipped
    assert call.ether.skipped >= 8000
    assert abs(passed / 8000 - 2.11) <= 0.02


def test_what_is_played_is_told_as_it_leaves() -> None:
    async def talk(call: Call) -> None:
        call.channel.play("resp_1", audio_of(*[FRAME] * 5))
        call.channel.conclude("resp_1")
        await anyio.sleep(0.2)

    call = during(talk)
    played = call.of(Played)
    assert [each.samples for each in played] == [480, 960, 1440, 1920, 2400]
    assert [each.finished for each in played] == [False] * 4 + [True]
    silent = call.ether.packets[-1][1]
    # One more holds the last millisecond, by which the resampler to 8 kHz is late.
    assert sum(payload != silent for _, payload, _ in call.ether.packets) == 6


def test_what_is_flushed_is_not_sent_and_what_comes_of_it_later_neither() -> None:
    async def talk(call: Call) -> None:
        call.channel.play("resp_1", audio_of(*[FRAME] * 50))
        await anyio.sleep(0.1)
        call.channel.flush("resp_1")
        call.channel.play("resp_1", audio_of(FRAME))
        call.channel.conclude("resp_1")
        await anyio.sleep(0.2)

    call = during(talk)
    silent = call.ether.packets[-1][1]
    loud = sum(payload != silent for _, payload, _ in call.ether.packets)
    assert 4 <= loud <= 7
    assert call.of(Played)[-1].samples <= 480 * 6
    assert not any(each.finished for each in call.of(Played))


def test_generators_wait_while_much_is_to_be_played() -> None:
    waited: list[float] = []

    async def talk(call: Call) -> None:
        call.channel.play("resp_1", audio_of(FRAME * 50 * 30))
        start = anyio.current_time()
        await call.channel.room("resp_1")
        waited.append(anyio.current_time() - start)

    during(talk)
    assert 9.9 <= waited[0] <= 10.1


def test_who_is_heard_never_waits_for_those_that_wait_behind() -> None:
    """Else neither would ever go on."""

    async def talk(call: Call) -> None:
        call.channel.play("resp_1", audio_of(FRAME))
        call.channel.play("resp_2", audio_of(FRAME * 50 * 19))
        call.channel.play("resp_3", audio_of(FRAME * 50 * 19))
        call.channel.play("resp_4", audio_of(FRAME * 50 * 30))
        await anyio.sleep(1)  # the first has run dry, and there is more of it to come
        with anyio.fail_after(1):
            await call.channel.room("resp_1")
        with anyio.move_on_after(60) as waited:
            await call.channel.room("resp_2")
        assert waited.cancelled_caught
        call.channel.conclude("resp_1")
        call.channel.conclude("resp_2")
        call.channel.conclude("resp_3")
        with anyio.fail_after(60):
            await call.channel.room("resp_4")

    during(talk)


def test_who_waits_for_room_goes_on_when_the_call_ends() -> None:
    async def talk(call: Call) -> None:
        call.channel.play("resp_1", audio_of(FRAME * 50 * 30))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call.channel.room, "resp_1")
            tasks.start_soon(call.channel.room, "resp_1")
            await anyio.sleep(0.1)
            await call.channel.close(1000, "")

    during(talk)


def test_what_arrives_is_heard_in_order_and_at_the_session_s_rate() -> None:
    async def talk(call: Call) -> None:
        await anyio.sleep(0.01)
        for number in (0, 2, 1, 3):
            call.channel.heard(Packet(number, 160 * number, bytes(160)), 0)
        call.channel.heard(Packet(4, 640, bytes(160)), 13)  # comfort noise: of another type
        await anyio.sleep(0.05)

    call = during(talk)
    captured = call.of(Captured)
    assert {each.pcm.rate_hz for each in captured} == {24000}
    assert sum(each.pcm.count for each in captured) == 4 * 480
    assert call.channel.report.packets["received"] == 4


def test_messages_are_commands_or_refused() -> None:
    async def talk(call: Call) -> None:
        call.channel.read('{"type":"input_audio_buffer.clear"}')
        call.channel.read(b'{"type":"response.cancel"}')
        call.channel.read("nonsense")
        await anyio.sleep(0.01)

    call = during(talk)
    assert [type(each) for each in call.inputs] == [
        commands.ClearAudio,
        commands.CancelResponse,
        Refusal,
    ]


def test_of_an_item_too_large_for_the_channel_the_audio_is_left_away() -> None:
    item = Message("item_1", "user", (InputAudio(2000, 24000),))
    retrieved = events.ItemRetrieved(
        event_id="event_1",
        item=item,
        audio=(events.RetrievedAudio(0, bytes(4000), AudioFormat()),),
    )

    async def talk(call: Call) -> None:
        call.ether.limit = 2000
        await call.channel.send(retrieved)

    call = during(talk)
    (sent,) = call.ether.texts
    assert msgspec.json.decode(sent)["item"]["id"] == "item_1"


def test_an_event_too_large_for_the_channel_is_told_of() -> None:
    words = events.TextDone(
        event_id="event_1",
        response_id="resp_1",
        item_id="item_1",
        output_index=0,
        content_index=0,
        text="so much " * 500,
    )

    async def talk(call: Call) -> None:
        call.ether.limit = 2000
        await call.channel.send(words)

    (sent,) = during(talk).ether.texts
    assert msgspec.json.decode(sent)["error"]["code"] == "event_too_large"


def test_a_flood_of_messages_ends_the_call() -> None:
    async def main() -> Call:
        call = Call()
        for _ in range(3000):
            call.channel.read('{"type":"input_audio_buffer.clear"}')
        await call.read()
        return call

    call = virtual_time.run(main)
    assert len(call.inputs) == 2048
    assert call.channel.closed_with == (1008, "the caller sends more than is taken")


def test_a_call_that_never_connects_is_over() -> None:
    async def main() -> Call:
        call = Call()
        call.ether.fails = True
        await call.channel.run()
        await call.read()
        return call

    call = virtual_time.run(main)
    assert not call.channel.report.connected
    assert call.inputs == []


def test_closing_twice_keeps_the_first_reason() -> None:
    async def talk(call: Call) -> None:
        await call.channel.close(1001, "time is up")

    call = during(talk)
    assert call.channel.closed_with == (1001, "time is up")
    assert call.ether.closed
