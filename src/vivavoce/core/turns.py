"""Speech probabilities in, turn boundaries out.

Time is counted in frames of 32 ms of the audio that was heard, never by the clock. A turn begins
once voice has lasted for two frames, so that a click is not a word, and reaches back to the first
of them. It ends when the voice has been away for as long as the settings say, and for one frame at
least. While someone speaks, the threshold is lower by a margin (hysteresis), because voice fades at
the end of each word.
"""

from msgspec import Struct

from vivavoce.core.settings import SemanticVad, ServerVad, TurnDetection

FRAME_MS = 32
CONFIRMING_FRAMES = 2
FADING_MARGIN = 0.15

# Without a judge of turns, eagerness is patience: how long silence lasts before it is an end.
PATIENCE_MS = {"high": 320, "medium": 640, "auto": 640, "low": 1200}


class Started(Struct, frozen=True):
    """Voice began at *at_ms*, counted from where detection began."""

    at_ms: int


class Stopped(Struct, frozen=True):
    """The silence was long enough at *at_ms*, counted from where detection began."""

    at_ms: int


class TurnDetector:
    """Follows one stream of frames, which may begin while someone is *speaking*."""

    def __init__(self, settings: TurnDetection, *, speaking: bool = False) -> None:
        self._frames = 0
        self._voiced_frames = 0
        self._voice_ended_ms = 0
        self.speaking = speaking
        self.follow(settings)

    def follow(self, settings: TurnDetection) -> None:
        """Go on by other settings, in the middle of a word if need be."""
        match settings:
            case ServerVad(threshold=threshold, silence_duration_ms=silence_ms):
                self._threshold, self._silence_ms = threshold, silence_ms
            case SemanticVad(eagerness=eagerness):
                self._threshold, self._silence_ms = 0.5, PATIENCE_MS[eagerness]
        # Half of a low threshold: below nought, nothing would ever be silence.
        self._fading = max(self._threshold - FADING_MARGIN, self._threshold / 2)

    @property
    def heard_ms(self) -> int:
        """How much audio has been judged."""
        return self._frames * FRAME_MS

    def hear(self, probability: float) -> Started | Stopped | None:
        """Judge the next frame and say whether a turn began or ended with it."""
        self._frames += 1
        if self.speaking:
            return self._await_silence(probability)
        self._voiced_frames = self._voiced_frames + 1 if probability >= self._threshold else 0
        if self._voiced_frames < CONFIRMING_FRAMES:
            return None
        self.speaking = True
        self._voice_ended_ms = self.heard_ms
        return Started(self.heard_ms - self._voiced_frames * FRAME_MS)

    def skip(self) -> None:
        """Let the next frame pass unjudged: what it holds belongs to an item already."""
        self._frames += 1
        self._voiced_frames = 0

    def cut(self) -> None:
        """End the turn here; what is said next begins another."""
        self.speaking = False
        self._voiced_frames = 0

    def _await_silence(self, probability: float) -> Stopped | None:
        if probability >= self._fading:
            self._voice_ended_ms = self.heard_ms
            return None
        if self.heard_ms - self._voice_ended_ms < self._silence_ms:
            return None
        self.cut()
        return Stopped(self.heard_ms)
