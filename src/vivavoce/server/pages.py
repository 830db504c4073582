"""The pages and what they are made of, served as they lie in their folder.

A page is there if its file is: `home.html` is `/` for browsers, `sample.html` is `/sample`. They hold
nothing of anybody, so they may be read without signing in.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import vivavoce
from vivavoce.server.answers import turned_down
from vivavoce.server.handshake import Handshake, of_scope
from vivavoce.server.origins import is_api
from vivavoce.server.refusals import NOT_FOUND
from vivavoce.server.service import Service

FOLDER = Path(vivavoce.__file__).parent / "pages"
HOME, SIGN_IN = "home", "sign-in"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
}
# One name of a path: it neither begins with a dot nor holds what separates names on any platform.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; worker-src 'self'; font-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(self)",
}

Plain = Callable[[Service, Request], Awaitable[Response]]


class Content(Struct, frozen=True):
    """A file as it was when it was last looked at."""

    body: bytes
    etag: str
    kind: str
    stamp: tuple[int, int]


class Shelf:
    """The files of a folder by their names, each read again when it has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, Content] = {}
        files = (each for each in folder.glob("*.html") if _NAME.fullmatch(each.name))
        names = {each.stem for each in files} - {SIGN_IN}
        # The paths of the pages there are, besides the one where one signs in.
        self.pages = tuple(sorted("/" if name == HOME else f"/{name}" for name in names))

    def show(self, service: Service, request: Request, name: str) -> Response:
        """The file of that name, or that there is none; not again to a browser that has it."""
        content = self.find(name)
        if content is None:
            return turned_down(service, request, NOT_FOUND)
        headers = {"ETag": content.etag, "Cache-Control": "no-cache"}
        if _known(content.etag, request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=headers)
        return Response(content.body, headers={**headers, "Content-Type": content.kind})

    def find(self, name: str) -> Content | None:
        """What is there under that name, None if there is nothing to be served."""
        parts = name.split("/")
        kind = TYPES.get(Path(name).suffix)
        if kind is None or not all(_NAME.fullmatch(part) for part in parts):
            return None
        return self._content(self._folder.joinpath(*parts), kind)

    def _content(self, path: Path, kind: str) -> Content | None:
        # Read on the event loop: a few files that the system keeps in memory, each but once.
        try:
            status = path.stat()
            stamp = status.st_mtime_ns, status.st_size
            known = self._read.get(path)
            if known is None or known.stamp != stamp:
                body = path.read_bytes()
                known = Content(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"', kind, stamp)
                self._read[path] = known
        except OSError:
            return None
        return known


def routes_of_pages(service: Service, shelf: Shelf, plain: Plain) -> list[BaseRoute]:
    """The pages of *shelf* and their assets; *plain* is what `/` is for whoever is no browser."""

    async def home(request: Request) -> Response:
        shown = wants_page(of_scope(request.scope)) and "/" in shelf.pages
        answer = await (page(request) if shown else plain(service, request))
        answer.headers["Vary"] = "Accept"
        return answer

    async def page(request: Request) -> Response:
        return shelf.show(service, request, f"{of_scope(request.scope).path[1:] or HOME}.html")

    async def asset(request: Request) -> Response:
        name = request.path_params["name"]
        if name.endswith(".html"):
            return turned_down(service, request, NOT_FOUND)
        return shelf.show(service, request, name)

    return [
        Route("/", home, methods=["GET"]),
        *(Route(path, page, methods=["GET"]) for path in shelf.pages if path != "/"),
        Route("/assets/{name:path}", asset, methods=["GET"]),
    ]


def wants_page(handshake: Handshake) -> bool:
    """A person asks, by a browser's address bar or a form; programs and scripts take anything."""
    return "text/html" in handshake.headers.get("accept", "")


def _known(etag: str, told: str) -> bool:
    """The browser has it as it is."""
    return any(each.strip().removeprefix("W/") in (etag, "*") for each in told.split(","))


class Guarded:
    """Tells browsers, with every answer outside the API, what it may be used for and what it may do."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or the lifespan; WebSockets are none of its business."""
        if scope["type"] != "http" or is_api(scope["path"]):
            await self._app(scope, receive, send)
            return
        added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await self._app(scope, receive, send_guarded)
