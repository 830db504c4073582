"""Plain HTTP answers: JSON, and refusals in the words of the path's family."""

from collections.abc import Mapping

import anyio
import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from vivavoce.server.handshake import of_scope
from vivavoce.server.refusals import Denial, too_large
from vivavoce.server.service import Service

MAX_BODY_BYTES = 256 * 1024
BODY_SECONDS = 20.0
LATE = Denial(
    408, f"The body did not come within {BODY_SECONDS:g} seconds.", code="request_timeout"
)

log = structlog.get_logger(__name__)


def as_json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(
        msgspec.json.encode(value), status, headers=headers, media_type="application/json"
    )


def turned_down(service: Service, request: Request, denial: Denial) -> Response:
    """A request refused."""
    service.metrics.refused(denial.status)
    handshake = of_scope(request.scope)
    if denial.status != 404:  # browsers ask for this and that, and there may be anything in a path
        log.info("request refused", status=denial.status, code=denial.code, client=handshake.client)
    return Response(
        denial.body(handshake.azure),
        denial.status,
        headers=dict(denial.headers),
        media_type="application/json",
    )


async def body_of(request: Request, most: int = MAX_BODY_BYTES) -> bytes | Denial:
    """What a request brings along, if that is no more than so many bytes."""
    body = bytearray()
    try:
        with anyio.move_on_after(BODY_SECONDS) as patience:
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    return too_large(most)
    except ClientDisconnect:
        return LATE  # nobody will read it
    return LATE if patience.cancelled_caught else bytes(body)
