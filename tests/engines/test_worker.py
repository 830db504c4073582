"""Processes that do one job at a time, and what happens when they do not."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

import anyio
import pytest
from anyio.abc import TaskStatus
from obedient import absent, obedient

from vivavoce.engines import worker
from vivavoce.engines.api import EngineFailure
from vivavoce.engines.worker import Workers

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops the server may run on."""
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


def pool(size: int = 1, waiting: int = 8) -> Workers:
    return Workers(obedient, size=size, waiting=waiting, name="Echo")


async def ask(workers: Workers, *messages: bytes) -> list[bytes]:
    """All replies of one job."""
    with anyio.fail_after(20):
        return await ask_patiently(workers, *messages)


async def ask_patiently(workers: Workers, *messages: bytes) -> list[bytes]:
    async with workers.lease() as lease:
        for message in messages:
            await lease.send(message)
        lease.finish()
        return [reply async for reply in lease]


async def test_a_job_is_messages_in_and_replies_out() -> None:
    async with pool() as workers:
        assert await ask(workers, b"one", b"", b"count 3") == [b"one", b"", b"0", b"1", b"2"]
        assert await ask(workers) == []


async def test_a_reply_comes_before_the_lessee_has_finished() -> None:
    async with pool() as workers, workers.lease() as lease:
        await lease.send(b"early")

        assert await anext(lease) == b"early"


async def test_what_is_sent_beyond_the_end_of_a_job_reaches_nobody() -> None:
    async with pool() as workers:
        async with workers.lease() as lease:
            await lease.send(b"enough")
            assert [reply async for reply in lease] == []
            await lease.send(b"late")

        assert await ask(workers, b"next") == [b"next"]


@pytest.mark.parametrize("unread_bytes", [1, worker.UNREAD_BYTES])
@pytest.mark.parametrize("endless", [b"spin", b"flood"])
async def test_leaving_early_stops_the_work_and_leaves_nothing_for_the_next(
    endless: bytes, unread_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "UNREAD_BYTES", unread_bytes)
    async with pool() as workers:
        before = workers.process_ids
        async with workers.lease() as lease:
            await lease.send(endless)
            await anext(lease)
            await anyio.wait_all_tasks_blocked()  # as many replies unread as there may be

        assert await ask(workers, b"next") == [b"next"]
        assert workers.process_ids == before


async def test_cancelling_the_lessee_frees_the_worker() -> None:
    async with pool() as workers:
        async with anyio.create_task_group() as tasks:
            await tasks.start(hold, workers, b"spin")
            tasks.cancel_scope.cancel()

        assert await ask(workers, b"next") == [b"next"]


async def hold(workers: Workers, message: bytes, *, task_status: TaskStatus[None]) -> None:
    async with workers.lease() as lease:
        await lease.send(message)
        await anext(lease)
        task_status.started()
        await anyio.sleep_forever()


async def test_a_worker_that_ignores_the_abort_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "GRACE_S", 0.05)
    async with pool() as workers:
        before = workers.process_ids
        async with workers.lease() as lease:
            await lease.send(b"hang")
            await anext(lease)

        assert await ask(workers, b"next") == [b"next"]
        assert workers.process_ids != before


async def test_a_lessee_who_does_not_read_holds_no_worker() -> None:
    async with pool() as workers, workers.lease() as slow:
        await slow.send(b"count 100")
        slow.finish()

        assert await ask(workers, b"next") == [b"next"]
        assert len([reply async for reply in slow]) == 100


async def test_a_worker_waits_for_a_lessee_who_is_far_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "UNREAD_BYTES", 1000)
    async with pool(size=2, waiting=0) as workers, workers.lease() as slow:
        await slow.send(b"blocks 50")
        slow.finish()
        assert len(await ask(workers, b"blocks 50")) == 50
        async with workers.lease():
            with pytest.raises(EngineFailure, match="overloaded"):
                await ask(workers, b"x")

        assert len([reply async for reply in slow]) == 50


async def test_a_fault_in_the_work_fails_the_job_and_not_the_process() -> None:
    async with pool() as workers:
        before = workers.process_ids
        with pytest.raises(EngineFailure, match="Echo failed: ValueError: no such voice"):
            await ask(workers, b"raise")

        assert await ask(workers, b"next") == [b"next"]
        assert workers.process_ids == before


async def test_the_death_of_a_worker_fails_its_job_and_another_takes_its_place() -> None:
    async with pool() as workers:
        with pytest.raises(EngineFailure, match=r"Echo ended \(exit status 3\)"):
            await ask(workers, b"exit")

        assert await ask(workers, b"next") == [b"next"]


async def test_a_worker_killed_at_work_disturbs_no_other() -> None:
    async with pool(size=2) as workers, workers.lease() as doomed, workers.lease() as other:
        await doomed.send(b"pid")
        os.kill(int(await anext(doomed)), signal.SIGKILL)
        with pytest.raises(EngineFailure, match="signal 9"):
            await anext(doomed)
        with pytest.raises(EngineFailure, match="signal 9"):
            await doomed.send(b"more")

        await other.send(b"undisturbed")
        assert await anext(other) == b"undisturbed"


async def test_a_worker_killed_at_rest_is_replaced() -> None:
    async with pool() as workers:
        (killed,) = workers.process_ids
        end = os.pidfd_open(killed)
        os.kill(killed, signal.SIGKILL)
        await anyio.wait_readable(end)
        os.close(end)

        with suppress(EngineFailure):  # leased before the death was noticed
            await ask(workers, b"first")

        assert await ask(workers, b"next") == [b"next"]
        assert killed not in workers.process_ids


async def test_jobs_are_done_in_the_order_in_which_they_were_asked_for() -> None:
    done: list[int] = []

    async def one(workers: Workers, number: int) -> None:
        await ask(workers, b"x")
        done.append(number)

    async with pool(waiting=20) as workers, anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(one, workers, number)

    assert done == list(range(20))


async def test_more_waiting_than_there_is_room_for_is_refused_and_the_rest_is_served() -> None:
    refused: list[EngineFailure] = []
    served: list[bytes] = []

    async def one(workers: Workers) -> None:
        try:
            served.extend(await ask(workers, b"x"))
        except EngineFailure as failure:
            refused.append(failure)

    async with pool(waiting=2) as workers, anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(one, workers)

    assert [failure.code for failure in refused] == ["overloaded"] * 2
    assert served == [b"x"] * 3


async def test_one_who_stops_waiting_leaves_the_place_to_another() -> None:
    async with pool(waiting=1) as workers, anyio.create_task_group() as tasks, workers.lease():
        with anyio.move_on_after(0):
            await ask_patiently(workers, b"never")
        tasks.start_soon(ask, workers, b"x")
        await anyio.wait_all_tasks_blocked()


async def test_one_who_is_cancelled_as_the_turn_comes_passes_it_on() -> None:
    waiter: list[asyncio.Task[object]] = []

    async def wait(workers: Workers) -> None:
        task = asyncio.current_task()
        assert task is not None
        waiter.append(task)
        await ask_patiently(workers, b"never")

    async with pool() as workers:
        async with anyio.create_task_group() as tasks, workers.lease() as held:
            tasks.start_soon(wait, workers)
            await anyio.wait_all_tasks_blocked()
            held.finish()
            assert [reply async for reply in held] == []
            waiter[0].cancel()  # a native one: an anyio scope would let it have its turn first

        assert await ask(workers, b"next") == [b"next"]


async def test_a_model_that_cannot_be_loaded_is_reported_at_once_with_the_reason() -> None:
    workers = Workers(absent, size=1, waiting=1, name="Absent")

    with pytest.raises(EngineFailure, match="Absent cannot be started: OSError: no model here"):
        await workers.__aenter__()

    assert workers.process_ids == ()


async def test_a_worker_that_keeps_dying_is_restarted_less_and_less_often() -> None:
    async with pool() as workers:
        for _ in range(worker.QUICK_DEATHS):
            with pytest.raises(EngineFailure):
                await ask(workers, b"exit")

        with pytest.raises(EngineFailure, match="Echo cannot be started: exit status 3"):
            await ask(workers, b"x")


async def test_leaving_the_pool_ends_its_processes_and_lets_errors_through() -> None:
    pids: list[int] = []

    async def fail_at_work() -> None:
        async with pool(size=2) as workers, workers.lease() as lease:
            pids.extend(workers.process_ids)
            await lease.send(b"spin")
            await anext(lease)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_at_work()

    assert len(pids) == 2
    assert not any(exists(pid) for pid in pids)


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_pool_that_was_left_lets_nobody_wait() -> None:
    async with pool() as workers:
        pass

    with pytest.raises(EngineFailure, match="Echo has been stopped"):
        await ask(workers, b"x")


async def test_no_descriptor_is_left_open() -> None:
    async with pool():
        pass
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        async with pool() as workers:
            await ask(workers, b"x")

    assert len(os.listdir("/proc/self/fd")) == len(before)


async def test_cancelling_whoever_has_the_pool_ends_its_processes() -> None:
    pids: list[int] = []

    async def have(*, task_status: TaskStatus[None]) -> None:
        async with pool() as workers:
            pids.extend(workers.process_ids)
            task_status.started()
            await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        await tasks.start(have)
        tasks.cancel_scope.cancel()

    assert pids
    assert not exists(pids[0])


async def test_an_interrupt_or_a_termination_of_the_group_leaves_the_workers_working() -> None:
    async with pool() as workers, workers.lease() as lease:
        await lease.send(b"first")
        await anext(lease)
        os.kill(workers.process_ids[0], signal.SIGINT)
        os.kill(workers.process_ids[0], signal.SIGTERM)
        await lease.send(b"second")

        assert await anext(lease) == b"second"


KEEP_A_POOL = """
import sys, anyio
from test_worker import pool

async def main():
    async with pool(size=2) as workers, workers.lease() as lease:
        await lease.send(b"print")
        await anext(lease)
        await lease.send(b"flood")
        await anext(lease)
        print(*workers.process_ids, flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


def test_workers_end_with_a_parent_that_is_killed_and_never_print_on_its_standard_output() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", KEEP_A_POOL],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.path.dirname(__file__)},
    )
    with parent:
        assert parent.stdout is not None
        ends = [os.pidfd_open(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()

    assert len(ends) == 2
    for end in ends:
        ended, _, _ = select.select([end], [], [], 10)
        os.close(end)
        assert ended


def test_a_pool_can_be_made_before_there_is_a_loop() -> None:
    assert Workers(obedient, size=1, waiting=1, name="obedient").process_ids == ()
