"""Where a realtime server is, with what key, and in which dialect it is talked to."""

import argparse
import os
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from msgspec import Struct

from vivavoce.config import Config

Dialect = Literal["ga", "preview"]

SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
EXAMPLE = "such as http://127.0.0.1:8642"


class Misuse(Exception):  # noqa: N818 - said to a person, with what to do
    """What was typed cannot be meant."""


class Address(Struct, frozen=True):
    """Where to talk, with what key, in which dialect; whom to trust besides the usual authorities."""

    url: str
    key: str | None
    dialect: Dialect
    authority: Path | None = None


def asked_for(options: argparse.Namespace) -> Address:
    """What `parser.add_server_to` declares and `url`, as an address; Misuse if it is none."""
    data_dir = options.data_dir or Config().data_dir
    key = key_at_hand(options.key, data_dir)
    authority = data_dir / "tls" / "ca.pem"
    return address_of(options.url, key, options.dialect, options.model, authority)


def address_of(
    url: str, key: str | None, dialect: Dialect, model: str, authority: Path | None = None
) -> Address:
    """Complete what a person types: `127.0.0.1:8642` will do for one's own server.

    Misuse if it is no address.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        _ = parts.port  # a ValueError where it is none
        (parts.hostname or "").encode("idna")
    except ValueError:
        raise Misuse(f"{url}: host and port cannot be read; give an address {EXAMPLE}") from None
    if parts.scheme not in SCHEMES:
        raise Misuse(f"{url}: {parts.scheme} is another protocol; give an address {EXAMPLE}")
    if not parts.hostname:
        raise Misuse(f"{url}: no host is named; give an address {EXAMPLE}")
    query = dict(parse_qsl(parts.query))
    path = parts.path.rstrip("/")
    if not path.endswith("/realtime"):
        ga = f"{path}/realtime" if path.endswith("/v1") else "/openai/v1/realtime"
        path = ga if dialect == "ga" else "/openai/realtime"
    if path == "/openai/realtime":
        query.setdefault("api-version", "2024-10-01-preview")
        query.setdefault("deployment", model)
    else:
        query.setdefault("model", model)
    whole = urlunsplit((SCHEMES[parts.scheme], parts.netloc, path, urlencode(query), ""))
    return Address(whole, key, dialect, authority)


def key_at_hand(given: str | None, data_dir: Path) -> str | None:
    """The key that was named, that the environment holds, or that a server of ours left here.

    Misuse if no server can be told it.
    """
    where = "--key"
    for name in ("VIVAVOCE_API_KEY", "AZURE_OPENAI_API_KEY", "OPENAI_API_KEY"):
        if not given and os.environ.get(name):
            given, where = os.environ[name], name
    kept = data_dir / "api-key"
    if not given and kept.is_file():
        given, where = kept.read_text(errors="replace").strip(), str(kept)
    if given and (fault := fault_of_key(given)):
        raise Misuse(f"{where}: {fault}")
    return given or None


def fault_of_key(key: str) -> str | None:
    """Why no client can send that key, and what to do; None if it can."""
    if key.isascii() and key.isprintable() and key and " " not in key:
        return None
    return (
        "a key travels in a header, which takes ASCII characters without blanks; choose another key"
    )
