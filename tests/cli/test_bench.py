"""From times to figures."""

import pytest

from vivavoce.cli.bench import Load, quantiles, row, table
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


def test_the_table_has_a_line_for_each_row_and_a_dash_for_what_is_not_known() -> None:
    lines = table([row(LOAD, 10), row(LOAD, 10, known=False)]).splitlines()

    assert lines[0].split("  ")[0] == "sessions"
    assert lines[1].split() == ["4", "-", "2/3/3", "-", "-", "50.0", "100", "500"]
    assert lines[2].split() == ["4", "-", "2/3/3", "-", "-", "-", "-", "-"]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize("sessions", [1, 64, 256])
def test_the_table_fits_a_terminal(sessions: int) -> None:
    times = Times(
        stopped_late=[99.4] * 3, first_audio=[999.4] * 3, interrupted=[99.4] * 3, own_lag=[9.4] * 3
    )
    load = Load(
        sessions,
        times,
        cpu_s=0.9 * sessions,
        own_cpu_s=0.5,
        machine_s=6.5,
        rss_kb=(0.0, 200.0 * sessions, 9000.0 * sessions),
    )

    assert all(len(line) <= 80 for line in table([row(load, 10)]).splitlines())
