"""A mailbox: bounded by items and bytes, fair, closable."""

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.mailbox import Closed, Mailbox

pytestmark = pytest.mark.anyio


async def settle() -> None:
    """Let everybody who can go on go on."""
    for _ in range(5):
        await checkpoint()


async def test_values_come_out_in_the_order_they_went_in() -> None:
    box = Mailbox[int](4, 100)
    for value in range(4):
        assert box.put_nowait(value)
    assert [await box.get() for _ in range(4)] == [0, 1, 2, 3]


async def test_a_box_that_holds_enough_items_takes_no_more() -> None:
    box = Mailbox[str](2, 100)
    assert [box.put_nowait(value) for value in "abc"] == [True, True, False]
    assert len(box) == 2


async def test_a_box_that_holds_enough_bytes_takes_no_more() -> None:
    box = Mailbox[str](10, 100)
    assert box.put_nowait("a", 60)
    assert not box.put_nowait("b", 41)
    assert box.put_nowait("c", 40)
    assert box.bytes == 100


async def test_a_value_larger_than_the_box_is_let_in_when_the_box_is_empty() -> None:
    box = Mailbox[str](10, 100)
    assert box.put_nowait("huge", 1000)
    assert not box.put_nowait("small", 1)
    assert await box.get() == "huge"
    assert box.bytes == 0


async def test_a_putter_waits_for_room_and_later_ones_do_not_overtake_it() -> None:
    box = Mailbox[str](10, 100)
    assert box.put_nowait("first", 90)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(box.put, "second", 50)
        await settle()
        assert not box.put_nowait("third", 1)
        assert await box.get() == "first"
        await settle()
        assert box.put_nowait("third", 1)
    assert [await box.get(), await box.get()] == ["second", "third"]


async def test_getters_are_served_in_the_order_they_came() -> None:
    box = Mailbox[int](1, 1)
    got: list[tuple[str, int]] = []

    async def getter(name: str) -> None:
        got.append((name, await box.get()))

    async with anyio.create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(getter, name)
        await settle()
        assert all(box.put_nowait(number, 1) for number in range(3))
    assert got == [("a", 0), ("b", 1), ("c", 2)]


async def test_a_closed_box_is_drained_before_it_ends() -> None:
    box = Mailbox[int](4, 4)
    box.put_nowait(1)
    box.put_nowait(2)
    box.close()
    assert [value async for value in box] == [1, 2]
    with pytest.raises(Closed):
        await box.get()


async def test_nothing_goes_into_a_closed_box() -> None:
    box = Mailbox[int](4, 4)
    box.close()
    assert box.closed
    with pytest.raises(Closed):
        box.put_nowait(1)
    with pytest.raises(Closed):
        await box.put(1)


async def ends(wait: Callable[[], Awaitable[object]]) -> bool:
    """Whether waiting ended because the box was closed."""
    try:
        await wait()
    except Closed:
        return True
    return False


async def test_closing_wakes_everybody_who_waits() -> None:
    full = Mailbox[str](1, 1)
    full.put_nowait("a")
    empty = Mailbox[str](1, 1)
    ended: list[bool] = []

    async def wait(how: Callable[[], Awaitable[object]]) -> None:
        ended.append(await ends(how))

    async with anyio.create_task_group() as tasks:
        for how in (lambda: full.put("b"), full.room, empty.get, empty.get):
            tasks.start_soon(wait, how)
        await settle()
        assert ended == []
        full.close()
        empty.close()
    assert ended == [True] * 4
    assert len(full) == 1


async def test_room_is_there_when_the_box_is_half_empty() -> None:
    box = Mailbox[int](4, 100)
    for value, size in [(1, 30), (2, 10), (3, 50)]:
        box.put_nowait(value, size)
    roomy = anyio.Event()

    async def watch() -> None:
        await box.room()
        roomy.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await settle()
        await box.get()  # two of four items, but 60 of 100 bytes
        await settle()
        assert not roomy.is_set()
        await box.get()
        await roomy.wait()
    await box.room()


async def test_a_putter_that_was_cancelled_put_nothing_and_lets_the_next_one_in() -> None:
    box = Mailbox[str](10, 100)
    box.put_nowait("a", 60)
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            tasks.start_soon(box.put, "later", 20)
            scope.cancel()
            await box.put("never", 70)
        with anyio.move_on_after(0):
            await box.put("never either", 70)
        await settle()
    assert [await box.get(), await box.get()] == ["a", "later"]
    assert len(box) == 0


async def test_a_value_handed_to_a_getter_that_is_cancelled_goes_to_the_next() -> None:
    box = Mailbox[str](10, 100)
    got: list[str] = []
    getters: list[asyncio.Task[object] | None] = []

    async def getter(name: str) -> None:
        getters.append(asyncio.current_task())
        got.append(f"{name} got {await box.get()}")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(getter, "one")
        await settle()
        tasks.start_soon(getter, "two")
        await settle()
        box.put_nowait("a", 5)
        assert getters[0] is not None
        getters[0].cancel()
    assert got == ["two got a"]
    assert box.bytes == 0


async def test_a_value_handed_to_the_only_getter_as_it_is_cancelled_stays_in_the_box() -> None:
    box = Mailbox[str](10, 100)
    getters: list[asyncio.Task[object] | None] = []

    async def getter() -> None:
        getters.append(asyncio.current_task())
        await box.get()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(getter)
        await settle()
        box.put_nowait("a", 5)
        assert getters[0] is not None
        getters[0].cancel()
    assert box.bytes == 5
    box.put_nowait("b", 5)
    assert [await box.get(), await box.get()] == ["a", "b"]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 12)),
        st.tuples(st.just("get"), st.just(0)),
        st.tuples(st.just("cancel"), st.integers(0, 5)),
    ),
    max_size=30,
)


@given(steps=STEPS, max_items=st.integers(1, 4), max_bytes=st.integers(1, 10))
@settings(max_examples=60, deadline=None)
async def test_whatever_is_put_comes_out_once_in_order_and_the_bounds_hold(
    steps: list[tuple[str, int]], max_items: int, max_bytes: int
) -> None:
    """Putters come, give up and come again; getters too; then the box is closed and drained."""
    box = Mailbox[int](max_items, max_bytes)
    put: list[int] = []
    got: list[int] = []
    scopes: list[anyio.CancelScope] = []

    async def putter(value: int, size: int, scope: anyio.CancelScope) -> None:
        with scope:
            await box.put(value, size)
            put.append(value)

    async def getter() -> None:
        got.append(await box.get())

    async with anyio.create_task_group() as tasks:
        for number, (what, how_much) in enumerate(steps):
            if what == "put":
                scopes.append(anyio.CancelScope())
                tasks.start_soon(putter, number, how_much, scopes[-1])
            elif what == "get":
                tasks.start_soon(getter)
            elif how_much < len(scopes):
                scopes[how_much].cancel()
            await settle()
            assert len(box) <= max_items
            assert box.bytes <= max_bytes or len(box) == 1
        tasks.cancel_scope.cancel()
    box.close()
    got += [value async for value in box]
    assert got == put
    assert got == sorted(got)
