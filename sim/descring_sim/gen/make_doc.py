# SPDX-License-Identifier: Apache-2.0
"""Writes ``docs/reference/make.md``: the targets of the Makefile, from the Makefile."""

from __future__ import annotations

import re
from pathlib import Path

from descring_sim.support.errors import SimulationError
from descring_sim.support.markdown import GENERATED, table

_INTRODUCTION = """\
# Make targets

Every target first prepares `.venv`; nothing has to be installed by hand. `make help` prints this
list. `make sim` is narrowed down with `SIM=icarus|verilator`, `TEST=regex`, `CONFIG=name` and
`SEED=n|random`; `FULL=1` runs everything in place of the quick tier, and `JOBS=n` sets how many
simulations run at a time. `make sim SIM=icarus TEST=line_check` runs one block on one simulator in
seconds.

[Tiers](../results/tiers.md) has the time and the coverage of each tier, and
[Results](../results/index.md) what the long targets have found. [Proofs](../formal.md),
[Soak](../soak.md) and [Conformance](../conformance.md) describe theirs.

"""
_TARGET = re.compile(r"^([a-z-]+):.*?## (.+)$", re.MULTILINE)


def render(root: Path) -> str:
    """Return the page for the Makefile of a checkout.

    Raises:
        SimulationError: the Makefile describes no target.
    """
    found = _TARGET.findall((root / "Makefile").read_text("utf-8"))
    if not found:
        raise SimulationError(f"{root / 'Makefile'}: expected targets with `## text`, got none")
    rows = ((f"`make {name}`", text) for name, text in found)
    return GENERATED + _INTRODUCTION + table(("target", "what it does"), rows)
