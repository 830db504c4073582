"""A page in a browser that calls a server: what tests have it do, and what came of it."""

from typing import TYPE_CHECKING, Any

import anyio
from anyio.from_thread import BlockingPortal
from msgspec import Struct

from vivavoce.conformance.catalogue import DialectName
from vivavoce.conformance.laws import Laws
from vivavoce.testing.frames import check_frames, official

if TYPE_CHECKING:
    from playwright.async_api import Page as Tab

Json = dict[str, Any]  # what JSON decodes to

PATIENCE_S = 60  # after which a test gives up; no test measures anything by it

# Where they come is not said, or anywhere after what they belong to.
ANYWHERE = (
    "rate_limits.updated",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.completed",
)


class Answer(Struct, frozen=True):
    """What a server answered to an offer: its SDP, or why not."""

    status: int
    said: str
    location: str | None = None

    @property
    def call_id(self) -> str:
        """The last segment of the address of the call."""
        assert self.location is not None, f"{self.status}: {self.said}"
        return self.location.rpartition("/")[2]


class Page:
    """Drives `window.caller` of a page of this folder, and waits for what happens to it."""

    def __init__(self, portal: BlockingPortal, tab: "Tab") -> None:
        self.errors: list[str] = []  # that no code of the page caught
        self._portal = portal
        self._tab = tab

    def ask(self, expression: str, told: object = None) -> Any:  # Any: what JSON decodes to
        """What that comes to in the page, where *told* is at hand; AssertionError if to nothing."""
        return self._portal.call(self._ask, expression, told)

    def load(self) -> None:
        """Load the page anew, as if by its user."""
        self._portal.call(self._tab.reload)

    def connect(self, url: str, **told: object) -> Answer:
        """Call *url*; further arguments are the page's own."""
        answer: Json = self.ask("caller.connect(told)", {"url": url, **told})
        return Answer(**answer)

    def say(self, kind: str, **fields: object) -> None:
        """Send a client event over the data channel."""
        self.ask("caller.say(told)", {"type": kind, **fields})

    def speak(self) -> None:
        """Open the microphone anew: it hears its file from the beginning."""
        self.ask("caller.speak()")

    def until(self, kind: str) -> Json:
        """The next server event of that type after those that were awaited before."""
        event: Json = self.ask("caller.story.until(told)", kind)
        return event

    def until_loud(self) -> None:
        """Something sounds on the remote track."""
        self.ask("caller.ear.loud()")

    def until_quiet(self, ms: int) -> float:
        """Nothing sounds on the remote track, for so long; how long it sounded in all, in ms."""
        heard_ms: float = self.ask("caller.ear.quiet(told)", ms)
        return heard_ms

    def until_ended(self) -> None:
        """The other side has closed the data channel."""
        self.ask("caller.story.ended()")

    def hang_up(self) -> None:
        """End the call from this side."""
        self.ask("caller.hangUp()")

    @property
    def frames(self) -> list[Json]:
        """Every server event so far."""
        frames: list[Json] = self.ask("caller.story.frames.map(({ event }) => event)")
        return frames

    @property
    def story(self) -> list[str]:
        """The types of all server events so far, without deltas and what may come anywhere."""
        kinds = [frame["type"] for frame in self.frames]
        return [kind for kind in kinds if kind not in ANYWHERE and not kind.endswith(".delta")]

    def of_kind(self, kind: str) -> list[Json]:
        """The server events of that type so far."""
        return [frame for frame in self.frames if frame["type"] == kind]

    def judge(self, dialect: DialectName = "ga", *, settled: bool = True) -> None:
        """Fail over every fault of a frame and every broken law.

        Where the conversation is *settled*, nothing may be owed.
        """
        frames = self.frames
        assert frames
        check_frames(frames, dialect, transport="webrtc")
        laws = Laws(dialect)
        broken = [sentence for frame in frames for sentence in laws.see(frame)]
        broken += laws.end() if settled else []
        assert not broken, "\n".join(broken)
        if dialect == "ga":
            for frame in frames:
                official(frame)

    async def _ask(self, expression: str, told: object) -> Any:
        with anyio.move_on_after(PATIENCE_S):
            return await self._tab.evaluate(f"async (told) => ({expression})", told)
        kinds = "caller.story.frames.map(({ event }) => event.type)"
        happened = await self._tab.evaluate(f"() => {kinds}")
        raise AssertionError(f"{expression} of {told} never came to an end: {happened}")
