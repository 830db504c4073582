"""What every test may use."""

import os
from pathlib import Path

import pytest

BESIDE = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def anyio_backend() -> str:
    """asyncio is the only loop."""
    return "asyncio"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of human speech and published examples, which lies beside the checkout."""
    folder = Path(os.environ.get("VIVAVOCE_SHARED", BESIDE))
    if folder.is_dir():
        return folder
    if os.environ.get("VIVAVOCE_REQUIRE_SHARED") == "1":
        pytest.fail(f"VIVAVOCE_REQUIRE_SHARED is set, but there is no folder {folder}")
    pytest.skip(f"no folder {folder}: set VIVAVOCE_SHARED to hear human speech in the tests")
