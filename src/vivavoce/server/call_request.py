"""What a caller posts: an SDP offer alone, in a form, or in JSON, and the session that it asks for.

Protocol reference, http, section 5. Forms come with or without content types of their parts, and
from some clients without the boundary in the header; it is then taken from the body's first line.
"""

from email.parser import BytesParser
from email.policy import HTTP

import msgspec
from msgspec import Struct

from vivavoce.core.errors import Refusal
from vivavoce.server.refusals import Denial, bad_request, unsupported_type

WANTED = "application/sdp, multipart/form-data with the parts sdp and session, or application/json"
Json = dict[str, object]


class CallRequest(Struct, frozen=True):
    """An offer, and the session object that came with it."""

    sdp: str
    session: Json | None = None
    model: str | None = None


def read_call(body: bytes, content_type: str) -> CallRequest | Denial:
    """What was posted, by its content type."""
    kind = content_type.partition(";")[0].strip().lower()
    try:
        match kind:
            case "application/sdp" | "text/plain" | "":
                return CallRequest(body.decode())
            case "application/json":
                return _of_json(body)
            case "multipart/form-data":
                return _of_form(body, content_type)
    except UnicodeDecodeError:
        return bad_request(Refusal("The offer is not UTF-8.", param="sdp"))
    except Refusal as refusal:
        return bad_request(refusal)
    return unsupported_type(kind, WANTED)


def _of_json(body: bytes) -> CallRequest:
    raw = _object(body, "The body")
    sdp, model = raw.get("sdp"), raw.get("model")
    if not isinstance(sdp, str):
        raise Refusal(
            "Missing required parameter: 'sdp'.", code="missing_required_parameter", param="sdp"
        )
    if model is not None and not isinstance(model, str):
        raise Refusal("Invalid type for 'model': expected a string.", param="model")
    return _with_session(sdp, raw.get("session"), model)


def _of_form(body: bytes, content_type: str) -> CallRequest:
    if "boundary=" not in content_type.lower():
        first = body.split(b"\n", 1)[0].strip()
        if not first.startswith(b"--"):
            raise Refusal(
                "The form has no boundary: neither its header nor its first line has one."
            )
        content_type = f'multipart/form-data; boundary="{first[2:].decode()}"'
    head = f"Content-Type: {content_type}\r\n\r\n".encode("utf-8", "surrogateescape")
    form = BytesParser(policy=HTTP).parsebytes(head + body)
    parts: dict[str, bytes] = {}
    for part in form.iter_parts() if form.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        held = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(held, bytes):
            parts.setdefault(name, held)
    if "sdp" not in parts:
        raise Refusal(
            "Missing required parameter: 'sdp'. The form has to have a part of that name with the "
            "offer.",
            code="missing_required_parameter",
            param="sdp",
        )
    session = parts.get("session", b"").strip()
    raw = _object(session, "The part 'session'", "session") if session else None
    return _with_session(parts["sdp"].decode(), raw, None)


def _with_session(sdp: str, session: object, model: str | None) -> CallRequest:
    if session is None:
        return CallRequest(sdp, None, model)
    if not isinstance(session, dict):
        raise Refusal("Invalid type for 'session': expected an object.", param="session")
    named = session.get("model")
    return CallRequest(sdp, session, named if isinstance(named, str) else model)


def _object(text: bytes, what: str, param: str | None = None) -> Json:
    try:
        return msgspec.json.decode(text, type=Json)
    except (msgspec.DecodeError, RecursionError) as wrong:
        raise Refusal(f"{what} is not a JSON object: {wrong}", param=param) from None
