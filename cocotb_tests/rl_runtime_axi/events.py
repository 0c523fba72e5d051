# SPDX-License-Identifier: Apache-2.0
"""Which bits of IRQ_STATUS may be set by now, and which must be: from what the bus has answered.

The golden device executes at once, so IRQ_STATUS can be compared with it at rest only. Between two
rests this reference bounds it: no bit is set before the response that causes its event [IRQ-001],
and a device that shows HALTED has told so.
"""

from __future__ import annotations

from descring_model import contract
from descring_vip.axi.memory import OKAY, Response, Written
from descring_vip.scoreboard import ValueChecker
from mmio_regs.register_reference import HALTED, IRQ_COMPLETION, IRQ_ERROR, IRQ_HALTED

_LINE = contract.DESC_BYTES
_FLAGS = contract.FIELD["flags"].offset
_STOPPED = contract.FLAG["STOPPED"]


class EventReference:
    """Bounds of IRQ_STATUS at any moment.

    Attributes:
        possible: bits whose event has a cause since they were last cleared.
        owed: bits that must be set.
    """

    def __init__(self, checker: ValueChecker) -> None:
        self._checker = checker
        self.reset()

    def reset(self) -> None:
        """The reset state: no event [LIFE-001]."""
        self.possible = self.owed = 0
        self._halt_shown = False
        self._stops: set[int] = set()
        # Address of the first line that was not written; lines that are written again, one by one.
        self._failed: int | None = None
        self._again: set[int] = set()

    # ------------------------------------------------------------------ causes

    def written(self, beat: Written) -> None:
        """A whole line reached the memory."""
        flags = int.from_bytes(beat.data[_FLAGS : _FLAGS + 2], "little")
        (self._stops.add if flags & _STOPPED else self._stops.discard)(beat.address)

    def answered(self, answer: Response, *, word: str | None, publish: bool) -> None:
        """The bus answers a read, or a write of lines or of the index ``word`` [RING-013]."""
        burst, good = answer.burst, answer.response == OKAY
        if not good and (not answer.write or word is not None or burst.lines == 1):
            self.possible |= IRQ_ERROR | IRQ_HALTED
        if not answer.write:
            return
        if word is None:
            self._lines_answered(answer, announced=not publish)
        elif good and word == "CMD_HEAD":
            self.possible |= IRQ_COMPLETION

    def _lines_answered(self, answer: Response, *, announced: bool) -> None:
        burst = answer.burst
        lines = {burst.address + _LINE * line for line in range(burst.lines)}
        if answer.response != OKAY:
            if self._failed is None:
                self._failed = burst.address
                self._again = lines if burst.lines > 1 else set()
            return
        if self._failed is not None and burst.address != self._failed:
            return  # in flight behind the failed burst: dropped, to be executed again
        self._failed = None
        if self._again & lines:
            self._again -= lines
            if not self._again:
                self.possible |= IRQ_ERROR
        if announced:
            self.possible |= IRQ_COMPLETION
        if self._stops & lines:
            self.possible |= IRQ_HALTED

    def refused(self) -> None:
        """A doorbell was ignored or ENABLE refused."""
        self.possible |= IRQ_ERROR

    def cleared(self, bits: int) -> None:
        """IRQ_STATUS was written."""
        self.possible &= ~bits
        self.owed &= ~bits

    def resumed(self) -> None:
        """RESUME was written: what STATUS shows from now on is another halt [LIFE-003]."""
        self._halt_shown = False

    def shown(self, status: int) -> None:
        """STATUS was read."""
        halted = bool(status & HALTED)
        if halted and not self._halt_shown:
            self.owed |= IRQ_HALTED
        self._halt_shown = halted

    # ------------------------------------------------------------------ checks

    def check(self, irq_status: int) -> None:
        """Compare what a read of IRQ_STATUS showed."""
        wrong = irq_status & ~self.possible | self.owed & ~irq_status
        if wrong:
            raise self._checker.fail(
                f"IRQ_STATUS is {irq_status:03b}: bits that may be set {self.possible:03b}, bits "
                f"that must be {self.owed:03b}"
            )
        self._checker.matched += 1

    def check_interrupt(self, mask: int) -> None:
        """The interrupt has risen: a bit of ``mask`` must have a cause."""
        if not self.possible & mask:
            raise self._checker.fail(
                f"the interrupt rose: bits that may be set {self.possible:03b}, IRQ_MASK {mask:03b}"
            )
        self._checker.matched += 1
