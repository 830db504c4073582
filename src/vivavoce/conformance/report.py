"""What came of the cases: a verdict on each, and what shows it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from vivavoce.conformance.catalogue import DialectName
from vivavoce.conformance.idiom import Json

Verdict = Literal["held", "broken", "advice", "not shown", "not tried"]

WORDS: dict[Verdict, str] = {"advice": "with advice"}
SHOWN_CHARACTERS = 64  # of a long text within an event, such as audio


class Reason(Struct, frozen=True):
    """Why a case is broken, in a sentence, and the events that show it."""

    sentence: str
    events: tuple[Json, ...] = ()


class Result(Struct, frozen=True):
    """The verdict on one case.

    *advice* is what the server does otherwise than ours, and may. *remark* says why the case was not
    shown or not tried. *begun* is False where no session came about in the first place.
    """

    case: str
    holds: str
    dialect: DialectName
    verdict: Verdict
    reasons: tuple[Reason, ...] = ()
    advice: tuple[Reason, ...] = ()
    remark: str = ""
    begun: bool = True
    ms: int = 0


def counts(results: Iterable[Result]) -> str:
    """How many there are of each verdict; what never fails to be said is how many broke."""
    counted = Counter(result.verdict for result in results)
    verdicts: tuple[Verdict, ...] = get_args(Verdict)
    told = [each for each in verdicts if counted[each] or each in ("held", "broken")]
    return ", ".join(f"{counted[verdict]} {WORDS.get(verdict, verdict)}" for verdict in told)


def exit_status(results: Iterable[Result]) -> int:
    """0 where nothing broke, 1 otherwise."""
    return int(any(result.verdict == "broken" for result in results))


def as_json(results: Sequence[Result], server: str) -> bytes:
    """The whole of it for machines."""
    told = {"server": server, "summary": counts(results), "results": results}
    return msgspec.json.format(msgspec.json.encode(told), indent=1)


def shortened(event: object) -> object:
    """An event as it may be shown: what is long, such as audio, only by its beginning."""
    match event:
        case dict():
            return {key: shortened(value) for key, value in event.items()}
        case list():
            return [shortened(value) for value in event]
        case str() if len(event) > SHOWN_CHARACTERS:
            return f"{event[:SHOWN_CHARACTERS]}... ({len(event)} characters)"
    return event
