"""uvicorn's WebSocket protocol, with two of its gaps closed."""

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from vivavoce.server.refusals import TOO_LARGE

_BODY = TOO_LARGE.body(azure=False)
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One connection. Written against uvicorn 0.54; what it overrides is tested over a socket."""

    def data_received(self, data: bytes) -> None:
        """Answer an upgrade that cannot be read, such as one with a header beyond 8 KiB.

        uvicorn leaves its client waiting.
        """
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    async def send(self, message: ASGISendEvent) -> None:
        """Count an upgrade that was turned down as answered.

        uvicorn does not, and logs an error for each.
        """
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True
