"""What the first page tells: how the server is, where it is reached, and what answers."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from vivavoce import __version__
from vivavoce.deployments import Deployment, engines_of
from vivavoce.server.answers import as_json, turned_down
from vivavoce.server.auth import key_of
from vivavoce.server.handshake import of_scope
from vivavoce.server.pages import Shelf
from vivavoce.server.refusals import Denial
from vivavoce.server.service import Service
from vivavoce.server.sign_in import over_tls, signed_in

UNKEPT = {"Cache-Control": "no-store"}  # there is a key in it


def routes_of_home(service: Service, shelf: Shelf) -> list[BaseRoute]:
    """Where the pages ask first; *shelf* has them."""

    async def home(request: Request) -> Response:
        identity = signed_in(service, request)
        if isinstance(identity, Denial):
            return turned_down(service, request, identity)
        report = service.readiness.report(service.admission.live)
        told = {
            "signed_in": True,
            "version": __version__,
            "state": report["status"],
            "engines": report["engines"],
            "addresses": _addresses(service, request),
            "key": key_of(identity, service.keys or ()),
            "deployments": [_shown(each) for each in service.deployments],
            "pages": shelf.pages,
        }
        return as_json(told, headers=UNKEPT)

    return [Route("/api/home", home, methods=["GET"])]


def _addresses(service: Service, request: Request) -> dict[str, str]:
    """The server's, by the name that the browser knows it by."""
    handshake = of_scope(request.scope)
    config = service.config
    host = handshake.headers.get("host") or f"{config.host}:{config.port}"
    secure = "s" if over_tls(service, handshake) else ""
    return {"http": f"http{secure}://{host}", "ws": f"ws{secure}://{host}"}


def _shown(deployment: Deployment) -> dict[str, str]:
    return {
        "name": deployment.name,
        "model": deployment.model,
        "recipe": deployment.recipe_name,
        "served_by": ", ".join(engines_of(deployment.recipe).values()),
    }
