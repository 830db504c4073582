"""The preview wire, written as its differences from GA.

Its fields are moved to where GA has them, read as GA's, and a Refusal names them as they were sent.
Its session and response objects are flat; it says once that an item was created where GA says that
it was added and later done; and some names differ.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from vivavoce.core import events
from vivavoce.core.commands import CreateResponse
from vivavoce.core.errors import Refusal
from vivavoce.core.events import ServerEvent
from vivavoce.core.items import InputText, Message, Role
from vivavoce.core.settings import AudioFormat, Modality, SessionSettings
from vivavoce.dialects import leniency, shapes
from vivavoce.dialects.ga import CLIENT_EVENTS, GaCodec, Ignored
from vivavoce.dialects.leniency import RESPONSE_PATHS, SESSION_PATHS, Raw
from vivavoce.dialects.objects import (
    EVENTS,
    Json,
    max_tokens_object,
    tool_choice_object,
    tools_object,
    turn_detection_object,
    usage_object,
)
from vivavoce.dialects.refusals import Where

NAMES: Mapping[type[events.Event], str] = {
    events.ItemAdded: "conversation.item.created",
    events.TextDelta: "response.text.delta",
    events.TextDone: "response.text.done",
    events.AudioDone: "response.audio.done",
    events.AudioTranscriptDelta: "response.audio_transcript.delta",
    events.AudioTranscriptDone: "response.audio_transcript.done",
}
FORMATS = {
    "audio/pcm": "pcm16",
    "audio/pcmu": "g711_ulaw",
    "audio/pcma": "g711_alaw",
}
MODALITIES: Mapping[Modality, list[str]] = {"audio": ["audio", "text"], "text": ["text"]}

GA_EVENTS = frozenset({events.ItemDone, events.TimeoutTriggered})

# GA's own fields. The first go where they belong unless strict; the others have no counterpart.
GA_SESSION_FIELDS = frozenset({"type", "output_modalities", "audio", "max_output_tokens"})
GA_RESPONSE_FIELDS = frozenset({"output_modalities", "audio"})
GA_ONLY = frozenset({"reasoning", "parallel_tool_calls"})
GA_ONLY_OF_SESSION = GA_ONLY | {"prompt", "truncation"}
# Fields of old examples and clients that the real service does not know.
EXTRA_RESPONSE_FIELDS = frozenset({"prompt", "commit", "cancel_previous", "input_items"})

# Where a Refusal of the core, which speaks GA, finds the field in this dialect.
PARAMS = {
    f"{prefix}.{path}": f"{prefix}.{name}"
    for prefix, paths in (("session", SESSION_PATHS), ("response", RESPONSE_PATHS))
    for name, path in paths.items()
}


class PreviewCodec(GaCodec):
    """The same for the preview dialect."""

    client_events: ClassVar[tuple[str, ...]] = (*CLIENT_EVENTS, "transcription_session.update")
    modalities: ClassVar[tuple[tuple[str, ...], ...]] = (("text",), ("audio", "text"))
    written: ClassVar[str] = "text"
    spoken: ClassVar[str] = "audio"
    audio_delta: ClassVar[str] = "response.audio.delta"
    messages: ClassVar[Mapping[Role, type[shapes.AnyMessage]]] = {
        "system": shapes.SystemMessage,
        "user": shapes.PreviewUserMessage,
        "assistant": shapes.PreviewAssistantMessage,
    }

    def __init__(
        self,
        *,
        strict: bool = False,
        azure: bool = False,
        on_ignored: Ignored = lambda path: None,
    ) -> None:
        super().__init__(strict=strict, azure=azure, on_ignored=on_ignored)
        self.no_session_fields = GA_ONLY_OF_SESSION
        self.no_response_fields = GA_ONLY
        if strict:
            self.no_session_fields |= GA_SESSION_FIELDS
            self.no_response_fields |= GA_RESPONSE_FIELDS | EXTRA_RESPONSE_FIELDS

    # Frames to commands.

    def _reshape(self, raw: Raw, paths: Mapping[str, str], prefix: str) -> Where:
        """In both modes, since this is how the dialect is read; its own names go first."""
        where = Where(prefix, leniency.move(raw, paths, over=True))
        if not self._strict:
            leniency.ease(raw)
        match raw:
            case {"audio": {"input": {"turn_detection": {**detection}} as heard}}:
                if detection.pop("idle_timeout_ms", None) is not None:
                    self._ignore(where.name("audio.input.turn_detection.idle_timeout_ms"))
                heard["turn_detection"] = {"type": "server_vad", **detection}
        return where

    def _instructions(self, sent: str | msgspec.UnsetType) -> str | msgspec.UnsetType:
        return sent

    def _demand_type(self, session: shapes.Session) -> None:
        """There is none in this dialect."""

    def _create_response(self, event: shapes.Create) -> CreateResponse:
        """Rule 4: `prompt` as plain text is one more message of the user, for this response only."""
        response = event.response or {}
        prompt = response.get("prompt")
        if not isinstance(prompt, str) or self._strict:
            return super()._create_response(event)
        event.response = {key: value for key, value in response.items() if key != "prompt"}
        said = Message("", "user", (InputText(prompt),))
        return msgspec.structs.replace(super()._create_response(event), extra=(said,))

    # Events to frames.

    def encode(self, event: ServerEvent) -> Sequence[bytes]:
        """The frames that say *event*; none for what only GA says."""
        if type(event) in GA_EVENTS:
            return ()
        return super().encode(event)

    def _name(self, event: ServerEvent) -> str:
        match event:
            case events.SessionCreated(session=view) if view.settings.type == "transcription":
                return "transcription_session.created"
            case events.SessionUpdated(session=view) if view.settings.type == "transcription":
                return "transcription_session.updated"
        return NAMES.get(type(event)) or EVENTS[type(event)][0]

    def _obfuscation(self, event_id: str, delta: str) -> Json:
        return {}

    def _error_object(self, refusal: Refusal) -> Json:
        error = super()._error_object(refusal)
        return error | {"param": PARAMS.get(refusal.param or "", refusal.param)}

    def _retrieved_audio(self, kept: events.RetrievedAudio) -> Json:
        return {"audio": super()._retrieved_audio(kept)["audio"]}

    def _session_object(self, view: events.SessionView) -> Json:
        settings = view.settings
        if settings.type == "transcription":
            return self._transcription_session_object(view)
        session: Json = {
            "id": view.id,
            "object": "realtime.session",
            "expires_at": view.expires_at,
            "input_audio_noise_reduction": settings.input.noise_reduction,
            "turn_detection": turn_detection_object(settings, without=("idle_timeout_ms",)),
            "input_audio_format": _format_name(settings.input.format),
            "input_audio_transcription": settings.input.transcription,
            "client_secret": None,
            "include": settings.include,
            "model": settings.model,
            "modalities": MODALITIES[settings.output_modality],
            "instructions": settings.instructions,
            "voice": settings.output.voice,
            "output_audio_format": _format_name(settings.output.format),
            "tool_choice": tool_choice_object(settings.tool_choice),
            "temperature": settings.temperature,
            "max_response_output_tokens": max_tokens_object(settings.max_output_tokens),
            "speed": settings.output.speed,
            "tools": tools_object(settings.tools),
        }
        if settings.tracing is not None:
            session["tracing"] = settings.tracing
        return session

    def _transcription_session_object(self, view: events.SessionView) -> Json:
        settings: SessionSettings = view.settings
        return {
            "id": view.id,
            "object": "realtime.transcription_session",
            "expires_at": view.expires_at,
            "modalities": MODALITIES["audio"],
            "turn_detection": turn_detection_object(settings),
            "input_audio_format": _format_name(settings.input.format),
            "input_audio_transcription": settings.input.transcription,
            "input_audio_noise_reduction": settings.input.noise_reduction,
            "include": settings.include,
            "client_secret": None,
        }

    def _response_object(self, view: events.ResponseView) -> Json:
        return {
            **self._response_head(view),
            "modalities": MODALITIES[view.output_modality],
            "voice": view.voice,
            "output_audio_format": _format_name(view.format),
            "temperature": view.temperature,
            "max_output_tokens": max_tokens_object(view.max_output_tokens),
            "usage": usage_object(view.usage, images={}),
            "metadata": view.metadata,
        }


def _format_name(audio: AudioFormat) -> str:
    return FORMATS[audio.type]
