"""What outlives the process besides keys and certificates: one SQLite file in the data folder.

Each call opens the file and closes it again, so calls may come from any thread and any process. They
take about a millisecond, but wait for a disk or for another process that is writing: in a loop, call
them in a thread. The file is made by the first call that writes; SQLite needs a folder that can be
written even to read it.
"""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from vivavoce.config import Table

FILE = "vivavoce.db"
SCHEMA_VERSION = 1
SCHEMA = """
create table deployments (
    name text primary key,
    settings text not null check (json_type(settings) = 'object')
)
"""
PATIENCE_S = 5.0  # for another process that is writing


class StoreError(Exception):
    """Nothing can be read or kept; the message names the file, and says what to do."""


class Exists(Exception):  # noqa: N818 - the caller decides whether that is an error
    """There is one of that name already."""


class Store:
    """What is kept in one data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / FILE

    def deployments(self) -> dict[str, Table]:
        """The settings of every deployment by its name, the oldest first. StoreError."""
        if not self.path.exists():
            return {}
        with self._open() as database:
            rows = database.execute("select name, settings from deployments order by rowid")
            return {name: msgspec.json.decode(settings, type=Table) for name, settings in rows}

    def add_deployment(self, name: str, settings: Table) -> None:
        """Keep a new one. Exists; StoreError."""
        try:
            with self._open() as database:
                database.execute("insert into deployments values (?, ?)", (name, _text(settings)))
        except sqlite3.IntegrityError:
            raise Exists(name) from None

    def change_deployment(self, name: str, settings: Table) -> None:
        """Keep those settings for it. StoreError."""
        with self._open() as database:
            database.execute(
                "insert into deployments values (?, ?) "
                "on conflict (name) do update set settings = excluded.settings",
                (name, _text(settings)),
            )

    def remove_deployment(self, name: str) -> None:
        """Forget it, if it is there. StoreError."""
        with self._open() as database:
            database.execute("delete from deployments where name = ?", (name,))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection to a file with our tables; what is done with it is kept wholly or not at all."""
        try:
            if not self.path.exists():
                _make(self.path)
            with closing(sqlite3.connect(self.path, timeout=PATIENCE_S)) as database:
                _require_ours(database, self.path)
                with database:
                    yield database
        except sqlite3.IntegrityError:
            raise
        except (OSError, sqlite3.Error) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise StoreError(
                f"{self.path}: {why}; set --data-dir to a folder that can be written"
            ) from error


def _make(path: Path) -> None:
    """Put a whole file there, for its owner alone, and none in place of another process's.

    SQLite gives those that it makes beside it the same mode.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(fresh)) as database:
            database.execute("pragma journal_mode = wal")
            database.execute(SCHEMA)
            database.execute(f"pragma user_version = {SCHEMA_VERSION}")
        settle(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def settle(fresh: Path, path: Path) -> None:
    """Put a file that is complete at its place, unless another process has put one there."""
    try:
        path.hardlink_to(fresh)
    except FileExistsError:  # another process was faster
        return
    except OSError:  # some file systems know no links
        fresh.rename(path)


def _require_ours(database: sqlite3.Connection, path: Path) -> None:
    found = int(database.execute("pragma user_version").fetchone()[0])
    if found > SCHEMA_VERSION:
        raise StoreError(
            f"{path}: was made by a later version (its schema is {found}, known here is "
            f"{SCHEMA_VERSION}); use that version, or another --data-dir"
        )
    if found < SCHEMA_VERSION:
        raise StoreError(f"{path}: is a database, but none of ours; move it, or set --data-dir")


def _text(settings: Table) -> str:
    return msgspec.json.encode(settings).decode()
