"""The laws are proved by breaking them: in streams that were valid, and in the machine that makes them.

The streams are those of random conversations. Each mutation alters one of them in one place, chosen
by dice among those where it makes sense, and must be caught by the law that it breaks.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from random import Random
from typing import NamedTuple

import msgspec
import pybase64
import pytest
from core_chatter import Frame, conversation

from vivavoce.conformance.laws import GA_NAMES, Laws
from vivavoce.conformance.validator import faults
from vivavoce.core import effects, events
from vivavoce.core.captions import Captions
from vivavoce.core.conversation import Conversation
from vivavoce.core.ear import Ear
from vivavoce.core.events import ServerEvent
from vivavoce.core.intake import Intake
from vivavoce.core.playback import Playback
from vivavoce.core.response import MessageDraft, Response
from vivavoce.core.responses import Responses
from vivavoce.dialects.api import Dialect

pytestmark = pytest.mark.judges_frames

SEEDS = range(60)
WIDER_SEEDS = range(400)  # some mutations of the machine show in few conversations
PREVIEW_NAMES = {ga: preview for preview, ga in GA_NAMES.items() if "session" not in preview}
COMMITTED = "input_audio_buffer.committed"
STARTED = "input_audio_buffer.speech_started"
STOPPED = "input_audio_buffer.speech_stopped"
CLEARED = "input_audio_buffer.cleared"
ITEM_ADDED = "conversation.item.added"
HEARD = "conversation.item.input_audio_transcription.delta"
UNDERSTOOD = "conversation.item.input_audio_transcription.completed"
CREATED = "response.created"
DONE = "response.done"
OUTPUT_ADDED = "response.output_item.added"
OUTPUT_DONE = "response.output_item.done"
PART_ADDED = "response.content_part.added"
PART_DONE = "response.content_part.done"
AUDIO = "response.output_audio.delta"
AUDIO_DONE = "response.output_audio.done"
SPOKEN = "response.output_audio_transcript.delta"
SPOKEN_DONE = "response.output_audio_transcript.done"
TEXT = "response.output_text.delta"
TEXT_DONE = "response.output_text.done"
ARGUMENTS = "response.function_call_arguments.delta"
ARGUMENTS_DONE = "response.function_call_arguments.done"


class Nowhere(Exception):  # noqa: N818 - an answer, not an error
    """A stream has no place for that mutation."""


class Stream:
    """A valid stream, and dice to choose where it is to be broken. Events go by their GA names."""

    def __init__(self, frames: list[Frame], dialect: Dialect, seed: int) -> None:
        self.frames = frames
        self.dialect = dialect
        self._dice = Random(seed)

    def name(self, kind: str) -> str:
        """What this dialect calls that kind of event."""
        return kind if self.dialect == "ga" else PREVIEW_NAMES.get(kind, kind)

    def any(self, *kinds: str, where: Callable[[Frame], object] = lambda frame: True) -> int:
        """Where an event of one of these kinds is, about which that is true."""
        names = {self.name(kind) for kind in kinds}
        places = [
            at for at, each in enumerate(self.frames) if each["type"] in names and where(each)
        ]
        if not places:
            raise Nowhere
        return self._dice.choice(places)

    def find(self, *kinds: str, where: Callable[[Frame], object] = lambda frame: True) -> Frame:
        """Such an event."""
        return self.frames[self.any(*kinds, where=where)]

    def has(self, kind: str, **keys: object) -> bool:
        """Whether there is an event of that kind with these values."""
        return any(
            each["type"] == self.name(kind) and keys.items() <= each.items() for each in self.frames
        )

    def next(self, at: int, *kinds: str) -> Frame | None:
        """The first event of these kinds behind that place."""
        names = {self.name(kind) for kind in kinds}
        return next((each for each in self.frames[at + 1 :] if each["type"] in names), None)

    def again(self, at: int, **keys: object) -> Frame:
        """The event of that place once more, with these values and an id of its own."""
        again: Frame = msgspec.json.decode(msgspec.json.encode(self.frames[at]))
        return again | {"event_id": "event_again"} | keys

    def whole(self, frame: Frame) -> bool:
        """Whether nobody truncated what that event is about; its words are free to differ."""
        return not self.has("conversation.item.truncated", item_id=frame.get("item_id"))


class Mutation(NamedTuple):
    """A way to break a stream, and what the law says that it breaks."""

    alter: Callable[[Stream], object]
    sentence: str


MUTATIONS: list[Mutation] = []


def breaks(sentence: str) -> Callable[[Callable[[Stream], object]], Callable[[Stream], object]]:
    """Enter a mutation, which has to be told with that sentence."""

    def enter(alter: Callable[[Stream], object]) -> Callable[[Stream], object]:
        MUTATIONS.append(Mutation(alter, sentence))
        return alter

    return enter


# Each created has one done.


@breaks("was created, but never done")
def a_response_is_never_done(stream: Stream) -> None:
    del stream.frames[stream.any(DONE)]


@breaks("response.done names .*, which is done")
def a_response_is_done_twice(stream: Stream) -> None:
    at = stream.any(DONE)
    stream.frames.insert(at + 1, stream.again(at))


@breaks("is done, but item .* is open")
def an_output_item_is_never_done(stream: Stream) -> None:
    del stream.frames[stream.any(OUTPUT_DONE)]


@breaks("part 0 of .* is still open")
def a_part_is_never_done(stream: Stream) -> None:
    del stream.frames[stream.any(PART_DONE)]


@breaks("was done before its audio")
def the_audio_of_a_part_is_never_done(stream: Stream) -> None:
    del stream.frames[stream.any(AUDIO_DONE)]


@breaks("arguments of .* are still open")
def arguments_are_never_done(stream: Stream) -> None:
    del stream.frames[stream.any(ARGUMENTS_DONE)]


@breaks("was added, but never done")
def an_item_is_never_done(stream: Stream) -> None:
    if stream.dialect == "preview":
        raise Nowhere
    at = stream.any("conversation.item.done", where=lambda frame: not stream.has(
        "conversation.item.deleted", item_id=frame["item"]["id"]))  # fmt: skip
    del stream.frames[at]


@breaks("playback of .* never ended")
def playback_never_ends(stream: Stream) -> None:
    del stream.frames[stream.any("output_audio_buffer.stopped", "output_audio_buffer.cleared")]


@breaks("session.created came twice")
def the_session_is_created_twice(stream: Stream) -> None:
    stream.frames.insert(1, stream.again(0))


@breaks("came before session.created")
def the_session_is_never_created(stream: Stream) -> None:
    del stream.frames[0]


@breaks("event id .* came twice")
def an_event_id_comes_twice(stream: Stream) -> None:
    stream.frames[-1]["event_id"] = stream.frames[0]["event_id"]


# Added before delta before done, and every delta belongs to an open part.


@breaks("which has none")
def a_delta_comes_before_its_part(stream: Stream) -> None:
    at = stream.any(TEXT, SPOKEN, AUDIO)
    delta = stream.frames.pop(at)
    item_id = delta["item_id"]
    stream.frames.insert(stream.any(PART_ADDED, where=lambda f: f["item_id"] == item_id), delta)


@breaks("came after (they were|it was) done|which is done")
def a_delta_comes_after_its_done(stream: Stream) -> None:
    delta = stream.frames.pop(stream.any(TEXT, SPOKEN, AUDIO))
    kinds = (AUDIO_DONE,) if delta["type"] == stream.name(AUDIO) else (TEXT_DONE, SPOKEN_DONE)
    done = stream.any(*kinds, where=lambda frame: frame["item_id"] == delta["item_id"])
    stream.frames.insert(done + 1, delta)


@breaks("whose arguments are done")
def arguments_come_after_their_done(stream: Stream) -> None:
    delta = stream.frames.pop(stream.any(ARGUMENTS))
    done = stream.any(ARGUMENTS_DONE, where=lambda f: f["item_id"] == delta["item_id"])
    stream.frames.insert(done + 1, delta)


@breaks("which is text")
def audio_comes_in_a_part_of_text(stream: Stream) -> None:
    stream.find(TEXT).update(type=stream.name(AUDIO), delta="AAAA")


@breaks("which is not created")
def a_delta_names_a_response_that_is_not(stream: Stream) -> None:
    stream.find(TEXT, SPOKEN, AUDIO, ARGUMENTS)["response_id"] = "resp_nowhere"


@breaks("but item 0 is|but item 1 is|but item 2 is")
def a_delta_names_the_item_of_another(stream: Stream) -> None:
    stream.find(TEXT, SPOKEN, AUDIO)["item_id"] = "item_nowhere"


@breaks("was created while .* went on")
def two_responses_write_to_the_conversation(stream: Stream) -> None:
    at = stream.any(CREATED, where=lambda frame: frame["response"]["conversation_id"] is not None)
    other = stream.again(at)
    other["response"]["id"] = "resp_other"
    stream.frames.insert(at + 1, other)


@breaks("does not hold the items that were done")
def a_response_forgets_what_it_held(stream: Stream) -> None:
    def full(frame: Frame) -> bool:
        made = frame["response"]["output"]
        return bool(made) and all(stream.whole({"item_id": item["id"]}) for item in made)

    stream.find(DONE, where=full)["response"]["output"].pop()


# One terminal transcription event an item; words that were thrown away stay away.


@breaks("was concluded before its completed")
def a_transcription_is_completed_twice(stream: Stream) -> None:
    at = stream.any(UNDERSTOOD)
    stream.frames.insert(at + 1, stream.again(at))


@breaks("was concluded before its failed")
def a_transcription_fails_that_was_completed(stream: Stream) -> None:
    at = stream.any(UNDERSTOOD)
    failed = stream.again(at, type=UNDERSTOOD.replace("completed", "failed"), error={})
    stream.frames.insert(at + 1, failed)


@breaks("of .* was never concluded")
def a_transcription_is_never_concluded(stream: Stream) -> None:
    at = stream.any(UNDERSTOOD, where=lambda frame: stream.has(HEARD, item_id=frame["item_id"]))
    del stream.frames[at]


@breaks("but its audio was thrown away")
def words_come_of_audio_that_was_cleared(stream: Stream) -> None:
    start, cleared = _cleared_speech(stream)
    words = {"type": HEARD, "item_id": stream.frames[start]["item_id"], "delta": "so"}
    stream.frames.insert(cleared + 1, words | {"event_id": "event_x", "content_index": 0})


@breaks("was committed, but its audio was thrown away")
def audio_is_committed_that_was_cleared(stream: Stream) -> None:
    start, cleared = _cleared_speech(stream)
    item_id = stream.frames[start]["item_id"]
    commit = {"type": COMMITTED, "event_id": "event_x", "item_id": item_id}
    stream.frames.insert(cleared + 1, commit | {"previous_item_id": None})


def _cleared_speech(stream: Stream) -> tuple[int, int]:
    """Where speech began that was cleared away, and where it was."""
    start = stream.any(STARTED, where=lambda frame: _cleared_after(stream, frame) is not None)
    cleared = _cleared_after(stream, stream.frames[start])
    assert cleared is not None
    return start, stream.frames.index(cleared)


def _cleared_after(stream: Stream, started: Frame) -> Frame | None:
    """What cleared that speech away, if nothing else ended it."""
    then = stream.next(stream.frames.index(started), CLEARED, STOPPED, COMMITTED, "session.updated")
    return then if then is not None and then["type"] == CLEARED else None


# One chain, and the item that was announced is the one that is committed.


@breaks("was committed after .*, but the last item is")
def an_item_is_committed_elsewhere_in_the_chain(stream: Stream) -> None:
    stream.find(COMMITTED)["previous_item_id"] = "item_nowhere"


@breaks("follows .*, which is not in the conversation")
def an_item_follows_one_that_is_not(stream: Stream) -> None:
    stream.find(ITEM_ADDED)["previous_item_id"] = "item_nowhere"


@breaks("has no predecessor, but")
def an_answer_begins_the_chain_anew(stream: Stream) -> None:
    def answers(frame: Frame) -> bool:
        return frame["previous_item_id"] is not None and frame["item"].get("role") == "assistant" \
            and frame["item"].get("status") == "in_progress"  # fmt: skip

    stream.find(ITEM_ADDED, where=answers)["previous_item_id"] = None


@breaks("was announced twice")
def an_item_is_announced_twice(stream: Stream) -> None:
    at = stream.any(ITEM_ADDED)
    stream.frames.insert(at + 1, stream.again(at))


@breaks("was committed where the speech was announced as")
def another_item_is_committed_than_was_spoken(stream: Stream) -> None:
    at = stream.any(STOPPED)
    stream.frames[at + 1]["item_id"] = "item_other"


@breaks("stopped, but had not started")
def speech_stops_that_never_started(stream: Stream) -> None:
    del stream.frames[stream.any(STARTED, where=lambda frame: stream.has(
        STOPPED, item_id=frame["item_id"]))]  # fmt: skip


@breaks("but was never committed|before .* was committed|where the speech was announced as")
def speech_is_never_committed(stream: Stream) -> None:
    at = stream.any(STOPPED)
    item_id = stream.frames[at]["item_id"]
    stream.frames[at:] = [
        each
        for each in stream.frames[at:]
        if item_id not in (each.get("item_id"), each.get("item", {}).get("id"))
        or each["type"] == STOPPED
    ]


# What was said agrees with itself.


@breaks("are not what its deltas say")
def the_words_of_a_part_are_altered(stream: Stream) -> None:
    done = stream.find(TEXT_DONE, SPOKEN_DONE, where=stream.whole)
    key = "text" if "text" in done else "transcript"
    done[key] += "?"


@breaks("arguments of .* are not what their deltas say")
def the_arguments_of_a_call_are_altered(stream: Stream) -> None:
    stream.find(ARGUMENTS_DONE)["arguments"] += " "


@breaks("does not hold the words that were done")
def a_part_ends_with_other_words(stream: Stream) -> None:
    part = stream.find(PART_DONE, where=stream.whole)["part"]
    part["text" if "text" in part else "transcript"] += "?"


@breaks("transcript of .* is not what its deltas say")
def the_words_of_the_user_are_altered(stream: Stream) -> None:
    def spoken(frame: Frame) -> bool:
        return stream.has(HEARD, item_id=frame["item_id"])

    stream.find(UNDERSTOOD, where=spoken)["transcript"] += "?"


@breaks("is cut within a sample")
def half_a_sample_is_lost(stream: Stream) -> None:
    def coded(frame: Frame) -> bool:
        made = stream.find(CREATED, where=lambda f: f["response"]["id"] == frame["response_id"])
        told = made["response"]
        nested = told.get("audio", {}).get("output", {}).get("format", {}).get("type")
        return (nested or told["output_audio_format"]) in ("audio/pcm", "pcm16")

    delta = stream.find(AUDIO, where=coded)
    delta["delta"] = pybase64.b64encode(pybase64.b64decode(delta["delta"])[:-1]).decode()


@breaks("tokens in all are not")
def the_sum_of_the_tokens_is_off(stream: Stream) -> None:
    stream.find(DONE)["response"]["usage"]["total_tokens"] += 1


@breaks("tokens of output are not the")
def a_detail_of_the_tokens_is_off(stream: Stream) -> None:
    stream.find(DONE)["response"]["usage"]["output_token_details"]["audio_tokens"] += 1


@breaks("the cached tokens are not the sum")
def the_cached_tokens_are_off(stream: Stream) -> None:
    cached = stream.find(DONE)["response"]["usage"]["input_token_details"]["cached_tokens_details"]
    cached["text_tokens"] += 1


@breaks("its details say otherwise")
def the_status_of_a_response_is_another(stream: Stream) -> None:
    response = stream.find(DONE)["response"]
    response["status"] = "failed" if response["status"] != "failed" else "completed"


@breaks("no response was created or done for it")
def rate_limits_are_told_for_nothing(stream: Stream) -> None:
    limits = {"type": "rate_limits.updated", "event_id": "event_x", "rate_limits": []}
    stream.frames.insert(1, limits)


# Nothing that the dialect has not.


@breaks("does not send")
def an_event_comes_from_the_other_dialect(stream: Stream) -> None:
    names = PREVIEW_NAMES if stream.dialect == "ga" else GA_NAMES
    frame = stream.find(*PREVIEW_NAMES, where=lambda frame: frame["type"] in names)
    frame["type"] = names[frame["type"]]


@breaks("surprise: unknown")
def a_key_is_not_of_the_protocol(stream: Stream) -> None:
    stream.find(*_kinds(stream))["surprise"] = 1


@breaks("item.surprise: unknown")
def a_key_of_an_item_is_not_of_the_protocol(stream: Stream) -> None:
    stream.find(ITEM_ADDED)["item"]["surprise"] = 1


@breaks("absent")
def a_key_is_missing(stream: Stream) -> None:
    keys = {"item_id", "response_id", "item", "response", "delta", "transcript", "audio_end_ms"}
    frame = stream.find(*_kinds(stream), where=lambda frame: keys & frame.keys())
    del frame[min(keys & frame.keys())]


@breaks("status: 'finished' is not")
def a_status_is_none_of_those_there_are(stream: Stream) -> None:
    stream.find(CREATED, DONE)["response"]["status"] = "finished"


@breaks("a string expected, not an integer")
def an_id_is_a_number(stream: Stream) -> None:
    stream.find(*_kinds(stream), where=lambda frame: "item_id" in frame)["item_id"] = 7


@breaks("an integer expected, not a number")
def a_time_is_not_counted_in_whole_milliseconds(stream: Stream) -> None:
    stream.find(STARTED)["audio_start_ms"] += 0.5


def _kinds(stream: Stream) -> set[str]:
    kinds: set[str] = {frame["type"] for frame in stream.frames}
    return {GA_NAMES.get(kind, kind) for kind in kinds}


@cache
def recorded() -> tuple[tuple[int, Dialect, bytes], ...]:
    """Valid streams of conversations that did not run out of time, which ends all debts."""
    chatters = [(seed, conversation(seed)) for seed in SEEDS]
    return tuple(
        (seed, dialect, msgspec.json.encode(frames))
        for seed, chatter in chatters
        if not any(isinstance(each, effects.HangUp) for each in chatter.outputs)
        for dialect, frames in chatter.frames.items()
    )


def streams() -> Iterator[Stream]:
    """All of them, each to be altered freely."""
    for seed, dialect, frames in recorded():
        yield Stream(msgspec.json.decode(frames), dialect, seed)


def found(stream: Stream) -> list[str]:
    """Everything that the validator and the laws say against a stream."""
    laws = Laws(stream.dialect)
    told = [
        each
        for frame in stream.frames
        for each in (*faults(frame, stream.dialect), *laws.see(frame))
    ]
    return told + laws.end()


def test_what_is_altered_here_was_without_fault() -> None:
    for stream in streams():
        assert found(stream) == []


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.alter.__name__)
def test_a_stream_in_which(mutation: Mutation) -> None:
    """Each mutation, wherever there is a place for it: it is caught, and by its own law."""
    caught = 0
    for stream in streams():
        before = msgspec.json.encode(stream.frames)
        try:
            mutation.alter(stream)
        except Nowhere:
            continue
        assert msgspec.json.encode(stream.frames) != before, "nothing was altered"
        told = found(stream)
        assert any(re.search(mutation.sentence, each) for each in told), told
        caught += 1

    assert caught >= 3, "too few places to prove anything"


# The machine itself, broken on purpose.


def ending_forgets_an_item(monkeypatch: pytest.MonkeyPatch) -> None:
    end = Response.end

    def forgetful(self: Response, *args: object) -> Iterator[ServerEvent]:
        for draft in self._drafts[:1]:
            draft.closed = True
        return end(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Response, "end", forgetful)


def parts_are_not_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Response, "_close_part", lambda self, draft: iter(()))


def words_are_said_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(list[str]):
        def append(self, word: str) -> None:
            """Keep every word but the third."""
            if len(self) != 2:
                super().append(word)

    begin = MessageDraft.__init__

    def begun(self: MessageDraft, *args: object) -> None:
        begin(self, *args)  # type: ignore[arg-type]
        self.words = Deaf()

    monkeypatch.setattr(MessageDraft, "__init__", begun)


def captions_are_told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    finish = Captions.finish

    def twice(self: Captions, finished: object, *args: object) -> None:
        followed = dict(self._followed)
        finish(self, finished, *args)  # type: ignore[arg-type]
        self._followed = followed
        finish(self, finished, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Captions, "finish", twice)


def captions_are_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Captions, "finish", lambda self, finished, *args: None)


def the_item_before_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Conversation, "previous", lambda self, item_id: item_id)


def the_last_item_is_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    first = property(lambda self: self._order[0] if self._order else None)
    monkeypatch.setattr(Conversation, "last_id", first)


def the_item_that_is_spoken_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    cut = Ear._cut

    def forgetful(self: Ear, *args: object) -> object:
        self._turn, self._transcribing = None, None
        return cut(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Ear, "_cut", forgetful)


def what_is_cleared_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ear, "_drop", lambda self: None)


def nobody_is_ever_responding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Responses, "active", None)


def sound_is_cut_within_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = Response.sound

    def cut(self: Response, pcm: bytes, marks: tuple[events.ServerEvent, ...]) -> object:
        return sound(self, pcm[:-1], marks)  # type: ignore[arg-type]

    monkeypatch.setattr(Response, "sound", cut)


def late_output_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    end = Responses._end

    def kept(self: Responses, response: Response, *args: object) -> object:
        ended = end(self, response, *args)  # type: ignore[arg-type]
        self._running[response.id] = response
        return ended

    monkeypatch.setattr(Responses, "_end", kept)


def playback_begins_with_every_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    advance = Playback.advance

    def always(self: Playback, response_id: str, samples: int, finished: bool) -> tuple[bool, bool]:
        return True, advance(self, response_id, samples, finished)[1]

    monkeypatch.setattr(Playback, "advance", always)


def what_is_committed_does_not_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Intake, "join", lambda self, item, after=None: None)


def tokens_are_miscounted(monkeypatch: pytest.MonkeyPatch) -> None:
    total = property(lambda self: self.text + self.audio + 1)
    monkeypatch.setattr(events.Tokens, "total", total)


Break = Callable[[pytest.MonkeyPatch], None]
MACHINES: list[tuple[Break, str]] = [
    (ending_forgets_an_item, "is done, but item .* is open"),
    (parts_are_not_closed, "is done, but part 0 of .* is still open"),
    (words_are_said_and_not_kept, "are not what its deltas say"),
    (captions_are_told_twice, "was concluded before its completed"),
    (captions_are_never_told, "of .* was never concluded"),
    (the_item_before_is_another, "is done after .*, which it does not follow"),
    (the_last_item_is_the_first, "was committed after .*, but the last item is"),
    (the_item_that_is_spoken_is_forgotten, "was committed where the speech was announced as"),
    (what_is_cleared_is_kept, "was thrown away"),
    (nobody_is_ever_responding, "was created while .* went on"),
    (sound_is_cut_within_a_sample, "is cut within a sample"),
    (late_output_is_let_through, "which is done"),
    (playback_begins_with_every_sound, "started twice"),
    (what_is_committed_does_not_join, "but its item never came|was announced as|but the last item"),
    (tokens_are_miscounted, "tokens of (input|output) are not the"),
]


@pytest.mark.parametrize(
    ("broken", "sentence"), MACHINES, ids=[broken.__name__ for broken, _ in MACHINES]
)
def test_a_machine_in_which(broken: Break, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mutation of the core is noticed by a law in some conversation."""
    broken(monkeypatch)

    assert any(re.search(sentence, complaint) for complaint in complaints())


def complaints() -> Iterator[str]:
    """What is found fault with in one conversation after the other."""
    for seed in WIDER_SEEDS:
        try:
            conversation(seed)
        except AssertionError as noticed:
            yield str(noticed)
        except (LookupError, ValueError, TypeError):
            continue  # what is broken may also break down
