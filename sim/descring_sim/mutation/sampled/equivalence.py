# SPDX-License-Identifier: Apache-2.0
"""Whether a mutated module computes what the original does, by SAT.

The flip-flops and memories of both become inputs and outputs of one name, so that the question is
whether equal states and equal inputs give equal outputs and equal next states: one step of an
induction, without a bound. It proves equivalence; where it does not, nothing is known, because the
state that tells the two apart may be unreachable, or no port may show it.
"""

from __future__ import annotations

import re
from pathlib import Path

from descring_sim.mutation.sampled import netlist
from descring_sim.mutation.sampled.netlist import Design, Mutation, Target
from descring_sim.support import processes
from descring_sim.support.errors import SimulationError

SECONDS = 60
"""How long the solver may take."""

MOST_MEMORY_BITS = 1 << 15
"""Each becomes a flip-flop; beyond this nothing is asked."""

_SIDE = """\
hierarchy -top {module}
flatten
memory_map
opt_clean
expose -evert-dff
opt_clean
rename -top {side}
design -stash {side}
"""

_COMPARE = """\
design -reset
design -copy-from gold gold
design -copy-from gate gate
miter -equiv -flatten gold gate miter
hierarchy -top miter
opt_expr
opt_merge
opt_clean
tee -q -o proof.txt sat -timeout {seconds} -prove trigger 0 miter
"""

_APART = re.compile(r"ERROR: No matching port in .* was found for .*")
"""A mutation behind a flip-flop's output hides the name of its state."""


def memory_bits(design: Design, module: str) -> int:
    """Return the bits of the memories of ``module`` and of the modules in it."""
    found = design[module]
    own: int = sum(
        int(cell["parameters"]["WIDTH"], 2) * int(cell["parameters"]["SIZE"], 2)
        for cell in found["cells"].values()
        if cell["type"] in ("$mem", "$mem_v2")
    )
    own += sum(memory["width"] * memory["size"] for memory in found.get("memories", {}).values())
    inner = (cell["type"] for cell in found["cells"].values() if cell["type"] in design)
    return own + sum(memory_bits(design, name) for name in inner)


def _script(target: Target, module: str, mutation: Mutation, cell: str) -> str:
    return "\n".join(
        [
            target.read() + "design -save base",
            _SIDE.format(module=module, side="gold") + "design -load base",
            *mutation.commands([(module, cell)]),
            _SIDE.format(module=module, side="gate") + _COMPARE.format(seconds=SECONDS),
        ]
    )


def proven(target: Target, mutation: Mutation, out: Path) -> bool:
    """Return whether every instance of the mutated module in ``target`` equals its original.

    Raises:
        SimulationError: the tool failed.
    """
    design = netlist.design(target, out)
    cells = netlist.resolve(design, mutation)
    return bool(cells) and all(
        _equal(target, mutation, design, module, cell, out / "equivalence" / f"{number}")
        for number, (module, cell) in enumerate(cells)
    )


def _equal(
    target: Target, mutation: Mutation, design: Design, module: str, cell: str, out: Path
) -> bool:
    if memory_bits(design, module) > MOST_MEMORY_BITS:
        return False
    folder = out / f"{target.top}-{target.key()}-{mutation.name}"
    proof = folder / "proof.txt"
    proof.unlink(missing_ok=True)
    try:
        netlist.yosys(_script(target, module, mutation, cell), folder, netlist.sources_of(target))
    except SimulationError:
        log = folder / "yosys.log"
        if _APART.search(log.read_text(encoding="utf-8", errors="replace")):
            return False
        raise
    text = proof.read_text(encoding="utf-8")
    if "SAT proof finished - no model found: SUCCESS!" in text:
        return True
    if (
        "SAT proof finished - model found: FAIL!" in text
        or "Interrupted SAT solver: TIMEOUT!" in text
    ):
        return False
    raise SimulationError(f"{proof}: expected a verdict of sat, got\n{processes.log_tail(proof)}")
