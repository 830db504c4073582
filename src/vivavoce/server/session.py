"""One session served, from its opening until it is over, over whatever connection brought it."""

from typing import Literal, Protocol

import anyio
import msgspec
import structlog
from msgspec import Struct
from structlog.contextvars import bound_contextvars

from vivavoce.runtime.channel import Backend, Channel, Opening, View
from vivavoce.runtime.views import WEBRTC_FILTER
from vivavoce.server.admission import Seat
from vivavoce.server.entry import Entry
from vivavoce.server.live import LiveSession
from vivavoce.server.service import Service

FAULT, NORMAL = 1011, 1000

log = structlog.get_logger(__name__)


class Connection(Channel, Protocol):
    """A channel that remembers with which code and reason this side hung up, if it did."""

    closed_with: tuple[int, str] | None


class Booking(Struct, frozen=True):
    """A session that is to begin: who comes, who answers, with what, and what they will see of it.

    *call_id* is that of the call it is brought by, if it is by one.
    """

    entry: Entry
    backend: Backend
    opening: Opening
    view: View
    call_id: str | None = None


async def serve_session(
    service: Service,
    booking: Booking,
    seat: Seat,
    channel: Connection,
    begun: anyio.Event | None = None,
) -> None:
    """Run a session until it is over; *begun* is set once it can be joined.

    The id that a client secret brings along goes to the first that comes; the next has another.
    """
    entry, opening, call_id = booking.entry, booking.opening, booking.call_id
    while not service.live.claim(opening.session_id):
        fresh = service.mint.mint_session(service.worker)
        opening = msgspec.structs.replace(opening, session_id=fresh)
    # Whatever is logged from here on says which session it is about.
    with bound_contextvars(session=opening.session_id):
        transport: Literal["websocket", "webrtc"] = "websocket" if call_id is None else "webrtc"
        log.info(
            "session begins",
            deployment=entry.deployment.name,
            recipe=entry.deployment.recipe_name,
            dialect=entry.dialect,
            transport=transport,
            identity=entry.identity.name,
        )
        service.metrics.session_begun(entry.deployment.name, entry.dialect, transport)
        began = service.clock.now()
        try:
            async with booking.backend.open(opening) as live:
                session = LiveSession(
                    opening.session_id, entry.deployment.name, live, seat, call_id
                )
                service.live.add(session)
                try:
                    if begun is not None:
                        begun.set()
                    await live.attach(channel, booking.view)
                finally:
                    service.live.remove(session)
        except Exception:  # the edge of a session: no other may notice
            log.exception("session failed")
            await channel.close(FAULT, "the server made a mistake")
        finally:
            with anyio.CancelScope(shield=True):
                await channel.close(NORMAL, "")
            service.live.release(opening.session_id)
            service.metrics.session_over(opening.session_id, entry.deployment.name)
            code, reason = channel.closed_with or (None, None)
            if code is not None and code != NORMAL:
                service.metrics.cut_off(code, reason or "")
            lasted = round(service.clock.now() - began, 3)
            log.info("session over", seconds=lasted, closed_with=code, reason=reason or None)


def view_of(entry: Entry, *, plays: bool = False, filtered: bool = False) -> View:
    """What the client that brought a session may see and say."""
    return View(
        hears_audio=not plays,
        plays=plays,
        locked=frozenset(entry.secret.locked) if entry.secret else frozenset(),
        only=WEBRTC_FILTER if filtered else None,
    )
