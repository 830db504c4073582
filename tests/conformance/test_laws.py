"""The laws of order: good streams hold them, and each single wrong turn is noticed."""

import base64
import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from scenes import NO_USAGE, Frame, Scene, message

from vivavoce.conformance.catalogue import DialectName
from vivavoce.conformance.laws import GA_NAMES, Laws
from vivavoce.conformance.validator import faults

DIALECTS: tuple[DialectName, ...] = ("ga", "preview")


def broken(frames: list[Frame], dialect: DialectName) -> list[str]:
    """Every law the whole stream breaks."""
    laws = Laws(dialect)
    found = [sentence for frame in frames for sentence in laws.see(frame)]
    return found + laws.end()


# Scenes, in the order of the protocol reference's chapter on sequences.


def connecting(scene: Scene) -> None:
    scene.session("updated", turn_detection=None)


def writing(scene: Scene) -> None:
    scene.typed("item_1")
    scene.create("resp_1")
    text = scene.writing("resp_1", 0, "item_2")
    text.words("Good ")
    text.words("day.")
    text.close()
    scene.close("resp_1")
    rate = {"name": "tokens", "limit": 100, "remaining": 70, "reset_seconds": 18.0}
    scene.say("rate_limits.updated", rate_limits=[rate])


def speaking(scene: Scene) -> None:
    scene.answer("resp_1", "item_1", "Good ", "day.")


def speaking_over_webrtc(scene: Scene) -> None:
    scene.create("resp_1")
    speech = scene.speaking("resp_1", 0, "item_1")
    speech.words("Good ")
    scene.say("output_audio_buffer.started", response_id="resp_1")
    speech.words("day.")
    speech.close()
    scene.close("resp_1")
    scene.say("output_audio_buffer.stopped", response_id="resp_1")


def a_spoken_turn(scene: Scene) -> None:
    scene.session("updated", transcribing=True)
    scene.start_speech("item_1", 1460)
    scene.transcribe("delta", "item_1", delta=" Good")
    scene.stop_speech("item_1", 4256)
    scene.create("resp_1")
    scene.transcribe("delta", "item_1", delta=" morning")
    speech = scene.speaking("resp_1", 0, "item_2")
    speech.words("Good day.")
    scene.transcribe("completed", "item_1", transcript="Good morning")
    speech.audio()
    speech.close()
    scene.close("resp_1")
    scene.start_speech("item_3", 9248)
    scene.stop_speech("item_3", 11744)
    scene.transcribe("completed", "item_3", transcript="And you?")


def turns_by_hand(scene: Scene) -> None:
    scene.commit("item_1")
    scene.answer("resp_1", "item_2", "Yes.")
    scene.commit("item_3")


def a_turn_cut_by_hand_while_speech_goes_on(scene: Scene) -> None:
    scene.start_speech("item_1", 0)
    scene.commit("item_1")
    scene.start_speech("item_2", 3000)
    scene.stop_speech("item_2", 5000)


def a_buffer_cleared_while_speech_goes_on(scene: Scene) -> None:
    scene.start_speech("item_1", 0)
    scene.say("input_audio_buffer.cleared")
    scene.start_speech("item_2", 3000)
    scene.stop_speech("item_2", 5000)


def words_cleared_away(scene: Scene) -> None:
    scene.session("updated", transcribing=True)
    scene.start_speech("item_1", 0)
    scene.transcribe("delta", "item_1", delta="Good ")
    scene.say("input_audio_buffer.cleared")
    scene.start_speech("item_2", 3000)
    scene.stop_speech("item_2", 5000)
    scene.transcribe("completed", "item_2", transcript="And you?")


def words_given_up_by_another_detector(scene: Scene) -> None:
    scene.session("updated", transcribing=True, turn_detection=None)
    scene.transcribe("delta", "item_1", delta="Good ")
    scene.session("updated", transcribing=True, turn_detection={"type": "server_vad"})
    scene.start_speech("item_2", 3000)
    scene.stop_speech("item_2", 5000)
    scene.transcribe("completed", "item_2", transcript="And you?")


def two_recordings_in_one_item(scene: Scene) -> None:
    spoken = {"type": "input_audio", "transcript": None}
    scene.add(message("item_1", "user", spoken, spoken), done=True)
    scene.transcribe("completed", "item_1", transcript="Good morning")
    scene.transcribe("completed", "item_1", transcript="And you?")
    scene.frames[-1]["content_index"] = 1


def detection_turned_off_while_speech_goes_on(scene: Scene) -> None:
    scene.session("updated", turn_detection={"type": "server_vad"})
    scene.start_speech("item_1", 0)
    scene.session("updated", turn_detection=None)
    scene.commit("item_2")


def calling(scene: Scene) -> None:
    scene.typed("item_1")
    scene.create("resp_1")
    scene.call("resp_1", 0, "item_2", ['{"city":', '"Rome"}'])
    scene.close("resp_1")
    scene.returned("item_3")
    scene.answer("resp_2", "item_4", "Sunny.")


def two_items_interleaved(scene: Scene) -> None:
    scene.create("resp_1")
    first = scene.writing("resp_1", 0, "item_1")
    first.words("One")
    second = scene.writing("resp_1", 1, "item_2")
    second.words("Two")
    first.close()
    second.close()
    scene.close("resp_1")


def out_of_band_beside_another(scene: Scene) -> None:
    scene.create("resp_1")
    spoken = scene.speaking("resp_1", 0, "item_1")
    scene.create("resp_2", outside=True)
    aside = scene.writing("resp_2", 0, "item_2")
    spoken.words("Yes.")
    aside.words("no")
    aside.close()
    scene.close("resp_2")
    spoken.close()
    scene.close("resp_1")


def interrupted(scene: Scene) -> None:
    scene.create("resp_1")
    speech = scene.speaking("resp_1", 0, "item_1")
    speech.words("As I was ")
    speech.audio()
    scene.start_speech("item_2", 5000)
    speech.close("incomplete")
    scene.close("resp_1", "cancelled", reason="turn_detected")
    scene.say("conversation.item.truncated", item_id="item_1", content_index=0, audio_end_ms=10)
    scene.stop_speech("item_2", 7000)
    scene.answer("resp_2", "item_3", "Yes?")


def interrupted_over_webrtc(scene: Scene) -> None:
    speaking_over_webrtc(scene)
    scene.frames.pop()
    scene.start_speech("item_2", 5000)
    scene.say("output_audio_buffer.cleared", response_id="resp_1")
    scene.say("conversation.item.truncated", item_id="item_1", content_index=0, audio_end_ms=1860)
    scene.stop_speech("item_2", 7000)


def truncated_while_it_is_spoken(scene: Scene) -> None:
    scene.create("resp_1")
    speech = scene.speaking("resp_1", 0, "item_1")
    speech.words("As I was ")
    speech.audio()
    scene.say("conversation.item.truncated", item_id="item_1", content_index=0, audio_end_ms=0)
    speech.close()
    done = next(f for f in scene.frames if f["type"].endswith("transcript.done"))
    done["transcript"] = ""
    scene.close("resp_1")


def cancelled_before_it_spoke(scene: Scene) -> None:
    scene.create("resp_1")
    scene.close("resp_1", "cancelled", NO_USAGE, reason="client_cancelled")
    error = {"type": "invalid_request_error", "message": "Cancellation failed"}
    scene.say("error", error=error | {"code": "response_cancel_not_active"})


def failed(scene: Scene) -> None:
    scene.create("resp_1")
    error = {"type": "server_error", "code": "server_error", "message": "no engine"}
    scene.close("resp_1", "failed", NO_USAGE, error=error)
    scene.create("resp_2")
    text = scene.writing("resp_2", 0, "item_1")
    text.words("And so")
    text.close("incomplete")
    scene.close("resp_2", "incomplete", reason="max_output_tokens")


def deleted_inserted_and_retrieved(scene: Scene) -> None:
    scene.typed("item_1")
    scene.typed("item_2")
    scene.typed("item_3")
    scene.say("conversation.item.deleted", item_id="item_2")
    spoken = {"type": "input_audio", "transcript": None, "audio": "AAAA"}
    scene.say("conversation.item.retrieved", item=message("item_1", "user", spoken))
    between = message("item_4", "user", {"type": "input_text", "text": "hello"})
    scene.say("conversation.item.added", previous_item_id="item_1", item=between)
    if scene.ga:
        scene.say("conversation.item.done", previous_item_id="item_1", item=between)
    scene.typed("item_5")
    root = message("item_0", "system", {"type": "input_text", "text": "be brief"})
    scene.say("conversation.item.added", previous_item_id=None, item=root)
    if scene.ga:
        scene.say("conversation.item.done", previous_item_id=None, item=root)
    scene.commit("item_6")


def an_item_put_before_one_that_is_being_written(scene: Scene) -> None:
    scene.typed("item_1")
    scene.create("resp_1")
    text = scene.writing("resp_1", 0, "item_2")
    between = message("item_3", "user", {"type": "input_text", "text": "wait"})
    scene.say("conversation.item.added", previous_item_id="item_1", item=between)
    if scene.ga:
        scene.say("conversation.item.done", previous_item_id="item_1", item=between)
    text.words("Well")
    text.close()
    if scene.ga:
        done = [f for f in scene.frames if f["type"] == "conversation.item.done"]
        done[-1]["previous_item_id"] = "item_3"
    scene.close("resp_1")


def silence(scene: Scene) -> None:
    scene.answer("resp_1", "item_1", "Well?")
    scene.say(
        "input_audio_buffer.timeout_triggered",
        audio_start_ms=13216,
        audio_end_ms=19232,
        item_id="item_2",
    )
    scene.commit("item_2")
    scene.answer("resp_2", "item_3", "Are you there?")


def transcribing(scene: Scene) -> None:
    scene.transcription_session()
    scene.transcribe("delta", "item_1", delta="Good ")
    scene.commit("item_1")
    scene.commit("item_2")
    scene.transcribe("completed", "item_2", transcript="And you?")
    scene.transcribe("delta", "item_1", delta="day.\n")
    scene.transcribe("completed", "item_1", transcript="Good day.")


def a_transcription_failed(scene: Scene) -> None:
    scene.session("updated", transcribing=True)
    scene.commit("item_1")
    scene.create("resp_1")
    error = {"type": "server_error", "code": "engine", "message": "gone", "param": None}
    scene.transcribe("failed", "item_1", error=error)
    scene.close("resp_1", usage=NO_USAGE)


def an_item_deleted_before_its_words_came(scene: Scene) -> None:
    scene.session("updated", transcribing=True)
    scene.commit("item_1")
    scene.say("conversation.item.deleted", item_id="item_1")


def out_of_time(scene: Scene) -> None:
    scene.create("resp_1")
    scene.speaking("resp_1", 0, "item_1").words("As I was ")
    error = {"type": "invalid_request_error", "message": "over", "code": "session_expired"}
    scene.say("error", error=error)


def tools_of_another_server(scene: Scene) -> None:
    listing = {"id": "item_1", "type": "mcp_list_tools", "server_label": "maps", "tools": []}
    scene.say("mcp_list_tools.in_progress", item_id="item_1")
    scene.say("conversation.item.retrieved", item=listing)
    scene.add(listing)
    scene.say("mcp_list_tools.completed", item_id="item_1")
    scene.conclude(listing)
    call: Frame = {"id": "item_2", "type": "mcp_call", "server_label": "maps", "name": "find"}
    call |= {"arguments": "{}", "output": None}
    at = {"response_id": "resp_1", "item_id": "item_2", "output_index": 0}
    scene.create("resp_1")
    added = call | {"arguments": ""}
    scene.say("response.output_item.added", response_id="resp_1", output_index=0, item=added)
    scene.add(added)
    scene.say("response.mcp_call_arguments.delta", **at, delta="{}", obfuscation="")
    scene.say("response.mcp_call_arguments.done", **at, arguments="{}")
    scene.say("response.output_item.done", response_id="resp_1", output_index=0, item=call)
    scene.close("resp_1")
    scene.frames[-1]["response"]["output"].append(call)
    scene.say("response.mcp_call.in_progress", item_id="item_2", output_index=0)
    scene.say("response.mcp_call.completed", item_id="item_2", output_index=0)
    scene.conclude(call | {"output": "found"})
    scene.answer("resp_2", "item_3", "Found.")


Play = Callable[[Scene], None]
IN_BOTH: list[Play] = [
    connecting,
    writing,
    speaking,
    speaking_over_webrtc,
    a_spoken_turn,
    turns_by_hand,
    a_turn_cut_by_hand_while_speech_goes_on,
    a_buffer_cleared_while_speech_goes_on,
    words_cleared_away,
    words_given_up_by_another_detector,
    two_recordings_in_one_item,
    detection_turned_off_while_speech_goes_on,
    calling,
    two_items_interleaved,
    out_of_band_beside_another,
    interrupted,
    interrupted_over_webrtc,
    truncated_while_it_is_spoken,
    cancelled_before_it_spoke,
    failed,
    deleted_inserted_and_retrieved,
    an_item_put_before_one_that_is_being_written,
    transcribing,
    a_transcription_failed,
    an_item_deleted_before_its_words_came,
    out_of_time,
]
IN_GA: list[Play] = [silence, tools_of_another_server]
PLAYS = [(play, dialect) for dialect in DIALECTS for play in IN_BOTH]
PLAYS += [(play, "ga") for play in IN_GA]


def played(play: Play, dialect: DialectName) -> list[Frame]:
    """The events of a scene, none of which shares anything with another."""
    scene = Scene(dialect)
    play(scene)
    frames: list[Frame] = json.loads(json.dumps(scene.frames))
    return frames


@pytest.mark.parametrize(("play", "dialect"), PLAYS)
def test_a_stream_in_order_breaks_no_law(play: Play, dialect: DialectName) -> None:
    assert broken(played(play, dialect), dialect) == []


@pytest.mark.parametrize(("play", "dialect"), PLAYS)
def test_the_streams_tried_here_are_of_the_protocol(play: Play, dialect: DialectName) -> None:
    for frame in played(play, dialect):
        assert faults(frame, dialect, strict_emit=False) == [], frame


class Stream:
    """A stream to be put out of order; events go by their GA names, counted from 0."""

    def __init__(self, frames: list[Frame]) -> None:
        self.frames = frames

    def at(self, kind: str, nth: int = 0) -> int:
        """Where the *nth* event of a kind is."""
        places = [i for i, f in enumerate(self.frames) if f["type"] in (kind, PREVIEW.get(kind))]
        return places[nth]

    def __getitem__(self, kind: str) -> Frame:
        """The first event of a kind."""
        return self.frames[self.at(kind)]

    def drop(self, kind: str, nth: int = 0) -> None:
        del self.frames[self.at(kind, nth)]

    def double(self, kind: str) -> None:
        again = copy.deepcopy(self[kind]) | {"event_id": "event_again"}
        self.frames.insert(self.at(kind) + 1, again)

    def move(self, kind: str, before: str, nth: int = 0) -> None:
        frame = self.frames.pop(self.at(kind))
        self.frames.insert(self.at(before, nth), frame)

    def cut(self, kind: str) -> None:
        """The stream ends before the first event of a kind."""
        del self.frames[self.at(kind) :]

    def last(self, kind: str) -> Frame:
        return self.frames[self.at(kind, -1)]


PREVIEW = {ga: preview for preview, ga in GA_NAMES.items() if "session" not in preview}
ITEM_ADDED = "conversation.item.added"
ITEM_DONE = "conversation.item.done"
COMMITTED = "input_audio_buffer.committed"
STARTED = "input_audio_buffer.speech_started"
STOPPED = "input_audio_buffer.speech_stopped"
OUTPUT_ADDED = "response.output_item.added"
OUTPUT_DONE = "response.output_item.done"
PART_ADDED = "response.content_part.added"
PART_DONE = "response.content_part.done"
AUDIO = "response.output_audio.delta"
AUDIO_DONE = "response.output_audio.done"
WORDS = "response.output_audio_transcript.delta"
WORDS_DONE = "response.output_audio_transcript.done"
TEXT = "response.output_text.delta"
TEXT_DONE = "response.output_text.done"
ARGUMENTS = "response.function_call_arguments.delta"
ARGUMENTS_DONE = "response.function_call_arguments.done"
HEARD = "conversation.item.input_audio_transcription.delta"
UNDERSTOOD = "conversation.item.input_audio_transcription.completed"
TRUNCATED = "conversation.item.truncated"

Wrong = Callable[[Stream], Any]  # what it returns is of no interest

MISDEEDS: list[tuple[Play, Wrong, str]] = [
    # The opening.
    (connecting, lambda s: s.drop("session.created"), "session.updated came before session.crea"),
    (connecting, lambda s: s.frames.clear(), "session.created never came"),
    (connecting, lambda s: s.double("session.created"), "session.created came twice"),
    (writing, lambda s: s["response.created"].update(event_id="event_1"), "id event_1 came twice"),
    (writing, lambda s: s["response.created"].update(type="response.begun"), "does not send"),
    # Hearing.
    (a_spoken_turn, lambda s: s.drop(STARTED), "speech of item_1 stopped, but had not started"),
    (a_spoken_turn, lambda s: s.double(STARTED), "started while that of item_1 went on"),
    (a_spoken_turn, lambda s: s.double(STOPPED), "speech of item_1 stopped, but had not started"),
    (a_spoken_turn, lambda s: s[STARTED].update(item_id="item_9"), "item_1 stopped, but had not"),
    (a_spoken_turn, lambda s: s[COMMITTED].update(item_id="item_9"), "item_9 was committed where"),
    (a_spoken_turn, lambda s: s.cut(COMMITTED), "item_1 stopped, but was never committed"),
    (a_spoken_turn, lambda s: s.cut(ITEM_ADDED), "item_1 was committed, but its item never came"),
    (a_spoken_turn, lambda s: s[STOPPED].update(audio_end_ms=1400), "at 1400 ms, before its start"),
    (a_spoken_turn, lambda s: s.last(STARTED).update(audio_start_ms=4000), "before 4256 ms was ov"),
    (a_spoken_turn, lambda s: s.last(STARTED).update(item_id="item_1"), "was committed already"),
    (a_spoken_turn, lambda s: s.frames.insert(s.at(COMMITTED), s.frames.pop(s.at(STARTED, 1))),
     "speech of item_3 started before item_1 was committed"),
    (a_turn_cut_by_hand_while_speech_goes_on, lambda s: s[COMMITTED].update(item_id="item_9"),
     "item_9 was committed where the speech was announced as item_1"),
    (a_buffer_cleared_while_speech_goes_on, lambda s: s.drop("input_audio_buffer.cleared"),
     "item_2 started while that of item_1 went on"),
    (turns_by_hand, lambda s: s.double(COMMITTED), "item_1 was committed twice"),
    (turns_by_hand, lambda s: s[COMMITTED].update(item_id="item_9"), "item_1 came before item_9"),
    # The conversation.
    (turns_by_hand, lambda s: s.last(COMMITTED).update(previous_item_id="item_1"),
     "item_3 was committed after item_1, but the last item is item_2"),
    (turns_by_hand, lambda s: s.last(ITEM_ADDED).update(previous_item_id="item_1"),
     "item_3 follows item_1, but was committed after another"),
    (writing, lambda s: s.double(ITEM_ADDED), "item item_1 was announced twice"),
    (writing, lambda s: s.last(ITEM_ADDED).update(previous_item_id="item_7"), "follows item_7"),
    (writing, lambda s: s.last(ITEM_ADDED).update(previous_item_id=None), "has no predecessor"),
    (writing, lambda s: s.move(OUTPUT_ADDED, PART_ADDED), "in progress, but no response has"),
    (calling, lambda s: s.drop(ITEM_ADDED, 2), "item item_4 follows item_3, which is not in"),
    (out_of_band_beside_another, lambda s: s.frames.append(s[ITEM_ADDED] | {
        "event_id": "event_x", "previous_item_id": "item_1", "item": {"id": "item_2"}}),
     "item item_2 of a response out of band joined the conversation"),
    (interrupted, lambda s: s[TRUNCATED].update(item_id="item_7"), "names item_7, which is not in"),
    (deleted_inserted_and_retrieved, lambda s: s.double("conversation.item.deleted"),
     "deleted names item_2, which is not in the conversation"),
    (deleted_inserted_and_retrieved, lambda s: s["conversation.item.retrieved"]["item"].update(
        id="item_2"), "item item_2 was retrieved, but is not in the conversation"),
    (writing, lambda s: s[ITEM_ADDED]["item"]["content"][0].update(audio="AAAA"),
     "sends the audio of item_1"),
    # Transcriptions.
    (a_spoken_turn, lambda s: s.double(UNDERSTOOD), "of item_1 was concluded before its completed"),
    (a_spoken_turn, lambda s: s.drop(UNDERSTOOD), "of item_1 was never concluded"),
    (a_spoken_turn, lambda s: s.drop(UNDERSTOOD, 1), "of item_3 was never concluded"),
    (a_spoken_turn, lambda s: s.drop(HEARD), "transcript of item_1 is not what its deltas say"),
    (a_spoken_turn, lambda s: s.move(UNDERSTOOD, HEARD, 1), "item_1 was concluded before its delta"),
    (transcribing, lambda s: s.move(UNDERSTOOD, COMMITTED), "item_2 completed before its item came"),
    (transcribing, lambda s: s[UNDERSTOOD].update(usage={
        "type": "tokens", "total_tokens": 9, "input_tokens": 4, "output_tokens": 4}),
     "usage of transcription of item_2: 9 tokens in all"),
    (words_cleared_away, lambda s: s.drop("input_audio_buffer.cleared"),
     "transcription of item_1 was never concluded"),
    (words_cleared_away, lambda s: s.move("input_audio_buffer.cleared", HEARD),
     "transcription of item_1 delta, but its audio was thrown away"),
    (words_cleared_away, lambda s: s.last(STARTED).update(item_id="item_1"),
     "speech started for item_1, whose audio was thrown away"),
    (words_cleared_away, lambda s: s[COMMITTED].update(item_id="item_1"),
     "item_1 was committed, but its audio was thrown away"),
    (words_given_up_by_another_detector, lambda s: s.frames.pop(s.at(HEARD) + 1),
     "transcription of item_1 was never concluded"),
    (two_recordings_in_one_item, lambda s: s.last(UNDERSTOOD).update(content_index=0),
     "transcription of item_1 was concluded before its completed"),
    (two_recordings_in_one_item, lambda s: s.frames.append(s.frames[-1] | {"event_id": "event_x"}),
     "transcription of part 1 of item_1 was concluded before its completed"),
    (a_transcription_failed, lambda s: s.frames.append(
        s.frames[-3] | {"type": UNDERSTOOD, "item_id": "item_1", "event_id": "event_x"}),
     "item_1 was concluded before its completed"),
    # Responses.
    (writing, lambda s: s.drop("response.created"), "names resp_1, which is not created"),
    (writing, lambda s: s.drop("response.done"), "resp_1 was created, but never done"),
    (writing, lambda s: s.double("response.done"), "response.done names resp_1, which is done"),
    (writing, lambda s: s.double("response.created"), "response resp_1 was created twice"),
    (writing, lambda s: s.move("response.done", OUTPUT_DONE), "resp_1 is done, but item item_2 is"),
    (writing, lambda s: s["response.created"]["response"].update(status="completed"),
     "resp_1 was created, but is not in progress"),
    (writing, lambda s: s["response.created"]["response"].update(usage={"total_tokens": 0}),
     "resp_1 was created with output or usage"),
    (writing, lambda s: s["response.done"]["response"].update(status="in_progress"),
     "resp_1 is done, but still in progress"),
    (writing, lambda s: s["response.done"]["response"].update(status="cancelled"),
     "resp_1 is cancelled, but its details say otherwise"),
    (writing, lambda s: s["response.done"]["response"].update(output=[]), "does not hold the items"),
    (writing, lambda s: s["response.done"]["response"].update(usage=None), "done without usage"),
    (writing, lambda s: s["response.done"]["response"]["usage"].update(total_tokens=31),
     "usage of response resp_1: 31 tokens in all are not 18 in and 12 out"),
    (writing, lambda s: s["response.done"]["response"]["usage"]["input_token_details"].update(
        text_tokens=12), "usage of response resp_1: 18 tokens of input are not the 19"),
    (writing, lambda s: s["response.done"]["response"]["usage"]["input_token_details"].update(
        cached_tokens=64), "usage of response resp_1: more tokens are cached"),
    (writing, lambda s: s["response.done"]["response"]["usage"]["input_token_details"].update(
        cached_tokens_details={"text_tokens": 1, "audio_tokens": 0}),
     "usage of response resp_1: the cached tokens are not the sum of their details"),
    (writing, lambda s: s.move("rate_limits.updated", "response.created"),
     "rate_limits.updated came, but no response was created or done for it"),
    (out_of_band_beside_another, lambda s: s["response.done"]["response"].update(metadata=None),
     "resp_2 was created with another metadata"),
    (out_of_band_beside_another, lambda s: s.frames[s.at("response.created", 1)]["response"].update(
        conversation_id="conv_1"), "response resp_2 was created while resp_1 went on"),
    # Items and parts.
    (writing, lambda s: s.drop(OUTPUT_ADDED), "in progress, but no response has announced it"),
    (writing, lambda s: s[OUTPUT_ADDED].update(output_index=1), "of resp_1 is not at index 0"),
    (writing, lambda s: s[OUTPUT_ADDED]["item"].update(status="completed"), "is not in progress"),
    (writing, lambda s: s[OUTPUT_ADDED]["item"].update(content=[{}]), "announced with content"),
    (writing, lambda s: s.double(OUTPUT_ADDED), "item_2 was announced twice in responses"),
    (writing, lambda s: s.double(OUTPUT_DONE), "names item_2, which is done"),
    (writing, lambda s: s.drop(OUTPUT_DONE), "resp_1 is done, but item item_2 is open"),
    (writing, lambda s: s[OUTPUT_DONE]["item"].update(status="in_progress"), "still in progress"),
    (writing, lambda s: s[OUTPUT_DONE]["item"].update(content=[]), "say what its parts said"),
    (writing, lambda s: s.drop(ITEM_ADDED, 1), "never joined the conversation"),
    (writing, lambda s: s.move(PART_ADDED, ITEM_ADDED, 1), "came before the item joined"),
    (writing, lambda s: s[PART_ADDED].update(content_index=1), "item_2 is not at index 0"),
    (writing, lambda s: s.drop(PART_ADDED), "names part 0 of item_2, which has none"),
    (writing, lambda s: s.drop(PART_DONE), "part 0 of item_2 is still open"),
    (writing, lambda s: s.move(PART_DONE, TEXT_DONE), "done, but its words or its audio are not"),
    (writing, lambda s: s[PART_DONE]["part"].update(text="Good"), "not hold the words that were"),
    (writing, lambda s: s[TEXT].update(delta="Bad "), "part 0 of item_2 are not what its deltas"),
    (writing, lambda s: s[TEXT].update(item_id="item_1"), "names item_1, but item 0 is item_2"),
    (writing, lambda s: s[TEXT].update(output_index=1), "names item 1 of resp_1, which has none"),
    (writing, lambda s: s[TEXT].update(content_index=1), "names part 1 of item_2, which has none"),
    (writing, lambda s: s.move(TEXT, PART_DONE), "words of part 0 of item_2 came after they were"),
    (writing, lambda s: s.move(TEXT, OUTPUT_DONE), "names part 0 of item_2, which is done"),
    (writing, lambda s: s.double(TEXT_DONE), "words of part 0 of item_2 were done twice"),
    (speaking, lambda s: s.move(AUDIO, WORDS_DONE), "audio of part 0 of item_1 came after it was d"),
    (speaking, lambda s: s.move(AUDIO, PART_ADDED), "names part 0 of item_1, which has none"),
    (speaking, lambda s: s.drop(AUDIO_DONE), "part 0 of item_1 was done before its audio"),
    (speaking, lambda s: s.double(AUDIO_DONE), "audio of part 0 of item_1 was done twice"),
    (speaking, lambda s: s.move(WORDS_DONE, AUDIO_DONE), "was done before its audio"),
    (speaking, lambda s: s.drop(WORDS), "words of part 0 of item_1 are not what its deltas say"),
    (speaking, lambda s: s[AUDIO].update(delta=base64.b64encode(b"odd").decode()), "3 bytes"),
    (speaking, lambda s: s[AUDIO].update(delta="AAAA=="), "audio of part 0 of item_1 is not base64"),
    (speaking, lambda s: s[PART_ADDED]["part"].update(type="text"), "of item_1, which is text"),
    (truncated_while_it_is_spoken, lambda s: s.move(WORDS, AUDIO_DONE),
     "words of part 0 of item_1 came after it was truncated"),
    (truncated_while_it_is_spoken, lambda s: s.move(AUDIO, AUDIO_DONE),
     "audio of part 0 of item_1 came after it was truncated"),
    # Calls.
    (calling, lambda s: s.drop(ARGUMENTS), "arguments of item_2 are not what their deltas say"),
    (calling, lambda s: s.drop(ARGUMENTS_DONE), "arguments of item_2 are still open"),
    (calling, lambda s: s.double(ARGUMENTS_DONE), "names item_2, whose arguments are done"),
    (calling, lambda s: s[ARGUMENTS].update(call_id="call_2"), "item_2 has another call_id"),
    (calling, lambda s: s[ARGUMENTS_DONE].update(name="time"), "item_2 has another name"),
    (calling, lambda s: s[OUTPUT_DONE]["item"].update(arguments="{}"), "say what its parts said"),
    # Playback.
    (speaking_over_webrtc, lambda s: s.drop("output_audio_buffer.stopped"), "resp_1 never ended"),
    (speaking_over_webrtc, lambda s: s.double("output_audio_buffer.stopped"), "is not playing"),
    (speaking_over_webrtc, lambda s: s.double("output_audio_buffer.started"), "started twice"),
    (speaking_over_webrtc, lambda s: s.move("output_audio_buffer.started", PART_ADDED),
     "playback of resp_1 started before it had an audio part"),
    (speaking_over_webrtc, lambda s: s.move("output_audio_buffer.stopped", "response.done"),
     "playback of resp_1 stopped before the response was done"),
]  # fmt: skip

GA_MISDEEDS: list[tuple[Play, Wrong, str]] = [
    (writing, lambda s: s[ITEM_ADDED].update(type="conversation.item.created"), "does not send"),
    (writing, lambda s: s.drop(ITEM_DONE), "item item_1 was added, but never done"),
    (writing, lambda s: s.double(ITEM_DONE), "item item_1 was done twice"),
    (writing, lambda s: s.move(ITEM_DONE, ITEM_ADDED), "item_1 is done, but not in the conversati"),
    (writing, lambda s: s.drop(ITEM_DONE, 1), "done of item_2 came before conversation.item.done"),
    (writing, lambda s: s.last(ITEM_DONE).update(previous_item_id=None), "done after None, which"),
    (writing, lambda s: s.last(ITEM_DONE)["item"].update(status="in_progress"), "still in progres"),
    (writing, lambda s: s.last(ITEM_DONE)["item"].update(content=[]), "not the one that conversat"),
    (speaking, lambda s: s.move(ITEM_DONE, PART_DONE), "item_1 is done, but part 0 of item_1 is"),
    (speaking, lambda s: s.move(ITEM_DONE, "response.done"), "came after response.output_item.do"),
    (silence, lambda s: s[COMMITTED].update(item_id="item_9"), "speech was announced as item_2"),
    (silence, lambda s: s["input_audio_buffer.timeout_triggered"].update(audio_end_ms=0),
     "ends at 0 ms, before its start"),
]  # fmt: skip

CASES = [(dialect, *case) for dialect in DIALECTS for case in MISDEEDS]
CASES += [("ga", *case) for case in GA_MISDEEDS]


@pytest.mark.parametrize(("dialect", "play", "wrong", "sentence"), CASES)
def test_a_single_wrong_turn_is_noticed(
    dialect: DialectName, play: Play, wrong: Wrong, sentence: str
) -> None:
    stream = Stream(played(play, dialect))

    wrong(stream)

    assert any(re.search(sentence, told) for told in broken(stream.frames, dialect))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_transcription_session_makes_no_response(dialect: DialectName) -> None:
    scene = Scene(dialect)
    scene.transcription_session()
    scene.create("resp_1")

    assert broken(scene.frames, dialect)[0] == (
        "response resp_1 was created in a transcription session"
    )


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_error_may_be_all_a_server_ever_says(dialect: DialectName) -> None:
    error = {"type": "invalid_request_error", "code": "invalid_intent", "message": "no"}
    laws = Laws(dialect)

    assert laws.see({"type": "error", "event_id": "event_1", "error": error}) == []
    assert laws.end() == ["session.created never came"]


def test_mu_law_samples_are_single_bytes() -> None:
    frames = played(speaking, "preview")
    frames[0]["session"]["output_audio_format"] = "g711_ulaw"
    Stream(frames)[AUDIO]["delta"] = base64.b64encode(b"odd").decode()

    assert broken(frames, "preview") == []


def test_the_format_of_a_response_outranks_the_sessions() -> None:
    stream = Stream(played(speaking, "ga"))
    mu_law = {"output": {"format": {"type": "audio/pcmu"}, "voice": "alloy"}}
    stream["response.created"]["response"]["audio"] = mu_law
    stream[AUDIO]["delta"] = base64.b64encode(b"odd").decode()

    assert broken(stream.frames, "ga") == []


WRONG_TYPES: tuple[object, ...] = (None, 7, "x", [], {})


@pytest.mark.parametrize(("play", "dialect"), PLAYS)
def test_an_event_whose_values_are_of_the_wrong_type_stops_no_law(
    play: Play, dialect: DialectName
) -> None:
    frames = played(play, dialect)
    for at, frame in enumerate(frames):
        for key in [key for key in frame if key != "type"]:
            for value in WRONG_TYPES:
                broken([*frames[:at], frame | {key: value}], dialect)
