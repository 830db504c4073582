"""One more connection from within a case; the session that the case has goes on meanwhile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import msgspec
from msgspec import Struct

from vivavoce.conformance.catalogue import DialectName
from vivavoce.conformance.driver import (
    MOST_EVENTS_SHOWN,
    PATIENCE_S,
    Breach,
    Caller,
    NotShown,
    error_of,
)
from vivavoce.conformance.idiom import Json, kind_of
from vivavoce.conformance.knock import Knock, TurnedAway


class Met(Struct, frozen=True):
    """How a knock was answered: by a session, an HTTP status, or an error event and a close."""

    session: Json | None = None
    status: int | None = None
    body: Json = {}
    events: tuple[Json, ...] = ()
    farewell: str = ""

    @property
    def error(self) -> Json:
        """What was said to be wrong, wherever it was said."""
        for event in self.events:
            if kind_of(event) == "error":
                return error_of(event)
        return error_of(self.body)

    @property
    def closed_with(self) -> int | None:
        """The code of the close."""
        return _code_of(self.farewell)

    @property
    def told(self) -> list[Json]:
        """All of it, for a verdict."""
        if self.status is not None:
            return [{"status": self.status, "body": self.body}]
        return [*self.events[:MOST_EVENTS_SHOWN], {"closed with": self.farewell}]


@asynccontextmanager
async def another(
    caller: Caller, knock: Knock, dialect: DialectName | None = None
) -> AsyncIterator[Caller]:
    """One more connection; what breaks there breaks this case."""
    setup = msgspec.structs.replace(caller.setup, dialect=dialect or caller.dialect)
    fault: Breach | NotShown | None = None
    async with caller.dial(knock) as line:
        other = Caller(line, setup, caller.dial, caller.tasks)
        other.reasons, other.advice = caller.reasons, caller.advice
        caller.tasks.start_soon(other.listen)
        try:
            yield other
        except (Breach, NotShown) as found:
            # Not through the connection, which may have tasks of its own and would wrap it.
            fault = found
    if fault is not None:
        raise fault


async def meet(caller: Caller, knock: Knock, dialect: DialectName | None = None) -> Met:
    """How the server answers; it has to answer at once."""
    caller.awaiting = "an answer to an upgrade"
    try:
        async with another(caller, knock, dialect) as other:
            with anyio.move_on_after(PATIENCE_S):
                while not (other.heard("session.created") or other.over):
                    await other.news()
            created = other.heard("session.created")
            session = created[0].get("session") if created else None
            return Met(session, events=tuple(other.events), farewell=other.farewell)
    except TurnedAway as refused:
        return Met(status=refused.status, body=refused.body)


def _code_of(farewell: str) -> int | None:
    code = farewell.partition(" ")[0]
    return int(code) if code.isdigit() else None
