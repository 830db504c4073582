"""How many tokens a response may read and a minute may hold (protocol reference, usage 6 and 8).

An allowance is spent and comes back evenly, a minute's worth in a minute. A response that begins
takes what it reads and the most that it may say; when it is over, it gives back what it left.
"""

from math import floor

from msgspec import Struct

from vivavoce.core.errors import Refusal
from vivavoce.core.events import RateLimit

LONGEST_OUTPUT = 4096  # tokens of a response that was given no limit of its own


class Quota(Struct, frozen=True):
    """What a deployment grants a session. Without a figure for a minute, none is told or kept."""

    input_tokens: int = 28_672
    tokens_per_minute: int | None = None
    requests_per_minute: int | None = None


class Allowance:
    """So much a minute, and what is left of it now."""

    def __init__(self, name: str, limit: int) -> None:
        self.name = name
        self._limit = limit
        self._taken = 0.0
        self._at = 0.0

    def left(self, now: float) -> int:
        """How much there is at time *now*."""
        self._pass(now)
        return max(0, floor(self._limit - self._taken))

    def take(self, amount: int, now: float) -> None:
        """Spend *amount*; a negative one is given back."""
        self._pass(now)
        self._taken = max(0.0, self._taken + amount)

    def seconds_until(self, amount: int, now: float) -> float:
        """How long it takes until *amount* is there, which is no more than a minute holds."""
        lacking = max(0, amount - self.left(now))
        return lacking * 60 / self._limit

    def shown(self, now: float) -> RateLimit:
        """How a client sees it."""
        left = self.left(now)
        reset_seconds = floor((self._limit - left) * 60_000 / self._limit) / 1000
        return RateLimit(self.name, self._limit, left, reset_seconds)

    def _pass(self, now: float) -> None:
        self._taken = max(0.0, self._taken - (now - self._at) * self._limit / 60)
        self._at = now


class Allowances:
    """A session's requests and tokens."""

    def __init__(self, quota: Quota) -> None:
        self._requests = _allowance("requests", quota.requests_per_minute)
        self._tokens = _allowance("tokens", quota.tokens_per_minute)
        self._reserved: dict[str, int] = {}

    def reserve(self, response_id: str, reads: int, says: int | None, now: float) -> None:
        """Take what a response needs at most; Refusal if there is too little to begin with."""
        for allowance, amount in ((self._requests, 1), (self._tokens, reads)):
            if allowance is not None and allowance.left(now) < amount:
                raise _exceeded(allowance, amount, now)
        if self._requests is not None:
            self._requests.take(1, now)
        if self._tokens is not None:
            self._reserved[response_id] = reads + (LONGEST_OUTPUT if says is None else says)
            self._tokens.take(self._reserved[response_id], now)

    def settle(self, response_id: str, spent: int, now: float) -> None:
        """A response is over, and cost only that much."""
        reserved = self._reserved.pop(response_id, None)
        if reserved is not None and self._tokens is not None:
            self._tokens.take(spent - reserved, now)

    def shown(self, now: float) -> tuple[RateLimit, ...]:
        """How a client sees them."""
        kept = (self._requests, self._tokens)
        return tuple(allowance.shown(now) for allowance in kept if allowance is not None)


def _allowance(name: str, limit: int | None) -> Allowance | None:
    return None if limit is None else Allowance(name, limit)


def _exceeded(allowance: Allowance, amount: int, now: float) -> Refusal:
    shown = allowance.shown(now)
    advice = f"Please try again in {allowance.seconds_until(amount, now):.3f}s."
    if amount > shown.limit:
        advice = "That is more than a minute holds: ask for less at once."
    return Refusal(
        f"Rate limit reached for {shown.name} per minute: limit {shown.limit}, left "
        f"{shown.remaining}, requested {amount}. {advice}",
        code="rate_limit_exceeded",
    )
