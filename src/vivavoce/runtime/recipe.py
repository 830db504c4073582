"""The engines behind a session."""

from collections.abc import Mapping

from msgspec import Struct

from vivavoce.engines.api import (
    LanguageModel,
    SpeechModel,
    Synthesiser,
    Transcriber,
    TurnJudge,
    VoiceDetector,
)


class Recipe(Struct, frozen=True):
    """One engine for each slot, loaded and shared by all sessions that it serves.

    Either a *speech_model* answers, and the transcriber but writes down what the client wants to
    read; or *language_model* and *synthesiser* are there. *voices* are the synthesiser's own names by those of the
    API; none means that it knows the API's. With *speculates*, an answer is made ready before it
    is known whether the user has finished.
    """

    name: str
    detector: VoiceDetector
    transcriber: Transcriber
    language_model: LanguageModel | None
    synthesiser: Synthesiser | None
    judge: TurnJudge | None = None
    speech_model: SpeechModel | None = None
    voices: Mapping[str, str] = {}
    speculates: bool = False
