"""Scenario: a conversation written down beforehand, which the scripted engines perform.

It says what the transcriber writes, what the language model answers and how the synthesiser sounds,
and it looks at nothing but the audio, the hints and the conversation it is given: one file gives
the same talk every time, to any number of sessions at once. All of it may be left out.

    otherwise = "You said: {heard}"     # the answer to what no [[turn]] below answers

    [[heard]]                           # what is written down of speech: the first that fits
    up_to_ms = 900                      #   fits speech no longer than this ...
    language = "en"                     #   ... with this language in the session's settings ...
    prompt = "tea"                      #   ... and this regular expression in its prompt
    transcript = "yes please"

    [[heard]]                           # no condition: fits everything else ("hello" without one)
    transcript = "what is the weather in Paris"
    pause_ms = 120                      # before the first word
    word_ms = 30                        # before every other word

    [[turn]]                            # what is answered: the first whose conditions all hold
    hears = "weather in (Paris|Rome)"   #   regular expression, in the user's last words
    say = "Let me look."
    [[turn.call]]
    name = "get_weather"
    arguments = { city = "Paris" }      # or a string, sent as it is

    [[turn]]
    after_call = "get_weather"          #   regular expression, in the name of the function whose
    say = "It is {result}."             #   result came after the user's last words

    [[turn]]                            # without a condition: answers the user's first turn, the
    say = "Good morning."               # second such turn the user's second, and so on, where
                                        # nothing above fits
    [[turn]]
    say = "This will not end well."
    fail = "out of memory"              # the engine fails ...
    fail_after_words = 2                # ... when it has given that many

    [speech]
    rate_hz = 24000
    ms_per_character = 60
    first_ms = 0                        # before the first audio
    chunk_ms = 100
    pace = 0.0                          # 1 produces in real time, 2 twice as fast, 0 at once
    fail = "no voice today"
    fail_after_ms = 500                 # of audio

Regular expressions ignore case and may match anywhere. `{heard}` in a text becomes the user's last
words, `{result}` what the function returned. After a result only turns with `after_call` answer, so
that a scripted call is made once.
"""

import re
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from vivavoce.core.items import FunctionCall, FunctionCallOutput, Item, Message, text_of

Natural = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]

NOTHING_HEARD = "nothing"


class ScenarioError(ValueError):
    """A scenario cannot be read; the message names the file, the place and what would be right."""


class Telling(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How words come out: a pause, the words one after the other, and perhaps a failure."""

    pause_ms: Natural = 0
    word_ms: Natural = 0
    fail: str | None = None
    fail_after_words: Natural = 0


class Hearing(Telling, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is written down of speech for which every condition that is given holds."""

    transcript: str = ""
    up_to_ms: Positive | None = None
    language: str | None = None
    prompt: str | None = None

    def __post_init__(self) -> None:
        _require_expression("prompt", self.prompt)

    def fits(self, duration_ms: float, language: str | None, prompt: str | None) -> bool:
        """Whether it is meant for such speech."""
        return (
            (self.up_to_ms is None or duration_ms <= self.up_to_ms)
            and (self.language is None or self.language == language)
            and _found(self.prompt, prompt or "")
        )


class Call(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A function call; *arguments* that are a string are sent as they are, right or wrong."""

    name: str
    arguments: dict[str, object] | str = {}

    @property
    def json(self) -> str:
        """The arguments as JSON text."""
        if isinstance(self.arguments, str):
            return self.arguments
        return msgspec.json.encode(self.arguments).decode()


class Turn(Telling, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer, and when it is given."""

    hears: str | None = None
    after_call: str | None = None
    say: str = ""
    calls: tuple[Call, ...] = field(name="call", default=())

    def __post_init__(self) -> None:
        _require_expression("hears", self.hears)
        _require_expression("after_call", self.after_call)


class Speech(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How speech sounds and how fast it is made."""

    rate_hz: Annotated[int, Meta(ge=8000, le=48000)] = 24000
    ms_per_character: Positive = 60
    first_ms: Natural = 0
    chunk_ms: Positive = 100
    pace: Annotated[float, Meta(ge=0)] = 0.0
    fail: str | None = None
    fail_after_ms: Natural = 0


class Scenario(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of it; without a word of script it hears "hello" and repeats what it heard."""

    otherwise: str = "You said: {heard}"
    heard: tuple[Hearing, ...] = ()
    turns: tuple[Turn, ...] = field(name="turn", default=())
    speech: Speech = Speech()

    def hearing_of(self, duration_ms: float, language: str | None, prompt: str | None) -> Hearing:
        """What is written down of speech that long."""
        fitting = (each for each in self.heard if each.fits(duration_ms, language, prompt))
        return next(fitting, Hearing(transcript="hello"))

    def answer_to(self, context: tuple[Item, ...]) -> Turn:
        """What is answered to that conversation, with the text filled in."""
        scene = _scene_of(context)
        turn = self._scripted(scene)
        heard, result = scene.heard or NOTHING_HEARD, scene.result or NOTHING_HEARD
        say = turn.say.replace("{heard}", heard).replace("{result}", result)
        return msgspec.structs.replace(turn, say=say)

    def _scripted(self, scene: "_Scene") -> Turn:
        after_result = scene.called is not None
        for turn in self.turns:
            if (turn.after_call is not None) == after_result and _meant_for(turn, scene):
                return turn
        if after_result:
            return Turn(say="The answer is: {result}")
        in_order = [turn for turn in self.turns if turn.hears is None and turn.after_call is None]
        place = max(scene.user_turns, 1) - 1
        return in_order[place] if place < len(in_order) else Turn(say=self.otherwise)


def decode(text: str, source: str = "scenario") -> Scenario:
    """Read a scenario from TOML; *source* names it in errors."""
    try:
        return msgspec.toml.decode(text, type=Scenario)
    except msgspec.ValidationError as error:
        raise ScenarioError(f"{source}: {_explained(str(error))}") from None
    except msgspec.DecodeError as error:
        raise ScenarioError(f"{source}: not TOML: {error}") from None


def load(path: str | Path) -> Scenario:
    """Read a scenario from a file."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read as a text file: {error}") from None
    return decode(text, str(path))


class _Scene(Struct, frozen=True):
    """What an answer depends on. *called*: the function whose result came last, if one did."""

    heard: str
    user_turns: int
    called: str | None = None
    result: str = ""


def _scene_of(context: tuple[Item, ...]) -> _Scene:
    names = {item.call_id: item.name for item in context if isinstance(item, FunctionCall)}
    scene = _Scene(heard="", user_turns=0)
    for item in context:
        match item:
            case Message(role="user"):
                scene = _Scene(heard=text_of(item).strip(), user_turns=scene.user_turns + 1)
            case FunctionCallOutput(call_id=call_id, output=output):
                scene = msgspec.structs.replace(scene, called=names.get(call_id, ""), result=output)
            case _:
                pass
    return scene


def _meant_for(turn: Turn, scene: _Scene) -> bool:
    """Whether it has conditions and all of them hold."""
    conditional = turn.hears is not None or turn.after_call is not None
    return (
        conditional
        and _found(turn.hears, scene.heard)
        and _found(turn.after_call, scene.called or "")
    )


def _found(expression: str | None, text: str) -> bool:
    return expression is None or re.search(expression, text, re.IGNORECASE) is not None


def _require_expression(name: str, expression: str | None) -> None:
    try:
        re.compile(expression or "")
    except re.error as error:
        raise ValueError(
            f"`{name}` has to be a regular expression, but of {expression!r} is said: {error}"
        ) from None


_TABLES: dict[str, type[Struct]] = {
    "": Scenario,
    "heard": Hearing,
    "turn": Turn,
    "turn.call": Call,
    "speech": Speech,
}


def _explained(error: str) -> str:
    """msgspec's message with the place first, and with the keys there are if one is unknown."""
    message, _, place = error.partition(" - at ")
    place = place.strip("`").removeprefix("$").removeprefix(".")
    if unknown := re.search(r"unknown field `(.*)`", message):
        table = _TABLES[re.sub(r"\[\d+\]", "", place)]
        keys = ", ".join(each.encode_name for each in msgspec.structs.fields(table))
        message = f"there is no key `{unknown[1]}` here; there are {keys}"
    return f"{place}: {message}" if place else message
