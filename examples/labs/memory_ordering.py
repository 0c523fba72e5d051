# SPDX-License-Identifier: Apache-2.0
"""Memory ordering: of six shapes x86 shows one, and few fences of the ring need an instruction.

The shapes SB, MP, LB, IRIW, 2+2W and CoRR run with relaxed accesses, with release and acquire, with
full fences, and with one thread reordered; and so do the ring's own protocols, each fence of them
weakened in turn. What x86-TSO and C11 allow is enumerated beforehand: no other outcome may be seen.
A weakened fence is caught where the machine can show it, and named where it cannot.

Run: python examples/labs/memory_ordering.py
Nightly: --turns 1000000000 --only plain
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from descring_model.program import run_program
from descring_sim.bench import chart, results
from labkit.driver import Outcome as Found
from labkit.driver import chosen_options, options, publish
from labkit.lab import NotObservableError, Verdict
from labkit.litmus import native, release_acquire, tso
from labkit.litmus.program import (
    SHAPES,
    Fence,
    Outcome,
    RingProtocol,
    Test,
    forms,
    protocols,
)

NAME = "memory-ordering"
STORE_BUFFERS = ("SB relaxed", "SB release-acquire")
TURNS = 600_000
NS_OF_A_TURN = 20_000
"""No turn takes longer, on a busy machine and with sys_membarrier."""
Counts = Mapping[str, Mapping[Outcome, int]]


class Named(Protocol):
    """A test, wherever it runs."""

    @property
    def name(self) -> str:
        """Unique among the tests."""
        ...

    @property
    def weak(self) -> Outcome:
        """The outcome that it is about."""
        ...


@dataclass
class Seen:
    """What all repetitions saw: counts of outcomes, and ns of a turn in each repetition."""

    counts: dict[str, dict[Outcome, int]] = field(default_factory=dict)
    ns: dict[str, list[float]] = field(default_factory=dict)

    def add(self, test: Named, counts: Mapping[Outcome, int], ns: float) -> None:
        """Add one run of a test."""
        mine = self.counts.setdefault(test.name, {})
        for outcome, count in counts.items():
            mine[outcome] = mine.get(outcome, 0) + count
        self.ns.setdefault(test.name, []).append(ns)

    def weak(self, test: Named) -> int:
        """How often the outcome that the test is about was seen."""
        return self.counts[test.name].get(test.weak, 0)

    def turns(self, test: Named) -> int:
        """How often the test ran."""
        return sum(self.counts[test.name].values())

    def details(self) -> dict[str, dict[str, int]]:
        """The counts as a file of results has them."""
        return {
            name: {
                " ".join(f"{k}={v}" for k, v in outcome): count for outcome, count in mine.items()
            }
            for name, mine in self.counts.items()
        }


def allowed(test: Test) -> frozenset[Outcome]:
    """What both models allow. C11 knows no fence for all CPUs, so there TSO alone counts."""
    machine = tso.outcomes(test)
    if any(op == Fence("all") for thread in test.threads for op in thread):
        return machine
    return machine & release_acquire.outcomes(test)


def all_tests() -> list[Test]:
    """The forms of all shapes, and the ring's protocols with each fence weakened."""
    shapes = [form for shape in SHAPES for form in forms(shape)]
    return shapes + [t for ring in protocols() for t in (ring.intact, *ring.weakened.values())]


def selected(wanted: Sequence[str]) -> list[Test]:
    """The tests whose names begin so; ``plain``: the relaxed form of each shape, and SB fenced."""
    if not wanted:
        return all_tests()
    plain = {forms(shape)[0].name for shape in SHAPES} | {"SB fenced"}
    return [
        test
        for test in all_tests()
        if test.name.startswith(tuple(wanted)) or ("plain" in wanted and test.name in plain)
    ]


def measure(
    tests: Sequence[Test], turns: int, repetitions: int, seed: int, replace: Mapping[str, str]
) -> Seen:
    """Run the tests interleaved; ``replace`` runs another test's program under a test's name."""
    cpus = len(os.sched_getaffinity(0))
    program = native.compiled(all_tests(), cpus)
    native.check(program, all_tests())
    by_name = {test.name: test for test in all_tests()}
    random = np.random.default_rng(seed)
    seen = Seen()
    for repetition in range(repetitions):
        for number in random.permutation(len(tests)):
            test = tests[number]
            other = by_name[replace.get(test.name, test.name)]
            everywhere = any(op == Fence("all") for thread in other.threads for op in thread)
            count = max(turns // repetitions // (20 if everywhere else 1), 1)
            start = time.perf_counter_ns()
            limit = max(60.0, count * NS_OF_A_TURN * 1e-9)
            found = native.run(program, [other], count, limit)[other.name]
            seen.add(test, found, (time.perf_counter_ns() - start) / count)
        if turns > TURNS:
            print(f"{NAME}: {repetition + 1} of {repetitions} repetitions", file=sys.stderr)
    return seen


def judge_shapes(
    tests: Sequence[Test], seen: Seen, cpus: int
) -> tuple[list[str], list[str], list[str]]:
    """Lines for people, claims that fail, and controls that fail."""
    lines, claims, controls = [], [], []
    for test in tests:
        permitted, weak = allowed(test), seen.weak(test)
        wrong = set(seen.counts[test.name]) - permitted
        per_million = f"{weak} of {seen.turns(test)}"
        expects = "allowed" if test.weak in permitted else "forbidden"
        note = ""
        if wrong:
            claims.append(f"{test.name}: forbidden outcome {sorted(wrong)[0]}")
            note = "   NO: FORBIDDEN OUTCOME"
        elif test.weak in permitted and not weak:
            if len(test.threads) > cpus:
                note = f"   not observable here: {len(test.threads)} threads on {cpus} CPUs"
            elif test.name.endswith(" swapped"):
                controls.append(f"{test.name}: its outcome is not seen")
                note = "   NO"
            else:
                claims.append(f"{test.name}: the outcome that x86 shows is not seen")
                note = "   NO"
        lines.append(f"{test.name:32} weak outcome {expects}, seen {per_million}{note}")
    return lines, claims, controls


def judge_rings(rings: Sequence[RingProtocol], seen: Seen) -> list[str]:
    """For each order and fence of the ring: caught by the machine, or why it cannot be."""
    lines = []
    for ring in rings:
        lines.append(f"{ring.intact.name}: {ring.text}")
        for what, test in ring.weakened.items():
            if test.weak in tso.outcomes(test):
                found = f"caught, {seen.weak(test)} times of {seen.turns(test)}"
                text = found if seen.weak(test) else "NOT CAUGHT"
            else:
                text = "not observable on x86-64, which keeps this order; C11 allows another"
            lines.append(f"  without the {what}: {text}")
    return lines


def judge(tests: Sequence[Test], rings: Sequence[RingProtocol], seen: Seen, cpus: int) -> Found:
    """The verdict."""
    lines, claims, controls = judge_shapes(tests, seen, cpus)
    lines += judge_rings(rings, seen)
    if claims:
        return Found(Verdict.NOT_SEEN, "; ".join(claims), lines=lines)
    if controls:
        text = "; ".join(controls)
        return Found(Verdict.NOT_OBSERVABLE, f"a control failed: {text}", lines=lines)
    turns = sum(map(seen.turns, tests))
    shown = [test.name for test in tests if test.name in STORE_BUFFERS]
    reason = f"{turns} turns without a forbidden outcome"
    reason += f"; store buffers show in {', '.join(shown)}" if shown else ""
    return Found(Verdict.SEEN, reason, lines=lines)


def draw(tests: Sequence[Test], seen: Seen, note: str) -> str:
    """A row a test: what the models allow of its weak outcome, and what was seen."""

    def mark(permitted: bool) -> chart.Cell:
        return ("allowed", "some") if permitted else ("forbidden", "")

    rows = []
    for test in tests:
        weak = seen.weak(test)
        colour = ("some" if weak else "good") if test.weak in allowed(test) else "good"
        colour = "bad" if set(seen.counts[test.name]) - allowed(test) else colour
        rows.append(
            [
                (test.name, ""),
                mark(test.weak in tso.outcomes(test, buffered=False)),
                mark(test.weak in tso.outcomes(test)),
                mark(test.weak in release_acquire.outcomes(test)),
                (f"{weak} of {seen.turns(test)}", colour),
            ]
        )
    head = ("weak outcome of", "SC", "x86-TSO", "C11", "seen")
    return chart.table("Memory ordering: allowed and seen", note, head, rows)


def main() -> None:
    """Run the lab as a program."""
    parser = options(__doc__)
    parser.add_argument("--turns", type=int, default=TURNS, help=f"of each test; default: {TURNS}")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="TEXT",
        help="tests whose names begin so; plain: the relaxed form of each shape, for long runs",
    )
    chosen, named = chosen_options(parser, [test.name for test in all_tests()])
    tests = selected(chosen.only)
    if chosen.turns < chosen.repetitions or not tests:
        parser.error("expected --turns of at least --repetitions, and the name of a test as --only")
    rings = [
        ring
        for ring in protocols()
        if all(test in tests for test in (ring.intact, *ring.weakened.values()))
    ]

    def work() -> int:
        cpus = len(os.sched_getaffinity(0))
        if cpus < 2:
            reason = f"expected 2 CPUs, this process may use {cpus}"
            publish(NAME, Found(Verdict.NOT_OBSERVABLE, reason), (), {}, str, chosen.out)
            return int(Verdict.NOT_OBSERVABLE)
        try:
            seen = measure(tests, chosen.turns, chosen.repetitions, chosen.seed, chosen.replace)
        except NotObservableError as error:
            outcome = Found(Verdict.NOT_OBSERVABLE, str(error))
            publish(NAME, outcome, (), {}, str, chosen.out)
            return int(outcome.verdict)
        outcome = judge(tests, rings, seen, cpus)
        publish(
            NAME,
            outcome,
            results.figures_of(seen.ns, "ns of a turn", "lower"),
            {**named, "turns": chosen.turns, "counts": seen.details()},
            lambda note: draw(tests, seen, note),
            chosen.out,
        )
        return int(outcome.verdict)

    run_program(NAME, work)


if __name__ == "__main__":
    main()
