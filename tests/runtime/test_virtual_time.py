"""The virtual clock: jumps where nothing is ready, stands still where something is."""

import asyncio
import math
import socket

import anyio
import pytest

from vivavoce.testing import virtual_time
from vivavoce.testing.virtual_time import Deadlock


def test_time_begins_at_zero_and_jumps_to_the_next_timer() -> None:
    async def main() -> list[float]:
        seen = [anyio.current_time(), asyncio.get_running_loop().time()]
        await anyio.sleep(3600)
        return [*seen, anyio.current_time()]

    assert virtual_time.run(main) == [0, 0, 3600]


def test_sleepers_wake_in_the_order_of_their_times() -> None:
    async def main() -> list[tuple[float, float]]:
        woken: list[tuple[float, float]] = []

        async def sleep(seconds: float) -> None:
            await anyio.sleep(seconds)
            woken.append((seconds, anyio.current_time()))

        async with anyio.create_task_group() as tasks:
            for seconds in (5, 0.25, 60, 1):
                tasks.start_soon(sleep, seconds)
        return woken

    assert virtual_time.run(main) == [(0.25, 0.25), (1, 1), (5, 5), (60, 60)]


def test_the_clock_stands_still_while_anything_is_ready() -> None:
    async def main() -> float:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 1)
            for _ in range(1000):
                await anyio.lowlevel.checkpoint()
            now = anyio.current_time()
            tasks.cancel_scope.cancel()
        return now

    assert virtual_time.run(main) == 0


def test_arguments_go_in_and_the_result_comes_out() -> None:
    async def add(one: int, other: int) -> int:
        await anyio.lowlevel.checkpoint()
        return one + other

    assert virtual_time.run(add, 1, 2) == 3


def test_a_deadline_passes_in_virtual_time() -> None:
    async def main() -> float:
        with anyio.move_on_after(90):
            await anyio.sleep_forever()
        return anyio.current_time()

    assert virtual_time.run(main) == 90


def test_waiting_for_what_never_comes_raises_and_names_who_waits() -> None:
    async def forlorn() -> None:
        await anyio.Event().wait()

    async def main() -> None:
        await anyio.sleep(2)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(forlorn, name="forlorn")

    with pytest.raises(Deadlock, match=r"at 2\.000 virtual seconds .*forlorn"):
        virtual_time.run(main)


def test_sleeping_for_ever_alone_is_a_deadlock_and_no_timer() -> None:
    with pytest.raises(Deadlock):
        virtual_time.run(anyio.sleep, math.inf)


def test_a_deadlock_still_runs_the_cleanup_of_those_who_waited() -> None:
    cleaned: list[str] = []

    async def main() -> None:
        try:
            await anyio.Event().wait()
        finally:
            cleaned.append("done")

    with pytest.raises(Deadlock):
        virtual_time.run(main)
    assert cleaned == ["done"]


def test_bytes_that_arrive_are_read_before_any_time_passes() -> None:
    async def main() -> tuple[bytes, float]:
        here, there = socket.socketpair()
        with here, there:
            here.setblocking(False)
            there.setblocking(False)
            loop = asyncio.get_running_loop()
            async with anyio.create_task_group() as tasks:
                with anyio.fail_after(1):
                    tasks.start_soon(loop.sock_sendall, here, b"hello")
                    received = await loop.sock_recv(there, 16)
        return received, anyio.current_time()

    assert virtual_time.run(main) == (b"hello", 0)


def test_what_fails_inside_fails_outside() -> None:
    async def main() -> None:
        await anyio.sleep(1)
        raise LookupError("here")

    with pytest.raises(LookupError, match="here"):
        virtual_time.run(main)
