"""A voice detector without a model: what is loud is a voice."""

from collections.abc import AsyncGenerator, AsyncIterator

import numpy as np

from vivavoce.engines.api import Frames


class LevelDetector:
    """Takes any frame louder than *threshold* (root mean square, 0 to 1) for voice."""

    version = "loudness"

    def __init__(self, threshold: float = 0.01) -> None:
        self._threshold = threshold

    async def __aenter__(self) -> "LevelDetector":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        return None

    async def detect(
        self, frames: AsyncIterator[Frames]
    ) -> AsyncGenerator[tuple[float, ...], None]:
        """0.9 for each loud frame, 0.05 for each quiet one."""
        async for some in frames:
            loud = np.sqrt(np.mean(np.square(some), axis=1)) > self._threshold
            yield tuple(0.9 if each else 0.05 for each in loud)
