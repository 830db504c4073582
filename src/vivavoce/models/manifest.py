"""What a model's folder is said to hold, and whether it does. Deciding needs no network."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from vivavoce.models.catalogue import Model, Source

NAME = "vivavoce-model.json"
BLOCK = 1 << 20


class ModelFile(Struct, frozen=True):
    """A file by its path below the model's folder."""

    path: str
    size: int
    sha256: str


class Origin(Struct, frozen=True):
    """What was asked for, and the commit that it was then."""

    source: Source
    commit: str


class Manifest(Struct, frozen=True):
    """A model that is wholly here: the last thing a pull writes."""

    name: str
    licence: str
    origins: tuple[Origin, ...]
    files: tuple[ModelFile, ...]

    def answers(self, model: Model) -> bool:
        """Was it pulled for what the catalogue asks for now?"""
        return tuple(origin.source for origin in self.origins) == model.sources

    def whole(self, folder: Path) -> bool:
        """Is every file there with its size? Looks at no contents, so it costs nothing."""
        return all(_size(folder / file.path) == file.size for file in self.files)

    def faults(self, folder: Path) -> tuple[str, ...]:
        """What is wrong with the files' contents, a sentence for each; reads them all."""
        return tuple(fault for file in self.files if (fault := _fault(folder, file)))


class Digests(Struct, frozen=True):
    """A file's contents by both names that the hub has for them."""

    sha256: str
    git_blob: str


def read(folder: Path) -> Manifest | None:
    """The folder's manifest, if it has one that can be read."""
    try:
        return msgspec.json.decode((folder / NAME).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return None


def write(folder: Path, manifest: Manifest) -> None:
    """Put it there, wholly or not at all."""
    new = folder / f"{NAME}.new"
    with new.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest)))
        file.flush()
        os.fsync(file.fileno())
    new.replace(folder / NAME)


def digests(path: Path) -> Digests:
    """Read once, for both."""
    sha256 = hashlib.sha256()
    # How git names a file: its length comes first.
    blob = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            sha256.update(block)
            blob.update(block)
    return Digests(sha256.hexdigest(), blob.hexdigest())


def total(files: Iterable[ModelFile]) -> int:
    """Their bytes."""
    return sum(file.size for file in files)


def _fault(folder: Path, file: ModelFile) -> str | None:
    size = _size(folder / file.path)
    if size is None:
        return f"{file.path} is missing"
    if size != file.size:
        return f"{file.path} has {size} bytes, not {file.size}"
    if digests(folder / file.path).sha256 != file.sha256:
        return f"{file.path} has other contents than were pulled"
    return None


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
