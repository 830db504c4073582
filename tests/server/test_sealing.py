"""Client secrets: what opens them, what does not, and what their holder can learn."""

import base64
import os
import random
import stat
import threading
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vivavoce.config import ConfigError
from vivavoce.server import sealing
from vivavoce.server.refusals import USED_SECRET, WRONG_SECRET, Denial
from vivavoce.server.sealing import (
    MAX_CONTENT,
    MAX_TOKEN,
    ClientSecret,
    Seal,
    Spent,
    TooLarge,
    sealing_key,
)

KEY = bytes(range(32))
NOW = 1_756_310_000
CANARY = "the heron flies at dawn"


class Wall:
    """A wall clock that is set by hand."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def secret(**says: object) -> ClientSecret:
    """A secret that says those things."""
    return ClientSecret(
        **{  # type: ignore[arg-type]  # the fields of ClientSecret
            "token_id": "ek-1",
            "deployment": "gpt-realtime",
            "model": "gpt-realtime-2025-08-28",
            "dialect": "ga",
            "session": b'{"type":"realtime"}',
            "session_id": "sess_1",
            "created_at": NOW,
            "expires_at": NOW + 600,
            "identity": "key 1",
            **says,
        }
    )


def seal(key: bytes = KEY, now: float = NOW) -> Seal:
    """A seal at that moment."""
    return Seal(key, Wall(now))


SECRETS = st.builds(
    ClientSecret,
    token_id=st.text(max_size=30),
    deployment=st.text(max_size=30),
    model=st.text(max_size=30),
    dialect=st.sampled_from(["ga", "preview"]),
    session=st.binary(max_size=2000),
    session_id=st.text(max_size=30),
    created_at=st.just(NOW),
    expires_at=st.integers(NOW + 1, NOW + 7200),
    identity=st.text(max_size=30),
    locked=st.lists(st.text(max_size=12), max_size=4).map(tuple),
    session_seconds=st.none() | st.integers(1, 3600),
    origins=st.lists(st.text(max_size=12), max_size=4).map(tuple),
    single_use=st.booleans(),
    transcription=st.booleans(),
)


@given(closed=SECRETS)
def test_what_is_closed_opens_unchanged(closed: ClientSecret) -> None:
    assert seal().open(seal().close(closed)) == closed


def test_a_token_fits_every_place_of_a_credential() -> None:
    token = seal().close(secret())
    assert token.startswith("ek_")
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_no_two_tokens_of_one_secret_are_alike() -> None:
    first, second = seal().close(secret()), seal().close(secret())
    assert all(first[at : at + 16] != second[at : at + 16] for at in range(4, len(first) - 16))


@given(where=st.integers(0), bit=st.integers(0, 7))
@settings(max_examples=300)
def test_a_token_with_any_bit_flipped_does_not_open(where: int, bit: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(TOKEN[3:] + "=" * (-len(TOKEN[3:]) % 4)))
    raw[where % len(raw)] ^= 1 << bit
    altered = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    assert seal().open(f"ek_{altered}") == WRONG_SECRET


TOKEN = seal().close(secret(session=random.Random(1).randbytes(300)))


@given(where=st.integers(0), other=st.characters(exclude_categories=["Cs"]))
@settings(max_examples=300)
def test_a_token_with_any_character_altered_does_not_open(where: int, other: str) -> None:
    where %= len(TOKEN)
    if other != TOKEN[where]:
        assert seal().open(TOKEN[:where] + other + TOKEN[where + 1 :]) == WRONG_SECRET


def test_a_token_has_one_spelling() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [TOKEN[:-1] + last for last in alphabet if last != TOKEN[-1]]
    others += [f"{TOKEN}=", f"{TOKEN}==", f"{TOKEN}\n", f" {TOKEN}", f"{TOKEN[:9]} {TOKEN[9:]}"]
    others += [f"{TOKEN[:9]}!{TOKEN[9:]}", TOKEN[3:], f"ek_{TOKEN}", TOKEN.upper()]
    assert all(seal().open(other) == WRONG_SECRET for other in others)


def test_a_truncated_or_lengthened_token_does_not_open() -> None:
    others = [TOKEN[:end] for end in range(len(TOKEN))]
    others += [TOKEN + "A" * more for more in (1, 2, 3, 4, 400, MAX_TOKEN)]
    assert all(seal().open(other) == WRONG_SECRET for other in others)


@given(text=st.text(max_size=200))
def test_whatever_is_no_token_does_not_open(text: str) -> None:
    assert seal().open(f"ek_{text}") == WRONG_SECRET


def test_another_key_does_not_open_it() -> None:
    assert seal(bytes(32)).open(TOKEN) == WRONG_SECRET


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_has_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="32"):
        Seal(bytes(length), Wall())


@pytest.mark.parametrize(("late", "opens"), [(-601, True), (-0.001, True), (0, False), (1, False)])
def test_a_secret_opens_until_the_second_in_which_it_expires(late: float, opens: bool) -> None:
    opened = seal(now=NOW + 600 + late).open(TOKEN)
    assert isinstance(opened, ClientSecret) is opens


@pytest.mark.parametrize("azure", [False, True])
def test_an_expired_secret_is_told_when_it_expired_and_what_to_do(azure: bool) -> None:
    opened = seal(now=NOW + 5000).open(TOKEN)
    assert isinstance(opened, Denial)
    body = msgspec.json.decode(opened.body(azure), type=dict[str, dict[str, str | None]])
    message = body["error"]["message"] or ""
    assert opened.status == 401
    assert "2025-08-27 16:03:20 UTC" in message
    assert "new one" in message
    assert body["error"]["code"] == ("401" if azure else "client_secret_expired")


def test_an_expired_token_that_was_altered_is_not_said_to_be_expired() -> None:
    altered = TOKEN[:40] + ("A" if TOKEN[40] != "A" else "B") + TOKEN[41:]
    assert seal(now=NOW + 5000).open(altered) == WRONG_SECRET


def test_the_holder_finds_nothing_of_the_instructions_in_it() -> None:
    session = msgspec.json.encode({"instructions": CANARY})
    token = seal().close(secret(session=session))
    views = [token.encode(), *decodings(token), *decodings(token.removeprefix("ek_"))]
    views += [unpacked for view in views for unpacked in inflations(view)]
    for view in views:
        for word in (*CANARY.encode().split(), b"instructions", b"gpt-realtime", b"sess_1"):
            if len(word) > 3:
                assert word not in view.lower()


def decodings(text: str) -> list[bytes]:
    """What comes out when it is read as base64 from any of its characters."""
    found = []
    for start in range(8):
        part = text[start:]
        part = part[: len(part) // 4 * 4].replace("_", "/").replace("-", "+")
        found.append(base64.b64decode(part))
    return found


def inflations(raw: bytes) -> list[bytes]:
    """What comes out when it is inflated from any of its bytes."""
    found = []
    for start in range(len(raw)):
        for form in (zlib.MAX_WBITS, -zlib.MAX_WBITS):
            try:
                found.append(zlib.decompressobj(form).decompress(raw[start:]))
            except zlib.error:
                continue
    return found


def test_a_few_more_words_of_instructions_do_not_show_in_its_length() -> None:
    dice = random.Random(3)
    lengths = {len(seal().close(secret(session=dice.randbytes(size)))) for size in range(200, 280)}
    assert len(lengths) <= 2


def test_neither_a_secret_nor_a_key_shows_what_it_holds(tmp_path: Path) -> None:
    held = secret(session=CANARY.encode())
    kept = sealing_key(tmp_path)
    assert "heron" not in repr(held)
    assert repr(kept.key) not in repr(kept)


def test_a_session_that_makes_too_long_a_token_is_refused_with_both_figures() -> None:
    session = random.Random(2).randbytes(20_000)
    with pytest.raises(TooLarge) as refused:
        seal().close(secret(session=session))
    error = refused.value
    assert error.limit == MAX_TOKEN < error.length < 2 * MAX_TOKEN
    assert str(error.length) in str(error)
    assert str(error.limit) in str(error)


@given(size=st.integers(17_000, 18_600))
@settings(max_examples=60)
def test_every_token_that_is_made_also_opens(size: int) -> None:
    held = secret(session=random.Random(size).randbytes(size))
    try:
        token = seal().close(held)
    except TooLarge:
        return
    assert len(token) <= MAX_TOKEN
    assert seal().open(token) == held


def test_a_session_of_which_little_is_left_when_packed_is_bounded_as_well() -> None:
    large = secret(session=bytes(MAX_CONTENT - 1000))
    assert seal().open(seal().close(large)) == large
    with pytest.raises(TooLarge, match=str(MAX_CONTENT)):
        seal().close(secret(session=bytes(MAX_CONTENT)))


def test_a_token_never_becomes_a_value_larger_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "MAX_CONTENT", 10 * MAX_CONTENT)
    token = seal().close(secret(session=bytes(2 * MAX_CONTENT)))
    monkeypatch.undo()
    assert seal().open(token) == WRONG_SECRET


def test_a_secret_of_a_later_version_that_restricts_more_does_not_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = msgspec.structs.asdict(secret())
    encode = msgspec.msgpack.encode
    monkeypatch.setattr(msgspec.msgpack, "encode", lambda _: encode({**known, "only_on": "monday"}))
    token = seal().close(secret())
    assert seal().open(token) == WRONG_SECRET


def once(token_id: str = "ek-1", **says: object) -> ClientSecret:
    """A single-use secret."""
    return secret(token_id=token_id, single_use=True, **says)


def test_a_single_use_secret_is_used_once() -> None:
    spent = Spent(Wall())
    assert [spent.spend(once()), spent.spend(once())] == [None, USED_SECRET]
    assert spent.spend(once("ek-2")) is None


def test_another_secret_is_used_as_often_as_one_likes_and_not_remembered() -> None:
    spent = Spent(Wall())
    assert [spent.spend(secret()), spent.spend(secret()), len(spent)] == [None, None, 0]


def test_a_used_id_is_remembered_until_it_expires_and_no_longer() -> None:
    wall = Wall()
    spent = Spent(wall)
    spent.spend(once("late", expires_at=NOW + 20))
    spent.spend(once("soon", expires_at=NOW + 10))
    wall.now = NOW + 9.9
    assert spent.spend(once("soon", expires_at=NOW + 10)) == USED_SECRET
    wall.now = NOW + 10
    spent.spend(once("other"))
    assert len(spent) == 2
    assert spent.spend(once("late", expires_at=NOW + 20)) == USED_SECRET


def test_a_secret_that_expired_since_it_was_opened_is_not_used_again() -> None:
    wall = Wall()
    spent = Spent(wall)
    spent.spend(once())
    wall.now = NOW + 600
    denial = spent.spend(once())
    assert denial is not None
    assert denial.code == "client_secret_expired"


def test_a_secret_that_expired_since_it_was_opened_is_not_used_at_all() -> None:
    denial = Spent(Wall(NOW + 600)).spend(once(created_at=NOW + 600))
    assert denial is not None
    assert denial.code == "client_secret_expired"


def test_a_clock_that_is_set_back_does_not_revive_a_forgotten_secret() -> None:
    wall = Wall()
    spent = Spent(wall)
    spent.spend(once())
    wall.now = NOW + 700
    spent.spend(once("other", expires_at=NOW + 900))
    wall.now = NOW + 100
    assert spent.spend(once()) is not None
    assert spent.spend(once("fresh", expires_at=NOW + 700)) is None


def test_what_was_made_before_the_memory_began_may_have_been_used_then() -> None:
    wall = Wall(NOW + 0.9)
    spent = Spent(wall)
    assert spent.spend(once(created_at=NOW - 1)) == USED_SECRET
    assert spent.spend(once(created_at=NOW)) is None


def test_a_full_memory_refuses_the_next_and_forgets_nothing_early() -> None:
    wall = Wall()
    spent = Spent(wall, limit=3)
    for number in range(3):
        assert spent.spend(once(f"ek-{number}", expires_at=NOW + 60 + number)) is None
    denial = spent.spend(once("ek-9"))
    assert denial is not None
    assert (denial.status, denial.headers["Retry-After"]) == (429, "60")
    assert spent.spend(once("ek-0", expires_at=NOW + 60)) == USED_SECRET
    assert spent.spend(secret()) is None
    wall.now = NOW + 60
    assert spent.spend(once("ek-9")) is None


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 5), st.integers(1, 30), st.floats(-5, 12)), max_size=60
    ),
    limit=st.integers(1, 5),
)
def test_no_single_use_secret_is_ever_used_twice(
    steps: list[tuple[int, int, float]], limit: int
) -> None:
    wall = Wall()
    spent = Spent(wall, limit)
    lives: dict[str, int] = {}
    used: set[str] = set()
    for number, life, passes in steps:
        token_id = f"ek-{number}"
        expires_at = lives.setdefault(token_id, NOW + life)
        if spent.spend(once(token_id, expires_at=expires_at)) is None:
            assert token_id not in used
            used.add(token_id)
        assert len(spent) <= limit
        wall.now = max(NOW, wall.now + passes)


def test_the_sealing_key_is_made_once_and_kept_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "vivavoce"
    first = sealing_key(folder)
    assert (len(first.key), first.unkept) == (32, None)
    assert sealing_key(folder).key == first.key
    assert [path.name for path in folder.iterdir()] == ["sealing-key"]
    assert stat.S_IMODE((folder / "sealing-key").stat().st_mode) == 0o600


def test_each_folder_has_a_key_of_its_own(tmp_path: Path) -> None:
    assert sealing_key(tmp_path / "a").key != sealing_key(tmp_path / "b").key


def test_all_who_need_the_key_first_at_once_have_the_same(tmp_path: Path) -> None:
    keys: list[bytes] = []
    gate = threading.Barrier(8)

    def need() -> None:
        gate.wait()
        keys.append(sealing_key(tmp_path).key)

    threads = [threading.Thread(target=need) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(keys), len(set(keys))) == (8, 1)


def test_a_key_half_written_is_never_found_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    failed = sealing_key(tmp_path)
    assert "No space left" in (failed.unkept or "")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert sealing_key(tmp_path).unkept is None


def test_a_file_system_without_links_keeps_the_key_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(path: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", unknown)
    first = sealing_key(tmp_path)
    assert first.unkept is None
    assert sealing_key(tmp_path).key == first.key
    assert [path.name for path in tmp_path.iterdir()] == ["sealing-key"]


def test_a_folder_that_cannot_be_written_gives_a_key_for_this_process_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    first, second = (sealing_key(tmp_path / "file" / "data") for _ in range(2))
    assert first.key != second.key
    assert len(first.key) == 32
    assert "sealing-key" in (first.unkept or "")


@pytest.mark.parametrize("content", [b"", b"short", b"A" * 43, b"\xff" * 44, b"A" * 88])
def test_a_file_that_holds_no_key_is_told_to_the_operator(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sealing-key").write_bytes(content)
    with pytest.raises(ConfigError, match="delete it"):
        sealing_key(tmp_path)
    assert (tmp_path / "sealing-key").read_bytes() == content
