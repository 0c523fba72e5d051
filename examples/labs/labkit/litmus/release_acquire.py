# SPDX-License-Identifier: Apache-2.0
"""What C11's release and acquire allow of a litmus test: every consistent execution.

The axioms of Lahav, Vafeiadis, Kang, Hur and Dreyer, "Repairing Sequential Consistency in C/C++11"
(PLDI 2017), without read-modify-writes: happens-before with every coherence edge behind it is
irreflexive, and the order of seq_cst fences and accesses is acyclic. Their axiom against values out
of thin air is left out: it also forbids load buffering with relaxed accesses, which C11, Arm and
GPUs allow, and no test here computes a value. An execution is a store for each load (rf) and an
order of the stores of each location (mo).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labkit.litmus.program import Fence, Load, Op, Outcome, Store, Test

Relation = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Event:
    """An operation of a thread."""

    op: Op
    thread: int  # -1: a location's initial value


def then(*relations: Relation) -> Relation:
    """The composition."""
    result = relations[0]
    for relation in relations[1:]:
        result = (result.astype(int) @ relation.astype(int)) > 0
    return result


def closed(relation: Relation) -> Relation:
    """The transitive closure."""
    result = relation
    while True:
        longer = result | then(result, result)
        if (longer == result).all():
            return result
        result = longer


def identity(events: list[Event], what: object) -> Relation:
    """The identity on the events for which ``what`` is true."""
    assert callable(what)
    return np.diag([bool(what(event.op)) for event in events])


def _releases(op: Op) -> bool:
    return (isinstance(op, Store) and op.order in ("release", "seq_cst")) or (
        isinstance(op, Fence) and op.kind in ("release", "seq_cst", "all")
    )


def _acquires(op: Op) -> bool:
    return (isinstance(op, Load) and op.order in ("acquire", "seq_cst")) or (
        isinstance(op, Fence) and op.kind in ("acquire", "seq_cst", "all")
    )


def _is_fence(op: Op) -> bool:
    return isinstance(op, Fence)


def _is_sc(op: Op) -> bool:
    return op.kind in ("seq_cst", "all") if isinstance(op, Fence) else op.order == "seq_cst"


def _is_sc_fence(op: Op) -> bool:
    return isinstance(op, Fence) and _is_sc(op)


def events_of(test: Test) -> tuple[list[Event], Relation]:
    """The events, initial values first, and the order within threads (with those before all)."""
    events = [Event(Store(name, 0), -1) for name in test.locations()]
    events += [Event(op, number) for number, thread in enumerate(test.threads) for op in thread]
    before = np.zeros((len(events), len(events)), dtype=bool)
    for a, b in itertools.product(range(len(events)), repeat=2):
        one, other = events[a].thread, events[b].thread
        before[a, b] = (one == -1 != other) or (one == other != -1 and a < b)
    return events, before


def executions(events: list[Event]) -> Iterator[tuple[dict[int, int], Relation, Relation]]:
    """Each choice of a store for each load, and of an order of stores: choice, rf, mo."""
    size = len(events)
    stores: dict[str, list[int]] = {}
    loads = []
    for number, event in enumerate(events):
        if isinstance(event.op, Store):
            stores.setdefault(event.op.location, []).append(number)
        elif isinstance(event.op, Load):
            loads.append((number, event.op.location))
    orders = [
        [(group[0], *rest) for rest in itertools.permutations(group[1:])]
        for group in stores.values()
    ]
    for sources in itertools.product(*(stores[location] for _, location in loads)):
        rf = np.zeros((size, size), dtype=bool)
        for (load, _), source in zip(loads, sources, strict=True):
            rf[source, load] = True
        chosen = {load: source for (load, _), source in zip(loads, sources, strict=True)}
        for order in itertools.product(*orders):
            mo = np.zeros((size, size), dtype=bool)
            for group in order:
                for a, b in itertools.combinations(group, 2):
                    mo[a, b] = True
            yield chosen, rf, mo


def _consistent(events: list[Event], sb: Relation, rf: Relation, mo: Relation) -> bool:
    size = len(events)
    one = np.eye(size, dtype=bool)
    fence = identity(events, _is_fence)
    fr = then(rf.T, mo)
    eco = closed(rf | mo | fr)
    # A release, or its fence before a store, and a load that reads it, or an acquire fence behind.
    to_store = one | then(fence, sb)
    from_load = one | then(sb, fence)
    sw = then(identity(events, _releases), to_store, rf, from_load, identity(events, _acquires))
    hb = closed(sb | sw)
    if hb.diagonal().any() or then(hb, eco).diagonal().any():
        return False
    place = [None if isinstance(event.op, Fence) else event.op.location for event in events]
    same = np.array([[a is not None and a == b for b in place] for a in place])
    sb_apart = sb & ~same
    scb = sb | then(sb_apart, hb, sb_apart) | (hb & same) | mo | fr
    sc, sc_fence = identity(events, _is_sc), identity(events, _is_sc_fence)
    left = sc | then(sc_fence, hb | one)
    right = sc | then(hb | one, sc_fence)
    psc = then(left, scb, right) | then(sc_fence, hb | then(hb, eco, hb), sc_fence)
    return not closed(psc).diagonal().any()


def loaded(events: list[Event], chosen: dict[int, int]) -> dict[str, int]:
    """The value of each register, where each load has read the store that was chosen for it."""
    values: dict[str, int] = {}
    for load, source in chosen.items():
        op, store = events[load].op, events[source].op
        assert isinstance(op, Load) and isinstance(store, Store)
        values[op.register] = store.value
    return values


def outcomes(test: Test) -> frozenset[Outcome]:
    """All outcomes that release, acquire and seq_cst fences allow."""
    events, sb = events_of(test)
    found = set()
    for chosen, rf, mo in executions(events):
        if not _consistent(events, sb, rf, mo):
            continue
        values = loaded(events, chosen)
        for name in test.final:
            last = [
                event.op.value
                for number, event in enumerate(events)
                if isinstance(event.op, Store)
                and event.op.location == name
                and not mo[number].any()
            ]
            values[f"[{name}]"] = last[0]
        found.add(tuple((name, values[name]) for name in test.names()))
    return frozenset(found)
