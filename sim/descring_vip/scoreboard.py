# SPDX-License-Identifier: Apache-2.0
"""Scoreboards: what a design gave, compared byte by byte with what the golden model expects.

cocotb-bus has a ``Scoreboard``, which does not fit: it takes expected items off the front of a
Python list, compares whole transactions without naming a field, prints a hex dump instead of
raising it, raises success when its result is merely read, and passes when nothing was compared.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from descring_model.compare import first_difference
from descring_model.lines import Lines

from descring_vip.stream.lines import join, split

LineModel = Callable[[Lines, int], Lines]
"""``model(lines, first) -> lines``: the expected outcome of ``lines``, the first of which is number
``first`` of the case, counted from 0."""

_BATCH = 64
"""Lines that a model is asked for at once: a call of NumPy costs as much as dozens of lines."""

_MAX_LISTED = 4


class Checker:
    """Counts what was compared in one place of a testbench, and names it in every failure.

    Attributes:
        name: what is compared here, for messages.
        matched: comparisons that held.
    """

    def __init__(self, name: str, context: Callable[[], str]) -> None:
        """Compare under ``name``; ``context()`` gives cycle and seed for the text of a failure."""
        self.name = name
        self.matched = 0
        self._context = context

    def fail(self, text: str) -> AssertionError:
        """The error to raise for a mismatch: ``text`` with the checker's name, cycle and seed."""
        return AssertionError(f"{self.name}: {text} ({self._context()})")

    def discard(self) -> None:
        """Forget what has not been compared: a reset dropped it."""

    def flush(self) -> None:
        """Compare everything that can be compared."""

    def finish(self) -> None:
        """Fail if something expected has not come.

        Raises:
            AssertionError: a mismatch, or expected items left over.
        """
        self.flush()

    def state(self) -> str:
        """Its counts, for the report of a timeout."""
        return f"{self.matched} matched"


class ValueChecker(Checker):
    """Compares numbers: register values, indices, counts."""

    def check(self, what: str, *, expected: int, actual: int, digits: int = 8) -> None:
        """Compare one number; ``what`` names it, ``digits`` are the hex digits of the report.

        Raises:
            AssertionError: they differ.
        """
        if expected != actual:
            raise self.fail(
                f"{what} differs: expected 0x{expected:0{digits}x} ({expected}), "
                f"actual 0x{actual:0{digits}x} ({actual})"
            )
        self.matched += 1


class LineChecker(Checker):
    """Compares lines, in order, with lines that a model has announced before."""

    def __init__(self, name: str, context: Callable[[], str]) -> None:
        super().__init__(name, context)
        self._expected: deque[bytes] = deque()

    @property
    def outstanding(self) -> int:
        """Lines that are expected and have not come."""
        return len(self._expected)

    def expect(self, line: bytes) -> None:
        """Announce the next line."""
        self._expected.append(line)

    def observe(self, line: bytes, cycle: int) -> None:
        """Compare the line of ``cycle`` with the next one announced.

        Raises:
            AssertionError: none is announced, or it differs.
        """
        if not self._expected:
            raise self._unexpected(line, cycle)
        self._compare(self._expected.popleft(), line, cycle)

    def _unexpected(self, line: bytes, cycle: int) -> AssertionError:
        return self.fail(
            f"index {self.matched} in cycle {cycle}: expected no line, got {line.hex(' ', 8)}"
        )

    def _compare(self, expected: bytes, actual: bytes, cycle: int) -> None:
        if expected != actual:
            difference = first_difference(join([expected]), join([actual]))
            assert difference is not None
            raise self.fail(
                f"mismatch at index {self.matched}, field {difference.field}, "
                f"offset {difference.offset}: "
                f"expected 0x{difference.expected:x}, actual 0x{difference.actual:x}, "
                f"cycle {cycle}\n  expected {expected.hex(' ', 8)}\n  actual   {actual.hex(' ', 8)}"
            )
        self.matched += 1

    def discard(self) -> None:
        """Forget the lines that are expected: a reset dropped them."""
        self.flush()
        self._expected.clear()

    def finish(self) -> None:
        """Fail if an expected line has not come."""
        super().finish()
        if self.outstanding:
            listed = "".join(
                f"\n  index {self.matched + number}: {line.hex(' ', 8)}"
                for number, line in enumerate(list(self._expected)[:_MAX_LISTED])
            )
            raise self.fail(f"{self.outstanding} expected lines are missing, from{listed}")

    def state(self) -> str:
        """Its counts, for the report of a timeout."""
        return f"{self.matched} matched, {self.outstanding} outstanding"


class ModelChecker(LineChecker):
    """Compares lines with a vectorised model of the lines that went in.

    One line leaves for each that enters, in the same order. The model is asked for many lines
    at once, so a mismatch is raised up to :data:`_BATCH` lines late; it names the line's cycle.
    """

    def __init__(self, name: str, context: Callable[[], str], model: LineModel) -> None:
        super().__init__(name, context)
        self._model = model
        self._submitted: deque[bytes] = deque()
        self._observed: deque[tuple[bytes, int]] = deque()
        self._modelled = 0

    @property
    def outstanding(self) -> int:
        """Lines that entered and have not left."""
        return len(self._submitted) - len(self._observed)

    def expect(self, line: bytes) -> None:
        """Refused: here expectations come from the model alone."""
        raise TypeError(f"{self.name}: submit what enters; the model gives what leaves")

    def submit(self, line: bytes) -> None:
        """Tell the model of the next line that went in."""
        self._submitted.append(line)

    def observe(self, line: bytes, cycle: int) -> None:
        """Note the line that left in ``cycle``; compare if enough have gathered.

        Raises:
            AssertionError: no line is outstanding, or one of those gathered differs.
        """
        if self.outstanding == 0:
            self.flush()
            raise self._unexpected(line, cycle)
        self._observed.append((line, cycle))
        if len(self._observed) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Compare every line that has left."""
        count = len(self._observed)
        if not count:
            return
        lines = join([self._submitted.popleft() for _ in range(count)])
        expected = split(self._model(lines, self._modelled))
        if len(expected) != count:
            raise self.fail(f"the model returned {len(expected)} completions for {count} lines")
        self._modelled += count
        for line in expected:
            actual, cycle = self._observed.popleft()
            self._compare(line, actual, cycle)

    def discard(self) -> None:
        """Forget the lines that entered and have not left: a reset dropped them.

        What leaves later is numbered from 0 again for the model.
        """
        self.flush()
        self._submitted.clear()
        self._modelled = 0

    def finish(self) -> None:
        """Fail if a line that entered has not left."""
        self.flush()
        if self.outstanding:
            raise self.fail(f"{self.outstanding} lines entered and never left")
