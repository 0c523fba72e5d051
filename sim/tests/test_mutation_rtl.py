# SPDX-License-Identifier: Apache-2.0
"""Mutations of a netlist: a known kill, a known survivor and a known equivalent."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from descring_sim.mutation.sampled import campaign
from descring_sim.mutation.sampled.campaign import Found, Progress, Sampled
from descring_sim.mutation.sampled.lasting import suite_key
from descring_sim.mutation.sampled.netlist import Mutation
from descring_sim.mutation.sampled.rtl import RtlJudge
from descring_sim.support.errors import SimulationError

MODULE = """\
module toy #(
    parameter int Width = 4,
    parameter int Start = 0
) (
    input  logic             clk_i,
    input  logic [Width-1:0] a_i,
    output logic [Width-1:0] seen_o,
    output logic [Width-1:0] unseen_o,
    output logic [Width-1:0] stored_o
);
  logic [Width-1:0] kept_q;
  logic [Width-1:0] table_q[4];
  assign stored_o = table_q[a_i[1:0]];
  assign seen_o   = a_i + kept_q;
  assign unseen_o = a_i ^ kept_q;
  always_ff @(posedge clk_i) begin
    kept_q <= a_i & (a_i | unseen_o);
    table_q[a_i[1:0]] <= a_i;
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
    # A register by its name, all bits of it.
    for value in (0, 15):
        dut.kept_q.value = value
        dut.a_i.value = 0
        await Timer(1, "ns")
        assert dut.seen_o.value == value
    # A parameter that the configuration leaves as it is.
    for a in range(int(dut.Start.value), 16):
        dut.a_i.value = a
        await RisingEdge(dut.clk_i)
        await Timer(1, "ns")
        assert dut.seen_o.value == (a + a) % 16
    with open(os.environ["DESCRING_COSIM_REPORT"], "a") as file:
        case = "toy.toy_cases.test_sum"
        line = {"case": case, "matched": 16, "seed": 0, "cycles": 16}
        file.write(json.dumps(line) + "\\n")
"""

TOP = """\
module top (
    input  logic       clk_i,
    input  logic [3:0] a_i,
    output logic [3:0] unseen_o,
    output logic [3:0] stored_o
);
  toy u_toy (
      .clk_i,
      .a_i,
      .seen_o(),
      .unseen_o,
      .stored_o
  );
endmodule
"""

TOP_CASES = """\
import json, os
import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge, Timer

@cocotb.test()
async def test_difference(dut):
    Clock(dut.clk_i, 10, "ns", impl="gpi").start(start_high=False)
    for a in range(16):
        dut.a_i.value = a
        await RisingEdge(dut.clk_i)
        await Timer(1, "ns")
        assert dut.unseen_o.value == 0
    with open(os.environ["DESCRING_COSIM_REPORT"], "a") as file:
        case = "top.top_cases.test_difference"
        line = {"case": case, "matched": 16, "seed": 0, "cycles": 16}
        file.write(json.dumps(line) + "\\n")
"""

SEEN = "assign seen_o   = a_i + kept_q;"
ABSORBED = "kept_q <= a_i & (a_i | unseen_o);"
UNSEEN = "assign unseen_o = a_i ^ kept_q;"


def _judge(folder: Path, cases: str = CASES) -> RtlJudge:
    rtl, block = folder / "rtl", folder / "tests" / "toy"
    rtl.mkdir()
    block.mkdir(parents=True)
    (rtl / "toy.sv").write_text(MODULE)
    (block / "test_toy.py").write_text(BLOCK)
    (block / "toy_cases.py").write_text(cases)
    (folder / "formal").mkdir()
    return RtlJudge(
        *(rtl, folder / "tests", folder / "out", 1, folder / "formal"),
        until="SAT", simulator="icarus", last=(),
    )  # fmt: skip


def _first(drawn: list[Sampled], source: str, change: str) -> Sampled:
    return next(m for m in drawn if m.source == source and m.change.startswith(change))


@pytest.mark.slow
def test_known_mutations_are_killed_survive_and_are_equivalent(tmp_path: Path) -> None:
    """The case sees one output; ``a & (a | b)`` is ``a`` whatever ``b`` is."""
    judge = _judge(tmp_path)
    assert judge.modules() == ["toy"]
    drawn = judge.draw(["toy"], 1000)
    assert len(drawn) == len({mutant.name for mutant in drawn}) > 20
    assert {"$dff D", "$memrd_v2 ADDR"} <= {mutant.change.rpartition(" ")[0] for mutant in drawn}
    assert not [m for m in drawn if m.change.startswith(("$dff Q", "$dff CLK", "$memrd_v2 EN"))]
    killed = judge.in_own_testbench(_first(drawn, SEEN, "$add Y"))
    assert (killed.status, killed.tier) == ("killed", "testbench")
    assert killed.by.startswith("toy@four: toy.test_sum: ")
    survived = judge.in_own_testbench(_first(drawn, UNSEEN, "$xor Y"))
    key = suite_key(judge.tests_dir, judge.formal_dir)
    text = f"1 runs pass, not proven equivalent, suite {key}"
    assert survived == Found("survived", "SAT", text)
    absorbed = judge.in_own_testbench(_first(drawn, ABSORBED, "$or B"))
    assert (absorbed.status, absorbed.tier) == ("equivalent", "SAT")


def test_a_judgement_can_name_instance_and_control_bit() -> None:
    """Instances of one module begin with the same line, and each control bit is another change."""
    lines = ["fifo #(", "    .Width(8)", ") u_first (", ");", "fifo #(", ") u_second (", ");"]
    given = ("toy", "toy.sv:5.3-7.4", "fifo", 0, 1, "data_i", 1)
    by_another, inverted = Mutation(*given, 6, "cnot1"), Mutation(*given, None, "inv")
    assert by_another.source(lines) == ") u_second ("
    assert by_another.change == "fifo data_i cnot1 by [6]"
    assert inverted.change == "fifo data_i inv"
    cell = Mutation("toy", "toy.sv:2.3-2.9", "$add", 0, 1, "A", 0, None, "inv")
    assert cell.source(lines) == ".Width(8)"


@pytest.mark.slow
def test_a_case_that_fails_without_a_mutant_is_an_error(tmp_path: Path) -> None:
    """Nothing could be concluded from it."""
    judge = _judge(tmp_path, CASES.replace("a + a", "a + 1"))
    (mutant,) = judge.draw(["toy"], 1)
    with pytest.raises(SimulationError, match="toy@four fails on the netlist without a mutant"):
        judge.in_own_testbench(mutant)


@pytest.mark.slow
def test_what_the_own_testbench_leaves_meets_the_device(tmp_path: Path) -> None:
    """A build of the device has the survivors alone."""
    judge = _judge(tmp_path)
    (tmp_path / "rtl" / "top.sv").write_text(TOP)
    block = tmp_path / "tests" / "top"
    block.mkdir()
    text = BLOCK.replace("toy", "top").replace('{"four": {"Width": 4}}', '{"default": {}}')
    (block / "test_top.py").write_text(text)
    (block / "top_cases.py").write_text(TOP_CASES)
    judge = replace(judge, until="device", last=("top",))
    drawn = judge.draw(["toy"], 1000)
    tried = [
        _first(drawn, SEEN, "$add Y"),
        _first(drawn, UNSEEN, "$xor Y"),
        _first(drawn, "assign stored_o = table_q[a_i[1:0]];", "$memrd_v2 ADDR"),
    ]
    progress = Progress(tmp_path / "rtl.jsonl", "sources")
    results = campaign.run(tried, judge.stages(), (), progress, 1)
    assert [(result.status, result.tier) for result in results] == [
        ("killed", "testbench"),
        ("killed", "device"),
        ("survived", "device"),
    ]
    assert results[1].by.startswith("top@default: top.test_difference: ")
    (device,) = (tmp_path / "out" / "netlists").glob("top-*/rtl/top.sv")
    numbers = re.findall(r"mutsel == 16'h(\w+)", device.read_text())
    assert {int(number, 16) for number in numbers} == {1, 2}
    # A survivor of the testbench alone meets what it has not met.
    known = {tier: Found("survived", tier, "-") for tier in ("testbench", "SAT", "device")}
    own, last = judge.stages()
    assert [own.settled(found) for found in known.values()] == [False, True, True]
    assert [last.settled(found) for found in known.values()] == [False, False, True]
