"""G.711 against its definition. Expected values are the standard's, scaled to 16 bits."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from vivavoce.audio.formats import decode, encode

Law = Literal["audio/pcmu", "audio/pcma"]
LAWS: list[Law] = ["audio/pcmu", "audio/pcma"]
EVERY_SAMPLE = np.arange(-32768, 32768).astype("<i2")
EVERY_CODE = bytes(range(256))


def decoded(law: Law, wire: bytes) -> NDArray[np.int_]:
    return np.frombuffer(decode(law, wire), "<i2").astype(np.int_)


def encoded(law: Law, *samples: int) -> bytes:
    return encode(law, np.array(samples, "<i2").tobytes())


def test_pcm16_passes_through_without_a_copy() -> None:
    wire = b"\x01\x02\x03\x04"

    assert decode("audio/pcm", wire) is wire
    assert encode("audio/pcm", wire) is wire


# The edges of the eight segments and the values on either side of each, from the tables 2a and 1a
# of G.711, where mu-law counts to 8159 and A-law to 4096.
@pytest.mark.parametrize(
    ("code", "value"),
    [
        (0xFF, 0),
        (0xFE, 2),
        (0xF0, 30),
        (0xEF, 33),
        (0xE0, 93),
        (0xDF, 99),
        (0xCF, 231),
        (0xBF, 495),
        (0xAF, 1023),
        (0x9F, 2079),
        (0x8F, 4191),
        (0x80, 8031),
    ],
)
def test_mu_law_codes_stand_for_the_values_of_the_standard(code: int, value: int) -> None:
    assert decoded("audio/pcmu", bytes([code, code & 0x7F])).tolist() == [4 * value, -4 * value]


@pytest.mark.parametrize(
    ("code_before_inversion", "value"),
    [
        (0x80, 1),
        (0x8F, 31),
        (0x90, 33),
        (0x9F, 63),
        (0xA0, 66),
        (0xB0, 132),
        (0xC0, 264),
        (0xD0, 528),
        (0xE0, 1056),
        (0xF0, 2112),
        (0xFF, 4032),
    ],
)
def test_a_law_codes_stand_for_the_values_of_the_standard(
    code_before_inversion: int, value: int
) -> None:
    wire = bytes([code_before_inversion ^ 0x55, (code_before_inversion & 0x7F) ^ 0x55])

    assert decoded("audio/pcma", wire).tolist() == [8 * value, -8 * value]


@pytest.mark.parametrize(
    ("law", "samples", "codes"),
    [
        ("audio/pcmu", [0, 3, 4, 11, 12], [0xFF, 0xFF, 0xFE, 0xFE, 0xFD]),
        ("audio/pcmu", [123, 124, 4 * 4063 - 1, 4 * 4063], [0xF0, 0xEF, 0x90, 0x8F]),
        ("audio/pcmu", [32767, -32768, -3, -4], [0x80, 0x00, 0x7F, 0x7E]),
        ("audio/pcma", [0, 15, 16, -1, -16], [0xD5, 0xD5, 0xD4, 0x55, 0x54]),
        ("audio/pcma", [8 * 2048 - 1, 8 * 2048], [0xEF ^ 0x55, 0xF0 ^ 0x55]),
        ("audio/pcma", [32767, -32768], [0xFF ^ 0x55, 0x7F ^ 0x55]),
    ],
)
def test_the_standards_decision_values_divide_the_codes(
    law: Law, samples: list[int], codes: list[int]
) -> None:
    assert list(encoded(law, *samples)) == codes


@pytest.mark.parametrize("law", LAWS)
def test_a_code_decoded_and_encoded_is_the_same_code(law: Law) -> None:
    again = encode(law, decode(law, EVERY_CODE))

    # Mu-law has a second code for nought, which nothing is encoded as.
    assert again == (EVERY_CODE.replace(b"\x7f", b"\xff") if law == "audio/pcmu" else EVERY_CODE)


@pytest.mark.parametrize("law", LAWS)
def test_louder_is_never_coded_as_quieter(law: Law) -> None:
    assert np.all(np.diff(decoded(law, encode(law, EVERY_SAMPLE.tobytes()))) >= 0)


@pytest.mark.parametrize(("law", "floor"), [("audio/pcmu", 4), ("audio/pcma", 8)])
def test_the_error_is_at_most_half_a_step_which_is_a_thirty_second_of_the_value(
    law: Law, floor: int
) -> None:
    full_scale = 32635 if law == "audio/pcmu" else 32767  # mu-law: 8159 * 4, clipped beyond
    samples = EVERY_SAMPLE[np.abs(EVERY_SAMPLE.astype(np.int_)) <= full_scale].astype(np.int_)

    error = np.abs(decoded(law, encoded(law, *samples)) - samples)

    bias = 132 if law == "audio/pcmu" else 0
    assert np.all(error <= np.maximum(floor, (np.abs(samples) + bias) / 32))


@pytest.mark.parametrize("law", LAWS)
def test_the_two_signs_are_coded_alike(law: Law) -> None:
    louder = np.arange(1, 32768)

    positive = np.frombuffer(encoded(law, *louder), np.uint8)
    negative = np.frombuffer(encoded(law, *-louder), np.uint8)

    assert np.all(positive ^ negative == 0x80)


@given(st.binary(max_size=64), st.sampled_from(LAWS))
def test_each_code_is_one_sample(wire: bytes, law: Law) -> None:
    assert len(decode(law, wire)) == 2 * len(wire)


def test_half_a_sample_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="multiple of element size"):
        encode("audio/pcmu", b"\x00\x00\x00")
