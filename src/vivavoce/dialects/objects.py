"""What the server says: each event's name and fields, and the objects that stand in them.

The order of the keys is that of the wire (protocol reference, server-events and objects). Here is
what both dialects write alike, and the names of GA; the preview dialect has its own for some.
"""

from collections.abc import Mapping, Sequence

import msgspec

from vivavoce.core import events
from vivavoce.core.settings import (
    AudioFormat,
    CustomVoice,
    FunctionTool,
    NamedTool,
    RetentionRatio,
    ServerVad,
    SessionSettings,
    ToolChoice,
    Truncation,
)

Json = dict[str, object]

# The name of each event, and its fields, before which go `type` and `event_id`.
PART = "response_id item_id output_index content_index"
EVENTS: Mapping[type[events.Event], tuple[str, str]] = {
    events.SessionCreated: ("session.created", "session"),
    events.SessionUpdated: ("session.updated", "session"),
    events.ConversationCreated: ("conversation.created", ""),
    events.ErrorRaised: ("error", ""),
    events.ItemAdded: ("conversation.item.added", "previous_item_id item"),
    events.ItemDone: ("conversation.item.done", "previous_item_id item"),
    events.ItemRetrieved: ("conversation.item.retrieved", ""),
    events.ItemTruncated: ("conversation.item.truncated", "item_id content_index audio_end_ms"),
    events.ItemDeleted: ("conversation.item.deleted", "item_id"),
    events.TranscriptionDelta: (
        "conversation.item.input_audio_transcription.delta",
        "item_id content_index delta",
    ),
    events.TranscriptionCompleted: (
        "conversation.item.input_audio_transcription.completed",
        "item_id content_index transcript usage",
    ),
    events.TranscriptionFailed: (
        "conversation.item.input_audio_transcription.failed",
        "item_id content_index",
    ),
    events.SpeechStarted: ("input_audio_buffer.speech_started", "audio_start_ms item_id"),
    events.SpeechStopped: ("input_audio_buffer.speech_stopped", "audio_end_ms item_id"),
    events.AudioCommitted: ("input_audio_buffer.committed", "previous_item_id item_id"),
    events.AudioCleared: ("input_audio_buffer.cleared", ""),
    events.TimeoutTriggered: (
        "input_audio_buffer.timeout_triggered",
        "audio_start_ms audio_end_ms item_id",
    ),
    events.OutputStarted: ("output_audio_buffer.started", "response_id"),
    events.OutputStopped: ("output_audio_buffer.stopped", "response_id"),
    events.OutputCleared: ("output_audio_buffer.cleared", "response_id"),
    events.ResponseCreated: ("response.created", "response"),
    events.ResponseDone: ("response.done", "response"),
    events.OutputItemAdded: ("response.output_item.added", "response_id output_index item"),
    events.OutputItemDone: ("response.output_item.done", "response_id output_index item"),
    events.PartAdded: ("response.content_part.added", PART),
    events.PartDone: ("response.content_part.done", PART),
    events.TextDelta: ("response.output_text.delta", f"{PART} delta"),
    events.TextDone: ("response.output_text.done", f"{PART} text"),
    events.AudioDelta: ("response.output_audio.delta", f"{PART} delta"),
    events.AudioDone: ("response.output_audio.done", PART),
    events.AudioTranscriptDelta: ("response.output_audio_transcript.delta", f"{PART} delta"),
    events.AudioTranscriptDone: ("response.output_audio_transcript.done", f"{PART} transcript"),
    events.ArgumentsDelta: (
        "response.function_call_arguments.delta",
        "response_id item_id output_index call_id delta",
    ),
    events.ArgumentsDone: ("response.function_call_arguments.done", ""),
    events.RateLimitsUpdated: ("rate_limits.updated", ""),
}

FIELDS = {kind: tuple(fields.split()) for kind, (_, fields) in EVENTS.items()}

# The `error.type` of a failed response, by its code; any other failure is the server's.
FAILURE_TYPES = {
    "context_length_exceeded": "invalid_request_error",
    "rate_limit_exceeded": "rate_limit_error",
    "inference_rate_limit_exceeded": "rate_limit_error",
}

# The names of the formats in preview.
FORMATS = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}

# What a transcription session never does, and so does not show.
NOT_OF_TRANSCRIPTIONS = ("idle_timeout_ms", "create_response", "interrupt_response")


def format_object(audio: AudioFormat) -> Json:
    """How audio is coded, in GA's form."""
    return {"type": audio.type} | ({"rate": 24000} if audio.type == "audio/pcm" else {})


def format_name(audio: AudioFormat) -> str:
    """How audio is coded, by preview's name for it."""
    return FORMATS[audio.type]


def voice_name(voice: str | CustomVoice) -> str:
    """A voice where only its name may stand: for one of the client's own, that is its id."""
    return voice.id if isinstance(voice, CustomVoice) else voice


def turn_detection_object(settings: SessionSettings, without: Sequence[str] = ()) -> Json | None:
    """When turns end, less the keys that the dialect has not."""
    detection = settings.input.turn_detection
    if detection is None:
        return None
    if settings.type == "transcription":
        without = NOT_OF_TRANSCRIPTIONS
    kind = "server_vad" if isinstance(detection, ServerVad) else "semantic_vad"
    keys = msgspec.structs.asdict(detection)
    return {"type": kind} | {key: value for key, value in keys.items() if key not in without}


def tools_object(tools: Sequence[FunctionTool]) -> list[Json]:
    """The functions, each with the keys that the client gave it."""
    return [
        {"type": "function"}
        | {key: value for key, value in msgspec.structs.asdict(tool).items() if value is not None}
        for tool in tools
    ]


def tool_choice_object(choice: ToolChoice) -> object:
    """Which function is to be called."""
    return {"type": "function", "name": choice.name} if isinstance(choice, NamedTool) else choice


def max_tokens_object(limit: int | None) -> int | str:
    """The limit of a response's tokens."""
    return "inf" if limit is None else limit


def truncation_object(truncation: Truncation) -> object:
    """How a conversation that became too long is cut."""
    if not isinstance(truncation, RetentionRatio):
        return truncation
    ratio: Json = {"type": "retention_ratio", "retention_ratio": truncation.retention_ratio}
    if truncation.post_instructions is not None:
        ratio["token_limits"] = {"post_instructions": truncation.post_instructions}
    return ratio


def status_details_object(view: events.ResponseView) -> Json | None:
    """Why a response ended otherwise than completed; null as long as it did not."""
    if view.status in ("in_progress", "completed"):
        return None
    details = view.status_details or events.StatusDetails()
    if view.status != "failed":
        return {"type": view.status, "reason": details.reason}
    code = details.error_code or "server_error"
    error = {
        "type": FAILURE_TYPES.get(code, "server_error"),
        "code": code,
        "message": details.error_message or "",
    }
    return {"type": "failed", "error": error}


def usage_object(usage: events.Usage | None, images: Mapping[str, int]) -> Json | None:
    """What a response cost; *images* holds the key that only GA has."""
    if usage is None:
        return None
    return {
        "total_tokens": usage.input.total + usage.output.total,
        "input_tokens": usage.input.total,
        "output_tokens": usage.output.total,
        "input_token_details": {
            **_tokens(usage.input),
            **images,
            "cached_tokens": usage.cached.total,
            "cached_tokens_details": {**_tokens(usage.cached), **images},
        },
        "output_token_details": _tokens(usage.output),
    }


def transcription_usage_object(usage: events.TranscriptionUsage) -> Json:
    """What a transcription cost, by time or by tokens."""
    if usage.seconds is not None:
        return {"type": "duration", "seconds": usage.seconds}
    return {
        "type": "tokens",
        "total_tokens": usage.input.total + usage.output_tokens,
        "input_tokens": usage.input.total,
        "input_token_details": _tokens(usage.input),
        "output_tokens": usage.output_tokens,
    }


def _tokens(tokens: events.Tokens) -> dict[str, int]:
    return {"text_tokens": tokens.text, "audio_tokens": tokens.audio}
