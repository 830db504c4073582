"""The pages of this folder, on a loopback address: browsers give microphones to such pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from clients_node import HERE


@contextmanager
def pages() -> Iterator[str]:
    """The origin at which they are served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(HERE))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Files(SimpleHTTPRequestHandler):
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript"}

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass
