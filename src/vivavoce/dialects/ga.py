"""The GA wire: the core's own vocabulary plus its tags.

Reading goes from raw JSON to a shape (`shapes`) to a command. Appended audio, which comes all the
time, takes a way of its own; everything else may take its time and is first eased by the rules of
`leniency`. Writing follows the tables of the protocol reference, server-events and objects, down to
the order of the keys. What the preview dialect does otherwise, it overrides.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, TypeVar

import msgspec
import pybase64
from msgspec import UNSET, Struct, UnsetType

from vivavoce.audio import formats
from vivavoce.core import commands, events
from vivavoce.core.commands import AnyCommand, CreateResponse, ItemAudio, ItemReference
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
    Role,
)
from vivavoce.core.settings import (
    DEFAULT_INSTRUCTIONS,
    AudioInputUpdate,
    AudioOutputUpdate,
    Modality,
    SessionSettings,
    SessionUpdate,
)
from vivavoce.dialects import leniency, meaning, shapes
from vivavoce.dialects.leniency import RESPONSE_PATHS, SESSION_PATHS, UNREADABLE, Raw
from vivavoce.dialects.objects import (
    EVENTS,
    FIELDS,
    Json,
    format_object,
    max_tokens_object,
    status_details_object,
    tool_choice_object,
    tools_object,
    transcription_usage_object,
    truncation_object,
    turn_detection_object,
    usage_object,
)
from vivavoce.dialects.refusals import (
    Where,
    fitted,
    missing,
    quoted,
    unknown,
    unknown_keys,
    unsupported,
)
from vivavoce.dialects.shapes import core

Shape = TypeVar("Shape", bound=Struct)
Ignored = Callable[[str], object]

MAX_NOTES = 64  # of ignored keys, a connection
MAX_NOTED_CHARACTERS = 200
PADDED_CHARACTERS = 16  # of a delta and its obfuscation
WHOLE = Where()

CLIENT_EVENTS = (
    "session.update",
    "input_audio_buffer.append",
    "input_audio_buffer.commit",
    "input_audio_buffer.clear",
    "output_audio_buffer.clear",
    "conversation.item.create",
    "conversation.item.retrieve",
    "conversation.item.truncate",
    "conversation.item.delete",
    "response.create",
    "response.cancel",
)
ITEM_KINDS = ("message", "function_call", "function_call_output")


class GaCodec:
    """Frames of one connection to commands, events to frames.

    *strict* refuses what the real service refuses; otherwise each key that nobody knows is passed
    to *on_ignored*, once, by its path. *azure* is true on Azure's paths.
    """

    client_events: ClassVar[tuple[str, ...]] = CLIENT_EVENTS
    modalities: ClassVar[tuple[tuple[str, ...], ...]] = (("text",), ("audio",))
    written: ClassVar[str] = "output_text"
    spoken: ClassVar[str] = "output_audio"
    audio_delta: ClassVar[str] = "response.output_audio.delta"
    # Fields that this dialect has not, and to which nothing of its own corresponds.
    no_session_fields: frozenset[str] = frozenset({"temperature", "client_secret"})
    no_response_fields: frozenset[str] = frozenset({"temperature", "commit", "cancel_previous"})
    messages: ClassVar[Mapping[Role, type[shapes.AnyMessage]]] = {
        "system": shapes.SystemMessage,
        "user": shapes.UserMessage,
        "assistant": shapes.AssistantMessage,
    }

    def __init__(
        self,
        *,
        strict: bool = False,
        azure: bool = False,
        on_ignored: Ignored = lambda path: None,
    ) -> None:
        self._strict = strict
        self._azure = azure
        self._on_ignored = on_ignored
        self._noted: set[str] = set()
        self._append = msgspec.json.Decoder(shapes.StrictAppend if strict else shapes.Append)
        self._json = msgspec.json.Encoder()
        self._audio_delta = _template(self.audio_delta)

    # Frames to commands.

    def decode(self, frame: str | bytes) -> AnyCommand:
        """The command in *frame*; raises Refusal, which names the client's event if it has an id."""
        try:
            append = self._append.decode(frame)
        except UNREADABLE:  # it is none, or there is something wrong with it
            return self._decode_other(frame)
        try:
            return meaning.append_audio(append)
        except Refusal as refusal:
            raise refusal.of(append.event_id) from None

    def _decode_other(self, frame: str | bytes) -> AnyCommand:
        raw = leniency.parsed(frame, strict=self._strict)
        event_id = raw.get("event_id")
        try:
            return self._command(raw)
        except Refusal as refusal:
            raise refusal.of(event_id if isinstance(event_id, str) else None) from None

    def _command(self, raw: Raw) -> AnyCommand:
        event_id = self._event_id(raw)
        match raw["type"]:
            case "input_audio_buffer.append":
                return meaning.append_audio(self._read(raw, shapes.Append))
            case "input_audio_buffer.commit":
                self._read(raw, shapes.Event)
                return commands.CommitAudio(event_id=event_id)
            case "input_audio_buffer.clear":
                self._read(raw, shapes.Event)
                return commands.ClearAudio(event_id=event_id)
            case "output_audio_buffer.clear":
                self._read(raw, shapes.Event)
                return commands.ClearOutput(event_id=event_id)
            case "conversation.item.create":
                return self._create_item(self._read(raw, shapes.CreateItem))
            case "conversation.item.retrieve":
                item_id = self._read(raw, shapes.OfItem).item_id
                return commands.RetrieveItem(event_id=event_id, item_id=item_id)
            case "conversation.item.delete":
                item_id = self._read(raw, shapes.OfItem).item_id
                return commands.DeleteItem(event_id=event_id, item_id=item_id)
            case "conversation.item.truncate":
                cut = self._read(raw, shapes.Truncate)
                return commands.TruncateItem(
                    event_id=event_id,
                    item_id=cut.item_id,
                    content_index=cut.content_index,
                    audio_end_ms=cut.audio_end_ms,
                )
            case "response.create":
                return self._create_response(self._read(raw, shapes.Create))
            case "response.cancel":
                response_id = self._read(raw, shapes.Cancel).response_id
                return commands.CancelResponse(event_id=event_id, response_id=response_id)
            case "session.update":
                session = self._read(raw, shapes.Update).session
                return commands.UpdateSession(event_id=event_id, update=self._update(session))
            case "transcription_session.update" as kind if self._takes(kind):
                return self._update_transcription(raw, event_id)
            case kind:
                raise unsupported(kind, quoted(self.client_events), "type")

    def _takes(self, kind: str) -> bool:
        """Rule 11: an event of the other dialect counts as one of this, unless strict."""
        return kind in self.client_events or not self._strict

    def _event_id(self, raw: Raw) -> str | None:
        if raw.get("type") is None:
            raise Refusal("The event has no 'type'.", code="invalid_event")
        return fitted({**raw, "type": ""}, shapes.Event, WHOLE).event_id

    def _read(self, raw: object, shape: type[Shape], where: Where = WHOLE) -> Shape:
        for path in unknown_keys(raw, shape):
            self._ignore(where.name(path))
        return fitted(raw, shape, where)

    def _ignore(self, path: str) -> None:
        """Rule 2: a key that nobody knows is no reason to refuse all the others."""
        if self._strict:
            raise unknown(path)
        self._note(path)

    def _note(self, path: str) -> None:
        path = path[:MAX_NOTED_CHARACTERS]
        if path not in self._noted and len(self._noted) < MAX_NOTES:
            self._noted.add(path)
            self._on_ignored(path)

    # Sessions.

    def _update(self, raw: Raw) -> SessionUpdate:
        session, where = self._session(raw)
        if self._strict:
            self._demand_type(session)
        return self._settings(session, where)

    def _demand_type(self, session: shapes.Session) -> None:
        """Rule 1: without a type it is that of the session, unless strict."""
        if session.type is UNSET:
            raise missing("session.type")

    def _update_transcription(self, raw: Raw, event_id: str | None) -> commands.UpdateSession:
        update = self._read(raw if self._strict else leniency.lifted(raw), shapes.Update)
        own = {key: value for key, value in update.session.items() if key != "modalities"}
        session, where = self._session(own)
        session.type = "transcription"
        settings = self._settings(session, where)
        return commands.UpdateSession(event_id=event_id, update=settings, as_transcription=True)

    def _session(self, raw: Raw) -> tuple[shapes.Session, Where]:
        raw = self._without(raw, self.no_session_fields, "session")
        where = self._reshape(raw, SESSION_PATHS, "session")
        return self._read(raw, shapes.Session, where), where

    def _without(self, raw: Raw, foreign: frozenset[str], prefix: str) -> Raw:
        """The fields to which something in this dialect corresponds."""
        for key in sorted(foreign & raw.keys()):
            self._ignore(f"{prefix}.{key}")
        return {key: value for key, value in raw.items() if key not in foreign}

    def _reshape(self, raw: Raw, paths: Mapping[str, str], prefix: str) -> Where:
        """Bring *raw* into GA's shape by rules 5 to 9; strict, what is not GA's own stays unknown."""
        if self._strict:
            return Where(prefix)
        where = Where(prefix, leniency.move(raw, paths, over=False))
        leniency.ease(raw)
        return where

    def _settings(self, session: shapes.Session, where: Where) -> SessionUpdate:
        heard, said = session.audio.input, session.audio.output
        return SessionUpdate(
            type=session.type,
            output_modality=self._modality(session.output_modalities, where),
            instructions=self._instructions(session.instructions),
            tools=meaning.tools(session.tools),
            tool_choice=meaning.tool_choice(session.tool_choice),
            max_output_tokens=meaning.max_tokens(session.max_output_tokens),
            temperature=session.temperature,
            tracing=meaning.tracing(session.tracing),
            truncation=meaning.truncation(session.truncation),
            prompt=core(session.prompt),
            include=session.include,
            parallel_tool_calls=session.parallel_tool_calls,
            input=AudioInputUpdate(
                format=meaning.audio_format(heard.format),
                transcription=core(heard.transcription),
                noise_reduction=core(heard.noise_reduction),
                turn_detection=core(heard.turn_detection),
            ),
            output=AudioOutputUpdate(
                format=meaning.audio_format(said.format),
                voice=meaning.voice(said.voice),
                speed=said.speed,
            ),
        )

    def _instructions(self, sent: str | UnsetType) -> str | UnsetType:
        """The empty text brings the default one back: so the real service answers."""
        return DEFAULT_INSTRUCTIONS if sent == "" else sent

    def _modality(
        self, sent: tuple[Modality, ...] | UnsetType, where: Where
    ) -> Modality | UnsetType:
        """Rule 13: whatever speaks, speaks; unless strict."""
        if sent is UNSET:
            return UNSET
        if tuple(sorted(sent)) in self.modalities or (sent and not self._strict):
            return "audio" if "audio" in sent else "text"
        allowed = " and ".join(str(list(one)) for one in self.modalities)
        raise Refusal(
            f"Invalid modalities: {list(sent)}. Supported combinations are: {allowed}.",
            param=where.name("output_modalities"),
        )

    # Items and responses.

    def _create_item(self, event: shapes.CreateItem) -> commands.CreateItem:
        item, audio = self._item(event.item, "item")
        return commands.CreateItem(
            event_id=event.event_id,
            item=item,
            previous_item_id=event.previous_item_id,
            audio=audio,
        )

    def _item(self, raw: object, path: str) -> tuple[Item, tuple[ItemAudio, ...]]:
        """An item and the audio that came inside it."""
        where = Where(path)
        if isinstance(raw, dict) and "type" not in raw and "role" in raw:
            raw = {"type": "message", **raw}
        match fitted(raw, shapes.Item, where).type:
            case "message":
                return self._message(raw, where)
            case "function_call":
                call = self._read(raw, shapes.FunctionCall, where)
                return FunctionCall(
                    call.id or "", call.name, call.call_id or "", call.arguments
                ), ()
            case "function_call_output":
                output = self._read(raw, shapes.FunctionCallOutput, where)
                return FunctionCallOutput(output.id or "", output.call_id, output.output), ()
            case kind:
                raise unsupported(kind, quoted(ITEM_KINDS), where.name("type"))

    def _message(self, raw: object, where: Where) -> tuple[Message, tuple[ItemAudio, ...]]:
        role = fitted(raw, shapes.Message, where).role
        if not self._strict:
            raw = leniency.respelt(raw, self.written)
        sent = self._read(raw, self.messages[role], where)
        audio = tuple(
            ItemAudio(index, meaning.audio_bytes(part.audio, where.name(f"content[{index}].audio")))
            for index, part in enumerate(sent.content)
            if isinstance(part, shapes.InputAudio) and part.audio is not None
        )
        content = tuple(part.core() for part in sent.content)
        return Message(sent.id or "", role, content), audio

    def _create_response(self, event: shapes.Create) -> CreateResponse:
        if event.response is None:
            return CreateResponse(event_id=event.event_id)
        raw = self._without(event.response, self.no_response_fields, "response")
        if not self._strict:
            raw = leniency.set_fields(raw)
        where = self._reshape(raw, RESPONSE_PATHS, "response")
        response = self._read(raw, shapes.Response, where)
        return CreateResponse(
            event_id=event.event_id,
            output_modality=self._modality(response.output_modalities, where),
            instructions=response.instructions,
            voice=meaning.voice(response.audio.output.voice),
            format=meaning.audio_format(response.audio.output.format),
            tools=meaning.tools(response.tools),
            tool_choice=meaning.tool_choice(response.tool_choice),
            max_output_tokens=meaning.max_tokens(response.max_output_tokens),
            temperature=response.temperature,
            parallel_tool_calls=response.parallel_tool_calls,
            conversation=response.conversation,
            metadata=meaning.metadata(response.metadata, where),
            input=self._input(response.input, where.name("input")),
            commit=response.commit,
            cancel_previous=response.cancel_previous,
        )

    def _input(
        self, sent: list[object] | None, path: str
    ) -> tuple[Item | ItemReference, ...] | None:
        if sent is None:
            return None
        return tuple(self._input_item(raw, f"{path}[{index}]") for index, raw in enumerate(sent))

    def _input_item(self, raw: object, path: str) -> Item | ItemReference:
        if isinstance(raw, dict) and raw.get("type") == "item_reference":
            return ItemReference(self._read(raw, shapes.Reference, Where(path)).id)
        item, audio = self._item(raw, path)
        for part in audio:  # the core takes a listed item's words alone
            self._note(f"{path}.content[{part.content_index}].audio")
        return item

    # Events to frames.

    def encode(self, event: ServerEvent) -> Sequence[bytes]:
        """The frames that say *event*: none, one or two."""
        if isinstance(event, events.AudioDelta):
            return (self._encode_audio(event),)
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

    def _name(self, event: ServerEvent) -> str:
        return EVENTS[type(event)][0]

    def _value(self, value: object) -> object:
        """The value of a field of the table as JSON."""
        match value:
            case str() | int() | None:
                return value
            case events.SessionView():
                return self._session_object(value)
            case events.ResponseView():
                return self._response_object(value)
            case Message() | FunctionCall() | FunctionCallOutput():
                return self._item_object(value)
            case events.TranscriptionUsage():
                return transcription_usage_object(value)
            case _:  # rate limits, which are written as they are
                return value

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
        return {"audio": pybase64.b64encode_as_string(kept.pcm), "format": "pcm16"}

    def _session_object(self, view: events.SessionView) -> Json:
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
            "audio": {"output": {"format": format_object(view.format), "voice": view.voice}},
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
