"""What a client brings: items for the conversation and for a response of its own, with their audio.

An item joins the conversation wholly or not at all. Audio that comes inside one is measured, kept
for retrieval, and written down where anybody wants its words.
"""

from collections.abc import Iterable

import msgspec

from vivavoce.core import commands, effects, events
from vivavoce.core.captions import Captions, Followed
from vivavoce.core.conversation import Conversation, duplicate
from vivavoce.core.dictations import Dictation, Dictations, Place
from vivavoce.core.ear import Ear
from vivavoce.core.errors import Refusal
from vivavoce.core.items import (
    FunctionCall,
    FunctionCallOutput,
    Item,
    measured,
    unwritten,
)
from vivavoce.core.outgoing import Outgoing
from vivavoce.core.response import Response
from vivavoce.core.responses import Due, named
from vivavoce.core.settings import AudioInput

MAX_APPENDED = 100  # items that a response brings along
NOWHERE = ""  # the place of words that belong to no item of the conversation

Listed = tuple[commands.CreateResponse, Due, tuple[effects.Recording, ...]]


class Intake:
    """Takes items and recordings in. With *reads*, the model reads words and hears nothing."""

    def __init__(
        self,
        conversation: Conversation,
        ear: Ear,
        captions: Captions,
        out: Outgoing,
        *,
        reads: bool,
    ) -> None:
        self.dictations = Dictations()
        self._conversation = conversation
        self._ear = ear
        self._captions = captions
        self._out = out
        self._reads = reads

    # Items of the conversation.

    def join(self, item: Item, after: str | None = None) -> None:
        """Put a finished item into the conversation and say so."""
        previous = self._conversation.add(item, after)
        self._out.tell(
            events.ItemAdded(event_id=self._out.event_id(), previous_item_id=previous, item=item)
        )
        self._out.tell(
            events.ItemDone(event_id=self._out.event_id(), previous_item_id=previous, item=item)
        )

    def create(self, command: commands.CreateItem, settings: AudioInput) -> None:
        """Take one item, or refuse it."""
        item = named(command.item, self._out.mint)
        self._check(item, command)
        self.add(item, command, settings)

    def add(self, item: Item, command: commands.CreateItem, settings: AudioInput) -> None:
        """Take one that was checked."""
        audio = _by_part(command.audio)
        item = measured(item, audio, settings.format.rate_hz)
        keys = self._keys(item, audio)
        self.join(item, command.previous_item_id)
        for index, pcm in audio.items():
            self._conversation.recordings.grow(item.id, index, pcm, settings.format)
        for key, index in keys.items():
            self._dictate(key, (item.id, index), audio[index], settings.format.rate_hz)
            if settings.transcription is not None:
                self._captions.follow(key, Followed(item.id, index, settings.transcription))

    def _check(self, item: Item, command: commands.CreateItem) -> None:
        """Refuse an item that cannot join the conversation."""
        if self._ear.reserves(item.id):
            raise duplicate(item.id)
        self._conversation.check_place(item.id, command.previous_item_id)
        self._conversation.check_room(item)
        if isinstance(item, FunctionCallOutput) and not self._conversation.has_call(item.call_id):
            raise _no_such_call(item.call_id)
        self.dictations.check(each.audio for each in command.audio)

    def _keys(self, item: Item, audio: dict[int, bytes]) -> dict[str, int]:
        """The parts of an item to write down, by the id of the dictation: the item's for the first.

        Audio that came with its words is not written down again.
        """
        if not self._ear.wants_words:
            return {}
        parts = [index for index in unwritten(item) if index in audio]
        return {self._out.mint("item_") if nth else item.id: at for nth, at in enumerate(parts)}

    def _dictate(self, key: str, place: Place, pcm: bytes, rate_hz: int) -> None:
        orders = tuple(self._ear.dictate(key, pcm, rate_hz))
        self._out.do(*self.dictations.add(Dictation(key, place, orders, len(pcm))))

    # What a response brings along.

    def check_along(self, command: commands.CreateResponse) -> list[Item]:
        """The items that a response brings along; Refusal if one of them cannot be added."""
        self.dictations.check(each.audio for each in command.audio)
        if len(command.append) > MAX_APPENDED:
            raise Refusal(
                f"Invalid 'response.append_input_items': array too long. Expected at most "
                f"{MAX_APPENDED} items, but got {len(command.append)} instead.",
                code="array_above_max_length",
                param="response.append_input_items",
            )
        items: dict[str, Item] = {}
        calls: set[str] = set()
        for each in command.append:
            item = named(each.item, self._out.mint)
            if item.id in items:
                raise duplicate(item.id)
            if not isinstance(item, FunctionCallOutput) or item.call_id not in calls:
                self._check(item, each)
            if isinstance(item, FunctionCall):
                calls.add(item.call_id)
            items[item.id] = item
        self.dictations.check(part.audio for each in command.append for part in each.audio)
        return list(items.values())

    def listed(self, command: commands.CreateResponse, settings: AudioInput) -> Listed:
        """Have the audio written down that came inside the response's own input, or keep it."""
        rate_hz = settings.format.rate_hz
        audio: dict[int, list[commands.ListedAudio]] = {}
        for each in command.audio:
            audio.setdefault(each.index, []).append(each)
        items = list(command.input or ())
        due: Due = {}
        recordings: list[effects.Recording] = []
        for at, inline in audio.items():
            item, parts = items[at], _by_part(inline)
            if isinstance(item, commands.ItemReference):
                continue
            items[at] = item = measured(named(item, self._out.mint), parts, rate_hz)
            if not self._reads:
                recordings += (
                    effects.Recording(item.id, index, pcm, rate_hz) for index, pcm in parts.items()
                )
                continue
            for index in unwritten(item):
                if index in parts:
                    key = self._out.mint("item_")
                    due[key] = (item, index)
                    self._dictate(key, (NOWHERE, index), parts[index], rate_hz)
        if audio:
            command = msgspec.structs.replace(command, input=tuple(items), audio=())
        return command, due, tuple(recordings)

    def due(self) -> Due:
        """The items of the conversation whose words are on their way, by their dictations."""
        return {
            key: (item, index)
            for key in self._ear.due
            for item_id, index in (self.dictations.place(key),)
            if (item := self._conversation.find(item_id)) is not None
        }

    def let_go(self, ended: Response) -> None:
        """Nobody else waits for the words of what a response listed for itself."""
        for dictation in ended.awaited:
            if self.dictations.place(dictation)[0] == NOWHERE:
                self._ear.forget(dictation)
                self._out.do(*self.dictations.drop(dictation))


def _no_such_call(call_id: str) -> Refusal:
    return Refusal(
        f"Tool call ID '{call_id}' not found in conversation.", code="invalid_tool_call_id"
    )


def _by_part(inline: Iterable[commands.ItemAudio | commands.ListedAudio]) -> dict[int, bytes]:
    """Audio by the part of the item that it came in, in whole samples."""
    return {each.content_index: each.audio[: len(each.audio) // 2 * 2] for each in inline}
