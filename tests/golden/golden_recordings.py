"""A recorded conversation: how it is written down, and how it is played again.

The first line says what kind of session it is. Each line after it is one JSON array: a mark, the
time in seconds, and what happened. `>` is a frame of the client, `*` a signal of the engines or the
transport, `+` means that it got as late as that; all that follows from one of these stands below
it, up to the next: `<` is a frame of the server, to the byte, and `!` an order to the runtime,
noted in a few words. Orders that only hand audio on are left out.
"""

from collections.abc import Iterator, Sequence
from difflib import unified_diff
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from vivavoce.core import effects, events, signals
from vivavoce.core.allowance import Quota
from vivavoce.core.effects import Effect, Output, Tell
from vivavoce.core.errors import Refusal
from vivavoce.core.responses import Rules
from vivavoce.core.session import Session
from vivavoce.core.settings import SessionSettings, merge
from vivavoce.dialects.api import Dialect, codec
from vivavoce.server.openings import TRANSCRIBES
from vivavoce.testing.ids import CountingIds

RECORDINGS = Path(__file__).resolve().parent / "recordings"
WALL_TIME = 1_700_000_000.0
QUOTA = Quota(tokens_per_minute=40_000, requests_per_minute=1_000)
WIDE = 160  # characters of a line in a difference
MARKS = {">", "*", "+"}  # of what comes in

# What comes in: a frame as the client sends it, a signal, or the second that it gets to be.
Input = str | signals.Signal | float
Frame = dict[str, Any]  # what JSON decodes to


class Setting(Struct, frozen=True, omit_defaults=True):
    """What kind of session it is.

    *azure*: on one of Azure's paths. *transport*: who plays the audio. *transcription*: connected
    with that intent. *announces*: the switch for `conversation.created` is on. *reads*: the engines
    answer words, so that they wait for the transcript. *judges*: one tells how finished turns sound.
    """

    scenario: str
    dialect: Dialect
    azure: bool = False
    transport: Literal["websocket", "webrtc"] = "websocket"
    transcription: bool = False
    announces: bool = False
    reads: bool = True
    judges: bool = False

    @property
    def path(self) -> Path:
        """Where its recording is kept."""
        return RECORDINGS / self.dialect / f"{self.scenario}.jsonl"

    def session(self) -> Session:
        """A session of that kind, whose ids count."""
        settings = SessionSettings()
        rules = Rules(
            "sess_1",
            max_seconds=1800 if self.dialect == "preview" else 3600,
            announces_conversation=self.announces,
            reads=self.reads,
            judges=self.judges,
            plays=self.transport == "webrtc",
            quota=QUOTA,
        )
        return Session(
            merge(settings, TRANSCRIBES) if self.transcription else settings, CountingIds(), rules
        )


class Recording(Struct, frozen=True):
    """What was written down."""

    setting: Setting
    inputs: tuple[Input, ...]
    lines: tuple[str, ...]

    @property
    def frames(self) -> list[Frame]:
        """The frames of the server, decoded."""
        return [msgspec.json.decode(raw, type=Frame) for raw in frames_in(self.lines)]


def played(setting: Setting, inputs: Sequence[Input]) -> tuple[str, ...]:
    """The lines of a recording with these inputs, as the conversation goes now."""
    return tuple(_Player(setting).play(inputs))


def read(path: Path) -> Recording:
    """The recording in that file."""
    first, *lines = path.read_text("utf-8").splitlines()
    inputs = tuple(_input(line) for line in lines if _mark(line) in MARKS)
    setting = msgspec.json.decode(first, type=Setting)
    return Recording(setting, inputs, (first, *lines))


def text_of(lines: Sequence[str]) -> str:
    """What the file of a recording holds."""
    return "\n".join(lines) + "\n"


def frames_in(lines: Sequence[str]) -> list[bytes]:
    """The frames of the server, to the byte."""
    return [bytes(_cells(line)[2]) for line in lines[1:] if _mark(line) == "<"]


def difference(recorded: Sequence[str], now: Sequence[str]) -> str | None:
    """Where two recordings part, in a form to be read; None if they do not."""
    pairs = enumerate(zip_longest(recorded, now), 1)
    parting = next(((number, *pair) for number, pair in pairs if pair[0] != pair[1]), None)
    if parting is None:
        return None
    number, before, after = parting
    shown = unified_diff(_shown(before), _shown(after), "recorded", "now", n=3, lineterm="")
    return "\n".join([f"line {number}:", *shown])


def _shown(line: str | None) -> list[str]:
    """A line spread out, its audio cut short."""
    if line is None:
        return ["nothing more"]
    spread = msgspec.json.format(line, indent=2).splitlines()
    return [
        each if len(each) <= WIDE else f"{each[:WIDE]} ({len(each)} characters)" for each in spread
    ]


class _Player:
    """One conversation, written down as it goes."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._session = setting.session()
        self._codec = codec(setting.dialect, azure=setting.azure)
        self._now = 0.0

    def play(self, inputs: Sequence[Input]) -> Iterator[str]:
        """The lines of the recording, the first with what kind of session it is."""
        yield msgspec.json.encode(self._setting).decode()
        yield from self._take(signals.Connected(WALL_TIME))
        for each in inputs:
            yield from self._take(each)

    def _take(self, said: Input) -> Iterator[str]:
        match said:
            case float():
                yield from self._wait(said)
            case str():
                yield self._line(">", _one_line(said))
                yield from self._write(self._session.receive(self._decode(said), self._now, 0))
            case _:
                if not isinstance(said, signals.Connected):  # which every recording begins with
                    yield self._line("*", _json({type(said).__name__: said}))
                yield from self._write(self._session.receive(said, self._now))

    def _decode(self, frame: str) -> Any:
        try:
            return self._codec.decode(frame)
        except Refusal as refusal:
            return refusal

    def _wait(self, until: float) -> Iterator[str]:
        """Let it get as late as that, with a tick whenever the session asked for one."""
        assert until > self._now, "time goes forward"
        yield f'["+", {until:.10g}]'
        while (due := self._session.deadline) is not None and due <= until:
            self._now = due
            yield from self._write(self._session.tick(due))
        self._now = until

    def _write(self, outputs: Sequence[Output]) -> Iterator[str]:
        for output in outputs:
            if isinstance(output, Tell):
                yield from self._tell(output.event)
            elif not isinstance(output, effects.Listen | effects.TranscribeMore):
                yield self._line("!", _json(_note(output)))

    def _tell(self, event: events.ServerEvent) -> Iterator[str]:
        if self._setting.transport == "webrtc" and isinstance(event, events.AudioDelta):
            # It has a track of its own there.
            samples = len(event.audio) // 2
            yield self._line("!", _json(f"Play {samples} samples of {event.response_id}"))
            return
        for frame in self._codec.encode(event):
            yield self._line("<", bytes(frame).decode())

    def _line(self, mark: str, what: str) -> str:
        return f'["{mark}", {self._now:.10g}, {what}]'


def _note(effect: Effect) -> str:
    """The name of an effect and what it is about, which is the first it says."""
    return f"{type(effect).__name__} {getattr(effect, effect.__struct_fields__[0])}"


def _one_line(frame: str) -> str:
    """A frame as it is if it is an object in one line; else as a string."""
    try:
        msgspec.json.decode(frame, type=Frame)
    except msgspec.DecodeError:
        return _json(frame)
    return frame if frame == frame.strip() and "\n" not in frame else _json(frame)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _cells(line: str) -> list[Raw]:
    return msgspec.json.decode(line, type=list[Raw])


def _mark(line: str) -> str:
    return line[2]


def _input(line: str) -> Input:
    mark, at, *what = _cells(line)
    match msgspec.json.decode(mark):
        case "+":
            return float(bytes(at))
        case ">":
            raw = bytes(what[0]).decode()
            return msgspec.json.decode(raw, type=str) if raw.startswith('"') else raw
        case _:
            ((name, fields),) = msgspec.json.decode(what[0], type=dict[str, Raw]).items()
            signal: signals.Signal = msgspec.json.decode(fields, type=getattr(signals, name))
            return signal
