"""What the client reads of its own speech: the words as they come, and how they ended.

An item's words are held back until the client follows it, which is when the item was announced, or
at once where nothing but transcripts is wanted. Once it has read the first of them, it reads them
to the end, whatever the settings say by then.
"""

import msgspec
from msgspec import Struct

from vivavoce.core.events import (
    Tokens,
    TranscriptionCompleted,
    TranscriptionDelta,
    TranscriptionFailed,
    TranscriptionUsage,
)
from vivavoce.core.outgoing import Outgoing
from vivavoce.core.settings import Transcription
from vivavoce.core.signals import TranscriptFailed, TranscriptFinished
from vivavoce.core.usage import CountTokens

BILLED_BY_TOKENS = "gpt-4o"  # how the models begin that are; all others are billed by time


class Followed(Struct, frozen=True):
    """The part of an item whose words the client reads, and what it asked for."""

    item_id: str
    content_index: int
    asked: Transcription | None


class Captions:
    """The dictations that the client follows, and the words that wait to be shown.

    A dictation bears the id of its item, unless that has several parts to write down.
    """

    def __init__(self, out: Outgoing, count: CountTokens) -> None:
        self._out = out
        self._count = count
        self._followed: dict[str, Followed] = {}
        self._held: dict[str, list[str]] = {}

    def follows(self, item_id: str) -> bool:
        """Whether the client reads along."""
        return item_id in self._followed

    def follow(self, dictation: str, followed: Followed) -> None:
        """From now on the client reads along, beginning with what was held back."""
        self._followed.setdefault(dictation, followed)
        for delta in self._held.pop(dictation, ()):
            self.tell(dictation, delta)

    def bill(self, dictation: str, asked: Transcription | None) -> None:
        """All of it is spoken: whatever the settings say later, that is what was asked for."""
        if (followed := self._followed.get(dictation)) is not None:
            self._followed[dictation] = msgspec.structs.replace(followed, asked=asked)

    def hold(self, item_id: str, delta: str) -> None:
        """Keep words until the client follows that item."""
        self._held.setdefault(item_id, []).append(delta)

    def tell(self, dictation: str, delta: str) -> None:
        """Show words to a client that follows."""
        if (followed := self._followed.get(dictation)) is not None:
            self._out.tell(
                TranscriptionDelta(
                    event_id=self._out.event_id(),
                    item_id=followed.item_id,
                    delta=delta,
                    content_index=followed.content_index,
                )
            )

    def drop(self, item_id: str) -> None:
        """Nobody will read that item."""
        self._held.pop(item_id, None)
        self._followed.pop(item_id, None)

    def finish(self, finished: TranscriptFinished, length_ms: int) -> None:
        """Tell a client that follows that these are all the words."""
        followed = self._followed.pop(finished.item_id, None)
        if followed is not None:
            self._out.tell(
                TranscriptionCompleted(
                    event_id=self._out.event_id(),
                    item_id=followed.item_id,
                    transcript=finished.transcript,
                    usage=self._usage(finished.transcript, length_ms, followed.asked),
                    content_index=followed.content_index,
                )
            )

    def fail(self, failed: TranscriptFailed) -> None:
        """Tell a client that follows that there will be no words."""
        followed = self._followed.pop(failed.item_id, None)
        if followed is not None:
            self._out.tell(
                TranscriptionFailed(
                    event_id=self._out.event_id(),
                    item_id=followed.item_id,
                    code=failed.code,
                    message=failed.message,
                    content_index=followed.content_index,
                )
            )

    def _usage(
        self, transcript: str, length_ms: int, asked: Transcription | None
    ) -> TranscriptionUsage:
        if asked is None or not (asked.model or "").startswith(BILLED_BY_TOKENS):
            return TranscriptionUsage(seconds=round(length_ms / 1000))
        heard = Tokens(text=self._count(asked.prompt or ""), audio=length_ms // 100)
        return TranscriptionUsage(input=heard, output_tokens=self._count(transcript))
