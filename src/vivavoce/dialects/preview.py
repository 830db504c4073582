"""The preview wire, written as its differences from GA.

Its fields are moved to where GA has them, read as GA's, and a Refusal names them as they were sent.
Its session and response objects are flat; it says once that an item was created where GA says that
it was added and later done; and some names differ.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from msgspec import UnsetType

from vivavoce.core import events
from vivavoce.core.errors import Refusal
from vivavoce.core.events import ServerEvent
from vivavoce.core.items import Role
from vivavoce.core.settings import Modality, SessionSettings
from vivavoce.dialects import leniency, shapes
from vivavoce.dialects.ga_reading import CLIENT_EVENTS, PREVIEW_ORDERS, GaReader, Ignored
from vivavoce.dialects.ga_writing import GaWriter
from vivavoce.dialects.leniency import RESPONSE_PATHS, SESSION_PATHS, Raw
from vivavoce.dialects.objects import (
    EVENTS,
    Json,
    format_name,
    max_tokens_object,
    tool_choice_object,
    tools_object,
    turn_detection_object,
    usage_object,
    voice_name,
)
from vivavoce.dialects.refusals import Where, fitted

NAMES: Mapping[type[events.Event], str] = {
    events.ItemAdded: "conversation.item.created",
    events.TextDelta: "response.text.delta",
    events.TextDone: "response.text.done",
    events.AudioDone: "response.audio.done",
    events.AudioTranscriptDelta: "response.audio_transcript.delta",
    events.AudioTranscriptDone: "response.audio_transcript.done",
}
MODALITIES: Mapping[Modality, list[str]] = {"audio": ["audio", "text"], "text": ["text"]}

GA_EVENTS = (events.ItemDone, events.TimeoutTriggered)

# GA's own fields. The first go where they belong unless strict; the others have no counterpart.
GA_SESSION_FIELDS = frozenset({"type", "output_modalities", "audio", "max_output_tokens"})
GA_RESPONSE_FIELDS = frozenset({"output_modalities", "audio"})
GA_ONLY = frozenset({"reasoning", "parallel_tool_calls"})
GA_ONLY_OF_SESSION = GA_ONLY | {"prompt", "truncation"}
# And those below a field that preview has as well.
GA_KEYS = {
    "transcription": {"languages", "keywords", "delay"},
    "noise_reduction": {"strength"},
    "turn_detection": {"idle_timeout_ms"},
}
# Fields of old examples and clients that the real service does not know.
EXTRA_RESPONSE_FIELDS = PREVIEW_ORDERS | {"prompt", "input_items"}

# Where a Refusal of the core, which speaks GA, finds the field in this dialect.
NAMED_BY_CORE = (
    Where(moved={f"session.{path}": f"session.{name}" for name, path in SESSION_PATHS.items()}),
    Where(
        moved={
            f"response.{path}": f"response.{name}"
            for name, path in RESPONSE_PATHS.items()
            if name not in EXTRA_RESPONSE_FIELDS
        }
    ),
)


class PreviewReader(GaReader):
    """Frames of one connection in the preview dialect to commands."""

    client_events: ClassVar[tuple[str, ...]] = (*CLIENT_EVENTS, "transcription_session.update")
    modalities: ClassVar[tuple[tuple[str, ...], ...]] = (("text",), ("audio", "text"))
    written: ClassVar[str] = "text"
    function_call: ClassVar[type[shapes.FunctionCall]] = shapes.PreviewFunctionCall
    messages: ClassVar[Mapping[Role, type[shapes.AnyMessage]]] = {
        "system": shapes.SystemMessage,
        "user": shapes.PreviewUserMessage,
        "assistant": shapes.PreviewAssistantMessage,
    }

    def __init__(self, *, strict: bool = False, on_ignored: Ignored = lambda path: None) -> None:
        super().__init__(strict=strict, on_ignored=on_ignored)
        self.no_session_fields = GA_ONLY_OF_SESSION
        self.no_response_fields = GA_ONLY
        if strict:
            self.no_session_fields |= GA_SESSION_FIELDS
            self.no_response_fields |= GA_RESPONSE_FIELDS | EXTRA_RESPONSE_FIELDS

    def _reshape(self, raw: Raw, paths: Mapping[str, str], prefix: str) -> Where:
        """In both modes, since this is how the dialect is read; its own names go first."""
        if self._strict:
            fitted(raw, shapes.PreviewForms, Where(prefix))
        else:
            leniency.open_places(raw)
        where = Where(prefix, leniency.move(raw, paths, over=True))
        if self._strict:
            leniency.silence_detection(raw)
        else:
            leniency.ease(raw)
        leniency.type_detection(raw)
        self._drop_ga_keys(raw, where)
        return where

    def _drop_ga_keys(self, raw: Raw, where: Where) -> None:
        match raw:
            case {"audio": {"input": {**heard}}}:
                for name, keys in GA_KEYS.items():
                    place = heard.get(name)
                    if isinstance(place, dict):
                        for key in sorted(keys & place.keys()):
                            self._ignore(where.name(f"audio.input.{name}.{key}"))
                            del place[key]

    def _instructions(self, sent: str | UnsetType) -> str | UnsetType | None:
        return sent

    def _demand_type(self, session: shapes.Session, where: Where) -> None:
        """There is none in this dialect."""


class PreviewWriter(GaWriter):
    """Events of one connection to frames of the preview dialect."""

    written: ClassVar[str] = "text"
    spoken: ClassVar[str] = "audio"
    audio_delta: ClassVar[str] = "response.audio.delta"

    def _says(self, event: ServerEvent) -> bool:
        if isinstance(event, events.RateLimitsUpdated):
            return event.begins is not self._azure
        return not isinstance(event, GA_EVENTS)

    def _limits(self, limits: Sequence[events.RateLimit]) -> Sequence[events.RateLimit]:
        return limits

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
        param = refusal.param
        if param is not None:
            for where in NAMED_BY_CORE:
                param = where.name(param)
        return super()._error_object(refusal) | {"param": param}

    def _retrieved_audio(self, kept: events.RetrievedAudio) -> Json:
        return {"audio": super()._retrieved_audio(kept)["audio"]}

    def session_object(self, view: events.SessionView) -> Json:
        """A session, whole."""
        settings = view.settings
        if settings.type == "transcription":
            return self._transcription_session_object(view)
        session: Json = {
            "id": view.id,
            "object": "realtime.session",
            "expires_at": view.expires_at,
            "input_audio_noise_reduction": settings.input.noise_reduction,
            "turn_detection": turn_detection_object(settings, without=("idle_timeout_ms",)),
            "input_audio_format": format_name(settings.input.format),
            "input_audio_transcription": settings.input.transcription,
            "client_secret": None,
            "include": settings.include,
            "model": settings.model,
            "modalities": MODALITIES[settings.output_modality],
            "instructions": settings.instructions,
            "voice": voice_name(settings.output.voice),
            "output_audio_format": format_name(settings.output.format),
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
            "input_audio_format": format_name(settings.input.format),
            "input_audio_transcription": settings.input.transcription,
            "input_audio_noise_reduction": settings.input.noise_reduction,
            "include": settings.include,
            "client_secret": None,
        }

    def _response_object(self, view: events.ResponseView) -> Json:
        return {
            **self._response_head(view),
            "modalities": MODALITIES[view.output_modality],
            "voice": voice_name(view.voice),
            "output_audio_format": format_name(view.format),
            "temperature": view.temperature,
            "max_output_tokens": max_tokens_object(view.max_output_tokens),
            "usage": usage_object(view.usage, images={}),
            "metadata": view.metadata,
        }
