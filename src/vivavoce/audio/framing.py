"""Any chunking in, fixed frames out, the remainder kept."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Kind = TypeVar("Kind", np.int16, np.float32)


class Framer:
    """Cuts one stream into frames of *size* samples. A stream is of one kind of sample."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._rest: NDArray[np.int16] | NDArray[np.float32] = np.empty(0, np.int16)

    def push(self, samples: NDArray[Kind]) -> NDArray[Kind]:
        """The frames that are now whole, of shape [n, *size*]; n may be 0."""
        joined: NDArray[Kind] = np.concatenate([self._rest, samples])
        whole = len(joined) // self._size
        self._rest = joined[whole * self._size :].copy()  # a view would keep all of it
        return joined[: whole * self._size].reshape(whole, self._size)
