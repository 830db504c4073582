"""The book of law about responses: each item and part is opened once, filled, and closed once."""

import binascii
from collections.abc import Iterator

import pybase64

from vivavoce.conformance.reading import (
    Broken,
    Frame,
    is_outside,
    name_of,
    object_of,
    parts_of,
    sums,
    text_of,
    words_of,
)


class _Part:
    """A part of an output item, while it is written and spoken."""

    def __init__(self, kind: object) -> None:
        self.kind = kind
        self.spoken = kind != "audio"  # whether there is no more audio to come
        self.said = ""
        self.words: str | None = None  # all of them, once told
        self.truncated = False
        self.done = False


class _OutputItem:
    """An item of a response, from added to done."""

    def __init__(self, item: Frame) -> None:
        self.id = name_of(item, "id")
        self.kind = name_of(item, "type")
        self.parts: list[_Part] = []
        self.call = item
        self.said = ""
        self.arguments: str | None = None
        self.in_conversation = False
        self.concluded: object = None
        self.done: object = None

    def owes(self) -> Iterator[str]:
        """What must come before this item can be done."""
        for at, part in enumerate(self.parts):
            if not part.done:
                yield f"part {at} of {self.id} is still open"
        if self.kind in ("function_call", "mcp_call") and self.arguments is None:
            yield f"arguments of {self.id} are still open"

    def agrees(self, item: Frame) -> bool:
        """Whether *item* says what the parts or the arguments said, as far as it may say it."""
        if self.arguments is not None:
            return item.get("arguments") == self.arguments
        parts = parts_of(item)
        return len(parts) == len(self.parts) and all(
            mine.truncated or words_of(part) == mine.words
            for part, mine in zip(parts, self.parts, strict=True)
        )


class _Response:
    """A response from created to done."""

    def __init__(self, response: Frame, fallback: str) -> None:
        self.id = name_of(response, "id")
        self.told = response
        self.outside = is_outside(response)
        self.encoding = _encoding(response) or fallback
        self.items: list[_OutputItem] = []
        self.done = False


class Responses:
    """Responses hold items, items hold parts; each is opened once, filled, and closed once."""

    def __init__(self, *, done_is_told: bool) -> None:
        self._done_is_told = done_is_told
        self._encoding = "pcm16"
        self._transcribing_only = False
        self._responses: dict[str, _Response] = {}
        self._writing: _Response | None = None  # the latest that writes to the conversation
        self._items: dict[str, _OutputItem] = {}
        self._billed = 0  # responses created or done, less the rate limits told of them

    def see(self, kind: str, frame: Frame) -> Iterator[str]:
        match kind:
            case "session.created" | "session.updated":
                session = object_of(frame, "session")
                self._encoding = _encoding(session) or self._encoding
                self._transcribing_only = session.get("object") == "realtime.transcription_session"
            case "response.created":
                self._billed += 1
                yield from self._create(object_of(frame, "response"))
            case "response.done":
                self._billed += 1
                yield from self._close(object_of(frame, "response"))
            case "rate_limits.updated":
                # Servers differ in which of the two they tell them after, and may skip one.
                if not self._billed:
                    yield "rate_limits.updated came, but no response was created or done for it"
                self._billed = max(0, self._billed - 1)
            case "response.output_item.added":
                yield from self._add_item(self._open(frame), frame)
            case "conversation.item.added" | "conversation.item.done":
                yield from self._in_conversation(kind, object_of(frame, "item"))
            case "conversation.item.truncated":
                self._truncate(name_of(frame, "item_id"), frame.get("content_index"))
            case "response.output_item.done":
                response = self._open(frame)
                item = self._item(response, frame, name_of(object_of(frame, "item"), "id"))
                yield from self._finish_item(response, item, object_of(frame, "item"))
            case _ if kind.startswith("response.mcp_call."):
                pass  # a call runs after its response is done, and names none
            case _ if kind.startswith("response."):
                yield from self._fill(kind, frame)

    def _create(self, response: Frame) -> Iterator[str]:
        made = _Response(response, self._encoding)
        if made.id in self._responses:
            raise Broken(f"response {made.id} was created twice")
        if self._transcribing_only:
            yield f"response {made.id} was created in a transcription session"
        if response.get("status") != "in_progress":
            yield f"response {made.id} was created, but is not in progress"
        if response.get("output") or response.get("usage"):
            yield f"response {made.id} was created with output or usage"
        if not made.outside:
            if self._writing is not None and not self._writing.done:
                yield f"response {made.id} was created while {self._writing.id} went on"
            self._writing = made
        self._responses[made.id] = made

    def _open(self, frame: Frame) -> _Response:
        """The open response that *frame* belongs to."""
        response = self._responses.get(name_of(frame, "response_id"))
        if response is None or response.done:
            state = "not created" if response is None else "done"
            raise Broken(f"{frame['type']} names {name_of(frame, 'response_id')}, which is {state}")
        return response

    def _item(self, response: _Response, frame: Frame, item_id: str) -> _OutputItem:
        """The open item that *frame* belongs to."""
        index = frame.get("output_index")
        if not isinstance(index, int) or not 0 <= index < len(response.items):
            raise Broken(f"{frame['type']} names item {index} of {response.id}, which has none")
        item = response.items[index]
        if item.id != item_id:
            raise Broken(f"{frame['type']} names {item_id}, but item {index} is {item.id}")
        if item.done is not None:
            raise Broken(f"{frame['type']} names {item.id}, which is done")
        return item

    def _add_item(self, response: _Response, frame: Frame) -> Iterator[str]:
        item = _OutputItem(object_of(frame, "item"))
        if item.id in self._items:
            raise Broken(f"item {item.id} was announced twice in responses")
        if frame.get("output_index") != len(response.items):
            yield f"item {item.id} of {response.id} is not at index {len(response.items)}"
        if object_of(frame, "item").get("status", "in_progress") != "in_progress":
            yield f"item {item.id} was announced, but is not in progress"
        if item.call.get("content") or item.call.get("arguments"):
            yield f"item {item.id} was announced with content"
        response.items.append(item)
        self._items[item.id] = item

    def _in_conversation(self, kind: str, told: Frame) -> Iterator[str]:
        item = self._items.get(name_of(told, "id"))
        if item is None:
            return
        if kind == "conversation.item.added":
            item.in_conversation = True
            return
        yield from (f"item {item.id} is done, but {owed}" for owed in item.owes())
        if item.done is not None and item.kind != "mcp_call":
            yield f"conversation.item.done of {item.id} came after response.output_item.done"
        item.concluded = told

    def _truncate(self, item_id: str, index: object) -> None:
        item = self._items.get(item_id)
        if item is not None and isinstance(index, int) and 0 <= index < len(item.parts):
            item.parts[index].truncated = True

    def _fill(self, kind: str, frame: Frame) -> Iterator[str]:
        """An event within an item: about one of its parts, or the arguments of a call."""
        response = self._open(frame)
        item = self._item(response, frame, name_of(frame, "item_id"))
        if kind.endswith(("arguments.delta", "arguments.done")):
            yield from _argue(item, kind, frame)
            return
        if kind == "response.content_part.added":
            if not (item.in_conversation or response.outside):
                yield f"a part of {item.id} came before the item joined the conversation"
            if frame.get("content_index") != len(item.parts):
                yield f"a part of {item.id} is not at index {len(item.parts)}"
            item.parts.append(_Part(object_of(frame, "part").get("type")))
            return
        index = frame.get("content_index")
        if not isinstance(index, int) or not 0 <= index < len(item.parts):
            raise Broken(f"{kind} names part {index} of {item.id}, which has none")
        part, name = item.parts[index], f"part {index} of {item.id}"
        if part.done:
            raise Broken(f"{kind} names {name}, which is done")
        yield from _fill_part(part, name, kind, frame, response.encoding)

    def _finish_item(self, response: _Response, item: _OutputItem, told: Frame) -> Iterator[str]:
        yield from (f"item {item.id} is done, but {owed}" for owed in item.owes())
        if told.get("status") == "in_progress":
            yield f"item {item.id} is done, but still in progress"
        if not item.agrees(told):
            yield f"item {item.id} does not say what its parts said"
        if not (item.in_conversation or response.outside):
            yield f"item {item.id} is done, but never joined the conversation"
        if self._done_is_told and not response.outside and item.kind != "mcp_call":
            if item.concluded is None:
                yield f"response.output_item.done of {item.id} came before conversation.item.done"
            elif item.concluded != told:
                yield f"item {item.id} is not the one that conversation.item.done told"
        item.done = told

    def _close(self, told: Frame) -> Iterator[str]:
        response = self._responses.get(name_of(told, "id"))
        if response is None or response.done:
            state = "not created" if response is None else "done"
            raise Broken(f"response.done names {name_of(told, 'id')}, which is {state}")
        response.done = True
        for item in response.items:
            if item.done is None:
                yield f"response {response.id} is done, but item {item.id} is open"
        truncated = any(part.truncated for item in response.items for part in item.parts)
        if told.get("output") != [item.done for item in response.items] and not truncated:
            yield f"response {response.id} does not hold the items that were done"
        status = told.get("status")
        if status == "in_progress":
            yield f"response {response.id} is done, but still in progress"
        if status != object_of(told, "status_details").get("type", "completed"):
            yield f"response {response.id} is {status}, but its details say otherwise"
        for key in ("metadata", "conversation_id"):
            if told.get(key) != response.told.get(key):
                yield f"response {response.id} was created with another {key}"
        if not object_of(told, "usage"):
            yield f"response {response.id} is done without usage"
        yield from sums(f"response {response.id}", object_of(told, "usage"))

    def end(self) -> Iterator[str]:
        for response in self._responses.values():
            if not response.done:
                yield f"response {response.id} was created, but never done"


def _fill_part(part: _Part, name: str, kind: str, frame: Frame, encoding: str) -> Iterator[str]:
    """One event about an open part."""
    of_audio = kind.startswith("response.output_audio")
    if kind != "response.content_part.done" and of_audio != (part.kind == "audio"):
        raise Broken(f"{kind} names {name}, which is {part.kind}")
    match kind:
        case "response.output_audio.delta":
            if part.spoken:
                yield f"audio of {name} came after it was done"
            if part.truncated:
                yield f"audio of {name} came after it was truncated"
            yield from _samples(name, frame.get("delta"), encoding)
        case "response.output_audio.done":
            if part.spoken:
                yield f"audio of {name} was done twice"
            part.spoken = True
        case "response.output_text.delta" | "response.output_audio_transcript.delta":
            if part.words is not None:
                yield f"words of {name} came after they were done"
            if part.truncated:
                yield f"words of {name} came after it was truncated"
            part.said += text_of(frame, "delta")
        case "response.output_text.done" | "response.output_audio_transcript.done":
            words = text_of(frame, "transcript" if of_audio else "text")
            if part.words is not None:
                yield f"words of {name} were done twice"
            if not part.spoken:
                yield f"transcript of {name} was done before its audio"
            if words != part.said and not part.truncated:
                yield f"words of {name} are not what its deltas say"
            part.words = words
        case "response.content_part.done":
            if not part.spoken or part.words is None:
                yield f"{name} is done, but its words or its audio are not"
            elif words_of(object_of(frame, "part")) != part.words and not part.truncated:
                yield f"{name} does not hold the words that were done"
            part.done = True


def _argue(item: _OutputItem, kind: str, frame: Frame) -> Iterator[str]:
    """One event about the arguments of an open call."""
    if item.arguments is not None:
        raise Broken(f"{kind} names {item.id}, whose arguments are done")
    for key in ("call_id", "name"):
        if key in frame and frame[key] != item.call.get(key):
            yield f"{kind} of {item.id} has another {key}"
    if kind.endswith("delta"):
        item.said += text_of(frame, "delta")
    else:
        item.arguments = text_of(frame, "arguments")
        if item.arguments != item.said:
            yield f"arguments of {item.id} are not what their deltas say"


def _samples(name: str, delta: object, encoding: str) -> Iterator[str]:
    """A delta of audio decodes on its own, and to whole samples."""
    try:
        audio = pybase64.b64decode(delta, validate=True) if isinstance(delta, str) else b""
    except binascii.Error:
        yield f"audio of {name} is not base64"
        return
    if encoding in ("pcm16", "audio/pcm") and len(audio) % 2:
        yield f"audio of {name} is cut within a sample: {len(audio)} bytes"


def _encoding(settings: Frame) -> str | None:
    """The output's encoding by a session or a response, where they tell it."""
    nested = object_of(object_of(object_of(settings, "audio"), "output"), "format").get("type")
    told = nested or settings.get("output_audio_format")
    return told if isinstance(told, str) else None
