"""The numbers of RTP streams, and what RTCP says of them."""

from fractions import Fraction

import pytest
from aiortc.rtp import (
    RtcpByePacket,
    RtcpPacket,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    RtpPacket,
)
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.transports.webrtc.rtp import NTP_BEFORE_UNIX, Incoming, Outgoing, goodbye, ntp, report


def read(packet: bytes) -> RtpPacket:
    return RtpPacket.parse(packet)


def test_packets_count_on_and_carry_their_payload() -> None:
    stream = Outgoing(111, 48000)
    first, second = (read(stream.packet(payload, 960, 0)) for payload in (b"one", b"two"))

    assert (first.ssrc, first.payload_type, first.payload) == (stream.ssrc, 111, b"one")
    assert second.payload == b"two"
    assert second.sequence_number == first.sequence_number + 1
    assert (second.timestamp - first.timestamp) % (1 << 32) == 960


def test_sequence_and_timestamp_begin_anew_behind_their_last_number() -> None:
    stream = Outgoing(0, 8000)
    start = read(stream.packet(b"", 0, 0))
    for _ in range(65535):
        stream.packet(b"", 1 << 17, 0)
    last = read(stream.packet(b"", 0, 0))

    assert last.sequence_number == start.sequence_number
    assert (last.timestamp - start.timestamp) % (1 << 32) == (65535 << 17) % (1 << 32)


def test_a_stream_begins_where_nobody_can_guess_and_leaves_srtp_room() -> None:
    starts = [read(Outgoing(0, 8000).packet(b"", 160, 0)) for _ in range(50)]

    assert len({start.ssrc for start in starts}) == 50
    assert len({start.timestamp for start in starts}) > 40
    assert len({start.sequence_number for start in starts}) > 40
    assert max(start.sequence_number for start in starts) < 1 << 15


def test_only_the_first_packet_and_those_behind_a_pause_are_marked() -> None:
    stream = Outgoing(0, 8000)
    marks = []
    for pause in (0, 0, 480, 0):
        stream.skip(pause)
        marks.append(read(stream.packet(b"", 160, 0)).marker)

    assert marks == [1, 0, 1, 0]


def test_a_pause_lies_in_the_timestamps_and_in_no_sequence_number() -> None:
    stream = Outgoing(0, 8000)
    before = read(stream.packet(b"", 160, 0))
    stream.skip(480)
    behind = read(stream.packet(b"", 160, 0))

    assert (behind.timestamp - before.timestamp) % (1 << 32) == 640
    assert behind.sequence_number == before.sequence_number + 1


def test_the_account_names_the_timestamp_of_its_own_moment() -> None:
    stream = Outgoing(0, 8000)
    stream.packet(b"four", 160, 10)
    packet = read(stream.packet(b"more5", 160, 10.02))
    account = stream.account(12.52, 1_700_000_000.25)

    assert account is not None
    assert (account.packet_count, account.octet_count) == (2, 9)
    assert (account.rtp_timestamp - packet.timestamp) % (1 << 32) == 20_000
    assert Fraction(account.ntp_timestamp, 1 << 32) == 1_700_000_000 + NTP_BEFORE_UNIX + Fraction(
        1, 4
    )


def test_nothing_sent_is_no_account() -> None:
    assert Outgoing(0, 8000).account(1, 1) is None


def fed(*packets: tuple[int, int, float], clock_hz: int = 8000) -> Incoming:
    stream = Incoming(5, clock_hz)
    for sequence, timestamp, at in packets:
        stream.add(sequence % 65536, timestamp % (1 << 32), at)
    return stream


def test_what_did_not_come_is_lost_across_the_end_of_the_numbers() -> None:
    stream = fed(
        *((number, number * 160, number / 50) for number in range(65530, 65550) if number % 4)
    )
    told = stream.report(0)

    assert told.packets_lost == 5
    assert told.fraction_lost == 5 * 256 // 20
    assert told.highest_sequence == 65549


def test_what_came_late_is_not_lost() -> None:
    assert fed((1, 0, 0), (3, 0, 0), (2, 0, 0)).report(0).packets_lost == 0


def test_what_came_twice_makes_up_for_a_loss_but_is_no_fraction_below_nothing() -> None:
    told = fed((1, 0, 0), (1, 0, 0), (2, 0, 0)).report(0)

    assert (told.packets_lost, told.fraction_lost) == (-1, 0)


def test_the_fraction_counts_from_the_last_report() -> None:
    stream = fed((1, 0, 0), (11, 0, 0))
    assert stream.report(0).fraction_lost == 9 * 256 // 11

    stream.add(12, 0, 0)

    assert stream.report(0).fraction_lost == 0
    assert stream.report(0).packets_lost == 9


def test_even_packets_have_no_jitter_and_uneven_ones_have_the_mean_of_their_unevenness() -> None:
    even = fed(*((number, number * 160, number * 0.02) for number in range(200)))
    uneven = fed(*((n, n * 160, n * 0.02 + n % 2 * 0.01) for n in range(200)))

    assert even.report(0).jitter == 0
    assert uneven.report(0).jitter == pytest.approx(80, abs=1)


def test_a_sender_whose_clock_jumps_or_wraps_has_no_jitter_for_it() -> None:
    wraps = fed(*((n, (1 << 32) - 800 + n * 160, n * 0.02) for n in range(20)))

    assert wraps.report(0).jitter == 0
    assert fed((1, 0, 0), (2, 1 << 31, 0.02), (3, 0, 0.04)).report(0).jitter == 0


def test_a_report_says_how_long_ago_the_sender_reported() -> None:
    stream = fed((1, 0, 0))
    stream.told(RtcpSenderInfo(0x1111_2222_3333_4444, 0, 0, 0), 7)
    told = stream.report(8.5)

    assert (told.lsr, told.dlsr) == (0x2222_3333, 3 << 15)


def test_a_report_on_a_sender_who_never_reported_says_so() -> None:
    told = fed((1, 0, 0)).report(8.5)

    assert (told.lsr, told.dlsr) == (0, 0)


@given(
    st.lists(
        st.tuples(st.integers(0, 65535), st.integers(0, 2**32 - 1), st.floats(0, 1e6)), min_size=1
    )
)
def test_whatever_comes_can_be_reported(packets: list[tuple[int, int, float]]) -> None:
    stream = fed(*packets)
    stream.told(RtcpSenderInfo(2**64 - 1, 2**32 - 1, 0, 0), 0)

    (said, _) = RtcpPacket.parse(report(1, "name", None, [stream.report(1e6)]))

    assert isinstance(said, RtcpRrPacket)
    assert said.reports[0].ssrc == 5


def test_a_report_of_one_who_sends_has_its_account() -> None:
    said, names = RtcpPacket.parse(report(1, "us", RtcpSenderInfo(2, 3, 4, 5), []))

    assert isinstance(said, RtcpSrPacket)
    assert (said.ssrc, said.sender_info) == (1, RtcpSenderInfo(2, 3, 4, 5))
    assert isinstance(names, RtcpSdesPacket)
    assert names.chunks[0].items == [(1, b"us")]


def test_a_goodbye_names_who_goes() -> None:
    *_, parting = RtcpPacket.parse(goodbye(7, "us"))

    assert isinstance(parting, RtcpByePacket)
    assert parting.sources == [7]


def test_ntp_counts_from_1900() -> None:
    assert ntp(0) == 2_208_988_800 << 32
