# SPDX-License-Identifier: Apache-2.0
"""Synthesis accepts synchronous logic, and refuses a latch, a loop and what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from descring_sim.signoff.synth import SynthesisProblem, main, synthesise

PORTS = "input logic clk_i, input logic a, input logic b, output logic q"
SOUND = "logic [7:0] n; always_ff @(posedge clk_i) n <= n + {7'd0, a ^ b}; assign q = n[7];"
LATCH = "always_latch if (a) q = b;"
HIDDEN_LATCH = "always_comb if (a) q = b;"
LOOP = "logic x, y; assign x = y ^ a; assign y = x & b; assign q = x;"


def _module(folder: Path, body: str) -> Path:
    rtl = folder / "rtl"
    rtl.mkdir()
    (rtl / "block.sv").write_text(f"module block({PORTS});\n{body}\nendmodule\n")
    return rtl


def test_sound_module_is_counted(tmp_path: Path) -> None:
    """Eight flip-flops, some gates, a depth; no memory."""
    found = synthesise("block", _module(tmp_path, SOUND), tmp_path / "out")
    assert found.flip_flops == 8
    assert found.memory_bits == 0
    assert found.gates > 8 and found.gate_depth > found.table_depth > 0


@pytest.mark.parametrize("body", [LATCH, HIDDEN_LATCH, LOOP])
def test_latch_and_loop_are_refused(tmp_path: Path, body: str) -> None:
    """The module is named, and the tool's words show the place."""
    rtl = _module(tmp_path, body)
    with pytest.raises(SynthesisProblem, match=r"(?s)block: a latch, a loop.*"):
        synthesise("block", rtl, tmp_path / "out")


def test_command_fails_on_a_latch_and_on_an_unknown_module(tmp_path: Path) -> None:
    """1: a module is no synchronous logic; 2: there is no such module."""
    rtl = str(_module(tmp_path, LATCH))
    result = CliRunner().invoke(main, ["block", "--rtl", rtl])
    assert result.exit_code == 1
    assert "block: a latch" in result.output
    result = CliRunner().invoke(main, ["blocc", "--rtl", rtl])
    assert result.exit_code == 2
    assert "no module blocc" in result.output and "expected some of block" in result.output
