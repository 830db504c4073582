"""Calls by WebRTC: offers answered, calls carried until they are over, and hung up.

A call has its seat and its session from when its offer is answered, so that a sideband can join at
once; the session is announced when the data channel opens. The library that carries media is
imported at the first call, in a thread.
"""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

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
from vivavoce.server.entry import Entry, admit, backend_of, codec_of, judge, refusal_of
from vivavoce.server.handshake import of_scope
from vivavoce.server.openings import opening_for
from vivavoce.server.refusals import (
    NOT_FOUND,
    Denial,
    bad_request,
    invalid_offer,
    unavailable,
    unknown_call,
)
from vivavoce.server.service import Service
from vivavoce.server.session import NORMAL, serve_session, view_of
from vivavoce.transports.network_plan import NetworkPlan

if TYPE_CHECKING:
    from vivavoce.transports.webrtc.channel import WebRtcChannel
    from vivavoce.transports.webrtc.network import Network
    from vivavoce.transports.webrtc.offer import Offer

MEDIA = "vivavoce.transports.webrtc.channel"

log = structlog.get_logger(__name__)


class Calls:
    """The calls of a server. Media comes and goes by one network, opened at the first of them."""

    def __init__(self, service: Service, plan: NetworkPlan) -> None:
        self._service = service
        self._plan = plan
        self._network: Network | None = None

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
        asked = read_call(body, handshake.headers.get("content-type", ""))
        if isinstance(asked, Denial):
            return asked
        entry = judge(handshake, service, identity, dialect, asked.model)
        if isinstance(entry, Denial):
            return entry
        backend = backend_of(service, entry.deployment)
        if isinstance(backend, Denial):
            return backend
        if MEDIA not in sys.modules:
            await to_thread.run_sync(import_module, MEDIA)
        from vivavoce.transports.webrtc.offer import BadOffer, read_offer

        try:
            offer = read_offer(asked.sdp)
            if (refusal := refusal_of(service, entry.dialect, entry.intent)) is not None:
                raise refusal
            filtered = handshake.query.get("webrtcfilter", "").lower() in ("on", "true", "1")
            view = view_of(entry, plays=offer.codec is not None, filtered=filtered)
            opening = self._opening(entry, backend, asked, view)
        except BadOffer as bad:
            return invalid_offer(str(bad))
        except Refusal as refused:
            return bad_request(refused)
        return await self._begin(entry, backend, opening, offer, view)

    def _opening(self, entry: Entry, backend: Backend, asked: CallRequest, view: View) -> Opening:
        """The session as it was asked for, which a client secret may not let it be."""
        opening = opening_for(self._service, entry, backend, plays=view.plays)
        if asked.session is None:
            return opening
        where = places(asked.session, entry.dialect)
        try:
            update = read_session(
                asked.session,
                entry.dialect,
                strict=self._service.config.strict,
                on_ignored=lambda path: log.info("a key was ignored", key=path),
            )
            forbidden = Sight(view).allowed(UpdateSession(update=update))
            if forbidden is not None:
                raise forbidden
            settings = backend.settle(opening, update)
        except Refusal as refusal:
            raise respelt(refusal, where) from None
        return msgspec.structs.replace(opening, settings=settings)

    async def _begin(
        self, entry: Entry, backend: Backend, opening: Opening, offer: Offer, view: View
    ) -> Response | Denial:
        from vivavoce.transports.webrtc.channel import WebRtcChannel
        from vivavoce.transports.webrtc.network import Network, NetworkFault

        service = self._service
        seat = service.admission.enter()
        if isinstance(seat, Denial):
            return seat
        denial = service.spent.spend(entry.secret) if entry.secret is not None else None
        if denial is not None:
            service.admission.leave(seat)
            return denial
        if self._network is None:
            self._network = Network(self._plan)
        codec = codec_of(service, entry.dialect, azure=entry.azure)
        channel = WebRtcChannel(offer, self._network, codec, service.clock)
        try:
            sdp = await channel.answer()
        except BaseException as failed:
            service.admission.leave(seat)
            with anyio.CancelScope(shield=True):
                await channel.close(NORMAL, "")
            if isinstance(failed, NetworkFault):
                log.error("no call can be answered", reason=str(failed))  # noqa: TRY400
                return unavailable(str(failed), 30)
            raise
        call_id = service.mint.mint_session(service.worker, prefix="rtc_")
        begun = anyio.Event()
        service.tasks.start_soon(
            partial(self._carry, entry, backend, opening, seat, channel, view, call_id, begun)
        )
        await begun.wait()
        return Response(
            sdp,
            201,
            headers={"Location": f"/v1/realtime/calls/{call_id}"},
            media_type="application/sdp",
        )

    async def _carry(
        self,
        entry: Entry,
        backend: Backend,
        opening: Opening,
        seat: Seat,
        channel: WebRtcChannel,
        view: View,
        call_id: str,
        begun: anyio.Event,
    ) -> None:
        """The call itself, until one side hangs up."""
        service = self._service
        seat.hang_up = channel.close
        try:
            with seat, bound_contextvars(call=call_id):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(channel.run)
                    await serve_session(
                        service,
                        entry,
                        backend,
                        opening,
                        seat,
                        channel,
                        view,
                        call_id=call_id,
                        begun=begun,
                    )
                    tasks.cancel_scope.cancel()
        except Exception:  # the edge of a call: no other may notice
            log.exception("call failed", call=call_id)
        finally:
            begun.set()
            with anyio.CancelScope(shield=True):
                await channel.close(NORMAL, "")
            report = channel.report
            service.metrics.call_over(report.codec, report.packets, connected=report.connected)

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


async def no_telephone(service: Service, request: Request) -> Response:
    """Accepting, rejecting and referring are for calls by SIP, of which there are none."""
    return turned_down(service, request, NOT_FOUND)
