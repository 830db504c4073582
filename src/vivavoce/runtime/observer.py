"""The one hook: every step of a session, with its time, its input and its outputs."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from vivavoce.core.effects import Origin, Output
from vivavoce.core.session import Input


class Step(Struct, frozen=True):
    """One call of the machine; *said* is None for a tick. Whoever keeps steps can replay them."""

    session_id: str
    now: float
    origin: Origin | None
    said: Input | None
    outputs: Sequence[Output]


class Observer(Protocol):
    """Sees every step on the event loop, so it takes microseconds or hands over."""

    def __call__(self, step: Step, /) -> None:
        """Take note."""
        ...
