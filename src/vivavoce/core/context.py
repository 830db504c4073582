"""What a response is given to read: as much of the conversation as fits (usage, sections 4 and 7).

What was left out once stays out, though the client still sees it: a conversation whose beginning
came and went would be another one each time, and nothing of it could be cached. Only a response as
the session has it decides that: one with instructions or an input of its own leaves it as it was.
"""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from vivavoce.core.errors import Refusal
from vivavoce.core.events import Tokens
from vivavoce.core.items import (
    FunctionCall,
    FunctionCallOutput,
    InputAudio,
    InputImage,
    Item,
    Message,
    Part,
    words_of,
)
from vivavoce.core.settings import RetentionRatio, Truncation
from vivavoce.core.usage import CountTokens, of_head, of_item

CACHED_STEP = 64  # cached tokens are reported in whole steps

Head = tuple[str, str]  # instructions, and the tools as text
Piece = tuple[int, Tokens]  # what a stretch of the input holds, as a number, and what it costs


class Reading(Struct, frozen=True):
    """The items that fit, what all of the input costs, and how much of it was read before.

    *pieces* and *left_out* are for `Context.remember`.
    """

    items: tuple[Item, ...]
    tokens: Tokens
    cached: Tokens = Tokens()
    pieces: tuple[Piece, ...] = ()
    left_out: frozenset[str] = frozenset()


class Context:
    """How much a model reads, what it no longer does, and what it has read."""

    def __init__(self, limit: int, count: CountTokens) -> None:
        self._limit = limit
        self._count = count
        self._costs: dict[str, tuple[Item, Tokens]] = {}
        self._head: tuple[Head, Tokens] = (("", ""), Tokens())
        self._left_out: frozenset[str] = frozenset()
        self._read: dict[bool, tuple[Piece, ...]] = {}  # last, in and out of the conversation

    def of_conversation(
        self, head: Head, items: Sequence[Item], truncation: Truncation, extra: Sequence[Item] = ()
    ) -> Reading:
        """What is read of the conversation's *items*, and all of *extra*, which is not part of it.

        Refusal if they are too long and nothing may be left out, or not enough.
        """
        self._costs = {item.id: (item, self._cost(item)) for item in items}
        remembered = [item for item in items if item.id not in self._left_out]
        reading = self.of_list(head, (*remembered, *extra), truncation)
        fitting = {item.id for item in reading.items}
        left_out = frozenset(item.id for item in items if item.id not in fitting)
        return msgspec.structs.replace(reading, left_out=left_out)

    def of_list(self, head: Head, items: Sequence[Item], truncation: Truncation) -> Reading:
        """What is read of *items*, behind the instructions and tools in *head*; or Refusal."""
        if head != self._head[0]:
            self._head = (head, of_head(*head, self._count))
        first = self._head[1]
        known: dict[int, Tokens] = {}  # one item may be listed many times
        costs = [known.get(id(i)) or known.setdefault(id(i), self._cost(i)) for i in items]
        fitting = list(self._fitting(first, items, costs, truncation))
        pieces = (
            (hash(head), first),
            *((_fingerprint(items[at]), costs[at]) for at in fitting),
        )
        earlier = self._read.values()
        cached = max((_shared(pieces, each) for each in earlier), key=_total, default=Tokens())
        tokens = _sum(piece[1] for piece in pieces)
        return Reading(tuple(items[at] for at in fitting), tokens, cached, pieces)

    def remember(self, reading: Reading, *, of_conversation: bool, for_good: bool) -> None:
        """It is read indeed; what was left out of it stays out *for_good*, or comes back."""
        self._read[of_conversation] = reading.pieces
        if for_good:
            self._left_out = reading.left_out

    def _cost(self, item: Item) -> Tokens:
        """What an item costs, which is worked out once for each state of it."""
        known = self._costs.get(item.id)
        if known is not None and known[0] is item:
            return known[1]
        return of_item(item, self._count)

    def _fitting(
        self, head: Tokens, items: Sequence[Item], costs: Sequence[Tokens], truncation: Truncation
    ) -> Iterable[int]:
        """Which of *items* are read, by their places."""
        room = self._limit - head.total
        total = sum(cost.total for cost in costs)
        most, left = room, room
        if isinstance(truncation, RetentionRatio):
            asked = truncation.post_instructions
            most = room if asked is None else min(room, asked)
            left = int(most * truncation.retention_ratio)
        if total <= most:
            return range(len(items))
        pairs = _pairs(items)
        kept = set(_together(items, len(items) - 1, pairs)) if items else set()
        dropped: set[int] = set()
        for at in range(len(items)) if truncation != "disabled" else ():
            if total <= left:
                break
            for each in () if at in kept or at in dropped else _together(items, at, pairs):
                dropped.add(each)
                total -= costs[each].total
        if total > room:
            raise _too_long(head.total + total, self._limit, truncation)
        return (at for at in range(len(items)) if at not in dropped)


Pairs = dict[str, list[int]]  # the places of a call and its outputs, by the call's id


def _pairs(items: Sequence[Item]) -> Pairs:
    places: Pairs = {}
    for at, item in enumerate(items):
        if isinstance(item, FunctionCall | FunctionCallOutput):
            places.setdefault(item.call_id, []).append(at)
    return places


def _together(items: Sequence[Item], at: int, pairs: Pairs) -> Sequence[int]:
    """The places of an item and of what makes no sense without it: a call and its output."""
    item = items[at]
    return pairs[item.call_id] if isinstance(item, FunctionCall | FunctionCallOutput) else (at,)


def _too_long(tokens: int, limit: int, truncation: Truncation) -> Refusal:
    why = (
        "Truncation is disabled: delete items, or allow truncation."
        if truncation == "disabled"
        else "The newest item, the instructions and the tools alone are too long: shorten them."
    )
    return Refusal(
        f"The input has {tokens} tokens and the model reads at most {limit}. {why}",
        code="context_length_exceeded",
    )


def _fingerprint(item: Item) -> int:
    """What an item is to a model that has read it before: its content, not its name."""
    match item:
        case Message(role=role, content=content):
            return hash((role, *(_part_print(item.id, part) for part in content)))
        case FunctionCall(name=name, call_id=call_id, arguments=arguments):
            return hash((name, call_id, arguments))
        case FunctionCallOutput(call_id=call_id, output=output):
            return hash((call_id, output))


def _part_print(item_id: str, part: Part) -> object:
    match part:
        case InputAudio(samples=samples):
            return item_id, samples  # its words may become known later, and change nothing
        case InputImage(image_url=image_url):
            return image_url
        case _:
            return words_of(part)


def _shared(pieces: Sequence[Piece], earlier: Sequence[Piece]) -> Tokens:
    """How much of the beginning is the same, in whole steps."""
    same = []
    for piece, other in zip(pieces, earlier, strict=False):
        if piece != other:
            break
        same.append(piece[1])
    total = _sum(same).total
    left = total - total % CACHED_STEP
    text = audio = 0
    for cost in same:
        text += min(left, cost.text)
        left -= min(left, cost.text)
        audio += min(left, cost.audio)
        left -= min(left, cost.audio)
    return Tokens(text, audio)


def _sum(costs: Iterable[Tokens]) -> Tokens:
    text = audio = 0
    for cost in costs:
        text, audio = text + cost.text, audio + cost.audio
    return Tokens(text, audio)


def _total(tokens: Tokens) -> int:
    return tokens.total
