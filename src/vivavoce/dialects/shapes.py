"""What a client may send, in GA's shape: the fields, their types and their ranges.

Numbers and lengths are those of the protocol reference (objects, client-events), and our own where
it has none: what a session carries is told again with each update. A field that is declared `Ignored` is known and ignored. Whatever has a counterpart in the core names it by `core()`.
"""

from typing import Annotated, Literal, Protocol, TypeVar, overload

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from vivavoce.core import items, settings
from vivavoce.core.settings import AudioFormat, DetectionUpdate, Effort, Json

Id = Annotated[str, Meta(max_length=512)]
CallId = Annotated[str, Meta(max_length=512, pattern=r"^[a-zA-Z0-9_-]+$")]
ToolName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
Text = Annotated[str, Meta(max_length=1 << 20)]
Name = Annotated[str, Meta(max_length=256)]  # of a model, a voice, a prompt, a trace, a function
Language = Annotated[str, Meta(max_length=64)]
Hint = Annotated[str, Meta(max_length=1 << 14)]
Picture = Annotated[str, Meta(pattern=r"^data:image/(png|jpe?g);base64,")]
OutputTokens = Annotated[int, Meta(ge=1, le=4096)] | Literal["inf"]
Included = Annotated[
    tuple[Literal["item.input_audio_transcription.logprobs"], ...], Meta(max_length=16)
]
Raw = dict[str, object]
Ignored = object


class Event(Struct):
    """What all events have in common."""

    type: str
    event_id: Id | None = None


class Append(Struct, tag_field="type", tag="input_audio_buffer.append"):
    """`input_audio_buffer.append`; apart from the others, since it comes ten times a second."""

    audio: str
    event_id: Id | None = None


class StrictAppend(Append, forbid_unknown_fields=True, tag="input_audio_buffer.append"):
    """The same, and nothing besides."""


class Update(Event, kw_only=True):
    """`session.update`, `transcription_session.update`."""

    session: Raw


class CreateItem(Event, kw_only=True):
    """`conversation.item.create`."""

    item: Raw
    previous_item_id: Id | None = None


class OfItem(Event, kw_only=True):
    """`conversation.item.retrieve`, `conversation.item.delete`."""

    item_id: Id


class Truncate(OfItem, kw_only=True):
    """`conversation.item.truncate`."""

    content_index: Annotated[int, Meta(ge=0)]
    audio_end_ms: Annotated[int, Meta(ge=0)]


class Create(Event):
    """`response.create`."""

    response: Raw | None = None


class Cancel(Event):
    """`response.cancel`."""

    response_id: Id | None = None


class PcmFormat(Struct, tag_field="type", tag="audio/pcm"):
    rate: Literal[24000] = 24000

    def core(self) -> AudioFormat:
        return AudioFormat("audio/pcm")


class MuLawFormat(Struct, tag_field="type", tag="audio/pcmu"):
    def core(self) -> AudioFormat:
        return AudioFormat("audio/pcmu")


class ALawFormat(Struct, tag_field="type", tag="audio/pcma"):
    def core(self) -> AudioFormat:
        return AudioFormat("audio/pcma")


FormatName = Literal["pcm16", "g711_ulaw", "g711_alaw"]
Format = FormatName | PcmFormat | MuLawFormat | ALawFormat
FORMATS: dict[FormatName, AudioFormat] = {
    "pcm16": AudioFormat("audio/pcm"),
    "g711_ulaw": AudioFormat("audio/pcmu"),
    "g711_alaw": AudioFormat("audio/pcma"),
}


class ServerVad(Struct, tag_field="type", tag="server_vad"):
    threshold: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    prefix_padding_ms: Annotated[int, Meta(ge=0, le=5000)] | UnsetType = UNSET
    silence_duration_ms: Annotated[int, Meta(ge=0, le=10000)] | UnsetType = UNSET
    idle_timeout_ms: Annotated[int, Meta(ge=5000, le=30000)] | UnsetType | None = UNSET
    create_response: bool | UnsetType = UNSET
    interrupt_response: bool | UnsetType = UNSET

    def core(self) -> DetectionUpdate:
        return DetectionUpdate(settings.ServerVad, _sent(self))


class SemanticVad(Struct, tag_field="type", tag="semantic_vad"):
    eagerness: Literal["low", "medium", "high", "auto"] | UnsetType = UNSET
    create_response: bool | UnsetType = UNSET
    interrupt_response: bool | UnsetType = UNSET

    def core(self) -> DetectionUpdate:
        return DetectionUpdate(settings.SemanticVad, _sent(self))


class Transcription(Struct):
    model: Name | None = None
    language: Language | None = None
    prompt: Hint | None = None
    languages: tuple[str, ...] | None = None
    keywords: tuple[str, ...] | None = None
    delay: Effort | None = None

    def core(self) -> settings.Transcription:
        return settings.Transcription(self.model, self.language, self.prompt)


class NoiseReduction(Struct):
    type: Literal["near_field", "far_field"]
    strength: float | None = None

    def core(self) -> settings.NoiseReduction:
        return settings.NoiseReduction(self.type)


class AudioInput(Struct):
    format: Format | UnsetType = UNSET
    transcription: Transcription | UnsetType | None = UNSET
    noise_reduction: NoiseReduction | UnsetType | None = UNSET
    turn_detection: ServerVad | SemanticVad | UnsetType | None = UNSET


class CustomVoice(Struct):
    id: Name

    def core(self) -> settings.CustomVoice:
        return settings.CustomVoice(self.id)


class ResponseAudioOutput(Struct):
    format: Format | UnsetType = UNSET
    voice: Name | CustomVoice | UnsetType = UNSET


class AudioOutput(ResponseAudioOutput):
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] | UnsetType = UNSET


class Audio(Struct):
    input: AudioInput = msgspec.field(default_factory=AudioInput)
    output: AudioOutput = msgspec.field(default_factory=AudioOutput)


class ResponseAudio(Struct):
    output: ResponseAudioOutput = msgspec.field(default_factory=ResponseAudioOutput)


class Tool(Struct):
    name: ToolName
    type: Literal["function"] = "function"
    description: str | None = None
    parameters: Raw | None = None

    def core(self) -> settings.FunctionTool:
        return settings.FunctionTool(self.name, self.description, self.parameters)


class ChosenTool(Struct):
    type: Literal["function"]
    name: ToolName

    def core(self) -> settings.NamedTool:
        return settings.NamedTool(self.name)


ToolChoice = Literal["auto", "none", "required"] | ChosenTool
Tools = Annotated[tuple[Tool, ...], Meta(max_length=128)]


class Tracing(Struct):
    workflow_name: Name | UnsetType = UNSET
    group_id: Name | UnsetType = UNSET
    metadata: Raw | UnsetType | None = UNSET

    def core(self) -> Json:
        return plain(self)


class TokenLimits(Struct):
    post_instructions: Annotated[int, Meta(ge=0, le=28672)] | None = None


class RetentionRatio(Struct):
    type: Literal["retention_ratio"]
    retention_ratio: Annotated[float, Meta(ge=0, le=1)]
    token_limits: TokenLimits | None = None

    def core(self) -> settings.RetentionRatio:
        limits = self.token_limits or TokenLimits()
        return settings.RetentionRatio(self.retention_ratio, limits.post_instructions)


class Prompt(Struct):
    id: Name
    version: Name | UnsetType | None = UNSET
    variables: Raw | UnsetType | None = UNSET

    def core(self) -> Json:
        return plain(self)


class Reasoning(Struct):
    effort: Effort | None = None

    def core(self) -> Effort | None:
        return self.effort


class Common(Struct):
    """What a session and a response have in common."""

    output_modalities: tuple[Literal["text", "audio"], ...] | UnsetType = UNSET
    instructions: Text | UnsetType = UNSET
    tools: Tools | UnsetType = UNSET
    tool_choice: ToolChoice | UnsetType = UNSET
    max_output_tokens: OutputTokens | UnsetType = UNSET
    temperature: Annotated[float, Meta(ge=0.6, le=1.2)] | UnsetType = UNSET
    parallel_tool_calls: bool | UnsetType | None = UNSET
    reasoning: Reasoning | UnsetType | None = UNSET
    prompt: Prompt | UnsetType | None = UNSET


class Session(Common):
    type: Literal["realtime", "transcription"] | UnsetType = UNSET
    audio: Audio = msgspec.field(default_factory=Audio)
    tracing: Literal["auto"] | Tracing | UnsetType | None = UNSET
    truncation: Literal["auto", "disabled"] | RetentionRatio | UnsetType = UNSET
    include: Included | UnsetType | None = UNSET
    id: Ignored = None
    object: Ignored = None
    model: Ignored = None
    expires_at: Ignored = None
    client_secret: Ignored = None


class TranscriptionAudio(Struct):
    input: AudioInput = msgspec.field(default_factory=AudioInput)


class Dictation(Struct):
    """What every form of a transcription session has."""

    audio: TranscriptionAudio = msgspec.field(default_factory=TranscriptionAudio)
    include: Included | UnsetType | None = UNSET


class TranscriptionSession(Dictation):
    """A session of type transcription."""

    type: Literal["transcription"] | UnsetType = UNSET
    id: Ignored = None
    object: Ignored = None
    model: Ignored = None
    expires_at: Ignored = None


class KeyLife(Struct):
    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Meta(ge=10, le=7200)] | None = None


class KeyRequest(Struct):
    """How preview asks for a key; the second name of the same is that of transcription sessions."""

    expires_after: KeyLife | None = None
    expires_at: KeyLife | None = None


class TranscriptionUpdate(Dictation):
    """The session of `transcription_session.update`; only its REST call heeds the last two."""

    modalities: tuple[str, ...] | None = None
    client_secret: KeyRequest | None = None


class KeyLimits(Struct):
    """What the holder of a key may do with it."""

    session_seconds: Annotated[int, Meta(ge=10, le=86400)] | None = None
    origins: Annotated[tuple[Name, ...], Meta(max_length=64)] | None = None
    single_use: bool = False


class KeyTerms(Struct):
    """What is asked of a key in every form of asking for one. These fields are ours."""

    locked: Annotated[tuple[Name, ...], Meta(max_length=64)] = ()
    limits: KeyLimits | None = None


class GaKey(KeyTerms):
    """The body of GA's call for a key."""

    session: Raw | None = None
    expires_after: KeyLife | None = None

    @property
    def life(self) -> KeyLife | None:
        return self.expires_after


class PreviewKey(KeyTerms):
    """The same of preview's calls, whose other fields are those of the session."""

    client_secret: KeyRequest | None = None

    @property
    def life(self) -> KeyLife | None:
        asked = self.client_secret or KeyRequest()
        return asked.expires_after or asked.expires_at


class Named(Struct):
    """The model of a session, where it can still be chosen."""

    model: Name | None = None


class PreviewForms(Struct):
    """What is a name in preview, where GA has an object as well."""

    input_audio_format: FormatName | UnsetType = UNSET
    output_audio_format: FormatName | UnsetType = UNSET
    voice: str | UnsetType = UNSET


class Response(Common):
    audio: ResponseAudio = msgspec.field(default_factory=ResponseAudio)
    conversation: Literal["auto", "none"] = "auto"
    metadata: Raw | None = None
    input: list[object] | None = None
    commit: bool = False
    append_input_items: list[object] = []
    cancel_previous: bool | None = None


class MetadataPair(Struct):
    """One pair of a response's metadata."""

    key: Annotated[str, Meta(max_length=64)]
    value: Annotated[str, Meta(max_length=512)]


class InputText(Struct, tag_field="type", tag="input_text"):
    text: Text

    def core(self) -> items.Part:
        return items.InputText(self.text)


class InputAudio(Struct, tag_field="type", tag="input_audio"):
    audio: str | None = None
    transcript: str | None = None
    format: Ignored = None  # as `conversation.item.retrieved` has it

    def core(self) -> items.Part:
        return items.InputAudio(0, 24000, self.transcript)


class InputImage(Struct, tag_field="type", tag="input_image"):
    image_url: Picture
    detail: Literal["auto", "low", "high"] = "auto"

    def core(self) -> items.Part:
        return items.InputImage(self.image_url, self.detail)


class OutputText(Struct, tag_field="type", tag="output_text"):
    text: Text

    def core(self) -> items.Part:
        return items.OutputText(self.text)


class PreviewText(Struct, tag_field="type", tag="text"):
    text: Text

    def core(self) -> items.Part:
        return items.OutputText(self.text)


class Item(Struct):
    """What all items have in common."""

    type: str
    id: Id | None = None
    object: Ignored = None
    status: Ignored = None


class Message(Item, kw_only=True):
    role: items.Role
    phase: Ignored = None


class SystemMessage(Message, kw_only=True):
    content: tuple[InputText, ...]


class UserMessage(Message, kw_only=True):
    content: tuple[InputText | InputAudio | InputImage, ...]


class PreviewUserMessage(Message, kw_only=True):
    content: tuple[InputText | InputAudio, ...]


class AssistantMessage(Message, kw_only=True):
    content: tuple[OutputText, ...]


class PreviewAssistantMessage(Message, kw_only=True):
    content: tuple[PreviewText, ...]


AnyMessage = (
    SystemMessage | UserMessage | PreviewUserMessage | AssistantMessage | PreviewAssistantMessage
)


class FunctionCall(Item, kw_only=True):
    name: Name
    arguments: Text
    call_id: CallId | None = None


class PreviewFunctionCall(FunctionCall, kw_only=True):
    arguments: Text = ""


class FunctionCallOutput(Item, kw_only=True):
    call_id: CallId
    output: Text


class Reference(Item, kw_only=True):
    id: Id


def _sent(shape: Struct) -> Json:
    """The keys that the client named."""
    keys = msgspec.structs.asdict(shape)
    return {key: value for key, value in keys.items() if value is not UNSET}


def plain(shape: Struct) -> Json:
    """An object that the server carries without reading it, as it was sent."""
    sent: Json = msgspec.to_builtins(shape)
    return sent


Value = TypeVar("Value", covariant=True)


class Meaningful(Protocol[Value]):
    """A shape with a counterpart in the core."""

    def core(self) -> Value: ...


@overload
def core(sent: Meaningful[Value] | UnsetType) -> Value | UnsetType: ...
@overload
def core(sent: Meaningful[Value] | UnsetType | None) -> Value | UnsetType | None: ...
def core(sent: Meaningful[Value] | UnsetType | None) -> Value | UnsetType | None:
    """The core's value for what was sent; absent stays absent, and null stays null."""
    return sent if sent is None or sent is UNSET else sent.core()
