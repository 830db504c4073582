"""The laws of order that hold over the events of any realtime server, in either dialect.

A stream is told in GA's names, and read by a few books of law. Each keeps only what its own laws
need, sees every event, and yields the laws which that event breaks as sentences that name the ids.
What is still owed when the stream is over comes out at the end. The laws judge order and agreement
between events; whether one event is well formed is for the validator, and what is missing or of a
wrong type never stops a book.
"""

from collections.abc import Iterator
from typing import Protocol

from vivavoce.conformance.books import (
    Conversation,
    Hearing,
    Opening,
    Playback,
    Transcriptions,
)
from vivavoce.conformance.catalogue import DialectName, catalogue
from vivavoce.conformance.reading import Broken, Frame, name_of, object_of
from vivavoce.conformance.responses import Responses

GA_NAMES = {
    "transcription_session.created": "session.created",
    "transcription_session.updated": "session.updated",
    "conversation.item.created": "conversation.item.added",
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
    "response.audio.delta": "response.output_audio.delta",
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
}


class Book(Protocol):
    """Some laws, and what has to be remembered to judge by them."""

    def see(self, kind: str, frame: Frame) -> Iterator[str]:
        """The laws that one more event breaks."""
        ...

    def end(self) -> Iterator[str]:
        """What the stream still owes now that it is over."""
        ...


class Laws:
    """Judges the server events of one connection in the order they were sent."""

    def __init__(self, dialect: DialectName) -> None:
        self._dialect = dialect
        self._expired = False
        done_is_told = dialect == "ga"
        self._books: list[Book] = [
            Opening(),
            Hearing(),
            Conversation(done_is_told=done_is_told),
            Transcriptions(),
            Responses(done_is_told=done_is_told),
            Playback(),
        ]

    def see(self, frame: Frame) -> list[str]:
        """The laws that *frame* breaks, coming after all those seen before."""
        kind = name_of(frame, "type")
        event = catalogue(self._dialect).server.get(kind)
        if event is None or event.emit == "never":
            return [f"{self._dialect} does not send {kind!r}"]
        if kind == "error" and object_of(frame, "error").get("code") == "session_expired":
            self._expired = True
        found: list[str] = []
        for book in self._books:
            try:
                # One by one, so that a book's first sentences outlive the one that stops it.
                for broken in book.see(GA_NAMES.get(kind, kind), frame):
                    found.append(broken)  # noqa: PERF402
            except Broken as broken:
                found.append(str(broken))
        return found

    def end(self) -> list[str]:
        """What the stream still owes; nothing where the session ran out of time."""
        return [] if self._expired else [owed for book in self._books for owed in book.end()]
