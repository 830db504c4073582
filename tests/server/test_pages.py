"""The pages and their assets: what is there, what is not, and what browsers are told with each."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import anyio
import httpx
import pytest
from server_clients import house
from starlette.applications import Starlette

from vivavoce.config import Config
from vivavoce.deployments import Deployment
from vivavoce.runtime.channel import Backend
from vivavoce.server import routes
from vivavoce.server.health import Readiness
from vivavoce.server.pages import FOLDER, TYPES, Guarded, Shelf, routes_of_pages
from vivavoce.server.service import Service
from vivavoce.testing.echo import Echo

pytestmark = pytest.mark.anyio

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A few pages, and beside their folder what is nobody's business."""
    pages = tmp_path / "pages"
    (pages / "elements").mkdir(parents=True)
    (pages / ".hidden").mkdir()
    for name in ("home.html", "sample.html", "sign-in.html", ".hidden.html"):
        (pages / name).write_text(f"<!doctype html><title>{name}</title>")
    (pages / "style.css").write_text("body { color: teal }")
    (pages / "elements" / "meter.js").write_text("export {};\n")
    (pages / ".hidden" / "secret.js").write_text("secret")
    (pages / "jsconfig.json").write_text("{}")
    (pages / "folder.js").mkdir()
    (tmp_path / "secret.js").write_text("secret")
    return pages


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the pages of that folder."""

    def backend_for(_: Deployment) -> Backend:
        return Echo()

    service = Service(Config(data_dir=folder), backend_for, Readiness())
    app = Starlette(
        routes=routes_of_pages(service, Shelf(folder), routes.plain_home),
        exception_handlers={404: partial(routes.not_found, service)},
    )
    transport = httpx.ASGITransport(Guarded(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://house") as client:
        yield client


async def test_home_is_a_page_to_browsers_and_text_to_others(folder: Path) -> None:
    async with serving(folder) as client:
        page = await client.get("/", headers=BROWSER)
        text = await client.get("/", headers={"Accept": "*/*"})
    assert "home.html" in page.text
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert text.text.startswith("Viva Voce, a realtime speech server.")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert [page.headers["vary"], text.headers["vary"]] == ["Accept", "Accept"]


async def test_without_a_first_page_everybody_gets_the_text(folder: Path) -> None:
    (folder / "home.html").unlink()
    async with serving(folder) as client:
        answer = await client.get("/", headers=BROWSER)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_a_page_is_there_if_its_file_is(folder: Path) -> None:
    async with serving(folder) as client:
        there = await client.get("/sample")
        others = [
            await client.get(path)
            for path in ("/playground", "/home", "/sample.html", "/.hidden", "/assets/sample.html")
        ]
    assert "sample.html" in there.text
    assert [each.status_code for each in others] == [404] * 5


def test_the_page_where_one_signs_in_is_not_among_those_to_be_linked(folder: Path) -> None:
    assert Shelf(folder).pages == ("/", "/sample")


@pytest.mark.parametrize(
    ("path", "kind"),
    [("style.css", "text/css; charset=utf-8"), ("elements/meter.js", TYPES[".js"])],
)
async def test_assets_have_their_types(folder: Path, path: str, kind: str) -> None:
    async with serving(folder) as client:
        got, head = [await client.request(how, f"/assets/{path}") for how in ("GET", "HEAD")]
    assert (got.status_code, got.headers["content-type"]) == (200, kind)
    assert got.content == (folder / path).read_bytes()
    assert head.status_code == 200
    assert head.headers["etag"] == got.headers["etag"]
    assert head.headers["content-length"] == str(len(got.content))


@pytest.mark.parametrize(
    "path",
    [
        "../secret.js",
        "%2e%2e/secret.js",
        "..%2fsecret.js",
        "elements/../../secret.js",
        "elements/%2e%2e/%2e%2e/secret.js",
        "..%5csecret.js",
        "%2fetc%2fpasswd",
        "/etc/passwd",
        "//secret.js",
        "elements//meter.js",
        "%2e/style.css",
        ".hidden/secret.js",
        "style.css%00.js",
        "style.css%00",
        "folder.js",
        "elements",
        "",
        "jsconfig.json",
        "x" * 4000 + ".js",
    ],
)
async def test_nothing_else_is_given_away(folder: Path, path: str) -> None:
    assert Shelf(folder).find(unquote(path)) is None
    async with serving(folder) as client:
        answer = await client.get(httpx.URL("http://house", raw_path=f"/assets/{path}".encode()))
    assert answer.status_code == 404
    assert "secret" not in answer.text


async def test_a_path_that_no_client_tidied_up_leads_nowhere_else() -> None:
    paths = ("/assets/../routes.py", "/assets/../../server/pages.py", "/assets/..%2fpages/home.js")
    async with house() as at:
        for path in paths:
            stream = await anyio.connect_tcp(at.address.host, at.address.port)
            async with stream:
                await stream.send(f"GET {path} HTTP/1.1\r\nHost: house\r\n\r\n".encode())
                assert (await stream.receive()).startswith(b"HTTP/1.1 404 ")


async def test_what_a_browser_has_is_not_sent_again_until_it_changes(folder: Path) -> None:
    async with serving(folder) as client:
        first = await client.get("/assets/style.css")
        etag = first.headers["etag"]
        again = [
            await client.get("/assets/style.css", headers={"If-None-Match": told})
            for told in (etag, f'"other", W/{etag}', "*", '"other"', "")
        ]
        (folder / "style.css").write_text("body { color: crimson }")
        changed = await client.get("/assets/style.css", headers={"If-None-Match": etag})
    assert first.headers["cache-control"] == "no-cache"
    assert [each.status_code for each in again] == [304, 304, 304, 200, 200]
    assert again[0].content == b""
    assert again[0].headers["etag"] == etag
    assert (changed.status_code, changed.text) == (200, "body { color: crimson }")
    assert changed.headers["etag"] != etag


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/assets/none.js"),
        ("GET", "/sign-in"),
        ("GET", "/sign-in?token=none"),
        ("POST", "/sign-in"),
        ("POST", "/sign-out"),
        ("GET", "/api/home"),
        ("DELETE", "/api/home"),
        ("DELETE", "/sign-in"),
        ("GET", "/nothing"),
        ("GET", "/metrics"),
    ],
)
async def test_every_answer_outside_the_api_tells_browsers_what_it_may_do(
    method: str, path: str
) -> None:
    async with house() as at:
        answer = await at.get(path, BROWSER, method)
    policy = answer.headers.get_list("content-security-policy")
    assert len(policy) == 1
    assert "default-src 'none'" in policy[0]
    assert "unsafe" not in policy[0]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_the_api_is_left_to_pages_of_other_origins() -> None:
    async with house() as at:
        answer = await at.get("/v1/models")
    assert "cross-origin-resource-policy" not in answer.headers


async def test_all_that_the_pages_load_is_there_and_lies_here() -> None:
    pages = (*Shelf(FOLDER).pages, "/sign-in")
    async with house() as at:
        for path in pages:
            page = await at.get(path, BROWSER)
            assert page.status_code == 200
            loaded = re.findall(r'<(?:script|link)\b[^>]*?(?:src|href)="([^"]+)"', page.text)
            for each in loaded:
                if each.startswith("data:"):
                    continue
                assert "//" not in each
                asset = await at.get(f"/{each.lstrip('/')}", {})
                assert asset.status_code == 200, f"{path} loads {each}"
                assert asset.headers["etag"]
