# SPDX-License-Identifier: Apache-2.0
"""Mutations of a netlist: a planted kill, a planted survivor and a planted equivalent."""

from __future__ import annotations

from pathlib import Path

import pytest
from descring_sim.mutation.sampled import netlist
from descring_sim.mutation.sampled.campaign import Found, Sampled
from descring_sim.mutation.sampled.netlist import Mutation, Target
from descring_sim.mutation.sampled.rtl import RtlJudge
from descring_sim.support.errors import SimulationError

MODULE = """\
module toy #(
    parameter int Width = 4
) (
    input  logic             clk_i,
    input  logic [Width-1:0] a_i,
    output logic [Width-1:0] seen_o,
    output logic [Width-1:0] unseen_o
);
  logic [Width-1:0] kept_q;
  assign seen_o   = a_i + kept_q;
  assign unseen_o = a_i ^ kept_q;
  always_ff @(posedge clk_i) begin
    kept_q <= a_i & Width'(3);
  end
endmodule
"""

BLOCK = """\
from descring_sim.cosim.block import Block
test_toy = Block(top="toy", cases=("toy.toy_cases",), configs={"four": {"Width": 4}})
"""

CASES = """\
import json, os
import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, Timer

@cocotb.test()
async def test_sum(dut):
    Clock(dut.clk_i, 10, "ns", impl="gpi").start(start_high=False)
    for a in range(16):
        dut.a_i.value = a
        await RisingEdge(dut.clk_i)
        await Timer(1, "ns")
        assert dut.seen_o.value == (a + a % 4) % 16
    with open(os.environ["DESCRING_COSIM_REPORT"], "a") as file:
        case = "toy.toy_cases.test_sum"
        line = {"case": case, "matched": 16, "seed": 0, "cycles": 16}
        file.write(json.dumps(line) + "\\n")
"""

SEEN = "assign seen_o   = a_i + kept_q;"
UNSEEN = "assign unseen_o = a_i ^ kept_q;"


def _judge(folder: Path, cases: str = CASES) -> RtlJudge:
    rtl, block = folder / "rtl", folder / "tests" / "toy"
    rtl.mkdir()
    block.mkdir(parents=True)
    (rtl / "toy.sv").write_text(MODULE)
    (block / "test_toy.py").write_text(BLOCK)
    (block / "toy_cases.py").write_text(cases)
    return RtlJudge(
        rtl, folder / "tests", folder / "out", 1, folder, until="SAT", simulator="icarus", last=()
    )


def _first(drawn: list[Sampled], source: str, port: str) -> Sampled:
    return next(m for m in drawn if m.source == source and m.change.split()[1] == port)


@pytest.mark.slow
def test_planted_mutations_are_killed_survive_and_are_equivalent(tmp_path: Path) -> None:
    """The case sees one output; a constant bit of the mask that is 0 anyway stays 0."""
    judge = _judge(tmp_path)
    assert judge.modules() == ["toy"]
    drawn = judge.draw(["toy"], 60)
    assert len(drawn) == len({mutant.name for mutant in drawn}) > 20
    killed = judge.judge(_first(drawn, SEEN, "Y"))
    assert (killed.status, killed.tier) == ("killed", "testbench")
    assert killed.by.startswith("toy@four: toy.test_sum: ")
    survived = judge.judge(_first(drawn, UNSEEN, "Y"))
    assert survived == Found("survived", "SAT", "1 runs pass, not proven equivalent")
    (masked,) = [
        mutant for mutant in drawn if mutant.change == "$and B const0" and mutant.bit == 3
    ] or [_planted(judge)]
    assert judge.judge(masked).tier == "SAT"
    assert judge.judge(masked).status == "equivalent"


def _planted(judge: RtlJudge) -> Sampled:
    """A constant 0 in place of bit 3 of the mask, which is 0."""
    target = Target.of(judge.rtl_dir, "toy", {"Width": 4})
    cells = netlist.design(target, judge.out)["toy"]["cells"]
    (src,) = {c["attributes"]["src"] for c in cells.values() if c["type"] == "$and"}
    mutation = Mutation("toy", src, "$and", 0, 1, "B", 3, None, "const0")
    judge._mutations[mutation.name] = mutation
    judge._of_top.clear()
    return Sampled(mutation.name, "toy", "toy.sv:13", "", mutation.change, 3, str(mutation))


@pytest.mark.slow
def test_a_case_that_fails_without_a_mutant_is_an_error(tmp_path: Path) -> None:
    """Nothing could be concluded from it."""
    judge = _judge(tmp_path, CASES.replace("a % 4", "a % 3"))
    (mutant,) = judge.draw(["toy"], 1)
    with pytest.raises(SimulationError, match="toy@four fails on the netlist without a mutant"):
        judge.judge(mutant)
