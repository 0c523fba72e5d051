# SPDX-License-Identifier: Apache-2.0
"""The list of mutants: small changes of the RTL, each of which a test must kill.

A file ``<name>.toml`` in ``sim/mutants`` holds the mutants of one RTL source::

    file = "desc_ring.sv"
    runs = ["desc_ring@depth2"]            # what is run, in this order, until something fails

    [[mutant]]
    id = "desc-full-off-by-one"
    breaks = "the ring takes one line more than it has slots"
    search = "occupancy != 32'(Depth)"     # occurs in the file exactly once
    replace = "occupancy != 32'(Depth + 1)"

A run is ``block@configuration``, with ``/regex`` behind it to run only the cases that match. A
mutant may name ``runs`` of its own, ``equivalent = "reason"`` if no test can tell it apart, and
``unproven = "reason"`` if no property of its block covers it; ``refuted = "reason"`` if it is
equivalent by the contract, yet a stricter property refutes it (see
:mod:`descring_sim.mutation.formal`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FILE_KEYS = {"file", "runs", "mutant"}
_NEEDED = {"id", "breaks", "search", "replace"}
_REASONS = {"equivalent", "unproven", "refuted"}
_OPTIONAL = {"runs"} | _REASONS


class MutantError(Exception):
    """The list is wrong or does not fit the RTL; the text is ``expected X, got Y``."""


@dataclass(frozen=True)
class Run:
    """Cases of one block in one configuration; ``case`` is a regular expression or None for all."""

    block: str
    config: str
    case: str | None = None

    @classmethod
    def parse(cls, text: str) -> Run:
        """Read ``block@configuration`` or ``block@configuration/regex``."""
        block, at, rest = text.partition("@")
        config, _, case = rest.partition("/")
        if not (block and at and config):
            raise MutantError(f"expected a run as block@configuration[/regex], got {text!r}")
        return cls(block, config, case or None)

    def __str__(self) -> str:
        return f"{self.block}@{self.config}" + (f"/{self.case}" if self.case else "")


@dataclass(frozen=True)
class Mutant:
    """One change: ``search``, which is in ``file`` once, becomes ``replace``."""

    name: str
    file: str
    breaks: str
    search: str
    replace: str
    runs: tuple[Run, ...]
    equivalent: str | None = None
    unproven: str | None = None
    refuted: str | None = None

    def mutate(self, text: str) -> str:
        """Return the source ``text`` with the change applied.

        Raises:
            MutantError: ``search`` is not in it exactly once, or nothing would change.
        """
        found = text.count(self.search)
        if found != 1:
            raise MutantError(
                f"{self.name}: expected its search text once in {self.file}, found it {found} "
                f"times; fit sim/mutants to the RTL: {self.search!r}"
            )
        if self.search == self.replace:
            raise MutantError(f"{self.name}: the replacement is the same as what it replaces")
        return text.replace(self.search, self.replace)


def _texts(entry: dict[str, Any], where: str, keys: Iterable[str]) -> None:
    for key in keys:
        if not isinstance(entry.get(key, ""), str) or entry.get(key, "x") == "":
            raise MutantError(f"{where}: expected {key} to be a text, got {entry[key]!r}")


def _runs(entry: dict[str, Any], where: str) -> tuple[Run, ...]:
    runs = entry["runs"]
    if not isinstance(runs, list) or not runs:
        raise MutantError(f"{where}: expected runs to be a list of runs, got {runs!r}")
    return tuple(Run.parse(str(run)) for run in runs)


def _read(path: Path) -> list[Mutant]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise MutantError(f"{path}: {error}") from error
    if set(data) != _FILE_KEYS:
        raise MutantError(f"{path}: expected the keys {sorted(_FILE_KEYS)}, got {sorted(data)}")
    mutants = []
    for number, entry in enumerate(data["mutant"], start=1):
        where = f"{path}: mutant {number}"
        if not _NEEDED <= set(entry) <= _NEEDED | _OPTIONAL:
            raise MutantError(
                f"{where}: expected {sorted(_NEEDED)} and perhaps {sorted(_OPTIONAL)}, "
                f"got {sorted(entry)}"
            )
        _texts(entry, where, (_NEEDED - {"replace"}) | _REASONS)
        if "refuted" in entry and "equivalent" not in entry:
            raise MutantError(f"{where}: expected refuted only beside equivalent, which it limits")
        mutants.append(
            Mutant(
                entry["id"],
                data["file"],
                entry["breaks"],
                entry["search"],
                entry["replace"],
                _runs({"runs": data["runs"]} | entry, where),
                entry.get("equivalent"),
                entry.get("unproven"),
                entry.get("refuted"),
            )
        )
    return mutants


def load(folder: Path) -> list[Mutant]:
    """Return the mutants of every ``.toml`` file in ``folder``, in the order of the files' names.

    Raises:
        MutantError: a file is wrong, there is none, or two mutants have one id.
    """
    mutants = [mutant for path in sorted(folder.glob("*.toml")) for mutant in _read(path)]
    if not mutants:
        raise MutantError(f"expected lists of mutants in {folder}, found none")
    names = [mutant.name for mutant in mutants]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MutantError(f"mutants with one id: {', '.join(twice)}")
    return mutants
