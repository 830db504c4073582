"""HTTP refusals, each told as the family of the path tells it."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from vivavoce.core.errors import Refusal


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
WRONG_SECRET = Denial(
    401,
    "Incorrect API key provided: it begins with ek_, but is no client secret of this server's, or "
    "was altered on its way. Ask for a new one where it came from.",
    code="invalid_api_key",
    azure_code="401",
    azure_message="Access denied: the key begins with ek_, but is no client secret of this "
    "server's, or was altered on its way. Ask for a new one where it came from.",
    headers={"WWW-Authenticate": "Bearer"},
)
USED_SECRET = Denial(
    401,
    "This client secret could be used once, and was used already or made before the server's last "
    "start. Ask for a new one where it came from.",
    code="client_secret_used",
    azure_code="401",
    headers={"WWW-Authenticate": "Bearer"},
)
SIGNED_OUT = Denial(
    401,
    "This browser is not signed in any more: that lasts 12 hours, and no longer than the key it was "
    "done with. Sign in again at /sign-in.",
    code="signed_out",
    azure_code="401",
    headers={"WWW-Authenticate": "Bearer"},
)
NOT_SIGNED_IN = Denial(
    401,
    "This is for whoever is signed in. Open the link that vivavoce serve showed at its start, or give "
    "a key at /sign-in; a program sends a key as Authorization: Bearer KEY.",
    code="not_signed_in",
    headers={"WWW-Authenticate": "Bearer"},
)
MISSING_KEY = Denial(
    400,
    'Missing required parameter: \'key\'. Send {"key": "KEY"} as JSON, or key=KEY as a form.',
    code="missing_required_parameter",
    param="key",
)
NOT_OUR_PAGE = Denial(
    403,
    "Only this server's own pages and programs may do this, and this request comes from neither: its "
    "Origin is not the address that it asks, or that address is not this server's.",
    code="foreign_page",
)
NEEDS_KEY = Denial(
    403,
    "A client secret opens sessions, but not this: it needs an API key of the server. Have it done "
    "by whoever made the client secret.",
    azure_code="403",
)
SECRET_NEEDS_ORIGIN = Denial(
    403,
    "This client secret is for the pages of certain origins, and the request has no Origin header.",
    azure_code="403",
)
UNREADABLE_ORIGIN = Denial(
    403,
    "The Origin header is not one origin, such as https://app.example.com.",
    azure_code="403",
)
NOT_FOUND = Denial(404, "Resource not found", azure_code="404")
UPGRADE_REQUIRED = Denial(
    426,
    "This is a WebSocket endpoint: connect to it with wss:// or ws://.",
    code="upgrade_required",
    azure_code="426",
    headers={"Upgrade": "websocket", "Connection": "Upgrade"},
)


def expired_secret(expires_at: int) -> Denial:
    """A client secret came too late."""
    moment = datetime.fromtimestamp(expires_at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return Denial(
        401,
        f"This client secret expired at {moment} UTC. Ask for a new one where it came from.",
        code="client_secret_expired",
        azure_code="401",
        headers={"WWW-Authenticate": "Bearer"},
    )


def foreign_to_secret(origin: str) -> Denial:
    """A client secret lists the origins that may use it, and not that one."""
    return Denial(
        403,
        f"This client secret may not be used by pages of {origin}. Have one made whose origins "
        "include it.",
        azure_code="403",
    )


def key_in_browser(origin: str) -> Denial:
    """A page of *origin* holds a key."""
    return _foreign("An API key does not belong in a browser", origin)


def no_key_needed(origin: str) -> Denial:
    """A page of *origin* comes to a server that is open to whoever reaches it."""
    return _foreign("This server asks for no key, so it serves no foreign pages", origin)


def _foreign(why: str, origin: str) -> Denial:
    def told(path: str) -> str:
        return (
            f"{why}: this request comes from a page of {origin}. Have your own server make a "
            f"client secret (POST {path}/realtime/client_secrets) and give that to the page, or "
            f"start this server with --allow-origin {origin}."
        )

    return Denial(403, told("/v1"), azure_code="403", azure_message=told("/openai/v1"))


def unknown_deployment(message: str) -> Denial:
    """Nothing answers to that name; *message* says what exists."""
    return Denial(
        404, message, code="model_not_found", azure_code="DeploymentNotFound", param="model"
    )


OTHER_INTENT = Denial(
    403,
    "This client secret is for a conversation, not for a transcription. Leave the intent away, or ask "
    "the server that made the secret for one of type transcription.",
    code="intent_mismatch",
    azure_code="403",
    param="intent",
)


def other_deployment(bound: str, asked: str) -> Denial:
    """A client secret was made for another deployment than the one asked for."""
    return Denial(
        403,
        f"This client secret is for {bound}, not for {asked!r}. Leave the model away, or ask the "
        "server that made the secret for another one.",
        code="model_mismatch",
        azure_code="403",
        param="model",
    )


def bad_request(refusal: Refusal) -> Denial:
    """What was sent along cannot be taken."""
    return Denial(400, refusal.message, code=refusal.code, kind=refusal.kind, param=refusal.param)


def too_large(most: int) -> Denial:
    """The body is longer than anything that is asked for here."""
    return Denial(
        413,
        f"The body is too large: at most {most // 1024} KiB are read here.",
        code="request_too_large",
        azure_code="413",
    )


def unsupported_type(given: str, wanted: str) -> Denial:
    """The body is of another kind than what is asked for here."""
    return Denial(
        415,
        f"Unsupported content type {given!r}. Send {wanted}.",
        code="unsupported_content_type",
        azure_code="415",
    )


def invalid_offer(message: str) -> Denial:
    """The SDP is no offer that could be answered."""
    return Denial(400, message, code="invalid_offer", param="sdp")


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
    """Not now: the server starts or ends, or lacks what it takes."""
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
    431, "The request line or a header is too long: more than 32 KiB.", code="headers_too_large"
)
FAULT = Denial(
    500,
    "The server made a mistake; its log says more.",
    code="server_error",
    azure_code="InternalServerError",
    kind="server_error",
)
