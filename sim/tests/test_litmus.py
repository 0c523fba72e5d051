# SPDX-License-Identifier: Apache-2.0
"""The enumerators of memory models: known tables, and against axioms on random programs."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from descring_sim.support import paths

ROOT = paths.checkout_root()
assert ROOT is not None
sys.path.insert(0, str(ROOT / "examples" / "labs"))

from labkit.litmus import native, release_acquire, tso  # noqa: E402
from labkit.litmus.program import (  # noqa: E402
    SHAPES,
    Fence,
    Load,
    Op,
    Order,
    Outcome,
    Store,
    Test,
    forms,
    protocols,
)

ALLOWED = {
    # by form: SC, x86-TSO, C11
    "SB relaxed": (False, True, True),
    "SB release-acquire": (False, True, True),
    "SB fenced": (False, False, False),
    "SB swapped": (True, True, True),
    "MP relaxed": (False, False, True),
    "MP release-acquire": (False, False, False),
    "MP fenced": (False, False, False),
    "MP swapped": (True, True, True),
    "LB relaxed": (False, False, True),
    "LB release-acquire": (False, False, False),
    "LB fenced": (False, False, False),
    "LB swapped": (True, True, True),
    "IRIW relaxed": (False, False, True),
    "IRIW release-acquire": (False, False, True),
    "IRIW fenced": (False, False, False),
    "IRIW swapped": (True, True, True),
    "2+2W relaxed": (False, False, True),
    "2+2W release-acquire": (False, False, True),
    "2+2W fenced": (False, False, False),
    "2+2W swapped": (True, True, True),
    "CoRR relaxed": (False, False, False),
    "CoRR release-acquire": (False, False, False),
    "CoRR fenced": (False, False, False),
    "CoRR swapped": (True, True, True),
}
"""The weak outcome of each, as the papers that define the models have it."""


@pytest.mark.parametrize(
    "test", [form for shape in SHAPES for form in forms(shape)], ids=lambda test: test.name
)
def test_the_models_allow_what_their_papers_have(test: Test) -> None:
    """And nothing is allowed by a stronger model that a weaker one forbids."""
    sc, machine = tso.outcomes(test, buffered=False), tso.outcomes(test)
    language = release_acquire.outcomes(test)
    assert tuple(test.weak in found for found in (sc, machine, language)) == ALLOWED[test.name]
    assert sc <= machine <= language


def test_full_fences_and_seq_cst_accesses_are_sequentially_consistent() -> None:
    """On both models, for every shape."""
    for shape in SHAPES:
        for form in (
            shape.with_orders("fenced", "relaxed", "relaxed", fences=True),
            shape.with_orders("seq_cst", "seq_cst", "seq_cst"),
        ):
            sc = tso.outcomes(form, buffered=False)
            assert tso.outcomes(form) == sc == release_acquire.outcomes(form), form.name


def test_every_weakened_fence_of_the_ring_is_told_by_a_model() -> None:
    """The intact protocols forbid the outcome; each weakening allows it in C11 or on x86-TSO."""
    on_machine = set()
    for ring in protocols():
        assert ring.intact.weak not in tso.outcomes(ring.intact)
        for what, test in ring.weakened.items():
            machine = test.weak in tso.outcomes(test)
            on_machine |= {what} if machine else set()
            assert machine or test.weak in release_acquire.outcomes(test), test.name
    assert on_machine == {"fence of the waker", "fence of the sleeper", "membarrier"}


def _random_test(random: np.random.Generator) -> Test:
    orders: tuple[tuple[Order, ...], tuple[Order, ...]] = (
        ("relaxed", "release", "seq_cst"),
        ("relaxed", "acquire", "seq_cst"),
    )
    threads: list[tuple[Op, ...]] = []
    for thread in range(int(random.integers(2, 4))):
        ops: list[Op] = []
        for place in range(int(random.integers(1, 4))):
            location = "xy"[random.integers(2)]
            kind = random.integers(5)
            if kind < 2:
                order = orders[0][random.integers(3)]
                ops.append(Store(location, int(random.integers(1, 4)), order))
            elif kind < 4:
                order = orders[1][random.integers(3)]
                ops.append(Load(f"r{thread}{place}", location, order))
            else:
                ops.append(Fence("seq_cst"))
        threads.append(tuple(ops))
    used = {op.location for thread in threads for op in thread if not isinstance(op, Fence)}
    return Test("random", tuple(threads), (), final=tuple(sorted(used)))


def _axiomatic_tso(test: Test) -> frozenset[Outcome]:
    """x86-TSO by axioms: Alglave, Maranget and Tautschnig, "Herding Cats" (TOPLAS 36(2), 2014)."""
    events, sb = release_acquire.events_of(test)
    fence = [isinstance(event.op, Fence) for event in events]
    store = [isinstance(event.op, Store) for event in events]
    strong = [isinstance(event.op, Store) and event.op.order == "seq_cst" for event in events]
    place = ["" if isinstance(event.op, Fence) else event.op.location for event in events]
    thread = [event.thread for event in events]
    size = len(events)
    found = set()
    for chosen, rf, mo in release_acquire.executions(events):
        fr = rf.T.astype(int) @ mo.astype(int) > 0
        apart = np.array([[a != b for b in thread] for a in thread])
        local, ordered = rf | mo | fr, (rf & apart) | mo | fr
        for a in range(size):
            for b in range(size):
                if not sb[a, b]:
                    continue
                local[a, b] |= place[a] == place[b] != ""
                # All of a thread's order but that of a store before a load, fences restore it.
                between = any(
                    sb[a, m] and sb[m, b] and thread[m] == thread[b] and (fence[m] or strong[m])
                    for m in range(size)
                )
                load = not store[b] and not fence[b]
                ordered[a, b] |= not (store[a] and load) or between or strong[a] or thread[a] == -1
                ordered[a, b] |= fence[a] or fence[b]
        if any(release_acquire.closed(r).diagonal().any() for r in (local, ordered)):
            continue
        values = {}
        for load_at, source in chosen.items():
            op, wrote = events[load_at].op, events[source].op
            assert isinstance(op, Load) and isinstance(wrote, Store)
            values[op.register] = wrote.value
        for number, event in enumerate(events):
            if isinstance(event.op, Store) and not mo[number].any():
                values[f"[{event.op.location}]"] = event.op.value
        found.add(tuple((name, values[name]) for name in test.names()))
    return frozenset(found)


@pytest.mark.parametrize("seed", range(60))
def test_the_abstract_machine_agrees_with_the_axioms_on_random_programs(seed: int) -> None:
    """Every outcome, of two or three threads; and C11 allows what the compiled program does."""
    test = _random_test(np.random.default_rng(seed))
    machine = tso.outcomes(test)
    assert machine == _axiomatic_tso(test)
    assert tso.outcomes(test, buffered=False) <= machine <= release_acquire.outcomes(test)


def test_a_load_takes_its_own_threads_newest_store() -> None:
    """Also while older ones to the same location wait in the buffer."""
    test = Test("own", ((Store("x", 1), Store("x", 2), Load("r0", "x")),), ())
    assert tso.outcomes(test) == release_acquire.outcomes(test) == {(("r0", 2),)}


def test_the_generated_program_has_each_access_of_each_thread() -> None:
    """In the order of the test; what is stored of the loads stands behind them."""
    (test,) = [form for shape in SHAPES for form in forms(shape) if form.name == "MP swapped"]
    text = native.source([test], 2)
    assert text.index("&slot->at[1].value, 1u") < text.index("&slot->at[0].value, 1u")
    reader = text[text.index("t1_mp_swapped(litmus_slot_t *slot, litmus_read_t *read) {") :]
    assert reader.index("r0 =") < reader.index("r1 =") < reader.index("read->value[0]")
    assert '{"MP-swapped", 2, {t0_mp_swapped, t1_mp_swapped}, 2, {1, 1}, 0, {0}, 64}' in text
