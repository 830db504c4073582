"""Who may come in, and to what: a handshake judged before anything is opened for it."""

from functools import partial

import structlog
from msgspec import Struct

from vivavoce.core.errors import Refusal
from vivavoce.deployments import Deployment, UnknownDeployment
from vivavoce.dialects.api import Codec, Dialect, codec
from vivavoce.dialects.refusals import shown
from vivavoce.engines.registry import EngineFull, EngineUnavailable
from vivavoce.runtime.channel import Backend
from vivavoce.server.auth import Identity, credential, identify
from vivavoce.server.handshake import Handshake
from vivavoce.server.origins import judge_origin, of_own_page
from vivavoce.server.refusals import (
    OTHER_INTENT,
    Denial,
    busy,
    other_deployment,
    unavailable,
    unknown_deployment,
)
from vivavoce.server.sealing import PREFIX, ClientSecret
from vivavoce.server.service import Service
from vivavoce.server.visits import cookie_of

TRANSCRIPTION = "transcription"  # the only intent
PREVIEW_VERSIONS = ("2024-10-01-preview", "2024-12-17", "2025-04-01-preview")

log = structlog.get_logger(__name__)


class Entry(Struct, frozen=True):
    """A handshake that may become a session. *model* is the name by which it was asked for."""

    identity: Identity
    deployment: Deployment
    model: str
    dialect: Dialect
    azure: bool
    intent: str | None = None

    @property
    def secret(self) -> ClientSecret | None:
        """The client secret that it came with, if it came with one."""
        return self.identity.secret


def admit(handshake: Handshake, service: Service, *, ready: bool = True) -> Identity | Denial:
    """Who comes, if that is somebody, and from a place that may; with *ready*, to be served now."""
    secret = (credential(handshake) or "").startswith(PREFIX)
    visiting = (
        service.keys is not None
        and cookie_of(handshake) is not None
        and of_own_page(handshake, secure=service.config.secure)
    )
    identity = identify(
        handshake,
        service.keys,
        service.seal if secret else None,
        service.visits if visiting else None,
    )
    if isinstance(identity, Denial):
        return identity
    denial = judge_origin(
        handshake,
        identity,
        allowed=service.config.allowed_origins,
        keyless=service.keys is None,
        secure=service.config.secure,
        own_hosts=(service.config.host,),
    )
    return denial or (service.readiness.denial if ready else None) or identity


def judge(
    handshake: Handshake,
    service: Service,
    identity: Identity,
    dialect: Dialect,
    asked: str | None = None,
) -> Entry | Denial:
    """To what somebody may come; *asked* is the model where the handshake's query names none."""
    asked = asked_for(handshake) or asked
    secret = identity.secret
    intent = handshake.query.get("intent") or None
    if secret is not None and secret.transcription:
        intent = TRANSCRIPTION
    elif secret is not None and intent == TRANSCRIPTION:
        return OTHER_INTENT
    try:
        deployment = service.deployments.find(asked or (secret.deployment if secret else None))
    except UnknownDeployment as unknown:
        # To transcribe needs no model, or names one that does; another intent is refused as such.
        if intent is None:
            return unknown_deployment(str(unknown))
        deployment = service.deployments.default
    if secret is not None and secret.deployment != deployment.name:
        if asked and intent is None:
            return other_deployment(secret.deployment, asked)
        try:
            deployment = service.deployments.find(secret.deployment)
        except UnknownDeployment as gone:
            return unknown_deployment(str(gone))
    return Entry(
        identity=identity,
        deployment=deployment,
        model=asked or (secret.model if secret else deployment.name),
        dialect=dialect,
        azure=handshake.azure,
        intent=intent,
    )


def asked_for(handshake: Handshake) -> str | None:
    """The deployment or model asked for; each style knows the other's name for it."""
    model, deployment = handshake.query.get("model"), handshake.query.get("deployment")
    if handshake.path == "/openai/realtime":
        return deployment or model
    return model or deployment


def backend_of(service: Service, deployment: Deployment) -> Backend | Denial:
    """Who answers for a deployment, or why nobody does."""
    try:
        return service.backend_for(deployment)
    except EngineFull as full:
        return busy(f"{deployment.name} has no room: {full}.")
    except EngineUnavailable as lacking:
        return unavailable(f"{deployment.name} cannot be served: {lacking}", 30)


def refusal_of(service: Service, dialect: Dialect, intent: str | None = None) -> Refusal | None:
    """Why there will be no session, where that is told after the upgrade."""
    if dialect == "preview" and not service.config.preview:
        return Refusal(
            "The preview (beta) shape of the API is switched off here. Connect without "
            "OpenAI-Beta, or on /openai/v1/realtime.",
            code="beta_api_shape_disabled",
        )
    if intent not in (None, TRANSCRIPTION):
        return Refusal(f"Invalid intent {shown(intent)}", code="invalid_intent")
    return None


def codec_of(service: Service, dialect: Dialect, *, azure: bool) -> Codec:
    """The codec of one connection; what it ignores is told in the log."""
    return codec(
        dialect,
        strict=service.config.strict,
        azure=azure,
        on_ignored=partial(_note_ignored, dialect),
    )


def _note_ignored(dialect: Dialect, path: str) -> None:
    log.info("a key was ignored", key=path, dialect=dialect)
