"""Signing in to the pages: by the printed link, or by a key; and out again.

A browser that has signed in sends a cookie, which counts wherever a key does, though only for our own
pages. So no page ever holds a key.
"""

from functools import partial
from urllib.parse import parse_qsl

import msgspec
import structlog
from msgspec import Struct
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from vivavoce.server.answers import as_json, body_of, turned_down
from vivavoce.server.auth import Identity, digest, needs_key, owner
from vivavoce.server.entry import admit
from vivavoce.server.handshake import Handshake, of_scope
from vivavoce.server.origins import of_own_host, of_own_page
from vivavoce.server.pages import SIGN_IN, Shelf, wants_page
from vivavoce.server.refusals import (
    MISSING_KEY,
    NO_KEY,
    NOT_FOUND,
    NOT_OUR_PAGE,
    NOT_SIGNED_IN,
    WRONG_KEY,
    Denial,
    unsupported_type,
)
from vivavoce.server.service import Service
from vivavoce.server.visits import set_cookie

MAX_BODY_BYTES = 8 * 1024
PATH = "/sign-in"
UNKEPT = {"Cache-Control": "no-store"}
BROWSERS_SAY = frozenset({"origin", "sec-fetch-site"})

log = structlog.get_logger(__name__)


class KeyGiven(Struct, frozen=True):
    """The body of a request to sign in."""

    key: str


def signed_in(service: Service, request: HTTPConnection) -> Identity | Denial:
    """Who asks, if they may see and do what the pages show: a browser that signed in, or a key's owner.

    No client secret will do. No foreign page may, whatever else the operator allows it.
    """
    handshake = of_scope(request.scope)
    identity = admit(handshake, service, ready=False)
    if isinstance(identity, Denial):
        return NOT_SIGNED_IN if identity == NO_KEY else identity
    return needs_key(identity) or _foreign(service, handshake) or identity


def over_tls(service: Service, handshake: Handshake) -> bool:
    """The browser speaks TLS, with us or with a proxy before us."""
    ours = f"https://{handshake.headers.get('host', '')}"
    origin, referer = (handshake.headers.get(name, "") for name in ("origin", "referer"))
    return service.config.secure or origin == ours or referer.startswith(f"{ours}/")


def sign_in_link(url: str, token: str) -> str:
    """What signs in whoever opens it first."""
    return f"{url}{PATH}?token={token}"


def routes_of_sign_in(service: Service, shelf: Shelf) -> list[BaseRoute]:
    """Where to sign in, and out; *shelf* has the page that asks for a key."""
    return [
        Route(PATH, partial(_knock, service, shelf), methods=["GET", "POST"]),
        Route("/sign-out", partial(_sign_out, service), methods=["POST"]),
    ]


async def _knock(service: Service, shelf: Shelf, request: Request) -> Response:
    if request.method == "POST":
        return await _sign_in(service, shelf, request)
    return _ask(service, shelf, request)


def _ask(service: Service, shelf: Shelf, request: Request) -> Response:
    """The page that asks for a key; or, by a link that is still good, home."""
    handshake = of_scope(request.scope)
    # A HEAD is of a program that looks at links, for a person who has not opened it yet.
    token = handshake.query.get("token") if request.method == "GET" else None
    if service.keys and token is not None and service.invitations.accept(token):
        return _welcomed(service, handshake, service.keys[0])
    if not isinstance(signed_in(service, request), Denial):
        return _to_home({})
    return _form(service, shelf, request, 200 if token is None else 403)


async def _sign_in(service: Service, shelf: Shelf, request: Request) -> Response:
    """Take a key."""
    handshake = of_scope(request.scope)
    key = _foreign(service, handshake) or await _key_in(request, handshake)
    wrong = key if isinstance(key, Denial) else _wrong(service, key)
    if wrong is None:
        return _welcomed(service, handshake, str(key))
    if wrong is WRONG_KEY and wants_page(handshake):
        return _form(service, shelf, request, 401)
    return turned_down(service, request, wrong)


async def _sign_out(service: Service, request: Request) -> Response:
    """Have the browser forget its cookie."""
    handshake = of_scope(request.scope)
    if not of_own_page(handshake, secure=service.config.secure):
        return turned_down(service, request, NOT_OUR_PAGE)
    gone = set_cookie("", secure=over_tls(service, handshake), seconds=0)
    return _answer(handshake, {"signed_in": False}, {"Set-Cookie": gone})


def _foreign(service: Service, handshake: Handshake) -> Denial | None:
    """Why it is none of our own pages that asks, nor a program."""
    config = service.config
    from_browser = BROWSERS_SAY & handshake.headers.keys()
    if from_browser and not of_own_page(handshake, secure=config.secure):
        return NOT_OUR_PAGE
    # Whoever owns a name can let it point here. Where a key is asked for, that gains them nothing.
    if service.keys is None and not of_own_host(handshake, (config.host,)):
        return NOT_OUR_PAGE
    return None


async def _key_in(request: Request, handshake: Handshake) -> str | Denial:
    """The key in the body."""
    body = await body_of(request, MAX_BODY_BYTES)
    if isinstance(body, Denial):
        return body
    kind = handshake.headers.get("content-type", "").partition(";")[0].strip().lower()
    match kind:
        case "application/x-www-form-urlencoded":
            given = dict(parse_qsl(body.decode("utf-8", "replace")))
            return given["key"].strip() if "key" in given else MISSING_KEY
        case "application/json":
            try:
                return msgspec.json.decode(body, type=KeyGiven).key.strip()
            except (msgspec.DecodeError, RecursionError):
                return MISSING_KEY
    return unsupported_type(kind[:100], "application/json or application/x-www-form-urlencoded")


def _wrong(service: Service, key: str) -> Denial | None:
    """Why that key opens nothing; where none is needed, each will do."""
    known = owner(key, service.keys) if service.keys is not None else None
    return known if isinstance(known, Denial) else None


def _welcomed(service: Service, handshake: Handshake, key: str) -> Response:
    """Signed in, where there is anything to sign in to."""
    headers = {}
    if service.keys is not None:
        sealed = service.visits.close(digest(key))
        headers["Set-Cookie"] = set_cookie(sealed, secure=over_tls(service, handshake))
        log.info("signed in", client=handshake.client)
    return _answer(handshake, {"signed_in": True}, headers)


def _answer(handshake: Handshake, told: object, headers: dict[str, str]) -> Response:
    """To a person their home, to a script a word."""
    if handshake.method == "GET" or wants_page(handshake):
        return _to_home(headers)
    return as_json(told, headers=headers | UNKEPT)


def _to_home(headers: dict[str, str]) -> Response:
    return Response(status_code=303, headers={"Location": "/", **headers, **UNKEPT})


def _form(service: Service, shelf: Shelf, request: Request, status: int) -> Response:
    """The page that asks for a key; it says by its own address why it is shown."""
    found = shelf.find(f"{SIGN_IN}.html")
    if found is None:
        return turned_down(service, request, NOT_FOUND)
    headers = {"Content-Type": found.kind, **UNKEPT}
    if status != 200:
        service.metrics.refused(status)
        log.info("sign-in refused", status=status, client=of_scope(request.scope).client)
    if status == 401:
        headers |= WRONG_KEY.headers
    return Response(found.body, status, headers=headers)
