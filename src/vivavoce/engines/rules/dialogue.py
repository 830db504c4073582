"""The conversation so far, as the rules look at it."""

from msgspec import Struct

from vivavoce.core.items import FunctionCall, FunctionCallOutput, Item, Message, text_of

_REMEMBERED = 200  # items; what was said before that is forgotten
_LONGEST = 2000  # characters of one utterance that are listened to


class Exchange(Struct, frozen=True):
    """What the caller said and what the assistant answered; either may be empty."""

    said: str
    answered: str


class Result(Struct, frozen=True):
    """What a function returned, and the call it answers as far as that is known."""

    output: str
    name: str = ""
    arguments: str = ""


class Dialogue(Struct, frozen=True):
    """*said* waits for an answer; None when nobody spoke since the last one.

    *results* came in since anybody spoke; *waiting* says that a function has yet to return one.
    """

    past: tuple[Exchange, ...] = ()
    said: str | None = None
    results: tuple[Result, ...] = ()
    waiting: bool = False

    @property
    def heard(self) -> tuple[str, ...]:
        """Everything the caller said before *said*, oldest first."""
        return tuple(each.said for each in self.past if each.said)

    @property
    def last_answer(self) -> str:
        """The assistant's newest words, empty at the beginning."""
        return next((each.answered for each in reversed(self.past) if each.answered), "")


def dialogue_of(context: tuple[Item, ...]) -> Dialogue:
    """Sort *context* into exchanges; system messages belong to the instructions instead."""
    past: list[Exchange] = []
    said: str | None = None
    calls: dict[str, FunctionCall] = {}
    results: list[Result] = []
    for item in context[-_REMEMBERED:]:
        match item:
            case Message(role="user"):
                if said is not None:
                    past.append(Exchange(said, ""))
                said = text_of(item)[:_LONGEST].strip()
                results, calls = [], {}
            case Message(role="assistant"):
                past.append(Exchange(said or "", text_of(item).strip()))
                said, results, calls = None, [], {}
            case FunctionCall(call_id=call_id):
                calls[call_id] = item
            case FunctionCallOutput(call_id=call_id, output=output):
                call = calls.pop(call_id, None)
                results.append(
                    Result(output, call.name, call.arguments) if call else Result(output)
                )
            case Message():
                pass
    return Dialogue(tuple(past), said, tuple(results), bool(calls))


def instructed(instructions: str, context: tuple[Item, ...]) -> str:
    """The instructions and every system message, one below the other."""
    system = (
        text_of(each) for each in context if isinstance(each, Message) and each.role == "system"
    )
    return "\n".join(filter(None, (instructions, *system)))
