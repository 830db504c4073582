"""`vivavoce check` looks at what `vivavoce serve` would start with the same options."""

import os
from pathlib import Path

import msgspec
import pytest

from vivavoce.cli import check, main
from vivavoce.engines.registry import Options, Record

pytestmark = pytest.mark.usefixtures("_without_variables")
Examined = dict[tuple[str, str], dict[str, object] | None]


@pytest.fixture
def _without_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("VIVAVOCE_"):
            monkeypatch.delenv(name)
    # So that it is put back: the command shows engines the folder by this variable.
    monkeypatch.setenv("VIVAVOCE_DATA_DIR", str(tmp_path / "usual"))


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> Examined:
    """What each engine was examined with; none is loaded."""
    found: Examined = {}

    async def examine(record: Record, options: Options | None = None) -> Record:
        found[record.slot, record.name] = None if options is None else dict(options)
        return msgspec.structs.replace(record, status="enabled")

    monkeypatch.setattr(check, "examine", examine)
    return found


def test_the_options_of_the_server_mean_the_same(
    examined: Examined, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status = main(
        [
            *("check", "--recipe", "openai-compatible", "--llm", "http://x:1"),
            *("--llm-model", "small", "--llm-key", "k", "--data-dir", str(tmp_path)),
        ]
    )

    assert status == 0
    assert "the recipe openai-compatible answers for gpt-4o-realtime" in capsys.readouterr().out
    server = {"url": "http://x:1", "key": "k"}
    assert examined["language_model", "chat"] == {**server, "model": "small"}
    assert examined["transcriber", "http"] == examined["synthesiser", "http"] == server
    assert examined["transcriber", "pocketsphinx"] is None
    assert os.environ["VIVAVOCE_DATA_DIR"] == str(tmp_path)


def test_a_voice_that_does_not_exist_is_found_before_anything_is_tried(
    examined: Examined, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "vivavoce.toml"
    file.write_text("[deployments.mine]\nvoice = 'zorro'\n")

    status = main(["check", "--config", str(file)])

    assert (status, examined) == (2, {})
    assert "deployments.mine.voice: there is no voice 'zorro'" in capsys.readouterr().err
