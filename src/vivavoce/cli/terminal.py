"""What the commands print on."""

import os

from rich.console import Console


def terminal(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """A console; in colour only on a terminal, and not where NO_COLOR is set to anything."""
    # By itself rich would leave out the colours alone, and still print bold and dim.
    if os.environ.get("NO_COLOR"):
        return Console(highlight=False, stderr=stderr, soft_wrap=soft_wrap, color_system=None)
    return Console(highlight=False, stderr=stderr, soft_wrap=soft_wrap)
