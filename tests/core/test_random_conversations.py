"""Whatever is said in whatever order: what is announced is concluded, and what is refused is not done."""

import os
from random import Random

from core_chatter import MOVES, Chatter, Move
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# A few by default; for a long run, thousands.
CONVERSATIONS = int(os.environ.get("VIVAVOCE_CONVERSATIONS", "150"))
SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=CONVERSATIONS, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SEEDS, st.lists(st.tuples(st.sampled_from(MOVES), SEEDS), min_size=30, max_size=80))
def test_any_conversation_keeps_the_laws(opening: int, moves: list[tuple[Move, int]]) -> None:
    chatter = Chatter(opening)
    for move, seed in moves:
        move(chatter, Random(seed))
    chatter.end()
