"""A Channel over a peer connection: events on its data channel, speech on its audio track.

Every 20 ms the call takes a beat: what arrived is decoded and handed to the session, and the next
frame of what it says leaves. Both directions count samples, and so the session knows to the frame
how much of an answer has left for its listener.
"""

from collections.abc import AsyncIterator

import anyio
import msgspec
import structlog
from anyio import to_thread
from anyio.lowlevel import checkpoint
from msgspec import Struct

from vivavoce.audio.pcm import Pcm
from vivavoce.core import events
from vivavoce.core.commands import AnyCommand
from vivavoce.core.errors import Refusal
from vivavoce.core.events import ServerEvent
from vivavoce.core.signals import Played
from vivavoce.dialects.api import Codec
from vivavoce.mailbox import Closed, Mailbox
from vivavoce.runtime.channel import Captured
from vivavoce.runtime.clock import Clock
from vivavoce.transports.webrtc.jitter import JitterBuffer, Lost, Packet
from vivavoce.transports.webrtc.network import Network
from vivavoce.transports.webrtc.offer import AudioCodec, Offer
from vivavoce.transports.webrtc.pace import Pace
from vivavoce.transports.webrtc.peer import Peer, PeerFailed, TooLargeForChannel
from vivavoce.transports.webrtc.playout import Playout
from vivavoce.transports.webrtc.voice import decoder_of, encoder_of

BEAT_S = 0.02
RATE_HZ = 24000  # of the audio of calls, inside
LARGE = 256 * 1024  # a longer message takes more than a millisecond to decode
MOST_INPUTS, MOST_INPUT_BYTES = 2048, 32 * 1024 * 1024
SMALL = 64  # bytes: about what an input without audio or text weighs

log = structlog.get_logger(__name__)

Said = str | bytes | Captured | Played


class CallReport(Struct, frozen=True):
    """How a call was: its codec, whether it ever connected, and its packets by what became of them."""

    codec: str | None
    connected: bool
    packets: dict[str, int] = {}


class WebRtcChannel:
    """A call whose offer was read. *closed_with* is how this side hung up, None while it has not."""

    def __init__(
        self,
        offer: Offer,
        network: Network,
        codec: Codec,
        clock: Clock,
        *,
        connect_seconds: float = 30,
    ) -> None:
        """*connect_seconds*: how long the caller may take to reach us after the answer."""
        self._codec = codec
        self._clock = clock
        self._connect_seconds = connect_seconds
        self._voice = offer.codec
        self._inputs: Mailbox[Said] = Mailbox(MOST_INPUTS, MOST_INPUT_BYTES)
        self._playout = Playout()
        self._played = anyio.Event()
        self._media = None if offer.codec is None else Media(offer.codec)
        self._peer = Peer(offer, network.gatherer(), self)
        self._connected = False
        self.sdp = ""
        self.closed_with: tuple[int, str] | None = None

    # The call.

    async def answer(self) -> None:
        """Gather candidates; then *sdp* answers the offer, with all of them in it."""
        self.sdp = await self._peer.answer()

    async def run(self) -> None:
        """Carry the call until either side has gone."""
        try:
            async with anyio.create_task_group() as tasks:
                if self._media is not None:
                    tasks.start_soon(self._beat, self._media)
                await self._peer.run(self._connect_seconds)
                tasks.cancel_scope.cancel()
        except* PeerFailed as failed:
            log.info("the call did not connect", reason=str(failed.exceptions[0]))
        finally:
            self._inputs.close()

    @property
    def report(self) -> CallReport:
        """How its audio came in."""
        name = self._voice.name if self._voice is not None else None
        if self._media is None:
            return CallReport(name, self._connected)
        heard = self._media.jitter
        packets = {
            "received": heard.received,
            "lost": heard.lost,
            "late": heard.late,
            "concealed": heard.concealed,
        }
        return CallReport(name, self._connected, packets)

    async def _beat(self, media: "Media") -> None:
        await self._peer.wait_connected()
        self._connected = True
        # All calls beat together: the processor wakes up once for them, which costs more than what
        # a call does then.
        pace = Pace((int(self._clock.now() / BEAT_S) + 1) * BEAT_S)
        while True:
            await anyio.sleep_until(pace.next_at)
            due = pace.due(self._clock.now())
            if due > 1:
                await checkpoint()  # what has arrived meanwhile is read first
            if pace.skipped:
                self._peer.skip(pace.skipped * media.encoder.ticks)
            for _ in range(due):
                self._listen(media)
                await self._speak(media)

    def _listen(self, media: "Media") -> None:
        """Hand on what was heard."""
        pcm = b"".join(
            media.decoder.conceal(each.next)
            if isinstance(each, Lost)
            else media.decoder.decode(each.payload)
            for each in media.jitter.take()
        )
        if pcm:
            self._put(Captured(Pcm(pcm, RATE_HZ)), len(pcm))

    async def _speak(self, media: "Media") -> None:
        """Let the next 20 ms go."""
        pcm, played = self._playout.take()
        await self._peer.send_audio(media.encoder.encode(pcm), media.encoder.ticks)
        for each in played:
            self._put(each, SMALL)
        if played:
            self._played.set()

    # What the peer says.

    def heard(self, packet: Packet, payload_type: int) -> None:
        """Audio arrived."""
        if self._media is not None and payload_type == self._media.codec.payload_type:
            self._media.jitter.put(packet)

    def read(self, frame: str | bytes) -> None:
        """A message arrived."""
        self._put(frame, len(frame))

    def _put(self, said: Said, size: int) -> None:
        """Have it taken; a client from whom so much waits is no longer listened to."""
        try:
            if self._inputs.put_nowait(said, size):
                return
        except Closed:
            return
        self.closed_with = self.closed_with or (1008, "the caller sends more than is taken")
        self._inputs.close()

    async def inputs(self) -> AsyncIterator[AnyCommand | Refusal | Played | Captured]:
        """What the client says, in words and in sound, until it leaves."""
        async for said in self._inputs:
            yield await self._decoded(said) if isinstance(said, str | bytes) else said

    async def _decoded(self, frame: str | bytes) -> AnyCommand | Refusal:
        try:
            if len(frame) > LARGE:
                return await to_thread.run_sync(self._codec.decode, frame)
            return self._codec.decode(frame)
        except Refusal as refusal:
            return refusal

    # What the session says.

    async def ready(self) -> None:
        """Wait until the caller has come."""
        await self._peer.wait_open()

    async def send(self, event: ServerEvent) -> None:
        """Say an event."""
        for frame in self._codec.encode(event):
            try:
                await self._peer.send_text(frame)
            except TooLargeForChannel:
                await self._send_smaller(event)

    async def _send_smaller(self, event: ServerEvent) -> None:
        """Leave the audio away that an item has; tell of what cannot be told."""
        if isinstance(event, events.ItemRetrieved) and event.audio:
            await self.send(msgspec.structs.replace(event, audio=()))
        elif not isinstance(event, events.ErrorRaised):
            refusal = Refusal(
                "An event is larger than this data channel takes, and was left out. Join the session "
                "by a WebSocket with its call_id to read such events.",
                kind="server_error",
                code="event_too_large",
            )
            await self.send(events.ErrorRaised(event_id=event.event_id, refusal=refusal))

    def play(self, response_id: str, audio: Pcm) -> None:
        """Play audio behind what plays already."""
        self._playout.add(response_id, audio.data)

    def conclude(self, response_id: str) -> None:
        """No more audio of a response will come; what was given plays to its end."""
        self._playout.forget(response_id)

    def flush(self, response_id: str) -> None:
        """Throw away what was not played yet of a response, and what more of it may come."""
        self._playout.flush(response_id)
        self._played.set()

    async def room(self, response_id: str) -> None:
        """Wait until no more than 20 seconds of a response wait to be played."""
        while self._playout.is_full(response_id) and not self._inputs.closed:
            if self._played.is_set():
                self._played = anyio.Event()
            await self._played.wait()

    async def close(self, code: int, reason: str) -> None:
        """Hang up; what was said goes out first."""
        if self.closed_with is None:
            self.closed_with = (code, reason)
        self._inputs.close()
        self._played.set()
        await self._peer.close()


class Media:
    """What turns the packets of one call into sound and back."""

    def __init__(self, codec: AudioCodec) -> None:
        self.codec = codec
        self.encoder = encoder_of(codec)
        self.decoder = decoder_of(codec)
        self.jitter = JitterBuffer(self.encoder.ticks)
