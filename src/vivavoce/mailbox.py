"""A bounded queue that counts bytes as well as items and can be closed.

One event loop, any number of putters and getters, each side served in the order it came. A value
passes straight from a putter to a getter that waits; values wait in the box only while nobody does.
So at any moment either the box is empty or no getter waits, and either no putter waits or the value
of the first one does not fit.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Closed(Exception):  # noqa: N818 - a state of affairs, not a failure
    """The mailbox is closed: nothing more goes in, and nothing is left to come out."""


class _Entry(NamedTuple, Generic[T]):
    value: T
    size: int


class _Putter(NamedTuple, Generic[T]):
    entry: _Entry[T]
    let_in: "asyncio.Future[bool]"  # False: closed


class Mailbox(Generic[T]):
    """At most *max_items* values of at most *max_bytes* together.

    A value larger than *max_bytes* is let in when the box is empty, so nothing waits for ever.
    """

    def __init__(self, max_items: int, max_bytes: int) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._entries: deque[_Entry[T]] = deque()
        self._bytes = 0
        self._getters: deque[asyncio.Future[_Entry[T] | None]] = deque()  # None: closed
        self._putters: deque[_Putter[T]] = deque()
        self._watchers: list[asyncio.Future[bool]] = []  # of the low-water mark; False: closed
        self._closed = False

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """The sizes of all that waits in the box, together."""
        return self._bytes

    @property
    def closed(self) -> bool:
        """Nothing more goes in."""
        return self._closed

    def put_nowait(self, value: T, size: int = 0) -> bool:
        """Put *value* in if there is room and nobody waits for it longer; say whether it is in."""
        if self._closed:
            raise Closed
        if self._putters or not self._fits(size):
            return False
        self._let_in(_Entry(value, size))
        return True

    async def put(self, value: T, size: int = 0) -> None:
        """Put *value* in as soon as there is room. Cancelled before that, it never was."""
        if self.put_nowait(value, size):
            return
        putter = _Putter(_Entry(value, size), asyncio.get_running_loop().create_future())
        self._putters.append(putter)
        try:
            is_in = await putter.let_in
        except asyncio.CancelledError:
            if not _answered(putter.let_in):
                self._forget(putter)
            raise
        if not is_in:
            raise Closed

    async def get(self) -> T:
        """The oldest value; after `close` what is left, then Closed."""
        if self._entries:
            return self._take()
        if self._closed:
            raise Closed
        getter: asyncio.Future[_Entry[T] | None] = asyncio.get_running_loop().create_future()
        self._getters.append(getter)
        try:
            entry = await getter
        except asyncio.CancelledError:
            self._leave(getter)
            raise
        if entry is None:
            raise Closed
        return entry.value

    async def room(self) -> None:
        """Wait until the box is at most half full, by count and by bytes, and nobody waits to put."""
        if self._closed:
            raise Closed
        if self._roomy():
            return
        watcher: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._watchers.append(watcher)
        try:
            is_roomy = await watcher
        finally:
            if watcher in self._watchers:
                self._watchers.remove(watcher)
        if not is_roomy:
            raise Closed

    def close(self) -> None:
        """Let nothing more in and wake everybody; what is in the box can still be taken out."""
        self._closed = True
        for putter in self._putters:
            _tell(putter.let_in, False)
        for getter in self._getters:
            _tell(getter, None)
        for watcher in self._watchers:
            _tell(watcher, False)
        self._putters.clear()
        self._getters.clear()
        self._watchers.clear()

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.get()
        except Closed:
            raise StopAsyncIteration from None

    def _fits(self, size: int) -> bool:
        if not self._entries:
            return True
        return len(self._entries) < self._max_items and self._bytes + size <= self._max_bytes

    def _roomy(self) -> bool:
        half_empty = 2 * len(self._entries) <= self._max_items
        return half_empty and 2 * self._bytes <= self._max_bytes and not self._putters

    def _let_in(self, entry: _Entry[T]) -> None:
        while self._getters:
            if _tell(self._getters.popleft(), entry):
                return
        self._entries.append(entry)
        self._bytes += entry.size

    def _take(self) -> T:
        entry = self._entries.popleft()
        self._bytes -= entry.size
        self._admit()
        return entry.value

    def _admit(self) -> None:
        """Let in the putters whose turn has come, and tell the watchers if there is room."""
        while self._putters and self._fits(self._putters[0].entry.size):
            putter = self._putters.popleft()
            if _tell(putter.let_in, True):
                self._let_in(putter.entry)
        if self._watchers and self._roomy():
            for watcher in self._watchers:
                _tell(watcher, True)
            self._watchers.clear()

    def _leave(self, getter: "asyncio.Future[_Entry[T] | None]") -> None:
        """A getter was cancelled. What it was handed in the same moment goes to the next."""
        if not _answered(getter):
            if getter in self._getters:
                self._getters.remove(getter)
        elif (entry := getter.result()) is not None:
            self._hand_back(entry)

    def _forget(self, putter: _Putter[T]) -> None:
        """A putter was cancelled. Whoever stood behind it may fit where it did not."""
        self._putters = deque(other for other in self._putters if other is not putter)
        self._admit()

    def _hand_back(self, entry: _Entry[T]) -> None:
        while self._getters:
            if _tell(self._getters.popleft(), entry):
                return
        self._entries.appendleft(entry)
        self._bytes += entry.size


V = TypeVar("V")


def _tell(waiting: "asyncio.Future[V]", answer: V) -> bool:
    """Wake whoever waits, unless it was cancelled; say whether it woke."""
    if waiting.done():
        return False
    waiting.set_result(answer)
    return True


def _answered(waiting: "asyncio.Future[V]") -> bool:
    """It was answered, and not cancelled."""
    return waiting.done() and not waiting.cancelled()
