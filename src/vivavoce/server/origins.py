"""Browsers: which pages may use the server, and what a page of another origin has to be told.

A browser says in the Origin header whose page is asking. A key in a page is a key that was given
away, so pages of other origins need a client secret, or the operator's word that they may do
without. Programs send no Origin, and none of this concerns them.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence

from msgspec import Struct
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vivavoce.server.auth import Identity
from vivavoce.server.handshake import Handshake, of_scope
from vivavoce.server.refusals import (
    SECRET_NEEDS_ORIGIN,
    UNREADABLE_ORIGIN,
    Denial,
    foreign_to_secret,
    key_in_browser,
    no_key_needed,
)

ANY = "*"
OPAQUE = ("null", "file://")  # what browsers say of sandboxed pages and of files
DEFAULT_PORTS = {"http": 80, "https": 443}

METHODS = "POST, GET, OPTIONS"
REQUEST_HEADERS = ("Authorization", "Content-Type", "api-key")
MAX_ASKED, MAX_NAME = 32, 64  # headers, and characters of a header's name
MAX_AGE_SECONDS = 600
EXPOSED = (
    "Location, X-Request-Id, apim-request-id, openai-processing-ms, Retry-After, retry-after-ms"
)

_HOST = r"(\[[0-9a-f:.]{2,45}\]|[^\s/?#@:\[\]\\,*%]{1,253})(?::([0-9]{1,5}))?"
_HOST_HEADER = re.compile(_HOST, re.IGNORECASE)
_ORIGIN = re.compile(rf"([a-z][a-z0-9+.-]{{0,31}})://{_HOST}/?", re.IGNORECASE)
_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+", re.IGNORECASE)


def judge_origin(
    handshake: Handshake,
    identity: Identity,
    *,
    allowed: Sequence[str],
    keyless: bool,
    secure: bool,
    own_hosts: Sequence[str] = (),
) -> Denial | None:
    """Why the page that asks may not, None if it may or if no page asks.

    *allowed* are the operator's origins for pages without client secret, *keyless* says that the
    server asks for no key, *secure* that it speaks TLS itself. *own_hosts* are the names and
    addresses, without ports, by which it is known to be reached, besides those of loopback.
    """
    secret = identity.secret
    told = handshake.headers.get("origin")
    if told is None:
        return SECRET_NEEDS_ORIGIN if secret is not None and secret.origins else None
    if secret is not None and not secret.origins:
        return None
    origin = _read(told)
    if _listed(origin, allowed if secret is None else secret.origins):
        return None
    if origin is None:
        return UNREADABLE_ORIGIN
    # Whoever owns a name can let it point here, and their page is then of the same origin as we
    # are. A key they would have to know; where none is needed, the name has to be ours.
    rebindable = keyless or secret is not None
    host = handshake.headers.get("host", "")
    if _same(origin, host, secure=secure) and (not rebindable or _ours(host, own_hosts)):
        return None
    if secret is not None:
        return foreign_to_secret(origin)
    return no_key_needed(origin) if keyless else key_in_browser(origin)


def of_own_page(handshake: Handshake, *, secure: bool) -> bool:
    """A browser says that it asks for one of our own pages, or for its user.

    What may change something, and every upgrade, has to bear our own origin. Browsers leave it away
    where a page only reads from its own server; it is then known by one of the other two headers that
    no script can set, of which they send only the referrer to a server that is neither of this machine
    nor behind TLS.
    """
    told, host = handshake.headers.get("origin"), handshake.headers.get("host", "")
    site = handshake.headers.get("sec-fetch-site")
    if site not in (None, "same-origin", "none"):
        return False
    if told is None and not handshake.is_websocket and handshake.method in ("GET", "HEAD"):
        if site is not None:
            return True
        told = "/".join(handshake.headers.get("referer", "").split("/")[:3])
    origin = _read(told) if told is not None else None
    return origin is not None and _same(origin, host, secure=secure)


def of_own_host(handshake: Handshake, own_hosts: Iterable[str]) -> bool:
    """It was asked by a name or an address that is ours for certain."""
    return _ours(handshake.headers.get("host", ""), own_hosts)


def origin_of(text: str) -> str:
    """*text* as browsers would write it, or ValueError; `*` and `null` remain as they are."""
    if text == ANY or text.lower() in OPAQUE:
        return text.lower()
    return str(_parsed(text))


class _Origin(Struct, frozen=True):
    scheme: str
    host: str
    port: int | None  # None is the scheme's own

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


def _parsed(text: str) -> _Origin:
    wanted = "has to be an origin such as https://app.example.com or http://localhost:3000, or *"
    found = _ORIGIN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} {wanted}, with a scheme and without a path")
    scheme, port = found[1].lower(), int(found[3] or 0)
    if found[3] and not 0 < port < 65536:
        raise ValueError(f"{text!r} {wanted}; ports go from 1 to 65535")
    try:
        host = _name(found[2])
    except ValueError as error:
        raise ValueError(f"{text!r} {wanted}; its host cannot be read") from error
    return _Origin(scheme, host, port if port not in (0, DEFAULT_PORTS.get(scheme)) else None)


def _name(host: str) -> str:
    """The one spelling of a host; ValueError if there is none."""
    if host.startswith("["):
        return f"[{ipaddress.IPv6Address(host[1:-1])}]"
    name = host.encode("idna").decode().lower()
    if _HOST_HEADER.fullmatch(name) is None:  # the encoding makes blanks of some letters
        raise ValueError(f"{host!r} is no name of a host")
    return name


def _read(told: str) -> str | None:
    """The origin in a header, None for what is no single one."""
    try:
        return origin_of(told) if told != ANY else None
    except ValueError:
        return None


def _listed(origin: str | None, entries: Iterable[str]) -> bool:
    read = {entry if entry == ANY else _read(entry) for entry in entries} - {None}
    return ANY in read or origin in read


def _same(origin: str, host_header: str, *, secure: bool) -> bool:
    """The page came from the address that it asks now.

    Before us there may be a proxy that speaks TLS in our place, hence an address without a port
    has the default one of the page's scheme.
    """
    if origin in OPAQUE:
        return False
    page, here = _parsed(origin), _host(host_header)
    default = DEFAULT_PORTS.get(page.scheme)
    if here is None or default is None or (secure and page.scheme != "https"):
        return False
    name, port = here
    return (page.host, page.port or default) == (name, port or default)


def _host(header: str) -> tuple[str, int | None] | None:
    """Name and port in a Host header."""
    found = _HOST_HEADER.fullmatch(header)
    if found is None:
        return None
    try:
        return _name(found[1]), int(found[2]) if found[2] else None
    except ValueError:
        return None


def _ours(host_header: str, own_hosts: Iterable[str]) -> bool:
    here = _host(host_header)
    return here is not None and (_loopback(here[0]) or here[0] in map(_spelt, own_hosts))


def _spelt(host: str) -> str | None:
    """A configured host as in a Host header; an IPv6 address may come without its brackets."""
    read = _host(f"[{host}]" if ":" in host and not host.startswith("[") else host)
    return read[0] if read is not None else None


def _loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_api(path: str) -> bool:
    """The path is one of the API's, which pages of any origin may ask; judging them comes later."""
    return path.startswith(("/v1/", "/openai/"))


def cors_headers(handshake: Handshake) -> dict[str, str]:
    """What lets a page of another origin read the answer; nothing outside the API's paths."""
    if not is_api(handshake.path):
        return {}
    return {"Access-Control-Allow-Origin": ANY, "Access-Control-Expose-Headers": EXPOSED}


def preflight(handshake: Handshake) -> tuple[int, dict[str, str]]:
    """Status and headers for the question that browsers ask ahead, which bears no credential."""
    headers = {
        "Access-Control-Allow-Origin": ANY,
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": ", ".join(_askable(handshake)),
        "Access-Control-Max-Age": str(MAX_AGE_SECONDS),
    }
    if handshake.headers.get("access-control-request-private-network") == "true":
        headers["Access-Control-Allow-Private-Network"] = "true"
    return 204, headers


def _askable(handshake: Handshake) -> list[str]:
    """Our own headers, and of those asked for the first ones that are names of headers at all."""
    asked = handshake.headers.get("access-control-request-headers", "").split(",")
    names = {name.lower(): name for name in REQUEST_HEADERS}
    for name in (each.strip() for each in asked[:MAX_ASKED]):
        if len(name) <= MAX_NAME and _NAME.fullmatch(name):
            names.setdefault(name.lower(), name)
    return list(names.values())


class Cors:
    """Answers preflights for the API's paths, and lets pages read whatever is answered there."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or the lifespan; WebSockets are none of its business."""
        if scope["type"] != "http" or not is_api(scope["path"]):
            await self._app(scope, receive, send)
            return
        handshake = of_scope(scope)
        if scope["method"] == "OPTIONS":
            status, headers = preflight(handshake)
            await Response(status_code=status, headers=headers)(scope, receive, send)
            return
        added = [(k.lower().encode(), v.encode()) for k, v in cors_headers(handshake).items()]

        async def send_readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await self._app(scope, receive, send_readable)
