"""Everything the server may say, in GA's vocabulary, as values without tags, JSON or base64.

Each event bears the id it has on the wire. A codec makes none, one or two frames of it.
"""

from typing import Literal

from msgspec import Struct

from vivavoce.core.errors import Refusal
from vivavoce.core.items import FunctionCall, Item
from vivavoce.core.settings import AudioFormat, CustomVoice, Modality, SessionSettings

PartKind = Literal["text", "audio"]
ResponseStatus = Literal["in_progress", "completed", "cancelled", "incomplete", "failed"]


class Event(Struct, frozen=True, kw_only=True):
    """What all have in common."""

    event_id: str


class SessionView(Struct, frozen=True):
    """The session as its client sees it. *expires_at* is Unix time in seconds."""

    id: str
    settings: SessionSettings
    expires_at: int


class Tokens(Struct, frozen=True):
    """Text and audio tokens, counted apart."""

    text: int = 0
    audio: int = 0

    @property
    def total(self) -> int:
        """Both together."""
        return self.text + self.audio


class Usage(Struct, frozen=True):
    """What a response cost, by the rules of the protocol reference, usage."""

    input: Tokens = Tokens()
    cached: Tokens = Tokens()
    output: Tokens = Tokens()

    @property
    def total(self) -> int:
        """Input and output."""
        return self.input.total + self.output.total


class StatusDetails(Struct, frozen=True):
    """Why a response ended otherwise than completed."""

    reason: str | None = None
    error_code: str | None = None
    error_message: str | None = None


class ResponseView(Struct, frozen=True):
    """A response as its client sees it. `max_output_tokens` None is the API's `inf`."""

    id: str
    status: ResponseStatus
    conversation_id: str | None
    output_modality: Modality
    format: AudioFormat
    voice: str | CustomVoice
    temperature: float
    max_output_tokens: int | None
    metadata: dict[str, str] | None
    output: tuple[Item, ...] = ()
    status_details: StatusDetails | None = None
    usage: Usage | None = None


class SessionCreated(Event, frozen=True, kw_only=True):
    """`session.created`."""

    session: SessionView


class ConversationCreated(Event, frozen=True, kw_only=True):
    """`conversation.created`, which only the preview dialect knows, and only if it is asked to."""

    conversation_id: str


class SessionUpdated(Event, frozen=True, kw_only=True):
    """`session.updated`."""

    session: SessionView


class ErrorRaised(Event, frozen=True, kw_only=True):
    """`error`."""

    refusal: Refusal


class ItemAdded(Event, frozen=True, kw_only=True):
    """`conversation.item.added`; preview says `conversation.item.created`."""

    previous_item_id: str | None
    item: Item


class ItemDone(Event, frozen=True, kw_only=True):
    """`conversation.item.done`; preview says nothing."""

    previous_item_id: str | None
    item: Item


class RetrievedAudio(Struct, frozen=True):
    """The audio of one part: PCM16 at the rate of *format*, in which it was said."""

    content_index: int
    pcm: bytes
    format: AudioFormat


class ItemRetrieved(Event, frozen=True, kw_only=True):
    """`conversation.item.retrieved`; *audio* holds what is still kept."""

    item: Item
    audio: tuple[RetrievedAudio, ...] = ()


class ItemTruncated(Event, frozen=True, kw_only=True):
    """`conversation.item.truncated`."""

    item_id: str
    content_index: int
    audio_end_ms: int


class ItemDeleted(Event, frozen=True, kw_only=True):
    """`conversation.item.deleted`."""

    item_id: str


class TranscriptionDelta(Event, frozen=True, kw_only=True):
    """`conversation.item.input_audio_transcription.delta`."""

    item_id: str
    delta: str
    content_index: int = 0


class TranscriptionUsage(Struct, frozen=True):
    """What a transcription cost: *seconds* where the model is billed by time, else tokens."""

    seconds: int | None = None
    input: Tokens = Tokens()
    output_tokens: int = 0


class TranscriptionCompleted(Event, frozen=True, kw_only=True):
    """`conversation.item.input_audio_transcription.completed`."""

    item_id: str
    transcript: str
    usage: TranscriptionUsage
    content_index: int = 0


class TranscriptionFailed(Event, frozen=True, kw_only=True):
    """`conversation.item.input_audio_transcription.failed`."""

    item_id: str
    code: str
    message: str
    content_index: int = 0


class SpeechStarted(Event, frozen=True, kw_only=True):
    """`input_audio_buffer.speech_started`."""

    item_id: str
    audio_start_ms: int


class SpeechStopped(Event, frozen=True, kw_only=True):
    """`input_audio_buffer.speech_stopped`."""

    item_id: str
    audio_end_ms: int


class AudioCommitted(Event, frozen=True, kw_only=True):
    """`input_audio_buffer.committed`."""

    item_id: str
    previous_item_id: str | None


class AudioCleared(Event, frozen=True, kw_only=True):
    """`input_audio_buffer.cleared`."""


class TimeoutTriggered(Event, frozen=True, kw_only=True):
    """`input_audio_buffer.timeout_triggered`."""

    item_id: str
    audio_start_ms: int
    audio_end_ms: int


class OutputStarted(Event, frozen=True, kw_only=True):
    """`output_audio_buffer.started`."""

    response_id: str


class OutputStopped(Event, frozen=True, kw_only=True):
    """`output_audio_buffer.stopped`."""

    response_id: str


class OutputCleared(Event, frozen=True, kw_only=True):
    """`output_audio_buffer.cleared`."""

    response_id: str


class ResponseCreated(Event, frozen=True, kw_only=True):
    """`response.created`."""

    response: ResponseView


class ResponseDone(Event, frozen=True, kw_only=True):
    """`response.done`."""

    response: ResponseView


class OutputItemAdded(Event, frozen=True, kw_only=True):
    """`response.output_item.added`."""

    response_id: str
    output_index: int
    item: Item


class OutputItemDone(Event, frozen=True, kw_only=True):
    """`response.output_item.done`."""

    response_id: str
    output_index: int
    item: Item


class PartEvent(Event, frozen=True, kw_only=True):
    """What the events about one part of one output item have in common."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int


class PartAdded(PartEvent, frozen=True, kw_only=True):
    """`response.content_part.added`."""

    kind: PartKind


class PartDone(PartEvent, frozen=True, kw_only=True):
    """`response.content_part.done`, with the part's text or transcript."""

    kind: PartKind
    words: str


class TextDelta(PartEvent, frozen=True, kw_only=True):
    """`response.output_text.delta`."""

    delta: str


class TextDone(PartEvent, frozen=True, kw_only=True):
    """`response.output_text.done`."""

    text: str


class AudioDelta(PartEvent, frozen=True, kw_only=True):
    """`response.output_audio.delta`: PCM16 at the rate of *format*, which the codec codes it in."""

    audio: bytes
    format: AudioFormat


class AudioDone(PartEvent, frozen=True, kw_only=True):
    """`response.output_audio.done`."""


class AudioTranscriptDelta(PartEvent, frozen=True, kw_only=True):
    """`response.output_audio_transcript.delta`."""

    delta: str


class AudioTranscriptDone(PartEvent, frozen=True, kw_only=True):
    """`response.output_audio_transcript.done`."""

    transcript: str


class ArgumentsDelta(Event, frozen=True, kw_only=True):
    """`response.function_call_arguments.delta`."""

    response_id: str
    item_id: str
    output_index: int
    call_id: str
    delta: str


class ArgumentsDone(Event, frozen=True, kw_only=True):
    """`response.function_call_arguments.done`, with the whole call."""

    response_id: str
    output_index: int
    call: FunctionCall


class RateLimit(Struct, frozen=True):
    """One allowance and what is left of it."""

    name: str
    limit: int
    remaining: int
    reset_seconds: float


class RateLimitsUpdated(Event, frozen=True, kw_only=True):
    """`rate_limits.updated`, as a response *begins* and as it ends; each dialect has its moment."""

    begins: bool
    rate_limits: tuple[RateLimit, ...]


ServerEvent = (
    SessionCreated
    | ConversationCreated
    | SessionUpdated
    | ErrorRaised
    | ItemAdded
    | ItemDone
    | ItemRetrieved
    | ItemTruncated
    | ItemDeleted
    | TranscriptionDelta
    | TranscriptionCompleted
    | TranscriptionFailed
    | SpeechStarted
    | SpeechStopped
    | AudioCommitted
    | AudioCleared
    | TimeoutTriggered
    | OutputStarted
    | OutputStopped
    | OutputCleared
    | ResponseCreated
    | ResponseDone
    | OutputItemAdded
    | OutputItemDone
    | PartAdded
    | PartDone
    | TextDelta
    | TextDone
    | AudioDelta
    | AudioDone
    | AudioTranscriptDelta
    | AudioTranscriptDone
    | ArgumentsDelta
    | ArgumentsDone
    | RateLimitsUpdated
)
