# SPDX-License-Identifier: Apache-2.0
"""The slab against a table of what each handle may do."""

import itertools

import pytest
from descring_model.rollouts import contract
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.slab import Slab, successor
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

S = contract.STATE
NAMES = list(S)
GENERATIONS = 1 << 32


def test_fresh_slab_has_generation_one_and_the_first_handle_names_it() -> None:
    """[ROLL-001] [ROLL-002] The word of a fresh slot, of an admitted and of a cancelled one."""
    assert [S[name] for name in NAMES] == [0, 1, 2, 3, 4, 5]
    slab = Slab(3)
    assert slab.words == [0x1_0000_0000] * 3
    handle = slab.admit(2)
    assert handle == 0x1_0000_0002
    assert slab.words[2] == 0x1_0000_0001
    slab.cancel(handle)
    assert slab.words[2] == 0x1_0000_0105
    slab.move(handle, S["DONE"], S["FREE"])
    assert slab.words[2] == 0x2_0000_0000
    again = slab.admit(2)
    slab.fail(again)
    assert slab.words[2] == 0x2_0000_0205


@pytest.mark.parametrize(("start", "end"), list(itertools.product(NAMES, NAMES)))
def test_only_the_edges_of_the_table_are_taken(start: str, end: str) -> None:
    """[ROLL-003] [ROLL-005] Every pair of states; a refused one leaves the word as it was."""
    slab = Slab(1)
    slab.words[0] = 7 << 32 | S[start]
    before = list(slab.words)
    if (start, end) in contract.EDGES:
        slab.move(7 << 32, S[start], S[end])
        expected = 8 << 32 if end == "FREE" else 7 << 32 | S[end]
        assert slab.words == [expected]
        return
    with pytest.raises(RolloutError) as caught:
        slab.move(7 << 32, S[start], S[end])
    assert caught.value.name == "BAD_EDGE"
    assert slab.words == before


@pytest.mark.parametrize("start", NAMES)
def test_a_rollout_is_cancelled_from_every_live_state_and_no_other(start: str) -> None:
    """[ROLL-004] DONE and FREE refuse both ends."""
    for end, flag in ((Slab.cancel, 1), (Slab.fail, 2)):
        slab = Slab(1)
        slab.words[0] = 7 << 32 | S[start]
        if start in ("FREE", "DONE"):
            with pytest.raises(RolloutError, match="BAD_EDGE"):
                end(slab, 7 << 32)
            assert slab.words == [7 << 32 | S[start]]
        else:
            end(slab, 7 << 32)
            assert slab.words == [7 << 32 | flag << 8 | S["DONE"]]
            assert slab.flags(0) == flag


@pytest.mark.parametrize(
    ("generation", "state", "handle_generation", "error"),
    [
        (6, "FREE", 5, "FREED"),
        (7, "FREE", 5, "STALE"),
        (6, "DECODING", 5, "REUSED"),
        (9, "DONE", 5, "REUSED"),
        (5, "DECODING", 6, "STALE"),
        (5, "FREE", 6, "STALE"),
        (1, "FREE", GENERATIONS - 1, "FREED"),
        (3, "DECODING", GENERATIONS - 2, "REUSED"),
        (5, "DECODING", 5 + (1 << 31), "STALE"),
    ],
)
def test_an_old_handle_names_its_own_error(
    generation: int, state: str, handle_generation: int, error: str
) -> None:
    """[ROLL-005] Double free, ABA and a handle that never was are told apart, also at the wrap."""
    slab = Slab(1)
    slab.words[0] = generation << 32 | S[state]
    for act in (
        lambda: slab.move(handle_generation << 32, S["DECODING"], S["DONE"]),
        lambda: slab.cancel(handle_generation << 32),
        lambda: slab.state(handle_generation << 32),
    ):
        with pytest.raises(RolloutError) as caught:
            act()
        assert caught.value.name == error
    assert slab.words == [generation << 32 | S[state]]


def test_errors_are_checked_in_the_order_of_the_rule() -> None:
    """[ROLL-005] BAD_SLOT, then generations, then BAD_EDGE, then WRONG_STATE."""
    slab = Slab(2)
    for act in (
        lambda: slab.move(9 << 32 | 2, 0, 5),
        lambda: slab.admit(2),
        lambda: slab.admit(-1),
    ):
        with pytest.raises(RolloutError, match="BAD_SLOT"):
            act()
    slab.words[1] = 4 << 32 | S["DECODING"]
    with pytest.raises(RolloutError, match="REUSED"):
        slab.move(3 << 32 | 1, S["FREE"], S["DONE"])
    with pytest.raises(RolloutError, match="BAD_EDGE"):
        slab.move(4 << 32 | 1, S["FREE"], S["DONE"])
    with pytest.raises(RolloutError, match="WRONG_STATE"):
        slab.move(4 << 32 | 1, S["REWARD_PENDING"], S["TRAJECTORY_READY"])
    with pytest.raises(RolloutError, match="WRONG_STATE"):
        slab.admit(1)


def test_generation_leaves_zero_out() -> None:
    """[ROLL-001] From 2^32 - 1 the generation goes to 1, so that no handle is 0."""
    assert successor(GENERATIONS - 1) == 1
    assert successor(1) == 2
    slab = Slab(1)
    slab.words[0] = (GENERATIONS - 1) << 32 | S["DONE"]
    slab.move((GENERATIONS - 1) << 32, S["DONE"], S["FREE"])
    assert slab.words == [1 << 32]


class SlabMachine(RuleBasedStateMachine):
    """[ROLL-001] [ROLL-003] [ROLL-004] [ROLL-005] Any acts with any handle, fresh or old.

    The shadow is a list of (generation, state, flag) and every handle that was ever given out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slab = Slab(3)
        self.shadow: list[tuple[int, str, int]] = [(1, "FREE", 0)] * 3
        self.handles: list[tuple[int, int]] = []

    @rule(slot=st.integers(0, 2))
    def admit(self, slot: int) -> None:
        """Admission works exactly from FREE."""
        generation, state, _ = self.shadow[slot]
        if state == "FREE":
            assert self.slab.admit(slot) == generation << 32 | slot
            self.handles.append((generation, slot))
            self.shadow[slot] = (generation, "PREFILL_READY", 0)
        else:
            with pytest.raises(RolloutError, match="WRONG_STATE"):
                self.slab.admit(slot)

    @precondition(lambda self: self.handles)
    @rule(data=st.data(), start=st.sampled_from(NAMES), end=st.sampled_from([*NAMES, "CANCEL"]))
    def act(self, data: st.DataObject, start: str, end: str) -> None:
        """A transition or a cancellation, by any handle."""
        generation, slot = data.draw(st.sampled_from(self.handles))
        current, state, flag = self.shadow[slot]
        handle = generation << 32 | slot
        if generation != current:
            expected = (
                "REUSED" if state != "FREE" else "FREED" if current == generation + 1 else "STALE"
            )
        elif end == "CANCEL":
            expected = "" if state not in ("FREE", "DONE") else "BAD_EDGE"
        elif (start, end) not in contract.EDGES:
            expected = "BAD_EDGE"
        else:
            expected = "" if start == state else "WRONG_STATE"
        try:
            if end == "CANCEL":
                self.slab.cancel(handle)
            else:
                self.slab.move(handle, S[start], S[end])
        except RolloutError as error:
            assert error.name == expected
            return
        assert expected == ""
        if end == "CANCEL":
            self.shadow[slot] = (current, "DONE", 1)
        elif end == "FREE":
            self.shadow[slot] = (current + 1, "FREE", 0)
        else:
            self.shadow[slot] = (current, end, flag)

    @invariant()
    def words_are_the_shadow(self) -> None:
        """State, flags and generation of every word."""
        assert self.slab.words == [
            generation << 32 | flag << 8 | S[state] for generation, state, flag in self.shadow
        ]


TestSlabMachine = SlabMachine.TestCase
