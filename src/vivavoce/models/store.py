"""Where models lie on this machine: a folder for each, and a manifest in it once it is whole.

A pull writes each file's part under the name of its contents, checks it, moves it into place, and
writes the manifest last. So a pull may end anywhere: the next goes on from there, and what has no
manifest is never taken for a model.
"""

import difflib
import errno
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import platformdirs

from vivavoce.models import manifest
from vivavoce.models.catalogue import CATALOGUE, Model
from vivavoce.models.hub import Hub, HubError, Offered
from vivavoce.models.manifest import Manifest, ModelFile, Origin

PARTS = ".partly"
MEGABYTE = 1_000_000

State = Literal["here", "partly", "missing"]
Progress = Callable[[int, int], None]  # bytes that are here, of how many


class ModelError(Exception):
    """A model cannot be used or had; the message says what to do."""


class UnknownModel(ModelError):  # noqa: N818 - named by what the operator has to know
    """No model is called that."""


class ModelMissing(ModelError):  # noqa: N818 - named by what the operator has to know
    """It is not on this machine; the message has the command that brings it."""


def _unwatched(_here: int, _of: int) -> None:
    return None


class Store:
    """The models below *folder*, which is `models` in the data folder.

    Finding costs a few looks at the file system; verifying reads every byte. `pull` alone uses the
    network, and blocks. The hub is the one at *endpoint*, else that of HF_ENDPOINT, else the public one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        catalogue: Mapping[str, Model] = CATALOGUE,
        endpoint: str | None = None,
    ) -> None:
        self._folder = folder
        self._catalogue = catalogue
        self._hub = Hub(endpoint)

    @property
    def models(self) -> tuple[Model, ...]:
        """All that can be pulled."""
        return tuple(self._catalogue.values())

    def model(self, name: str) -> Model:
        """The catalogue's entry, or UnknownModel with the nearest name."""
        if name in self._catalogue:
            return self._catalogue[name]
        near = difflib.get_close_matches(name, self._catalogue, n=1, cutoff=0.4)
        advice = f"did you mean {near[0]}?" if near else "`vivavoce models list` lists them"
        raise UnknownModel(f"{name}: there is no such model; {advice}")

    def path(self, name: str) -> Path:
        """Its folder, whether it is there or not."""
        return self._folder / self.model(name).name

    def find(self, name_or_folder: str | Path) -> Path:
        """The folder of a model that is whole, or any folder that is given; else ModelMissing.

        A name of the catalogue is that model, even if there is a folder called so.
        """
        name = str(name_or_folder)
        if name in self._catalogue:
            if not self.present(name):
                raise ModelMissing(self._lacking(name))
            return self.path(name)
        folder = Path(name).expanduser()
        if folder.is_dir():
            return folder
        if folder.name != name:
            raise ModelMissing(f"{folder}: there is no such folder; name one that holds a model")
        self.model(name)
        raise AssertionError(name)  # the line above has raised

    def present(self, name: str) -> bool:
        """Is it wholly here?"""
        return self.state(name) == "here"

    def state(self, name: str) -> State:
        """Partly here is what a pull has not finished, what lost a file, and what is out of date."""
        folder = self.path(name)
        found = manifest.read(folder)
        if found and found.answers(self.model(name)) and found.whole(folder):
            return "here"
        return "partly" if folder.is_dir() and any(folder.iterdir()) else "missing"

    def verify(self, name: str) -> tuple[str, ...]:
        """What is wrong with its contents, a sentence for each file; ModelMissing if it is not here."""
        found = manifest.read(self.path(name))
        if found is None:
            raise ModelMissing(self._lacking(name))
        return found.faults(self.path(name))

    def files(self, name: str) -> tuple[ModelFile, ...]:
        """What its manifest lists; none if it has no manifest."""
        found = manifest.read(self.path(name))
        return found.files if found else ()

    def pull(self, name: str, progress: Progress = _unwatched) -> bool:
        """Have it here, whole and verified; False if it was so already, and nothing was done.

        What an interrupted pull brought is gone on with. Files that fail their checksum are removed.
        """
        model = self.model(name)
        if self.present(name) and not self.verify(name):
            return False
        try:
            with self._alone(name):
                self._pull(model, progress)
        except HubError as error:
            raise ModelError(f"{name}: {error}") from None
        except OSError as error:
            raise ModelError(f"{name}: {self._unwritable(error)}") from None
        return True

    def remove(self, name: str) -> int:
        """Delete what is here of it; how many bytes that was."""
        folder = self.path(name)
        if not folder.is_dir():
            raise ModelMissing(f"{name}: is not here, so there is nothing to remove")
        freed = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise ModelError(f"{name}: {self._unwritable(error)}") from None
        return freed

    def command(self, name: str) -> str:
        """What to type to have it here."""
        data_dir = self._folder.parent
        usual = data_dir == platformdirs.user_data_path("vivavoce")
        where = "" if usual else f" --data-dir {shlex.quote(str(data_dir))}"
        return f"vivavoce models pull {name}{where}"

    def _lacking(self, name: str) -> str:
        how = "is only partly here" if self.state(name) == "partly" else "is not here"
        size = self.model(name).megabytes
        return f"the model {name} {how}; to have its {size} MB: {self.command(name)}"

    def _pull(self, model: Model, progress: Progress) -> None:
        folder = self.path(model.name)
        offered = [self._hub.offers(source) for source in model.sources]
        files = [file for each in offered for file in each]
        before = manifest.read(folder)
        folder.mkdir(exist_ok=True)
        (folder / manifest.NAME).unlink(missing_ok=True)
        if before:
            _drop({file.path for file in before.files} - {file.place for file in files}, folder)
        kept = {file.place: held for file in files if (held := _held(file, folder))}
        self._require_room(model, [file for file in files if file.place not in kept])
        pull = _Progress(progress, sum(file.size for file in files))
        pull.arrived(sum(file.size for file in kept.values()))
        manifest.write(
            folder,
            Manifest(
                name=model.name,
                licence=model.licence,
                origins=tuple(
                    Origin(source, found[0].commit)
                    for source, found in zip(model.sources, offered, strict=True)
                ),
                files=tuple(
                    kept.get(file.place) or self._bring(file, folder, pull) for file in files
                ),
            ),
        )
        shutil.rmtree(folder / PARTS, ignore_errors=True)

    def _bring(self, file: Offered, folder: Path, pull: "_Progress") -> ModelFile:
        part = _part(file, folder)
        part.parent.mkdir(exist_ok=True)
        if _size(part) > file.size:
            part.unlink()
        pull.arrived(_size(part))
        part.touch()
        self._hub.fetch(file, part, pull.arrived)
        digests = manifest.digests(part)
        if not file.is_that(digests):
            part.unlink()
            raise ModelError(
                f"{file.path} of {file.repository} has another checksum than the hub states; it was "
                "removed: pull again, or from another endpoint"
            )
        place = folder / file.place
        place.parent.mkdir(parents=True, exist_ok=True)
        part.replace(place)
        return ModelFile(file.place, file.size, digests.sha256)

    def _require_room(self, model: Model, wanted: Sequence[Offered]) -> None:
        folder = self.path(model.name)
        needed = sum(max(0, file.size - _size(_part(file, folder))) for file in wanted)
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise ModelError(
                f"{model.name}: needs {_megabytes(needed)} MB more, and {_megabytes(free)} MB are free "
                f"in {self._folder}; make room, or name another place by --data-dir"
            )

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """No other process pulls this model meanwhile. The lock goes with the process."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # It stays there: whoever unlinks a lock takes it from one who has just opened it.
        lock = os.open(self._folder / f".{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _locked(lock):
                raise ModelError(f"{name}: is being pulled by another process; wait for it")
            yield
        finally:
            os.close(lock)

    def _unwritable(self, error: OSError) -> str:
        place = error.filename or self._folder
        if error.errno == errno.ENOSPC:
            return f"{place}: the disk is full; make room and pull again, it goes on from there"
        return (
            f"{place}: {error.strerror or error}; see that it can be written, or name another place "
            "by --data-dir"
        )


class _Progress:
    """Adds up what arrives of all files."""

    def __init__(self, tell: Progress, of: int) -> None:
        self._tell, self._here, self._of = tell, 0, of

    def arrived(self, count: int) -> None:
        self._here += count
        self._tell(self._here, self._of)


def _held(file: Offered, folder: Path) -> ModelFile | None:
    """The file if it lies in its place already, with the right contents."""
    place = folder / file.place
    if not place.is_file() or place.stat().st_size != file.size:
        return None
    digests = manifest.digests(place)
    return ModelFile(file.place, file.size, digests.sha256) if file.is_that(digests) else None


def _part(file: Offered, folder: Path) -> Path:
    return folder / PARTS / file.key


def _drop(paths: set[str], folder: Path) -> None:
    for path in paths:
        (folder / path).unlink(missing_ok=True)


def _locked(lock: int) -> bool:
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _megabytes(count: int) -> int:
    return -(-count // MEGABYTE)
