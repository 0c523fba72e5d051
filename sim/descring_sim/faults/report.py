# SPDX-License-Identifier: Apache-2.0
"""The fault table on paper: what is done is noted piece by piece, added up, written as pages."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from descring_sim.faults.kinds import COUNTED_IN_PARTS, PARTS
from descring_sim.support import provenance
from descring_sim.support.files import write_files
from descring_sim.support.journal import Journal
from descring_sim.support.markdown import table
from descring_sim.support.typed import check_types

FOLDERS = ("rtl", "sim", "cocotb_tests", "pymodel", "host")
"""What the outcome depends on."""

_COLUMNS = ("seeds", "faults", "lines", "refused", "bad doorbells", "halts")

Total = dict[tuple[str, str], Counter[str]]
"""The counts of each kind on each simulator: ``(kind, simulator)``."""


class Chunk(NamedTuple):
    """Some seeds of a kind on a simulator: ``seeds`` of them, from number ``first`` on."""

    simulator: str
    kind: str
    seed: int
    first: int
    seeds: int


def _journal(path: Path) -> Journal:
    return Journal(path, "what a run has noted", "remove the file and run without --resume")


def note(journal: Path, commit: str, chunk: Chunk, counts: Counter[str]) -> None:
    """Add a line about what is done, at once, so that no end of the run loses it."""
    _journal(journal).add({"commit": commit, **chunk._asdict(), "counts": counts})


def read_journal(journal: Path, commit: str) -> dict[Chunk, Counter[str]]:
    """What was done at ``commit``; empty if there is no such file.

    Raises:
        SimulationError: a line is none of :func:`note`'s.
    """

    def parse(entry: Any) -> tuple[str, Chunk, Counter[str]]:
        chunk = check_types(Chunk(*(entry[name] for name in Chunk._fields)))
        counts = dict(entry["counts"])
        if not all(type(count) is int for count in counts.values()):
            raise TypeError("counts that are no numbers")
        return entry["commit"], chunk, Counter(counts)

    found = _journal(journal).read(parse)
    return {chunk: counts for at, chunk, counts in found if at == commit}


def add_up(results: Iterable[tuple[Chunk, Counter[str]]]) -> Total:
    """The sum of each kind on each simulator, in the order in which they come."""
    total: Total = {}
    for chunk, counts in results:
        total.setdefault((chunk.kind, chunk.simulator), Counter()).update(counts)
    return total


def overview(total: Total) -> str:
    """A row for each kind on each simulator."""
    return table(
        ("fault", "simulator", *_COLUMNS),
        (
            (kind.replace("_", " "), simulator, *(str(found[name]) for name in _COLUMNS))
            for (kind, simulator), found in total.items()
        ),
    )


def parts(total: Total, kind: str, head: str) -> str:
    """A row for each part of ``kind``, a group of columns for each simulator."""
    found = {simulator: counts for (each, simulator), counts in total.items() if each == kind}
    numbers = sorted(
        {int(name.split(":")[0]) for counts in found.values() for name in counts if ":" in name}
    )
    columns = [(simulator, name) for simulator in found for name in COUNTED_IN_PARTS]
    return table(
        (head, *(f"{name}, {simulator}" for simulator, name in columns)),
        (
            (
                str(number),
                *(str(found[simulator][f"{number}:{name}"]) for simulator, name in columns),
            )
            for number in numbers
        ),
    )


_PAGE = """\
# The fault table

`descring dev faults --write`, {today}, commit {commit}, seed {seed}.

Each seed draws ring sizes, places, modes, first index, memory latency and pauses, then makes faults
between a host and the device. A golden device gets the same accesses and the same memory; at the
end, and wherever the device halts, every register and every byte of memory must be equal (but
CNT_STALL_CYCLES; after an error of the bus, lines that do not count are left out). Every seed here
ended so: nothing lost, nothing twice.

On Verilator the device is the compiled library of `open_device("verilated")`, on Icarus it runs
under cocotb with the protocol of both buses watched.

- faults: doorbells left out, repeated, behind, too far; lines stale, torn or with flipped bits;
  ranges of memory that return an error; resets under load; rings left full.
- refused: descriptors completed with ERROR. bad doorbells: the count in CNT_BAD_DOORBELLS. halts:
  stops, by a STOP or a bus error, that the host cleared and resumed.

{overview}## Torn lines, by the first k bytes that are new

The other bytes of the slot are what lay there before: an older line, or zeros. Where
REQUIRE_CHECKED is off, a slot whose flags lack CHECKED counts as a line without a checksum,
and is executed as such, on both devices alike. Where the old bytes happen to be the new ones, the
line is whole, and accepted.

{torn}## Flipped bits

{flipped}"""


def write(folder: Path, total: Total, commit: str, seed: int) -> None:
    """Write ``faults.md`` and ``faults.json`` into ``folder``."""
    page = _PAGE.format(
        today=provenance.today(),
        commit=commit,
        seed=seed,
        overview=overview(total),
        torn=parts(total, "torn_lines", "k"),
        flipped=parts(total, "bit_flips", "bits"),
    )
    data = {
        "date": str(provenance.today()),
        "commit": commit,
        "seed": seed,
        "results": [
            {"kind": kind, "simulator": simulator, **counts}
            for (kind, simulator), counts in total.items()
        ],
    }
    assert set(PARTS) <= {kind for kind, _ in total}
    write_files(
        {
            folder / "faults.md": page.rstrip("\n") + "\n",
            folder / "faults.json": json.dumps(data, indent=1) + "\n",
        }
    )
