"""Whatever is said in whatever order: what is announced is concluded, and what is refused is not done.

Each move of `core_chatter` is a rule of a state machine. A rule draws one seed and throws its own
dice, because a choice drawn by hypothesis costs more than what the session does with it; a failing
conversation is still reduced to few moves with small seeds, and told input by input.
"""

import os
from collections.abc import Callable
from typing import ClassVar, get_args

import pytest
from core_chatter import MOVES, MOVES_EACH, Chatter, Move, conversation
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec import UNSET

from vivavoce.core import commands, effects, events, signals
from vivavoce.core.effects import Tell
from vivavoce.core.settings import AudioInputUpdate, AudioOutputUpdate, SessionUpdate

pytestmark = pytest.mark.judges_frames

# Less for a quick look, more for a long search.
CONVERSATIONS = int(os.environ.get("VIVAVOCE_CONVERSATIONS", "2000"))
SEEDS = st.integers(0, 2**16 - 1)
EVERYTHING = {
    *get_args(commands.AnyCommand),
    *get_args(signals.Signal),
    *get_args(effects.Effect),
    *get_args(events.ServerEvent),
}
EVERY_SETTING = {
    f"{kind.__name__}.{field}"
    for kind in (SessionUpdate, AudioInputUpdate, AudioOutputUpdate)
    for field in kind.__struct_fields__
}


class Conversation(RuleBasedStateMachine):
    """One conversation, whose rules are the moves."""

    held: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.chatter: Chatter | None = None

    @initialize(seed=SEEDS)
    def begin(self, seed: int) -> None:
        """Open the session."""
        self.chatter = Chatter(seed)

    def step(self, act: Callable[[Chatter], None]) -> None:
        """Do it; what broke is not looked at any further."""
        chatter, self.chatter = self.chatter, None
        assert chatter is not None
        try:
            act(chatter)
        except Exception:
            note(chatter.story)
            raise
        self.chatter = chatter

    def teardown(self) -> None:
        """Come to the end, from wherever it is."""
        if self.chatter is not None:
            self.step(Chatter.end)
            Conversation.held += 1


def _rule(move: Move) -> object:
    def act(self: Conversation, seed: int) -> None:
        self.step(lambda chatter: move.make(chatter, seed))

    def may(self: Conversation) -> bool:
        return self.chatter is not None and bool(move.may(self.chatter))

    act.__name__ = move.name
    return precondition(may)(rule(seed=SEEDS)(act))


for _move in MOVES:
    setattr(Conversation, _move.name, _rule(_move))


def test_any_conversation_keeps_the_laws() -> None:
    run_state_machine_as_test(
        Conversation,
        settings=settings(
            max_examples=CONVERSATIONS,
            stateful_step_count=MOVES_EACH,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

    assert Conversation.held >= CONVERSATIONS


def test_between_them_the_conversations_hold_everything_there_is() -> None:
    seen: set[str] = set()
    for seed in range(250):
        seen |= kinds_in(conversation(seed))

    assert {kind.__name__ for kind in EVERYTHING} | EVERY_SETTING <= seen


def kinds_in(chatter: Chatter) -> set[str]:
    """What came in, the settings that were updated, and what came out, by name."""
    said = [each for each, _, _ in chatter.steps if each is not None]
    updates = [each.update for each in said if isinstance(each, commands.UpdateSession)]
    told = [each.event if isinstance(each, Tell) else each for each in chatter.outputs]
    kinds = {type(each).__name__ for each in (*said, *told)}
    for sent in (each for update in updates for each in (update, update.input, update.output)):
        kinds |= {
            f"{type(sent).__name__}.{field}"
            for field in sent.__struct_fields__
            if getattr(sent, field) is not UNSET
        }
    return kinds
