"""What one call stands on: ICE, DTLS, SRTP and SCTP, as aiortc does them.

aiortc's own peer connection is left out: its receiver costs a thread and 80 ms per call. This is
its layer below, bounded in what a peer can make us hold, and quiet when a peer breaks the rules:
its faults end its call and nothing else.

Here alone DTLS and SCTP are bent, and a test names what that rests on:

* `RTCDtlsTransport._set_role`, `_send_rtp`, `_rx_srtp`, `_register_rtp_receiver`, which
  calls `_handle_rtp_packet`, `_handle_rtcp_packet` and `_handle_disconnect` of what it is given.
* `RTCIceTransport._connection`, whose `ice_controlling` tells our role.
* Of `RTCSctpTransport` what `Association` overrides: `_get_inbound_stream`, `_handle_data`,
  `_receive_sack_chunk`, `_send_chunk`, `_set_state`, `_transmit`; and what it looks at:
  `_advertised_rwnd`, `_association_state`, `_data_channel_queue`, `_inbound_streams`, `_local_tsn`,
  `_outbound_queue`, `_sack_misordered`, `_sent_queue`, `_t3_cancel`.
* `InboundStream` with `reassembly`, `add_chunk`, `pop_messages`, `prune_chunks`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import anyio
import pylibsrtp
import structlog
from aiortc import (
    RTCCertificate,
    RTCDataChannel,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceCandidate,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceTransport,
    RTCRtpCodecParameters,
    RTCSctpCapabilities,
    RTCSctpTransport,
)
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtcsctptransport import (
    SCTP_DATA_LAST_FRAG,
    Chunk,
    DataChunk,
    InboundStream,
    SackChunk,
)
from aiortc.rtp import AnyRtcpPacket, RtpPacket
from anyio.lowlevel import checkpoint

from vivavoce.transports.webrtc.offer import (
    MAX_MESSAGE_BYTES,
    SCTP_PORT,
    AudioCodec,
    Fingerprint,
    Offer,
)

log = structlog.get_logger(__name__)

# A message is kept until its end is there, and what overtook a lost packet until that came again.
WINDOW_BYTES = MAX_MESSAGE_BYTES + 1024 * 1024
OVERSHOOT_BYTES = 64 * 1024  # a sender may try a packet or so beyond the window
MAX_PIECES = 3 * WINDOW_BYTES // 1024  # packets carry about 1 KiB each while there is more to send
MAX_STREAMS = 256
MAX_SOURCES = 64  # streams of audio, one after the other: libsrtp never forgets one

_TSNS = 1 << 32


class Above(Protocol):
    """Whom a stack serves. What it is told comes from the event loop, and must not wait."""

    def rtp(self, packet: RtpPacket) -> None:
        """Audio of the codec agreed on came."""

    def rtcp(self, packet: AnyRtcpPacket) -> None:
        """News of a source that was heard came."""

    def opened(self, channel: RTCDataChannel) -> None:
        """The peer opened a data channel."""

    def ended(self) -> None:
        """The connection is over. It may be said more than once."""


class Stack:
    """The transports of one call. Whoever has it stops it, at whatever stage it is."""

    def __init__(self, offer: Offer, gatherer: RTCIceGatherer, above: Above) -> None:
        self._offer = offer
        self._gatherer = gatherer
        self._above = above
        self._certificate = RTCCertificate.generateCertificate()
        self._ice = RTCIceTransport(gatherer)
        self._ice._connection.ice_controlling = offer.ice.iceLite  # a lite peer cannot be it
        self._dtls = RTCDtlsTransport(self._ice, [self._certificate])
        self._dtls._set_role("client" if offer.starts_dtls else "server")
        self._dtls.on("statechange", self._dtls_changed)
        if offer.codec is not None:
            self._listen(offer.codec)
        self._sctp: Association | None = None

    def _listen(self, codec: AudioCodec) -> None:
        parameters = RTCRtpReceiveParameters(
            codecs=[
                RTCRtpCodecParameters(
                    mimeType=f"audio/{codec.name}",
                    clockRate=codec.clock_hz,
                    payloadType=codec.payload_type,
                )
            ]
        )
        self._dtls._register_rtp_receiver(Tap(self._above), parameters)

    def _dtls_changed(self) -> None:
        if self._dtls.state in ("closed", "failed"):
            self._above.ended()

    async def gather(self) -> None:
        """Find out where we can be reached."""
        await self._gatherer.gather()

    @property
    def ice(self) -> RTCIceParameters:
        """Our credentials."""
        return self._gatherer.getLocalParameters()

    @property
    def candidates(self) -> Sequence[RTCIceCandidate]:
        """Where we can be reached, once that was gathered."""
        return self._gatherer.getLocalCandidates()

    @property
    def fingerprint(self) -> Fingerprint:
        """That of our certificate, which no other call has."""
        sha256 = self._certificate.getFingerprints()[0]
        return Fingerprint(sha256.algorithm, sha256.value)

    async def connect(self) -> str | None:
        """Reach the peer and agree on keys, however long it takes; what went wrong, if something did.

        The end of the peer's candidates is never told to ICE, not even when it names none: with
        nothing left to try it would give up, where most browsers find us and need not be found.
        """
        for candidate in self._offer.candidates:
            await self._ice.addRemoteCandidate(candidate)
        await self._ice.start(self._offer.ice)
        if self._ice.state != "completed":
            return "no way between the peer's addresses and ours was found (ICE failed)"
        digests = [
            RTCDtlsFingerprint(each.algorithm, each.value) for each in self._offer.fingerprints
        ]
        await self._dtls.start(RTCDtlsParameters(fingerprints=digests))
        if self._dtls.state != "connected":
            return "the DTLS handshake failed, or the certificate is not the one that was offered"
        few = FewSources(self._dtls._rx_srtp)
        self._dtls._rx_srtp = few  # type: ignore[assignment]  # it is all that is asked of it
        return None

    async def open(self) -> None:
        """Begin with the data channels, if they were offered."""
        if self._offer.has_data:
            self._sctp = Association(self._dtls, self._above)
            capabilities = RTCSctpCapabilities(maxMessageSize=self._offer.longest_message)
            await self._sctp.start(capabilities, self._offer.sctp_port)

    async def send_rtp(self, packet: bytes) -> None:
        """Send an RTP or RTCP packet; nothing when there is no connection any more."""
        try:
            await self._dtls._send_rtp(packet)
        except ConnectionError:
            return

    async def drained(self) -> None:
        """Wait until the peer has all that was sent on data channels."""
        if self._sctp is not None:
            await self._sctp.drained()

    async def stop(self) -> None:
        """Say goodbye and end everything; nothing of it is left then."""
        if self._sctp is not None:
            await self._sctp.stop()
        await self._dtls.stop()
        # What ICE watches itself with must have begun before it is stopped, or it never ends.
        await checkpoint()
        await self._ice.stop()
        await checkpoint()  # for tasks of theirs that they have told to end, and not waited for


class Tap:
    """What RTP and RTCP come out of, in the place of aiortc's receiver."""

    def __init__(self, above: Above) -> None:
        self._above = above

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        self._above.rtp(packet)

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        self._above.rtcp(packet)

    def _handle_disconnect(self) -> None:
        """The end is told otherwise."""


class FewSources:
    """What decrypts SRTP, for so many sources at most: it remembers each that it ever heard."""

    def __init__(self, session: pylibsrtp.Session) -> None:
        self._session = session
        self._known: set[bytes] = set()

    def unprotect(self, packet: bytes) -> bytes:
        """The RTP packet; pylibsrtp.Error if it is not the peer's, or of one source too many."""
        return self._admitted(self._session.unprotect, packet, packet[8:12])

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """The RTCP packet; pylibsrtp.Error as before."""
        return self._admitted(self._session.unprotect_rtcp, packet, packet[4:8])

    def _admitted(self, decrypt: Callable[[bytes], bytes], packet: bytes, source: bytes) -> bytes:
        if source in self._known:
            return decrypt(packet)
        if len(self._known) >= MAX_SOURCES:
            raise pylibsrtp.Error("the peer has sent from too many sources")
        clear = decrypt(packet)
        self._known.add(source)  # not before it proved to be the peer's
        return clear


class Association(RTCSctpTransport):
    """SCTP that holds no more for a peer than was agreed, and that no peer can break."""

    def __init__(self, transport: RTCDtlsTransport, above: Above) -> None:
        super().__init__(transport, SCTP_PORT)
        self._above = above
        self._advertised_rwnd = WINDOW_BYTES
        self._progress = anyio.Event()
        self.on("datachannel", above.opened)

    async def drained(self) -> None:
        """Wait until the peer has all that was sent."""
        while self._data_channel_queue or self._outbound_queue or self._sent_queue:
            self._progress = anyio.Event()
            await self._progress.wait()

    def _set_state(self, state: RTCSctpTransport.State) -> None:
        super()._set_state(state)
        if state is self.State.CLOSED:
            self._above.ended()

    async def _handle_data(self, data: bytes) -> None:
        # Many a malformed chunk makes aiortc raise whatever comes, which would end in its log.
        try:
            await super()._handle_data(data)
        except Exception as fault:  # noqa: BLE001 - aiortc's parsers, fed by the peer
            log.info("the peer broke SCTP's rules", fault=type(fault).__name__)
            self._above.ended()
        if self._overfull():
            log.info("the peer sent more than was agreed")
            self._above.ended()

    def _overfull(self) -> bool:
        streams = self._inbound_streams
        return (
            self._advertised_rwnd < -OVERSHOOT_BYTES
            or len(streams) > MAX_STREAMS
            or len(self._sack_misordered) > MAX_PIECES
            or sum(len(stream.reassembly) for stream in streams.values()) > MAX_PIECES
        )

    def _get_inbound_stream(self, stream_id: int) -> InboundStream:
        if stream_id not in self._inbound_streams:
            self._inbound_streams[stream_id] = Reassembly()
        return self._inbound_streams[stream_id]

    async def _receive_sack_chunk(self, chunk: SackChunk) -> None:
        # It may name no packet that was never sent: aiortc counts through all of them.
        sent = (self._local_tsn - chunk.cumulative_tsn) % _TSNS
        if sent < _TSNS // 2 and all(last <= sent for _, last in chunk.gaps):
            await super()._receive_sack_chunk(chunk)
            self._progress.set()

    async def _transmit(self) -> None:
        # What was under way when the association ended must not set its timer again.
        if self._association_state is not self.State.CLOSED:
            await super()._transmit()
        if self._association_state is self.State.CLOSED:
            self._t3_cancel()

    async def _send_chunk(self, chunk: Chunk) -> None:
        # Timers send as well, and nobody is there to whom they could say that it failed.
        try:
            await super()._send_chunk(chunk)
        except ConnectionError:
            return


class Reassembly(InboundStream):
    """Pieces of messages. They are not looked through for a whole one before an end is among them.

    aiortc does so for every piece: one second for a message of 4 MiB.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ends = 0

    def add_chunk(self, chunk: DataChunk) -> None:
        super().add_chunk(chunk)
        self._ends += bool(chunk.flags & SCTP_DATA_LAST_FRAG)

    def pop_messages(self) -> Iterator[tuple[int, int, bytes]]:
        if self._ends:
            for message in super().pop_messages():
                self._ends -= 1
                yield message

    def prune_chunks(self, tsn: int) -> int:
        size = super().prune_chunks(tsn)
        self._ends = sum(bool(each.flags & SCTP_DATA_LAST_FRAG) for each in self.reassembly)
        return size
