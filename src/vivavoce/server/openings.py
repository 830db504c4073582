"""What a session begins with: the deployment's defaults, and what a client secret brings along."""

import msgspec
import structlog

from vivavoce.core.errors import Refusal
from vivavoce.core.settings import (
    AudioInputUpdate,
    SessionSettings,
    SessionUpdate,
    Transcription,
    merge,
)
from vivavoce.deployments import Deployment
from vivavoce.dialects.api import Dialect
from vivavoce.dialects.session_requests import read_session
from vivavoce.runtime.channel import Backend, Opening
from vivavoce.server.entry import TRANSCRIPTION, Entry
from vivavoce.server.service import Service

PREVIEW_SECONDS, GA_SECONDS = 1800, 3600
log = structlog.get_logger(__name__)

TRANSCRIPTION_MODEL = "gpt-4o-transcribe"  # what the hosted service's transcription sessions name


def opening_of(
    service: Service,
    deployment: Deployment,
    model: str,
    dialect: Dialect,
    *,
    transcription: bool = False,
    plays: bool = False,
) -> Opening:
    """What a session of that deployment begins with, before its client has said anything."""
    settings = merge(SessionSettings(model=model), deployment.defaults)
    if transcription:
        settings = merge(settings, TRANSCRIBES)
    by_dialect = PREVIEW_SECONDS if dialect == "preview" else GA_SECONDS
    return Opening(
        session_id=service.mint.mint_session(service.worker),
        settings=settings,
        max_seconds=service.config.session_seconds or by_dialect,
        quota=deployment.quota,
        strict=service.config.strict,
        announces_conversation=dialect == "preview" and service.config.conversation_created,
        plays=plays,
    )


def opening_for(
    service: Service,
    entry: Entry,
    backend: Backend,
    *,
    transcription: bool = False,
    plays: bool = False,
) -> Opening:
    """What the session of an entry begins with, the settings of its client secret among it.

    Refusal if those do not fit the deployment, which may have changed since they were sealed.
    """
    opening = opening_of(
        service,
        entry.deployment,
        entry.model,
        entry.dialect,
        transcription=transcription or entry.intent == TRANSCRIPTION,
        plays=plays,
    )
    secret = entry.secret
    if secret is None:
        return opening
    try:
        update = read_session(
            msgspec.json.decode(secret.session),
            secret.dialect,
            strict=service.config.strict,
            on_ignored=lambda path: None,  # it was told as the secret was made
            transcription=secret.transcription,
        )
        settings = backend.settle(opening, update)
    except Refusal as refusal:
        if not secret.locked:
            raise
        # What is wrong may be what its holder is not to know.
        log.warning("the settings of a client secret do not fit any more", param=refusal.param)
        raise Refusal(
            "The settings in this client secret do not fit this server any more. Ask for a new one.",
            code="client_secret_outdated",
        ) from None
    return msgspec.structs.replace(
        opening,
        settings=settings,
        session_id=secret.session_id,
        max_seconds=min(opening.max_seconds, secret.session_seconds or opening.max_seconds),
    )


TRANSCRIBES = SessionUpdate(
    type="transcription",
    input=AudioInputUpdate(transcription=Transcription(model=TRANSCRIPTION_MODEL)),
)
