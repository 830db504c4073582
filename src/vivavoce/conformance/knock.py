"""How a connection to a realtime server is asked for, and what it is once there."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

from msgspec import Struct

from vivavoce.conformance.idiom import Json

Place = Literal["bearer", "api-key", "query", "subprotocol"]


class Knock(Struct, frozen=True):
    """How a connection is asked for: as the address says, but for what is named here.

    *place* is where the key goes, None being where it goes by custom; an empty *model* names none.
    *beta* says whether OpenAI's path is asked for the preview, None as the dialect has it.
    """

    intent: str | None = None
    key: Literal["right", "wrong", "none"] = "right"
    place: Place | None = None
    subprotocols: tuple[str, ...] = ()
    path: str | None = None
    model: str | None = None
    version: str | None = None
    beta: bool | None = None


class HungUp(Exception):  # noqa: N818 - what happened
    """The server has closed the connection."""


class NoSession(Exception):  # noqa: N818 - what came of dialling
    """There was no session to be had; the message says why."""


class TurnedAway(NoSession):
    """The upgrade was refused with an HTTP status. *body* is empty where it was no JSON object."""

    def __init__(self, message: str, status: int, body: Json) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class Line(Protocol):
    """A connection to a realtime server."""

    async def say(self, frame: str | bytes) -> None:
        """Send a frame, binary if of bytes; HungUp when the server has closed."""
        ...

    def frames(self) -> AsyncIterator[str | bytes]:
        """Every frame of the server until one side closes."""
        ...

    @property
    def farewell(self) -> str:
        """With what code and reason it was closed."""
        ...

    @property
    def subprotocol(self) -> str | None:
        """What the server chose of those that were offered."""
        ...


class Dial(Protocol):
    """Opens connections to one server."""

    def __call__(self, knock: Knock) -> AbstractAsyncContextManager[Line]:
        """A new connection, asked for so; NoSession if there is none to be had."""
        ...
