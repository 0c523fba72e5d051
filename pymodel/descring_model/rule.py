# SPDX-License-Identifier: Apache-2.0
"""What a rule of a contract is, and the suites that must test it."""

from __future__ import annotations

from dataclasses import dataclass

MODEL = "model"
"""The golden model's own suite, ``pymodel/tests``."""
RTL = "rtl"
"""The cocotb testbenches, ``cocotb_tests``."""
HOST = "host"
"""The host runtime's suite, ``host/tests``: what only a program with memory can show."""
SHELL = "shell"
"""The testbenches of the AXI shell: what only a bus can show."""

CORE = (MODEL, RTL)


@dataclass(frozen=True)
class Rule:
    """One rule: its id, its section of the contract, its text, and the suites that must test it."""

    rule: str
    section: int
    text: str
    suites: tuple[str, ...] = CORE
