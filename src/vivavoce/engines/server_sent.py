"""Server-sent events, as model servers stream their answers: one JSON object in each."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

import msgspec
from msgspec import Struct

from vivavoce.engines.api import EngineFailure

LONGEST_QUOTE = 200  # characters of what a server says about its error


class MidAnswerFailure(EngineFailure):
    """The server at *where* *said* what went wrong, which may hold a *key*: see `without`."""

    def __init__(self, where: str, said: str, key: str | None = None) -> None:
        line = " ".join(said.split())
        if key:
            line = line.replace(key, "***")
        quoted = line[:LONGEST_QUOTE] or "it does not say why"
        super().__init__(f"the model server at {where} failed in mid-answer: {quoted}")
        self._where, self._said = where, line

    def without(self, key: str | None) -> "MidAnswerFailure":
        """The same, with the key blotted out."""
        return MidAnswerFailure(self._where, self._said, key)


class Fault(Struct, frozen=True):
    """What most servers say went wrong."""

    message: str = ""


class Event(Struct, frozen=True):
    """What any event may hold instead of what it should."""

    error: Fault | str | None = None


AnyEvent = TypeVar("AnyEvent", bound=Event)


async def events(
    lines: AsyncIterator[str], kind: type[AnyEvent], where: str
) -> AsyncGenerator[AnyEvent, None]:
    """Every event among the lines of an answer of the server at *where*.

    What the server says went wrong is quoted as it is: `ModelServer.failures`, around the reading,
    knows the key that must not be in it. The answer is read to its end, behind `[DONE]` too, so that its connection can serve again.
    """
    async for line in lines:
        name, _, data = line.partition(":")
        if name == "data" and (data := data.strip()) not in ("", "[DONE]"):
            yield _read(data, kind, where)


def _read(data: str, kind: type[AnyEvent], where: str) -> AnyEvent:
    try:
        event = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise EngineFailure(
            f"the model server at {where} sent an event that cannot be read: {error}"
        ) from None
    if event.error is not None:
        said = event.error if isinstance(event.error, str) else event.error.message
        raise MidAnswerFailure(where, said)
    return event
