"""The RTP streams of a call: the numbers of the one we send, the account of the one we receive.

Nothing here waits or reads a clock: times come as arguments, *at* in seconds of a clock that only
goes forward, *wall* in Unix time.
"""

import secrets
from struct import Struct as Layout

from aiortc.rtp import (
    RtcpByePacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    clamp_packets_lost,
)

NTP_BEFORE_UNIX = 2_208_988_800  # seconds from 1900 to 1970
CNAME = 1  # the type of a source's name among its descriptions (RFC 3550, section 6.5)

_HEADER = Layout("!BBHLL")
_VERSION = 2 << 6
_MARKER = 0x80
_SEQUENCES = 1 << 16
_TICKS = 1 << 32


class Outgoing:
    """The stream that we send. Its source, first sequence number and first timestamp are random."""

    def __init__(self, payload_type: int, clock_hz: int) -> None:
        self.ssrc = secrets.randbits(32)
        self._payload_type = payload_type
        self._clock_hz = clock_hz
        # Not in the upper half: while the receiver has not heard the first packets, a wrap of the
        # sequence would leave it guessing SRTP's rollover counter, which both sides count alone.
        self._sequence = secrets.randbelow(_SEQUENCES // 2)
        self._timestamp = secrets.randbits(32)
        self._begins = True
        self._last: tuple[float, int] | None = None  # when the last packet was made, its timestamp
        self._packets = 0
        self._octets = 0

    def packet(self, payload: bytes, ticks: int, at: float) -> bytes:
        """The next packet; *ticks* is how long its audio lasts."""
        marker = _MARKER if self._begins else 0
        header = _HEADER.pack(
            _VERSION, marker | self._payload_type, self._sequence, self._timestamp, self.ssrc
        )
        self._last = (at, self._timestamp)
        self._begins = False
        self._sequence = (self._sequence + 1) % _SEQUENCES
        self._timestamp = (self._timestamp + ticks) % _TICKS
        self._packets += 1
        self._octets += len(payload)
        return header + payload

    def skip(self, ticks: int) -> None:
        """Time passes in which nothing is sent; the packet behind it begins anew."""
        if ticks > 0:
            self._timestamp = (self._timestamp + ticks) % _TICKS
            self._begins = True

    def account(self, at: float, wall: float) -> RtcpSenderInfo | None:
        """What was sent, and which timestamp belongs to this moment; None before the first packet."""
        if self._last is None:
            return None
        made_at, timestamp = self._last
        return RtcpSenderInfo(
            ntp_timestamp=ntp(wall),
            rtp_timestamp=(timestamp + round((at - made_at) * self._clock_hz)) % _TICKS,
            packet_count=self._packets % _TICKS,
            octet_count=self._octets % _TICKS,
        )


class Incoming:
    """The account of one received stream, as reports tell it (RFC 3550, section 6.4 and annex A)."""

    def __init__(self, ssrc: int, clock_hz: int) -> None:
        self.ssrc = ssrc
        self.received = 0
        self.over = False
        self._clock_hz = clock_hz
        self._first = 0
        self._highest = -1  # counted on beyond 16 bits
        self._jitter = 0.0
        self._transit: float | None = None
        self._reported = (0, 0)  # expected and received, when the last report was made
        self._heard_from: tuple[int, float] | None = (
            None  # middle of its NTP time, and when it came
        )

    def add(self, sequence: int, timestamp: int, at: float) -> None:
        """A packet came."""
        self.received += 1
        if self._highest < 0:
            self._first = self._highest = sequence
        ahead = (sequence - self._highest) % _SEQUENCES
        if ahead < _SEQUENCES // 2:
            self._highest += ahead
        self._watch(timestamp, at)

    def _watch(self, timestamp: int, at: float) -> None:
        """Take in how unevenly packets come. A jump of the sender's clock is no unevenness."""
        transit = at * self._clock_hz - timestamp
        if self._transit is not None:
            change = abs(transit - self._transit)
            if change < self._clock_hz:
                self._jitter += (change - self._jitter) / 16
        self._transit = transit

    def told(self, account: RtcpSenderInfo, at: float) -> None:
        """The sender reported."""
        self._heard_from = ((account.ntp_timestamp >> 16) % _TICKS, at)

    @property
    def lost(self) -> int:
        """Packets that never came; repeated ones can make it negative."""
        return self._expected - self.received

    @property
    def _expected(self) -> int:
        return self._highest - self._first + 1

    def report(self, at: float) -> RtcpReceiverInfo:
        """How it came through, and since the last report."""
        expected, received = self._reported
        self._reported = (self._expected, self.received)
        new = self._expected - expected
        missing = new - (self.received - received)
        since, heard_at = self._heard_from or (0, at)
        return RtcpReceiverInfo(
            ssrc=self.ssrc,
            fraction_lost=(missing << 8) // new if missing > 0 else 0,
            packets_lost=clamp_packets_lost(self.lost),
            highest_sequence=self._highest % _TICKS,
            jitter=round(self._jitter),
            lsr=since,
            dlsr=min(_TICKS - 1, round((at - heard_at) * 65536)),
        )


def report(
    ssrc: int, name: str, account: RtcpSenderInfo | None, heard: list[RtcpReceiverInfo]
) -> bytes:
    """One RTCP packet: the sender's account if there is one, what it heard, and its name."""
    first = RtcpRrPacket(ssrc, heard) if account is None else RtcpSrPacket(ssrc, account, heard)
    return bytes(first) + _description(ssrc, name)


def goodbye(ssrc: int, name: str) -> bytes:
    """One RTCP packet that says that a source is gone."""
    parting = bytes(RtcpByePacket([ssrc]))
    return bytes(RtcpRrPacket(ssrc)) + _description(ssrc, name) + parting


def _description(ssrc: int, name: str) -> bytes:
    return bytes(RtcpSdesPacket([RtcpSourceInfo(ssrc, [(CNAME, name.encode())])]))


def ntp(wall: float) -> int:
    """*wall* in NTP's seconds, with 32 bits behind the point."""
    return round((wall + NTP_BEFORE_UNIX) * (1 << 32)) % (1 << 64)
