"""uvicorn's protocols, with their gaps closed.

Written against uvicorn 0.54; what is overridden here is tested over a socket.
"""

import asyncio

import structlog
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets import http11
from websockets.exceptions import SecurityError

from vivavoce.server.refusals import BAD_REQUEST, TOO_LARGE, Denial

# A line of an upgrade's head. A client secret, which may be 24 KiB long, travels in one.
http11.MAX_LINE_LENGTH = 32 * 1024
BODY_SECONDS = 30.0  # from there to the end of its body
HEADERS_SECONDS = 20.0  # from connecting to the end of a request's headers

log = structlog.get_logger(__name__)


class HttpProtocol(HttpToolsProtocol):
    """One connection until it is upgraded. uvicorn waits for a request's headers for ever."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request."""
        super().connection_made(transport)
        self._expect_headers()

    def on_message_begin(self) -> None:
        """Expect the rest of its headers."""
        super().on_message_begin()
        self._expect_headers()

    def on_headers_complete(self) -> None:
        """Expect the body, which nobody may read: that of a request that is refused."""
        self._expect(BODY_SECONDS)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect nothing more."""
        self._stop_expecting()
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Expect nothing more: what comes is no HTTP."""
        self._stop_expecting()
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._stop_expecting()
        super().connection_lost(exc)

    def _expect_headers(self) -> None:
        self._expect(HEADERS_SECONDS)

    def _expect(self, seconds: float) -> None:
        self._stop_expecting()
        self._patience = self.loop.call_later(seconds, self.transport.close)

    def _stop_expecting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One connection since its upgrade was asked for."""

    def data_received(self, data: bytes) -> None:
        """Answer an upgrade that cannot be read, such as one with a header beyond 32 KiB.

        uvicorn leaves its client waiting, or fails and keeps the connection among the living, which
        later stops it from shutting down.
        """
        try:
            super().data_received(data)
        except UnicodeError:  # a header beyond ASCII where none may be
            if self.handshake_complete:
                raise
            self._turn_down(BAD_REQUEST)
            return
        if (wrong := self.conn.handshake_exc) is not None and not self.handshake_initiated:
            causes = (wrong, wrong.__cause__)
            large = any(isinstance(cause, SecurityError) for cause in causes)
            self._turn_down(TOO_LARGE if large else BAD_REQUEST)

    def _turn_down(self, denial: Denial) -> None:
        self.handshake_complete = self.close_sent = True
        log.info("upgrade refused", status=denial.status, code=denial.code)
        self.transport.write(_response(denial))
        self.transport.close()

    def handle_ping(self) -> None:
        """Answer pings, but of a client that does not read no more than fit its socket."""
        pong = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(pong)

    def keepalive_timeout(self) -> None:
        """Hang up on a peer that is gone, not on one to which we do not listen just now.

        Its pong lies behind what it sent and we have not taken yet. Should it be gone all the same,
        the kernel finds that out.
        """
        if not self.read_paused:
            super().keepalive_timeout()
            return
        self.pong_timer = None
        self.pending_ping_payload = None
        self.schedule_ping()

    async def send(self, message: ASGISendEvent) -> None:
        """Count an upgrade that was turned down as answered.

        uvicorn does not, and logs an error for each.
        """
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body"):
            self.handshake_complete = True


def _response(denial: Denial) -> bytes:
    body = denial.body(azure=False)
    reasons: dict[int, str] = {400: "Bad Request", 431: "Request Header Fields Too Large"}
    return (
        f"HTTP/1.1 {denial.status} {reasons[denial.status]}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
