"""Recorded conversations played again: the same inputs at the same times give the same bytes."""

import pytest
from golden_recordings import RECORDINGS, Recording, difference, played, read, text_of
from golden_scenarios import SCENARIOS, Scenario

from vivavoce.conformance.laws import Laws
from vivavoce.dialects.api import Dialect
from vivavoce.testing.frames import check_frames, official

LARGEST = 30_000  # bytes of a recording, which is to be read by people

CASES = [(scenario, dialect) for scenario in SCENARIOS for dialect in scenario.dialects]
each = pytest.mark.parametrize(
    ("scenario", "dialect"), CASES, ids=[f"{dialect}/{each.name}" for each, dialect in CASES]
)


def recording_of(scenario: Scenario, dialect: Dialect) -> Recording:
    path = scenario.setting(dialect).path
    assert path.exists(), "it was never recorded: say python scripts/record_golden.py"
    return read(path)


def test_recordings_and_scenarios_match_one_to_one() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)

    kept = {path for path in RECORDINGS.rglob("*") if path.is_file()}

    assert kept == {scenario.setting(dialect).path for scenario, dialect in CASES}


@each
def test_what_was_recorded_is_the_scenario(scenario: Scenario, dialect: Dialect) -> None:
    recording = recording_of(scenario, dialect)

    assert recording.setting == scenario.setting(dialect)
    assert recording.inputs == scenario.inputs(dialect)


@each
def test_played_again_a_recording_is_the_same_to_the_byte(
    scenario: Scenario, dialect: Dialect
) -> None:
    recording = recording_of(scenario, dialect)

    now = played(recording.setting, recording.inputs)

    parted = difference(recording.lines, now)
    assert parted is None, f"{parted}\nIf that is meant, say python scripts/record_golden.py"
    assert text_of(now).encode() == recording.setting.path.read_bytes()


@each
def test_events_come_in_the_order_of_the_protocol(scenario: Scenario, dialect: Dialect) -> None:
    frames = recording_of(scenario, dialect).frames

    assert [frame["type"] for frame in frames] == scenario.types(dialect)


@each
def test_limits_name_requests_in_the_older_dialect_alone(
    scenario: Scenario, dialect: Dialect
) -> None:
    frames = recording_of(scenario, dialect).frames

    told = [frame["rate_limits"] for frame in frames if frame["type"] == "rate_limits.updated"]

    named = ["requests", "tokens"] if dialect == "preview" else ["tokens"]
    assert [[limit["name"] for limit in limits] for limits in told] == [named] * len(told)


@each
def test_every_recorded_frame_is_well_formed(scenario: Scenario, dialect: Dialect) -> None:
    recording = recording_of(scenario, dialect)

    check_frames(recording.frames, dialect, transport=recording.setting.transport)


@each
def test_every_recording_holds_the_laws(scenario: Scenario, dialect: Dialect) -> None:
    laws = Laws(dialect)

    broken = [law for frame in recording_of(scenario, dialect).frames for law in laws.see(frame)]

    assert broken + laws.end() == []


@pytest.mark.parametrize(
    "scenario", [scenario for scenario, dialect in CASES if dialect == "ga"], ids=lambda it: it.name
)
def test_the_official_client_takes_every_recorded_frame(scenario: Scenario) -> None:
    for frame in recording_of(scenario, "ga").frames:
        official(frame)


@each
def test_a_recording_is_short_enough_to_be_read(scenario: Scenario, dialect: Dialect) -> None:
    assert scenario.setting(dialect).path.stat().st_size < LARGEST


def test_a_difference_is_shown_where_it_is() -> None:
    setting = SCENARIOS[0].setting("ga")
    recorded = played(setting, SCENARIOS[0].inputs("ga"))
    other = (*recorded[:-1], recorded[-1].replace('"marin"', '"cedar"'))

    told = difference(recorded, other)

    assert told is not None
    assert told.startswith(f"line {len(recorded)}:\n")
    assert [line.strip("+- ,") for line in told.splitlines() if line[0] in "+-"][2:] == [
        '"voice": "marin"',
        '"voice": "cedar"',
    ]
    assert difference(recorded, recorded) is None
    assert "nothing more" in (difference(recorded, recorded[:-1]) or "")
