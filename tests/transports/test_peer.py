"""A peer connection, with aiortc's own at the other end and the machine's own addresses between."""

import asyncio
import fractions
import gc
import inspect
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aioice.ice
import anyio
import pytest
from aiortc import (
    MediaStreamTrack,
    RTCCertificate,
    RTCConfiguration,
    RTCDataChannel,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceTransport,
    RTCPeerConnection,
    RTCSctpTransport,
    RTCSessionDescription,
)
from aiortc.rtcdtlstransport import RtpReceiver
from aiortc.rtcsctptransport import (
    RECONFIG_RESULT_SUCCESS_PERFORMED,
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    SCTP_DATA_UNORDERED,
    DataChunk,
    InboundStream,
    InitChunk,
    SackChunk,
    StreamResetResponseParam,
    tsn_plus_one,
)
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    RtpPacket,
)
from anyio.lowlevel import checkpoint
from av import AudioFrame

from vivavoce.transports.webrtc import peer as peer_module
from vivavoce.transports.webrtc import stack
from vivavoce.transports.webrtc.jitter import Packet
from vivavoce.transports.webrtc.offer import Offer, read_offer
from vivavoce.transports.webrtc.peer import PLENTY_BYTES, Peer, PeerFailed, TooLargeForChannel
from vivavoce.transports.webrtc.rtp import NTP_BEFORE_UNIX

pytestmark = pytest.mark.anyio

LOUD = 32124  # what G.711 makes of the byte 0x80
PATIENCE_S = 20


class Heard:
    """What a peer said, and waiting for more of it."""

    def __init__(self) -> None:
        self.packets: list[tuple[Packet, int]] = []
        self.frames: list[str | bytes] = []
        self._news = anyio.Event()

    def heard(self, packet: Packet, payload_type: int) -> None:
        self.packets.append((packet, payload_type))
        self._news.set()

    def read(self, frame: str | bytes) -> None:
        self.frames.append(frame)
        self._news.set()

    async def until(self, enough: Callable[[], bool]) -> None:
        with anyio.fail_after(PATIENCE_S):
            while not enough():
                self._news = anyio.Event()
                await self._news.wait()


class Tone(MediaStreamTrack):
    """A track that says so many frames, as fast as they are taken, and then nothing more."""

    kind = "audio"

    def __init__(self, frames: int) -> None:
        super().__init__()
        self._left = frames
        self._time = 0

    async def recv(self) -> AudioFrame:
        if not self._left:
            await anyio.sleep_forever()
        self._left -= 1
        frame = AudioFrame(format="s16", layout="mono", samples=160)
        frame.planes[0].update(struct.pack("160h", *[LOUD] * 160))
        frame.sample_rate, frame.pts = 8000, self._time
        frame.time_base = fractions.Fraction(1, 8000)
        self._time += 160
        return frame


class Caller:
    """The other end. It is asked for audio and a data channel, or one of them."""

    def __init__(
        self,
        *,
        audio: bool = True,
        data: bool = True,
        tone: Tone | None = None,
        negotiated: bool = False,
    ) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.tracks: list[MediaStreamTrack] = []
        self.heard = Heard()
        self.closed = anyio.Event()
        self.channel: RTCDataChannel | None = None
        self.opened = anyio.Event()
        self.connection.on("track", self.tracks.append)
        if tone is not None:
            self.connection.addTrack(tone)
        elif audio:
            self.connection.addTransceiver("audio")
        if data:
            self.channel = self.connection.createDataChannel(
                "oai-events", negotiated=negotiated, id=6 if negotiated else None
            )
            self.channel.on("message", self.heard.read)
            self.channel.on("open", self.opened.set)
            self.channel.on("close", self.closed.set)

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def accept(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def say(self, frame: str | bytes) -> None:
        assert self.channel is not None
        with anyio.fail_after(PATIENCE_S):
            await self.opened.wait()
        self.channel.send(frame)

    async def first_frames(self, count: int) -> list[bytes]:
        """The first audio that arrives."""
        with anyio.fail_after(PATIENCE_S):
            frames = [await self.tracks[0].recv() for _ in range(count)]
        return [bytes(frame.planes[0]) for frame in frames if isinstance(frame, AudioFrame)]

    @property
    def sctp(self) -> RTCSctpTransport:
        assert self.connection.sctp is not None
        return self.connection.sctp

    @property
    def dtls(self) -> RTCDtlsTransport:
        if self.channel is not None:
            return self.sctp.transport
        return self.connection.getTransceivers()[0].receiver.transport


def gatherer() -> RTCIceGatherer:
    return RTCIceGatherer(iceServers=[])


class Call:
    """Both ends of a call, and how the peer's `run` ended."""

    def __init__(self, caller: Caller, peer: Peer, heard: Heard) -> None:
        self.caller = caller
        self.peer = peer
        self.heard = heard
        self.over = anyio.Event()
        self.fault: Exception | None = None

    async def run(self) -> None:
        try:
            await self.peer.run(PATIENCE_S)
        except (PeerFailed, ValueError) as fault:
            self.fault = fault
        self.over.set()

    async def ended(self) -> None:
        with anyio.fail_after(PATIENCE_S):
            await self.over.wait()


def as_it_is(text: str) -> str:
    return text


@asynccontextmanager
async def calling(
    caller: Caller, rewrite: Callable[[str], str] = as_it_is, heard: Heard | None = None
) -> AsyncIterator[Call]:
    """A call that has connected."""
    heard = heard or Heard()
    peer = Peer(read_offer(rewrite(await caller.offer())), gatherer(), heard)
    call = Call(caller, peer, heard)
    try:
        async with anyio.create_task_group() as tasks:
            await caller.accept(await peer.answer())
            tasks.start_soon(call.run)
            with anyio.fail_after(PATIENCE_S):
                await peer.wait_connected()
                if caller.channel is not None:
                    await caller.opened.wait()
            yield call
            await peer.close()
    finally:
        await caller.connection.close()


async def orphan() -> Offer:
    """The offer of a caller who is gone."""
    caller = Caller()
    text = await caller.offer()
    await caller.connection.close()
    return read_offer(text)


def only_pcmu(text: str) -> str:
    return text.replace("UDP/TLS/RTP/SAVPF 96 9 0 8", "UDP/TLS/RTP/SAVPF 0")


async def test_messages_go_both_ways_whole_whatever_their_length() -> None:
    async with calling(Caller()) as call:
        long = "ü" * 100_000
        for frame in ("", "{}", long, b"\x00\x01"):
            await call.caller.say(frame)
        for frame in ("", "{}", long):
            await call.peer.send_text(frame.encode())

        await call.heard.until(lambda: len(call.heard.frames) == 4)
        await call.caller.heard.until(lambda: len(call.caller.heard.frames) == 3)

    assert call.heard.frames == ["", "{}", long, b"\x00\x01"]
    assert call.caller.heard.frames == ["", "{}", long]


async def test_audio_goes_both_ways_packet_by_packet() -> None:
    async with calling(Caller(tone=Tone(20)), only_pcmu) as call:
        await call.heard.until(lambda: len(call.heard.packets) == 20)
        for _ in range(12):
            await call.peer.send_audio(b"\x80" * 160, 160)
        frames = await call.caller.first_frames(3)

    packets = [packet for packet, _ in call.heard.packets]
    assert {payload_type for _, payload_type in call.heard.packets} == {0}
    assert {packet.payload for packet in packets} == {b"\x80" * 160}
    assert [(packet.sequence - packets[0].sequence) % 65536 for packet in packets] == [*range(20)]
    assert {frame[:320] for frame in frames} == {struct.pack("160h", *[LOUD] * 160)}


async def test_opus_payloads_pass_as_they_are() -> None:
    async with calling(Caller(tone=Tone(4)), as_it_is) as call:
        tapped = tap(call.caller)
        for payload in (b"\xfc\xff\xfe", b"\xf8one", b"\xf8two"):
            await call.peer.send_audio(payload, 960)
        await tapped.until(lambda: len(tapped.packets) == 3)
        await call.heard.until(lambda: len(call.heard.packets) >= 3)

    sent = [packet for packet, _ in tapped.packets]
    assert [packet.payload for packet in sent] == [b"\xfc\xff\xfe", b"\xf8one", b"\xf8two"]
    assert {(packet.timestamp - sent[0].timestamp) % (1 << 32) for packet in sent} == {0, 960, 1920}
    assert {payload_type for _, payload_type in call.heard.packets} == {96}


def tap(caller: Caller) -> Heard:
    """What packets arrive at the caller."""
    heard = Heard()

    async def hear(packet: RtpPacket, arrival_time_ms: int) -> None:
        audio = Packet(packet.sequence_number, packet.timestamp, packet.payload)
        heard.heard(audio, packet.payload_type | packet.marker << 7)

    receiver: Any = caller.connection.getReceivers()[0]
    receiver._handle_rtp_packet = hear
    return heard


async def test_the_first_packet_after_a_pause_is_marked() -> None:
    async with calling(Caller(), only_pcmu) as call:
        tapped = tap(call.caller)
        await call.peer.send_audio(b"a", 160)
        await call.peer.send_audio(b"b", 160)
        call.peer.skip(800)
        await call.peer.send_audio(b"c", 160)
        await tapped.until(lambda: len(tapped.packets) == 3)

    first, second, third = (packet for packet, _ in tapped.packets)
    assert [marked >> 7 for _, marked in tapped.packets] == [1, 0, 1]
    assert (third.timestamp - second.timestamp) % (1 << 32) == 960
    assert third.sequence == first.sequence + 2


async def test_audio_alone_makes_a_call_which_the_caller_ends() -> None:
    async with calling(Caller(data=False)) as call:
        await call.peer.send_text(b"there is nowhere to put this")
        await call.caller.connection.close()
        await call.ended()

    assert call.fault is None


async def test_a_data_channel_alone_makes_a_call() -> None:
    async with calling(Caller(audio=False)) as call:
        await call.peer.send_audio(b"there is nowhere to play this", 960)
        call.peer.skip(960)
        await call.caller.say("hello")
        await call.heard.until(lambda: call.heard.frames == ["hello"])


async def test_a_caller_without_candidates_is_found_by_its_own_checks() -> None:
    def without_candidates(text: str) -> str:
        return "".join(line for line in text.splitlines(True) if "candidate" not in line)

    async with calling(Caller(), without_candidates) as call:
        assert call.peer.connected


async def test_a_caller_that_begins_the_handshake_itself_is_waited_for() -> None:
    async with calling(Caller(), lambda text: text.replace("actpass", "active")) as call:
        await call.peer.send_text(b"hello")
        await call.caller.heard.until(lambda: call.caller.heard.frames == ["hello"])


async def test_a_caller_with_another_certificate_than_it_offered_is_refused() -> None:
    caller = Caller()
    text = await caller.offer()
    wrong = text.replace("a=fingerprint:sha-256 ", "a=fingerprint:sha-256 00:")
    digest = wrong.split("sha-256 ")[1].split()[0]
    other = wrong.replace(digest, ":".join(digest.split(":")[:32]))
    other = "".join(line for line in other.splitlines(True) if "sha-384" not in line)
    other = "".join(line for line in other.splitlines(True) if "sha-512" not in line)
    peer = Peer(read_offer(other), gatherer(), Heard())
    await caller.accept(await peer.answer())

    with pytest.raises(PeerFailed, match="certificate is not the one"):
        await peer.run(PATIENCE_S)

    await caller.connection.close()


async def test_only_the_first_data_channel_is_listened_to() -> None:
    async with calling(Caller()) as call:
        other = call.caller.connection.createDataChannel("another")
        open_too = anyio.Event()
        other.on("open", open_too.set)
        with anyio.fail_after(PATIENCE_S):
            await open_too.wait()
        other.send("not this")
        await call.caller.say("this")
        await call.heard.until(lambda: bool(call.heard.frames))

        other.close()
        await call.caller.say("and this")
        await call.heard.until(lambda: len(call.heard.frames) == 2)

    assert call.heard.frames == ["this", "and this"]


async def test_closing_the_channel_ends_the_call() -> None:
    async with calling(Caller()) as call:
        assert call.caller.channel is not None
        call.caller.channel.close()
        await call.ended()

    assert call.fault is None


async def test_closing_the_connection_ends_the_call() -> None:
    async with calling(Caller()) as call:
        await call.caller.connection.close()
        await call.ended()

    assert not call.peer.connected


async def test_an_association_that_the_caller_gives_up_ends_the_call() -> None:
    async with calling(Caller(negotiated=True)) as call:  # no channel of it is known to us
        await call.caller.sctp.stop()
        await call.ended()


async def test_a_caller_who_falls_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.02)
    monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 2)
    async with calling(Caller()) as call:
        await call.caller.dtls.transport.stop()
        await call.ended()

    assert call.fault is None


async def test_what_was_sent_arrives_before_we_hang_up_and_then_the_channel_is_closed() -> None:
    async with calling(Caller()) as call:
        sctp: Any = call.caller.sctp
        answer: Callable[[object], Awaitable[None]] = sctp._send_reconfig_param
        results = []

        async def watched(parameter: object) -> None:
            if isinstance(parameter, StreamResetResponseParam):
                results.append(parameter.result)
            await answer(parameter)

        sctp._send_reconfig_param = watched
        for _ in range(3):
            await call.peer.send_text(b"x" * 200_000)
        await call.peer.close()
        await call.ended()
        with anyio.fail_after(PATIENCE_S):
            await call.caller.closed.wait()

    assert [len(frame) for frame in call.caller.heard.frames] == [200_000] * 3
    assert results == [RECONFIG_RESULT_SUCCESS_PERFORMED]  # at once, without a second try


async def test_hanging_up_says_goodbye_on_the_audio_track() -> None:
    async with calling(Caller(data=False), only_pcmu) as call:
        heard: list[object] = []
        receiver: Any = call.caller.connection.getReceivers()[0]
        came = anyio.Event()

        async def told(packet: object) -> None:
            if isinstance(packet, RtcpByePacket):
                heard.append(packet)
                came.set()

        receiver._handle_rtcp_packet = told
        await call.peer.close()
        with anyio.fail_after(PATIENCE_S):
            await came.wait()

    assert heard


async def test_hanging_up_closes_the_callers_connection() -> None:
    async with calling(Caller(data=False)) as call:
        gone = anyio.Event()
        call.caller.connection.on("connectionstatechange", gone.set)
        await call.peer.close()
        with anyio.fail_after(PATIENCE_S):
            await gone.wait()

    assert call.caller.connection.connectionState == "closed"


async def test_hanging_up_does_not_wait_long_for_a_caller_who_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(peer_module, "PARTING_S", 0.05)
    async with calling(Caller()) as call:
        deaf: Any = call.caller.sctp
        deaf._handle_data = ignored
        await call.peer.send_text(b"x" * 100_000)
        await call.peer.close()
        await call.ended()
        association = call.peer._stack._sctp
        assert association is not None
        assert association._sent_queue

        association._t3_expired()  # as if it had been under way
        await checkpoint()
        await checkpoint()

        assert association._t3_handle is None


async def ignored(data: bytes) -> None:
    """What arrives is lost."""


async def test_nothing_is_sent_after_the_end_and_nobody_waits_for_it() -> None:
    async with calling(Caller()) as call:
        await call.peer.close()
        with anyio.fail_after(PATIENCE_S):
            await call.peer.send_text(b"too late")
            await call.peer.send_audio(b"too late", 960)

    assert call.caller.heard.frames == []


async def test_a_message_longer_than_the_caller_takes_is_not_sent() -> None:
    limit = "a=max-message-size:65536"
    async with calling(
        Caller(), lambda text: text.replace("a=max-message-size:262144", limit)
    ) as call:
        with pytest.raises(TooLargeForChannel) as refused:
            await call.peer.send_text(b"x" * 262_145)
        await call.peer.send_text(b"x" * 262_144)
        await call.caller.heard.until(lambda: bool(call.caller.heard.frames))

    assert refused.value.limit_bytes == 262_144
    assert [len(frame) for frame in call.caller.heard.frames] == [262_144]


async def test_a_sender_waits_while_the_caller_takes_nothing() -> None:
    async with calling(Caller()) as call:
        told = 0
        sctp: Any = call.caller.sctp
        take: Callable[[bytes], Awaitable[None]] = sctp._handle_data
        pending: list[bytes] = []

        async def put_aside(data: bytes) -> None:
            pending.append(data)

        async def tell() -> None:
            nonlocal told
            for _ in range(20):
                await call.peer.send_text(b"x" * 200_000)
                told += 1

        sctp._handle_data = put_aside
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tell)
            await anyio.wait_all_tasks_blocked()
            waiting = told
            sctp._handle_data = take
            for data in pending:
                await take(data)
            await call.caller.heard.until(lambda: len(call.caller.heard.frames) == 20)

    assert PLENTY_BYTES // 200_000 <= waiting <= PLENTY_BYTES // 200_000 + 3


async def test_a_sender_that_waits_is_let_go_when_the_call_ends() -> None:
    peer = Peer(await orphan(), gatherer(), Heard())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.send_text, b"hello")
        await anyio.wait_all_tasks_blocked()
        await peer.close()


async def test_a_fault_of_whoever_listens_is_raised_and_ends_the_call() -> None:
    class Broken(Heard):
        def read(self, frame: str | bytes) -> None:
            raise ValueError("a bug of ours")

    async with calling(Caller(), heard=Broken()) as call:
        await call.caller.say("hello")
        await call.ended()

    assert str(call.fault) == "a bug of ours"


async def test_a_fault_of_whoever_hears_is_raised_as_well() -> None:
    class Broken(Heard):
        def heard(self, packet: Packet, payload_type: int) -> None:
            raise ValueError("a bug of ours")

    async with calling(Caller(data=False, tone=Tone(20)), only_pcmu, Broken()) as call:
        await call.ended()

    assert str(call.fault) == "a bug of ours"


async def test_a_source_that_says_goodbye_is_not_heard_any_more() -> None:
    async with calling(Caller(tone=Tone(10)), only_pcmu) as call:
        await call.heard.until(lambda: len(call.heard.packets) == 10)
        sender = call.caller.connection.getSenders()[0]
        await sender.stop()
        following = call.heard.packets[-1][0].sequence + 1
        await call.caller.dtls._send_rtp(rtp(sender._ssrc, following, b"\x80"))
        await call.caller.dtls._send_rtp(rtp(sender._ssrc + 1, 1000, b"\x81"))
        await call.heard.until(lambda: len(call.heard.packets) > 10)

    assert [packet.payload for packet, _ in call.heard.packets[10:]] == [b"\x81"]


def rtp(ssrc: int, sequence: int, payload: bytes) -> bytes:
    return RtpPacket(
        sequence_number=sequence, timestamp=0, ssrc=ssrc % (1 << 32), payload=payload
    ).serialize()


async def test_a_caller_who_only_listens_is_not_heard() -> None:
    async with calling(
        Caller(tone=Tone(10)), lambda text: only_pcmu(text).replace("a=sendrecv", "a=recvonly")
    ) as call:
        await call.caller.dtls._send_rtp(rtp(1, 1, b"\x80"))
        await call.caller.say("what is sent behind it has come")
        await call.heard.until(lambda: bool(call.heard.frames))

    assert call.heard.packets == []


async def test_reports_say_what_was_sent_and_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "REPORT_S", 0.01)
    came = anyio.Event()
    reports: list[RtcpSrPacket] = []

    async def told(packet: object) -> None:
        if isinstance(packet, RtcpSrPacket) and packet.reports and packet.reports[0].lsr:
            reports.append(packet)
            came.set()

    async with calling(Caller(tone=Tone(20)), only_pcmu) as call:
        receiver: Any = call.caller.connection.getReceivers()[0]
        tapped = tap(call.caller)
        await call.peer.send_audio(b"four", 160)
        await call.heard.until(lambda: len(call.heard.packets) == 20)
        await tapped.until(lambda: bool(tapped.packets))
        receiver._handle_rtcp_packet = told
        source = call.caller.connection.getSenders()[0]._ssrc
        account = RtcpSenderInfo(0x1234_5678_0000, 0, 0, 0)
        await call.caller.dtls._send_rtp(bytes(RtcpSrPacket(source, account)))
        with anyio.fail_after(PATIENCE_S):
            await came.wait()

    sent, heard = reports[0].sender_info, reports[0].reports[0]
    assert (sent.packet_count, sent.octet_count) == (1, 4)
    assert (
        0 <= (sent.rtp_timestamp - tapped.packets[0][0].timestamp) % (1 << 32) < 8000 * PATIENCE_S
    )
    assert sent.ntp_timestamp >> 32 > NTP_BEFORE_UNIX
    assert (heard.ssrc, heard.packets_lost, heard.lsr) == (source, 0, 0x1234_5678)
    assert heard.highest_sequence == call.heard.packets[-1][0].sequence


# The end, at every stage


async def test_a_caller_who_never_connects_is_given_up_in_time() -> None:
    peer = Peer(await orphan(), gatherer(), Heard())
    await peer.answer()

    with pytest.raises(PeerFailed, match=r"did not connect within 0\.1 seconds"):
        await peer.run(0.1)

    assert not peer.connected


async def test_a_caller_who_never_finishes_the_handshake_is_given_up_in_time() -> None:
    caller = Caller(data=False)
    peer = Peer(read_offer(await caller.offer()), gatherer(), Heard())
    dtls: Any = caller.dtls

    async def never(parameters: object) -> None:
        await anyio.sleep_forever()

    dtls.start = never
    await caller.accept(await peer.answer())

    with pytest.raises(PeerFailed, match="did not connect"):
        await peer.run(0.5)

    await caller.connection.close()


@pytest.mark.parametrize("stage", ["made", "answered", "begun", "twice", "at once", "run after"])
async def test_closing_ends_a_call_at_any_stage(stage: str) -> None:
    peer = Peer(await orphan(), gatherer(), Heard())
    with anyio.move_on_after(PATIENCE_S) as patience:
        async with anyio.create_task_group() as tasks:
            if stage != "made":
                await peer.answer()
            if stage == "begun":
                tasks.start_soon(peer.run, 3600)
                await anyio.wait_all_tasks_blocked()
            if stage == "at once":
                tasks.start_soon(peer.run, 3600)
                tasks.start_soon(peer.close)
            await peer.close()
            if stage == "twice":
                await peer.close()
            if stage == "run after":
                await peer.run()

    assert not patience.cancel_called
    assert not peer.connected
    with pytest.raises(PeerFailed, match="closed before it was answered"):
        await peer.answer()


async def test_a_stack_that_fails_at_once_can_be_stopped_at_once() -> None:
    peer = Peer(await orphan(), gatherer(), Heard())  # nothing was gathered
    trouble = await peer._stack.connect()
    await peer._stack.stop()

    assert trouble is not None
    assert "ICE failed" in trouble


async def test_we_lead_where_the_caller_is_too_light_to() -> None:
    text = "a=ice-lite\nm=audio"
    caller = Caller(data=False)
    offer = await caller.offer()
    await caller.connection.close()
    light, full = (
        Peer(read_offer(each), gatherer(), Heard())
        for each in (offer.replace("m=audio", text), offer)
    )

    assert light._stack._ice.role == "controlling"
    assert full._stack._ice.role == "controlled"
    await light.close()
    await full.close()


async def test_closing_in_the_midst_of_gathering_leaves_no_socket() -> None:
    begun = anyio.Event()

    class Watched(RTCIceGatherer):
        async def gather(self) -> None:
            begun.set()
            await super().gather()

    offer = await orphan()
    before = sockets()
    peer = Peer(offer, Watched(iceServers=[]), Heard())
    with pytest.RaisesGroup(PeerFailed):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(peer.answer)
            await begun.wait()
            await peer.close()

    assert sockets() == before


async def test_giving_up_in_the_midst_of_gathering_lets_that_come_to_its_end() -> None:
    begun, done = anyio.Event(), anyio.Event()

    class Watched(RTCIceGatherer):
        async def gather(self) -> None:
            begun.set()
            await super().gather()
            done.set()

    peer = Peer(await orphan(), Watched(iceServers=[]), Heard())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.answer)
        await begun.wait()
        tasks.cancel_scope.cancel()
    await peer.close()

    assert done.is_set()


async def test_nothing_is_stopped_while_it_still_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    begun = anyio.Event()
    peer = Peer(await orphan(), gatherer(), Heard())
    stop = peer._stack.stop

    async def connect() -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                for _ in range(10):
                    await checkpoint()
            happened.append("given up")

    async def watched() -> None:
        happened.append("stopped")
        await stop()

    monkeypatch.setattr(peer._stack, "connect", connect)
    monkeypatch.setattr(peer._stack, "stop", watched)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(peer.run, 3600)
        await begun.wait()
        await peer.close()

    assert happened == ["given up", "stopped"]


def sockets() -> int:
    return len(os.listdir("/proc/self/fd"))


def others() -> set["asyncio.Task[Any]"]:
    return asyncio.all_tasks()


async def test_nothing_is_left_of_calls_that_were_given_up_half_way() -> None:
    offer = await orphan()
    before, tasks_before = sockets(), others()

    async def give_up(number: int) -> None:
        peer = Peer(offer, gatherer(), Heard())
        if number % 4:
            await peer.answer()
        if number % 4 == 3:
            with anyio.move_on_after(0.05):
                await peer.run()
        if number % 4 == 2:
            with pytest.raises(PeerFailed):
                await peer.run(0.05)
        await peer.close()

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(give_up, number)

    assert sockets() == before
    assert others() == tasks_before


@pytest.mark.parametrize("who", ["we", "they"])
async def test_nothing_is_left_of_a_call_that_was_held(who: str) -> None:
    before, tasks_before = sockets(), others()
    async with calling(Caller(tone=Tone(20)), only_pcmu) as call:
        await call.caller.say("x" * 100_000)
        await call.peer.send_text(b"x" * 100_000)
        if who == "they":
            await call.caller.connection.close()
            await call.ended()

    assert sockets() == before
    assert others() == tasks_before


# Callers that break the rules


async def test_a_caller_that_ends_no_message_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "WINDOW_BYTES", 20_000)
    monkeypatch.setattr(stack, "OVERSHOOT_BYTES", 5_000)
    async with calling(Caller()) as call:
        await pieces(call.caller.sctp, 40, b"x" * 1000)
        await call.ended()


async def test_a_caller_that_sends_crumbs_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "MAX_PIECES", 50)
    async with calling(Caller()) as call:
        await pieces(call.caller.sctp, 60, b"x")
        await call.ended()


async def test_a_caller_that_uses_countless_streams_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stack, "MAX_STREAMS", 20)
    async with calling(Caller()) as call:
        await pieces(call.caller.sctp, 30, b"x", streams=30)
        await call.ended()


async def pieces(sctp: RTCSctpTransport, count: int, data: bytes, streams: int = 1) -> None:
    """Send the beginnings of messages that never end."""
    for number in range(count):
        chunk = DataChunk(flags=SCTP_DATA_FIRST_FRAG)
        chunk.tsn, sctp._local_tsn = sctp._local_tsn, tsn_plus_one(sctp._local_tsn)
        chunk.stream_id, chunk.protocol, chunk.user_data = 100 + number % streams, 51, data
        await sctp._send_chunk(chunk)


async def test_a_chunk_that_cannot_be_read_ends_the_call_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with calling(Caller()) as call:
        sctp, channel = call.caller.sctp, call.caller.channel
        assert channel is not None
        chunk = DataChunk(flags=SCTP_DATA_FIRST_FRAG | SCTP_DATA_LAST_FRAG | SCTP_DATA_UNORDERED)
        chunk.tsn, chunk.stream_id, chunk.protocol = sctp._local_tsn, channel.id or 0, 51
        chunk.user_data = b"\xff is not UTF-8"
        await sctp._send_chunk(chunk)
        await call.ended()

    assert call.fault is None
    assert [record for record in caplog.records if record.name.startswith("aiortc")] == []


async def test_a_report_that_cannot_be_read_ends_the_call_and_leaves_no_complaint(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with calling(Caller(data=False)) as call:
        # An estimate for more sources than it names, on which aiortc's router stumbles.
        estimate = RtcpPsfbPacket(RTCP_PSFB_APP, 1, 0, b"REMB\xff\x00\x00\x00")
        await call.caller.dtls._send_rtp(bytes(estimate))
        await call.ended()
    gc.collect()

    assert call.fault is None
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_acknowledging_what_was_never_sent_is_not_counted_through() -> None:
    async with calling(Caller()) as call:
        sack = SackChunk()
        sack.cumulative_tsn = tsn_plus_one(call.caller.sctp._last_received_tsn or 0)
        sack.advertised_rwnd = 100_000
        sack.gaps = [(1, 65_535)] * 200
        association = call.peer._stack._sctp
        assert association is not None

        await association._receive_sack_chunk(sack)
        await call.peer.send_text(b"the call goes on")
        await call.caller.heard.until(lambda: bool(call.caller.heard.frames))

        assert association._last_sacked_tsn != sack.cumulative_tsn


async def test_a_caller_with_countless_sources_is_heard_from_the_first_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stack, "MAX_SOURCES", 8)
    async with calling(Caller(), only_pcmu) as call:
        for number in range(20):
            await call.caller.dtls._send_rtp(rtp(number, 1, b"\x80"))
        await call.caller.dtls._send_rtp(rtp(3, 2, b"\x81"))
        await call.heard.until(lambda: call.heard.packets[-1:] != [])
        await call.caller.say("what is sent behind it has come")
        await call.heard.until(lambda: bool(call.heard.frames))
        router = call.peer._stack._dtls._rtp_router

        assert len(router.ssrc_table) == 8
        assert call.heard.packets[-1][0].payload == b"\x81"
        assert len(call.heard.packets) == 9


async def test_a_long_message_is_put_together_in_time_that_grows_with_its_length() -> None:
    looked_at = 0

    class Counted(list[DataChunk]):
        def __getitem__(self, place: Any) -> Any:
            nonlocal looked_at
            looked_at += 1
            return super().__getitem__(place)

    stream = stack.Reassembly()
    stream.reassembly = Counted()
    found = []
    for number in range(1000):
        chunk = DataChunk(flags=(number == 0) * 2 + (number == 999))
        chunk.tsn, chunk.user_data = number, b"x"
        stream.add_chunk(chunk)
        found += list(stream.pop_messages())

    assert [message for _, _, message in found] == [b"x" * 1000]
    assert looked_at < 5000


async def test_pieces_that_the_sender_gave_up_are_forgotten_with_their_end() -> None:
    stream = stack.Reassembly()
    for number, flags in ((1, 0), (2, 1)):
        chunk = DataChunk(flags=flags)
        chunk.tsn, chunk.user_data = number, b"xx"
        stream.add_chunk(chunk)

    assert stream.prune_chunks(2) == 4
    assert stream.reassembly == []
    assert stream._ends == 0


# What of aiortc is used that it does not promise


async def test_everything_private_that_is_used_of_aiortc_is_there_still() -> None:
    ice = RTCIceTransport(gatherer())
    dtls = RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()])
    sctp = RTCSctpTransport(dtls)

    assert hasattr(ice, "_connection")
    assert ice._connection.ice_controlling is False
    assert {"_set_role", "_send_rtp", "_rx_srtp", "_register_rtp_receiver"} <= names(dtls)
    assert {
        "_advertised_rwnd",
        "_association_state",
        "_data_channel_queue",
        "_get_inbound_stream",
        "_handle_data",
        "_inbound_streams",
        "_local_tsn",
        "_outbound_queue",
        "_receive_sack_chunk",
        "_sack_misordered",
        "_send_chunk",
        "_sent_queue",
        "_set_state",
        "_t3_cancel",
        "_transmit",
    } <= names(sctp)
    assert {"reassembly", "add_chunk", "pop_messages", "prune_chunks"} <= names(InboundStream())
    assert sctp._advertised_rwnd == 1024 * 1024
    await sctp.stop()
    await ice.stop()


def names(thing: object) -> set[str]:
    return set(dir(thing))


@pytest.mark.parametrize(
    "name", ["_handle_rtp_packet", "_handle_rtcp_packet", "_handle_disconnect"]
)
def test_what_aiortc_calls_of_a_receiver_is_called_so_still(name: str) -> None:
    asked = inspect.signature(getattr(RtpReceiver, name))

    assert inspect.signature(getattr(stack.Tap, name)).parameters.keys() == asked.parameters.keys()


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, value in vars(stack.Association).items()
        if inspect.isfunction(value) and hasattr(RTCSctpTransport, name) and name != "__init__"
    ],
)
def test_what_is_overridden_has_the_same_parameters_still(name: str) -> None:
    theirs = inspect.signature(getattr(RTCSctpTransport, name)).parameters
    ours = inspect.signature(getattr(stack.Association, name)).parameters

    assert [*ours] == [*theirs]


async def test_the_window_is_told_to_the_caller() -> None:
    ice = RTCIceTransport(gatherer())
    dtls = RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()])
    sent: list[object] = []

    class Watched(stack.Association):
        async def _send_chunk(self, chunk: Any) -> None:
            sent.append(chunk)

    association = Watched(dtls, Peer(await orphan(), gatherer(), Heard()))
    await association.start(None, 5000)

    (begin,) = sent
    assert isinstance(begin, InitChunk)
    assert begin.advertised_rwnd == stack.WINDOW_BYTES
    await association.stop()
