"""What the client reads of its own speech: the words as they come, and how they ended.

An item's words are held back until the client follows it, which is when the item was announced, or
at once where nothing but transcripts is wanted. Once it has read the first of them, it reads them
to the end, whatever the settings say by then.
"""

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


class Captions:
    """The items whose words the client follows, and the words that wait to be shown."""

    def __init__(self, out: Outgoing, count: CountTokens) -> None:
        self._out = out
        self._count = count
        self._followed: dict[str, int] = {}  # items, and which part of each is speech
        self._held: dict[str, list[str]] = {}

    def follows(self, item_id: str) -> bool:
        """Whether the client reads along."""
        return item_id in self._followed

    def follow(self, item_id: str, content_index: int = 0) -> None:
        """From now on the client reads along, beginning with what was held back."""
        self._followed.setdefault(item_id, content_index)
        for delta in self._held.pop(item_id, ()):
            self.tell(item_id, delta)

    def hold(self, item_id: str, delta: str) -> None:
        """Keep words until the client follows that item."""
        self._held.setdefault(item_id, []).append(delta)

    def tell(self, item_id: str, delta: str) -> None:
        """Show words to a client that follows."""
        if item_id in self._followed:
            self._out.tell(
                TranscriptionDelta(
                    event_id=self._out.event_id(),
                    item_id=item_id,
                    delta=delta,
                    content_index=self._followed[item_id],
                )
            )

    def drop(self, item_id: str) -> None:
        """Nobody will read that item."""
        self._held.pop(item_id, None)
        self._followed.pop(item_id, None)

    def finish(
        self, finished: TranscriptFinished, length_ms: int, asked: Transcription | None
    ) -> None:
        """Tell a client that follows that these are all the words."""
        content_index = self._followed.pop(finished.item_id, None)
        if content_index is not None:
            self._out.tell(
                TranscriptionCompleted(
                    event_id=self._out.event_id(),
                    item_id=finished.item_id,
                    transcript=finished.transcript,
                    usage=self._usage(finished.transcript, length_ms, asked),
                    content_index=content_index,
                )
            )

    def fail(self, failed: TranscriptFailed) -> None:
        """Tell a client that follows that there will be no words."""
        content_index = self._followed.pop(failed.item_id, None)
        if content_index is not None:
            self._out.tell(
                TranscriptionFailed(
                    event_id=self._out.event_id(),
                    item_id=failed.item_id,
                    code=failed.code,
                    message=failed.message,
                    content_index=content_index,
                )
            )

    def _usage(
        self, transcript: str, length_ms: int, asked: Transcription | None
    ) -> TranscriptionUsage:
        if asked is None or not (asked.model or "").startswith(BILLED_BY_TOKENS):
            return TranscriptionUsage(seconds=round(length_ms / 1000))
        heard = Tokens(text=self._count(asked.prompt or ""), audio=length_ms // 100)
        return TranscriptionUsage(input=heard, output_tokens=self._count(transcript))
