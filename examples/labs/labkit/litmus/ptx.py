# SPDX-License-Identifier: Apache-2.0
"""What NVIDIA's PTX allows of a litmus test: every consistent execution, with scopes.

The axioms of Lustig, Sahasrabuddhe and Giroux, "A Formal Analysis of the NVIDIA PTX Memory
Consistency Model" (ASPLOS 2019), without read-modify-writes and barriers. Accesses and fences have
a scope. Two of different threads are *morally strong* if the scope of each includes the other's
thread; only then do they synchronize, and only then is their order on one location agreed upon.
Stores that nothing orders are in no order, and the location ends with any of them. No test here
computes a value, so the axiom against values out of thin air has nothing to forbid.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from labkit.litmus.program import Fence, Load, Op, Outcome, Store, Test
from labkit.litmus.release_acquire import (
    Event,
    Relation,
    closed,
    events_of,
    executions,
    identity,
    loaded,
    then,
)


def _is_fence(op: Op) -> bool:
    return isinstance(op, Fence) and op.kind != "light"


def _is_strongest_fence(op: Op) -> bool:
    return isinstance(op, Fence) and op.kind == "seq_cst"


def _releases(op: Op) -> bool:
    return isinstance(op, Store) and op.order == "release"


def _acquires(op: Op) -> bool:
    return isinstance(op, Load) and op.order == "acquire"


def _fence_orders(events: list[Event], strong: Relation) -> Iterator[Relation]:
    """Each total order of the seq_cst fences, as far as they are morally strong."""
    fences = [number for number, event in enumerate(events) if _is_strongest_fence(event.op)]
    for order in itertools.permutations(fences):
        relation = np.zeros_like(strong)
        for a, b in itertools.combinations(order, 2):
            relation[a, b] = strong[a, b]
        yield relation


def _coherence(
    events: list[Event], po: Relation, strong: Relation, rf: Relation, mo: Relation, sc: Relation
) -> Relation | None:
    """The order of stores that an execution needs, or None if it is not consistent."""
    one = np.eye(len(events), dtype=bool)
    place = [None if isinstance(event.op, Fence) else event.op.location for event in events]
    same = np.array([[a is not None and a == b for b in place] for a in place])
    store = identity(events, lambda op: isinstance(op, Store))
    load = identity(events, lambda op: isinstance(op, Load))
    fence = identity(events, _is_fence)
    po_loc = po & same
    observed = rf & strong
    release, acquire = identity(events, _releases), identity(events, _acquires)
    prefix = then(release, one | po_loc, store) | then(fence, po, store)
    suffix = then(load, one | po_loc, acquire) | then(load, po, fence)
    sync = then(prefix, observed, suffix) & strong
    base = closed(then(one | po, sync | sc, one | po))
    cause = base | then(observed, po_loc | base)
    co = closed((mo & strong) | (then(store, cause, store) & same))
    fr = then(rf.T, co)
    communication = (rf | co | fr) & strong
    cycles = (
        co,
        closed(communication | po_loc),
        then(one | fr | rf, cause),
    )
    return None if any(relation.diagonal().any() for relation in cycles) else co


def _ends(events: list[Event], co: Relation, location: str) -> list[int]:
    """The values that a location may have at the end."""
    return [
        event.op.value
        for number, event in enumerate(events)
        if isinstance(event.op, Store) and event.op.location == location and not co[number].any()
    ]


def outcomes(test: Test, *, inclusive: bool) -> frozenset[Outcome]:
    """All outcomes that PTX allows.

    Args:
        test: its accesses relaxed, release or acquire, its fences seq_cst or light.
        inclusive: whether the scope of the accesses includes all threads of the test.
    """
    events, before = events_of(test)
    thread = np.array([event.thread for event in events])
    own = thread[:, None] == thread[None, :]
    initial = (thread[:, None] == -1) | (thread[None, :] == -1)
    po = before & own
    strong = own | initial | inclusive
    found = set()
    for chosen, rf, mo in executions(events):
        for sc in _fence_orders(events, strong):
            co = _coherence(events, po, strong, rf, mo, sc)
            if co is None:
                continue
            values = loaded(events, chosen)
            ends = [_ends(events, co, name) for name in test.final]
            for last in itertools.product(*ends):
                all_values = {
                    **values,
                    **{f"[{k}]": v for k, v in zip(test.final, last, strict=True)},
                }
                found.add(tuple((name, all_values[name]) for name in test.names()))
    return frozenset(found)
