"""From times to figures."""

import subprocess
import sys

import pytest

from vivavoce.cli.address import Misuse
from vivavoce.cli.bench import Load, Server, quantiles, row, tables
from vivavoce.cli.load import Times

LOAD = Load(
    sessions=4,
    times=Times(stopped_late=[3.0, 1.0, 2.0], errors=["b", "a", "b"]),
    cpu_s=2.0,
    own_cpu_s=0.5,
    machine_s=6.5,
    rss_kb=(1000.0, 1400.0, 3000.0),
)


def test_the_quantiles_of_nothing_are_none() -> None:
    assert quantiles([]) is None


def test_every_quantile_of_a_single_time_is_that_time() -> None:
    assert quantiles([7.125]) == {"p50": 7.12, "p95": 7.12, "p99": 7.12}


def test_a_quantile_is_the_least_time_that_so_many_do_not_exceed() -> None:
    hundred = [float(number) for number in range(100, 0, -1)]

    assert quantiles(hundred) == {"p50": 50, "p95": 95, "p99": 99}


def test_one_late_turn_in_ten_shows_in_the_95th_hundredth_and_not_in_the_median() -> None:
    assert quantiles([1.0] * 9 + [500.0]) == {"p50": 1, "p95": 500, "p99": 500}


def test_processor_time_is_shared_among_sessions_and_seconds() -> None:
    assert row(LOAD, 10)["cpu_ms_per_session_second"] == 50


def test_memory_counts_from_before_the_sessions_came() -> None:
    figures = row(LOAD, 10)

    assert figures["idle_rss_kb_per_session"] == 100
    assert figures["rss_kb_per_session"] == 500


def test_the_drivers_own_processor_time_is_told_in_cores() -> None:
    assert row(LOAD, 10)["driver_cores"] == 0.05


def test_what_neither_the_server_nor_the_driver_spent_was_spent_by_others() -> None:
    assert row(LOAD, 10)["foreign_cores"] == 0.4


def test_of_a_server_elsewhere_only_times_are_told() -> None:
    figures = row(LOAD, 10, known=False)

    assert figures["turns"] == 3
    assert figures["cpu_ms_per_session_second"] is None
    assert figures["idle_rss_kb_per_session"] is None
    assert figures["rss_kb_per_session"] is None
    assert figures["rss_mb"] is None
    assert figures["foreign_cores"] is None


def test_each_error_is_told_once() -> None:
    assert row(LOAD, 10)["errors"] == ["a", "b"]


def test_the_tables_have_a_line_for_each_row_and_a_dash_for_what_is_not_known() -> None:
    lines = tables([row(LOAD, 10), row(LOAD, 10, known=False)]).splitlines()

    assert lines[0] == "milliseconds, as median/95th/99th hundredth"
    assert [line.split() for line in lines[2:4]] == [["4", "-", "2/3/3", "-", "-"]] * 2
    assert lines[5] == "cost of each session to the server"
    assert lines[7].split() == ["4", "50.0", "100", "500"]
    assert lines[8].split() == ["4", "-", "-", "-"]


@pytest.mark.parametrize("late_ms", [9.4, 999.4, 99999.4])
def test_the_tables_fit_a_terminal_however_late_a_server_is(late_ms: float) -> None:
    late = [late_ms] * 3
    times = Times(stopped_late=late, first_audio=late, interrupted=late, own_lag=[999.4] * 3)
    load = Load(
        1024,
        times,
        cpu_s=0.9 * 1024,
        own_cpu_s=0.5,
        machine_s=6.5,
        rss_kb=(0.0, 200.0 * 1024, 90000.0 * 1024),
    )

    lines = tables([row(load, 10)]).splitlines()

    assert max(map(len, lines)) <= 80
    assert len({len(line) for line in lines[1:3]}) == len({len(line) for line in lines[5:7]}) == 1


def test_a_server_that_has_gone_costs_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        server = Server.found(process.pid, "ws://127.0.0.1:1")

    assert server.known
    assert (server.cpu_s(), server.rss_kb(), server.engines_rss_kb()) == (0, 0, 0)


def test_a_process_that_there_is_not_is_misuse() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass

    with pytest.raises(Misuse, match=f"no process {process.pid}"):
        Server.found(process.pid, "ws://127.0.0.1:1")
