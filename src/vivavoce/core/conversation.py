"""The ordered items: insert after, replace, truncate, delete."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from vivavoce.core.errors import Refusal
from vivavoce.core.items import FunctionCall, InputImage, Item, Mark, Message, OutputAudio, text_of
from vivavoce.core.recordings import Recordings

ROOT: Literal["root"] = "root"
MAX_ITEM_CHARACTERS = 1 << 20  # ten times what a hosted model could read
MAX_WEIGHT = 64 * 1024 * 1024  # of all items: characters, pictures, and about what an item takes
ITEM_WEIGHT = 512


class Conversation:
    """One chain of items, each with one predecessor."""

    def __init__(self, conversation_id: str, recordings: Recordings | None = None) -> None:
        self.id = conversation_id
        self.recordings = recordings or Recordings()
        self._order: list[str] = []
        self._items: dict[str, Item] = {}
        self._weight = 0

    @property
    def items(self) -> tuple[Item, ...]:
        """All of them, in order."""
        return tuple(self._items[item_id] for item_id in self._order)

    @property
    def last_id(self) -> str | None:
        """The newest end of the chain."""
        return self._order[-1] if self._order else None

    def find(self, item_id: str) -> Item | None:
        """The item of that id."""
        return self._items.get(item_id)

    def previous(self, item_id: str) -> str | None:
        """The id of the item before that one."""
        at = self._order.index(item_id)
        return self._order[at - 1] if at else None

    def check_place(self, item_id: str, after: str | None) -> None:
        """Refuse an item whose id is taken or whose predecessor is unknown."""
        if item_id in self._items:
            raise duplicate(item_id)
        if after not in (None, ROOT) and after not in self._items:
            raise Refusal(
                f"Error adding item: the previous item with id '{after}' does not exist.",
                code="item_create_invalid_previous_item_id",
            )

    def check_room(self, item: Item) -> None:
        """Refuse an item of a client that is too long, or for which there is no room left."""
        if (length := len(text_of(item))) > MAX_ITEM_CHARACTERS:
            raise Refusal(
                f"Invalid 'item': string too long. Expected at most {MAX_ITEM_CHARACTERS} "
                f"characters of text in one item, but got {length} instead.",
                code="string_above_max_length",
                param="item",
            )
        if self._weight + _weight(item) > MAX_WEIGHT:
            raise Refusal(
                "Error adding item: the conversation is full, it holds "
                f"{len(self._order)} items. Delete some of them first.",
                code="conversation_full",
                param="item",
            )

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Put *item* at the end, at the beginning (`root`) or behind another; return which."""
        self.check_place(item.id, after)
        at = len(self._order)
        if after is not None:
            at = 0 if after == ROOT else self._order.index(after) + 1
        self._order.insert(at, item.id)
        self._items[item.id] = item
        self._weight += _weight(item)
        return self._order[at - 1] if at else None

    def replace(self, item: Item) -> None:
        """Put the newer state of an item in its place, if it was not deleted meanwhile."""
        if (older := self._items.get(item.id)) is not None:
            self._items[item.id] = item
            self._weight += _weight(item) - _weight(older)

    def delete(self, item_id: str) -> None:
        """Take an item out of the chain."""
        if item_id not in self._items:
            raise Refusal(
                f"Error deleting item: the item with id '{item_id}' does not exist.",
                code="item_delete_invalid_item_id",
            )
        self._order.remove(item_id)
        self._weight -= _weight(self._items.pop(item_id))
        self.recordings.drop(item_id)

    def has_call(self, call_id: str) -> bool:
        """Whether any function call has that id."""
        return any(
            isinstance(item, FunctionCall) and item.call_id == call_id
            for item in self._items.values()
        )

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Forget what an assistant's speech holds after *audio_end_ms*, in sound and in words."""
        item = self._items.get(item_id)
        if item is None:
            raise Refusal(
                f"Item with item_id not found: {item_id}", code="item_truncate_invalid_item_id"
            )
        part = _speech(item, content_index)
        if audio_end_ms > part.duration_ms:
            raise Refusal(
                f"Audio content of {part.duration_ms}ms is already shorter than {audio_end_ms}ms",
            )
        samples = min(part.samples, audio_end_ms * part.rate_hz // 1000)
        assert isinstance(item, Message)
        content = list(item.content)
        content[content_index] = cut_speech(part, samples)
        self.replace(msgspec.structs.replace(item, content=tuple(content)))
        self.recordings.cut(item_id, content_index, samples)


def _weight(item: Item) -> int:
    """About how many bytes an item takes without its audio."""
    content = item.content if isinstance(item, Message) else ()
    pictures = sum(len(part.image_url) for part in content if isinstance(part, InputImage))
    return ITEM_WEIGHT + len(text_of(item)) + pictures


def duplicate(item_id: str) -> Refusal:
    """Why an item whose id is taken cannot be added."""
    return Refusal(
        f"Error adding item: an item with id '{item_id}' already exists.",
        code="item_create_duplicate_item_id",
    )


def _speech(item: Item, content_index: int) -> OutputAudio:
    """The part that a truncation means, or why there is none."""
    content: Sequence[object] = item.content if isinstance(item, Message) else ()
    if not any(isinstance(part, OutputAudio) for part in content):
        raise Refusal(
            "Only model output audio messages can be truncated", code="unsupported_content_type"
        )
    part = content[content_index] if 0 <= content_index < len(content) else None
    if not isinstance(part, OutputAudio):
        raise Refusal(
            f"Invalid value: {content_index}. The item's audio is at content_index 0.",
            param="content_index",
        )
    return part


def cut_speech(part: OutputAudio, samples: int) -> OutputAudio:
    """The first *samples* of a speech, remembered with the words that had begun by then.

    The wire shows no transcript afterwards: the API clears it, since which words were heard is the
    server's knowledge alone.
    """
    heard = begun(part, samples)
    return msgspec.structs.replace(
        part,
        transcript="",
        heard=heard,
        samples=samples,
        marks=tuple(
            Mark(mark.text_start, min(mark.text_end, len(heard)), mark.sample)
            for mark in part.marks
            if mark.sample < samples and mark.text_start < len(heard)
        ),
    )


def begun(part: OutputAudio, samples: int) -> str:
    """The words of *part* that had begun to sound before that sample.

    A mark says when a word begins, or a phrase of several. Within a phrase, which is what nobody
    said more about, each letter takes its share of the time.
    """
    if not samples:
        return ""
    if not part.marks and samples >= part.samples:
        return part.heard
    marks = part.marks or (Mark(0, len(part.heard), 0),)
    started = [at for at, mark in enumerate(marks) if mark.sample < samples]
    ends = [marks[at].text_end for at in started]
    if started and (newest := marks[started[-1]]).text_end == max(ends):
        later = [mark.sample for mark in marks if mark.sample > newest.sample]
        until = min(later, default=part.samples)
        ends[-1] = _phrase_end(part.heard, newest, until, samples)
    return part.heard[: _whole_word(part.heard, max(ends, default=0))].rstrip()


def _phrase_end(text: str, phrase: Mark, until: int, samples: int) -> int:
    """Where the words end that had begun in a *phrase* which sounds *until* that sample."""
    length = phrase.text_end - phrase.text_start
    letters = length * (samples - phrase.sample) // max(1, until - phrase.sample)
    at = min(phrase.text_start + letters, phrase.text_end)
    # The word that it lies in had begun.
    while at < min(phrase.text_end, len(text)) and not text[at].isspace():
        at += 1
    return at


def _whole_word(text: str, end: int) -> int:
    """Where the word that ends there is over, with its full stop or comma."""
    while 0 < end < len(text) and not (text[end].isalnum() or text[end].isspace()):
        end += 1
    return end
