# SPDX-License-Identifier: Apache-2.0
"""Waves of a failure: its last cycles, with a view, from a repetition of the case alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cocotb_tools.config
import pytest
import pywellen  # type: ignore[import-untyped]
from descring_sim.cosim import runner, simulators
from descring_sim.support import paths
from descring_sim.support.errors import SimulationError
from descring_sim.waves import wave_file, window
from toy_project import CASES, SEED, Toy

PS = 1000
"""The waves count picoseconds."""

LATE = """
@cocotb.test()
async def test_late(dut):
    await respond(dut, 4)
    for n in range(300):
        dut.a_i.value = n % 200
        await RisingEdge(dut.clk_i)
    assert dut.b_o.value == 0, "late"
"""
LATE_NS = 3035
"""When it fails, with b_o at 99 and changing to 100."""

MOODY = """
before = []

@cocotb.test()
async def test_first(dut):
    await respond(dut, 4)
    report(1, "test_first")
    before.append(1)

@cocotb.test()
async def test_moody(dut):
    await respond(dut, 4)
    for n in range(20 if before else 300):
        await RisingEdge(dut.clk_i)
    raise AssertionError("moody")
"""

FIVE = """
from descring_sim.cosim.block import Block

test_toy = Block(
    top="toy",
    cases=("toy.toy_cases",),
    configs={f"w{width}": {"Width": width} for width in range(8, 13)},
)
"""


class Wave:
    """A wave file, read by the library that Surfer reads it with."""

    def __init__(self, file: Path) -> None:
        found = wave_file.read(file)
        self.first, self.last = found.start, found.end
        self._signals = {var.full_name: var for var in pywellen.Waveform(str(file)).all_vars()}
        self.names = set(self._signals)

    def __call__(self, name: str, time_ps: int) -> object:
        """The value of a signal, None before the first."""
        return self._signals[name].signal.value_at(time_ps)


def add_cases(toy: Toy, text: str) -> None:
    """Append cases to the toy's own."""
    (toy.root / "tests" / "toy" / "toy_cases.py").write_text(CASES + text)


def rerun(toy: Toy, case: str, simulator: str, last: int) -> runner.RunResult:
    """The repetition of the first case that fails among ``case``."""
    where: dict[str, Any] = {
        "rtl_dir": toy.root / "rtl",
        "tests_dir": toy.root / "tests",
        "build_root": toy.root / "build",
    }
    again = runner.rerun_with_waves(
        toy.run(case, simulator),
        last=last,
        simulator=simulator,
        top="toy",
        cases="toy.toy_cases",
        **where,
    )
    assert again is not None
    return again


@pytest.mark.parametrize("simulator", simulators.SIMULATORS)
def test_a_failure_leaves_waves_of_its_last_cycles(toy: Toy, simulator: str) -> None:
    """The text names them, the commands that open them with a view, and the rerun."""
    add_cases(toy, LATE)
    options = ("--sim", simulator, "--case", "toy.test_(good|late)", "--config", "narrow")
    done = toy.pytest(*options, "--seed", str(SEED), "--wave-cycles", "50")
    assert done.returncode == 1, done.stdout + done.stderr
    assert (
        f"make sim FULL=1 SIM={simulator} TEST=toy.test_late CONFIG=narrow SEED={SEED}"
        in done.stdout
    )
    file = Path(re.findall(r"waves: (\S+/waves\.fst)$", done.stdout, re.MULTILINE)[0])
    view, table = file.with_suffix(".sucl"), file.with_suffix(".gtkw")
    assert f"open:  surfer -c {view} {file}\n" in done.stdout
    assert f"or:    gtkwave {file} {table}\n" in done.stdout
    assert f"from {LATE_NS - 500} ns on" in done.stdout

    wave = Wave(file)
    assert (wave.first, wave.last) == ((LATE_NS - 500) * PS, LATE_NS * PS)
    assert wave("toy.b_o", wave.first - 1) is None
    assert [wave("toy.b_o", wave.last - back) for back in (50 * 10 * PS, 10 * PS, 0)] == [
        50,
        99,
        100,
    ]
    shown = re.findall(r"^variable_add (\S+)$", view.read_text(), re.MULTILINE)
    assert {name.rpartition(".")[2] for name in shown} == {
        *("clk_i", "rst_ni", "a_i", "b_o", "never_written_o")
    }
    assert set(shown) <= wave.names
    assert table.is_file()


@pytest.mark.parametrize("simulator", simulators.SIMULATORS)
def test_an_assertion_of_the_rtl_leaves_waves_that_end_in_it(toy: Toy, simulator: str) -> None:
    """Although it ends the simulator; with fewer cycles than asked for, it has all of them.

    Verilator's end with the step before the edge, at which the assertion has seen what it saw.
    """
    again = rerun(toy, "test_assertion", simulator, last=1000)
    assert again.waves is not None
    wave = Wave(again.waves)
    assert (wave.first, wave.last) == (0, {"icarus": 15, "verilator": 10}[simulator] * PS)
    assert wave("toy.a_i", wave.last) == 255
    assert "waves: " in (text := again.failure_text())
    assert "WAVES=1" not in text


def test_a_case_that_takes_another_time_alone_shows_its_last_cycles_too(toy: Toy) -> None:
    """Where it depends on those before it, the moment of its failure is not that of the run."""
    add_cases(toy, MOODY)
    again = rerun(toy, "test_(first|moody)", "icarus", last=10)
    assert again.waves is not None
    wave = Wave(again.waves)
    assert (wave.first, wave.last) == ((LATE_NS - 100) * PS, LATE_NS * PS)


def test_three_failures_of_a_run_are_repeated_and_no_more(toy: Toy) -> None:
    """Whatever the number of workers; the others report how to have their waves."""
    (toy.root / "tests" / "toy" / "test_toy.py").write_text(FIVE)
    done = toy.pytest("--case", "toy.test_bad", "-n", "2")
    assert "5 failed" in done.stdout
    assert len(re.findall(r"^  waves: \S+$", done.stdout, re.MULTILINE)) == 3
    assert done.stdout.count("no waves: 3 failures of this run have theirs") == 2
    assert len(list(toy.root.rglob("waves.fst"))) == 3


@pytest.mark.parametrize(
    ("case", "options"), [("test_bad", ("--wave-cycles", "0")), ("test_good", ())]
)
def test_nothing_is_repeated_that_passes_or_is_not_to_be(
    toy: Toy, case: str, options: tuple[str, ...]
) -> None:
    """No second run, no second build."""
    done = toy.pytest("--case", f"toy.{case}", "--config", "narrow", *options)
    assert done.returncode == (case == "test_bad")
    assert "waves" not in done.stdout
    assert len(list((toy.root / "build" / "runs" / "icarus").glob("*-waves"))) == 0
    assert len(list((toy.root / "build" / "icarus").glob("toy-*"))) == 1


def test_another_main_program_of_cocotb_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not silently recorded from the beginning."""
    main = tmp_path / "lib" / "verilator" / "verilator.cpp"
    main.parent.mkdir(parents=True)
    main.write_text("int main() {}\n")
    monkeypatch.setattr(cocotb_tools.config, "share_dir", tmp_path)
    with pytest.raises(SimulationError, match=r"verilator\.cpp: expected once, to record waves"):
        window.recorder("verilator", "toy")


def test_the_units_of_a_window_are_those_of_the_testbenches() -> None:
    """The clock's period, and the simulators' precision."""
    timebase = (paths.vip_root() / "descring_vip" / "timebase.py").read_text()
    assert f"\nCLOCK_PERIOD_NS = {window.CYCLE_NS}\n" in timebase
    assert simulators.TIMESCALE[1] == "1ps"
    assert window.STEPS_PER_NS == PS
