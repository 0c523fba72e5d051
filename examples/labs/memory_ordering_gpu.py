# SPDX-License-Identifier: Apache-2.0
"""Memory ordering on a GPU: it reorders what x86 keeps, and too narrow a scope orders nothing.

The shapes SB, MP, LB, IRIW, 2+2W and CoRR, and the ring's protocols with each order and fence
weakened: with the scope of a block, of the device and of the system; the threads of a test in one
block, or on different multiprocessors; the locations in the GPU's memory, or in the host's across
PCIe. What PTX allows is enumerated beforehand: no other outcome may be seen.

Run: python examples/labs/memory_ordering_gpu.py, on a machine with a GPU, CuPy and nvdisasm
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from descring_model.program import run_program
from descring_sim.bench import chart, results
from labkit.driver import Outcome as Found
from labkit.driver import chosen_options, options, publish
from labkit.lab import NotObservableError, Verdict
from labkit.litmus import ptx
from labkit.litmus.gpu import Gpu, Placed
from labkit.litmus.program import SHAPES, Fence, Outcome, forms, protocols
from memory_ordering import Seen

NAME = "memory-ordering-gpu"
TURNS = 1_000_000_000
ACROSS = 10
"""Across PCIe a test runs so many times less often."""
APART = ("device scope, blocks apart", "block scope, blocks apart")


def all_tests() -> list[Placed]:
    """Every form of every shape where its scope includes its threads and where it does not."""
    found = []
    for shape in SHAPES:
        *unswapped, swapped = forms(shape)
        for form in unswapped:
            found += [
                Placed(form, "block", apart=False),
                Placed(form, "block", apart=True),
                Placed(form, "device", apart=True),
                Placed(form, "system", apart=True),
                Placed(form, "system", apart=True, memory="host"),
            ]
        found.append(Placed(swapped, "device", apart=True))
    for ring in protocols():
        tests = (ring.intact, *ring.weakened.values())
        if not any(
            op == Fence("all") for test in tests for thread in test.threads for op in thread
        ):
            found += [Placed(test, "device", apart=True) for test in tests]
            found += [Placed(test, "system", apart=True, memory="host") for test in tests]
    return found


def claimed() -> set[str]:
    """Tests whose weak outcome the GPU must show, by the claims of this lab."""
    device, block = APART
    found = {f"{name} relaxed, {device}" for name in ("SB", "MP", "LB", "IRIW", "2+2W")}
    found |= {f"MP {form}, {block}" for form in ("relaxed", "release-acquire", "fenced")}
    for ring in protocols():
        found |= {f"{test.name}, {device}" for test in ring.weakened.values()}
    return found & {test.name for test in all_tests()}


def measure(
    gpu: Gpu,
    tests: Sequence[Placed],
    turns: int,
    repetitions: int,
    seed: int,
    replace: Mapping[str, str],
) -> Seen:
    """Run the tests interleaved; ``replace`` runs another test's kernel under a test's name."""
    by_name = {test.name: test for test in tests}
    random = np.random.default_rng(seed)
    seen = Seen()
    for _ in range(repetitions):
        for number in random.permutation(len(tests)):
            test = tests[number]
            other = by_name[replace.get(test.name, test.name)]
            count = turns // (ACROSS if other.memory == "host" else 1) // repetitions
            found, ns = gpu.run(other, max(count, 1), random)
            seen.add(test, found, ns)
    return seen


def judge(tests: Sequence[Placed], allowed: Mapping[str, frozenset[Outcome]], seen: Seen) -> Found:
    """The verdict, with a line for each test."""
    lines: list[str] = []
    wrong: list[str] = []
    missed: list[str] = []
    blind: list[str] = []
    must = claimed()
    for test in tests:
        permitted, weak = allowed[test.name], seen.weak(test)
        note = ""
        if set(seen.counts[test.name]) - permitted:
            wrong.append(f"{test.name}: an outcome that PTX forbids")
            note = "   NO: FORBIDDEN OUTCOME"
        elif not weak and (test.name in must or " swapped" in test.name):
            (missed if test.name in must else blind).append(f"{test.name}: not seen")
            note = "   NO"
        expects = "allowed" if test.weak in permitted else "forbidden"
        lines.append(
            f"{test.name:66} weak outcome {expects}, seen {weak} of {seen.turns(test)}{note}"
        )
    if wrong or missed:
        return Found(Verdict.NOT_SEEN, "; ".join(wrong + missed), lines=lines)
    if blind:
        text = "; ".join(blind)
        return Found(Verdict.NOT_OBSERVABLE, f"a control failed: {text}", lines=lines)
    turns = sum(map(seen.turns, tests))
    reason = f"{turns} turns without a forbidden outcome; {len(must)} weak outcomes seen as claimed"
    return Found(Verdict.SEEN, reason, lines=lines)


def draw(
    tests: Sequence[Placed], allowed: Mapping[str, frozenset[Outcome]], seen: Seen, note: str
) -> str:
    """A row a test, a column a place: how often of a million turns its weak outcome was seen."""
    places = {test.place: "" for test in tests}
    found: dict[str, dict[str, chart.Cell]] = {}
    for test in tests:
        weak, permitted = seen.weak(test), allowed[test.name]
        share = 1e6 * weak / seen.turns(test)
        text = f"{share:.3g}" if share < 1000 else f"{share:,.0f}"
        text += "" if test.weak in permitted else ", forbidden"
        colour = "some" if weak else "good" if test.weak not in permitted else ""
        colour = "bad" if set(seen.counts[test.name]) - permitted else colour
        found.setdefault(test.test.name, {})[test.place] = (text, colour)
    rows = [
        [(name, ""), *(cells.get(place, ("", "")) for place in places)]
        for name, cells in found.items()
    ]
    head = ["seen in a million turns", *(place.replace(" scope,", ",") for place in places)]
    head = [
        text.replace("system, blocks apart, host memory", "system, host memory") for text in head
    ]
    return chart.table("Memory ordering on a GPU: weak outcomes", note, head, rows)


def main() -> None:
    """Run the lab as a program."""
    parser = options(__doc__)
    parser.add_argument("--turns", type=int, default=TURNS, help=f"of each test; default: {TURNS}")
    tests = all_tests()
    chosen, named = chosen_options(parser, [test.name for test in tests])
    if chosen.turns < chosen.repetitions:
        parser.error("expected --turns of at least --repetitions")

    def work() -> int:
        try:
            gpu = Gpu(tests)
        except NotObservableError as error:
            outcome = Found(Verdict.NOT_OBSERVABLE, str(error))
            publish(NAME, outcome, (), {}, str, chosen.out)
            return int(outcome.verdict)
        allowed = {test.name: ptx.outcomes(test.test, inclusive=test.inclusive) for test in tests}
        seen = measure(gpu, tests, chosen.turns, chosen.repetitions, chosen.seed, chosen.replace)
        outcome = judge(tests, allowed, seen)
        publish(
            NAME,
            outcome,
            results.figures_of(seen.ns, "ns of a turn", "lower"),
            {**named, "gpu": gpu.name, "turns": chosen.turns, "counts": seen.details()},
            lambda note: draw(tests, allowed, seen, f"{gpu.name}; {note}"),
            chosen.out,
        )
        return int(outcome.verdict)

    run_program(NAME, work)


if __name__ == "__main__":
    main()
