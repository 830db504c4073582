"""One table of paths, OpenAI's and Azure's, and what plain HTTP gets there."""

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from vivavoce.deployments import Deployment, UnknownDeployment
from vivavoce.server import client_secrets, deployments_api
from vivavoce.server.answers import as_json, turned_down
from vivavoce.server.auth import needs_key
from vivavoce.server.calls import Calls, no_telephone
from vivavoce.server.entry import admit
from vivavoce.server.handshake import of_scope
from vivavoce.server.home import routes_of_home
from vivavoce.server.pages import FOLDER, Shelf, routes_of_pages
from vivavoce.server.realtime import converse, deny
from vivavoce.server.refusals import (
    FAULT,
    NOT_FOUND,
    UPGRADE_REQUIRED,
    Denial,
    method_not_allowed,
    unknown_deployment,
)
from vivavoce.server.service import Service
from vivavoce.server.sign_in import routes_of_sign_in

REALTIME = ("/openai/v1/realtime", "/v1/realtime", "/openai/realtime")
GA_STYLES = ("/v1", "/openai/v1")
OPENAI_MODELS = ("/openai/v1/models", "/v1/models")
AZURE_MODELS = "/openai/models"

Endpoint = Callable[[Service, Request], Awaitable[Response]]


def routes(service: Service, calls: Calls) -> list[BaseRoute]:
    """Every route of the server; paths are matched without a slash at their end."""
    shelf = Shelf(FOLDER)
    http: dict[str, Endpoint] = {
        "/healthz": healthz,
        "/readyz": readyz,
        "/metrics": metrics,
        AZURE_MODELS: azure_models,
        f"{AZURE_MODELS}/{{name}}": azure_model,
        **dict.fromkeys(OPENAI_MODELS, openai_models),
        **{f"{path}/{{name}}": openai_model for path in OPENAI_MODELS},
        **dict.fromkeys(REALTIME, upgrade_required),
    }
    posted: dict[str, Endpoint] = {
        "/v1/realtime": partial(calls.create, "preview"),
        "/v1/realtimertc": partial(calls.create, "preview"),
        "/v1/realtime/sessions": client_secrets.create("sessions"),
        "/v1/realtime/transcription_sessions": client_secrets.create("transcription_sessions"),
        "/openai/realtimeapi/sessions": client_secrets.create("azure_sessions"),
    }
    for style in GA_STYLES:
        posted[f"{style}/realtime/client_secrets"] = client_secrets.create("client_secrets")
        posted[f"{style}/realtime/calls"] = partial(calls.create, "ga")
        posted[f"{style}/realtime/calls/{{call_id}}/hangup"] = calls.hang_up
        for verb in ("accept", "reject", "refer"):
            posted[f"{style}/realtime/calls/{{call_id}}/{verb}"] = no_telephone
    return [
        *(WebSocketRoute(path, partial(converse, service)) for path in REALTIME),
        *deployments_api.routes(service),
        *(
            Route(path, partial(endpoint, service), methods=["POST"])
            for path, endpoint in posted.items()
        ),
        *(Route(path, partial(endpoint, service)) for path, endpoint in http.items()),
        *routes_of_pages(service, shelf, plain_home),
        *routes_of_sign_in(service, shelf),
        *routes_of_home(service, shelf),
        WebSocketRoute("/{path:path}", partial(nowhere, service)),
    ]


async def not_found(service: Service, request: Request, _error: Exception) -> Response:
    """There is no such path."""
    return turned_down(service, request, NOT_FOUND)


async def wrong_method(service: Service, request: Request, error: Exception) -> Response:
    """There is, but not for this method."""
    allowed = (getattr(error, "headers", None) or {}).get("Allow", "GET")
    in_order = ", ".join(sorted(allowed.split(", ")))
    return turned_down(service, request, method_not_allowed(request.method, in_order))


async def fault(service: Service, request: Request, _error: Exception) -> Response:
    """Our own mistake."""
    return turned_down(service, request, FAULT)


async def nowhere(service: Service, websocket: WebSocket) -> None:
    """An upgrade where there is nothing."""
    await deny(service, websocket, of_scope(websocket.scope), NOT_FOUND)


async def upgrade_required(service: Service, request: Request) -> Response:
    """A plain request to where a WebSocket is."""
    return turned_down(service, request, UPGRADE_REQUIRED)


async def plain_home(service: Service, _request: Request) -> Response:
    """Where to go from here, for programs and their people."""
    lines = [
        "Viva Voce, a realtime speech server.",
        "",
        *(
            f"{each.name}: answered by the recipe {each.recipe_name}"
            for each in service.deployments
        ),
        "",
        *(f"WebSocket {path}" for path in REALTIME),
        *(f"POST {style}/realtime/calls" for style in GA_STYLES),
        *(f"POST {style}/realtime/client_secrets" for style in GA_STYLES),
        *(f"GET {path}" for path in (*OPENAI_MODELS, AZURE_MODELS, "/healthz", "/readyz")),
        "",
    ]
    return Response("\n".join(lines), media_type="text/plain; charset=utf-8")


async def healthz(_service: Service, _request: Request) -> Response:
    """The process lives."""
    return as_json({"status": "ok"})


async def readyz(service: Service, _request: Request) -> Response:
    """The engines are warm, or not yet, or no longer."""
    report = service.readiness.report(service.admission.live)
    denial = service.readiness.denial
    return as_json(report, 200 if denial is None else denial.status)


async def metrics(service: Service, _request: Request) -> Response:
    """What Prometheus asks."""
    return Response(
        service.metrics.exposition(), headers={"Content-Type": service.metrics.content_type}
    )


async def openai_models(service: Service, request: Request) -> Response:
    """Every deployment, in OpenAI's form."""
    return _list(service, request, _openai_model)


async def azure_models(service: Service, request: Request) -> Response:
    """Every deployment, in the form of Azure's model catalogue."""
    return _list(service, request, _azure_model)


async def openai_model(service: Service, request: Request) -> Response:
    """One deployment, in OpenAI's form."""
    return _one(service, request, _openai_model)


async def azure_model(service: Service, request: Request) -> Response:
    """One deployment, in Azure's form."""
    return _one(service, request, _azure_model)


Form = Callable[[Deployment, int], dict[str, object]]


def _list(service: Service, request: Request, form: Form) -> Response:
    if (denial := _barred(service, request)) is not None:
        return turned_down(service, request, denial)
    data = [form(each, service.started_at) for each in service.deployments]
    return as_json({"object": "list", "data": data})


def _one(service: Service, request: Request, form: Form) -> Response:
    if (denial := _barred(service, request)) is not None:
        return turned_down(service, request, denial)
    try:
        found = service.deployments.find(request.path_params["name"])
    except UnknownDeployment as unknown:
        return turned_down(service, request, unknown_deployment(str(unknown)))
    return as_json(form(found, service.started_at))


def _barred(service: Service, request: Request) -> Denial | None:
    """Why somebody may not know what answers here."""
    identity = admit(of_scope(request.scope), service, ready=False)
    return identity if isinstance(identity, Denial) else needs_key(identity)


def _openai_model(deployment: Deployment, since: int) -> dict[str, object]:
    return {
        "id": deployment.name,
        "object": "model",
        "created": since,
        "owned_by": "vivavoce",
        "served_by": deployment.served_by,
    }


def _azure_model(deployment: Deployment, since: int) -> dict[str, object]:
    preview = "preview" in deployment.model
    return {
        "id": deployment.name,
        "object": "model",
        "model": deployment.model,
        "status": "succeeded",
        "lifecycle_status": "preview" if preview else "generally-available",
        "created_at": since,
        "updated_at": since,
        "capabilities": {
            "fine_tune": False,
            "inference": True,
            "completion": False,
            "chat_completion": False,
            "embeddings": False,
            "realtime": True,
        },
        "served_by": deployment.served_by,
    }
