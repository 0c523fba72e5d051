# SPDX-License-Identifier: Apache-2.0
"""The native slab: word for word and error for error the golden model's, and under many threads."""

import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from descring_model.rollouts import contract
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.slab import Slab as Golden
from descring_rollouts.slab import SLOTS_MAX, Slab, SlabCache
from hypothesis import given
from hypothesis import strategies as st

NATIVE = Path(__file__).resolve().parents[1] / "native"
STATE = contract.STATE


def outcome(call: Callable[..., Any], *arguments: int) -> object:
    """What a call returns, or the name of its error."""
    try:
        return call(*arguments)
    except RolloutError as error:
        return error.name


STATES = st.integers(0, 7)
# A handle is one that was given out, of a generation near it or far from it, and of any slot.
PICKS = st.tuples(st.integers(0, 60), st.sampled_from([0, 0, 0, 0, 1, -1, 2, 1 << 31]))
OPERATIONS = st.one_of(
    st.tuples(st.just("admit"), st.integers(0, 4), st.none(), st.none()),
    st.tuples(st.just("move"), PICKS, STATES, STATES),
    st.tuples(st.just("advance"), PICKS, st.none(), st.none()),
    st.tuples(st.just("cancel"), PICKS, st.none(), st.none()),
    st.tuples(st.just("fail"), PICKS, st.none(), st.none()),
)
NEXT = dict(reversed([(STATE[a], STATE[b]) for a, b in contract.EDGES]))


@given(st.lists(OPERATIONS, min_size=20, max_size=120))
def test_every_transition_and_error_is_the_golden_models(operations: list[Any]) -> None:
    """[ROLL-001..ROLL-005]"""
    slots = 4
    native, golden = Slab(slots), Golden(slots)
    handles = [1 << 32 | slot for slot in range(slots + 1)]
    for name, pick, start, end in operations:
        if name == "admit":
            got, expected = outcome(native.admit, pick), outcome(golden.admit, pick)
            if isinstance(got, int):
                handles.append(got)
        else:
            handle = handles[-1 - pick[0] % len(handles)]
            handle = (handle + (pick[1] << 32)) % (1 << 64)
            if name == "advance":
                start = golden.words[(handle & 0xFFFFFFFF) % slots] & 0xFF
                name, end = "move", NEXT[start]
            arguments = (handle, start, end) if name == "move" else (handle,)
            got = outcome(getattr(native, name), *arguments)
            expected = outcome(getattr(golden, name), *arguments)
        assert got == expected, (name, pick, start, end)
        assert [native.word(slot) for slot in range(slots)] == golden.words


def test_generations_skip_0() -> None:
    """[ROLL-001]: the one before 1 is 2^32 - 1."""
    slab, golden = Slab(1), Golden(1)
    for generation, name in ((0xFFFFFFFE, "STALE"), (0xFFFFFFFF, "FREED"), (2, "STALE")):
        assert outcome(slab.move, generation << 32, 0, 1) == name
        assert outcome(golden.move, generation << 32, 0, 1) == name


def end(slab: Slab, handle: int) -> None:
    """Take a rollout to DONE."""
    slab.move(handle, STATE["PREFILL_READY"], STATE["DECODING"])
    slab.move(handle, STATE["DECODING"], STATE["DONE"])


@pytest.mark.parametrize("cached", [False, True])
def test_slots_are_picked_last_freed_first_and_all_of_them(cached: bool) -> None:
    """A cache keeps the order of the stack, takes and gives whole batches, and loses nothing."""
    slots = 200
    slab = Slab(slots)
    cache = SlabCache(slab) if cached else None
    handles = [slab.alloc(cache) for _ in range(slots)]
    assert [handle & 0xFFFFFFFF for handle in handles] == list(range(slots))
    assert outcome(slab.alloc, cache) == "QUEUE_EMPTY"  # type: ignore[arg-type]
    order = list(range(slots))
    random.Random(7).shuffle(order)
    for slot in order:
        assert outcome(slab.release, handles[slot], cache) == "WRONG_STATE"  # type: ignore[arg-type]
        end(slab, handles[slot])
        slab.release(handles[slot], cache)
        assert outcome(slab.release, handles[slot], cache) == "FREED"  # type: ignore[arg-type]
    again = [slab.alloc(cache) for _ in range(slots)]
    assert [handle & 0xFFFFFFFF for handle in again] == order[::-1]
    assert {handle >> 32 for handle in again} == {2}
    assert outcome(slab.release, handles[0], cache) == "REUSED"  # type: ignore[arg-type]


def test_a_closed_cache_gives_its_slots_back() -> None:
    """They can be picked by others."""
    slab = Slab(100)
    cache = SlabCache(slab)
    handle = slab.alloc(cache)
    del cache
    rest = {slab.alloc() & 0xFFFFFFFF for _ in range(99)}
    assert rest == set(range(100)) - {handle & 0xFFFFFFFF}


@pytest.mark.parametrize("slots", [0, -1, SLOTS_MAX + 1, 1 << 40, "4"])
def test_a_number_of_slots_out_of_range_is_refused(slots: Any) -> None:
    """The text names the range."""
    with pytest.raises(ValueError, match="slots: expected"):
        Slab(slots)


@pytest.fixture(scope="module")
def explore(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checker of interleavings, built from slab.c."""
    program = tmp_path_factory.mktemp("explore") / "explore"
    command = ["cc", "-std=c11", "-O2", "-fno-strict-aliasing", f"-I{NATIVE}"]
    command += [f"-I{NATIVE.parent / 'include'}", str(NATIVE / "check" / "explore.c")]
    subprocess.run([*command, "-o", str(program)], check=True)
    return program


@pytest.mark.parametrize(("operations", "threads", "slots"), [(2, 3, 2), (3, 2, 2), (4, 2, 1)])
def test_every_interleaving_of_the_slab_holds(
    explore: Path, operations: int, threads: int, slots: int
) -> None:
    """[ROLL-003] [ROLL-005]: `make host-models` has 4 operations of 3 threads on 2 slots."""
    command = [str(explore), str(operations), str(threads), str(slots)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    states = int(done.stdout.split(": ")[2].split()[0])
    assert states > 1000  # it looked at something
