"""Opus by ctypes: one voice in frames of 20 ms, encoded and decoded at 24 kHz.

libopus takes and gives 24 kHz as it is, so no resampler stands between it and a call. The wheel of
PyAV, which aiortc brings, carries a build of it; without one the system's is taken. Neither needs
PyAV to be imported.

The library is called with the interpreter's lock held. A call takes 20 to 90 microseconds; if it
let go of the lock, a busy thread would keep it for five milliseconds, at every call (measured).
"""

import ctypes
import importlib.util
from collections.abc import Iterator
from ctypes.util import find_library
from functools import cache
from pathlib import Path
from weakref import finalize

RATE_HZ = 24000
FRAME_SAMPLES = 480  # 20 ms
FRAME_BYTES = 2 * FRAME_SAMPLES
LONGEST_SAMPLES = 2880  # 120 ms: no packet is longer
MOST_BYTES = 1276  # no packet of one frame is larger

VOIP = 2048
SET_BITRATE, SET_COMPLEXITY, SET_INBAND_FEC = 4002, 4010, 4012
SET_PACKET_LOSS_PERCENT, SET_SIGNAL, GET_LOOKAHEAD = 4014, 4024, 4027
VOICE = 3001


class OpusMissing(Exception):  # noqa: N818 - named by what the operator has to know
    """There is no libopus on this machine."""


class OpusError(Exception):
    """libopus refused, in its own words. After it the encoder or decoder works on as before."""


def libraries() -> Iterator[str]:
    """Where libopus is, the best place first."""
    if (av := importlib.util.find_spec("av")) and av.origin:
        package = Path(av.origin).parent
        yield from map(str, sorted(package.with_name("av.libs").glob("libopus-*.so*")))
        yield from map(str, sorted((package / ".dylibs").glob("libopus.*dylib")))
    if name := find_library("opus"):
        yield name


@cache
def library() -> ctypes.PyDLL:
    """libopus, its functions declared; raises `OpusMissing` with what to do about it."""
    for path in libraries():
        try:
            return declared(ctypes.PyDLL(path))
        except OSError:  # built for something else: the next one may do
            continue
    raise OpusMissing(
        "no libopus found: reinstall PyAV from its wheel (pip install --force-reinstall av), "
        "or install the system's (Debian, Ubuntu: libopus0; Fedora: opus; macOS: brew install opus)"
    )


def declared(c: ctypes.PyDLL) -> ctypes.PyDLL:
    """The types of what is called. A *ctl* is variadic: what follows its number stays undeclared."""
    handle, number = ctypes.c_void_p, ctypes.c_int
    status = ctypes.POINTER(ctypes.c_int)
    c.opus_strerror.restype = ctypes.c_char_p
    c.opus_encoder_create.restype = c.opus_decoder_create.restype = handle
    c.opus_encoder_create.argtypes = (number, number, number, status)
    c.opus_decoder_create.argtypes = (number, number, status)
    c.opus_encoder_ctl.argtypes = (handle, number)
    c.opus_encoder_destroy.argtypes = c.opus_decoder_destroy.argtypes = (handle,)
    c.opus_encoder_destroy.restype = c.opus_decoder_destroy.restype = None
    bytes_in = bytes_out = ctypes.c_char_p
    c.opus_encode.argtypes = (handle, bytes_in, number, bytes_out, ctypes.c_int32)
    c.opus_decode.argtypes = (handle, bytes_in, ctypes.c_int32, bytes_out, number, number)
    return c


def checked(c: ctypes.PyDLL, status: int) -> int:
    """A length or count as it is; a negative one is an error."""
    if status < 0:
        text: bytes = c.opus_strerror(status)
        raise OpusError(f"libopus: {text.decode()}")
    return status


class Encoder:
    """One voice into packets of 20 ms. Not for two threads at once.

    A packet sounds *delay_ms* later than what was put in. Each packet of speech holds a rough copy
    of the one before it, which a listener can use when that one was lost.
    """

    def __init__(self, bitrate: int, complexity: int, expected_loss_percent: int) -> None:
        self._c = library()
        status = ctypes.c_int()
        self._handle = self._c.opus_encoder_create(RATE_HZ, 1, VOIP, status)
        checked(self._c, status.value)
        finalize(self, self._c.opus_encoder_destroy, self._handle)
        self._packet = ctypes.create_string_buffer(MOST_BYTES)
        for request, value in (
            (SET_BITRATE, bitrate),
            (SET_COMPLEXITY, complexity),
            (SET_SIGNAL, VOICE),
            (SET_INBAND_FEC, 1),
            (SET_PACKET_LOSS_PERCENT, expected_loss_percent),
        ):
            self._ask(request, ctypes.c_int(value))

    @property
    def delay_ms(self) -> float:
        """How far the encoder looks ahead."""
        samples = ctypes.c_int()
        self._ask(GET_LOOKAHEAD, ctypes.byref(samples))
        return 1000 * samples.value / RATE_HZ

    def encode(self, pcm: bytes) -> bytes:
        """A packet for the next 20 ms of PCM16."""
        if len(pcm) != FRAME_BYTES:
            raise ValueError(f"a frame has {FRAME_BYTES} bytes, not {len(pcm)}")
        size = self._c.opus_encode(self._handle, pcm, FRAME_SAMPLES, self._packet, MOST_BYTES)
        return ctypes.string_at(self._packet, checked(self._c, size))

    def _ask(self, request: int, argument: object) -> None:
        checked(self._c, self._c.opus_encoder_ctl(self._handle, request, argument))


class Decoder:
    """Packets into PCM16, mono whatever was sent. Not for two threads at once."""

    def __init__(self) -> None:
        self._c = library()
        status = ctypes.c_int()
        self._handle = self._c.opus_decoder_create(RATE_HZ, 1, status)
        checked(self._c, status.value)
        finalize(self, self._c.opus_decoder_destroy, self._handle)
        self._pcm = ctypes.create_string_buffer(2 * LONGEST_SAMPLES)

    def decode(self, packet: bytes) -> bytes:
        """What is in a packet, up to 120 ms; raises `OpusError` if it is none."""
        if not packet:  # which to the library means a loss of 120 ms
            raise OpusError("an empty packet")
        return self._decode(packet, LONGEST_SAMPLES, 0)

    def recover(self, following: bytes) -> bytes:
        """The 20 ms before a packet, by the copy in it; concealed if it holds none."""
        return self._decode(following, FRAME_SAMPLES, 1)

    def conceal(self) -> bytes:
        """20 ms more of what was heard last."""
        return self._decode(None, FRAME_SAMPLES, 0)

    def _decode(self, packet: bytes | None, most_samples: int, copy: int) -> bytes:
        size = len(packet) if packet else 0
        samples = self._c.opus_decode(self._handle, packet, size, self._pcm, most_samples, copy)
        return ctypes.string_at(self._pcm, 2 * checked(self._c, samples))
