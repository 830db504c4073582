"""Writing the GA wire: events to frames.

It follows the tables of the protocol reference, server-events and objects, down to the order of the
keys. What the preview dialect writes otherwise, it overrides.
"""

from collections.abc import Sequence
from typing import ClassVar

import msgspec
import pybase64

from vivavoce.audio import formats
from vivavoce.core import events
from vivavoce.core.errors import Refusal
from vivavoce.core.events import ServerEvent
from vivavoce.core.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    InputText,
    Item,
    Message,
    OutputAudio,
    OutputText,
    Part,
)
from vivavoce.core.settings import SessionSettings
from vivavoce.dialects.objects import (
    EVENTS,
    FIELDS,
    Json,
    format_name,
    format_object,
    max_tokens_object,
    status_details_object,
    tool_choice_object,
    tools_object,
    transcription_usage_object,
    truncation_object,
    turn_detection_object,
    usage_object,
    voice_name,
)

PADDED_CHARACTERS = 16  # of a delta and its obfuscation


class GaWriter:
    """Events of one connection to frames; *azure* is true on Azure's paths."""

    written: ClassVar[str] = "output_text"
    spoken: ClassVar[str] = "output_audio"
    audio_delta: ClassVar[str] = "response.output_audio.delta"

    def __init__(self, *, azure: bool = False) -> None:
        self._azure = azure
        self._json = msgspec.json.Encoder()
        self._audio_delta = _template(self.audio_delta)

    def encode(self, event: ServerEvent) -> Sequence[bytes]:
        """The frame that says *event*; none for what this dialect never says, or not now."""
        if isinstance(event, events.AudioDelta):
            return (self._encode_audio(event),)
        if not self._says(event):
            return ()
        frame: Json = {"type": self._name(event), "event_id": event.event_id}
        for field in FIELDS[type(event)]:
            frame[field] = self._value(getattr(event, field))
        frame |= self._besides(event)
        return (self._json.encode(frame),)

    def _encode_audio(self, event: events.AudioDelta) -> bytes:
        """By template: forty times a second, and for PCM16 nothing else is as large."""
        audio = formats.encode(event.format.type, event.audio)
        return self._audio_delta % (
            event.event_id.encode(),
            event.response_id.encode(),
            event.item_id.encode(),
            event.output_index,
            event.content_index,
            pybase64.b64encode(audio),
        )

    def _says(self, event: ServerEvent) -> bool:
        match event:
            case events.ConversationCreated():
                return False
            case events.RateLimitsUpdated(begins=begins, rate_limits=limits):
                return not begins and bool(self._limits(limits))
        return True

    def _limits(self, limits: Sequence[events.RateLimit]) -> Sequence[events.RateLimit]:
        """Those that are told: here, of tokens alone."""
        return [limit for limit in limits if limit.name == "tokens"]

    def _name(self, event: ServerEvent) -> str:
        return EVENTS[type(event)][0]

    def _value(self, value: object) -> object:
        """The value of a field of the table as JSON."""
        match value:
            case str() | int() | None:
                return value
            case events.SessionView():
                return self.session_object(value)
            case events.ResponseView():
                return self._response_object(value)
            case Message() | FunctionCall() | FunctionCallOutput():
                return self._item_object(value)
            case events.TranscriptionUsage():
                return transcription_usage_object(value)
            case _:
                raise TypeError(f"there is no way to write a {type(value).__name__}")

    def _besides(self, event: ServerEvent) -> Json:
        """The fields that are not one of the event's own values."""
        match event:
            case events.TextDelta() | events.AudioTranscriptDelta() | events.ArgumentsDelta():
                return self._obfuscation(event.event_id, event.delta)
            case events.TranscriptionDelta(event_id=event_id, delta=delta):
                return self._obfuscation(event_id, delta)
            case events.ErrorRaised(refusal=refusal):
                return {"error": self._error_object(refusal)}
            case events.PartAdded(kind=kind):
                return self._part_twice(kind, "")
            case events.PartDone(kind=kind, words=words):
                return self._part_twice(kind, words)
            case events.ArgumentsDone(call=call):
                return {
                    "response_id": event.response_id,
                    "item_id": call.id,
                    "output_index": event.output_index,
                    "call_id": call.call_id,
                    "name": call.name,
                    "arguments": call.arguments,
                }
            case events.TranscriptionFailed(code=code, message=message):
                # `param` is empty rather than null: some clients demand four strings.
                error = {"type": "transcription_error", "code": code, "message": message}
                return {"error": {**error, "param": ""}}
            case events.RateLimitsUpdated(rate_limits=limits):
                return {"rate_limits": self._limits(limits)}
            case events.ConversationCreated(conversation_id=conversation_id):
                conversation = {"id": conversation_id, "object": "realtime.conversation"}
                return {"conversation": conversation}
            case events.ItemRetrieved():
                return {"item": self._retrieved_object(event)}
            case _:
                return {}

    def _obfuscation(self, event_id: str, delta: str) -> Json:
        """Fills the delta up to 16 characters, with what is random in the event's id.

        So nobody can read a word off the size of its frame, and a replay writes the same bytes.
        """
        fill = event_id[-PADDED_CHARACTERS:].rjust(PADDED_CHARACTERS, "0")
        return {"obfuscation": fill[: max(0, PADDED_CHARACTERS - len(delta))]}

    def _error_object(self, refusal: Refusal) -> Json:
        return {
            "type": refusal.kind,
            "code": refusal.code,
            "message": refusal.message,
            "param": refusal.param,
            "event_id": refusal.event_id,
        }

    def _part_twice(self, kind: events.PartKind, words: str) -> Json:
        """`part`, named alike in both dialects; Azure repeats it as `content`."""
        part = {"type": kind, "text" if kind == "text" else "transcript": words}
        return {"part": part, "content": part} if self._azure else {"part": part}

    def _item_object(self, item: Item) -> Json:
        common: Json = {"id": item.id, "object": "realtime.item"}
        match item:
            case Message(role=role, content=content):
                return common | {
                    "type": "message",
                    "status": item.status,
                    "role": role,
                    "content": [self._part_object(part) for part in content],
                }
            case FunctionCall():
                return common | {
                    "type": "function_call",
                    "status": item.status,
                    "name": item.name,
                    "call_id": item.call_id,
                    "arguments": item.arguments,
                }
            case FunctionCallOutput():
                return common | {
                    "type": "function_call_output",
                    "status": item.status,
                    "call_id": item.call_id,
                    "output": item.output,
                }

    def _part_object(self, part: Part) -> Json:
        match part:
            case InputText(text=text):
                return {"type": "input_text", "text": text}
            case InputAudio(transcript=transcript):
                return {"type": "input_audio", "transcript": transcript}
            case InputImage(image_url=url, detail=detail):
                return {"type": "input_image", "image_url": url, "detail": detail}
            case OutputText(text=text):
                return {"type": self.written, "text": text}
            case OutputAudio(transcript=transcript):
                return {"type": self.spoken, "transcript": transcript}

    def _retrieved_object(self, event: events.ItemRetrieved) -> Json:
        item = self._item_object(event.item)
        content = item.get("content")
        if isinstance(content, list):
            for kept in event.audio:
                content[kept.content_index] |= self._retrieved_audio(kept)
        return item

    def _retrieved_audio(self, kept: events.RetrievedAudio) -> Json:
        audio = formats.encode(kept.format.type, kept.pcm)
        return {"audio": pybase64.b64encode_as_string(audio), "format": format_name(kept.format)}

    def session_object(self, view: events.SessionView) -> Json:
        """A session, whole."""
        settings = view.settings
        if settings.type == "transcription":
            return self._transcription_session_object(view)
        session = {
            "type": "realtime",
            "object": "realtime.session",
            "id": view.id,
            "model": settings.model,
            "output_modalities": [settings.output_modality],
            "instructions": settings.instructions,
            "tools": tools_object(settings.tools),
            "tool_choice": tool_choice_object(settings.tool_choice),
            "max_output_tokens": max_tokens_object(settings.max_output_tokens),
            "tracing": settings.tracing,
            "truncation": truncation_object(settings.truncation),
            "prompt": settings.prompt,
            "expires_at": view.expires_at,
            "audio": {
                "input": _input_object(settings),
                "output": {
                    "format": format_object(settings.output.format),
                    "voice": settings.output.voice,
                    "speed": settings.output.speed,
                },
            },
            "include": settings.include,
        }
        if settings.reasoning_effort is not None:
            session["reasoning"] = {"effort": settings.reasoning_effort}
        if settings.parallel_tool_calls is not None:
            session["parallel_tool_calls"] = settings.parallel_tool_calls
        return session

    def _transcription_session_object(self, view: events.SessionView) -> Json:
        return {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "id": view.id,
            "expires_at": view.expires_at,
            "audio": {"input": _input_object(view.settings)},
            "include": view.settings.include,
        }

    def _response_object(self, view: events.ResponseView) -> Json:
        return {
            **self._response_head(view),
            "output_modalities": [view.output_modality],
            "max_output_tokens": max_tokens_object(view.max_output_tokens),
            "audio": {
                "output": {
                    "format": format_object(view.format),
                    "voice": voice_name(view.voice),
                }
            },
            "usage": usage_object(view.usage, images={"image_tokens": 0}),
            "metadata": view.metadata,
        }

    def _response_head(self, view: events.ResponseView) -> Json:
        """The fields that come first in both dialects."""
        return {
            "object": "realtime.response",
            "id": view.id,
            "status": view.status,
            "status_details": status_details_object(view),
            "output": [self._item_object(item) for item in view.output],
            "conversation_id": view.conversation_id,
        }


def _input_object(settings: SessionSettings) -> Json:
    heard = settings.input
    return {
        "format": format_object(heard.format),
        "transcription": heard.transcription,
        "noise_reduction": heard.noise_reduction,
        "turn_detection": turn_detection_object(settings),
    }


def _template(name: str) -> bytes:
    """An audio delta but for its values, none of which needs escaping: the ids are our own."""
    return (
        b'{"type":"%b","event_id":"%%b","response_id":"%%b","item_id":"%%b","output_index":%%d,'
        b'"content_index":%%d,"delta":"%%b"}' % name.encode()
    )
