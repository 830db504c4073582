"""Speech probabilities in, turn boundaries out.

Time is counted in frames of 32 ms of the audio that was heard, never by the clock. A turn begins
once voice has lasted for two frames, so that a click is not a word, and reaches back to the first
of them. It ends when the voice has been away for as long as the settings say, and for one frame at
least. While someone speaks, the threshold is lower by a margin (hysteresis), because voice fades at
the end of each word.

Under `semantic_vad` how long that is depends on how finished the turn sounds. A judge is asked in
each pause, and the more surely the turn is over, the sooner it ends: at once, at the latest when
the limit of the eagerness passes.
"""

from typing import Literal

from msgspec import Struct

from vivavoce.core.settings import SemanticVad, ServerVad, TurnDetection

Eagerness = Literal["low", "medium", "high", "auto"]

FRAME_MS = 32
CONFIRMING_FRAMES = 2
FADING_MARGIN = 0.15
PAUSE_MS = 160  # shorter silence lies within words
QUIET_MS = 96  # mostly too, but guessing wrong costs a little work and nothing else
# Without a judge of turns, eagerness is patience: how long silence lasts before it is an end.
PATIENCE_MS: dict[Eagerness, int] = {"high": 320, "medium": 640, "auto": 640, "low": 1200}
# With one: how long the longest silence may last (protocol reference, objects section 4).
LIMIT_MS: dict[Eagerness, int] = {"high": 2000, "medium": 4000, "auto": 4000, "low": 8000}


class Started(Struct, frozen=True):
    """Voice began at *at_ms*, counted from where detection began."""

    at_ms: int


class Paused(Struct, frozen=True):
    """The voice has been away for a while at *at_ms*; a judge may say whether that is the end."""

    at_ms: int


class Quietened(Struct, frozen=True):
    """The voice has just gone away at *at_ms*: what would be answered may be prepared."""

    at_ms: int


class Resumed(Struct, frozen=True):
    """The voice is back before the turn was over."""


class Stopped(Struct, frozen=True):
    """The silence was long enough at *at_ms*, counted from where detection began."""

    at_ms: int


Boundary = Started | Paused | Quietened | Resumed | Stopped


class TurnDetector:
    """Follows one stream of frames, which may begin while someone is *speaking*.

    With *judged*, somebody answers each `Paused` by `judge`; with *hasty*, what is said is told when
    it goes quiet and when it goes on.
    """

    def __init__(
        self,
        settings: TurnDetection,
        *,
        judged: bool = False,
        hasty: bool = False,
        speaking: bool = False,
    ) -> None:
        self._judged = judged
        self._hasty = hasty
        self._quiet = False
        self._frames = 0
        self._voiced_frames = 0
        self._voice_ended_ms = 0
        self._pausing = False
        self.speaking = speaking
        self.follow(settings)

    def follow(self, settings: TurnDetection) -> None:
        """Go on by other settings, in the middle of a word if need be."""
        self._eagerness: Eagerness | None = None
        match settings:
            case ServerVad(threshold=threshold, silence_duration_ms=silence_ms):
                self._threshold, self._silence_ms = threshold, silence_ms
            case SemanticVad(eagerness=eagerness):
                self._threshold, self._silence_ms = 0.5, PATIENCE_MS[eagerness]
                self._eagerness = eagerness if self._judged else None
        self._pausing = False
        # Half of a low threshold: below nought, nothing would ever be silence.
        self._fading = max(self._threshold - FADING_MARGIN, self._threshold / 2)

    @property
    def heard_ms(self) -> int:
        """How much audio has been judged."""
        return self._frames * FRAME_MS

    @property
    def pausing(self) -> bool:
        """Whether a pause goes on that a judge was asked about."""
        return self._pausing

    def hear(self, probability: float) -> Boundary | None:
        """Judge the next frame and say whether a turn began, paused, went on or ended with it."""
        self._frames += 1
        if self.speaking:
            return self._await_silence(probability)
        self._voiced_frames = self._voiced_frames + 1 if probability >= self._threshold else 0
        if self._voiced_frames < CONFIRMING_FRAMES:
            return None
        self.speaking = True
        self._voice_ended_ms = self.heard_ms
        return Started(self.heard_ms - self._voiced_frames * FRAME_MS)

    def judge(self, finished: float | None) -> Stopped | None:
        """Take the judge's word on the pause, and say whether it has been long enough.

        *finished* is 0 to 1, or None if there is no word to be had.
        """
        if not self._pausing or self._eagerness is None:
            return None
        self._silence_ms = patience_ms(finished, self._eagerness)
        return self._stopped()

    def skip(self) -> None:
        """Let the next frame pass unjudged: what it holds belongs to an item already."""
        self._frames += 1
        self._voiced_frames = 0

    def cut(self) -> None:
        """End the turn here; what is said next begins another."""
        self.speaking = False
        self._pausing = self._quiet = False
        self._voiced_frames = 0

    def _await_silence(self, probability: float) -> Boundary | None:
        if probability >= self._fading:
            self._voice_ended_ms = self.heard_ms
            was_quiet, self._quiet, self._pausing = self._quiet, False, False
            return Resumed() if was_quiet else None
        if self._hasty and not self._quiet and QUIET_MS <= self._silent_ms < self._silence_ms:
            self._quiet = True
            return Quietened(self.heard_ms)
        if self._eagerness is None or self._pausing:
            return self._stopped()
        if self._silent_ms < PAUSE_MS:
            return None
        self._pausing = True
        self._silence_ms = LIMIT_MS[self._eagerness]  # until the judge has spoken
        return Paused(self.heard_ms)

    @property
    def _silent_ms(self) -> int:
        return self.heard_ms - self._voice_ended_ms

    def _stopped(self) -> Stopped | None:
        if self._silent_ms < self._silence_ms:
            return None
        self.cut()
        return Stopped(self.heard_ms)


def patience_ms(finished: float | None, eagerness: Eagerness) -> int:
    """How long silence lasts before it is the end of a turn that sounds so *finished* (0 to 1).

    Squared, so that a judge who is half sure waits for about a second and not for half the limit.
    """
    if finished is None:
        return PATIENCE_MS[eagerness]
    doubt = 1 - min(1.0, max(0.0, finished))
    return PAUSE_MS + round((LIMIT_MS[eagerness] - PAUSE_MS) * doubt**2)
