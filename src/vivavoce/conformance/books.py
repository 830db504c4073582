"""The books of law about all but responses: opening, hearing, conversation, words, playback."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from vivavoce.conformance.reading import (
    Broken,
    Frame,
    is_outside,
    name_of,
    number_of,
    object_of,
    parts_of,
    sums,
    text_of,
)

TRANSCRIPTION = "conversation.item.input_audio_transcription."


class Opening:
    """The session is announced first and once; no event id comes twice. An error may precede it."""

    def __init__(self) -> None:
        self._created = False
        self._ids: set[str] = set()

    def see(self, kind: str, frame: Frame) -> Iterator[str]:
        if kind == "session.created":
            if self._created:
                yield "session.created came twice"
            self._created = True
        elif not self._created and kind != "error":
            yield f"{kind} came before session.created"
            self._created = True
        event_id = name_of(frame, "event_id")
        if event_id in self._ids:
            yield f"event id {event_id} came twice"
        self._ids.add(event_id)

    def end(self) -> Iterator[str]:
        if not self._created:
            yield "session.created never came"


class Hearing:
    """Speech starts, stops and is committed under one item id; what is committed is announced."""

    def __init__(self) -> None:
        self._detection: object = None
        self._binding = True  # whether speech under way must be committed under its own id
        self._speaking: str | None = None
        self._stopped: str | None = None
        self._started_ms = 0.0
        self._stopped_ms = 0.0
        self._committed: set[str] = set()
        self._thrown: set[str] = set()  # items to come whose audio was cleared away
        self._to_announce: str | None = None

    def see(self, kind: str, frame: Frame) -> Iterator[str]:
        item_id = name_of(frame, "item_id")
        match kind:
            case "session.created" | "session.updated":
                detection = _audio_input(frame, "turn_detection")
                # A detector changed amid speech forgets it; the audio stays for another turn.
                self._binding = self._binding and detection == self._detection
                self._detection = detection
            case "input_audio_buffer.speech_started":
                yield from self._start(item_id, number_of(frame, "audio_start_ms"))
            case "input_audio_buffer.speech_stopped":
                if self._speaking != item_id:
                    yield f"speech of {item_id} stopped, but had not started"
                yield from self._stop(item_id, number_of(frame, "audio_end_ms"))
            case "input_audio_buffer.timeout_triggered":
                yield from self._start(item_id, number_of(frame, "audio_start_ms"))
                yield from self._stop(item_id, number_of(frame, "audio_end_ms"))
            case "input_audio_buffer.cleared":
                if self._speaking is not None:
                    self._thrown.add(self._speaking)
                self._speaking = None
            case "input_audio_buffer.committed":
                yield from self._commit(item_id)
            case "conversation.item.added":
                yield from self._announce(name_of(object_of(frame, "item"), "id"))

    def _start(self, item_id: str, at_ms: float) -> Iterator[str]:
        if self._speaking is not None and self._binding:
            yield f"speech of {item_id} started while that of {self._speaking} went on"
        if self._stopped is not None:
            yield f"speech of {item_id} started before {self._stopped} was committed"
        if item_id in self._committed:
            yield f"speech started for {item_id}, which was committed already"
        if item_id in self._thrown:
            yield f"speech started for {item_id}, whose audio was thrown away"
        if at_ms < self._stopped_ms:
            yield f"speech of {item_id} starts at {at_ms} ms, before {self._stopped_ms} ms was over"
        self._speaking, self._started_ms, self._binding = item_id, at_ms, True

    def _stop(self, item_id: str, at_ms: float) -> Iterator[str]:
        if at_ms < self._started_ms:
            yield f"speech of {item_id} ends at {at_ms} ms, before its start"
        self._speaking, self._stopped, self._stopped_ms = None, item_id, at_ms

    def _commit(self, item_id: str) -> Iterator[str]:
        meant = self._stopped or (self._speaking if self._binding else None)
        if meant not in (None, item_id):
            yield f"{item_id} was committed where the speech was announced as {meant}"
        if item_id in self._committed:
            yield f"{item_id} was committed twice"
        if item_id in self._thrown:
            yield f"{item_id} was committed, but its audio was thrown away"
        self._committed.add(item_id)
        self._speaking = self._stopped = None
        self._to_announce = item_id

    def _announce(self, item_id: str) -> Iterator[str]:
        if self._to_announce not in (None, item_id):
            yield f"item {item_id} came before {self._to_announce}, which was committed first"
        self._to_announce = None

    def end(self) -> Iterator[str]:
        if self._stopped is not None:
            yield f"speech of {self._stopped} stopped, but was never committed"
        if self._to_announce is not None:
            yield f"{self._to_announce} was committed, but its item never came"


class Conversation:
    """The items form one chain; each is announced once and, where that is told, done once."""

    def __init__(self, *, done_is_told: bool) -> None:
        self._done_is_told = done_is_told
        self._order: list[str] = []
        self._announced: dict[str, str | None] = {}  # each item and what it was said to follow
        self._done: set[str] = set()
        self._committed: dict[str, object] = {}
        self._outside: set[str] = set()  # responses that stay out of the conversation
        self._made: dict[str, str] = {}  # items responses made, and by which one
        self._listing: set[str] = set()  # lists of tools, which may be retrieved early

    def see(self, kind: str, frame: Frame) -> Iterator[str]:
        yield from _audio_told(kind, frame)
        item_id = name_of(frame, "item_id")
        match kind:
            case "response.created":
                response = object_of(frame, "response")
                if is_outside(response):
                    self._outside.add(name_of(response, "id"))
            case "response.output_item.added":
                self._made[name_of(object_of(frame, "item"), "id")] = name_of(frame, "response_id")
            case "mcp_list_tools.in_progress":
                self._listing.add(item_id)
            case "input_audio_buffer.committed":
                yield from self._commit(item_id, frame.get("previous_item_id"))
            case "conversation.item.added":
                yield from self._add(object_of(frame, "item"), frame.get("previous_item_id"))
            case "conversation.item.done":
                yield from self._conclude(object_of(frame, "item"), frame.get("previous_item_id"))
            case "conversation.item.retrieved":
                retrieved = name_of(object_of(frame, "item"), "id")
                if retrieved not in self._order and retrieved not in self._listing:
                    yield f"item {retrieved} was retrieved, but is not in the conversation"
            case "conversation.item.truncated" | "conversation.item.deleted":
                if item_id not in self._order:
                    yield f"{kind} names {item_id}, which is not in the conversation"
                elif kind == "conversation.item.deleted":
                    self._order.remove(item_id)

    def _commit(self, item_id: str, previous: object) -> Iterator[str]:
        self._committed[item_id] = previous
        last = self._order[-1] if self._order else None
        if previous != last:
            yield f"{item_id} was committed after {previous}, but the last item is {last}"

    def _add(self, item: Frame, previous: str | None) -> Iterator[str]:
        item_id = name_of(item, "id")
        if item_id in self._announced:
            raise Broken(f"item {item_id} was announced twice")
        if self._made.get(item_id) in self._outside:
            yield f"item {item_id} of a response out of band joined the conversation"
        if item.get("status") == "in_progress" and item_id not in self._made:
            yield f"item {item_id} is in progress, but no response has announced it"
        if previous is None and self._order and item_id in self._made:
            yield f"item {item_id} has no predecessor, but {self._order[-1]} came before it"
        if previous is not None and previous not in self._order:
            yield f"item {item_id} follows {previous}, which is not in the conversation"
        if previous != self._committed.get(item_id, previous):
            yield f"item {item_id} follows {previous}, but was committed after another"
        self._announced[item_id] = previous
        at = self._order.index(previous) + 1 if previous in self._order else 0
        self._order.insert(at, item_id)

    def _conclude(self, item: Frame, previous: object) -> Iterator[str]:
        item_id = name_of(item, "id")
        if item_id not in self._order:
            raise Broken(f"item {item_id} is done, but not in the conversation")
        if item_id in self._done:
            yield f"item {item_id} was done twice"
        if item.get("status") == "in_progress":
            yield f"item {item_id} is done, but still in progress"
        at = self._order.index(item_id)
        # Another may have been put between them, or taken away, since the item was announced.
        if previous not in (self._announced[item_id], self._order[at - 1] if at else None):
            yield f"item {item_id} is done after {previous}, which it does not follow"
        self._done.add(item_id)

    def end(self) -> Iterator[str]:
        if self._done_is_told:
            waiting = (item_id for item_id in self._order if item_id not in self._done)
            yield from (f"item {item_id} was added, but never done" for item_id in waiting)


class Transcriptions:
    """Deltas, which may come before their item, then one conclusion that agrees with them.

    Of an item with several recordings, each part has its own.
    What is cleared away takes its words with it: none are owed, and none may come. Where another
    detector takes over, the words of what was being spoken may go on or may be over.
    """

    def __init__(self) -> None:
        self._transcribing = False
        self._detection: object = None
        self._coming: set[str] = set()  # items that are spoken, and not committed
        self._settled: set[str] = set()  # items that were committed or announced
        self._known: set[str] = set()
        self._owed: set[_Speech] = set()
        self._excused: set[str] = set()  # items whose words need no conclusion
        self._thrown: set[str] = set()
        self._concluded: set[_Speech] = set()
        self._words: defaultdict[_Speech, str] = defaultdict(str)

    def see(self, kind: str, frame: Frame) -> Iterator[str]:
        item_id = name_of(frame, "item_id")
        match kind:
            case "session.created" | "session.updated":
                self._transcribing = _audio_input(frame, "transcription") is not None
                self._detect(_audio_input(frame, "turn_detection"))
            case "input_audio_buffer.speech_started":
                self._coming.add(item_id)
            case "input_audio_buffer.cleared":
                self._throw()
            case "input_audio_buffer.committed":
                self._settle(item_id)
                if self._transcribing:
                    self._owed.add(_Speech(item_id, 0))
            case "conversation.item.added":
                self._known.add(name_of(object_of(frame, "item"), "id"))
                self._settle(name_of(object_of(frame, "item"), "id"))
            case "conversation.item.deleted":
                self._owed = {owed for owed in self._owed if owed.item_id != item_id}
            case _ if kind.startswith(TRANSCRIPTION):
                speech = _Speech(item_id, int(number_of(frame, "content_index")))
                yield from self._transcribe(kind.removeprefix(TRANSCRIPTION), speech, frame)

    def _detect(self, detection: object) -> None:
        if detection != self._detection:
            self._excused |= self._read - self._settled
        self._detection = detection

    def _throw(self) -> None:
        """What is spoken, or has words already, and is not committed will never come."""
        self._thrown |= (self._coming | self._read) - self._settled
        for speech in [one for one in self._words if one.item_id in self._thrown]:
            del self._words[speech]
        self._coming.clear()

    @property
    def _read(self) -> set[str]:
        """The items whose words have begun."""
        return {speech.item_id for speech in self._words}

    def _settle(self, item_id: str) -> None:
        self._settled.add(item_id)
        self._coming.discard(item_id)
        self._excused.discard(item_id)

    def _transcribe(self, kind: str, speech: "_Speech", frame: Frame) -> Iterator[str]:
        name = f"transcription of {speech}"
        if speech in self._concluded:
            raise Broken(f"{name} was concluded before its {kind}")
        if speech.item_id in self._thrown:
            raise Broken(f"{name} {kind}, but its audio was thrown away")
        if kind == "delta":
            self._words[speech] += text_of(frame, "delta")
        if kind not in ("completed", "failed"):
            return
        if speech.item_id not in self._known:
            yield f"{name} {kind} before its item came"
        if kind == "completed":
            yield from sums(name, object_of(frame, "usage"))
            words, transcript = self._words.get(speech), text_of(frame, "transcript")
            # Models pad their deltas with blanks, and the whole is trimmed.
            if words is not None and words.strip() != transcript.strip():
                yield f"transcript of {speech} is not what its deltas say"
        self._concluded.add(speech)
        self._owed.discard(speech)
        self._words.pop(speech, None)

    def end(self) -> Iterator[str]:
        begun = {speech for speech in self._words if speech.item_id not in self._excused}
        for speech in sorted(self._owed | begun):
            yield f"transcription of {speech} was never concluded"


class _Speech(NamedTuple):
    """A recording that is written down."""

    item_id: str
    content_index: int

    def __str__(self) -> str:
        index = self.content_index
        return f"part {index} of {self.item_id}" if index else self.item_id


class Playback:
    """Playback of a response starts after it has audio to play, and ends once."""

    def __init__(self) -> None:
        self._audible: set[str] = set()
        self._done: set[str] = set()
        self._playing: set[str] = set()
        self._played: set[str] = set()

    def see(self, kind: str, frame: Frame) -> Iterator[str]:
        response_id = name_of(frame, "response_id")
        match kind:
            case "response.content_part.added" if object_of(frame, "part").get("type") == "audio":
                self._audible.add(response_id)
            case "response.done":
                self._done.add(name_of(object_of(frame, "response"), "id"))
            case "output_audio_buffer.started":
                if response_id not in self._audible:
                    yield f"playback of {response_id} started before it had an audio part"
                if response_id in self._playing | self._played:
                    yield f"playback of {response_id} started twice"
                self._playing.add(response_id)
            case "output_audio_buffer.stopped" | "output_audio_buffer.cleared":
                if response_id not in self._playing:
                    yield f"{kind} names {response_id}, which is not playing"
                if kind == "output_audio_buffer.stopped" and response_id not in self._done:
                    yield f"playback of {response_id} stopped before the response was done"
                self._playing.discard(response_id)
                self._played.add(response_id)

    def end(self) -> Iterator[str]:
        yield from (f"playback of {one} never ended" for one in sorted(self._playing))


def _audio_told(kind: str, frame: Frame) -> Iterator[str]:
    """Items bear no audio but where one is retrieved."""
    if kind == "conversation.item.retrieved" or not ("item" in frame or "response" in frame):
        return
    output = object_of(frame, "response").get("output")
    for item in [object_of(frame, "item"), *(output if isinstance(output, list) else [])]:
        if any(part.get("audio") is not None for part in parts_of(item)):
            yield f"{kind} sends the audio of {name_of(item, 'id')}"


def _audio_input(frame: Frame, key: str) -> object:
    """A setting of the input, which preview keeps flat and mostly under another name."""
    session = object_of(frame, "session")
    nested = object_of(object_of(session, "audio"), "input")
    flat = session.get(f"input_audio_{key}", session.get(key))
    return nested.get(key, flat)
