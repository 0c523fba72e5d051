# SPDX-License-Identifier: Apache-2.0
"""The properties of ``formal/*.sv``: name, rules of the contract, sentence.

A property is a use of one of the macros of ``rtl/hw_macros.svh``. The comment right above it
states it in a sentence, behind the rules that it covers::

    // [DB-001] valid is high only below the published tail
    `HW_ASSERT_IF(OnlyPublished_A, valid, cmd_tail_i != taken)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from descring_model import rules

from descring_sim.support.errors import SimulationError
from descring_sim.support.rule_citations import citations

Kind = Literal["proof", "cover", "assumption"]

_KINDS: dict[str, tuple[Kind, str]] = {
    "HW_ASSERT_IF": ("proof", "_A"),
    "HW_ASSERT_ZERO": ("proof", "_A"),
    "HW_COVER": ("cover", "_C"),
    "HW_ASSUME": ("assumption", "_M"),
}
"""Macro: what it states, and how its names end."""

REACHED = "_reached"
"""What the cover of a property's condition is called, behind the property's name."""

_USE = re.compile(r"^((?:[ \t]*//[^\n]*\n)*)[ \t]*`([A-Z_]+)\(\s*(\w+)", re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*// ?", re.MULTILINE)
_BRACKETS = re.compile(r"^(?:\s*\[[^\]]*\])*\s*")


@dataclass(frozen=True)
class Property:
    """One property: what it states, and in which file of ``formal/``.

    Attributes:
        conditional: it has a condition of its own, whose cover shows that the case exists.
    """

    kind: Kind
    name: str
    rules: tuple[str, ...]
    sentence: str
    file: str
    conditional: bool

    def __str__(self) -> str:
        return f"{self.file}::{self.name}"


def read(path: Path) -> list[Property]:
    """The properties of one file, in the order they stand there.

    Raises:
        SimulationError: one has no sentence, a name that does not end as its kind's do or that
            stands twice, or cites a rule that the contract does not have.
    """
    known = frozenset(rule.rule for rule in rules.all_rules())
    found: dict[str, Property] = {}
    for match in _USE.finditer(path.read_text(encoding="utf-8")):
        comment, macro, name = match.groups()
        if macro not in _KINDS:
            continue
        kind, ending = _KINDS[macro]
        where = f"{path}: {name}"
        text = " ".join(_COMMENT.sub("", comment).split())
        sentence = _BRACKETS.sub("", text)
        if not sentence:
            raise SimulationError(f"{where}: expected its sentence in a comment right above it")
        if not name.endswith(ending):
            raise SimulationError(f"{where}: the name of a {kind} ends in {ending}")
        if name in found:
            raise SimulationError(f"{where}: the name stands twice in the file")
        try:
            cited = citations(text, known)
        except ValueError as error:
            raise SimulationError(f"{where}: {error}") from error
        found[name] = Property(kind, name, cited, sentence, path.name, macro == "HW_ASSERT_IF")
    return list(found.values())


def read_all(folder: Path) -> list[Property]:
    """The properties of all files of ``folder``, file by file."""
    return [item for path in sorted(folder.glob("*.sv")) for item in read(path)]
