"""Where the files of a local engine's model are: a folder that was named, or one that was pulled."""

import os
from pathlib import Path

import platformdirs

from vivavoce.engines.api import EngineFailure
from vivavoce.models import ModelError, Store


def model_folder(model: str, *, such_as: str) -> Path:
    """The folder that *model* names, or into which the model of that name was pulled.

    Names are looked up in the data folder that `VIVAVOCE_DATA_DIR` names, or in the usual one; whoever
    keeps models elsewhere names the folder.
    `EngineFailure` says what to type, *such_as* being the name of a model that would do.
    """
    named = os.environ.get("VIVAVOCE_DATA_DIR")
    data_dir = Path(named).expanduser() if named else platformdirs.user_data_path("vivavoce")
    store = Store(data_dir / "models")
    try:
        return store.find(model)
    except ModelError as error:
        message = str(error)
        if "vivavoce models pull" not in message:
            message += f"; or pull one: {store.command(such_as)}"
        raise EngineFailure(message) from error
