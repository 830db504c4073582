"""The data folder, as engines find it that keep a model there."""

import os
from pathlib import Path

from vivavoce.config import Config

VARIABLE = "VIVAVOCE_DATA_DIR"


def show_to_engines(data_dir: Path) -> None:
    """Have engines look there for their models, however the folder was named."""
    if os.environ.get(VARIABLE) or data_dir != Config().data_dir:
        os.environ[VARIABLE] = str(data_dir)
