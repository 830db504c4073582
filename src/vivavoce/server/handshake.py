"""What a client says when it knocks, as a plain value of no framework."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct


class Handshake(Struct, frozen=True):
    """An HTTP request or a WebSocket upgrade. Names of headers and of the query are in lower case.

    *path* has no slash at its end. Of a name that comes twice in the query the first value counts.
    """

    path: str
    headers: Mapping[str, str] = {}
    query: Mapping[str, str] = {}
    subprotocols: tuple[str, ...] = ()
    client: str | None = None
    is_websocket: bool = False
    method: str = "GET"

    def __repr__(self) -> str:  # a header, the query and a subprotocol may each hold a key
        return f"Handshake({self.path})"

    @property
    def azure(self) -> bool:
        """It came by one of Azure's paths, so errors are told in Azure's way."""
        return self.path == "/openai" or self.path.startswith("/openai/")


def of_scope(scope: Mapping[str, Any]) -> Handshake:  # what ASGI hands over
    """The handshake in an ASGI connection scope."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    query: dict[str, str] = {}
    for name, value in parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True):
        query.setdefault(name.lower(), value)
    client = scope.get("client")
    return Handshake(
        path=scope["path"].rstrip("/") or "/",
        headers=headers,
        query=query,
        subprotocols=tuple(scope.get("subprotocols", ())),
        client=client[0] if client else None,
        is_websocket=scope["type"] == "websocket",
        method=scope.get("method", "GET"),  # an upgrade has no other
    )
