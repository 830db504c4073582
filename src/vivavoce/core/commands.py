"""Everything a client may ask for.

Audio arrives as the wire carries it and is turned into PCM16 at the session's input rate by the
runtime before the session sees it.
"""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from vivavoce.core.items import Item
from vivavoce.core.settings import (
    AudioFormat,
    CustomVoice,
    Effort,
    FunctionTool,
    Modality,
    SessionUpdate,
    ToolChoice,
)


class Command(Struct, frozen=True, kw_only=True):
    """What all have in common: the client's own name for the event, echoed in errors alone."""

    event_id: str | None = None


class UpdateSession(Command, frozen=True, kw_only=True):
    """`session.update`, and `transcription_session.update` with *as_transcription*."""

    update: SessionUpdate
    as_transcription: bool = False


class AppendAudio(Command, frozen=True, kw_only=True):
    """`input_audio_buffer.append`."""

    audio: bytes


class CommitAudio(Command, frozen=True, kw_only=True):
    """`input_audio_buffer.commit`."""


class ClearAudio(Command, frozen=True, kw_only=True):
    """`input_audio_buffer.clear`."""


class ClearOutput(Command, frozen=True, kw_only=True):
    """`output_audio_buffer.clear`."""


class ItemAudio(Struct, frozen=True):
    """Inline audio of part *content_index* of an item that a client creates, still as on the wire."""

    content_index: int
    audio: bytes


class CreateItem(Command, frozen=True, kw_only=True):
    """`conversation.item.create`. An item without an id comes with the empty one."""

    item: Item
    previous_item_id: str | None = None
    audio: tuple[ItemAudio, ...] = ()


class RetrieveItem(Command, frozen=True, kw_only=True):
    """`conversation.item.retrieve`."""

    item_id: str


class TruncateItem(Command, frozen=True, kw_only=True):
    """`conversation.item.truncate`."""

    item_id: str
    content_index: int
    audio_end_ms: int


class DeleteItem(Command, frozen=True, kw_only=True):
    """`conversation.item.delete`."""

    item_id: str


class ItemReference(Struct, frozen=True):
    """An item of the conversation, named in a response's own input."""

    id: str


class ListedAudio(Struct, frozen=True):
    """Inline audio in part *content_index* of item *index* of a response's own input."""

    index: int
    content_index: int
    audio: bytes


class CreateResponse(Command, frozen=True, kw_only=True):
    """`response.create`; what is UNSET is as the session has it.

    *extra* holds items that join the input of this response alone (a `prompt` in plain text).
    *commit*, *append* and *cancel_previous* are the preview's way of doing that first: commit what
    was said, create these items, cancel what runs; False waits for what runs instead.
    """

    output_modality: Modality | UnsetType = UNSET
    instructions: str | UnsetType = UNSET
    voice: str | CustomVoice | UnsetType = UNSET
    format: AudioFormat | UnsetType = UNSET
    tools: tuple[FunctionTool, ...] | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    max_output_tokens: int | UnsetType | None = UNSET
    temperature: float | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType | None = UNSET
    reasoning_effort: Effort | UnsetType | None = UNSET
    conversation: Literal["auto", "none"] = "auto"
    metadata: dict[str, str] | None = None
    input: tuple[Item | ItemReference, ...] | None = None
    extra: tuple[Item, ...] = ()
    audio: tuple[ListedAudio, ...] = ()
    commit: bool = False
    append: tuple[CreateItem, ...] = ()
    cancel_previous: bool | None = None


class CancelResponse(Command, frozen=True, kw_only=True):
    """`response.cancel`."""

    response_id: str | None = None


AnyCommand = (
    UpdateSession
    | AppendAudio
    | CommitAudio
    | ClearAudio
    | ClearOutput
    | CreateItem
    | RetrieveItem
    | TruncateItem
    | DeleteItem
    | CreateResponse
    | CancelResponse
)
