# SPDX-License-Identifier: Apache-2.0
"""The lists of mutants: small changes of a source, each of which a test must kill.

One format serves RTL, proofs, host runtime, kernels and the conformance kit. A file holds the
mutants of one source::

    file = "desc_ring.sv"
    runs = ["desc_ring@depth2"]            # what is run, in this order, until something fails

    [[mutant]]
    id = "desc-full-off-by-one"
    breaks = "the ring takes one line more than it has slots"
    search = "occupancy != 32'(Depth)"     # occurs in the file exactly once
    replace = "occupancy != 32'(Depth + 1)"

A mutant may have a ``file`` and ``runs`` of its own; ``also = [[search, replace], ...]`` where one
fault shows in several places; ``equivalent = "reason"`` if no test can tell it apart;
``unproven = "reason"`` if no property of its block covers it; and ``refuted = "reason"`` if it is
equivalent by the contract, yet a stricter property refutes it.

A run is ``block@configuration``, with ``/regex`` behind it to run only the cases that match.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NEEDED = ("id", "file", "runs", "breaks", "search", "replace")
_REASONS = ("equivalent", "unproven", "refuted")


class MutantError(Exception):
    """A list is wrong or does not fit its source; the text is ``expected X, got Y``."""


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
    """One change: ``search``, which is in ``file`` once, becomes ``replace``; ``also`` likewise."""

    name: str
    file: str
    breaks: str
    search: str
    replace: str
    runs: tuple[Run, ...] = ()
    equivalent: str | None = None
    unproven: str | None = None
    refuted: str | None = None
    also: tuple[tuple[str, str], ...] = ()

    def mutate(self, text: str) -> str:
        """Return the source ``text`` with the change applied.

        Raises:
            MutantError: a search text is not in it exactly once, or nothing would change.
        """
        for search, replacement in ((self.search, self.replace), *self.also):
            found = text.count(search)
            if found != 1:
                raise MutantError(
                    f"{self.name}: expected its search text once in {self.file}, found it {found} "
                    f"times; fit the list to the source: {search!r}"
                )
            if search == replacement:
                raise MutantError(f"{self.name}: the replacement is the same as what it replaces")
            text = text.replace(search, replacement)
        return text

    def apply(self, folder: Path) -> Path:
        """Change its file below ``folder``, a copy of the sources; return the file.

        Raises:
            MutantError: there is no such file, or as :meth:`mutate`.
        """
        source = folder / self.file
        if not source.is_file():
            raise MutantError(f"{self.name}: there is no {self.file} in {folder}")
        source.write_text(self.mutate(source.read_text(encoding="utf-8")), encoding="utf-8")
        return source


def entries(
    path: Path, needed: Collection[str] = _NEEDED, optional: Collection[str] = ("also", *_REASONS)
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the entries of a list, each with the file's own keys, and where it stands.

    Args:
        path: the list.
        needed: keys that every entry has, or the file for it.
        optional: keys that an entry may have.

    Raises:
        MutantError: an entry has not these keys, or a value is of another type.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise MutantError(f"{path}: {error}") from error
    listed = data.pop("mutant", None)
    if not isinstance(listed, list):
        raise MutantError(f"{path}: expected the keys of a list and [[mutant]], got {sorted(data)}")
    for number, own in enumerate(listed, start=1):
        entry = data | own
        where = f"{path}: mutant {number}"
        if not set(needed) <= set(entry) <= {*needed, *optional}:
            raise MutantError(
                f"{where}: expected {sorted(needed)} and perhaps {sorted(optional)}, "
                f"got {sorted(entry)}"
            )
        for key, value in entry.items():
            if key not in ("runs", "also") and not (
                isinstance(value, str) and (value or key == "replace")
            ):
                raise MutantError(f"{where}: expected {key} to be a text, got {value!r}")
        entry["also"] = tuple((search, new) for search, new in entry.get("also", ()))
        yield where, entry


def _mutant(where: str, entry: dict[str, Any]) -> Mutant:
    runs = entry.pop("runs")
    if not isinstance(runs, list) or not runs:
        raise MutantError(f"{where}: expected runs to be a list of runs, got {runs!r}")
    if "refuted" in entry and "equivalent" not in entry:
        raise MutantError(f"{where}: expected refuted only beside equivalent, which it limits")
    return Mutant(entry.pop("id"), runs=tuple(Run.parse(str(run)) for run in runs), **entry)


def load(folder: Path) -> list[Mutant]:
    """Return the mutants of every ``.toml`` file in ``folder``, in the order of the files' names.

    Raises:
        MutantError: a file is wrong, there is none, or two mutants have one id.
    """
    found = [_mutant(*entry) for path in sorted(folder.glob("*.toml")) for entry in entries(path)]
    if not found:
        raise MutantError(f"expected lists of mutants in {folder}, found none")
    names = [mutant.name for mutant in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise MutantError(f"mutants with one id: {', '.join(twice)}")
    return found
