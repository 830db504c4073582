"""The real clock and the real id minter: the only source of wall time and of random ids.

An id is a prefix and 21 base62 characters: five are the second of its making, so that logs sort,
and sixteen tell it from all others. Of these, eight are drawn once for each minter and eight walk
through all numbers of eight digits in steps that look like chance, so minting makes no system call
but the reading of the clock.
"""

import asyncio
import secrets
import time
from collections.abc import Callable

EPOCH = 1576800000  # from which the hosted service's ids count their seconds
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PAIRS = tuple(high + low for high in DIGITS for low in DIGITS)
TIME_LENGTH = 5
MAX_WORKERS = 62**2

_PAIR = 62**2
_FOUR = 62**4
_ALL = 62**8
_STRIDE = (
    134944231587383  # odd and not a multiple of 31: no number returns before all had their turn
)


class Clock:
    """Monotonic time of the running event loop, and wall time."""

    def now(self) -> float:
        """Seconds on the loop's clock."""
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        """Unix time in seconds."""
        return time.time()  # noqa: TID251 - this is the clock

    def call_at(self, when: float, ring: Callable[[], object]) -> asyncio.TimerHandle:
        """Have *ring* called at that moment of `now`, unless the handle is cancelled before."""
        return asyncio.get_running_loop().call_at(when, ring)


class Minter:
    """Makes ids: `mint("event_")`. Those that one minter makes, and any two minters, differ."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._stem = _eight(secrets.randbelow(_ALL))
        self._number = secrets.randbelow(_ALL)
        self._second = -1
        self._time = ""

    def __call__(self, prefix: str) -> str:
        """A new id; a `call_` has sixteen characters and no time, every other twenty-one."""
        if prefix == "call_":
            return f"{prefix}{self._stem}{self._next()}"
        return f"{prefix}{self._made_at()}{self._stem}{self._next()}"

    def mint_session(self, worker: int = 0, prefix: str = "sess_") -> str:
        """An id of the same shape that names the worker which holds the session or call."""
        if not 0 <= worker < MAX_WORKERS:
            raise ValueError(f"worker is {worker}, but ids name workers 0 to {MAX_WORKERS - 1}")
        return f"{prefix}{self._made_at()}{PAIRS[worker]}{self._stem[:6]}{self._next()}"

    def _made_at(self) -> str:
        second = int(self._clock.wall())
        if second != self._second:
            self._second = second
            self._time = base62(second - EPOCH, TIME_LENGTH)
        return self._time

    def _next(self) -> str:
        self._number = (self._number + _STRIDE) % _ALL
        return _eight(self._number)


def worker_of(session_id: str) -> int | None:
    """The worker that an id of `mint_session` names; None where there is no reading it so."""
    made = session_id.rpartition("_")[2]
    named = made[TIME_LENGTH : TIME_LENGTH + 2]
    if len(made) != TIME_LENGTH + 16 or not all(digit in DIGITS for digit in named):
        return None
    return DIGITS.index(named[0]) * 62 + DIGITS.index(named[1])


def base62(number: int, length: int) -> str:
    """The last *length* digits of a number that is not negative."""
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(DIGITS[digit])
    return "".join(reversed(digits))


def _eight(number: int) -> str:
    high, low = divmod(number, _FOUR)
    first, second = divmod(high, _PAIR)
    third, fourth = divmod(low, _PAIR)
    return f"{PAIRS[first]}{PAIRS[second]}{PAIRS[third]}{PAIRS[fourth]}"
