"""Models come here whole or not at all, from a hub that may fail at any moment."""

import hashlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from vivavoce.engines.registry import SLOTS
from vivavoce.engines.sherpa_folder import RecogniserKind, recogniser_files
from vivavoce.models import (
    CATALOGUE,
    Model,
    ModelError,
    ModelMissing,
    Source,
    Store,
    UnknownModel,
)
from vivavoce.models.catalogue import UNPINNED
from vivavoce.models.manifest import NAME as MANIFEST
from vivavoce.testing.hub import COMMIT, FakeHub, hub_in_thread

WEIGHTS = bytes(range(256)) * 800
REPOSITORY = "somebody/tiny"
FILES = {
    "model.onnx": WEIGHTS,
    "tokens.txt": b"a 0\n",
    "data/lang/en": b"english",
    "test.wav": b"no",
}
MODEL = Model(
    name="tiny-en",
    slot="transcriber",
    engine="tiny",
    options={"encoder": "model.onnx"},
    sources=(Source(REPOSITORY, "main", ("model.onnx", "tokens.txt", "data/*")),),
    licence="MIT",
    terms="https://example.org/licence",
    megabytes=1,
    languages=("en",),
    extra="tiny",
)
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub({REPOSITORY: FILES})


@pytest.fixture
def store(hub: FakeHub, tmp_path: Path) -> Iterator[Store]:
    with hub_in_thread(hub) as address:
        yield store_at(tmp_path, address)


def store_at(data_dir: Path, endpoint: str, model: Model = MODEL) -> Store:
    return Store(data_dir / "models", catalogue={model.name: model}, endpoint=endpoint)


def ranges(hub: FakeHub, path: str) -> list[str | None]:
    return [asked.range for asked in hub.asked if asked.path == path]


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST)
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def test_a_pull_brings_the_files_that_are_asked_for_and_leaves_the_others(store: Store) -> None:
    assert store.pull("tiny-en")

    wanted = {path: data for path, data in FILES.items() if path != "test.wav"}
    assert contents(store.find("tiny-en")) == wanted


def test_the_manifest_says_of_each_file_what_it_is_and_where_it_is_from(store: Store) -> None:
    store.pull("tiny-en")

    manifest = msgspec.json.decode((store.path("tiny-en") / MANIFEST).read_bytes())
    assert manifest["licence"] == "MIT"
    assert manifest["origins"][0]["commit"] == COMMIT
    assert manifest["origins"][0]["source"]["repository"] == REPOSITORY
    assert {
        "path": "model.onnx",
        "size": len(WEIGHTS),
        "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
    } in manifest["files"]


def test_progress_ends_at_all_there_is_and_never_goes_back(store: Store) -> None:
    told: list[tuple[int, int]] = []

    store.pull("tiny-en", lambda here, of: told.append((here, of)))

    size = sum(len(data) for path, data in FILES.items() if path != "test.wav")
    assert told[-1] == (size, size)
    assert told == sorted(told)


def test_a_second_pull_asks_the_hub_for_nothing(store: Store, hub: FakeHub) -> None:
    store.pull("tiny-en")
    hub.asked.clear()
    hub.looked_up = 0

    assert not store.pull("tiny-en")

    assert hub.asked == []
    assert hub.looked_up == 0


def test_a_cut_connection_is_gone_on_after_in_the_same_pull(store: Store, hub: FakeHub) -> None:
    hub.cut["model.onnx"] = [1000, 500]

    store.pull("tiny-en")

    assert ranges(hub, "model.onnx") == [None, "bytes=1000-", "bytes=1500-"]
    assert contents(store.find("tiny-en"))["model.onnx"] == WEIGHTS


def test_what_a_failed_pull_brought_is_not_asked_for_again(store: Store, hub: FakeHub) -> None:
    hub.cut["model.onnx"] = [1000, 0]
    with pytest.raises(ModelError, match="cannot reach"):
        store.pull("tiny-en")
    told: list[int] = []

    store.pull("tiny-en", lambda here, _of: told.append(here))

    assert ranges(hub, "model.onnx")[-1] == "bytes=1000-"
    assert 1000 in told
    assert contents(store.find("tiny-en"))["model.onnx"] == WEIGHTS


def test_files_that_are_whole_are_not_brought_again(store: Store, hub: FakeHub) -> None:
    hub.cut["data/lang/en"] = [0]
    with pytest.raises(ModelError):
        store.pull("tiny-en")

    store.pull("tiny-en")

    assert len(ranges(hub, "model.onnx")) == 1


def test_where_the_hub_knows_no_ranges_the_file_is_brought_from_its_beginning(
    store: Store, hub: FakeHub
) -> None:
    hub.ignores_ranges = True
    hub.cut["model.onnx"] = [1000]
    told: list[int] = []

    store.pull("tiny-en", lambda here, _of: told.append(here))

    assert contents(store.find("tiny-en"))["model.onnx"] == WEIGHTS
    assert told[-1] == sum(len(data) for path, data in FILES.items() if path != "test.wav")


@pytest.mark.parametrize("path", ["model.onnx", "tokens.txt"])
def test_a_file_with_a_wrong_checksum_is_removed_and_named(
    store: Store, hub: FakeHub, path: str
) -> None:
    hub.altered[path] = bytes(len(FILES[path]))

    with pytest.raises(ModelError, match=rf"{path} of somebody/tiny has another checksum.*removed"):
        store.pull("tiny-en")

    assert bytes(len(FILES[path])) not in contents(store.path("tiny-en")).values()
    assert store.state("tiny-en") != "here"


def test_after_a_wrong_checksum_a_pull_from_a_sound_hub_succeeds(
    store: Store, hub: FakeHub
) -> None:
    hub.altered["model.onnx"] = bytes(len(WEIGHTS))
    with pytest.raises(ModelError):
        store.pull("tiny-en")
    hub.altered.clear()

    assert store.pull("tiny-en")


def test_a_model_is_missing_then_partly_there_and_then_here(store: Store, hub: FakeHub) -> None:
    states = [store.state("tiny-en")]
    hub.cut["model.onnx"] = [1000, 0]
    with pytest.raises(ModelError):
        store.pull("tiny-en")
    states.append(store.state("tiny-en"))
    store.pull("tiny-en")
    states.append(store.state("tiny-en"))

    assert states == ["missing", "partly", "here"]


def test_a_model_that_lost_a_file_is_partly_there_until_it_is_pulled(store: Store) -> None:
    store.pull("tiny-en")
    (store.path("tiny-en") / "tokens.txt").unlink()

    assert store.state("tiny-en") == "partly"
    assert store.pull("tiny-en")
    assert store.state("tiny-en") == "here"


def test_a_damaged_file_is_found_and_a_pull_repairs_it_alone(store: Store, hub: FakeHub) -> None:
    store.pull("tiny-en")
    damaged = store.path("tiny-en") / "model.onnx"
    damaged.write_bytes(bytes(len(WEIGHTS)))
    hub.asked.clear()

    assert store.verify("tiny-en") == ("model.onnx has other contents than were pulled",)
    assert store.pull("tiny-en")
    assert [asked.path for asked in hub.asked] == ["model.onnx"]
    assert store.verify("tiny-en") == ()


def test_a_damaged_model_is_not_taken_for_whole_when_its_repair_fails(
    store: Store, hub: FakeHub
) -> None:
    store.pull("tiny-en")
    (store.path("tiny-en") / "model.onnx").write_bytes(bytes(len(WEIGHTS)))
    hub.cut["model.onnx"] = [0]

    with pytest.raises(ModelError):
        store.pull("tiny-en")

    assert store.state("tiny-en") == "partly"


def test_a_model_that_the_catalogue_now_pins_elsewhere_is_pulled_anew(
    store: Store, hub: FakeHub, tmp_path: Path
) -> None:
    store.pull("tiny-en")
    newer = msgspec.structs.replace(
        MODEL, sources=(Source(REPOSITORY, COMMIT, ("model.onnx", "tokens.txt")),)
    )
    with hub_in_thread(hub) as address:
        renewed = store_at(tmp_path, address, newer)

        assert renewed.state("tiny-en") == "partly"
        assert renewed.pull("tiny-en")

    assert set(contents(renewed.find("tiny-en"))) == {"model.onnx", "tokens.txt"}


def test_files_of_several_repositories_make_one_model(hub: FakeHub, tmp_path: Path) -> None:
    hub.repositories["somebody/vocoders"] = {"voc/one.onnx": b"voc"}
    both = msgspec.structs.replace(
        MODEL,
        sources=(
            *MODEL.sources,
            Source("somebody/vocoders", "main", ("voc/one.onnx",), above="voc/"),
        ),
    )
    with hub_in_thread(hub) as address:
        store = store_at(tmp_path, address, both)
        store.pull("tiny-en")

    assert contents(store.find("tiny-en"))["one.onnx"] == b"voc"


def test_a_missing_model_is_told_with_the_command_that_brings_it(tmp_path: Path) -> None:
    store = store_at(tmp_path, NOWHERE)

    with pytest.raises(ModelMissing) as told:
        store.find("tiny-en")

    command = f"vivavoce models pull tiny-en --data-dir {tmp_path}"
    assert str(told.value) == f"the model tiny-en is not here; to have its 1 MB: {command}"


def test_in_the_usual_data_folder_the_command_is_no_longer_than_it_has_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_data_path", lambda _name: tmp_path)

    assert store_at(tmp_path, NOWHERE).command("tiny-en") == "vivavoce models pull tiny-en"


def test_a_folder_may_be_given_in_place_of_a_name(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()

    assert store_at(tmp_path, NOWHERE).find(mine) == mine


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="mine: there is no such folder"):
        store_at(tmp_path, NOWHERE).find(tmp_path / "mine")


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(
        UnknownModel, match=r"tinyen: there is no such model; did you mean tiny-en\?"
    ):
        store_at(tmp_path, NOWHERE).find("tinyen")


def test_without_a_network_the_address_and_the_remedy_are_told(tmp_path: Path) -> None:
    store = store_at(tmp_path, NOWHERE)

    with pytest.raises(
        ModelError, match=rf"tiny-en: cannot reach {NOWHERE}: .*refused.*HF_ENDPOINT"
    ):
        store.pull("tiny-en")

    assert store.state("tiny-en") == "missing"


def test_a_closed_repository_is_told_with_what_opens_it(store: Store, hub: FakeHub) -> None:
    hub.closed.add(REPOSITORY)

    with pytest.raises(ModelError, match=r"is not at http.*HF_TOKEN"):
        store.pull("tiny-en")


def test_an_unknown_revision_is_told(hub: FakeHub, tmp_path: Path) -> None:
    model = msgspec.structs.replace(MODEL, sources=(Source(REPOSITORY, "gone", ("model.onnx",)),))
    with (
        hub_in_thread(hub) as address,
        pytest.raises(ModelError, match="somebody/tiny has no revision gone"),
    ):
        store_at(tmp_path, address, model).pull("tiny-en")


def test_a_file_that_the_repository_lacks_is_told(store: Store, hub: FakeHub) -> None:
    del hub.repositories[REPOSITORY]["tokens.txt"]

    with pytest.raises(ModelError, match=r"has no file tokens.txt at revision main"):
        store.pull("tiny-en")


def test_a_hub_in_trouble_is_told_by_its_status(store: Store, hub: FakeHub) -> None:
    hub.status = 500

    with pytest.raises(ModelError, match="answers 500"):
        store.pull("tiny-en")


def test_a_file_name_that_leads_out_of_the_folder_is_refused(hub: FakeHub, tmp_path: Path) -> None:
    hub.repositories[REPOSITORY]["../evil"] = b"!"
    model = msgspec.structs.replace(MODEL, sources=(Source(REPOSITORY, "main", ("*",)),))
    with hub_in_thread(hub) as address, pytest.raises(ModelError, match=r"'\.\./evil'"):
        store_at(tmp_path, address, model).pull("tiny-en")

    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("digest", ["../../evil", "", "ab" * 19, "AB" * 20, "ab" * 40, None, 7])
@pytest.mark.parametrize("kind", ["sha256", "blobId"])
def test_a_digest_that_is_none_is_refused_and_names_no_file(
    hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, digest: object
) -> None:
    def lying(path: str, contents: bytes) -> dict[str, object]:
        told = {"rfilename": path, "size": len(contents), "blobId": "ab" * 20}
        lfs = {"sha256": digest, "size": len(contents), "pointerSize": 130}
        return told | ({"lfs": lfs} if kind == "sha256" else {"blobId": digest})

    monkeypatch.setattr("vivavoce.testing.hub._sibling", lying)
    with (
        hub_in_thread(hub) as address,
        pytest.raises(ModelError, match=r"no digest of 'model\.onnx"),
    ):
        store_at(tmp_path, address).pull("tiny-en")

    assert hub.asked == []
    assert not list(tmp_path.rglob("*evil*"))


def test_the_login_goes_to_the_hub_and_not_to_where_it_redirects(
    store: Store, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")

    store.pull("tiny-en")

    sent = {asked.path: (asked.host, asked.authorization) for asked in hub.asked}
    assert sent["tokens.txt"] == ("127.0.0.1", "Bearer hf_secret")
    assert sent["model.onnx"] == ("localhost", None)


def test_too_little_room_is_told_before_anything_is_brought(
    store: Store, hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=1000))

    with pytest.raises(ModelError, match=r"needs 1 MB more, and 1 MB are free .*--data-dir"):
        store.pull("tiny-en")

    assert hub.asked == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_disk_that_is_full_meanwhile_is_told(store: Store) -> None:
    parts = store.path("tiny-en") / ".partly"
    parts.mkdir(parents=True)
    (parts / hashlib.sha256(WEIGHTS).hexdigest()).symlink_to("/dev/full")

    with pytest.raises(ModelError, match="the disk is full; make room and pull again"):
        store.pull("tiny-en")


def test_a_folder_that_cannot_be_written_is_named(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")

    with (
        hub_in_thread(hub) as address,
        pytest.raises(ModelError, match=r"models.*: File exists; .*--data-dir"),
    ):
        store_at(tmp_path, address).pull("tiny-en")


def test_two_pulls_of_one_model_do_not_write_into_one_file(store: Store) -> None:
    refused: list[str] = []

    def meanwhile(_here: int, _of: int) -> None:
        if not refused:
            with pytest.raises(ModelError) as told:
                store.pull("tiny-en")
            refused.append(str(told.value))

    store.pull("tiny-en", meanwhile)

    assert refused == ["tiny-en: is being pulled by another process; wait for it"]
    assert store.verify("tiny-en") == ()


def test_without_its_package_pulling_names_the_pip_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)

    with pytest.raises(ModelError, match=r"pip install 'vivavoce\[models\]'"):
        store_at(tmp_path, NOWHERE).pull("tiny-en")


def test_removing_deletes_the_files_and_says_how_much_that_was(store: Store) -> None:
    store.pull("tiny-en")

    assert store.remove("tiny-en") > len(WEIGHTS)
    assert store.state("tiny-en") == "missing"


def test_what_is_not_here_can_be_neither_removed_nor_verified(tmp_path: Path) -> None:
    store = store_at(tmp_path, NOWHERE)

    with pytest.raises(ModelMissing, match="nothing to remove"):
        store.remove("tiny-en")
    with pytest.raises(ModelMissing, match="vivavoce models pull tiny-en"):
        store.verify("tiny-en")


@pytest.mark.parametrize("model", CATALOGUE.values(), ids=CATALOGUE.keys())
def test_every_model_of_the_catalogue_can_be_used_and_shown(model: Model) -> None:
    assert model.slot in SLOTS
    assert len(model.name) <= 20
    assert len(model.licence) <= 12
    assert model.terms
    assert model.megabytes > 0


@pytest.mark.parametrize("model", CATALOGUE.values(), ids=CATALOGUE.keys())
def test_every_revision_is_a_whole_commit_unless_it_says_that_it_is_not(model: Model) -> None:
    for source in model.sources:
        commit = len(source.revision) == 40 and set(source.revision) <= set("0123456789abcdef")
        assert commit or source.revision == UNPINNED


@pytest.mark.parametrize("kind", ["zipformer", "whisper", "moonshine", "parakeet", "sense-voice"])
def test_the_recognisers_engine_finds_its_files_among_those_that_are_pulled(
    kind: RecogniserKind, tmp_path: Path
) -> None:
    models = [model for model in CATALOGUE.values() if model.options.get("kind") == kind]
    assert models
    for model in models:
        folder = tmp_path / model.name
        folder.mkdir()
        pulled = {file for source in model.sources for file in source.files} - {"LICENSE"}
        for file in pulled:
            (folder / file).touch()

        found = recogniser_files(folder, kind=kind).arguments.values()

        assert pulled == {Path(value).name for value in found if value.startswith(str(folder))}
