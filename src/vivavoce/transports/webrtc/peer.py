"""A peer connection: audio packets both ways, messages both ways, and when it is over."""

import random
import time
from typing import Protocol

import anyio
from aiortc import RTCDataChannel, RTCIceGatherer
from aiortc.rtp import AnyRtcpPacket, RtcpByePacket, RtcpSrPacket, RtpPacket

from vivavoce.runtime.clock import Clock
from vivavoce.transports.webrtc.jitter import Packet
from vivavoce.transports.webrtc.offer import STREAM, Offer, write_answer
from vivavoce.transports.webrtc.rtp import Incoming, Outgoing, goodbye, report
from vivavoce.transports.webrtc.stack import Stack

REPORT_S = 5.0  # between two reports on the audio
PARTING_S = 1.0  # for the last messages to arrive and the channel to close
PLENTY_BYTES = 1024 * 1024  # of messages that wait to be sent


class PeerFailed(Exception):  # noqa: N818 - what has happened to the call
    """The peer never connected."""


class TooLargeForChannel(Exception):  # noqa: N818 - what the matter is
    """A message is longer than the peer takes. *limit_bytes* is what it takes."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"a message of {size_bytes} bytes; the peer takes {limit_bytes}")
        self.limit_bytes = limit_bytes


class PeerListener(Protocol):
    """Who is told what the peer says, as it comes; it must not wait. What it raises ends `run`."""

    def heard(self, packet: Packet, payload_type: int) -> None:
        """A packet of audio came: in whatever order, and perhaps twice."""
        ...

    def read(self, frame: str | bytes) -> None:
        """A message came."""
        ...


class Peer:
    """The peer that made an offer. Whoever has one closes it, at whatever stage it is."""

    def __init__(self, offer: Offer, gatherer: RTCIceGatherer, listener: PeerListener) -> None:
        """*gatherer* becomes the peer's, and ends with it."""
        self._offer = offer
        self._listener = listener
        self._clock = Clock()
        self._stack = Stack(offer, gatherer, self)
        self._outgoing = (
            Outgoing(offer.codec.payload_type, offer.codec.clock_hz) if offer.codec else None
        )
        self._incoming: Incoming | None = None
        self._channel: RTCDataChannel | None = None
        self._bug: Exception | None = None
        self._started = False
        self._closing = False
        self._gathering = anyio.Lock()
        self._connecting = anyio.CancelScope()
        self._settled = anyio.Event()  # it connected, or never will
        self._connected = anyio.Event()
        self._open = anyio.Event()  # the channel is, or never will be
        self._room = anyio.Event()
        self._over = anyio.Event()
        self._closed = anyio.Event()

    async def answer(self) -> str:
        """The SDP that answers the offer, with all candidates in it. Ask once, and before `run`."""
        async with self._gathering:
            if not self._closing:
                with anyio.CancelScope(shield=True):  # half-gathered, sockets would be forgotten
                    await self._stack.gather()
        if self._closing:
            raise PeerFailed("the call was closed before it was answered")
        ssrc = self._outgoing.ssrc if self._outgoing is not None else 0
        stack = self._stack
        return write_answer(self._offer, stack.ice, stack.candidates, stack.fingerprint, ssrc)

    async def run(self, connect_seconds: float = 30) -> None:
        """Carry the call until the peer has gone, closed its first data channel, or `close`.

        Raises PeerFailed when it has not connected after *connect_seconds*, or cannot. Whatever the
        end, everything is closed then.
        """
        if self._closing:
            return
        self._started = True
        try:
            await self._connect(connect_seconds)
            async with anyio.create_task_group() as tasks:
                if self._outgoing is not None:
                    tasks.start_soon(self._report, self._outgoing)
                await self._over.wait()
                tasks.cancel_scope.cancel()
        finally:
            await self.close()
        if self._bug is not None:
            raise self._bug

    async def _connect(self, seconds: float) -> None:
        trouble: str | None = None
        try:
            with self._connecting, anyio.move_on_after(seconds) as patience:
                trouble = await self._stack.connect()
                if trouble is None:
                    self._connected.set()
                    await self._stack.open()
        finally:
            self._settled.set()
        if patience.cancelled_caught and not self.connected:
            trouble = f"it did not connect within {seconds:g} seconds"
        if trouble is not None and not self._closing:
            raise PeerFailed(trouble)

    @property
    def connected(self) -> bool:
        """Audio can flow."""
        return self._connected.is_set() and not self._over.is_set()

    async def wait_connected(self) -> None:
        """Until audio can flow: for ever, if it never can."""
        await self._connected.wait()

    async def wait_open(self) -> None:
        """Until messages can be sent, or audio alone where there is no channel: or never."""
        if self._offer.has_data:
            await self._open.wait()
        else:
            await self._connected.wait()

    # Audio

    async def send_audio(self, payload: bytes, ticks: int) -> None:
        """Send the next packet, whose audio lasts *ticks*; nothing unless the peer listens."""
        if self._outgoing is not None and self._offer.sends and self.connected:
            packet = self._outgoing.packet(payload, ticks, time.monotonic())
            await self._stack.send_rtp(packet)

    def skip(self, ticks: int) -> None:
        """Let time pass on the audio track in which no packet is sent."""
        if self._outgoing is not None:
            self._outgoing.skip(ticks)

    async def _report(self, outgoing: Outgoing) -> None:
        while True:
            await anyio.sleep(REPORT_S * random.uniform(0.8, 1.2))
            now = time.monotonic()
            account = outgoing.account(now, self._clock.wall())
            heard = [self._incoming.report(now)] if self._incoming is not None else []
            await self._stack.send_rtp(report(outgoing.ssrc, STREAM, account, heard))

    def rtp(self, packet: RtpPacket) -> None:
        """The stack has a packet of audio."""
        codec = self._offer.codec
        if codec is None or not self._offer.receives:
            return
        stream = self._incoming
        if stream is None or stream.ssrc != packet.ssrc:
            stream = self._incoming = Incoming(packet.ssrc, codec.clock_hz)
        if stream.over:
            return
        stream.add(packet.sequence_number, packet.timestamp, time.monotonic())
        if packet.payload:
            audio = Packet(packet.sequence_number, packet.timestamp, packet.payload)
            try:
                self._listener.heard(audio, packet.payload_type)
            except Exception as bug:  # noqa: BLE001 - `run` raises it
                self._break(bug)

    def rtcp(self, packet: AnyRtcpPacket) -> None:
        """The stack has news of a source."""
        stream = self._incoming
        if stream is None:
            return
        if isinstance(packet, RtcpSrPacket) and packet.ssrc == stream.ssrc:
            stream.told(packet.sender_info, time.monotonic())
        elif isinstance(packet, RtcpByePacket) and stream.ssrc in packet.sources:
            stream.over = True

    # Messages

    async def send_text(self, frame: bytes) -> None:
        """Send a message, in UTF-8, when the channel is open and has room; one at a time.

        Returns at once where there is no channel, or none any more. TooLargeForChannel says that it
        is not sent.
        """
        if not self._offer.has_data:
            return
        limit = self._offer.longest_message
        if limit and len(frame) > limit:
            raise TooLargeForChannel(len(frame), limit)
        if not self._open.is_set():
            await self._open.wait()
        while (channel := self._writable()) and channel.bufferedAmount > PLENTY_BYTES:
            self._room = anyio.Event()
            await self._room.wait()
        if channel is not None:
            channel.send(frame.decode())

    def _writable(self) -> RTCDataChannel | None:
        """The channel, while it takes messages."""
        channel = self._channel
        live = channel is not None and channel.readyState == "open" and not self._closing
        return channel if live else None

    def opened(self, channel: RTCDataChannel) -> None:
        """The stack has a data channel. The first one counts, whatever its label."""
        if self._channel is None:
            self._channel = channel
            channel.bufferedAmountLowThreshold = PLENTY_BYTES // 2
            channel.on("message", self._read)
            channel.on("bufferedamountlow", lambda: self._room.set())
            channel.on("close", self.ended)
            self._open.set()

    def _read(self, frame: str | bytes) -> None:
        try:
            self._listener.read(frame)
        except Exception as bug:  # noqa: BLE001 - `run` raises it
            self._break(bug)

    # The end

    def _break(self, bug: Exception) -> None:
        self._bug = self._bug or bug
        self.ended()

    def ended(self) -> None:
        """The stack is at its end: so is the call."""
        self._over.set()
        self._open.set()
        self._room.set()

    async def close(self) -> None:
        """Let what was sent go out first, for a second at most, then end everything."""
        if self._closing:
            await self._closed.wait()
            return
        self._closing = True
        with anyio.CancelScope(shield=True):
            try:
                await self._part()
                self.ended()
                self._connecting.cancel()
                if self._started:
                    await self._settled.wait()
                async with self._gathering:
                    await self._stack.stop()
            finally:
                self._closed.set()

    async def _part(self) -> None:
        """Take leave of a peer that is there."""
        if not self.connected:
            return
        with anyio.move_on_after(PARTING_S):
            await self._stack.drained()
            if self._channel is not None:
                self._channel.close()
                await self._over.wait()
        if self._outgoing is not None:
            await self._stack.send_rtp(goodbye(self._outgoing.ssrc, STREAM))
