"""What outlives the process, in one SQLite file."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from threading import Barrier, Thread

import pytest

from vivavoce.store import SCHEMA_VERSION, Exists, Store, StoreError


def test_what_is_kept_is_there_for_the_next_process(tmp_path: Path) -> None:
    Store(tmp_path).add_deployment("mine", {"voice": "verse", "turn_detection": False})
    Store(tmp_path).add_deployment("a", {})
    assert list(Store(tmp_path).deployments().items()) == [
        ("mine", {"voice": "verse", "turn_detection": False}),
        ("a", {}),
    ]


def test_a_name_is_added_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_deployment("mine", {"voice": "verse"})
    with pytest.raises(Exists):
        store.add_deployment("mine", {})
    assert store.deployments() == {"mine": {"voice": "verse"}}


def test_a_change_replaces_the_settings_and_keeps_the_place(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_deployment("first", {"voice": "verse"})
    store.add_deployment("second", {})
    store.change_deployment("first", {"model": "gpt-realtime"})
    assert list(store.deployments().items()) == [
        ("first", {"model": "gpt-realtime"}),
        ("second", {}),
    ]


def test_what_is_removed_is_gone_and_may_be_added_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_deployment("mine", {})
    store.remove_deployment("mine")
    store.remove_deployment("mine")
    assert store.deployments() == {}
    store.add_deployment("mine", {})


def test_reading_makes_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert Store(folder).deployments() == {}
    assert not folder.exists()


def test_the_file_is_for_its_owner_alone_and_the_folder_too(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    store.add_deployment("mine", {})
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700
    with closing(sqlite3.connect(store.path)) as database:
        assert database.execute("pragma journal_mode").fetchone() == ("wal",)
        assert database.execute("pragma user_version").fetchone() == (SCHEMA_VERSION,)
        database.execute("select * from deployments").fetchall()
        beside = [each for each in store.path.parent.iterdir() if each != store.path]
        assert [stat.S_IMODE(each.stat().st_mode) for each in beside] == [0o600] * len(beside)
        assert beside


def test_what_a_later_version_made_is_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_deployment("mine", {})
    with closing(sqlite3.connect(store.path)) as database:
        database.execute(f"pragma user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match=r"vivavoce\.db: was made by a later version"):
        store.deployments()


def test_a_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with closing(sqlite3.connect(store.path)) as database:
        database.execute("create table songs (name text)")
    with pytest.raises(StoreError, match="is a database, but none of ours"):
        store.add_deployment("mine", {})


def test_nothing_but_the_file_remains_in_the_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_deployment("mine", {})
    assert list(tmp_path.iterdir()) == [store.path]


def test_a_folder_that_cannot_be_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file")
    with pytest.raises(StoreError, match=r"file/vivavoce\.db: .+; set --data-dir to a folder"):
        store.add_deployment("mine", {})


def test_a_file_that_is_no_database_is_named_and_not_touched(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.path.write_text("a shopping list, which is long enough to be looked at" * 20)
    before = store.path.read_bytes()
    with pytest.raises(StoreError, match="not a database"):
        store.deployments()
    assert store.path.read_bytes() == before


def test_settings_that_are_no_object_are_never_in_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add_deployment("mine", {})
    with closing(sqlite3.connect(store.path)) as database, pytest.raises(sqlite3.IntegrityError):
        database.execute("insert into deployments values ('other', '[1]')")


def test_several_that_begin_at_once_make_one_file(tmp_path: Path) -> None:
    start = Barrier(4)
    failed: list[Exception] = []

    def add(name: str) -> None:
        start.wait()
        try:
            Store(tmp_path).add_deployment(name, {})
        except Exception as error:  # noqa: BLE001 - asserted below, in the thread of the test
            failed.append(error)

    threads = [Thread(target=add, args=(f"d{number}",)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failed == []
    assert sorted(Store(tmp_path).deployments()) == ["d0", "d1", "d2", "d3"]
