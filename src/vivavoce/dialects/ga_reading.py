"""Reading the GA wire: frames to commands, in the core's own vocabulary.

A frame goes from raw JSON to a shape (`shapes`) to a command. Appended audio, which comes all the
time, takes a way of its own; everything else may take its time and is first eased by the rules of
`leniency`. What the preview dialect reads otherwise, it overrides.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar, TypeGuard, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from vivavoce.core import commands
from vivavoce.core.commands import (
    AnyCommand,
    CreateResponse,
    ItemAudio,
    ItemReference,
    ListedAudio,
)
from vivavoce.core.errors import Refusal
from vivavoce.core.items import FunctionCall, FunctionCallOutput, InputText, Item, Message, Role
from vivavoce.core.settings import (
    AudioInputUpdate,
    AudioOutputUpdate,
    FunctionTool,
    Modality,
    SessionUpdate,
)
from vivavoce.dialects import leniency, meaning, shapes
from vivavoce.dialects.leniency import (
    DETECTION,
    RESPONSE_PATHS,
    SESSION_PATHS,
    TRANSCRIPTION_PATHS,
    UNREADABLE,
    Raw,
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
MAX_ID_CHARACTERS = 512
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
PREVIEW_ORDERS = frozenset({"commit", "cancel_previous", "append_input_items"})  # of a response
# Keys of the input audio that are read and then of no use: nothing here does what they ask for.
UNUSED = {"transcription": ("languages", "keywords", "delay"), "noise_reduction": ("strength",)}


class GaReader:
    """Frames of one connection to commands.

    *strict* refuses what the real service refuses; otherwise each key that is of no use is passed
    to *on_ignored*, once, by its path.
    """

    client_events: ClassVar[tuple[str, ...]] = CLIENT_EVENTS
    modalities: ClassVar[tuple[tuple[str, ...], ...]] = (("text",), ("audio",))
    written: ClassVar[str] = "output_text"
    # Fields that this dialect has not, and to which nothing of its own corresponds.
    no_session_fields: frozenset[str] = frozenset({"temperature", "client_secret"})
    no_response_fields: frozenset[str] = PREVIEW_ORDERS | {"temperature"}
    function_call: ClassVar[type[shapes.FunctionCall]] = shapes.FunctionCall
    messages: ClassVar[Mapping[Role, type[shapes.AnyMessage]]] = {
        "system": shapes.SystemMessage,
        "user": shapes.UserMessage,
        "assistant": shapes.AssistantMessage,
    }

    def __init__(self, *, strict: bool = False, on_ignored: Ignored = lambda path: None) -> None:
        self._strict = strict
        self._on_ignored = on_ignored
        self._noted: set[str] = set()
        self._append = msgspec.json.Decoder(shapes.StrictAppend if strict else shapes.Append)

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
        sent = raw.get("event_id")
        event_id = sent if _is_id(sent) else None
        try:
            return self._command(raw)
        except RecursionError:  # it could be read, if only just, and could not be written again
            raise leniency.invalid_event("The frame is nested too deeply.").of(event_id) from None
        except Refusal as refusal:
            raise refusal.of(event_id) from None

    def _command(self, raw: Raw) -> AnyCommand:
        event_id = self._event_id(raw)
        match raw["type"]:
            case "input_audio_buffer.append":
                return meaning.append_audio(self.read(raw, shapes.Append))
            case "input_audio_buffer.commit":
                self.read(raw, shapes.Event)
                return commands.CommitAudio(event_id=event_id)
            case "input_audio_buffer.clear":
                self.read(raw, shapes.Event)
                return commands.ClearAudio(event_id=event_id)
            case "output_audio_buffer.clear":
                self.read(raw, shapes.Event)
                return commands.ClearOutput(event_id=event_id)
            case "conversation.item.create":
                return self._create_item(self.read(raw, shapes.CreateItem))
            case "conversation.item.retrieve":
                item_id = self.read(raw, shapes.OfItem).item_id
                return commands.RetrieveItem(event_id=event_id, item_id=item_id)
            case "conversation.item.delete":
                item_id = self.read(raw, shapes.OfItem).item_id
                return commands.DeleteItem(event_id=event_id, item_id=item_id)
            case "conversation.item.truncate":
                cut = self.read(raw, shapes.Truncate)
                return commands.TruncateItem(
                    event_id=event_id,
                    item_id=cut.item_id,
                    content_index=cut.content_index,
                    audio_end_ms=cut.audio_end_ms,
                )
            case "response.create":
                return self._create_response(self.read(raw, shapes.Create))
            case "response.cancel":
                response_id = self.read(raw, shapes.Cancel).response_id
                return commands.CancelResponse(event_id=event_id, response_id=response_id)
            case "session.update":
                session = self.read(raw, shapes.Update).session
                update = self.read_session(session, "session")
                return commands.UpdateSession(event_id=event_id, update=update)
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
        return fitted(raw, shapes.Event, WHOLE).event_id

    def read(self, raw: object, shape: type[Shape], where: Where = WHOLE) -> Shape:
        """*raw*, which lay at *where*, as a *shape*; its unknown keys are noted or refused."""
        strange = [where.name(path) for path in unknown_keys(raw, shape)]
        if strange and self._strict:
            raise unknown(strange[0])
        read = fitted(raw, shape, where, strict=self._strict)
        for path in strange:  # now that it was not refused for something else
            self._note(path)
        return read

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

    def read_session(self, raw: Raw, prefix: str) -> SessionUpdate:
        """The settings in a session object, which lay at *prefix*."""
        raw = self._without(raw, self.no_session_fields, prefix)
        if raw.get("type") == "transcription":
            where = self._reshape(raw, TRANSCRIPTION_PATHS, prefix)
            return self._dictation(self.read(raw, shapes.TranscriptionSession, where), where)
        where = self._reshape(raw, SESSION_PATHS, prefix)
        session = self.read(raw, shapes.Session, where)
        if self._strict:
            self._demand_type(session, where)
        return self._settings(session, where)

    def read_transcription(self, raw: Raw, prefix: str) -> SessionUpdate:
        """The same of a session that only transcribes, as preview's calls of its own have it."""
        raw = self._without(raw, self.no_session_fields, prefix)
        where = self._reshape(raw, TRANSCRIPTION_PATHS, prefix)
        return self._dictation(self.read(raw, shapes.TranscriptionUpdate, where), where)

    def _demand_type(self, session: shapes.Session, where: Where) -> None:
        """Rule 1: without a type it is that of the session, unless strict."""
        if session.type is UNSET:
            raise missing(where.name("type"))

    def _update_transcription(self, raw: Raw, event_id: str | None) -> commands.UpdateSession:
        sent = self.read(raw if self._strict else leniency.lifted(raw), shapes.Update).session
        update = self.read_transcription(sent, "session")
        return commands.UpdateSession(event_id=event_id, update=update, as_transcription=True)

    def _without(self, raw: Raw, foreign: frozenset[str], prefix: str) -> Raw:
        """The fields to which something in this dialect corresponds."""
        for key in sorted(foreign & raw.keys()):
            self._ignore(Where(prefix).name(key))
        return {key: value for key, value in raw.items() if key not in foreign}

    def _reshape(self, raw: Raw, paths: Mapping[str, str], prefix: str) -> Where:
        """Bring *raw* into GA's shape by rules 5 to 9; strict, what is not GA's own stays unknown."""
        if self._strict:
            return Where(prefix)
        leniency.open_places(raw)
        where = Where(prefix, leniency.move(raw, paths, over=False))
        leniency.ease(raw)
        if DETECTION in where.moved:
            leniency.type_detection(raw)
        return where

    def _settings(self, session: shapes.Session, where: Where) -> SessionUpdate:
        said = session.audio.output
        return SessionUpdate(
            type=session.type,
            output_modality=self._modality(session.output_modalities, where),
            instructions=self._instructions(session.instructions),
            tools=self._tools(session.tools, where),
            tool_choice=meaning.tool_choice(session.tool_choice),
            max_output_tokens=meaning.max_tokens(session.max_output_tokens),
            temperature=session.temperature,
            tracing=meaning.tracing(session.tracing, where),
            truncation=meaning.truncation(session.truncation),
            prompt=meaning.prompt(session.prompt, where),
            include=session.include,
            reasoning_effort=core(session.reasoning),
            parallel_tool_calls=session.parallel_tool_calls,
            input=self._heard(session.audio.input, where),
            output=AudioOutputUpdate(
                format=meaning.audio_format(said.format),
                voice=meaning.voice(said.voice),
                speed=said.speed,
            ),
        )

    def _dictation(self, session: shapes.Dictation, where: Where) -> SessionUpdate:
        """A session of type transcription has these settings and no others."""
        return SessionUpdate(
            type="transcription",
            include=session.include,
            input=self._heard(session.audio.input, where),
        )

    def _heard(self, heard: shapes.AudioInput, where: Where) -> AudioInputUpdate:
        for name, keys in UNUSED.items():
            for key in keys:
                if not self._strict and getattr(getattr(heard, name), key, None) is not None:
                    self._note(where.name(f"audio.input.{name}.{key}"))
        return AudioInputUpdate(
            format=meaning.audio_format(heard.format),
            transcription=core(heard.transcription),
            noise_reduction=core(heard.noise_reduction),
            turn_detection=core(heard.turn_detection),
        )

    def _instructions(self, sent: str | UnsetType) -> str | UnsetType | None:
        """The empty text brings the first ones back: so the real service answers."""
        return None if sent == "" else sent

    def _tools(
        self, sent: tuple[shapes.Tool, ...] | UnsetType, where: Where
    ) -> tuple[FunctionTool, ...] | UnsetType:
        if self._strict:
            meaning.check_descriptions(sent, where)
        return meaning.tools(sent, where)

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
                call = self.read(raw, self.function_call, where)
                return FunctionCall(
                    call.id or "", call.name, call.call_id or "", call.arguments
                ), ()
            case "function_call_output":
                output = self.read(raw, shapes.FunctionCallOutput, where)
                return FunctionCallOutput(output.id or "", output.call_id, output.output), ()
            case kind:
                raise unsupported(kind, quoted(ITEM_KINDS), where.name("type"))

    def _message(self, raw: object, where: Where) -> tuple[Message, tuple[ItemAudio, ...]]:
        role = fitted(raw, shapes.Message, where).role
        if not self._strict:
            raw = leniency.respelt(raw, self.written)
        sent = self.read(raw, self.messages[role], where)
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
        prompt = None
        if not self._strict:
            raw = leniency.set_fields(raw)
            prompt = leniency.written_prompt(raw)
        where = self._reshape(raw, RESPONSE_PATHS, "response")
        response = self.read(raw, shapes.Response, where)
        listed, audio = self._input(response.input, where.name("input"))
        return CreateResponse(
            event_id=event.event_id,
            output_modality=self._modality(response.output_modalities, where),
            instructions=response.instructions,
            voice=meaning.voice(response.audio.output.voice),
            format=meaning.audio_format(response.audio.output.format),
            tools=self._tools(response.tools, where),
            tool_choice=meaning.tool_choice(response.tool_choice),
            max_output_tokens=meaning.max_tokens(response.max_output_tokens),
            temperature=response.temperature,
            parallel_tool_calls=response.parallel_tool_calls,
            reasoning_effort=core(response.reasoning),
            conversation=response.conversation,
            metadata=meaning.metadata(response.metadata, where),
            input=listed,
            extra=() if prompt is None else (Message("", "user", (InputText(prompt),)),),
            audio=audio,
            commit=response.commit,
            append=self._appended(response.append_input_items, where.name("append_input_items")),
            cancel_previous=response.cancel_previous,
        )

    def _appended(self, sent: list[object], path: str) -> tuple[commands.CreateItem, ...]:
        items = (self._item(raw, f"{path}[{index}]") for index, raw in enumerate(sent))
        return tuple(commands.CreateItem(item=item, audio=audio) for item, audio in items)

    def _input(
        self, sent: list[object] | None, path: str
    ) -> tuple[tuple[Item | ItemReference, ...] | None, tuple[ListedAudio, ...]]:
        """A response's own input, and the audio that came inside its items."""
        if sent is None:
            return None, ()
        listed = [self._listed(raw, f"{path}[{index}]") for index, raw in enumerate(sent)]
        audio = (
            ListedAudio(index, part.content_index, part.audio)
            for index, (_, parts) in enumerate(listed)
            for part in parts
        )
        return tuple(item for item, _ in listed), tuple(audio)

    def _listed(self, raw: object, path: str) -> tuple[Item | ItemReference, tuple[ItemAudio, ...]]:
        if isinstance(raw, dict) and raw.get("type") == "item_reference":
            return ItemReference(self.read(raw, shapes.Reference, Where(path)).id), ()
        return self._item(raw, path)


def _is_id(sent: object) -> TypeGuard[str]:
    """Whether it can name an event; what is too long for that is not said back."""
    return isinstance(sent, str) and len(sent) <= MAX_ID_CHARACTERS
