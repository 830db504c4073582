"""What whoever opens a session for somebody else may keep from them, by its names in the API."""

from collections.abc import Mapping
from operator import attrgetter

from msgspec import Struct

from vivavoce.core.settings import SessionSettings


class Lockable(Struct, frozen=True):
    """Where a field lies.

    *path* is its place in the API's session, *setting* that in `SessionSettings` and
    `SessionUpdate`, *of_response* its name in `CreateResponse`, if a response has one of its own.
    """

    path: str
    setting: str
    of_response: str | None = None

    @property
    def blank(self) -> object:
        """What is shown in place of its value."""
        return attrgetter(self.setting)(BLANK)


BLANK = SessionSettings(instructions="")
LOCKABLE: Mapping[str, Lockable] = {
    "instructions": Lockable("instructions", "instructions", "instructions"),
    "tools": Lockable("tools", "tools", "tools"),
    "tool_choice": Lockable("tool_choice", "tool_choice", "tool_choice"),
    "prompt": Lockable("prompt", "prompt"),
    "tracing": Lockable("tracing", "tracing"),
    "voice": Lockable("audio.output.voice", "output.voice", "voice"),
    "speed": Lockable("audio.output.speed", "output.speed"),
    "output_modalities": Lockable("output_modalities", "output_modality", "output_modality"),
    "max_output_tokens": Lockable("max_output_tokens", "max_output_tokens", "max_output_tokens"),
    "temperature": Lockable("temperature", "temperature", "temperature"),
    "transcription": Lockable("audio.input.transcription", "input.transcription"),
    "noise_reduction": Lockable("audio.input.noise_reduction", "input.noise_reduction"),
    "turn_detection": Lockable("audio.input.turn_detection", "input.turn_detection"),
    "truncation": Lockable("truncation", "truncation"),
    "reasoning": Lockable("reasoning", "reasoning_effort", "reasoning_effort"),
    "parallel_tool_calls": Lockable(
        "parallel_tool_calls", "parallel_tool_calls", "parallel_tool_calls"
    ),
    "include": Lockable("include", "include"),
}
