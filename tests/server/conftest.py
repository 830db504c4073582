"""Both ends of a connection share one loop here, so time may be virtual: starting, stopping and
waiting take none. A test whose server needs a thread says so and runs in real time.
"""

import pytest

from vivavoce.testing.virtual_time import VirtualLoop


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """asyncio in virtual time."""
    return "asyncio", {"loop_factory": VirtualLoop}
