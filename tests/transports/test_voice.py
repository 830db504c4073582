"""The codecs of a call, each as an encoder and a decoder that hear each other."""

import ctypes
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vivavoce.transports.webrtc import opus
from vivavoce.transports.webrtc.offer import AudioCodec
from vivavoce.transports.webrtc.voice import decoder_of, encoder_of

OPUS = AudioCodec("opus", 111, 48000)
PCMU = AudioCodec("PCMU", 0, 8000)
PCMA = AudioCodec("PCMA", 8, 8000)
CODECS = pytest.mark.parametrize("codec", [OPUS, PCMU, PCMA], ids=lambda codec: codec.name)
G711 = pytest.mark.parametrize("codec", [PCMU, PCMA], ids=lambda codec: codec.name)

DELAY = {"opus": 156, "PCMU": 48, "PCMA": 48}  # samples at 24 kHz: 6.5 ms, and 1 ms each way
HUM = {"opus": 1, "PCMU": 0, "PCMA": 9}  # what silence may sound like; A-law has no nought
FRAME = 960  # bytes of 20 ms

Samples = NDArray[np.float64]


def voiced(frames: int) -> list[bytes]:
    """Like somebody's long vowels: a gliding pitch, formants, syllables."""
    time = np.arange(frames * 480) / 24000
    pitch = 140 + 30 * np.sin(2 * np.pi * 0.9 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / 24000
    wave = np.zeros_like(time)
    for harmonic in range(1, 24):
        hertz = 140 * harmonic
        formants = sum(1 / (1 + ((hertz - peak) / 120) ** 2) for peak in (500, 1500, 2500))
        wave += (0.05 + formants) / harmonic**0.5 * np.sin(harmonic * phase)
    wave *= 0.6 + 0.4 * np.sin(2 * np.pi * 4 * time)
    return cut((wave * 9000 / np.abs(wave).max()).astype("<i2").tobytes())


def tone(hertz: float, frames: int) -> list[bytes]:
    time = np.arange(frames * 480) / 24000
    return cut((8000 * np.sin(2 * np.pi * hertz * time)).astype("<i2").tobytes())


def cut(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + FRAME] for at in range(0, len(pcm), FRAME)]


def samples(*pcm: bytes) -> Samples:
    return np.frombuffer(b"".join(pcm), "<i2").astype(np.float64)


def peak(*pcm: bytes) -> float:
    return float(np.abs(samples(*pcm)).max())


def level(*pcm: bytes) -> float:
    return float(np.sqrt(np.mean(samples(*pcm) ** 2)))


def largest_step(*pcm: bytes) -> float:
    """Between two neighbouring samples: a click is a large one."""
    return float(np.abs(np.diff(samples(*pcm))).max())


def error_db(heard: Samples, right: Samples) -> float:
    return 10 * float(np.log10(np.sum((heard - right) ** 2) / np.sum(right**2)))


def bands_db(heard: Samples) -> Samples:
    """Levels of third-octave-like bands from 140 Hz to 3 kHz."""
    power = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) ** 2
    edges = np.geomspace(120, 3000, 13) * len(heard) / 24000
    return np.array(
        [10 * np.log10(power[int(low) : int(high)].sum()) for low, high in pairwise(edges)]
    )


def packets_of(codec: AudioCodec, frames: Sequence[bytes | None]) -> list[bytes]:
    encoder = encoder_of(codec)
    return [encoder.encode(frame) for frame in frames]


def heard_from(codec: AudioCodec, packets: list[bytes]) -> list[bytes]:
    decoder = decoder_of(codec)
    return [decoder.decode(packet) for packet in packets]


def opus_elsewhere(packets: list[bytes], rate_hz: int, channels: int) -> Samples:
    """What a listener's decoder makes of packets, all channels behind each other."""
    c = opus.library()
    handle = c.opus_decoder_create(rate_hz, channels, ctypes.c_int())
    out = ctypes.create_string_buffer(2 * channels * rate_hz // 50)
    heard = []
    for packet in packets:
        assert c.opus_decode(handle, packet, len(packet), out, rate_hz // 50, 0) == rate_hz // 50
        heard.append(out.raw)
    c.opus_decoder_destroy(handle)
    return samples(*heard)


@pytest.mark.parametrize(("codec", "ticks"), [(OPUS, 960), (PCMU, 160), (PCMA, 160)])
def test_a_frame_lasts_20_ms_by_the_clock_of_its_codec(codec: AudioCodec, ticks: int) -> None:
    assert encoder_of(codec).ticks == ticks


@CODECS
def test_a_voice_keeps_its_spectrum_and_level(codec: AudioCodec) -> None:
    said = voiced(100)

    heard = heard_from(codec, packets_of(codec, said))

    assert level(*heard) == pytest.approx(level(*said), rel=0.1)
    late = samples(*heard)[DELAY[codec.name] :]
    assert np.abs(bands_db(late) - bands_db(samples(*said)[: len(late)])).max() < 1.5


def hiss_db(wave: Samples) -> float:
    """The level between 8.5 and 11 kHz."""
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    return 10 * float(np.log10(power[len(power) * 17 // 24 : len(power) * 22 // 24].sum()))


def test_opus_carries_a_hiss_and_begins_it_where_it_begins() -> None:
    noise = np.fft.rfft(np.random.default_rng(2).normal(0, 1, 100 * 480))
    hertz = np.fft.rfftfreq(100 * 480, 1 / 24000)
    hiss = np.fft.irfft(noise * ((hertz > 8500) & (hertz < 11000)))
    hissing = np.arange(100 * 480) // 2400 % 2  # 100 ms without, 100 ms with it
    said = samples(*voiced(100)) / 3 + 2000 * hissing * hiss / hiss.std()

    heard = samples(*heard_from(OPUS, packets_of(OPUS, cut(said.astype("<i2").tobytes()))))[156:]

    for onset in range(2400, 90 * 480, 4800):
        level_said, level_heard = hiss_db(said[onset:][:2400]), hiss_db(heard[onset:][:2400])
        just_before, just_after = hiss_db(heard[onset - 120 : onset]), hiss_db(heard[onset:][:120])
        assert level_heard == pytest.approx(level_said, abs=2)
        assert just_before < just_after - 20


@CODECS
def test_sound_comes_as_late_as_is_stated(codec: AudioCodec) -> None:
    noise = np.random.default_rng(1).normal(0, 3000, 50 * 480)
    frames = cut(np.convolve(noise, np.hanning(24) / 12, "same").astype("<i2").tobytes())

    heard = samples(*heard_from(codec, packets_of(codec, frames)))

    spectra = np.fft.rfft(samples(*frames)).conj() * np.fft.rfft(heard)
    lag = int(np.argmax(np.fft.irfft(spectra)))
    assert abs(lag - DELAY[codec.name]) <= 2


@CODECS
def test_every_frame_of_20_ms_is_answered_in_full(codec: AudioCodec) -> None:
    heard = heard_from(codec, packets_of(codec, voiced(30)))

    assert {len(pcm) for pcm in heard} == {FRAME}


@G711
@pytest.mark.parametrize("milliseconds", [10, 20, 30, 40, 60])
def test_a_g711_payload_decodes_to_its_own_length(codec: AudioCodec, milliseconds: int) -> None:
    decoder = decoder_of(codec)

    for _ in range(3):
        assert len(decoder.decode(bytes(8 * milliseconds))) == 48 * milliseconds


@CODECS
def test_two_calls_do_not_hear_each_other(codec: AudioCodec) -> None:
    one, other = voiced(20), tone(700, 20)
    encoders = encoder_of(codec), encoder_of(codec)
    decoders = decoder_of(codec), decoder_of(codec)

    packets = [
        tuple(encoder.encode(frame) for encoder, frame in zip(encoders, pair, strict=True))
        for pair in zip(one, other, strict=True)
    ]
    heard = [
        tuple(decoder.decode(packet) for decoder, packet in zip(decoders, pair, strict=True))
        for pair in packets
    ]

    assert [pair[0] for pair in packets] == packets_of(codec, one)
    assert [pair[1] for pair in heard] == heard_from(codec, packets_of(codec, other))


@CODECS
def test_before_anybody_spoke_silence_costs_nothing_and_is_silent(codec: AudioCodec) -> None:
    packets = packets_of(codec, [None] * 5)

    assert len(set(packets)) == 1
    assert peak(*heard_from(codec, packets)) <= HUM[codec.name]


@pytest.mark.parametrize(
    ("codec", "silence"),
    [(OPUS, b"\xf8\xff\xfe"), (PCMU, b"\xff" * 160), (PCMA, b"\xd5" * 160)],
)
def test_three_frames_after_the_last_word_silence_is_always_the_same_packet(
    codec: AudioCodec, silence: bytes
) -> None:
    packets = packets_of(codec, [*voiced(20), *[None] * 10])

    assert packets[23:] == [silence] * 7
    assert packets[20] != silence
    assert packets[22] != silence or codec is not OPUS


@CODECS
def test_a_voice_that_breaks_off_in_mid_sound_ends_without_a_click(codec: AudioCodec) -> None:
    said = voiced(23)

    heard = heard_from(codec, packets_of(codec, [*said, *[None] * 8]))

    turning = heard[22:]  # the last frame of sound and what follows
    assert largest_step(*turning) <= 1.5 * largest_step(*said)
    assert largest_step(*heard[26:]) <= 4  # where encoding ends
    assert peak(*heard[27:]) <= HUM[codec.name]


@pytest.mark.parametrize(("rate_hz", "channels"), [(48000, 2), (48000, 1), (16000, 1)])
def test_listeners_of_any_kind_hear_opus_silence_as_silence(rate_hz: int, channels: int) -> None:
    packets = packets_of(OPUS, [*voiced(23), *[None] * 60])

    heard = opus_elsewhere(packets, rate_hz, channels)

    assert np.abs(heard[-57 * channels * rate_hz // 50 :]).max() <= 4
    assert np.abs(heard[-56 * channels * rate_hz // 50 :]).max() == 0


@pytest.mark.parametrize("pause", [4, 5, 50])
def test_after_a_pause_opus_begins_as_well_as_if_all_silence_had_been_encoded(pause: int) -> None:
    said = voiced(100)
    encoded: list[float] = []
    saved: list[float] = []
    for at in range(20, 90, 7):
        right = samples(*said[at : at + 3])[:-156]
        for silence, errors in ((bytes(FRAME), encoded), (None, saved)):
            frames = [*said[at - 10 : at], *[silence] * pause, *said[at : at + 3]]
            heard = samples(*heard_from(OPUS, packets_of(OPUS, frames))[10 + pause :])[156:]
            errors.append(float(np.abs(bands_db(heard) - bands_db(right)).mean()))

    assert np.mean(saved) < np.mean(encoded) + 0.2


@G711
@pytest.mark.parametrize("pause", [1, 3, 4, 50])
def test_g711_silence_is_saved_without_a_trace(codec: AudioCodec, pause: int) -> None:
    said = voiced(20)

    saved = packets_of(codec, [*said[:10], *[None] * pause, *said[10:]])

    assert saved == packets_of(codec, [*said[:10], *[bytes(FRAME)] * pause, *said[10:]])


def test_a_lost_opus_packet_is_recovered_better_from_the_next_one_than_concealed() -> None:
    packets = packets_of(OPUS, voiced(120))
    right = heard_from(OPUS, packets)

    def errors(*, recover: bool) -> list[float]:
        found = []
        for lost in range(30, 110, 8):
            decoder = decoder_of(OPUS)
            for packet in packets[:lost]:
                decoder.decode(packet)
            pcm = decoder.conceal(packets[lost + 1] if recover else None)
            found.append(error_db(samples(pcm), samples(right[lost])))
        return found

    concealed, recovered = np.median(errors(recover=False)), np.median(errors(recover=True))
    assert recovered < -6
    assert recovered < concealed - 4


@CODECS
def test_what_is_lost_is_replaced_by_something_like_it_that_fades_within_100_ms(
    codec: AudioCodec,
) -> None:
    decoder = decoder_of(codec)
    packets = packets_of(codec, voiced(26))
    heard = [decoder.decode(packet) for packet in packets]

    levels = [level(decoder.conceal(None)) / level(heard[-1]) for _ in range(8)]

    assert 0.4 < levels[0] < 1.2
    assert levels[2] < 0.5 * levels[0]
    assert all(later < 1.1 * sooner + 0.01 for sooner, later in pairwise(levels))
    assert levels[5:] == [0, 0, 0]


def test_a_lost_tone_of_a_music_encoder_ends_after_100_ms_and_resumes_without_a_click() -> None:
    c = opus.library()
    handle = c.opus_encoder_create(48000, 1, 2051, ctypes.c_int())  # transform mode only
    out = ctypes.create_string_buffer(1276)
    wave = (8000 * np.sin(np.arange(30 * 960) * 2 * np.pi * 440 / 48000)).astype("<i2")
    packets = []
    for frame in np.split(wave, 30):
        size = c.opus_encode(handle, frame.tobytes(), 960, out, 1276)
        packets.append(out.raw[:size])
    c.opus_encoder_destroy(handle)
    decoder = decoder_of(OPUS)

    for packet in packets[:20]:
        decoder.decode(packet)
    concealed = [decoder.conceal(None) for _ in range(7)]
    resumed = [decoder.decode(packet) for packet in packets[27:]]

    assert level(concealed[3]) > 1000  # the library would go on
    assert peak(*concealed[5:]) == 0
    assert largest_step(*concealed, *resumed) <= 1.1 * 8000 * 2 * np.pi * 440 / 24000


@CODECS
@pytest.mark.parametrize("lost", [1, 3, 10])
def test_a_gap_begins_and_ends_without_a_click(codec: AudioCodec, lost: int) -> None:
    said = tone(310, 60)
    packets = packets_of(codec, said)
    decoder = decoder_of(codec)

    heard = [decoder.decode(packet) for packet in packets[:30]]
    heard += [decoder.conceal(None) for _ in range(lost)]
    heard += [decoder.decode(packet) for packet in packets[30 + lost :]]

    assert largest_step(*heard[20:]) < 2 * largest_step(*said)
    assert {len(pcm) for pcm in heard} == {FRAME}
    assert level(*heard[-15:]) == pytest.approx(level(*said), rel=0.1)


@G711
def test_g711_goes_on_where_the_wave_broke_off(codec: AudioCodec) -> None:
    packets = packets_of(codec, voiced(60))
    right = heard_from(codec, packets)
    likeness = []
    for lost in range(10, 60, 3):
        decoder = decoder_of(codec)
        for packet in packets[:lost]:
            decoder.decode(packet)
        gap, lost_sound = samples(decoder.conceal(None))[:240], samples(right[lost])[:240]
        likeness.append(gap @ lost_sound / np.sqrt((gap @ gap) * (lost_sound @ lost_sound)))

    assert np.median(likeness) > 0.6


@G711
@pytest.mark.parametrize("hertz", [100, 200, 250, 400, 500, 800, 1000])
def test_a_steady_tone_goes_on_in_step_through_a_gap_of_g711(
    codec: AudioCodec, hertz: float
) -> None:
    packets = packets_of(codec, tone(hertz, 12))
    decoder = decoder_of(codec)
    for packet in packets[:10]:
        decoder.decode(packet)

    gap, right = samples(decoder.conceal(None)), samples(heard_from(codec, packets)[10])

    fading = right * (1 - np.arange(480) / 1440)
    assert error_db(gap, fading) < -20


@CODECS
def test_a_second_gap_goes_on_with_what_came_since_the_first(codec: AudioCodec) -> None:
    low, high = packets_of(codec, tone(200, 20)), packets_of(codec, tone(900, 20))
    decoder = decoder_of(codec)
    for packet in low:
        decoder.decode(packet)
    first = decoder.conceal(None)
    for packet in high[5:]:
        decoder.decode(packet)

    second = decoder.conceal(None)

    spectrum = np.abs(np.fft.rfft(samples(second) * np.hanning(480)))
    assert abs(int(np.argmax(spectrum)) * 50 - 900) <= 50
    assert level(second) == pytest.approx(level(first), rel=0.25)


@CODECS
def test_an_empty_payload_is_concealed(codec: AudioCodec) -> None:
    packets = packets_of(codec, voiced(30))
    decoder, other = decoder_of(codec), decoder_of(codec)
    for packet in packets:
        decoder.decode(packet)
        other.decode(packet)

    assert decoder.decode(b"") == other.conceal(None)


@pytest.mark.parametrize("broken", [b"\x03\xff", b"\x01\x00\x00\x00"])
def test_a_broken_opus_packet_sounds_as_if_it_were_lost(broken: bytes) -> None:
    packets = packets_of(OPUS, voiced(30))
    decoder, other, third = (decoder_of(OPUS) for _ in range(3))
    for packet in packets:
        for hearing in (decoder, other, third):
            hearing.decode(packet)

    expected = third.conceal(None)

    assert decoder.decode(broken) == expected
    assert other.conceal(broken) == expected


Step = tuple[Literal["decode", "conceal"], bytes | None]
STEPS = st.lists(
    st.tuples(st.just("decode"), st.binary(max_size=400))
    | st.tuples(st.just("conceal"), st.none() | st.binary(max_size=100)),
    max_size=20,
)


@CODECS
@settings(deadline=None)
@given(steps=STEPS)
def test_nothing_that_arrives_is_refused(codec: AudioCodec, steps: list[Step]) -> None:
    decoder = decoder_of(codec)
    for deed, payload in steps:
        if deed == "conceal":
            assert len(decoder.conceal(payload)) == FRAME
        else:
            pcm = decoder.decode(payload or b"")
            assert 0 < len(pcm) <= 120 * 48
            assert len(pcm) % 2 == 0
