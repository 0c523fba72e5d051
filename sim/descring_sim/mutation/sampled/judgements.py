# SPDX-License-Identifier: Apache-2.0
"""Mutants that are judged equivalent in writing: ``sim/mutants/sampled/<kind>.toml``.

An entry names a mutant by the text of the line that it changes, so that edits elsewhere in the file
do not touch it::

    [[equivalent]]
    module = "desc_ring"
    source = "if (take && line_valid_i) begin"   # its line
    change = "$mux B const0"                     # as the campaign prints it
    bits = "4-31"                              # of a change of one bit; all when left out
    reason = "why no test can tell it apart"

An entry whose line is no longer in the source is an error, and so is one whose mutant is killed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descring_sim.support.errors import SimulationError

_NEEDED = {"module", "source", "change", "reason"}
_BITS = re.compile(r"(\d+)(?:-(\d+))?")


@dataclass(frozen=True)
class Judgement:
    """One entry; ``first`` to ``last`` are its bits, None for all."""

    where: str
    module: str
    source: str
    change: str
    reason: str
    first: int | None = None
    last: int | None = None

    def matches(self, module: str, source: str, change: str, bit: int | None) -> bool:
        """Whether the entry is about such a mutant."""
        if (module, source.strip(), change) != (self.module, self.source, self.change):
            return False
        if self.first is None or self.last is None:
            return True
        return bit is not None and self.first <= bit <= self.last


def _entry(where: str, entry: Any) -> Judgement:
    if not isinstance(entry, dict) or not _NEEDED <= set(entry) <= {*_NEEDED, "bits"}:
        raise SimulationError(
            f"{where}: expected {sorted(_NEEDED)} and perhaps bits, got "
            f"{sorted(entry) if isinstance(entry, dict) else entry!r}"
        )
    for key, value in entry.items():
        if not isinstance(value, str) or not value.strip():
            raise SimulationError(f"{where}: expected {key} to be a text, got {value!r}")
    words = {key: entry[key].strip() for key in _NEEDED}
    if "bits" not in entry:
        return Judgement(where, **words)
    match = _BITS.fullmatch(entry["bits"])
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise SimulationError(f"{where}: expected bits as 4 or 4-31, got {entry['bits']!r}")
    return Judgement(where, **words, first=int(match[1]), last=int(match[2] or match[1]))


def load(path: Path, source_of: Callable[[str], Path]) -> list[Judgement]:
    """Return the judgements in ``path``; ``source_of`` gives the file of a module.

    Raises:
        SimulationError: an entry is wrong, or its line is not in the source.
    """
    if not path.is_file():
        raise SimulationError(f"expected a list of judgements, got no file {path}")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SimulationError(f"{path}: {error}") from error
    listed = data.pop("equivalent", [])
    if data or not isinstance(listed, list):
        raise SimulationError(f"{path}: expected [[equivalent]] alone, got {sorted(data)}")
    found = [
        _entry(f"{path.name}: entry {number}", entry)
        for number, entry in enumerate(listed, start=1)
    ]
    for judgement in found:
        file = source_of(judgement.module)
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        if judgement.source not in {line.strip() for line in lines}:
            raise SimulationError(
                f"{judgement.where}: expected the line {judgement.source!r} in {file.name}, "
                "which has none; judge its mutant again or remove the entry"
            )
    return found
