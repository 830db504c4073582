"""What every test may use."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from vivavoce.conformance.catalogue import DialectName
from vivavoce.conformance.validator import faults
from vivavoce.core.events import ServerEvent
from vivavoce.dialects.ga_writing import GaWriter
from vivavoce.dialects.preview import PreviewWriter
from vivavoce.testing.frames import decoded, official
from vivavoce.testing.virtual_time import VirtualLoop

BESIDE = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """asyncio is the only loop.

    In `tests/server` both ends of a connection share one, so its time may be virtual: starting,
    stopping and waiting take none. What needs a thread there says so and runs in real time.
    """
    virtual = request.path.parent.name == "server"
    return "asyncio", {"loop_factory": VirtualLoop} if virtual else {}


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of human speech and published examples, which lies beside the checkout."""
    folder = Path(os.environ.get("VIVAVOCE_SHARED", BESIDE))
    if folder.is_dir():
        return folder
    if os.environ.get("VIVAVOCE_REQUIRE_SHARED") == "1":
        pytest.fail(f"VIVAVOCE_REQUIRE_SHARED is set, but there is no folder {folder}")
    pytest.skip(f"no folder {folder}: set VIVAVOCE_SHARED to hear human speech in the tests")


Encode = Callable[[GaWriter, ServerEvent], Sequence[bytes]]


@pytest.fixture(autouse=True)
def frames_are_right(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Whatever frame is written in whatever test passes the validator, and for GA the official types.

    Tests that judge hundreds of thousands of frames by themselves say so.
    """
    found: list[str] = []
    encode: Encode = GaWriter.encode

    def watched(writer: GaWriter, event: ServerEvent) -> Sequence[bytes]:
        frames = encode(writer, event)
        dialect: DialectName = "preview" if isinstance(writer, PreviewWriter) else "ga"
        for frame in map(decoded, frames):
            found.extend(f"{frame['type']}: {fault}" for fault in faults(frame, dialect))
            if dialect == "ga" and not found:
                official(frame)
        return frames

    if request.node.get_closest_marker("judges_frames") is None:
        monkeypatch.setattr(GaWriter, "encode", watched)
    yield
    assert not found, "\n".join(found)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The engines of the extras are installed by `make test-engines` alone, which asks for them."""
    asked = config.option.markexpr == "extras"
    return True if collection_path.name == "engines_extra" and not asked else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was left out for want of the folder."""
    skipped = terminalreporter.stats.get("skipped", [])
    silent = [report for report in skipped if "VIVAVOCE_SHARED" in str(report.longrepr)]
    if silent:
        terminalreporter.write_line(
            f"left out {len(silent)} tests that hear human speech or run published examples: "
            f"there is no folder {Path(os.environ.get('VIVAVOCE_SHARED', BESIDE))}"
        )
