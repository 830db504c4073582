"""The binding of libopus: what it promises beyond what the codecs of a call show."""

import ctypes
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vivavoce.transports.webrtc import opus
from vivavoce.transports.webrtc.opus import Decoder, Encoder, OpusError, OpusMissing

FRAME = 960  # bytes of 20 ms


@pytest.fixture
def fresh_library() -> Iterator[None]:
    """The library is looked for anew, and again after the test."""
    opus.library.cache_clear()
    yield
    opus.library.cache_clear()


def encoder() -> Encoder:
    return Encoder(bitrate=32000, complexity=2, expected_loss_percent=10)


def tone(hertz: float, frames: int) -> list[bytes]:
    time = np.arange(frames * 480) / 24000
    pcm = (8000 * np.sin(2 * np.pi * hertz * time)).astype("<i2").tobytes()
    return [pcm[at : at + FRAME] for at in range(0, len(pcm), FRAME)]


def samples(pcm: bytes) -> NDArray[np.float64]:
    return np.frombuffer(pcm, "<i2").astype(np.float64)


def foreign_packets(duration_ms: int, left: float, right: float, channels: int = 2) -> list[bytes]:
    """Three packets in a row from an encoder at 48 kHz, of tones at 500 Hz that loud."""
    c = opus.library()
    status = ctypes.c_int()
    handle = c.opus_encoder_create(48000, channels, 2049, status)
    assert status.value == 0
    out = ctypes.create_string_buffer(4000)
    time = np.arange(3 * duration_ms * 48) / 48000
    wave = np.sin(2 * np.pi * 500 * time)
    both = np.stack([left * wave, right * wave][:channels], axis=1).astype("<i2")
    packets = []
    for third in np.split(both, 3):
        size = c.opus_encode(handle, third.tobytes(), len(third), out, 4000)
        assert size > 0
        packets.append(ctypes.string_at(out, size))
    c.opus_encoder_destroy(handle)
    return packets


def found_by(find: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages are found so, and the system has an Opus."""
    monkeypatch.setattr(importlib.util, "find_spec", find)
    monkeypatch.setattr(opus, "find_library", "lib{}.so.0".format)


@pytest.mark.skipif(sys.platform != "linux", reason="wheels for other systems keep it elsewhere")
def test_the_library_in_pyavs_wheel_is_found_without_importing_pyav() -> None:
    found = "from vivavoce.transports.webrtc import opus; import sys; opus.library(); "

    told = subprocess.run(
        [sys.executable, "-c", found + "print(opus.library()._name, 'av' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )

    path, imported = told.stdout.split()
    assert Path(path).parent.name == "av.libs"
    assert imported == "False"


@pytest.mark.parametrize(
    "place", ["site/av.libs/libopus-5a.so.0.11.1", "site/av/.dylibs/libopus.0.dylib"]
)
def test_the_wheels_library_comes_before_the_systems(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (place, "site/av/__init__.py", "site/av.libs/libopusenc-1.so"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    spec = importlib.util.spec_from_file_location("av", tmp_path / "site/av/__init__.py")
    found_by({"av": spec}.get, monkeypatch)

    assert list(opus.libraries()) == [str(tmp_path / place), "libopus.so.0"]


def test_without_pyav_the_systems_library_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    found_by({}.get, monkeypatch)

    assert list(opus.libraries()) == ["libopus.so.0"]


@pytest.mark.usefixtures("fresh_library")
def test_a_library_that_does_not_load_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = next(opus.libraries())
    wrong = tmp_path / "libopus-1.so"
    wrong.write_bytes(b"for another machine")
    monkeypatch.setattr(opus, "libraries", lambda: iter([str(wrong), right]))

    assert opus.library()._name == right


@pytest.mark.usefixtures("fresh_library")
def test_where_there_is_no_library_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opus, "libraries", lambda: iter(()))

    with pytest.raises(OpusMissing, match=r"pip install .* av.*libopus0"):
        Encoder(32000, 2, 10)


def test_a_setting_out_of_range_is_refused_in_the_librarys_words() -> None:
    with pytest.raises(OpusError, match="libopus: invalid argument"):
        Encoder(bitrate=32000, complexity=11, expected_loss_percent=10)


@pytest.mark.parametrize("size", [0, 958, 962, 1920])
def test_a_frame_of_another_length_is_not_encoded(size: int) -> None:
    with pytest.raises(ValueError, match=f"a frame has 960 bytes, not {size}"):
        encoder().encode(bytes(size))


def test_encoders_and_decoders_give_their_memory_back(monkeypatch: pytest.MonkeyPatch) -> None:
    freed: list[str] = []

    class Watched:
        def __getattr__(self, name: str) -> Any:  # a function of the library
            called = getattr(real, name)

            def free(handle: int) -> None:
                freed.append(name)
                called(handle)

            return free if name.endswith("destroy") else called

    real = opus.library()
    monkeypatch.setattr(opus, "library", Watched)

    mouth, ears = encoder(), Decoder()
    assert freed == []
    del mouth
    assert freed == ["opus_encoder_destroy"]
    del ears
    assert freed == ["opus_encoder_destroy", "opus_decoder_destroy"]


def test_sound_comes_as_late_as_the_encoder_says() -> None:
    noise = np.random.default_rng(1).normal(0, 3000, 50 * 480)
    pcm = np.convolve(noise, np.hanning(24) / 12, "same").astype("<i2").tobytes()
    ears, mouth = Decoder(), encoder()

    frames = [pcm[at : at + FRAME] for at in range(0, len(pcm), FRAME)]
    heard = samples(b"".join(ears.decode(mouth.encode(frame)) for frame in frames))

    spectra = np.fft.rfft(samples(pcm)).conj() * np.fft.rfft(heard)
    lag = int(np.argmax(np.fft.irfft(spectra)))
    assert mouth.delay_ms == 6.5
    assert abs(lag - 24 * 6.5) <= 2


@pytest.mark.parametrize("duration_ms", [5, 10, 20, 40, 60, 80, 100, 120])
def test_a_packet_decodes_to_its_own_length(duration_ms: int) -> None:
    pcm = Decoder().decode(foreign_packets(duration_ms, 8000, 8000, channels=1)[0])

    assert len(pcm) == duration_ms * 48


def test_stereo_decodes_to_one_voice_between_both() -> None:
    ears = Decoder()

    heard = [samples(ears.decode(packet)) for packet in foreign_packets(60, 12000, 4000)]

    level = np.sqrt(2 * np.mean(heard[-1] ** 2))
    assert level == pytest.approx(8000, rel=0.1)


def test_a_broken_packet_is_refused_and_the_next_one_decoded() -> None:
    decoder = Decoder()
    packets = [mouth.encode(frame) for mouth in [encoder()] for frame in tone(300, 4)]
    broken = b"\x03\xff"  # 63 frames: more than 120 ms

    undisturbed = Decoder()
    expected = [undisturbed.decode(packet) for packet in packets]
    heard = [decoder.decode(packet) for packet in packets[:2]]
    with pytest.raises(OpusError, match="libopus: corrupted stream"):
        decoder.decode(broken)
    with pytest.raises(OpusError, match="empty"):
        decoder.decode(b"")
    heard += [decoder.decode(packet) for packet in packets[2:]]

    assert heard == expected


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=20))
def test_garbage_is_refused_or_decodes_to_some_sound(packets: list[bytes]) -> None:
    decoder = Decoder()
    for packet in packets:
        try:
            pcm = decoder.decode(packet)
        except OpusError:
            pcm = decoder.conceal()
        assert 0 < len(pcm) <= 120 * 48
        assert len(pcm) % 120 == 0  # 2.5 ms
