# SPDX-License-Identifier: Apache-2.0
"""A project of one module, a few lines long, that is written for each test of the runner."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descring_sim.cosim import runner
from descring_sim.cosim.runner import RunResult

SEED = 20240917

TOY = """`default_nettype none
`include "toy.svh"
module toy #(parameter int Width = 8) (
    input wire logic clk_i, input wire logic rst_ni,
    input wire logic [Width-1:0] a_i, output logic [Width-1:0] b_o,
    output logic [63:0] never_written_o);
  logic [63:0] never_written;
  assign never_written_o = never_written;
  always_ff @(posedge clk_i) if (!rst_ni) b_o <= '0; else b_o <= a_i + `STEP;
  always_ff @(posedge clk_i) if (rst_ni && &a_i) $fatal(1, "all ones");
endmodule
`default_nettype wire
"""

CASES = """
import json, os, time
import cocotb
from cocotb.clock import Clock
from cocotb.task import current_task
from cocotb.triggers import RisingEdge

def report(matched, case):
    # A batch of seeds names a case case@seed.
    _, at, seed = current_task().get_name().partition("@")
    case += at + seed
    with open(os.environ["DESCRING_COSIM_REPORT"], "a") as file:
        file.write(json.dumps({"case": case, "matched": matched, "seed": 0, "cycles": 3}) + "\\n")

async def respond(dut, value):
    dut.clk_i.value = 0
    dut.rst_ni.value = 0
    dut.a_i.value = value
    Clock(dut.clk_i, 10, "ns", impl="gpi").start(start_high=False)
    await RisingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    for _ in range(3):
        await RisingEdge(dut.clk_i)
    return dut.b_o.value

@cocotb.test()
async def test_good(dut):
    got = await respond(dut, 4)
    assert got == 5 and len(got) == int(os.environ.get("WIDTH", 8))
    report(2, "test_good")
    report(3, "toy.toy_cases.test_good")
    if "NOTE" in os.environ:
        with open(os.environ["NOTE"], "a") as file:
            file.write(f"{cocotb.RANDOM_SEED} {dut.never_written_o.value}\\n")

@cocotb.test()
@cocotb.parametrize(n=[1, 2])
async def test_each(dut, n):
    assert await respond(dut, n) == n + 1
    report(n, f"test_each/n={n}")

@cocotb.test()
async def test_bad(dut):
    assert await respond(dut, 4) == 6, "index 3: field seq_len: expected 6, actual 5"

@cocotb.test()
async def test_silent(dut):
    await respond(dut, 4)

@cocotb.test()
async def test_zero(dut):
    await respond(dut, 4)
    report(0, "test_zero")

@cocotb.test()
async def test_assertion(dut):
    await respond(dut, 255)
    report(1, "test_assertion")

@cocotb.test(skip=True)
async def test_skipped(dut):
    raise AssertionError

@cocotb.test()
async def test_hang(dut):
    with open(os.environ["NOTE"], "w") as file:
        file.write(str(os.getpid()))
    time.sleep(600)
"""

TEST = """
from descring_sim.cosim.block import Block

test_toy = Block(
    top="toy",
    cases=("toy.toy_cases",),
    configs={"narrow": {"Width": 8}, "wide": {"Width": 16}},
    quick={},
)

def test_without_simulator():
    pass
"""

TOY_OPTIONS = (
    *(
        "--import-mode=importlib",
        "-p",
        "descring_sim.cosim.pytest_plugin",
        "-p",
        "no:cacheprovider",
    ),
    *("--rootdir", ".", "--rtl-dir", "rtl", "--build-dir", "build", "--sim", "icarus", "tests"),
)


@dataclass(frozen=True)
class Toy:
    """A project of one module: sources, cases, and a place for builds."""

    root: Path

    def run(
        self, case: str | None, simulator: str = "icarus", seed: int = SEED, **arguments: Any
    ) -> RunResult:
        """Run ``case`` of the toy."""
        return runner.run(
            simulator=simulator,
            top="toy",
            cases="toy.toy_cases",
            case=case,
            seed=seed,
            rtl_dir=self.root / "rtl",
            tests_dir=self.root / "tests",
            build_root=self.root / "build",
            **arguments,
        )

    def pytest(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Run the toy's pytest file in a process of its own."""
        # On CI pytest repeats whole failure texts in its closing summary.
        env = {name: os.environ[name] for name in os.environ if name not in ("CI", "BUILD_NUMBER")}
        return subprocess.run(
            [sys.executable, "-m", "pytest", *TOY_OPTIONS, *options],
            cwd=self.root,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def write_toy(root: Path) -> Toy:
    """Write the toy project into ``root``."""
    for name, text in {
        "rtl/toy.sv": TOY,
        "rtl/toy.svh": "`define STEP 1'b1\n",
        "tests/toy/toy_cases.py": CASES,
        "tests/toy/test_toy.py": TEST,
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Toy(root)
