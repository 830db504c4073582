"""A sender, a network and a clock that calls take() each 20 ms, all in given times."""

import random
from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from vivavoce.transports.webrtc.jitter import (
    CALM_TAKES,
    FIRST_TARGET,
    LEAST_TARGET,
    LONGEST_GAP,
    MOST_AT_ONCE,
    MOST_TARGET,
    MOST_WAITING,
    JitterBuffer,
    Lost,
    Packet,
)

FRAME = 960  # ticks
Given = list[Packet | Lost]


class Arrival(Struct, frozen=True, order=True):
    at_ms: float
    number: int


class Heard(Struct, frozen=True):
    """What a take gave, and when."""

    at_ms: float
    given: Given


def packet(number: int, length_ms: int = 20) -> Packet:
    """The one of that number in a stream without gaps. Its payload tells the number."""
    ticks = number * length_ms * 48
    return Packet(number & 0xFFFF, ticks & 0xFFFF_FFFF, number.to_bytes(4, "big"))


def number_of(payload: bytes) -> int:
    return int.from_bytes(payload, "big")


def words(given: Given) -> list[int | str]:
    """Packets by number, what is missing as "-", or as "-7" if packet 7 may help."""
    return [
        number_of(each.payload)
        if isinstance(each, Packet)
        else ("-" if each.next is None else f"-{number_of(each.next)}")
        for each in given
    ]


def numbers(takes: Iterable[Heard]) -> list[int]:
    packets = (each for take in takes for each in take.given if isinstance(each, Packet))
    return [number_of(each.payload) for each in packets]


def losses(takes: Iterable[Heard]) -> int:
    return sum(isinstance(each, Lost) for take in takes for each in take.given)


def delays_ms(takes: Iterable[Heard], length_ms: float = 20) -> list[float]:
    """From when each packet was sent to when it left the buffer."""
    return [take.at_ms - length_ms * number for take in takes for number in numbers([take])]


def carry(
    buffer: JitterBuffer,
    arrivals: Iterable[Arrival],
    until_ms: float,
    *,
    phase_ms: float = 7,
    length_ms: int = 20,
) -> Iterator[Heard]:
    """Everything arrives when it does, and take() is called each 20 ms from *phase_ms* on."""
    coming = iter(arrivals)
    next_one = next(coming, None)
    takes = 0
    while (at_ms := phase_ms + 20 * takes) < until_ms:
        takes += 1
        while next_one is not None and next_one.at_ms <= at_ms:
            buffer.put(packet(next_one.number, length_ms))
            next_one = next(coming, None)
        yield Heard(at_ms, buffer.take())


def network(
    count: int, seed: int, *, loss: float = 0, jitter_ms: float = 0, twice: float = 0
) -> list[Arrival]:
    """A packet each 20 ms, as they arrive: some never, some twice, most in another order."""
    dice = random.Random(seed)
    arrivals = []
    for number in range(count):
        if dice.random() < loss:
            continue
        arrivals.append(Arrival(20 * number + dice.uniform(0, jitter_ms), number))
        if dice.random() < twice:
            arrivals.append(Arrival(20 * number + dice.uniform(0, 100), number))
    return sorted(arrivals)


def feed(buffer: JitterBuffer, *given: int) -> list[list[int | str]]:
    """Put each packet and take after it."""
    out = []
    for number in given:
        buffer.put(packet(number))
        out.append(words(buffer.take()))
    return out


def waits(buffer: JitterBuffer, takes: int) -> list[list[int | str]]:
    return [words(buffer.take()) for _ in range(takes)]


def test_nothing_is_given_before_the_stream_begins() -> None:
    assert JitterBuffer(FRAME).take() == []


@pytest.mark.parametrize("phase_ms", [0, 0.1, 7, 19.9])
def test_on_a_clean_line_each_packet_leaves_at_the_next_take(phase_ms: float) -> None:
    takes = list(carry(JitterBuffer(FRAME), network(500, 1), 10_000, phase_ms=phase_ms))

    assert [take.given for take in takes] == [[packet(number)] for number in range(500)]
    assert max(delays_ms(takes)) <= 20


def test_arrivals_in_step_with_the_takes_conceal_nothing() -> None:
    dice = random.Random(1)
    arrivals = [Arrival(20 * number + dice.uniform(-2, 2), number) for number in range(3000)]

    takes = list(carry(JitterBuffer(FRAME), arrivals, 60_100, phase_ms=0))

    assert numbers(takes) == list(range(3000))
    assert losses(takes[:3000]) == 0
    assert max(delays_ms(takes)) <= 20


@pytest.mark.parametrize("seed", range(4))
def test_loss_reordering_and_jitter_cost_no_more_than_what_was_lost(seed: int) -> None:
    buffer = JitterBuffer(FRAME)
    arrivals = network(3000, seed, loss=0.05, jitter_ms=30, twice=0.05)
    arrived = sorted({arrival.number for arrival in arrivals})

    takes = list(carry(buffer, arrivals, 60_000))

    got = numbers(takes)
    assert got == sorted(set(got))
    assert set(got) <= set(arrived)
    assert len(arrived) - len(got) <= 3 + 1  # the last of them may still be on their way
    assert abs(losses(takes) - (3000 - len(arrived))) <= 6
    assert buffer.lost == pytest.approx(3000 - len(got), abs=3)
    assert buffer.received == pytest.approx(len(arrivals), abs=2)
    delays = sorted(delays_ms(takes))
    assert delays[-1] <= 30 + 20 * (FIRST_TARGET + 2)
    assert sum(delays) / len(delays) <= 15 + 20 + 20
    assert buffer.depth <= FIRST_TARGET + 2


def test_many_losses_do_not_pile_up_to_a_delay() -> None:
    takes = list(carry(JitterBuffer(FRAME), network(3000, 1, loss=0.4, jitter_ms=30), 60_000))

    assert max(delays_ms(takes)) <= 30 + 20 * (FIRST_TARGET + 2)


def test_reordering_wider_than_the_target_is_learnt() -> None:
    buffer = JitterBuffer(FRAME)
    # Each tenth packet comes 130 ms late.
    arrivals = [
        Arrival(20 * number + 130 * (number % 10 == 5), number) for number in range(3 * CALM_TAKES)
    ]

    targets = []
    takes = []
    for take in carry(buffer, sorted(arrivals), 20 * 3 * CALM_TAKES):
        takes.append(take)
        targets.append(buffer.target)

    assert buffer.late == 1
    assert targets[30:] == sorted(targets[30:])  # while it is needed, it does not fall
    heard = numbers(takes)
    assert heard == [number for number in range(heard[-1] + 1) if number != 5]
    assert heard[-1] >= 590
    assert FIRST_TARGET < buffer.target <= MOST_TARGET


def test_where_nothing_is_late_the_target_falls_again_one_frame_at_a_time() -> None:
    buffer = JitterBuffer(FRAME)
    late = Arrival(20 * 50 + 170, 50)
    clean = [arrival for arrival in network(3000, 1) if arrival.number != 50]

    targets = [buffer.target for _ in carry(buffer, sorted([*clean, late]), 60_000)]

    assert max(targets) == 8
    assert targets[-1] == LEAST_TARGET
    falls = [at for at in range(1, len(targets)) if targets[at] < targets[at - 1]]
    assert all(targets[at] == targets[at - 1] - 1 for at in falls)
    assert all(later - earlier >= 50 for earlier, later in pairwise(falls))


@pytest.mark.parametrize("drift", [200e-6, -200e-6])
def test_an_hour_of_a_senders_drifting_clock_leaves_no_delay(drift: float) -> None:
    buffer = JitterBuffer(FRAME)
    step_ms = 20 * (1 + drift)
    arrivals = (Arrival(step_ms * number, number) for number in range(180_100))

    most_ms = last = got = 0.0
    for take in carry(buffer, arrivals, 3_600_000):
        for each in take.given:
            assert isinstance(each, Packet)
            got += 1
            last = number_of(each.payload)
            most_ms = max(most_ms, take.at_ms - step_ms * last)

    assert most_ms <= 20
    assert got == last + 1 >= 3_600_000 / step_ms - 2
    assert buffer.concealed == 0


def test_a_packet_that_is_missing_is_waited_for_and_then_marked() -> None:
    buffer = JitterBuffer(FRAME)

    given = feed(buffer, 0, 1, 3, 4, 5, 6, 7)

    assert given == [[0], [1], [], [], [], ["-3", 3, 4, 5, 6], [7]]
    assert (buffer.lost, buffer.late, buffer.concealed) == (1, 0, 1)


def test_only_the_last_of_several_losses_may_be_helped_by_what_follows() -> None:
    assert feed(JitterBuffer(FRAME), 0, 3, 4, 5, 6)[-1] == ["-", "-3", 3, 4, 5, 6]


def test_a_packet_that_comes_while_it_is_waited_for_is_heard_in_its_place() -> None:
    buffer = JitterBuffer(FRAME)

    assert feed(buffer, 0, 2, 3, 1, 4) == [[0], [], [], [1, 2, 3], [4]]
    assert buffer.lost == buffer.late == buffer.concealed == 0


def test_a_packet_that_comes_after_it_was_given_up_is_late_and_not_heard() -> None:
    buffer = JitterBuffer(FRAME)

    given = feed(buffer, 0, 2, 3, 4, 5, 1, 6)

    assert given[-3:] == [["-2", 2, 3, 4, 5], [], [6]]
    assert (buffer.lost, buffer.late) == (1, 1)
    assert buffer.target == FIRST_TARGET + 1


def test_a_duplicate_is_heard_once_and_is_not_late() -> None:
    buffer = JitterBuffer(FRAME)

    assert feed(buffer, 0, 0, 1, 3, 3, 2, 1) == [[0], [], [1], [], [], [2, 3], []]
    assert buffer.late == 0
    assert buffer.received == 7


def test_a_duplicate_of_what_waits_does_not_prolong_the_wait() -> None:
    assert feed(JitterBuffer(FRAME), 0, 2, 2, 2, 2) == [[0], [], [], [], ["-2", 2]]


def test_the_first_two_packets_may_come_in_the_wrong_order() -> None:
    buffer = JitterBuffer(FRAME)

    buffer.put(packet(1))

    assert feed(buffer, 0) == [[0, 1]]


def test_a_short_hiccup_is_waited_out_without_a_mark() -> None:
    buffer = JitterBuffer(FRAME)
    feed(buffer, 0, 1)

    assert waits(buffer, FIRST_TARGET) == [[]] * FIRST_TARGET
    for number in (2, 3, 4):
        buffer.put(packet(number))
    assert words(buffer.take()) == [2, 3, 4]
    assert buffer.target == FIRST_TARGET


def test_a_hiccup_that_outlasts_the_target_raises_it() -> None:
    buffer = JitterBuffer(FRAME)
    feed(buffer, 0, 1)

    assert waits(buffer, 6) == [[], [], [], ["-"], ["-"], ["-"]]
    assert feed(buffer, 2) == [[2]]
    assert buffer.target == 6


def test_while_a_sender_says_nothing_time_passes_for_the_listener() -> None:
    buffer = JitterBuffer(FRAME)
    feed(buffer, *range(10))

    assert waits(buffer, 1000)[FIRST_TARGET:] == [["-"]] * (1000 - FIRST_TARGET)
    assert buffer.lost == 0


def test_a_sender_that_kept_its_clock_running_goes_on_at_the_right_time() -> None:
    buffer = JitterBuffer(FRAME)
    feed(buffer, *range(10))
    quiet = waits(buffer, 1000)

    buffer.put(Packet(10, 1010 * FRAME, b"\0\0\0\x0a"))
    given = words(buffer.take())

    # 1,000 frames were passed over, of which so many were marked already.
    assert given == ["-"] * (1000 - sum(map(len, quiet))) + [10]


def test_a_sender_that_stopped_its_clock_too_goes_on_where_it_was() -> None:
    buffer = JitterBuffer(FRAME)
    feed(buffer, *range(10))
    waits(buffer, 1000)

    assert feed(buffer, 10, 11, 12) == [[10], [11], [12]]
    assert buffer.target <= FIRST_TARGET


def test_after_the_network_stood_still_every_word_is_heard_soon() -> None:
    buffer = JitterBuffer(FRAME)
    arrivals = [Arrival(max(20 * n, 3000) if n >= 50 else 20 * n, n) for n in range(300)]

    takes = list(carry(buffer, arrivals, 6000))

    assert numbers(takes) == list(range(300))
    assert max(delays_ms(takes[160:])) <= 20
    assert buffer.target <= FIRST_TARGET


def test_after_a_long_outage_the_stream_is_followed_and_time_has_passed() -> None:
    buffer = JitterBuffer(FRAME)
    arrivals = [Arrival(20 * n, n) for n in range(1000) if not 200 <= n < 700]

    takes = list(carry(buffer, arrivals, 20_000))

    assert numbers(takes) == [arrival.number for arrival in arrivals]
    assert 500 - FIRST_TARGET <= losses(takes) <= 500
    assert max(delays_ms(takes)) <= 40


def test_a_stream_that_starts_anew_is_followed_with_its_second_packet() -> None:
    buffer = JitterBuffer(FRAME)
    feed(buffer, 0, 1, 2)

    assert feed(buffer, 30_000, 30_001, 30_002) == [[], [30_000, 30_001], [30_002]]
    assert buffer.lost == 0


def test_a_stream_may_start_anew_behind_where_it_was_and_in_the_wrong_order() -> None:
    buffer = JitterBuffer(FRAME)
    feed(buffer, 40_000)

    assert feed(buffer, 101, 100, 102) == [[], [100, 101], [102]]


def test_single_packets_from_elsewhere_disturb_nothing() -> None:
    buffer = JitterBuffer(FRAME)

    given = feed(buffer, 0, 20_000, 1, 50_000, 33_000, 2, 20_001, 3)

    assert given == [[0], [], [1], [], [], [2], [], [3]]


def test_two_packets_from_elsewhere_with_one_of_ours_between_are_no_stream() -> None:
    assert feed(JitterBuffer(FRAME), 0, 20_000, 1, 20_001, 2) == [[0], [], [1], [], [2]]


def test_what_waited_when_the_stream_starts_anew_is_lost() -> None:
    buffer = JitterBuffer(FRAME)

    given = feed(buffer, 0, 2, 30_000, 30_001, *range(30_002, 30_010))

    assert given[2:4] == [[], [30_000, 30_001]]
    assert given[4:] == [[number] for number in range(30_002, 30_010)]
    assert buffer.lost == 1
    assert buffer.depth == 0


def test_what_one_stream_gave_up_is_not_late_in_another() -> None:
    buffer = JitterBuffer(FRAME)
    feed(buffer, 0, 2, 3, 4, 5)  # 1 is given up
    feed(buffer, 30_000, 30_001)

    feed(buffer, 0, 1, 2, 1)

    assert buffer.late == 0


def test_the_same_packet_twice_from_elsewhere_is_no_stream() -> None:
    buffer = JitterBuffer(FRAME)

    assert feed(buffer, 0, 20_000, 20_000, 1) == [[0], [], [], [1]]


def test_sequence_and_timestamp_wrap_without_a_trace() -> None:
    buffer = JitterBuffer(FRAME)
    first = 2**32 - 7 * FRAME + 100
    sent = [
        Packet((65_530 + n) & 0xFFFF, (first + n * FRAME) & 0xFFFF_FFFF, bytes([n]))
        for n in range(30)
    ]
    # Two are swapped where the sequence wraps, one is lost where the timestamp does.
    order = [*range(5), 6, 5, *range(8, 30)]

    given: Given = []
    for n in order:
        buffer.put(sent[n])
        given += buffer.take()

    assert given == [*sent[:7], Lost(sent[8].payload), *sent[8:]]


def test_a_whole_round_of_the_sequence_is_heard() -> None:
    buffer = JitterBuffer(160)

    got = 0
    for n in range(70_000):
        buffer.put(Packet(n & 0xFFFF, (n * 160) & 0xFFFF_FFFF, b""))
        got += len(buffer.take())

    assert got == 70_000


@pytest.mark.parametrize("length_ms", [10, 40, 60, 120])
def test_packets_of_other_lengths_leave_as_they_come(length_ms: int) -> None:
    buffer = JitterBuffer(FRAME)
    count = 6000 // length_ms
    arrivals = [Arrival(length_ms * n, n) for n in range(count)]

    takes = list(carry(buffer, arrivals, 6000, phase_ms=7, length_ms=length_ms))

    # A first packet of 120 ms is not yet known to be that long.
    assert losses(takes) == (2 if length_ms == 120 else 0)
    assert numbers(takes)[-1] == (6000 - 13) // length_ms
    assert max(delays_ms(takes, length_ms)) <= 20


@pytest.mark.parametrize("length_ms", [10, 40, 60])
def test_what_is_lost_of_other_lengths_is_marked_for_as_long_as_it_was(length_ms: int) -> None:
    dice = random.Random(3)
    count = 24_000 // length_ms
    lost = {n for n in range(2, count - 20) if dice.random() < 0.05}
    arrivals = [Arrival(length_ms * n, n) for n in range(count) if n not in lost]

    takes = list(carry(JitterBuffer(FRAME), arrivals, 24_000, length_ms=length_ms))

    assert numbers(takes) == [n for n in range(count) if n not in lost][: len(numbers(takes))]
    assert abs(20 * losses(takes) - length_ms * len(lost)) <= 20


def test_a_single_short_packet_that_is_lost_is_marked() -> None:
    buffer = JitterBuffer(FRAME)
    for number in (0, 1, 3):
        buffer.put(packet(number, 10))
    given = [entry for take in waits(buffer, FIRST_TARGET + 1) for entry in take]

    assert given == [0, 1, "-3", 3]


def test_long_packets_are_not_missed_before_their_time() -> None:
    buffer = JitterBuffer(FRAME)
    for number in range(3):
        buffer.put(packet(number, 60))

    assert waits(buffer, FIRST_TARGET + 5) == [
        [0, 1, 2],
        *[[]] * (2 + FIRST_TARGET),
        *[["-"]] * 2,
    ]


def test_silence_that_was_never_sent_is_marked_so_that_time_passes() -> None:
    buffer = JitterBuffer(FRAME)
    # Speech, then a packet each 400 ms as Opus sends in silence, then speech.
    sent_at = [*range(0, 400, 20), *range(400, 4000, 400), *range(4000, 5000, 20)]

    given: Given = []
    for at in range(0, 5000, 20):
        if at in sent_at:
            buffer.put(Packet(sent_at.index(at), at * 48, b"voice"))
        given += buffer.take()

    assert len(given) == 5000 // 20
    assert all(each.next is None for each in given if isinstance(each, Lost))
    assert buffer.lost == 0
    # Speech is again heard at its time.
    assert [isinstance(each, Packet) for each in given[-50:]] == [True] * 50


def test_a_gap_in_both_counts_is_a_loss_of_as_much_as_the_timestamps_say() -> None:
    buffer = JitterBuffer(FRAME)
    feed(buffer, 0, 1)

    # One packet is lost, which the sender had sent after 100 ms of silence.
    buffer.put(Packet(3, 8 * FRAME, b"\0\0\0\x03"))
    given = [entry for take in waits(buffer, 9) for entry in take]

    assert given[:7] == ["-"] * 5 + ["-3", 3]


def test_a_missing_number_without_missing_time_is_not_marked() -> None:
    buffer = JitterBuffer(FRAME)
    feed(buffer, 0, 1)

    # Another payload, such as a key of a telephone, had number 2.
    buffer.put(Packet(3, 2 * FRAME, b"\0\0\0\x03"))

    assert waits(buffer, FIRST_TARGET + 1)[-1] == [3]


def test_a_flood_from_the_far_future_is_neither_kept_nor_followed() -> None:
    buffer = JitterBuffer(FRAME)
    feed(buffer, 0)

    for n in range(5000):
        buffer.put(Packet(1000 + 211 * n % 63_000, n * 7919 & 0xFFFF_FFFF, b"x"))

    assert buffer.depth == 0
    assert feed(buffer, 1) == [[1]]


def test_a_leap_of_the_timestamps_is_no_gap_without_end() -> None:
    buffer = JitterBuffer(FRAME)
    feed(buffer, 0, 1)

    buffer.put(Packet(2, 0x7000_0000, b"\0\0\0\x02"))
    assert words(buffer.take()) == ["-"] * LONGEST_GAP + [2]

    buffer.put(Packet(3, 0x0000_1000, b"\0\0\0\x03"))
    assert words(buffer.take()) == [3]

    # A loss after that is as long as it is.
    buffer.put(Packet(5, 0x0000_1000 + 2 * FRAME, b"\0\0\0\x05"))
    assert waits(buffer, FIRST_TARGET + 1)[-1] == ["-5", 5]


def test_when_nobody_takes_the_oldest_make_room_and_count_as_lost() -> None:
    buffer = JitterBuffer(FRAME)

    for number in range(MOST_WAITING + 30):
        buffer.put(packet(number))
    assert buffer.depth == MOST_WAITING
    first = words(buffer.take())

    assert first == list(range(30, 30 + MOST_AT_ONCE))
    assert buffer.lost == 30


def test_a_burst_after_two_seconds_loses_nothing_but_what_is_missing() -> None:
    buffer = JitterBuffer(FRAME)
    feed(buffer, 0)
    waits(buffer, 100)

    sent = [number for number in range(1, 120) if number % 5]
    for number in sent:
        buffer.put(packet(number))
    given = [entry for take in waits(buffer, 12) for entry in take]

    assert [entry for entry in given if isinstance(entry, int)] == sent
    assert f"-{sent[60]}" in given


def test_a_call_full_of_losses_keeps_no_list_of_them() -> None:
    buffer = JitterBuffer(FRAME)
    feed(buffer, *range(0, 4000, 2))

    kept = [len(each) for each in vars(buffer).values() if isinstance(each, dict)]

    assert max(kept) <= MOST_WAITING


def test_the_depth_is_told_in_frames() -> None:
    buffer = JitterBuffer(FRAME)
    for n in (0, 1, 3, 4):
        buffer.put(packet(n, 60))
        buffer.take()

    assert buffer.depth == 6


near = st.integers(0, 12).map(lambda n: Packet(n, n * FRAME, b"%d" % n))
far = st.builds(Packet, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF), st.just(b"far"))
skewed = st.builds(Packet, st.integers(0, 200), st.integers(0, 0xFFFF_FFFF), st.just(b"skewed"))


@given(st.lists(st.none() | near | skewed | far, max_size=120))
def test_whatever_comes_what_is_given_is_bounded_and_known(steps: list[Packet | None]) -> None:
    buffer = JitterBuffer(FRAME)
    put: list[Packet] = []

    for step in steps:
        if step is not None:
            buffer.put(step)
            put.append(step)
            continue
        given = buffer.take()
        assert len(given) <= MOST_AT_ONCE + LONGEST_GAP + 1
        for each in given:
            if isinstance(each, Packet):
                put.remove(each)
    assert LEAST_TARGET <= buffer.target <= MOST_TARGET
    assert buffer.received >= len(put)
    assert buffer.late <= buffer.lost


@given(st.permutations(range(8)), st.sets(st.integers(0, 7)))
def test_any_order_within_the_target_is_put_right(order: list[int], twice: set[int]) -> None:
    buffer = JitterBuffer(FRAME)
    for number in [*order, *twice]:
        buffer.put(packet(number))

    assert words(buffer.take()) == list(range(8))
