# SPDX-License-Identifier: Apache-2.0
"""A change of a text that a tool can make, and one that it could make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Change:
    """The text of a file from ``start`` to ``end`` becomes ``new``; ``kind`` is what that is."""

    start: int
    end: int
    new: str
    kind: str

    def made(self) -> Change | None:
        """Return the change itself."""
        return self

    def begins(self, text: str) -> int:
        """Return the offset of what is changed first but for blanks: of a line with a source."""
        changed = text[self.start : self.end]
        return self.end - len(changed.lstrip()) if changed.strip() else self.start


class Drawable(Protocol):
    """A change that can be drawn before its text is made, which may take long."""

    @property
    def kind(self) -> str:
        """The operator."""
        ...

    def made(self) -> Change | None:
        """Return the change; None where there is nothing to change after all."""
        ...


Changes = Callable[[str], Sequence[Drawable]]
"""All changes that a tool can make to a source."""
