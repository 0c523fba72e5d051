# SPDX-License-Identifier: Apache-2.0
"""The stream tests about lines, through the rings of a device.

Many implementations have streams and devices apart: what one does right, the other may not. A fault
in a line shows at either level, so these tests are the same ones.
"""

from __future__ import annotations

from descring_sim.conform.suite import (  # noqa: F401
    stream_checked,
    stream_corners,
    stream_fields,
    stream_history,
    stream_opcodes,
    stream_products,
)
from descring_sim.conform.suite.bench import Bench
from descring_sim.conform.suite.declare import DECLARED, MODES, Test, device_test
from descring_sim.conform.suite.device_products import carry_out
from descring_sim.conform.suite.vector import Vector

_ABOUT_LINES = ("DESC", "OP", "DEC", "FLAG", "ERR", "STAT")
_SIZE_LOG2 = 12
_LONG = "OP-ERR/every-opcode"
"""Quick as streams are; not through rings."""


def _send(bench: Bench, vector: Vector) -> None:
    """Carry out a vector from reset; a device halts at each STOP, and is resumed."""
    modes = [mode for mode, token in MODES.items() if vector.modes.get(token)]
    bench.start(_SIZE_LOG2, _SIZE_LOG2, _SIZE_LOG2, *modes)
    bench.focus = vector.focus
    carry_out(bench, vector.lines)
    bench.reset()


def _declare(test: Test) -> None:
    def through_rings(bench: Bench) -> None:
        for vector in test.vectors(bench.draw):
            if vector.first_index == bench.first_index:
                _send(bench, vector)

    through_rings.__name__ = f"{test.name.replace('-', '_')}_through_rings"
    through_rings.__doc__ = f"through rings: {test.what}"
    needs = test.needs - {"level:stream"} | {"exhaustive"}
    smoke = test.smoke and test.id != _LONG
    device_test(test.rule, *needs, smoke=smoke, first_index=test.first_index)(through_rings)


for _test in list(DECLARED.values()):
    _about = _test.rule.split("-")[0] in _ABOUT_LINES
    # A program has one first index, and those tests need many.
    if _test.stream and _about and "first_index" not in _test.needs:
        _declare(_test)
