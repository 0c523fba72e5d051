# SPDX-License-Identifier: Apache-2.0
"""Synthesis accepts synchronous logic, and refuses a latch, a loop and what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from descring_sim.signoff import timing
from descring_sim.signoff.synth import SynthesisProblem, main, synthesise
from descring_sim.support.errors import SimulationError

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


SUMS = "logic [23:0] n, m; always_ff @(posedge clk_i) {body} assign q = m[23];"
ONE_SUM = SUMS.format(body="begin n <= n + {23'd0, a}; m <= m + n; end")
TWO_SUMS = SUMS.format(body="begin n <= n + {23'd0, a}; m <= (m ^ (m + n)) + n; end")


def test_timing_sees_the_second_sum_of_a_cycle(tmp_path: Path) -> None:
    """Two sums in a row take longer than one, and carry chains are on the path."""
    delays = []
    for number, body in enumerate((ONE_SUM, TWO_SUMS)):
        (tmp_path / str(number)).mkdir()
        rtl = _module(tmp_path / str(number), body)
        path = timing.estimate("block", rtl, tmp_path / "out")
        assert path.module == "block" and path.cells > 1
        delays.append(path.delay_ps)
    assert 500 < delays[0] < delays[1] - 500


def test_timing_names_the_signals_of_the_path() -> None:
    """From the start to the end, without those that the tool invented."""
    report = (
        "Latest arrival time in 'block' is 900:\n     900 $ff$1 (FDRE.D)\n           \\sum [3]\n"
        "     900 $lut$2 (LUT2.I0->O)\n       0   \\a [6] (<primary input>)\n\nArrival histogram:\n"
    )
    path = timing.worst_path("block", report)
    assert (path.delay_ps, path.cells, path.signals) == (900, 1, ("a", "sum"))
    with pytest.raises(SimulationError, match="expected a latest arrival time, got none"):
        timing.worst_path("block", "no paths")


def test_page_has_the_figures_of_both_commits() -> None:
    """Before and after in one line; a module that is new has no figure before."""
    now = [timing.TimingPath("block", 900, 1, ("a", "sum")), timing.TimingPath("new", 80, 1, ())]
    before = {"block": timing.TimingPath("block", 1800, 2, ())}
    page = timing.page(now, before, modules=["block"], revision="abc1234", commit="def5678")
    assert "--write --against abc1234 block`" in page
    assert "| block | 1.80 | 0.90 | 1 | `a`, `sum` |" in page
    assert "| new | - | 0.08 | 1 |" in page
    assert "commit def5678" in page and "Before is commit abc1234" in page
