"""The microphone of this machine, as audio that can be sent."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
from anyio.from_thread import BlockingPortal

RATE_HZ = 24000
BLOCK = RATE_HZ // 10


class NoMicrophone(Exception):  # noqa: N818 - said to a person, with what to do
    """There is none to be had."""


def device() -> Any:  # an optional library without types
    """The library that reaches the microphone; NoMicrophone without it, or without a device."""
    try:
        import sounddevice
    except ImportError:
        raise NoMicrophone(
            "no microphone without the package sounddevice. Name a WAV file, or: "
            "pip install 'vivavoce[microphone]'"
        ) from None
    except OSError as missing:
        raise NoMicrophone(
            f"no microphone: {missing}. Name a WAV file, or install PortAudio "
            "(on Debian and Ubuntu: apt-get install libportaudio2)."
        ) from None
    return sounddevice


async def recording() -> AsyncIterator[bytes]:
    """What the microphone hears, a tenth of a second at a time, until nobody listens."""
    library = device()
    give, take = anyio.create_memory_object_stream[bytes](100)
    async with BlockingPortal() as portal:

        def hear(block: object, frames: int, when: object, status: object) -> None:
            portal.start_task_soon(give.send, bytes(block))  # type: ignore[call-overload]  # a buffer

        try:
            stream = library.RawInputStream(
                samplerate=RATE_HZ, blocksize=BLOCK, channels=1, dtype="int16", callback=hear
            )
        except library.PortAudioError as refused:
            raise NoMicrophone(f"no microphone: {refused}. Name a WAV file instead.") from None
        with stream:
            async for block in take:
                yield block
