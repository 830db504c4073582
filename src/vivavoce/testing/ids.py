"""Ids that count instead of being random, so that expected values can be written down."""

from collections import Counter


class CountingIds:
    """`item_1`, `item_2`, `resp_1` ... each kind of id counted apart."""

    def __init__(self) -> None:
        self._made: Counter[str] = Counter()

    def __call__(self, prefix: str) -> str:
        """The next id of that kind."""
        self._made[prefix] += 1
        return f"{prefix}{self._made[prefix]}"
