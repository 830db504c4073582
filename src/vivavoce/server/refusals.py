"""HTTP refusals, each told as the family of the path tells it."""

import math
from collections.abc import Mapping

import msgspec
from msgspec import Struct


class Denial(Struct, frozen=True):
    """A request or an upgrade turned down. *azure_code* None: Azure tells it in OpenAI's form.

    *azure_message* is what Azure says instead, if it says something else.
    """

    status: int
    message: str
    code: str | None = None
    azure_code: str | None = None
    azure_message: str | None = None
    kind: str = "invalid_request_error"
    param: str | None = None
    headers: Mapping[str, str] = {}

    def body(self, azure: bool) -> bytes:
        """The JSON body, for a path of Azure's or of OpenAI's."""
        error: dict[str, str | None]
        if azure and self.azure_code is not None:
            error = {"code": self.azure_code, "message": self.azure_message or self.message}
        else:
            error = {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        return msgspec.json.encode({"error": error})


WRONG_KEY = Denial(
    401,
    # Clients know the beginning. It would be followed by the key, which nobody else is to see.
    "Incorrect API key provided: it is not one of this server's. Check the key and the address.",
    code="invalid_api_key",
    azure_code="401",
    azure_message="Access denied: the key is not one of this server's. Check the key and the "
    "address.",
    headers={"WWW-Authenticate": "Bearer"},
)
NO_KEY = Denial(
    401,
    "Missing bearer or basic authentication in header. Send the key as Authorization: Bearer KEY, "
    "as an api-key header, or from a browser as the query value api-key or the subprotocol "
    "openai-insecure-api-key.KEY.",
    azure_code="401",
    azure_message="Access denied: no key was given. Send it as an api-key header, as bearer token "
    "(Authorization: Bearer KEY), or from a browser as the query value api-key.",
    headers={"WWW-Authenticate": "Bearer"},
)
NOT_FOUND = Denial(404, "Resource not found", azure_code="404")
UPGRADE_REQUIRED = Denial(
    426,
    "This is a WebSocket endpoint: connect to it with wss:// or ws://.",
    code="upgrade_required",
    azure_code="426",
    headers={"Upgrade": "websocket", "Connection": "Upgrade"},
)


def unknown_deployment(message: str) -> Denial:
    """Nothing answers to that name; *message* says what exists."""
    return Denial(
        404, message, code="model_not_found", azure_code="DeploymentNotFound", param="model"
    )


def unknown_call() -> Denial:
    """There is no such call, or it is over."""
    return Denial(404, "There is no such call, or it has ended.", azure_code="404", param="call_id")


def method_not_allowed(method: str, allowed: str) -> Denial:
    """The path is there, but not for that method."""
    return Denial(
        405,
        f"{method} is not possible here, but {allowed} is.",
        code="method_not_supported",
        azure_code="method_not_supported",
        headers={"Allow": allowed},
    )


def full(max_sessions: int, retry_after_s: float = 5) -> Denial:
    """As many sessions live as may."""
    return busy(f"All {max_sessions} sessions of this server are taken.", retry_after_s)


def busy(message: str, retry_after_s: float = 5) -> Denial:
    """There is no room now."""
    seconds = math.ceil(retry_after_s)
    return Denial(
        429,
        f"{message} Try again in {seconds} seconds.",
        code="rate_limit_exceeded",
        azure_code="429",
        kind="rate_limit_error",
        headers={"Retry-After": str(seconds), "retry-after-ms": str(1000 * seconds)},
    )


def unavailable(message: str, retry_after_s: float = 2) -> Denial:
    """Not now: the server starts or ends."""
    return Denial(
        503,
        message,
        code="server_error",
        azure_code="ServiceUnavailable",
        kind="server_error",
        headers={"Retry-After": str(math.ceil(retry_after_s))},
    )


BAD_REQUEST = Denial(
    400, "The upgrade cannot be read: it has to be a GET with headers in ASCII.", code="bad_request"
)
TOO_LARGE = Denial(
    431, "The request line or a header is too long: more than 8 KiB.", code="headers_too_large"
)
FAULT = Denial(
    500,
    "The server made a mistake; its log says more.",
    code="server_error",
    azure_code="InternalServerError",
    kind="server_error",
)
