"""The built-in responder: an engine in a language model's place that says openly it is none.

It works by rules (see `rules`), remembers nothing but the conversation it is given, and answers the
same conversation with the same words. What it can say and do is a pure function; here it is only
streamed, word by word, as a language model would.
"""

import re
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Self

import msgspec
from anyio import lowlevel, to_thread

import vivavoce
from vivavoce.core.effects import GenerationRequest
from vivavoce.core.items import text_of
from vivavoce.engines.api import WrittenCall, WrittenText
from vivavoce.engines.rules.answer import answer_for
from vivavoce.engines.rules.arguments import as_json
from vivavoce.engines.rules.tool_match import Call

_WORD = re.compile(r"\s*\S+")
_PIECES = 4  # in which a call's arguments arrive
_LARGE = 4000  # characters of a request that may take more than a millisecond to read


class Responder:
    """Answers by rules, from what it was told, and calls the functions that fit.

    *knowledge* is text whose sentences it may answer with; *local_time* is asked for the time and
    the date.
    """

    cheap = True  # an answer takes less than a millisecond, and nobody waits for it

    def __init__(
        self,
        *,
        knowledge: str | None = None,
        local_time: Callable[[], time.struct_time] = time.localtime,
    ) -> None:
        self._knowledge = knowledge or ""
        self._local_time = local_time

    @property
    def version(self) -> str:
        """What is at work, for people."""
        return f"Viva Voce responder {vivavoce.__version__} (rules, no language model)"

    async def __aenter__(self) -> Self:
        """Nothing has to be loaded."""
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Nothing has to be let go."""

    async def respond(
        self, request: GenerationRequest
    ) -> AsyncGenerator[WrittenText | WrittenCall, None]:
        """Yield the answer word by word, or the calls' arguments in a few pieces each."""
        now = self._local_time()
        if _is_large(request):
            answer = await to_thread.run_sync(answer_for, request, self._knowledge, now)
        else:
            answer = answer_for(request, self._knowledge, now)
        for piece in _words(answer) if isinstance(answer, str) else _calls(answer):
            await lowlevel.checkpoint()
            yield piece


def _is_large(request: GenerationRequest) -> bool:
    length = len(request.instructions) + sum(len(text_of(item)) for item in request.context)
    return length > _LARGE or length + len(msgspec.json.encode(request.tools)) > _LARGE


def _words(text: str) -> Iterator[WrittenText]:
    return (WrittenText(word) for word in _WORD.findall(" ".join(text.split())))


def _calls(calls: tuple[Call, ...]) -> Iterator[WrittenCall]:
    for index, call in enumerate(calls):
        arguments = as_json(call.arguments)
        size = max(1, -(-len(arguments) // _PIECES))
        for start in range(0, len(arguments), size):
            piece = arguments[start : start + size]
            final = start + size >= len(arguments)
            yield WrittenCall(index, call.name, piece, final)
