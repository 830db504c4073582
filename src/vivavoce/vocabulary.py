"""Exact text tokens, where the operator names a vocabulary file of the o200k family.

tiktoken counts; its wheel holds no vocabulary, and nothing here downloads one. The file is tiktoken's
own format: a token in base64, a blank and its rank on each line.
"""

import binascii
from base64 import b64decode
from pathlib import Path

from vivavoce.config import ConfigError
from vivavoce.core.usage import CountTokens

# Beyond it a text is counted by the rate of its beginning: as many characters take 0.3 to 0.7 ms (one
# machine, a vocabulary made of this project's words), and counting happens on the event loop.
EXACT_CHARACTERS = 4096

# How o200k_base cuts text before it looks for tokens: words with what stands before them, in which
# small letters follow capital ones, and with a contraction behind; numbers of up to three digits;
# signs; lines; blanks.
_BEFORE = r"[^\r\n\p{L}\p{N}]?"
_CAPITAL, _SMALL = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
PATTERN = "|".join(
    (
        f"{_BEFORE}{_CAPITAL}*{_SMALL}+{_CONTRACTION}",
        f"{_BEFORE}{_CAPITAL}+{_SMALL}*{_CONTRACTION}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)


def counter(path: Path) -> CountTokens:
    """What counts text by the vocabulary in that file; ConfigError if it cannot be had."""
    try:
        from tiktoken import Encoding
    except ImportError:
        raise ConfigError(
            "vocabulary: counting by a vocabulary needs tiktoken; pip install 'vivavoce[tiktoken]'"
        ) from None
    ranks = _ranks(path)
    try:
        encoding = Encoding(path.name, pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})
    except ValueError as error:
        raise ConfigError(f"vocabulary: {path} cannot be used: {error}") from None

    def count(text: str) -> int:
        exact = len(encoding.encode_ordinary(text[:EXACT_CHARACTERS]))
        if len(text) <= EXACT_CHARACTERS:
            return exact
        return exact * len(text) // EXACT_CHARACTERS

    return count


def _ranks(path: Path) -> dict[bytes, int]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(f"vocabulary: {path}: {error.strerror}") from None
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(lines, 1):
        try:
            token, rank = line.split()
            ranks[b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            raise ConfigError(
                f"vocabulary: {path}, line {number}: expected a token in base64 and its rank, as "
                "in tiktoken's own files"
            ) from None
    missing = [byte for byte in range(256) if bytes([byte]) not in ranks]
    if missing:
        raise ConfigError(
            f"vocabulary: {path} has {len(ranks)} tokens, but none for the byte {missing[0]}; "
            "a vocabulary has one for each byte"
        )
    return ranks
