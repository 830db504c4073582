"""What a judge of turns has to hold to: the part of `engine_kit` that is about no stream."""

import math
from collections.abc import Awaitable, Callable

import anyio
import numpy as np

from vivavoce.audio.pcm import Pcm, silence
from vivavoce.engines.api import HEARING_RATE_HZ, Pause, TurnJudge
from vivavoce.testing.babble import babble
from vivavoce.testing.stopping import brief, require, require_prompt


def _pause(speech: Pcm, words: str, language: str | None = None) -> Pause:
    return Pause(Pcm(speech.data + bytes(6400), HEARING_RATE_HZ), words, language)


_SPEECH = babble(2000, 120)
_PAUSES = (
    _pause(_SPEECH, "what is the weather in Paris"),
    _pause(_SPEECH, "and then we went to the", "en"),
    _pause(babble(7800, 180), "", "en-GB"),
    _pause(_SPEECH, "これは何ですか", "ja"),
    _pause(_SPEECH, "... 42 ?!", "no-such-language"),
    Pause(silence(8000, HEARING_RATE_HZ)),
    Pause(Pcm(b"", HEARING_RATE_HZ), "hello"),
)


async def _gives_a_verdict_on_any_pause(judge: TurnJudge) -> None:
    for pause in _PAUSES:
        finished = await judge.judge(pause)
        told = f"{pause.pcm.duration_ms:.0f} ms and the words {pause.words!r}"
        require(0 <= finished <= 1, f"a verdict is between 0 and 1, not {finished} of {told}")


async def _judges_each_pause_alone(judge: TurnJudge) -> None:
    alone = [await judge.judge(pause) for pause in _PAUSES]
    beside = [math.nan] * len(_PAUSES)

    async def ask(place: int) -> None:
        beside[place] = await judge.judge(_PAUSES[place])

    async with anyio.create_task_group() as tasks:
        for place in reversed(range(len(_PAUSES))):
            tasks.start_soon(ask, place)
    alike = np.allclose(alone, beside, atol=0.01)
    require(alike, f"pauses one by one gave {brief(alone)}, and all together {brief(beside)}")


async def _stops_judging_when_cancelled(judge: TurnJudge) -> None:
    expected = await judge.judge(_PAUSES[0])
    for turns in range(4):
        begun = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(judge.judge, _PAUSES[1])
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        require_prompt(anyio.current_time() - begun)
    given = await judge.judge(_PAUSES[0])
    alike = math.isclose(given, expected, abs_tol=0.01)
    require(alike, f"after verdicts that were cancelled, one was {given}, but before {expected}")


CHECKS: dict[str, Callable[[TurnJudge], Awaitable[None]]] = {
    "gives a verdict on any pause": _gives_a_verdict_on_any_pause,
    "judges each pause alone": _judges_each_pause_alone,
    "stops judging when cancelled": _stops_judging_when_cancelled,
}
