# SPDX-License-Identifier: Apache-2.0
"""The view of every testbench's waves, in both simulators: what it shows is there, and is all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import pywellen  # type: ignore[import-untyped]
from descring_model import DESC_DTYPE, contract
from descring_sim.cosim import runner, testcases
from descring_sim.mutation import rtl
from descring_sim.support import paths
from descring_sim.support.mutant import Run
from descring_sim.waves import wave_file

CASE = """
import json, os
import cocotb
from cocotb.triggers import Timer

@cocotb.test()
async def test_one_step(dut):
    await Timer(10, "ns")
    with open(os.environ["DESCRING_COSIM_REPORT"], "a") as file:
        file.write(json.dumps({"case": "test_one_step", "matched": 1, "seed": 0, "cycles": 1}))
"""

# The names of a wave come with the build; so one step of each top stands for all its cases.
BLOCKS = {
    "axi_write_engine": "default",
    "axil_slave": "default",
    "comp_writer": "default",
    "completion_ring": "depth16",
    "crc32c": "default",
    "desc_fetch": "default",
    "desc_ring": "depth16",
    "host_bridge": "default",
    "line_check": "default",
    "line_seal": "default",
    "mmio_regs": "in_memory",
    "reset_fence": "id4",
    "reset_timer": "log2_3",
    "rl_runtime_axi": "default",
    "rl_runtime_mmio": "small",
    "rl_runtime_top": "small",
    "rollout_worker_fsm": "default",
    "worker_pool": "workers8",
}
WITHOUT = {
    "axi_monitor": "bare wires, no RTL of the project",
}
"""Testbenches whose top another one has."""


def test_every_testbench_is_here() -> None:
    """A new one shows up."""
    folders = {path.parent.name for path in paths.cocotb_tests_dir().glob("*/tb_*.py")}
    assert folders == set(BLOCKS) | set(WITHOUT)
    assert not set(BLOCKS) & set(WITHOUT)


def record(block: str, simulator: str, root: Path) -> Path:
    """One step of the block's top, in the parameters of its configuration."""
    job = rtl.jobs_of(Run(block, BLOCKS[block]))[0]
    assert testcases.block_of(job.suite.cases) == block
    (root / "step").mkdir()
    (root / "step" / "step_cases.py").write_text(CASE)
    result = runner.run(
        simulator=simulator,
        top=job.suite.of.top,
        cases="step.step_cases",
        parameters=job.suite.parameters,
        seed=1,
        waves=True,
        tests_dir=root,
        run_dir=root / "run",
    )
    assert result.ok, result.failure_text()
    assert result.waves is not None
    return result.waves


@pytest.mark.parametrize(
    ("block", "simulator"),
    [
        *((block, "icarus") for block in BLOCKS),
        # These have every other block inside; each build takes a quarter of a minute.
        pytest.param("rl_runtime_axi", "verilator", marks=pytest.mark.nightly),
        ("rl_runtime_mmio", "verilator"),
    ],
)
def test_a_view_shows_what_is_in_the_wave(block: str, simulator: str, tmp_path: Path) -> None:
    """Its names are those that the viewers' own readers find; no port, machine or line lacks."""
    wave = record(block, simulator, tmp_path)
    variables = {var.full_name: var for var in pywellen.Waveform(str(wave)).all_vars()}
    added = re.findall(r"^variable_add (\S+)$", wave.with_suffix(".sucl").read_text(), re.MULTILINE)
    assert set(added) <= set(variables), "Surfer's reader finds all"
    assert len(added) == len(set(added))
    gtkwave = wave.with_suffix(".gtkw").read_text()
    known = {signal.path + signal.span for signal in wave_file.read(wave).signals}
    shown = re.findall(r"^(?:#\{\w+\} \(\d+\))?([A-Za-z$]\S*)", gtkwave, re.MULTILINE)
    assert set(shown) <= known, "GTKWave's reader finds all"
    assert {name.partition("[")[0] for name in added} <= {name.partition("[")[0] for name in shown}

    job = rtl.jobs_of(Run(block, BLOCKS[block]))[0]
    text = (paths.rtl_dir() / f"{job.suite.of.top}.sv").read_text()
    header = re.sub(
        r"//.*", "", text[text.index(f"module {job.suite.of.top}") :].partition(");")[0]
    )
    ports = set(re.findall(r"\b(\w+_[io]|[sm]_axil?_\w+)\s*(?=,|$|\n)", header))
    assert ports
    assert ports <= {name.rpartition(".")[2] for name in added}
    machines = {name for name in variables if name.endswith(".state_q")}
    assert machines <= set(added)
    for line in re.findall(
        r"^([\w.$]+[._](?:data_[io]|[rw]data)\[511:0\])$", gtkwave, re.MULTILINE
    ):
        check_decoded(gtkwave, line)


def check_decoded(gtkwave: str, line: str) -> None:
    """GTKWave's fields of a line on a port: each bit once, where the dtype has it."""
    found = re.findall(rf"^#{{(\w+)}} (.*{re.escape(line)})$", gtkwave, re.MULTILINE)
    assert [name for name, _ in found] == [field.name for field in contract.FIELDS]
    for name, traces in found:
        kind, offset = (DESC_DTYPE.fields or {})[name][:2]
        bits = [511 - int(bit) for bit in re.findall(r"\((\d+)\)", traces)]
        low = 8 * int(offset)
        assert bits == list(range(low + 8 * kind.itemsize - 1, low - 1, -1))
