"""What a session begins with: the deployment's defaults, and what a client secret brings along."""

import msgspec

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
    service: Service, entry: Entry, backend: Backend, *, plays: bool = False
) -> Opening:
    """What the session of an entry begins with, the settings of its client secret among it.

    Refusal if those do not fit the deployment, which may have changed since they were sealed.
    """
    opening = opening_of(
        service,
        entry.deployment,
        entry.model,
        entry.dialect,
        transcription=entry.intent == TRANSCRIPTION,
        plays=plays,
    )
    secret = entry.secret
    if secret is None:
        return opening
    update = read_session(
        msgspec.json.decode(secret.session),
        secret.dialect,
        strict=service.config.strict,
        on_ignored=lambda path: None,  # it was told as the secret was made
        transcription=secret.transcription,
    )
    return msgspec.structs.replace(
        opening,
        settings=backend.settle(opening, update),
        session_id=secret.session_id,
        max_seconds=min(opening.max_seconds, secret.session_seconds or opening.max_seconds),
    )


TRANSCRIBES = SessionUpdate(
    type="transcription",
    input=AudioInputUpdate(transcription=Transcription(model=TRANSCRIPTION_MODEL)),
)
