"""What a caller posts: an SDP offer alone, in a form, or in JSON, and the session that it asks for.

Protocol reference, http, section 5. Forms come with or without content types of their parts, and
from some clients without the boundary in the header; it is then taken from the body's first line.
A form is read as it is sent by browsers and SDKs: flat, and without encodings of transfer.
"""

import re

import msgspec
from msgspec import Struct

from vivavoce.core.errors import Refusal
from vivavoce.server.refusals import Denial, bad_request, unsupported_type

WANTED = "application/sdp, multipart/form-data with the parts sdp and session, or application/json"
MOST_PARTS = 16
MOST_HEAD_BYTES = 4096  # of one part

# RFC 2046, 5.1.1: at most 70 characters.
BOUNDARY = re.compile(r"""boundary=(?:"([^"\r\n]{1,70})"|([^\s;",]{1,70}))""", re.IGNORECASE)
NAME = re.compile(rb"""[;\s]name=(?:"([^"\r\n]*)"|([^\s;"]+))""", re.IGNORECASE)

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
                return CallRequest(_text(body))
            case "application/json":
                return _of_json(body)
            case "multipart/form-data":
                return _of_form(body, content_type)
    except Refusal as refusal:
        return bad_request(refusal)
    return unsupported_type(kind[:100], WANTED)


def _of_json(body: bytes) -> CallRequest:
    raw = _object(body, "The body")
    sdp, model = raw.get("sdp"), raw.get("model")
    if not isinstance(sdp, str):
        raise _missing_sdp("")
    if model is not None and not isinstance(model, str):
        raise Refusal("Invalid type for 'model': expected a string.", param="model")
    return _with_session(sdp, raw.get("session"), model)


def _of_form(body: bytes, content_type: str) -> CallRequest:
    parts = _parts(body, _boundary(body, content_type))
    if "sdp" not in parts:
        raise _missing_sdp(" The form has to have a part of that name with the offer.")
    session = parts.get("session", b"").strip()
    raw = _object(session, "The part 'session'", "session") if session else None
    return _with_session(_text(parts["sdp"]), raw, None)


def _boundary(body: bytes, content_type: str) -> bytes:
    if (told := BOUNDARY.search(content_type)) is not None:
        return (told[1] or told[2]).encode("latin-1", "replace")
    first = body[:100].split(b"\n", 1)[0].strip()
    if not first.startswith(b"--") or not 3 <= len(first) <= 72:
        raise Refusal("The form has no boundary: neither its header nor its first line has one.")
    return first[2:]


def _parts(body: bytes, boundary: bytes) -> dict[str, bytes]:
    """The parts of a form by their names; of a name that comes twice the first counts."""
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary, MOST_PARTS + 2)
    if len(pieces) > MOST_PARTS + 2:
        raise Refusal(f"The form has too many parts: at most {MOST_PARTS} are read.")
    found: dict[str, bytes] = {}
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            break
        _, _, part = piece.partition(b"\r\n")  # after the boundary there may be blanks
        head, blank, held = (b"\r\n" + part).partition(b"\r\n\r\n")
        name = NAME.search(head) if blank and len(head) <= MOST_HEAD_BYTES else None
        if name is not None:
            found.setdefault((name[1] or name[2] or b"").decode("latin-1"), held)
    return found


def _missing_sdp(hint: str) -> Refusal:
    return Refusal(
        f"Missing required parameter: 'sdp'.{hint}", code="missing_required_parameter", param="sdp"
    )


def _with_session(sdp: str, session: object, model: str | None) -> CallRequest:
    if session is None:
        return CallRequest(sdp, None, model)
    if not isinstance(session, dict):
        raise Refusal("Invalid type for 'session': expected an object.", param="session")
    named = session.get("model")
    return CallRequest(sdp, session, named if isinstance(named, str) else model)


def _text(sdp: bytes) -> str:
    try:
        return sdp.decode()
    except UnicodeDecodeError:
        raise Refusal("The offer is not UTF-8.", param="sdp") from None


def _object(text: bytes, what: str, param: str | None = None) -> Json:
    try:
        return msgspec.json.decode(text, type=Json)
    except (msgspec.DecodeError, RecursionError) as wrong:
        raise Refusal(f"{what} is not a JSON object: {wrong}", param=param) from None
