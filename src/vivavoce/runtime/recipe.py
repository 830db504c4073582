"""The engines behind a session."""

from msgspec import Struct

from vivavoce.engines.api import (
    LanguageModel,
    Synthesiser,
    Transcriber,
    TurnJudge,
    VoiceDetector,
)


class Recipe(Struct, frozen=True):
    """One engine for each slot, loaded and shared by all sessions that it serves."""

    name: str
    detector: VoiceDetector
    transcriber: Transcriber
    language_model: LanguageModel
    synthesiser: Synthesiser
    judge: TurnJudge | None = None
