# SPDX-License-Identifier: Apache-2.0
"""How a text cites rules of the contract: ``[DB-001] [RING-005]`` at its start, ranges allowed."""

from __future__ import annotations

import re

_RULE = r"[A-Z]+-[0-9A-Z]+"
_BRACKET = re.compile(r"\s*\[([^\]]*)\]")
_CITATION = re.compile(rf"({_RULE})(?:\.\.({_RULE}))?")
_ANYWHERE = re.compile(rf"\[({_RULE}(?:\.\.{_RULE})?)\]")


def expand(citation: str, known: frozenset[str]) -> tuple[str, ...]:
    """The rules that ``[citation]`` stands for.

    Raises:
        ValueError: it is no rule id or range, or names a rule that the contract does not have.
    """
    match = _CITATION.fullmatch(citation)
    if match is None:
        raise ValueError(f"[{citation}] is neither a rule id nor a range such as [AB-001..AB-003]")
    first, last = match.group(1), match.group(2)
    for rule in (first, last):
        if rule is not None and rule not in known:
            raise ValueError(f"the contract has no rule {rule}")
    if last is None:
        return (first,)
    prefix, low = first.split("-")
    other, high = last.split("-")
    try:
        bounds = int(low, 16), int(high, 16)
    except ValueError:
        raise ValueError(f"[{citation}]: the ends of a range must be numbered") from None
    if prefix != other or bounds[0] >= bounds[1]:
        raise ValueError(f"[{citation}]: a range goes upwards within one group of rules")
    return tuple(
        rule
        for rule in sorted(known)
        if re.fullmatch(rf"{prefix}-[0-9A-F]+", rule)
        and bounds[0] <= int(rule.split("-")[1], 16) <= bounds[1]
    )


def citations(text: str, known: frozenset[str]) -> tuple[str, ...]:
    """The rules that ``text`` cites at its start, in order and without repetition.

    Raises:
        ValueError: as :func:`expand`, also for a citation further on in the text.
    """
    found: dict[str, None] = {}
    position = 0
    while match := _BRACKET.match(text, position):
        found.update(dict.fromkeys(expand(match.group(1), known)))
        position = match.end()
    for later in _ANYWHERE.finditer(text, position):
        expand(later.group(1), known)
    return tuple(found)
