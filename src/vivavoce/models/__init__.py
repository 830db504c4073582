"""Model files: which there are, where each lies on this machine, and how it comes here."""

from vivavoce.models.catalogue import CATALOGUE, Model, Source
from vivavoce.models.manifest import ModelFile
from vivavoce.models.store import ModelError, ModelMissing, State, Store, UnknownModel

__all__ = [
    "CATALOGUE",
    "Model",
    "ModelError",
    "ModelFile",
    "ModelMissing",
    "Source",
    "State",
    "Store",
    "UnknownModel",
]
