"""Counting by a vocabulary, with a tiny one in the real format."""

import sys
from base64 import b64encode
from pathlib import Path
from unittest.mock import patch

import pytest
from tiktoken_ext import openai_public  # type: ignore[import-untyped]

from vivavoce.config import ConfigError
from vivavoce.vocabulary import EXACT_CHARACTERS, PATTERN, counter

MERGES = ("he", "ll", "hell", "hello", " w", "or", "ld", " wor", " world")


@pytest.fixture
def vocabulary(tmp_path: Path) -> Path:
    """Every byte, and what `hello world` is merged by."""
    tokens = [bytes([byte]) for byte in range(256)] + [word.encode() for word in MERGES]
    path = tmp_path / "tiny.tiktoken"
    lines = (f"{b64encode(token).decode()} {rank}\n" for rank, token in enumerate(tokens))
    path.write_text("".join(lines))
    return path


def test_text_is_counted_by_the_tokens_of_the_file(vocabulary: Path) -> None:
    count = counter(vocabulary)

    assert [count(text) for text in ("", "hello", "hello world", "hallo")] == [0, 1, 2, 4]


def test_text_is_cut_as_o200k_base_cuts_it() -> None:
    with patch.object(openai_public, "load_tiktoken_bpe", lambda *_, **__: {}):
        assert openai_public.o200k_base()["pat_str"] == PATTERN


def test_a_long_text_is_counted_by_the_rate_of_its_beginning(vocabulary: Path) -> None:
    count = counter(vocabulary)

    assert count("hello world " * EXACT_CHARACTERS) == count("hello world " * EXACT_CHARACTERS)
    assert count("a" * EXACT_CHARACTERS * 3) == 3 * EXACT_CHARACTERS


def test_special_tokens_of_a_user_are_text(vocabulary: Path) -> None:
    assert counter(vocabulary)("<|endoftext|>") > 3


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("aGVsbG8= 0\nnonsense\n", "line 2: expected a token in base64 and its rank"),
        ("aGVsbG8= 0\naGVsbG8= x\n", "line 2"),
        ("aGVsbG8= 0\n", "none for the byte 0"),
        ("", "has 0 tokens"),
    ],
)
def test_what_is_no_vocabulary_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "wrong.tiktoken"
    path.write_text(text)

    with pytest.raises(ConfigError, match=complaint):
        counter(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.tiktoken: No such file"):
        counter(tmp_path / "absent.tiktoken")


def test_without_tiktoken_it_is_said_what_to_install(vocabulary: Path) -> None:
    with (
        patch.dict(sys.modules, {"tiktoken": None}),
        pytest.raises(ConfigError, match=r"pip install 'vivavoce\[tiktoken\]'"),
    ):
        counter(vocabulary)
