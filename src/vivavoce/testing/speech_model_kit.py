"""What a speech model has to hold to: the part of `engine_kit` that is about what it says aloud.

The rest is what a language model has to hold to, asked of it in the same words (`checks`).
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

import msgspec

from vivavoce.audio.pcm import silence
from vivavoce.core.effects import GenerationRequest
from vivavoce.core.items import InputAudio, InputText, Message, OutputAudio, Part
from vivavoce.engines.api import (
    Recordings,
    SpeechModel,
    Spoken,
    Voice,
    Written,
    WrittenCall,
    WrittenText,
    WrittenUsage,
)
from vivavoce.testing.babble import babble
from vivavoce.testing.stopping import brief, require

Check = Callable[[Any], Awaitable[None]]  # Any, for each slot has its own engines

_SPEECH = babble(1600, 120)
_SHORTEST_MS = 200  # in which something can be said


def checks(of_language_models: Mapping[str, Check]) -> dict[str, Check]:
    """All checks, with those of language models put to a speech model."""

    def asked(check: Check) -> Check:
        async def ask(model: SpeechModel) -> None:
            await check(_Respondent(model))

        return ask

    return {**{name: asked(check) for name, check in of_language_models.items()}, **_CHECKS}


class _Respondent:
    """A speech model as somebody meets it who writes: a language model that speaks besides."""

    def __init__(self, model: SpeechModel) -> None:
        self._model = model

    @property
    def version(self) -> str:
        return self._model.version

    async def respond(self, request: GenerationRequest) -> AsyncGenerator[Written | Spoken, None]:
        async with aclosing(self._model.converse(request, {}, Voice())) as stream:
            async for value in stream:
                yield value


def _asked(*content: Part) -> GenerationRequest:
    said = Message("item_user", "user", content)
    return GenerationRequest("You are brief.", (said,), temperature=0.0)


async def _answer(
    model: SpeechModel, request: GenerationRequest, recordings: Recordings
) -> list[Written | Spoken]:
    async with aclosing(model.converse(request, recordings, Voice())) as stream:
        return [value async for value in stream]


def _text(given: list[Written | Spoken]) -> str:
    return "".join(each.text for each in given if isinstance(each, WrittenText)).strip()


async def _speaks_what_it_writes(model: SpeechModel) -> None:
    given = await _answer(model, _asked(InputText("Hello, how are you?")), {})
    spoken = [each for each in given if isinstance(each, Spoken)]
    duration_ms = sum(each.pcm.duration_ms for each in spoken)
    require(bool(_text(given)), f"what is said comes as words too, but here: {brief(given)}")
    require(duration_ms >= _SHORTEST_MS, f"{duration_ms:.0f} ms is too short for words")
    rates = {each.pcm.rate_hz for each in spoken}
    require(len(rates) == 1, f"the rate never changes, but here are {sorted(rates)} Hz")
    halves = [len(each.pcm.data) for each in spoken if len(each.pcm.data) % 2]
    require(not halves, f"samples are whole, but chunks of {brief(halves)} bytes came")
    marks = [mark for each in spoken for mark in each.marks]
    outside = [mark for mark in marks if not 0 <= mark.at_ms <= duration_ms]
    require(not outside, f"{brief(outside)} are outside the {duration_ms:.0f} ms of audio")


async def _writes_alone_where_text_is_wanted(model: SpeechModel) -> None:
    asked = _asked(InputText("Hello, how are you?"))
    given = await _answer(model, msgspec.structs.replace(asked, output_modality="text"), {})
    require(bool(_text(given)), f"words are wanted, but {brief(given)} came")
    spoken = [each for each in given if isinstance(each, Spoken)]
    require(not spoken, f"nothing is spoken where text is wanted, but {brief(spoken)} came")


async def _answers_what_it_hears(model: SpeechModel) -> None:
    key = ("item_user", 0)
    for audio, transcript, recordings in (
        (_SPEECH, None, {key: _SPEECH}),
        (_SPEECH, "Hello there.", {key: _SPEECH}),
        (_SPEECH, "Hello there.", {}),
        (_SPEECH, None, {}),
        (silence(500, 24000), None, {key: silence(500, 24000)}),
        (silence(0, 24000), None, {key: silence(0, 24000)}),
    ):
        part = InputAudio(audio.count, audio.rate_hz, transcript)
        given = await _answer(model, _asked(part), recordings)
        kept = "kept" if recordings else "lost"
        require(
            bool(given),
            f"{audio.duration_ms:.0f} ms of audio that was {kept}, with the words {transcript!r}, "
            "were not answered",
        )


async def _remembers_what_it_said(model: SpeechModel) -> None:
    said = OutputAudio("Good day.", "Good day.", 24000, 24000)
    context = (
        Message("item_one", "user", (InputText("Hello."),)),
        Message("item_two", "assistant", (said,)),
        Message("item_three", "user", (InputText("And now?"),)),
    )
    given = await _answer(model, GenerationRequest("", context), {})
    require(bool(_text(given)), f"words are wanted, but {brief(given)} came")


async def _counts_once_and_last(model: SpeechModel) -> None:
    given = await _answer(model, _asked(InputText("Hello.")), {})
    places = [place for place, each in enumerate(given, 1) if isinstance(each, WrittenUsage)]
    require(
        places in ([], [len(given)]), f"usage is told once, after everything else: {brief(given)}"
    )
    strange = [
        each
        for each in given
        if not isinstance(each, WrittenText | WrittenCall | WrittenUsage | Spoken)
    ]
    require(not strange, f"{brief(strange)} is nothing that a speech model gives")


_CHECKS: dict[str, Check] = {
    "speaks what it writes": _speaks_what_it_writes,
    "writes alone where text is wanted": _writes_alone_where_text_is_wanted,
    "answers what it hears": _answers_what_it_hears,
    "remembers what it said": _remembers_what_it_said,
    "counts once, and last": _counts_once_and_last,
}
