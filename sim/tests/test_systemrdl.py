# SPDX-License-Identifier: Apache-2.0
"""The register description: systemrdl-compiler reads it back and detects every kind of fault."""

from __future__ import annotations

import builtins
import re
from pathlib import Path

import pytest
from descring_model import contract
from descring_sim.gen import rdl_reader, systemrdl
from descring_sim.support.errors import SimulationError

FAULTS = {
    "wrong address": (r"\} DOORBELL @ 0x10;", "} DOORBELL @ 0x68;", "register DOORBELL"),
    "two registers at one address": (r"\} CMD_TAIL @ 0x18;", "} CMD_TAIL @ 0x14;", "overlaps"),
    "renamed register": (r"\} CMD_TAIL @", "} COMMAND_TAIL @", "register COMMAND_TAIL: found"),
    "missing register": (
        r"  reg \{\n    rule = \"REG-064\";(?:\n    .*)+\n  \} CNT_BAD_DOORBELLS .*\n",
        "",
        "register CNT_BAD_DOORBELLS: expected",
    ),
    "additional register": (
        r"(\n  // An event reaches)",
        r"\n  reg { field {} VALUE[31:0] = 0; } MORE @ 0x68;\n\1",
        "register MORE: found",
    ),
    "wrong rule": (r'"REG-064"', '"REG-060"', "register CNT_BAD_DOORBELLS"),
    "wrong value after reset": (r"READY\[0:0\] = 1'h1", "READY[0:0] = 1'h0", "register STATUS"),
    "no value after reset": (r"READY\[0:0\] = 1'h1", "READY[0:0]", "register STATUS"),
    "field in another place": (r"BAD_CONFIG\[8:8\]", "BAD_CONFIG[7:7]", "register STATUS"),
    "narrow field": (r"REWARD\[23:16\] = 8'h0", "REWARD[22:16] = 7'h0", "register RING_LOG2"),
    "renamed field": (r"\} ENABLE\[", "} START[", "register CTRL"),
    "writable counter": (
        r"(ERROR completions posted\";\n +)sw = r;(.*\n +\} VALUE)",
        r"\1sw = rw;\2",
        "register CNT_ERRORS",
    ),
    "readable doorbell": (r"sw = w; hw = r; swmod;", "sw = rw; hw = r; swmod;", "DOORBELL"),
    "bit that stays": (
        r"(leave HALTED.*\n +sw = w; hw = r;) singlepulse;",
        r"\1",
        "register CTRL",
    ),
    "error bit that writes clear with 0": (
        r"(ENABLE was refused.*\n +sw = rw; onwrite =) woclr;",
        r"\1 wzc;",
        "register STATUS",
    ),
    "counter that reading clears": (
        r"(ERROR completions posted\";\n +sw = r;)( .*\n +\} VALUE)",
        r"\1 onread = rclr;\2",
        "register CNT_ERRORS",
    ),
    "interrupt under another mask": (
        r"IRQ_STATUS.HALTED->enable = IRQ_MASK.HALTED",
        "IRQ_STATUS.HALTED->enable = IRQ_MASK.ERROR",
        "register IRQ_STATUS",
    ),
    "interrupt without a mask": (r"  IRQ_STATUS.HALTED->enable.*\n", "", "register IRQ_STATUS"),
    "access by bytes": (r"(default accesswidth =) 32", r"\1 8", "register ID"),
    "wide register": (r"(default regwidth =) 32", r"\1 64", "overlaps"),
    "no SystemRDL": (r"addrmap descring_regs \{", "addrmap {", "error: "),
}


def _problems(folder: Path, text: str) -> list[str]:
    description = folder / "descring_regs.rdl"
    description.write_text(text)
    return rdl_reader.problems(description)


def test_compiler_agrees_with_the_contract(tmp_path: Path) -> None:
    """Every register, field, value after reset and access; no warning either."""
    assert _problems(tmp_path, systemrdl.render()) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_compiler_notices(tmp_path: Path, fault: str) -> None:
    """One fault in the description, and the reader names what is wrong."""
    pattern, replacement, named = FAULTS[fault]
    text, count = re.subn(pattern, replacement, systemrdl.render())
    assert count == 1, f"the fault must be made once, {pattern!r} matched {count} times"
    problems = "\n".join(_problems(tmp_path, text))
    assert named in problems


def test_accesses_of_the_contract_are_those_of_its_prose() -> None:
    """[REG-008] [REG-00C] [REG-04C] Typed by hand, against a fault that both sides would share."""
    found = {
        f"{register.name}.{bits.name}": register.access_of(bits)
        for register in contract.REGISTERS
        for bits in register.bits
    }
    wanted = {
        "CTRL.ENABLE": "rw",
        "CTRL.RESET": "self-clearing",
        "CTRL.RESUME": "self-clearing",
        "CTRL.PUBLISH_TAILS": "rw",
        "STATUS.READY": "ro",
        "STATUS.BUS_ERROR": "w1c",
        "RING_LOG2.REWARD": "rw",
        "IRQ_STATUS.HALTED": "w1c",
        "IRQ_MASK.HALTED": "rw",
    }
    assert {name: found[name] for name in wanted} == wanted


def test_missing_compiler_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the reader states what to install."""
    load = builtins.__import__

    def refuse(name: str, *rest: object) -> object:
        if name.startswith("systemrdl"):
            raise ImportError(name)
        return load(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(SimulationError, match="pip install 'descring\\[dev\\]'"):
        _problems(tmp_path, systemrdl.render())
