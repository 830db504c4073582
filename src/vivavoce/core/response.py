"""One response from created to done, each part opened and closed exactly once.

A response is a row of drafts: one message, opened by its first word or sound, and any number of
function calls. Whatever is announced is concluded: `end` closes every open draft in the order of
the output, whatever the reason. The life of a draft, by its events:

    output item added, (item added), [part added, deltas, part's dones], (item done), output item done

Item events, in brackets, belong to the conversation and are absent out of band.
"""

from collections.abc import Generator, Iterator, Mapping
from typing import TypedDict

import msgspec
from msgspec import Struct

from vivavoce.core import events
from vivavoce.core.conversation import Conversation, begun, cut_speech
from vivavoce.core.effects import GenerationRequest, Recording
from vivavoce.core.errors import Refusal
from vivavoce.core.events import ServerEvent, StatusDetails, Tokens, Usage
from vivavoce.core.items import (
    FunctionCall,
    Item,
    ItemStatus,
    Mark,
    Message,
    OutputAudio,
    OutputText,
    written,
)
from vivavoce.core.outgoing import Outgoing
from vivavoce.core.settings import AudioFormat, CustomVoice
from vivavoce.core.usage import (
    ASSISTANT_AUDIO_MS,
    AUDIO_OUTPUT,
    PER_BURST,
    PER_CALL_OUTPUT,
    TEXT_OUTPUT,
    CountTokens,
    Meter,
    shortened,
)

# Of the most that a spoken response may say, words take up this part: what they sound like takes
# several times as many tokens, and words that nobody hears are worth little.
WORDS_SHARE = 4
FEWEST_WORDS = AUDIO_OUTPUT + PER_BURST + 4  # as much as half of it, if that is less


class MessageDraft:
    """The message while it is being said. *words* and *samples* are all that was produced."""

    def __init__(self, item_id: str, output_index: int, count: CountTokens) -> None:
        self.item_id = item_id
        self.output_index = output_index
        self.closed = False
        self.kept: int | None = None  # samples left by a truncation; what comes later is nothing
        self.words: list[str] = []
        self.meter = Meter(count)
        self.samples = 0
        self.marks: list[Mark] = []


class CallDraft:
    """A function call while it is being written."""

    def __init__(
        self, item_id: str, output_index: int, name: str, call_id: str, count: CountTokens
    ) -> None:
        self.item_id = item_id
        self.output_index = output_index
        self.closed = False
        self.name = name
        self.call_id = call_id
        self.arguments: list[str] = []
        self.meter = Meter(count)
        self.meter.push(name)


Draft = MessageDraft | CallDraft


class Place(TypedDict):
    """The four coordinates of a part of an output item."""

    response_id: str
    item_id: str
    output_index: int
    content_index: int


class Frame(Struct, frozen=True):
    """What of a response never changes. *shown* is the format of which its client is told."""

    id: str
    request: GenerationRequest
    format: AudioFormat
    shown: AudioFormat
    voice: str | CustomVoice = "alloy"
    metadata: dict[str, str] | None = None


class Response:
    """A response under way. Without a *conversation* it is out of band."""

    def __init__(
        self,
        frame: Frame,
        conversation: Conversation | None,
        out: Outgoing,
        count: CountTokens,
        reading: Usage,
    ) -> None:
        self.id = frame.id
        self.frame = frame
        self.conversation = conversation
        self.awaited: dict[str, tuple[list[int], int]] = {}  # dictations, and whose words they are
        self.prepared: GenerationRequest | None = None  # what was made ready for it, if anything
        self.recordings: tuple[Recording, ...] = ()  # of its own input
        self.sounded_at: float | None = None  # when its first audio was produced
        self.cut_short = False  # whether there was more to say than it may
        self._silent = False  # whether it has no words left, though they may not be spoken yet
        self._exhausted = False  # whether it can say nothing more at all
        self._context = list(frame.request.context)
        self._out = out
        self._mint = out.mint
        self._count = count
        self._reading = reading
        self._drafts: list[Draft] = []
        self._calls: dict[int, CallDraft] = {}
        self._message: MessageDraft | None = None
        self._done: dict[int, Item] = {}
        self._bursts = 0
        self._in_burst = False

    # What the session asks.

    def owns(self, item_id: str) -> bool:
        """Whether that item is still being made here."""
        return any(draft.item_id == item_id and not draft.closed for draft in self._drafts)

    def made(self, item_id: str) -> bool:
        """Whether that item is one of its own, finished or not."""
        return any(draft.item_id == item_id for draft in self._drafts)

    @property
    def request(self) -> GenerationRequest:
        """What it is to be made of, with the words that are known by now."""
        return msgspec.structs.replace(self.frame.request, context=tuple(self._context))

    @property
    def samples(self) -> int:
        """How much audio was produced."""
        return self._message.samples if self._message else 0

    @property
    def length_ms(self) -> int:
        """How long its speech is, less what was cut off."""
        kept = self._message.kept if self._message else None
        return (self.samples if kept is None else kept) * 1000 // self.frame.format.rate_hz

    @property
    def speech_id(self) -> str | None:
        """The item that holds the response's speech, once it was announced."""
        return self._message.item_id if self._message and self._speaks else None

    def so_far(self, item_id: str) -> Item:
        """An item that is being made here, with what there is of it."""
        (draft,) = (each for each in self._drafts if each.item_id == item_id)
        return self._item(draft, "in_progress")

    @property
    def spent(self) -> int:
        """Output tokens so far."""
        return self._output_tokens().total

    @property
    def over_budget(self) -> bool:
        """Whether it has reached the most that it may say."""
        return self._room == 0 or self._exhausted

    @property
    def _room(self) -> int | None:
        """How many tokens are left of the most that it may say, if there is a most."""
        most = self.frame.request.max_output_tokens
        return None if most is None else max(0, most - self.spent)

    def usage(self, status: events.ResponseStatus) -> Usage:
        """What it cost, if it ended so; nothing, if it came to nothing."""
        if not self._drafts and status != "completed":
            return Usage()
        return msgspec.structs.replace(self._reading, output=self._output_tokens())

    # What happens to it.

    def begin(self) -> Iterator[ServerEvent]:
        """Announce it."""
        yield events.ResponseCreated(event_id=self._id(), response=self._view("in_progress"))

    def await_words(self, due: Mapping[str, tuple[Item, int]]) -> None:
        """Wait for those of the dictations in *due* that write down what is answered here."""
        places: dict[int, list[int]] = {}
        for at, item in enumerate(self._context):
            places.setdefault(id(item), []).append(at)
        for dictation, (item, content_index) in due.items():
            if id(item) in places:
                self.awaited[dictation] = places[id(item)], content_index

    def learn(self, dictation: str, words: str) -> bool:
        """Take the words of a dictation; whether they were waited for."""
        place = self.awaited.pop(dictation, None)
        places, content_index = place or ((), 0)
        for at in places:
            message = self._context[at]
            assert isinstance(message, Message), "speech lies in messages alone"
            self._context[at] = written(message, content_index, words)
        return place is not None

    def count_cached(self, tokens: int) -> None:
        """The model itself says how much of what it read it had read before."""
        read = self._reading.input
        text = min(tokens, read.text)
        cached = Tokens(text, min(tokens - text, read.audio))
        self._reading = msgspec.structs.replace(self._reading, cached=cached)

    def write(self, delta: str) -> Iterator[ServerEvent]:
        """Take words of the message."""
        room = self._words_room()
        if self._silent or (room == 0 and self._message is None):
            # Sound without a word to it is worth nothing.
            self.cut_short = True
            self._exhausted = self._exhausted or self._message is None
            return
        delta = self._affordable(delta, room)
        if not delta:
            return
        message = yield from self._open_message()
        if message.kept is not None:
            return
        message.words.append(delta)
        message.meter.push(delta)
        self._bursts += not self._in_burst
        self._in_burst = True
        if self._speaks:
            yield events.AudioTranscriptDelta(event_id=self._id(), **self._at(message), delta=delta)
        else:
            yield events.TextDelta(event_id=self._id(), **self._at(message), delta=delta)

    def sound(self, pcm: bytes, marks: tuple[Mark, ...]) -> Iterator[ServerEvent]:
        """Take speech of the message."""
        message = yield from self._open_message()
        message.marks.extend(marks)
        pcm = self._audible(pcm)
        if not pcm or message.kept is not None:
            return
        if self.sounded_at is None:
            self.sounded_at = self._out.now
        message.samples += len(pcm) // 2
        self._in_burst = False
        if self.conversation is not None:
            self.conversation.recordings.grow(message.item_id, 0, pcm, self.frame.format)
        yield events.AudioDelta(
            event_id=self._id(), **self._at(message), audio=pcm, format=self.frame.format
        )

    def call(self, index: int, name: str, arguments: str, final: bool) -> Iterator[ServerEvent]:
        """Take a piece of a function call."""
        draft = self._calls.get(index)
        room = self._room
        if draft is None:
            if room is not None:
                room -= PER_CALL_OUTPUT + self._count(name)
                if room < 0:
                    self.cut_short = self._exhausted = True
                    return
            item_id, call_id = self._mint("item_"), self._mint("call_")
            draft = CallDraft(item_id, len(self._drafts), name, call_id, self._count)
            self._calls[index] = draft
            yield from self._open(draft)
        if draft.closed:
            return
        affordable = self._affordable(arguments, room)
        self._exhausted = self._exhausted or affordable != arguments
        if arguments := affordable:
            draft.arguments.append(arguments)
            draft.meter.push(arguments)
            yield events.ArgumentsDelta(
                event_id=self._id(),
                response_id=self.id,
                item_id=draft.item_id,
                output_index=draft.output_index,
                call_id=draft.call_id,
                delta=arguments,
            )
        if final and not self._exhausted:
            yield from self._close(draft, "completed")

    def truncate(self, content_index: int, audio_end_ms: int) -> None:
        """The listener stopped at that point: no more deltas of the message, nothing more kept."""
        message, rate_hz = self._message, self.frame.format.rate_hz
        if message is None or content_index != 0:
            raise Refusal(
                f"Invalid value: {content_index}. The item's audio is at content_index 0.",
                param="content_index",
            )
        if audio_end_ms > self.length_ms:
            raise Refusal(
                f"Audio content of {self.length_ms}ms is already shorter than {audio_end_ms}ms"
            )
        message.kept = audio_end_ms * rate_hz // 1000
        assert self.conversation is not None, "nobody can name an item that is out of band"
        self.conversation.recordings.cut(message.item_id, 0, message.kept)

    def end(
        self, status: events.ResponseStatus, details: StatusDetails | None = None
    ) -> Iterator[ServerEvent]:
        """Conclude whatever is open, and the response."""
        left: ItemStatus = "completed" if status == "completed" else "incomplete"
        for draft in self._drafts:
            if not draft.closed:
                yield from self._close(draft, left)
        yield events.ResponseDone(event_id=self._id(), response=self._view(status, details))

    # What of it may be said.

    def _words_room(self) -> int | None:
        """How many tokens of words may come."""
        most, room = self.frame.request.max_output_tokens, self._room
        if most is None or room is None:
            return None
        framing = 0 if self._message else (AUDIO_OUTPUT if self._speaks else TEXT_OUTPUT)
        if self._speaks:
            framing += 0 if self._in_burst else PER_BURST
            share = max(most // WORDS_SHARE, min(most // 2, FEWEST_WORDS))
            room = min(room, share - self._output_tokens().text)
        return max(0, room - framing)

    def _affordable(self, text: str, room: int | None) -> str:
        """As much of *text* as there is room for."""
        if room is None:
            return text
        affordable = shortened(text, room, self._count)
        if affordable != text:
            self.cut_short = self._silent = True
            self._exhausted = self._exhausted or not self._speaks
        return affordable

    def _audible(self, pcm: bytes) -> bytes:
        """As much of the sound as there is room for, to the sample."""
        room, message = self._room, self._message
        if room is None or message is None:
            return pcm
        per_token = ASSISTANT_AUDIO_MS * self.frame.format.rate_hz // 1000
        unfilled = per_token - message.samples % per_token - 1  # of a token that is begun
        audible = pcm[: 2 * (room * per_token + unfilled)]
        if len(audible) < len(pcm):
            self.cut_short = self._exhausted = True
        return audible

    # How drafts open and close.

    @property
    def _speaks(self) -> bool:
        return self.frame.request.output_modality == "audio"

    @property
    def _kind(self) -> events.PartKind:
        return "audio" if self._speaks else "text"

    def _open_message(self) -> Generator[ServerEvent, None, MessageDraft]:
        if self._message is None:
            self._message = MessageDraft(self._mint("item_"), len(self._drafts), self._count)
            yield from self._open(self._message)
            yield events.PartAdded(event_id=self._id(), **self._at(self._message), kind=self._kind)
        return self._message

    def _open(self, draft: Draft) -> Iterator[ServerEvent]:
        self._drafts.append(draft)
        item = self._announced(draft)
        yield events.OutputItemAdded(
            event_id=self._id(), response_id=self.id, output_index=draft.output_index, item=item
        )
        if self.conversation is not None:
            previous = self.conversation.add(item)
            yield events.ItemAdded(event_id=self._id(), previous_item_id=previous, item=item)

    def _close(self, draft: Draft, status: ItemStatus) -> Iterator[ServerEvent]:
        draft.closed = True
        item = self._item(draft, status)
        if isinstance(draft, MessageDraft):
            yield from self._close_part(draft)
        else:
            yield events.ArgumentsDone(
                event_id=self._id(),
                response_id=self.id,
                output_index=draft.output_index,
                call=self._call_item(draft, status),
            )
        self._done[draft.output_index] = item
        if self.conversation is not None:
            self.conversation.replace(item)
            yield events.ItemDone(
                event_id=self._id(),
                previous_item_id=self.conversation.previous(item.id),
                item=item,
            )
        yield events.OutputItemDone(
            event_id=self._id(), response_id=self.id, output_index=draft.output_index, item=item
        )

    def _close_part(self, draft: MessageDraft) -> Iterator[ServerEvent]:
        words, at = "".join(draft.words), self._at(draft)
        if self._speaks:
            yield events.AudioDone(event_id=self._id(), **at)
            yield events.AudioTranscriptDone(event_id=self._id(), **at, transcript=words)
        else:
            yield events.TextDone(event_id=self._id(), **at, text=words)
        yield events.PartDone(event_id=self._id(), **at, kind=self._kind, words=words)

    # How it looks from outside.

    def _announced(self, draft: Draft) -> Item:
        if isinstance(draft, MessageDraft):
            return Message(draft.item_id, "assistant", (), "in_progress")
        return self._call_item(draft, "in_progress")

    def _item(self, draft: Draft, status: ItemStatus) -> Item:
        if isinstance(draft, MessageDraft):
            return self._message_item(draft, status)
        return self._call_item(draft, status)

    def _call_item(self, draft: CallDraft, status: ItemStatus) -> FunctionCall:
        arguments = "".join(draft.arguments)
        return FunctionCall(draft.item_id, draft.name, draft.call_id, arguments, status)

    def _message_item(self, draft: MessageDraft, status: ItemStatus) -> Message:
        words = "".join(draft.words)
        part: OutputText | OutputAudio = OutputText(words)
        if self._speaks:
            part = self._speech(draft, words, status)
        return Message(draft.item_id, "assistant", (part,), status)

    def _speech(self, draft: MessageDraft, words: str, status: ItemStatus) -> OutputAudio:
        rate_hz = self.frame.format.rate_hz
        part = OutputAudio(words, words, draft.samples, rate_hz, tuple(draft.marks))
        if draft.kept is not None:
            return cut_speech(part, draft.kept)
        if status == "incomplete":
            # What was written and never spoken, nobody has heard.
            return msgspec.structs.replace(part, heard=begun(part, draft.samples))
        return part

    def _view(
        self, status: events.ResponseStatus, details: StatusDetails | None = None
    ) -> events.ResponseView:
        request = self.frame.request
        return events.ResponseView(
            id=self.id,
            status=status,
            conversation_id=self.conversation.id if self.conversation else None,
            output_modality=request.output_modality,
            format=self.frame.shown,
            voice=self.frame.voice,
            temperature=request.temperature,
            max_output_tokens=request.max_output_tokens,
            metadata=self.frame.metadata,
            output=tuple(item for _, item in sorted(self._done.items())),
            status_details=details,
            usage=None if status == "in_progress" else self.usage(status),
        )

    def _output_tokens(self) -> Tokens:
        text = sum(call.meter.tokens + PER_CALL_OUTPUT for call in self._calls.values())
        audio = 0
        if self._message is not None:
            framing = AUDIO_OUTPUT + PER_BURST * self._bursts if self._speaks else TEXT_OUTPUT
            text += self._message.meter.tokens + framing
            ms = self._message.samples * 1000 // self.frame.format.rate_hz
            audio = ms // ASSISTANT_AUDIO_MS
        most = self.frame.request.max_output_tokens
        if most is not None:
            text = min(text, most)  # the framing may be more than there was room for
            audio = min(audio, most - text)
        return Tokens(text, audio)

    def _at(self, draft: MessageDraft) -> Place:
        return {
            "response_id": self.id,
            "item_id": draft.item_id,
            "output_index": draft.output_index,
            "content_index": 0,
        }

    def _id(self) -> str:
        return self._mint("event_")
