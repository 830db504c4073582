"""Calls by WebRTC: offers answered, calls carried until they are over, and hung up.

A call has its seat and its session from when its offer is answered, so that a sideband can join at
once; the session is announced when the data channel opens. The library that carries media is
imported at the first call, in a thread.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

import anyio
import msgspec
import structlog
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from structlog.contextvars import bound_contextvars

from vivavoce.core.commands import UpdateSession
from vivavoce.core.errors import Refusal
from vivavoce.dialects.api import Dialect
from vivavoce.dialects.session_requests import places, read_session, respelt
from vivavoce.runtime.channel import Backend, Opening, View
from vivavoce.runtime.views import Sight
from vivavoce.server.admission import Seat
from vivavoce.server.answers import body_of, turned_down
from vivavoce.server.auth import needs_key
from vivavoce.server.call_request import CallRequest, read_call
from vivavoce.server.entry import (
    TRANSCRIPTION,
    Entry,
    admit,
    backend_of,
    codec_of,
    judge,
    refusal_of,
)
from vivavoce.server.handshake import of_scope
from vivavoce.server.openings import opening_for
from vivavoce.server.refusals import (
    NOT_FOUND,
    Denial,
    bad_request,
    busy,
    invalid_offer,
    unavailable,
    unknown_call,
)
from vivavoce.server.sealing import ClientSecret
from vivavoce.server.service import Service
from vivavoce.server.session import NORMAL, Booking, serve_session, view_of
from vivavoce.transports.network_plan import NetworkPlan

if TYPE_CHECKING:
    from vivavoce.transports.webrtc.channel import WebRtcChannel
    from vivavoce.transports.webrtc.network import Network
    from vivavoce.transports.webrtc.offer import Offer

HALF_OPEN_OF_SECRET = 8  # calls
LEAST_HALF_OPEN = 32  # of all, where there are few seats; else a tenth of them
LARGE = 8 * 1024  # bytes: a longer body takes more than a millisecond to read

Given = TypeVarTuple("Given")
Read = TypeVar("Read")

log = structlog.get_logger(__name__)


class Calls:
    """The calls of a server. Media comes and goes by one network, opened at the first of them."""

    def __init__(self, service: Service, plan: NetworkPlan) -> None:
        self._service = service
        self._plan = plan
        self._network: Network | None = None
        self._imported: anyio.Event | None = None
        self._half_open: dict[WebRtcChannel, str | None] = {}  # and the secret that brought each

    async def close(self) -> None:
        """Nothing more comes or goes."""
        if self._network is not None:
            await self._network.close()

    # Beginning.

    async def create(self, dialect: Dialect, _service: Service, request: Request) -> Response:
        """Answer an offer (protocol reference, http, section 5)."""
        answered = await self._answer(dialect, request)
        if isinstance(answered, Denial):
            return turned_down(self._service, request, answered)
        return answered

    async def _answer(self, dialect: Dialect, request: Request) -> Response | Denial:
        service, handshake = self._service, of_scope(request.scope)
        identity = admit(handshake, service)
        if isinstance(identity, Denial):
            return identity
        body = await body_of(request)
        if isinstance(body, Denial):
            return body
        call = await _aside(len(body), read_call, body, handshake.headers.get("content-type", ""))
        if isinstance(call, Denial):
            return call
        entry = judge(handshake, service, identity, dialect, call.model)
        if isinstance(entry, Denial):
            return entry
        backend = backend_of(service, entry.deployment)
        if isinstance(backend, Denial):
            return backend
        await self._media()
        offer = await _aside(len(call.sdp), _read, call.sdp)
        if isinstance(offer, Denial):
            return offer
        filtered = handshake.query.get("webrtcfilter", "").lower() in ("on", "true", "1")
        view = view_of(entry, plays=offer.codec is not None, filtered=filtered)
        try:
            if (refusal := refusal_of(service, entry.dialect, entry.intent)) is not None:
                raise refusal
            opening = self._opening(entry, backend, call, view)
        except Refusal as refused:
            return bad_request(refused)
        return await self._begin(Booking(entry, backend, opening, view), offer)

    async def _media(self) -> None:
        """Have what carries media imported, which takes half a second, by the first who asks."""
        if self._imported is not None:
            await self._imported.wait()
            return
        self._imported = anyio.Event()
        try:
            await to_thread.run_sync(import_module, "vivavoce.transports.webrtc.channel")
        finally:
            self._imported.set()

    def _opening(self, entry: Entry, backend: Backend, call: CallRequest, view: View) -> Opening:
        """The session as it was asked for, which a client secret may not let it be."""
        service = self._service
        if call.session is None:
            return opening_for(service, entry, backend, plays=view.plays)
        where = places(call.session, entry.dialect)
        try:
            update = read_session(
                call.session,
                entry.dialect,
                strict=service.config.strict,
                on_ignored=lambda path: log.info("a key was ignored", key=path),
            )
            dictates = entry.intent == TRANSCRIPTION
            sight = Sight(view, "transcription" if dictates else "realtime")
            forbidden = sight.allowed(UpdateSession(update=update))
            if forbidden is not None:
                raise forbidden
            transcription = update.type == TRANSCRIPTION
            opening = opening_for(
                service, entry, backend, transcription=transcription, plays=view.plays
            )
            settings = backend.settle(opening, update)
        except Refusal as refusal:
            raise respelt(refusal, where) from None
        return msgspec.structs.replace(opening, settings=settings)

    async def _begin(self, booking: Booking, offer: Offer) -> Response | Denial:
        """Take a seat and a secret, and give both back where there will be no call."""
        service, secret = self._service, booking.entry.secret
        if self._too_many(secret):
            return busy("Too many calls have been answered and have not connected yet.")
        seat = service.admission.enter()
        if isinstance(seat, Denial):
            return seat
        denial = service.spent.spend(secret) if secret is not None else None
        if denial is not None:
            service.admission.leave(seat)
            return denial
        try:
            channel = await self._answered(booking, offer)
        except BaseException:
            service.admission.leave(seat)
            if secret is not None:
                service.spent.restore(secret)
            raise
        if isinstance(channel, Denial):
            service.admission.leave(seat)
            if secret is not None:
                service.spent.restore(secret)
            return channel
        call_id = service.mint.mint_session(service.worker, prefix="rtc_")
        booking = msgspec.structs.replace(booking, call_id=call_id)
        begun = anyio.Event()
        service.tasks.start_soon(self._carry, booking, seat, channel, begun)
        await begun.wait()
        return Response(
            channel.sdp,
            201,
            headers={"Location": f"/v1/realtime/calls/{call_id}"},
            media_type="application/sdp",
        )

    def _too_many(self, secret: ClientSecret | None) -> bool:
        """Whether so many calls have yet to connect that no more are answered for now.

        An answer costs a caller one request and holds a seat for half a minute.
        """
        most = max(LEAST_HALF_OPEN, self._service.config.max_sessions // 10)
        mine = secret.token_id if secret is not None else None
        of_secret = sum(each == mine for each in self._half_open.values()) if mine else 0
        return len(self._half_open) >= most or of_secret >= HALF_OPEN_OF_SECRET

    async def _answered(self, booking: Booking, offer: Offer) -> WebRtcChannel | Denial:
        """A channel that has its answer, or why there is none."""
        from vivavoce.transports.webrtc.channel import WebRtcChannel
        from vivavoce.transports.webrtc.network import Network, NetworkFault
        from vivavoce.transports.webrtc.opus import OpusMissing

        service, entry = self._service, booking.entry
        if self._network is None:
            self._network = Network(self._plan)
        codec = codec_of(service, entry.dialect, azure=entry.azure)
        try:
            channel = WebRtcChannel(offer, self._network, codec, service.clock)
            try:
                await channel.answer()
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await channel.close(NORMAL, "")
                raise
        except (NetworkFault, OpusMissing) as lacking:
            log.error("no call can be taken", reason=str(lacking))  # noqa: TRY400 - no fault of ours
            return unavailable("This server cannot take calls now; its log says why.", 30)
        return channel

    async def _carry(
        self, booking: Booking, seat: Seat, channel: WebRtcChannel, begun: anyio.Event
    ) -> None:
        """The call itself, until one side hangs up."""
        service = self._service
        seat.hang_up = channel.close
        secret = booking.entry.secret
        self._half_open[channel] = secret.token_id if secret is not None else None
        try:
            with seat, bound_contextvars(call=booking.call_id):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(channel.run)
                    tasks.start_soon(self._settle, channel)
                    await serve_session(service, booking, seat, channel, begun)
                    tasks.cancel_scope.cancel()
        except Exception:  # the edge of a call: no other may notice
            log.exception("call failed", call=booking.call_id)
        finally:
            self._half_open.pop(channel, None)
            begun.set()
            with anyio.CancelScope(shield=True):
                await channel.close(NORMAL, "")
            report = channel.report
            service.metrics.call_over(report.codec, report.packets, connected=report.connected)

    async def _settle(self, channel: WebRtcChannel) -> None:
        await channel.ready()
        self._half_open.pop(channel, None)

    # Ending.

    async def hang_up(self, _service: Service, request: Request) -> Response:
        """End a call, or any session by its id."""
        service = self._service
        identity = admit(of_scope(request.scope), service)
        denial = identity if isinstance(identity, Denial) else needs_key(identity)
        session = service.live.find(request.path_params["call_id"])
        if denial is None and session is None:
            denial = unknown_call()
        if denial is not None or session is None:
            return turned_down(service, request, denial or unknown_call())
        await session.seat.end(NORMAL, "")
        return Response(b"", 200)


async def _aside(size: int, read: Callable[[*Given], Read], *given: *Given) -> Read:
    """What *read* makes of that, in a thread if it is large."""
    return await to_thread.run_sync(read, *given) if size > LARGE else read(*given)


def _read(sdp: str) -> Offer | Denial:
    from vivavoce.transports.webrtc.offer import BadOffer, read_offer

    try:
        return read_offer(sdp)
    except BadOffer as bad:
        return invalid_offer(str(bad))


async def no_telephone(service: Service, request: Request) -> Response:
    """Accepting, rejecting and referring are for calls by SIP, of which there are none."""
    return turned_down(service, request, NOT_FOUND)
