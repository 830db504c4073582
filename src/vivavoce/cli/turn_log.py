"""What happened when in a conversation, seen from the client: the turns and their latencies.

Moments are seconds on the client's clock. What was appended when is known here, so lateness can be
told: `speech_stopped` was due when the append went out that holds its `audio_end_ms`.
"""

import base64
from bisect import bisect_left
from typing import Any

from msgspec import Struct

STARTED = "input_audio_buffer.speech_started"
STOPPED = "input_audio_buffer.speech_stopped"
COMMITTED = "input_audio_buffer.committed"
TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
NOT_TRANSCRIBED = "conversation.item.input_audio_transcription.failed"
AUDIO = ("response.output_audio.delta", "response.audio.delta")
WORDS = (
    "response.output_audio_transcript.delta",
    "response.audio_transcript.delta",
    "response.output_text.delta",
    "response.text.delta",
)
CALLED = "response.function_call_arguments.done"


class Turn(Struct):
    """One exchange: what the user said, what the answer was, and when."""

    item_id: str | None = None
    due: float | None = None
    stopped: float | None = None
    transcript: str | None = None
    transcribed: float | None = None
    response_id: str | None = None
    first_word: float | None = None
    first_audio: float | None = None
    words: str = ""
    status: str | None = None
    why: str = ""  # it ended otherwise than completed
    calls: tuple[tuple[str, str, str], ...] = ()

    def after_due_ms(self, moment: float | None) -> float | None:
        """Milliseconds from when the end of speech was due to *moment*."""
        start = self.due if self.due is not None else self.stopped
        return None if moment is None or start is None else (moment - start) * 1000


class TurnLog:
    """Follows the events of one session."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.errors: list[str] = []
        self.speaking = False
        self._sent_ms: list[float] = []
        self._sent_at: list[float] = []
        self._by_response: dict[str, Turn] = {}

    @property
    def answering(self) -> bool:
        """Whether an answer is under way."""
        return any(turn.status is None for turn in self._by_response.values())

    def sent(self, milliseconds: float, now: float) -> None:
        """Note an append of that length."""
        before = self._sent_ms[-1] if self._sent_ms else 0.0
        self._sent_ms.append(before + milliseconds)
        self._sent_at.append(now)

    def committed(self, now: float) -> None:
        """Note that the turn was ended by hand: its answer is due from then on."""
        self.turns.append(Turn(due=now))

    def see(self, event: dict[str, Any], now: float) -> Turn | None:
        """Take note of an event; return the turn that it completes."""
        kind = event.get("type", "")
        if kind in AUDIO:
            turn = self._by_response.get(event["response_id"])
            if turn is not None and turn.first_audio is None:
                turn.first_audio = now
        elif kind in WORDS:
            turn = self._by_response.get(event["response_id"])
            if turn is not None:
                turn.first_word = turn.first_word or now
                turn.words += event["delta"]
        elif kind == "error":
            self.errors.append(event["error"]["message"])
        elif kind.startswith("response."):
            return self._see_response(kind, event)
        else:
            self._see_speech(kind, event, now)
        return None

    def _see_speech(self, kind: str, event: dict[str, Any], now: float) -> None:
        if kind == STARTED:
            self.speaking = True
        elif kind == STOPPED:
            self.speaking = False
            due = self._due(event["audio_end_ms"])
            self.turns.append(Turn(event["item_id"], due=due, stopped=now))
        elif kind == COMMITTED:
            for turn in self.turns:
                if turn.item_id is None and turn.due is not None:
                    turn.item_id = event["item_id"]
        elif kind in (TRANSCRIBED, NOT_TRANSCRIBED):
            for turn in self.turns:
                if turn.item_id == event["item_id"]:
                    turn.transcript = event.get("transcript")
                    turn.transcribed = now

    def _see_response(self, kind: str, event: dict[str, Any]) -> Turn | None:
        if kind == "response.created":
            response_id = event["response"]["id"]
            if not self.turns or self.turns[-1].response_id is not None:
                self.turns.append(Turn())
            self.turns[-1].response_id = response_id
            self._by_response[response_id] = self.turns[-1]
        elif kind == CALLED:
            turn = self._by_response.get(event["response_id"])
            if turn is None:
                return None
            turn.calls += ((event["call_id"], event.get("name", ""), event["arguments"]),)
        elif kind == "response.done":
            done = self._by_response.get(event["response"]["id"])
            if done is not None:
                done.status = event["response"]["status"]
                done.why = _why(event["response"])
            return done
        return None

    def _due(self, audio_end_ms: float) -> float | None:
        place = bisect_left(self._sent_ms, audio_end_ms)
        return self._sent_at[place] if place < len(self._sent_at) else None


def audio_of(event: dict[str, Any]) -> bytes:
    """The audio of an audio delta."""
    return base64.b64decode(event["delta"])


def _why(response: dict[str, Any]) -> str:
    """What the server says about an answer that was not completed."""
    details = response.get("status_details") or {}
    error = details.get("error") or {}
    return str(error.get("message") or details.get("reason") or "")
