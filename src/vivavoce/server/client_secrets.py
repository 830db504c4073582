"""Client secrets made: the REST calls by which a server of the operator's gets one for a page."""

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from vivavoce.core import events
from vivavoce.core.errors import Refusal
from vivavoce.core.settings import SessionSettings
from vivavoce.deployments import Deployment, UnknownDeployment
from vivavoce.dialects.objects import Json
from vivavoce.dialects.session_requests import (
    FORMS,
    MAX_BODY_BYTES,
    SecretForm,
    SecretRequest,
    read_secret_request,
    respelt,
    write_session,
)
from vivavoce.runtime.channel import Opening, View
from vivavoce.runtime.views import Sight
from vivavoce.server.answers import as_json, body_of, turned_down
from vivavoce.server.auth import Identity, needs_key
from vivavoce.server.entry import PREVIEW_VERSIONS, admit, asked_for, backend_of
from vivavoce.server.handshake import Handshake, of_scope
from vivavoce.server.openings import opening_of
from vivavoce.server.origins import origin_of
from vivavoce.server.refusals import NOT_FOUND, Denial, bad_request, unknown_deployment
from vivavoce.server.sealing import ClientSecret, TooLarge
from vivavoce.server.service import Service

Endpoint = Callable[[Service, Request], Awaitable[Response]]

UNKEPT = {"Cache-Control": "no-store"}

log = structlog.get_logger(__name__)


def create(form: SecretForm) -> Endpoint:
    """The endpoint that makes client secrets which are asked for in that form."""
    return partial(_create, form)


async def _create(form: SecretForm, service: Service, request: Request) -> Response:
    made = await _answer(form, service, request)
    if isinstance(made, Denial):
        denial = msgspec.structs.replace(made, headers={**made.headers, **UNKEPT})
        return turned_down(service, request, denial)
    return as_json(made, headers=UNKEPT)


async def _answer(form: SecretForm, service: Service, request: Request) -> Json | Denial:
    handshake = of_scope(request.scope)
    identity = _maker(service, handshake)
    if isinstance(identity, Denial):
        return identity
    if form == "azure_sessions" and service.config.strict and not _version_known(handshake):
        return NOT_FOUND
    body = await body_of(request, MAX_BODY_BYTES)
    if isinstance(body, Denial):
        return body
    try:
        return _made(service, form, handshake, identity, body)
    except Refusal as refusal:
        return bad_request(refusal)


def _maker(service: Service, handshake: Handshake) -> Identity | Denial:
    """Who asks, if they may have a secret made."""
    identity = admit(handshake, service)
    if isinstance(identity, Denial):
        return identity
    return needs_key(identity) or identity


def _version_known(handshake: Handshake) -> bool:
    return handshake.query.get("api-version") in PREVIEW_VERSIONS


def _made(
    service: Service, form: SecretForm, handshake: Handshake, identity: Identity, body: bytes
) -> Json | Denial:
    """A secret and its session as the answer shows them; raises Refusal."""
    asked = _read(service, form, body)
    model = asked.model or asked_for(handshake)
    deployment = _deployment(service, asked, model)
    if isinstance(deployment, Denial):
        return deployment
    opening = opening_of(
        service,
        deployment,
        model or deployment.name,
        asked.dialect,
        transcription=asked.transcription,
    )
    settings = _settled(service, deployment, asked, opening)
    if isinstance(settings, Denial):
        return settings
    secret = _secret(service, deployment, asked, opening, identity)
    token = _sealed(service, secret, asked)
    log.info(
        "client secret made",
        deployment=deployment.name,
        dialect=asked.dialect,
        identity=identity.name,
        seconds=asked.lives_s,
        session=secret.session_id,
    )
    session = _shown(secret, settings, azure=handshake.azure)
    key = {"value": token, "expires_at": secret.expires_at}
    return (
        {**key, "session": session} if asked.dialect == "ga" else session | {"client_secret": key}
    )


def _read(service: Service, form: SecretForm, body: bytes) -> SecretRequest:
    dialect, _ = FORMS[form]
    if dialect == "preview" and not service.config.preview:
        raise Refusal(
            "The preview (beta) shape of the API is switched off here. Have the client secret made "
            "by POST /v1/realtime/client_secrets or /openai/v1/realtime/client_secrets.",
            code="beta_api_shape_disabled",
        )
    return read_secret_request(
        body, form, strict=service.config.strict, on_ignored=partial(_note_ignored, form)
    )


def _note_ignored(form: SecretForm, path: str) -> None:
    log.info("a key was ignored", key=path, form=form)


def _deployment(service: Service, asked: SecretRequest, model: str | None) -> Deployment | Denial:
    try:
        return service.deployments.find(model)
    except UnknownDeployment as unknown:
        if asked.transcription:  # which needs no model, or names one that transcribes
            return service.deployments.default
        param = asked.where.name("model") if asked.model else "model"
        return msgspec.structs.replace(unknown_deployment(str(unknown)), param=param)


def _settled(
    service: Service, deployment: Deployment, asked: SecretRequest, opening: Opening
) -> SessionSettings | Denial:
    """The settings that a session of the secret will have, if the deployment can serve them."""
    backend = backend_of(service, deployment)
    if isinstance(backend, Denial):
        return backend
    try:
        return backend.settle(opening, asked.update)
    except Refusal as refusal:
        raise respelt(refusal, asked.where) from None


def _secret(
    service: Service,
    deployment: Deployment,
    asked: SecretRequest,
    opening: Opening,
    identity: Identity,
) -> ClientSecret:
    now = int(service.clock.wall())
    return ClientSecret(
        token_id=service.mint("secret_"),
        deployment=deployment.name,
        model=opening.settings.model,
        dialect=asked.dialect,
        session=asked.session_raw,
        session_id=opening.session_id,
        created_at=now,
        expires_at=now + asked.lives_s,
        identity=identity.name,
        locked=asked.locked,
        session_seconds=asked.session_seconds,
        origins=_origins(asked.origins),
        single_use=asked.single_use,
        transcription=asked.transcription,
    )


def _origins(sent: tuple[str, ...]) -> tuple[str, ...]:
    """As browsers spell them."""
    origins = []
    for index, each in enumerate(sent):
        param = f"limits.origins[{index}]"
        try:
            origins.append(origin_of(each))
        except ValueError as error:
            raise Refusal(f"Invalid '{param}': {error}.", param=param) from None
    return tuple(origins)


def _sealed(service: Service, secret: ClientSecret, asked: SecretRequest) -> str:
    try:
        return service.seal.close(secret)
    except TooLarge as large:
        param = asked.where.prefix or None
        raise Refusal(str(large), code="session_too_large", param=param) from None


def _shown(secret: ClientSecret, settings: SessionSettings, *, azure: bool) -> Json:
    """The session as the secret's holder will see it, since pages are often given all of this."""
    view = events.SessionView(secret.session_id, settings, 0)
    sight = Sight(View(locked=frozenset(secret.locked)))
    shown = sight.shown(events.SessionCreated(event_id="", session=view))
    assert isinstance(shown, events.SessionCreated)
    return write_session(shown.session, secret.dialect, azure)
