"""What the tests of the clients share, made once for all of them: a plugin of theirs."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import numpy as np
import pytest
from clients_server import Site, scripted, serving

from vivavoce.audio.resample import Resampler
from vivavoce.engines.api import Voice
from vivavoce.engines.espeak import Espeak

RATE_HZ = 24000


@pytest.fixture(scope="session")
def scripted_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that answers by a script."""
    with scripted(tmp_path_factory.mktemp("scripted")) as site:
        yield site


@pytest.fixture(scope="session")
def embedded_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server as it comes out of the box."""
    with serving(tmp_path_factory.mktemp("embedded")) as site:
        yield site


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of samples: some speech by the embedded synthesiser, and the silence of a microphone.

    The agents ask for `semantic_vad`, which waits for up to four seconds of it.
    """
    file = tmp_path_factory.mktemp("speech") / "speech.pcm"
    samples = anyio.run(_spoken, "What time does the next train to the city leave today?")
    file.write_bytes(samples.tobytes() + bytes(5 * 2 * RATE_HZ))
    return file


async def _spoken(text: str) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    async def phrases() -> AsyncIterator[str]:
        yield text

    async with Espeak(workers=1) as espeak:
        audio = [spoken.pcm async for spoken in espeak.speak(phrases(), Voice())]
    resampler = Resampler(audio[0].rate_hz, RATE_HZ)
    pieces = [resampler.push(pcm.samples) for pcm in audio]
    return np.concatenate([*pieces, resampler.flush()]).astype(np.int16)
