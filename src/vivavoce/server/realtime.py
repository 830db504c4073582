"""The WebSocket endpoint: whom to let in, to what; then the session, until it is over.

With `call_id` it is a sideband: another connection to a session that lives already.
"""

import structlog
from starlette.responses import Response
from starlette.websockets import WebSocket
from structlog.contextvars import bound_contextvars

from vivavoce.core import events
from vivavoce.core.errors import Refusal
from vivavoce.dialects.api import dialect_of
from vivavoce.runtime.channel import View
from vivavoce.server.auth import needs_key
from vivavoce.server.entry import (
    PREVIEW_VERSIONS,
    Entry,
    admit,
    backend_of,
    codec_of,
    judge,
    refusal_of,
)
from vivavoce.server.handshake import Handshake, of_scope
from vivavoce.server.live import MAX_OBSERVERS, LiveSession
from vivavoce.server.openings import opening_for
from vivavoce.server.refusals import NOT_FOUND, Denial, bad_request, busy, unknown_call
from vivavoce.server.service import Service
from vivavoce.server.session import FAULT, NORMAL, Booking, serve_session, view_of
from vivavoce.transports.websocket import WebSocketChannel

SUBPROTOCOL = "realtime"
CALL_NAMES = ("call_id", "session_id")  # in the query, of a session that is to be joined
REFUSED = 4000

log = structlog.get_logger(__name__)


async def converse(service: Service, websocket: WebSocket) -> None:
    """Answer one upgrade, and serve what comes of it."""
    handshake = of_scope(websocket.scope)
    denial = await _answer(service, websocket, handshake)
    if denial is not None:
        await deny(service, websocket, handshake, denial)


async def _answer(service: Service, websocket: WebSocket, handshake: Handshake) -> Denial | None:
    """Serve whoever may come in; the denial of whoever may not."""
    identity = admit(handshake, service)
    if isinstance(identity, Denial):
        return identity
    if service.config.strict and not _version_known(handshake):
        return NOT_FOUND
    dialect = dialect_of(
        handshake.path, handshake.headers.get("openai-beta"), handshake.subprotocols
    )
    name = next((handshake.query[name] for name in CALL_NAMES if name in handshake.query), None)
    if name is not None:
        session = service.live.find(name)
        denial = needs_key(identity) or _full(session)
        if denial is not None or session is None:
            return denial or unknown_call()
        await _join(service, websocket, handshake, session)
        return None
    entry = judge(handshake, service, identity, dialect)
    return entry if isinstance(entry, Denial) else await _begin(service, websocket, entry)


def _version_known(handshake: Handshake) -> bool:
    given = handshake.query.get("api-version")
    return handshake.path != "/openai/realtime" or given in PREVIEW_VERSIONS


async def _begin(service: Service, websocket: WebSocket, entry: Entry) -> Denial | None:
    """A session of its own."""
    backend = backend_of(service, entry.deployment)
    if isinstance(backend, Denial):
        return backend
    try:
        opening = opening_for(service, entry, backend)
    except Refusal as unfit:
        return bad_request(unfit)
    seat = service.admission.enter()
    if isinstance(seat, Denial):
        return seat
    refusal = refusal_of(service, entry.dialect, entry.intent)
    if refusal is None and entry.secret is not None:
        denial = service.spent.spend(entry.secret)
        if denial is not None:
            service.admission.leave(seat)
            return denial
    with seat:
        await _accept(websocket)
        codec = codec_of(service, entry.dialect, azure=entry.azure)
        channel = WebSocketChannel(websocket, codec)
        seat.hang_up = channel.close
        if refusal is not None:
            await _refuse(service, channel, refusal)
        else:
            booking = Booking(entry, backend, opening, view_of(entry))
            await serve_session(service, booking, seat, channel)
    return None


async def _accept(websocket: WebSocket) -> None:
    offered = SUBPROTOCOL in websocket.scope["subprotocols"]
    await websocket.accept(subprotocol=SUBPROTOCOL if offered else None)


async def _refuse(service: Service, channel: WebSocketChannel, refusal: Refusal) -> None:
    log.info("session refused", code=refusal.code)
    await channel.send(events.ErrorRaised(event_id=service.mint("event_"), refusal=refusal))
    await channel.close(REFUSED, f"{refusal.kind}.{refusal.code}")


# Sidebands.


def _full(session: LiveSession | None) -> Denial | None:
    if session is not None and session.observers >= MAX_OBSERVERS:
        return busy(f"{MAX_OBSERVERS} connections have joined this session already.")
    return None


async def _join(
    service: Service, websocket: WebSocket, handshake: Handshake, session: LiveSession
) -> None:
    """Take part in a session that another connection brought, until that ends or this one leaves."""
    dialect = dialect_of(
        handshake.path, handshake.headers.get("openai-beta"), handshake.subprotocols
    )
    read_only = handshake.query.get("read_only", "").lower() in ("1", "true", "yes", "on")
    session.observers += 1
    try:
        await _accept(websocket)
        channel = WebSocketChannel(websocket, codec_of(service, dialect, azure=handshake.azure))
        if (refusal := refusal_of(service, dialect)) is not None:
            await _refuse(service, channel, refusal)
            return
        view = View(owns=False, hears_audio=False, may_speak=not read_only)
        with bound_contextvars(session=session.session_id):
            log.info("sideband joins", read_only=read_only)
            try:
                await session.live.attach(channel, view)
            except Exception:  # the edge of a connection: no other may notice
                log.exception("sideband failed")
                await channel.close(FAULT, "the server made a mistake")
            finally:
                await channel.close(NORMAL, "")
            log.info("sideband leaves")
    finally:
        session.observers -= 1


async def deny(
    service: Service, websocket: WebSocket, handshake: Handshake, denial: Denial
) -> None:
    """Turn an upgrade down with an HTTP answer."""
    service.metrics.refused(denial.status)
    # Not the path: there may be anything in one that we do not know.
    log.info("upgrade refused", status=denial.status, code=denial.code, client=handshake.client)
    await websocket.send_denial_response(
        Response(
            denial.body(handshake.azure),
            status_code=denial.status,
            headers=dict(denial.headers),
            media_type="application/json",
        )
    )
