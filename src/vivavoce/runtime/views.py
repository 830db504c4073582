"""What one channel sees of a session, and what it may ask of it.

A view may lock fields of the session: the server that made a client secret has set them, and who
holds it can neither read nor change them. Two of them reach further than the settings. With `tools`
go all function calls and their outputs, and with `instructions` all system messages, which are
instructions by another door: such items are hidden. To this client they do not exist, so what is
told of the others leaves no gap where they lie, in the chain of items as in a response's output.

What a model says aloud, how many tokens it read and how long it took cannot be hidden.
"""

from collections.abc import Iterator
from operator import attrgetter
from typing import Final, Literal, TypeVar, assert_never, get_args

import msgspec
from msgspec import UNSET

from vivavoce.core import commands, events
from vivavoce.core.commands import AnyCommand, ItemReference
from vivavoce.core.errors import Refusal
from vivavoce.core.events import Event, ServerEvent
from vivavoce.core.items import FunctionCall, FunctionCallOutput, Item, Message
from vivavoce.core.locks import BLANK, LOCKABLE, Lockable
from vivavoce.core.settings import NamedTool, SessionSettings, SessionUpdate
from vivavoce.runtime.channel import View

Numbered = TypeVar(
    "Numbered", bound=events.PartEvent | events.OutputItemAdded | events.OutputItemDone
)
Placed = TypeVar("Placed", bound=events.ItemAdded | events.ItemDone | events.AudioCommitted)

# Behind an id: no item has it, since no client can send an id as long and the server's are short.
NOBODY: Final = "\0" * 513
FORBIDDEN: Final = "forbidden_field"
FAILED: Final = "It failed. The client secret keeps the reason from this connection."
ALL_EVENTS: frozenset[type[Event]] = frozenset(get_args(ServerEvent))

HIDING = frozenset(("instructions", "tools"))  # locked, these hide items

# What a browser is told of a call with `webrtcfilter=on` (protocol reference, http, section 5).
WEBRTC_FILTER: frozenset[type[Event]] = frozenset(
    (
        events.SpeechStarted,
        events.SpeechStopped,
        events.OutputStarted,
        events.OutputStopped,
        events.TranscriptionCompleted,
        events.ItemAdded,
        events.TextDelta,
        events.TextDone,
        events.AudioTranscriptDelta,
        events.AudioTranscriptDone,
        events.ErrorRaised,
    )
)


class Sight:
    """A view at work, for one channel that is there from the session's beginning."""

    def __init__(self, view: View, kind: Literal["realtime", "transcription"] = "realtime") -> None:
        """*kind* is what the session is, until `shown` has told."""
        self._view = view
        self._kind = kind
        self._locked = {name: LOCKABLE[name] for name in LOCKABLE if name in view.locked}
        if unknown := view.locked - self._locked.keys():
            raise ValueError(f"no such field can be locked: {', '.join(sorted(unknown))}")
        self._unseen = _unseen(view)
        self._hides_items = not HIDING.isdisjoint(view.locked)
        self._chain = Chain()
        self._gaps: dict[str, list[int]] = {}  # the places of hidden items in running responses

    def shown(self, event: ServerEvent) -> ServerEvent | None:
        """What of *event* the client may see. It has to be given each one, in their order."""
        seen = self._screened(event) if self._locked else event
        return None if type(seen) in self._unseen else seen

    def allowed(self, command: AnyCommand) -> Refusal | None:
        """Why the client may not ask for that, if so: nothing of it is to be done."""
        if not self._view.may_speak:
            return Refusal("This connection may only listen.", code="read_only")
        return next(self._trespasses(command), None) if self._locked else None

    def veiled(self, command: AnyCommand) -> AnyCommand:
        """The command with each hidden item in it named so that the session knows of none.

        So the refusal is that of an item that never was, whatever else is wrong; `shown` gives it
        the id back. To be called as the session takes the command, for an item that appeared since
        it was sent is hidden as well.
        """
        match command:
            case commands.RetrieveItem() | commands.DeleteItem() | commands.TruncateItem():
                item_id = self._veiled_id(command.item_id)
                if item_id is not command.item_id:
                    return msgspec.structs.replace(command, item_id=item_id)
            case commands.CreateItem(previous_item_id=str(previous)) if self._hides_id(previous):
                return msgspec.structs.replace(command, previous_item_id=self._veiled_id(previous))
            case commands.CreateResponse(input=tuple(listed)) if any(map(self._refers, listed)):
                return msgspec.structs.replace(command, input=tuple(map(self._veiled_one, listed)))
        return command

    # What is shown.

    def _screened(self, event: ServerEvent) -> ServerEvent | None:
        match event:
            case (
                events.AudioDelta()
                | events.TextDelta()
                | events.AudioTranscriptDelta()
                | events.PartAdded()
                | events.PartDone()
                | events.TextDone()
                | events.AudioDone()
                | events.AudioTranscriptDone()
            ):
                return self._renumbered(event)
            case events.SessionCreated(session=view) | events.SessionUpdated(session=view):
                self._kind = view.settings.type
                blotted = msgspec.structs.replace(view, settings=self._settings(view.settings))
                return msgspec.structs.replace(event, session=blotted)
            case events.ErrorRaised(refusal=refusal):
                return msgspec.structs.replace(event, refusal=self._refusal(refusal))
            case events.ResponseCreated(response=response):
                return msgspec.structs.replace(event, response=self._response(response))
            case events.ResponseDone(response=response):
                self._gaps.pop(response.id, None)
                return msgspec.structs.replace(event, response=self._response(response))
            case events.TranscriptionFailed() if "transcription" in self._locked:
                return msgspec.structs.replace(event, message=FAILED)  # may quote its prompt
            case events.ArgumentsDelta() | events.ArgumentsDone():
                return None if "tools" in self._locked else event
            case events.OutputItemAdded() | events.OutputItemDone():
                return self._output_item(event)
            case (
                events.ItemAdded()
                | events.ItemDone()
                | events.ItemRetrieved()
                | events.ItemTruncated()
                | events.ItemDeleted()
                | events.AudioCommitted()
            ):
                return self._in_conversation(event) if self._hides_items else event
            case (
                events.ConversationCreated()
                | events.TranscriptionDelta()
                | events.TranscriptionCompleted()
                | events.TranscriptionFailed()
                | events.SpeechStarted()
                | events.SpeechStopped()
                | events.AudioCleared()
                | events.TimeoutTriggered()
                | events.OutputStarted()
                | events.OutputStopped()
                | events.OutputCleared()
                | events.RateLimitsUpdated()
            ):
                return event
            case _:
                assert_never(event)

    def _settings(self, settings: SessionSettings) -> SessionSettings:
        blanks: dict[str, dict[str, object]] = {"": {}, "input": {}, "output": {}}
        for each in self._locked.values():
            place, _, name = each.setting.rpartition(".")
            blanks[place][name] = each.blank
        if self._names_tool(settings.tool_choice):
            blanks[""]["tool_choice"] = BLANK.tool_choice
        return msgspec.structs.replace(
            settings,
            **blanks[""],
            input=msgspec.structs.replace(settings.input, **blanks["input"]),
            output=msgspec.structs.replace(settings.output, **blanks["output"]),
        )

    def _response(self, response: events.ResponseView) -> events.ResponseView:
        if "voice" in self._locked:
            response = msgspec.structs.replace(response, voice=BLANK.output.voice)
        for name in ("max_output_tokens", "temperature"):
            if name in self._locked:
                response = msgspec.structs.replace(response, **{name: LOCKABLE[name].blank})
        if (details := response.status_details) is not None and details.error_message is not None:
            # An engine's words, and those of the server that it asked, may quote what it was given.
            details = msgspec.structs.replace(details, error_message=FAILED)
        return msgspec.structs.replace(
            response,
            output=tuple(item for item in response.output if not self._hides(item)),
            status_details=details,
        )

    def _refusal(self, refusal: Refusal) -> Refusal:
        """One that quotes no locked value, and a hidden item by the id that the client gave it."""
        for each in self._locked.values():
            for param in _params(each):
                if refusal.param == param or (refusal.param or "").startswith(
                    (f"{param}.", f"{param}[")
                ):
                    return _fixed(param).of(refusal.event_id)
        if NOBODY not in refusal.message:
            return refusal
        return Refusal(
            refusal.message.replace(NOBODY, ""),
            code=refusal.code,
            param=refusal.param,
            kind=refusal.kind,
            event_id=refusal.event_id,
        )

    # What is hidden.

    def _hides(self, item: Item | ItemReference) -> bool:
        match item:
            case Message(role=role):
                return role == "system" and "instructions" in self._locked
            case FunctionCall() | FunctionCallOutput():
                return "tools" in self._locked
            case ItemReference(id=item_id):
                return self._hides_id(item_id)

    def _hides_id(self, item_id: str) -> bool:
        return item_id in self._chain.hidden

    def _in_conversation(
        self,
        event: events.ItemAdded
        | events.ItemDone
        | events.ItemRetrieved
        | events.ItemTruncated
        | events.ItemDeleted
        | events.AudioCommitted,
    ) -> ServerEvent | None:
        match event:
            case events.ItemAdded(item=item):
                self._chain.add(item.id, event.previous_item_id, hidden=self._hides(item))
                return None if self._hides(item) else self._closed_up(event)
            case events.ItemDone(item=item):
                return None if self._hides(item) else self._closed_up(event)
            case events.AudioCommitted():
                return self._closed_up(event)
            case events.ItemRetrieved(item=item):
                return None if self._hides(item) else event
            case events.ItemTruncated(item_id=item_id):
                return None if self._hides_id(item_id) else event
            case events.ItemDeleted(item_id=item_id):
                hidden = self._hides_id(item_id)
                self._chain.remove(item_id)
                return None if hidden else event

    def _closed_up(self, event: Placed) -> Placed:
        """With the item before it that the client knows."""
        previous = self._chain.visible(event.previous_item_id)
        if previous == event.previous_item_id:
            return event
        return msgspec.structs.replace(event, previous_item_id=previous)

    def _output_item(
        self, event: events.OutputItemAdded | events.OutputItemDone
    ) -> ServerEvent | None:
        if not self._hides(event.item):
            return self._renumbered(event)
        if isinstance(event, events.OutputItemAdded):
            self._gaps.setdefault(event.response_id, []).append(event.output_index)
        return None

    def _renumbered(self, event: Numbered) -> Numbered:
        """With its place among the items of the response's output that are shown."""
        gaps = self._gaps.get(event.response_id)
        if gaps is None:
            return event
        before = sum(at < event.output_index for at in gaps)
        return msgspec.structs.replace(event, output_index=event.output_index - before)

    # What is asked.

    def _trespasses(self, command: AnyCommand) -> Iterator[Refusal]:
        match command:
            case commands.UpdateSession(update=update, as_transcription=as_transcription):
                transcribes = as_transcription or update.type == "transcription"
                if transcribes and self._kind == "realtime":
                    yield _fixed("session.type")
                yield from self._in_update(update)
            case commands.CreateItem(item=item):
                yield from self._in_item(item, "item")
            case commands.CreateResponse():
                yield from self._in_response(command)

    def _in_update(self, update: SessionUpdate) -> Iterator[Refusal]:
        for each in self._locked.values():
            if attrgetter(each.setting)(update) is not UNSET:
                yield _fixed(f"session.{each.path}")
        if self._names_tool(update.tool_choice):
            yield _fixed("session.tool_choice")

    def _in_response(self, command: commands.CreateResponse) -> Iterator[Refusal]:
        for each in self._locked.values():
            if each.of_response and getattr(command, each.of_response) is not UNSET:
                yield _fixed(f"response.{each.path}")
        if self._names_tool(command.tool_choice):
            yield _fixed("response.tool_choice")
        for at, listed in enumerate(command.input or ()):
            if not isinstance(listed, ItemReference):
                yield from self._in_item(listed, f"response.input[{at}]")
        for at, appended in enumerate(command.append):
            yield from self._in_item(appended.item, f"response.append_input_items[{at}]")
        for item in command.extra:
            yield from self._in_item(item, "response.prompt")

    def _in_item(self, item: Item, path: str) -> Iterator[Refusal]:
        if self._hides(item):
            field, what, param = "tools", "Function calls and their outputs", f"{path}.type"
            if isinstance(item, Message):
                field, what, param = "instructions", "System messages", f"{path}.role"
            yield Refusal(
                f"{what} cannot come from here, since the client secret that this connection came "
                f"with fixes the {field}. Leave them away: the server that made the secret may send "
                "them over a connection of its own.",
                code=FORBIDDEN,
                param=param,
            )

    def _names_tool(self, choice: object) -> bool:
        """Whether a function is named to a client, or by one, that must know of none."""
        return "tools" in self._locked and isinstance(choice, NamedTool)

    def _refers(self, listed: Item | ItemReference) -> bool:
        return isinstance(listed, ItemReference) and self._hides(listed)

    def _veiled_one(self, listed: Item | ItemReference) -> Item | ItemReference:
        return ItemReference(self._veiled_id(listed.id)) if self._refers(listed) else listed

    def _veiled_id(self, item_id: str) -> str:
        return item_id + NOBODY if self._hides_id(item_id) else item_id


class Chain:
    """The order of the conversation's items, and which of them are hidden.

    It is as long as the conversation, which bounds itself: to leave a gap out rightly, one has to
    know who stands before it now.
    """

    def __init__(self) -> None:
        self.hidden: set[str] = set()
        self._before: dict[str, str | None] = {}
        self._behind: dict[str | None, str] = {}

    def add(self, item_id: str, previous: str | None, *, hidden: bool) -> None:
        """An item was put behind *previous*, or first of all."""
        follower = self._behind.get(previous)
        self._link(previous, item_id)
        if follower is not None:
            self._link(item_id, follower)
        if hidden:
            self.hidden.add(item_id)

    def remove(self, item_id: str) -> None:
        """An item was taken out."""
        self.hidden.discard(item_id)
        previous = self._before.pop(item_id, None)
        follower = self._behind.pop(item_id, None)
        if follower is not None:
            self._link(previous, follower)
        elif self._behind.get(previous) == item_id:
            del self._behind[previous]

    def visible(self, item_id: str | None) -> str | None:
        """That item if it is not hidden, else the nearest before it that is not."""
        while item_id in self.hidden:
            item_id = self._before.get(item_id)
        return item_id

    def _link(self, previous: str | None, item_id: str) -> None:
        self._behind[previous] = item_id
        self._before[item_id] = previous


def _unseen(view: View) -> frozenset[type[Event]]:
    """The events that the client is never told; audio for a track of its own is not told but played."""
    unseen = set() if view.only is None else set(ALL_EVENTS - view.only)
    if not view.owns:
        unseen.add(events.SessionCreated)
    if view.plays:
        unseen.discard(events.AudioDelta)
    elif not view.hears_audio:
        unseen.add(events.AudioDelta)
    return frozenset(unseen)


def _params(field: Lockable) -> Iterator[str]:
    """What the API calls a field, in errors."""
    yield f"session.{field.path}"
    if field.of_response is not None:
        yield f"response.{field.path}"


def _fixed(param: str) -> Refusal:
    return Refusal(
        f"'{param}' is fixed by the client secret that this connection came with. Leave it away: "
        "the server that made the secret decides about it.",
        code=FORBIDDEN,
        param=param,
    )
