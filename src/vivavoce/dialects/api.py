"""What a codec is, and which of the two a connection speaks."""

from collections.abc import Sequence
from typing import Literal, Protocol

from vivavoce.core.commands import AnyCommand
from vivavoce.core.events import ServerEvent
from vivavoce.dialects.ga_reading import GaReader, Ignored
from vivavoce.dialects.ga_writing import GaWriter
from vivavoce.dialects.preview import PreviewReader, PreviewWriter

Dialect = Literal["ga", "preview"]

PREVIEW_BETA = "realtime=v1"
PREVIEW_SUBPROTOCOL = "openai-beta.realtime-v1"


class Codec(Protocol):
    """Frames to commands, and events to frames, of one connection."""

    def decode(self, frame: str | bytes) -> AnyCommand:
        """The command in *frame*, a text frame or a binary one; raises Refusal and nothing else.

        The Refusal names the client's own id of the event wherever it can be read.
        """
        ...

    def encode(self, event: ServerEvent) -> Sequence[bytes]:
        """The text frames that say *event*: one, or none where the dialect does not say it."""
        ...


def dialect_of(path: str, beta_header: str | None, subprotocols: Sequence[str]) -> Dialect:
    """The dialect of a connection: by its path, else by what the client asks for (README, 1)."""
    path = path.rstrip("/")
    if path == "/openai/v1/realtime":
        return "ga"
    if path == "/openai/realtime":
        return "preview"
    asked = "".join((beta_header or "").lower().split()).split(",")
    return "preview" if PREVIEW_BETA in asked or PREVIEW_SUBPROTOCOL in subprotocols else "ga"


class _Pair:
    """A reader and a writer as one codec."""

    def __init__(self, reader: GaReader, writer: GaWriter) -> None:
        self.decode = reader.decode
        self.encode = writer.encode


def codec(
    dialect: Dialect,
    *,
    strict: bool = False,
    azure: bool = False,
    on_ignored: Ignored = lambda path: None,
) -> Codec:
    """A codec for one connection.

    *strict* refuses what the real service refuses. Otherwise *on_ignored* is told the path of each
    key that was passed over, once a connection. *azure* is true on the paths below `/openai`.
    """
    return _Pair(reader(dialect, strict=strict, on_ignored=on_ignored), writer(dialect, azure))


def reader(dialect: Dialect, *, strict: bool, on_ignored: Ignored) -> GaReader:
    """The half of a codec that reads, and reads a session object alone as well."""
    kind = GaReader if dialect == "ga" else PreviewReader
    return kind(strict=strict, on_ignored=on_ignored)


def writer(dialect: Dialect, azure: bool) -> GaWriter:
    """The half that writes."""
    return GaWriter(azure=azure) if dialect == "ga" else PreviewWriter(azure=azure)
