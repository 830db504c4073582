from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.input_buffer import InputBuffer
from vivavoce.core.settings import AudioFormat

PCM = AudioFormat("audio/pcm")
MULAW = AudioFormat("audio/pcmu")


def test_the_clock_counts_a_tick_for_a_sample_of_pcm_and_three_for_one_of_g711() -> None:
    wide, narrow = InputBuffer(PCM), InputBuffer(MULAW)
    wide.append(bytes(200))
    narrow.append(bytes(200))

    assert (wide.end, narrow.end) == (100, 300)


def test_taking_leaves_what_lies_behind() -> None:
    buffer = InputBuffer(PCM)
    buffer.append(bytes(range(20)))

    assert buffer.take(2, 5) == bytes(range(4, 10))
    assert buffer.start == 5
    assert buffer.between(0, buffer.end) == bytes(range(10, 20))


def test_clearing_does_not_turn_back_the_clock() -> None:
    buffer = InputBuffer(PCM)
    buffer.append(bytes(100))

    buffer.clear()

    assert (buffer.start, buffer.end, buffer.byte_count) == (50, 50, 0)


def test_the_clock_goes_on_when_the_format_changes() -> None:
    buffer = InputBuffer(PCM)
    buffer.append(bytes(48))

    buffer.change(MULAW)
    buffer.append(bytes(16))

    assert (buffer.start, buffer.end) == (24, 48)


def test_half_a_sample_that_was_cleared_does_not_shift_what_follows() -> None:
    buffer = InputBuffer(PCM)
    buffer.append(b"\x01\x02\x03")

    buffer.clear()

    assert buffer.append(b"\x04\x05") == b"\x04\x05"


@given(st.binary(max_size=200), st.lists(st.integers(0, 30), max_size=20))
def test_any_chunking_of_the_wire_gives_the_same_samples(audio: bytes, sizes: list[int]) -> None:
    buffer, rest = InputBuffer(PCM), audio
    for size in [*sizes, len(audio)]:
        buffer.append(rest[:size])
        rest = rest[size:]

    assert buffer.between(0, buffer.end) == audio[: len(audio) // 2 * 2]
