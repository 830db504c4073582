"""A small hub of models on loopback: what `huggingface_hub` asks of the real one, and its failures.

Large files are answered by a redirection to another host, as the real hub does; small ones directly.
Parts of files, repositories that are closed, and connections that are cut or wrong are there too.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from anyio.from_thread import start_blocking_portal
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from vivavoce.testing.http import serving

COMMIT = "c0ffee" + "0" * 34
LARGE = 1000  # bytes; from there on a file goes by its sha256, and lies on the other host


class Asked(Struct, frozen=True):
    """A request for a file's bytes: of which, from where on, by whom, and on which host."""

    path: str
    range: str | None
    authorization: str | None
    host: str


class FakeHub:
    """Holds repositories; what a test sets here fails in that way."""

    def __init__(self, repositories: Mapping[str, Mapping[str, bytes]]) -> None:
        self.repositories = {name: dict(files) for name, files in repositories.items()}
        self.asked: list[Asked] = []
        self.looked_up = 0
        self.cut: dict[str, list[int]] = {}  # of a path: after so many bytes, one for each request
        self.altered: dict[str, bytes] = {}  # of a path: what is sent in place of its contents
        self.closed: set[str] = set()  # repositories
        self.stalls: set[str] = set()  # paths: half is sent, and no more for as long as one waits
        self.ignores_ranges = False
        self.status: int | None = None  # of every answer
        self.app = Starlette(
            routes=[
                Route("/api/models/{owner}/{name}/revision/{revision}", self._describe),
                Route("/{owner}/{name}/resolve/{revision}/{path:path}", self._resolve),
                Route("/stored/{owner}/{name}/{path:path}", self._send),
            ]
        )

    async def _describe(self, request: Request) -> Response:
        self.looked_up += 1
        if refused := self._refused(request):
            return refused
        files = self.repositories[_repository(request)]
        return JSONResponse(
            {
                "id": _repository(request),
                "sha": _commit(request),
                "private": False,
                "tags": [],
                "siblings": [_sibling(path, contents) for path, contents in files.items()],
            }
        )

    async def _resolve(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        path = request.path_params["path"]
        contents = self.repositories[_repository(request)].get(path)
        if contents is None:
            return Response(status_code=404, headers={"X-Error-Code": "EntryNotFound"})
        if len(contents) < LARGE:
            return await self._send(request)
        port = request.url.port
        return RedirectResponse(
            f"http://localhost:{port}/stored/{_repository(request)}/{path}",
            status_code=302,
            headers={
                "X-Repo-Commit": COMMIT,
                "X-Linked-ETag": f'"{hashlib.sha256(contents).hexdigest()}"',
                "X-Linked-Size": str(len(contents)),
            },
        )

    async def _send(self, request: Request) -> Response:
        path = request.path_params["path"]
        self.asked.append(
            Asked(
                path,
                request.headers.get("range"),
                request.headers.get("authorization"),
                request.url.hostname or "",
            )
        )
        contents = self.altered.get(path, self.repositories[_repository(request)][path])
        wanted = None if self.ignores_ranges else request.headers.get("range")
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        headers = {"ETag": f'"{hashlib.sha256(contents).hexdigest()}"', "X-Repo-Commit": COMMIT}
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{len(contents) - 1}/{len(contents)}"
        cuts, stalls = self.cut.get(path), path in self.stalls
        until = len(contents) // 2 if stalls else cuts.pop(0) if cuts else None
        return _Bytes(contents[start:], 206 if wanted else 200, headers, until, stalls)

    def _refused(self, request: Request) -> Response | None:
        if self.status is not None:
            return Response(status_code=self.status)
        repository = _repository(request)
        if repository in self.closed or repository not in self.repositories:
            # The real hub does not tell whether a repository is closed or not there at all.
            return Response(status_code=401, headers={"X-Error-Code": "RepoNotFound"})
        if _commit(request) is None:
            return Response(status_code=404, headers={"X-Error-Code": "RevisionNotFound"})
        return None


class _Bytes(Response):
    """An answer that may end before its time: its length is stated, and the connection goes away."""

    def __init__(
        self,
        contents: bytes,
        status: int,
        headers: Mapping[str, str],
        until: int | None,
        stalls: bool,
    ) -> None:
        super().__init__(contents, status, headers)
        self._until, self._stalls = until, stalls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._until is None:
            await super().__call__(scope, receive, send)
            return
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        body = bytes(self.body)[: self._until]
        await send({"type": "http.response.body", "body": body, "more_body": True})
        while self._stalls and (await receive())["type"] != "http.disconnect":
            pass


def _commit(request: Request) -> str | None:
    """What a revision means: itself, if it is the name of a commit."""
    revision = str(request.path_params["revision"])
    if revision == "main":
        return COMMIT
    return revision if re.fullmatch("[0-9a-f]{40}", revision) else None


def _repository(request: Request) -> str:
    return f"{request.path_params['owner']}/{request.path_params['name']}"


def _sibling(path: str, contents: bytes) -> dict[str, object]:
    blob = hashlib.sha1(b"blob %d\0" % len(contents) + contents, usedforsecurity=False)
    sibling: dict[str, object] = {
        "rfilename": path,
        "size": len(contents),
        "blobId": blob.hexdigest(),
    }
    if len(contents) >= LARGE:
        sha256 = hashlib.sha256(contents).hexdigest()
        sibling["lfs"] = {"sha256": sha256, "size": len(contents), "pointerSize": 130}
    return sibling


@contextmanager
def hub_in_thread(hub: FakeHub) -> Iterator[str]:
    """Serve it in a loop of another thread, for a client that blocks this one; gives its address."""

    @asynccontextmanager
    async def served() -> AsyncIterator[str]:
        async with serving(hub.app) as address:
            yield address

    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(served()) as address,
    ):
        yield address
