# SPDX-License-Identifier: Apache-2.0
"""A differing line field by field."""

from __future__ import annotations

from dataclasses import dataclass

from descring_model import contract

from descring_sim.conform.status import LineDiff


@dataclass(frozen=True)
class FieldRow:
    """One field of a line: its bytes as submitted, expected and received, and as numbers."""

    name: str
    rule: str
    offset: int
    submitted: str | None
    expected: str | None
    actual: str | None
    bytes: tuple[tuple[str, str, bool], ...]
    """Expected byte, actual byte, whether they differ; empty strings where there is no line."""

    @property
    def differs(self) -> bool:
        """Whether it is not as expected."""
        return self.expected != self.actual

    def text(self) -> str:
        """The row for a terminal."""
        mark = ">" if self.differs else " "
        columns = (self.submitted, self.expected, self.actual)
        given, wanted, got = ("-" if value is None else value for value in columns)
        return (
            f"{mark} {self.offset:>2} {self.name:<18} submitted {given:<18} "
            f"expected {wanted:<18} actual {got}"
        )


def field_diff(diff: LineDiff | None) -> list[FieldRow]:
    """The fields of a differing line; none where there is no difference of bytes."""
    if diff is None:
        return []
    rows = []
    for field in contract.FIELDS:
        part = slice(field.offset, field.offset + field.size)
        pair = (diff.expected, diff.actual)
        octets = [None if line is None else line[part] for line in pair]
        rows.append(
            FieldRow(
                field.name,
                field.rule,
                field.offset,
                _number(diff.submission, part, field.size),
                _number(diff.expected, part, field.size),
                _number(diff.actual, part, field.size),
                tuple(
                    (
                        "" if octets[0] is None else f"{octets[0][k]:02x}",
                        "" if octets[1] is None else f"{octets[1][k]:02x}",
                        octets[0] is None or octets[1] is None or octets[0][k] != octets[1][k],
                    )
                    for k in range(field.size)
                ),
            )
        )
    return rows


def _number(line: bytes | None, part: slice, size: int) -> str | None:
    if line is None:
        return None
    return f"0x{int.from_bytes(line[part], 'little'):0{2 * size}x}"
