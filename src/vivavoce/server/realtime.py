"""The WebSocket endpoint: whom to let in, to what; then the session, until it is over."""

import anyio
import structlog
from msgspec import Struct
from starlette.responses import Response
from starlette.websockets import WebSocket
from structlog.contextvars import bound_contextvars

from vivavoce.core import events
from vivavoce.core.errors import Refusal
from vivavoce.core.settings import (
    AudioInputUpdate,
    SessionSettings,
    SessionUpdate,
    Transcription,
    merge,
)
from vivavoce.deployments import Deployment, UnknownDeployment
from vivavoce.dialects.api import Codec, Dialect, codec, dialect_of
from vivavoce.dialects.refusals import shown
from vivavoce.engines.registry import EngineFull, EngineUnavailable
from vivavoce.runtime.channel import Backend, Opening, View
from vivavoce.server.admission import Seat
from vivavoce.server.auth import Identity, identify
from vivavoce.server.handshake import Handshake, of_scope
from vivavoce.server.refusals import (
    NOT_FOUND,
    Denial,
    busy,
    unavailable,
    unknown_call,
    unknown_deployment,
)
from vivavoce.server.service import Service
from vivavoce.transports.websocket import WebSocketChannel

SUBPROTOCOL = "realtime"
TRANSCRIPTION = "transcription"  # the only intent
PREVIEW_SECONDS, GA_SECONDS = 1800, 3600
PREVIEW_VERSIONS = ("2024-10-01-preview", "2024-12-17", "2025-04-01-preview")
TRANSCRIPTION_MODEL = "gpt-4o-transcribe"  # what the hosted service's transcription sessions name
REFUSED, FAULT, NORMAL = 4000, 1011, 1000

log = structlog.get_logger(__name__)


class Entry(Struct, frozen=True):
    """A handshake that may become a session. *model* is the name by which it was asked for."""

    identity: Identity
    deployment: Deployment
    model: str
    dialect: Dialect
    azure: bool
    intent: str | None = None


def judge(handshake: Handshake, service: Service) -> Entry | Denial:
    """Who comes, and to what; or why not."""
    identity = identify(handshake, service.keys)
    if isinstance(identity, Denial):
        return identity
    if (denial := service.readiness.denial) is not None:
        return denial
    if service.config.strict and not _version_known(handshake):
        return NOT_FOUND
    if "call_id" in handshake.query:
        return unknown_call()
    asked, intent = _asked(handshake), handshake.query.get("intent") or None
    try:
        deployment = service.deployments.find(asked)
    except UnknownDeployment as unknown:
        # To transcribe needs no model, or names one that does; another intent is refused as such.
        if intent is None:
            return unknown_deployment(str(unknown))
        deployment = service.deployments.default
    return Entry(
        identity=identity,
        deployment=deployment,
        model=asked or deployment.name,
        dialect=dialect_of(
            handshake.path, handshake.headers.get("openai-beta"), handshake.subprotocols
        ),
        azure=handshake.azure,
        intent=intent,
    )


def _version_known(handshake: Handshake) -> bool:
    given = handshake.query.get("api-version")
    return handshake.path != "/openai/realtime" or given in PREVIEW_VERSIONS


def _asked(handshake: Handshake) -> str | None:
    """The deployment or model asked for; each style knows the other's name for it."""
    model, deployment = handshake.query.get("model"), handshake.query.get("deployment")
    if handshake.path == "/openai/realtime":
        return deployment or model
    return model or deployment


async def converse(service: Service, websocket: WebSocket) -> None:
    """Answer one upgrade, and serve what comes of it."""
    handshake = of_scope(websocket.scope)
    entry = judge(handshake, service)
    if isinstance(entry, Denial):
        await deny(service, websocket, handshake, entry)
        return
    seat = service.admission.enter()
    if isinstance(seat, Denial):
        await deny(service, websocket, handshake, seat)
        return
    try:
        backend = service.backend_for(entry.deployment)
    except EngineUnavailable as lacking:
        service.admission.leave(seat)
        denial = unavailable(f"{entry.deployment.name} cannot be served: {lacking}", 30)
        if isinstance(lacking, EngineFull):
            denial = busy(f"{entry.deployment.name} has no room: {lacking}.")
        await deny(service, websocket, handshake, denial)
        return
    with seat:
        offered = SUBPROTOCOL in handshake.subprotocols
        await websocket.accept(subprotocol=SUBPROTOCOL if offered else None)
        await _serve(service, websocket, entry, backend, seat)


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


async def _serve(
    service: Service, websocket: WebSocket, entry: Entry, backend: Backend, seat: Seat
) -> None:
    channel = WebSocketChannel(websocket, _codec(service, entry))
    seat.hang_up = channel.close
    if (refusal := _refusal(service, entry)) is not None:
        await _refuse(service, channel, refusal)
        return
    opening = _opening(service, entry)
    # Whatever is logged from here on says which session it is about.
    with bound_contextvars(session=opening.session_id):
        await _run(service, channel, entry, backend, opening)


async def _run(
    service: Service, channel: WebSocketChannel, entry: Entry, backend: Backend, opening: Opening
) -> None:
    deployment = entry.deployment
    log.info(
        "session begins",
        deployment=deployment.name,
        recipe=deployment.recipe_name,
        dialect=entry.dialect,
        identity=entry.identity.name,
    )
    service.metrics.session_begun(deployment.name, entry.dialect)
    began = service.clock.now()
    try:
        async with backend.open(opening) as live:
            await live.attach(channel, View())
    except Exception:  # the edge of a session: no other may notice
        log.exception("session failed")
        await channel.close(FAULT, "the server made a mistake")
    finally:
        with anyio.CancelScope(shield=True):
            await channel.close(NORMAL, "")
        service.metrics.session_over(opening.session_id, deployment.name)
        code, reason = channel.closed_with or (None, None)
        if code is not None and code != NORMAL:
            service.metrics.cut_off(code, reason or "")
        lasted = round(service.clock.now() - began, 3)
        log.info("session over", seconds=lasted, closed_with=code, reason=reason or None)


def _codec(service: Service, entry: Entry) -> Codec:
    def ignored(path: str) -> None:
        log.info("a key was ignored", key=path, dialect=entry.dialect)

    return codec(entry.dialect, strict=service.config.strict, azure=entry.azure, on_ignored=ignored)


def _refusal(service: Service, entry: Entry) -> Refusal | None:
    """Why there will be no session, where that is told after the upgrade."""
    if entry.dialect == "preview" and not service.config.preview:
        return Refusal(
            "The preview (beta) shape of the API is switched off here. Connect without "
            "OpenAI-Beta, or on /openai/v1/realtime.",
            code="beta_api_shape_disabled",
        )
    if entry.intent not in (None, TRANSCRIPTION):
        return Refusal(f"Invalid intent {shown(entry.intent)}", code="invalid_intent")
    return None


async def _refuse(service: Service, channel: WebSocketChannel, refusal: Refusal) -> None:
    log.info("session refused", code=refusal.code)
    await channel.send(events.ErrorRaised(event_id=service.mint("event_"), refusal=refusal))
    await channel.close(REFUSED, f"{refusal.kind}.{refusal.code}")


def _opening(service: Service, entry: Entry) -> Opening:
    settings = merge(SessionSettings(model=entry.model), entry.deployment.defaults)
    if entry.intent == TRANSCRIPTION:
        settings = merge(settings, TRANSCRIBES)
    by_dialect = PREVIEW_SECONDS if entry.dialect == "preview" else GA_SECONDS
    return Opening(
        session_id=service.mint.mint_session(service.worker),
        settings=settings,
        max_seconds=service.config.session_seconds or by_dialect,
        quota=entry.deployment.quota,
        strict=service.config.strict,
        announces_conversation=entry.dialect == "preview" and service.config.conversation_created,
    )


TRANSCRIBES = SessionUpdate(
    type="transcription",
    input=AudioInputUpdate(transcription=Transcription(model=TRANSCRIPTION_MODEL)),
)
