"""Streams of server events as a server in order tells them, written once for both dialects."""

import base64
from typing import Any

from vivavoce.conformance.catalogue import DialectName
from vivavoce.conformance.laws import GA_NAMES

Frame = dict[str, Any]  # a wire event as JSON decodes it

PREVIEW_NAMES = {ga: preview for preview, ga in GA_NAMES.items() if "session" not in preview}
SAMPLES = base64.b64encode(bytes(480)).decode()
NO_USAGE = {
    "total_tokens": 0,
    "input_tokens": 0,
    "output_tokens": 0,
    "input_token_details": {"text_tokens": 0, "audio_tokens": 0, "cached_tokens": 0},
    "output_token_details": {"text_tokens": 0, "audio_tokens": 0},
}
USAGE = {
    "total_tokens": 30,
    "input_tokens": 18,
    "output_tokens": 12,
    "input_token_details": {"text_tokens": 11, "audio_tokens": 7, "cached_tokens": 0},
    "output_token_details": {"text_tokens": 5, "audio_tokens": 7},
}


class Scene:
    """What a server has said so far. Words are GA's; a preview scene puts them in its own."""

    def __init__(self, dialect: DialectName, *, transcribing: bool = False) -> None:
        self.dialect = dialect
        self.ga = dialect == "ga"
        self.frames: list[Frame] = []
        self._last: str | None = None
        self._follows: dict[str, str | None] = {}
        self._outside: set[str] = set()
        self._created: dict[str, Frame] = {}
        self._done: dict[str, list[Frame]] = {}
        self.session("created", transcribing=transcribing)

    def say(self, kind: str, **keys: object) -> None:
        """One event, by its GA name."""
        if not self.ga:
            kind = PREVIEW_NAMES.get(kind, kind)
        self.frames.append({"type": kind, "event_id": f"event_{len(self.frames)}"} | keys)

    def session(self, state: str, *, transcribing: bool = False, **keys: object) -> None:
        """The session as created or updated; *keys* are settings of the audio input."""
        transcription = {"model": "whisper-1", "language": None, "prompt": None}
        audio_input = {"transcription": transcription if transcribing else None} | keys
        session: Frame = {"type": "realtime", "object": "realtime.session"}
        if self.ga:
            session["audio"] = {"input": audio_input}
        else:
            del session["type"]
            session |= {"output_audio_format": "pcm16"} | keys
            session["input_audio_transcription"] = audio_input["transcription"]
        self.say(f"session.{state}", session=session)

    def transcription_session(self) -> None:
        """Make of a scene just begun a transcription session."""
        self.frames.clear()
        audio = {"input": {"transcription": {"model": "whisper-1"}, "turn_detection": None}}
        told = {"type": "transcription", "object": "realtime.transcription_session"}
        if self.ga:
            self.say("session.created", session=told | {"audio": audio})
        else:
            flat = {"input_audio_transcription": {"model": "whisper-1"}, "client_secret": None}
            self.say("transcription_session.created", session={"object": told["object"]} | flat)

    def add(self, item: Frame, *, done: bool = False) -> None:
        """An item joins the end of the conversation; *done* where it is final at once."""
        self._follows[item["id"]] = self._last
        self._last = item["id"]
        self.say("conversation.item.added", previous_item_id=self._follows[item["id"]], item=item)
        if done:
            self.conclude(item)

    def conclude(self, item: Frame) -> None:
        """An item is final, which only GA tells."""
        if self.ga:
            self.say(
                "conversation.item.done", previous_item_id=self._follows[item["id"]], item=item
            )

    def typed(self, item_id: str) -> None:
        """The client put in a text of the user's."""
        self.add(message(item_id, "user", {"type": "input_text", "text": "hello"}), done=True)

    def returned(self, item_id: str) -> None:
        """The client put in what its function returned."""
        item = {"id": item_id, "type": "function_call_output", "call_id": "call_1", "output": "5"}
        self.add(item, done=True)

    def commit(self, item_id: str) -> None:
        """The buffer became an item."""
        self.say("input_audio_buffer.committed", previous_item_id=self._last, item_id=item_id)
        spoken = {"type": "input_audio", "transcript": None}
        self.add(message(item_id, "user", spoken), done=True)

    def start_speech(self, item_id: str, at_ms: int) -> None:
        """The user began to speak."""
        self.say("input_audio_buffer.speech_started", audio_start_ms=at_ms, item_id=item_id)

    def stop_speech(self, item_id: str, at_ms: int) -> None:
        """The user fell silent, and the turn is committed."""
        self.say("input_audio_buffer.speech_stopped", audio_end_ms=at_ms, item_id=item_id)
        self.commit(item_id)

    def transcribe(self, kind: str, item_id: str, **keys: object) -> None:
        """An event about the words of an item of the user's."""
        if kind == "completed":
            keys["usage"] = {"type": "duration", "seconds": 2}
        self.say(
            f"conversation.item.input_audio_transcription.{kind}",
            item_id=item_id,
            content_index=0,
            **keys,
        )

    def create(self, response_id: str, *, outside: bool = False) -> None:
        """A response begins, out of band where *outside*."""
        if outside:
            self._outside.add(response_id)
        self._done[response_id] = []
        self._created[response_id] = {
            "object": "realtime.response",
            "id": response_id,
            "status": "in_progress",
            "status_details": None,
            "output": [],
            "conversation_id": None if outside else "conv_1",
            "usage": None,
            "metadata": {"topic": "bread"} if outside else None,
        }
        self.say("response.created", response=self._created[response_id])

    def open_item(self, response_id: str, index: int, item: Frame) -> None:
        """An item of a response is announced, empty."""
        item = item | {"status": "in_progress"}
        item["content" if "content" in item else "arguments"] = [] if "content" in item else ""
        self.say(
            "response.output_item.added", response_id=response_id, output_index=index, item=item
        )
        if response_id not in self._outside:
            self.add(item)

    def close_item(self, response_id: str, index: int, item: Frame) -> None:
        """An item of a response is final."""
        if response_id not in self._outside:
            self.conclude(item)
        self._done[response_id].append(item)
        self.say(
            "response.output_item.done", response_id=response_id, output_index=index, item=item
        )

    def close(
        self, response_id: str, status: str = "completed", usage: Frame = USAGE, **details: object
    ) -> None:
        """A response ends; *details* say why it did otherwise than completed."""
        ended = {
            "status": status,
            "status_details": {"type": status} | details if details else None,
            "output": self._done[response_id],
            "usage": usage,
        }
        self.say("response.done", response=self._created[response_id] | ended)

    def writing(self, response_id: str, index: int, item_id: str) -> "Writing":
        """An answer to be written in text."""
        return Writing(self, response_id, index, item_id, "text")

    def speaking(self, response_id: str, index: int, item_id: str) -> "Writing":
        """An answer to be spoken."""
        return Writing(self, response_id, index, item_id, "audio")

    def call(
        self,
        response_id: str,
        index: int,
        item_id: str,
        deltas: list[str],
        status: str = "completed",
    ) -> None:
        """A whole function call of a response."""
        item = {
            "id": item_id,
            "type": "function_call",
            "status": status,
            "name": "weather",
            "call_id": "call_1",
            "arguments": "".join(deltas),
        }
        at = {"response_id": response_id, "item_id": item_id, "output_index": index}
        at["call_id"] = "call_1"
        self.open_item(response_id, index, item)
        for delta in deltas:
            self.say("response.function_call_arguments.delta", **at, delta=delta)
        self.say(
            "response.function_call_arguments.done",
            **at,
            name="weather",
            arguments=item["arguments"],
        )
        self.close_item(response_id, index, item)

    def answer(self, response_id: str, item_id: str, *words: str) -> None:
        """A whole spoken response of one item."""
        self.create(response_id)
        speaking = self.speaking(response_id, 0, item_id)
        for word in words:
            speaking.words(word)
            speaking.audio()
        speaking.close()
        self.close(response_id)


class Writing:
    """One message of a response with its only part, from opened to closed."""

    def __init__(self, scene: Scene, response_id: str, index: int, item_id: str, kind: str) -> None:
        self._scene = scene
        self._response_id = response_id
        self._index = index
        self._item_id = item_id
        self._said = ""
        self._kind = kind
        self._key = "text" if kind == "text" else "transcript"
        self._stem = f"output_{'text' if kind == 'text' else 'audio_transcript'}"
        scene.open_item(response_id, index, message(item_id, "assistant"))
        self._say("content_part.added", part={"type": kind, self._key: ""})

    def _say(self, kind: str, **keys: object) -> None:
        self._scene.say(
            f"response.{kind}",
            response_id=self._response_id,
            item_id=self._item_id,
            output_index=self._index,
            content_index=0,
            **keys,
        )

    def words(self, delta: str) -> None:
        """Some more words."""
        self._said += delta
        self._say(f"{self._stem}.delta", delta=delta)

    def audio(self) -> None:
        """Some more audio."""
        self._say("output_audio.delta", delta=SAMPLES)

    def close(self, status: str = "completed") -> None:
        """The part and the item end with what was said."""
        words = {self._key: self._said}
        if self._kind == "audio":
            self._say("output_audio.done")
        self._say(f"{self._stem}.done", **words)
        self._say("content_part.done", part={"type": self._kind} | words)
        kind = f"output_{self._kind}" if self._scene.ga else self._kind
        item = message(self._item_id, "assistant", {"type": kind} | words) | {"status": status}
        self._scene.close_item(self._response_id, self._index, item)


def message(item_id: str, role: str, *content: Frame) -> Frame:
    """A finished message."""
    item: Frame = {"id": item_id, "object": "realtime.item", "type": "message"}
    return item | {"status": "completed", "role": role, "content": list(content)}
