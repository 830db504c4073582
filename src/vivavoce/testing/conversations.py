"""A session core driven by hand: say what comes in, look at what comes out."""

from collections.abc import Sequence
from typing import TypeVar

from vivavoce.core import commands, effects, signals
from vivavoce.core.effects import Effect, GenerationRequest, Output, Tell
from vivavoce.core.events import ServerEvent
from vivavoce.core.items import InputText, Message
from vivavoce.core.responses import Rules
from vivavoce.core.session import Input, Session
from vivavoce.core.settings import SessionSettings
from vivavoce.testing.ids import CountingIds

Kind = TypeVar("Kind")

FRAME_BYTES = 1536  # 32 ms of PCM16 at 24 kHz
VOICE, SILENCE = 0.9, 0.05
WALL_TIME = 1_700_000_000.0


class Talk:
    """One session and everything that was said in it. Time stands still unless it is told to go."""

    def __init__(
        self, settings: SessionSettings | None = None, *, connected: bool = True, **rules: object
    ) -> None:
        self.session = Session(
            settings or SessionSettings(),
            CountingIds(),
            Rules("sess_1", **rules),  # type: ignore[arg-type]  # what a test names, Rules checks
        )
        self.now = 0.0
        self.outputs: list[Output] = []
        self._stream = 0
        if connected:
            self.say(signals.Connected(WALL_TIME))

    def say(self, *inputs: Input, origin: int = 0) -> list[Output]:
        """Let these come in, and return what comes out."""
        made: list[Output] = []
        for each in inputs:
            made += self.session.receive(each, self.now, origin)
        self._note(made)
        return made

    def wait(self, seconds: float) -> list[Output]:
        """Let time pass, with a tick at each deadline on the way."""
        made: list[Output] = []
        until = self.now + seconds
        while (due := self.session.deadline) is not None and due <= until:
            self.now = due
            made += self.session.tick(due)
        self.now = until
        self._note(made)
        return made

    def hear(self, *probabilities: float, frame_bytes: int = FRAME_BYTES) -> list[Output]:
        """Append a frame of audio for each probability, and have the detector judge it so."""
        made: list[Output] = []
        for probability in probabilities:
            made += self.say(commands.AppendAudio(audio=bytes(frame_bytes)))
            made += self.say(signals.Heard(self._stream, (probability,)))
        return made

    def speak_a_turn(self, voiced: int = 20, silent: int = 7) -> list[Output]:
        """A turn of speech, long enough to be one, and the silence that ends it."""
        return self.hear(*[VOICE] * voiced, *[SILENCE] * silent)

    def write(self, text: str) -> list[Output]:
        """Have the client write a message."""
        item = Message("", "user", (InputText(text),))
        return self.say(commands.CreateItem(item=item))

    @property
    def request(self) -> GenerationRequest:
        """What the newest response is to be made of."""
        return self.effects(effects.Generate)[-1].request

    def effects(self, kind: type[Kind]) -> list[Kind]:
        """All effects of that kind so far."""
        return [each for each in self.outputs if isinstance(each, kind)]

    def _note(self, made: list[Output]) -> None:
        self.outputs += made
        for each in made:
            if isinstance(each, effects.Listen):
                self._stream = each.stream


def events_in(outputs: Sequence[Output]) -> list[ServerEvent]:
    """The events among outputs."""
    return [each.event for each in outputs if isinstance(each, Tell)]


def effects_in(outputs: Sequence[Output]) -> list[Effect]:
    """The effects among outputs."""
    return [each for each in outputs if not isinstance(each, Tell)]


def names(outputs: Sequence[Output]) -> list[str]:
    """The kinds of events among outputs, in order."""
    return [type(event).__name__ for event in events_in(outputs)]
