# SPDX-License-Identifier: Apache-2.0
"""Queues and credits: nothing dropped, nothing twice, no count below 0."""

import pytest
from descring_model.rollouts import contract
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.queues import Credits, SlotQueue
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

ROOM = 4


class QueueMachine(RuleBasedStateMachine):
    """[PIPE-003] A queue against a list: order, room, removal from the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = SlotQueue("reward", ROOM)
        self.shadow: list[int] = []

    @rule(slot=st.integers(0, 7))
    def push(self, slot: int) -> None:
        """A full queue refuses and keeps what it has."""
        if len(self.shadow) == ROOM:
            with pytest.raises(RolloutError, match="QUEUE_FULL"):
                self.queue.push(slot)
        elif slot in self.shadow:
            with pytest.raises(ValueError, match="already"):
                self.queue.push(slot)
        else:
            self.queue.push(slot)
            self.shadow.append(slot)

    @rule()
    def pop(self) -> None:
        """The head leaves first."""
        if not self.shadow:
            with pytest.raises(RolloutError, match="QUEUE_EMPTY"):
                self.queue.pop()
        else:
            assert self.queue.head() == self.shadow[0]
            assert self.queue.pop() == self.shadow.pop(0)

    @rule(slot=st.integers(0, 7))
    def remove(self, slot: int) -> None:
        """An entry leaves from the middle; the others keep their order."""
        if slot in self.shadow:
            self.queue.remove(slot)
            self.shadow.remove(slot)
        else:
            with pytest.raises(KeyError):
                self.queue.remove(slot)

    @invariant()
    def same_entries(self) -> None:
        """Entries, order and length."""
        assert list(self.queue) == self.shadow
        assert len(self.queue) == len(self.shadow)
        assert all((slot in self.queue) == (slot in self.shadow) for slot in range(8))


TestQueueMachine = QueueMachine.TestCase


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_credits_count_holders_up_to_their_limit(limit: int) -> None:
    """[PIPE-004] The holder beyond the limit is refused, and so is giving back without a holder."""
    credits = Credits("reward", limit)
    for used in range(limit):
        assert credits.free
        assert credits.used == used
        credits.take()
    assert not credits.free
    with pytest.raises(RolloutError) as caught:
        credits.take()
    assert caught.value.name == "NO_CREDIT"
    assert credits.used == limit
    for _ in range(limit):
        credits.give_back()
    with pytest.raises(RolloutError) as caught:
        credits.give_back()
    assert caught.value.name == "CREDIT_UNDERFLOW"
    assert credits.used == 0


def test_no_limit_is_unlimited() -> None:
    """[PIPE-002] 0xFFFFFFFF holders are no limit, and their number is still counted."""
    credits = Credits("decode", contract.NONE)
    credits.used = contract.NONE
    assert credits.free
    credits.take()
    assert credits.used == contract.NONE + 1
