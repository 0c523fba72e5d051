# SPDX-License-Identifier: Apache-2.0
"""A foreign device behind AXI is connected by its port map alone, and a map that is wrong is
refused by name.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from conform_support import NIMBUS
from descring_model import contract
from descring_sim.conform.duts.axi_device import AsPresent
from descring_sim.conform.duts.find import find_dut
from descring_sim.conform.errors import ConformError
from descring_sim.conform.execute import run_test
from descring_sim.conform.proof.mutants import WrongImplementation, load, write_shell
from descring_sim.conform.proof.run import try_mutant
from descring_sim.conform.status import Status
from descring_sim.conform.suite.catalogue import select

SHOWN = (
    *("DESC-003/walking", "OP-010/every-score", "DEC-005/chains", "LIFE-003/left-halted"),
    *("RING-002/tags-through-the-wrap", "RING-007/order-of-long-and-short"),
    *("RING-004/lines-before-tails", "RING-008/two-rings", "RING-012/indices-start-where-told"),
    *("RING-013/indices-in-memory", "RING-002/wrap-of-two-rings", "LIFE-001/all-at-reset"),
    *("LIFE-002/rings-outside-of-memory", "LIFE-004/reset-under-load", "LIFE-005/unreadable-line"),
    *("LIFE-005/unwritable-slot", "REG-00C/in-use", "REG-054/in-use", "DB-002/too-far"),
    *("DB-001/rewritten-before-the-doorbell", "IRQ-001/level-of-the-interrupt"),
)
"""Tests of every kind: streams, registers, rings, indices elsewhere, bus errors, the interrupt.
`make conform-proof` runs the whole suite."""


@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
def test_it_connects_by_its_map_alone(simulator: str, tmp_path: Path) -> None:
    """Other names, an offset, 40-bit addresses, no IDs, active-high reset, active-low interrupt."""
    file = write_shell(tmp_path / "nimbus", {'"verilator"': f'"{simulator}"'})
    dut = find_dut(str(file))
    description = dut.describe()
    dut.build(tmp_path / "build")
    tests = select(SHOWN)
    assert len(tests) == len(SHOWN)
    for test in tests:
        assert not test.missing(description.capabilities)
        result = run_test(dut, description, test, 1, timeout_s=120.0, waves=False)
        assert result.status is Status.PASSED, (test.id, result.failure)
        assert result.compared


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'prefix = "CSR_"',
            'prefix = "CRS_"',
            r"axi-device.registers.awaddr: .* no port 'CRS_AWADDR'.*",
        ),
        ("upper = true", "upper = false", r"has no port 'CSR_awaddr'; near: .*CSR_A[WR]ADDR"),
        ('wlast = "dram_wend_o", ', "", r"axi-device.memory.wlast: .* no port 'dram_wlast_o'"),
        ('"awprot", "arprot"]', '"awprot"]', r"no port 'CSR_ARPROT'"),
        ('"awprot", "arprot"]', '"awprot", "arprot", "wstrb"]', r"has a port 'CSR_WSTRB'"),
        ('"awprot", "arprot"]', '"awaddr"]', r"registers.absent: .*must have, got 'awaddr'"),
        ('"awprot", "arprot"]', '"prot"]', r"axi-device.registers: expected signals out of awaddr"),
        (
            "{ wlast",
            '{ wstrb = "debug", wlast',
            r"wstrb: expected 64 bits, 'debug' .* has 8",
        ),
        ('"dram_rend_i" }', '"dram_wend_o" }', r"'dram_wend_o' is also axi-device.memory.wlast"),
        (
            '"dram_rend_i" }',
            '"dram_rvalid_i" }',
            r"'dram_rvalid_i' is also .*memory.rlast",
        ),
        ('irq = "!alarm_n"', 'irq = "scan_enable"', r"is also axi-device.tie.scan_enable"),
        ('irq = "!alarm_n"', 'irq = "debug"', r"ports.irq: expected 1 bits, 'debug' .* has 8"),
        (
            'irq = "!alarm_n"',
            "",
            r"interrupt is true, which needs axi-device.ports.irq",
        ),
        ('window_last = "dram_top"', "", r"without axi-device.ports.window_last.*LIFE-002"),
        ('first_index = "dbg_first"', "", r"first_index is true, which needs"),
        ('first_index = "dbg_first"', 'start = "x"', r"\[axi-device.ports\] has no 'start'"),
        ('first_index = "dbg_first"', 'first_index = "alarm_n"', r"expected an input .* an output"),
        ('scan_enable = "1\'b0"', "", r"nothing drives the input 'scan_enable' of nimbus_shell"),
        ("{ LANES = 4 }", "{ LANE = 4 }", r"no parameter 'LANE'; it has LANES"),
        ('top = "nimbus_shell"', 'top = "nimbus"', r"no module 'nimbus'; they have .*nimbus_shell"),
        ('active = "high"', 'active = "up"', r"reset.active: expected low or high, got 'up'"),
        ('port = "rst"', 'port = "reset"', r"reset.port: nimbus_shell has no port 'reset'"),
        ('clock = "core_clk"', 'clock = "clk"', r"device.clock: nimbus_shell has no port 'clk'"),
        ("offset = 0x8000", 'offset = "8000"', r"registers.offset: expected a number"),
        ('["_i", "_o"]', '["_i"]', r"memory.suffixes: expected two texts"),
        ("[axi-device.memory]", "[axi-device.memry]", r"\[axi-device\] has no 'memry'"),
        ("bus_errors = true", "workers = 2", r"capabilities.workers is for cores"),
        ("bus_errors = true", 'rings = "chip"', r'an AXI device has capabilities.rings = "memory"'),
        ("SYNTHESIS = true", "SYNTHESIS = 1.5", r"defines.SYNTHESIS: expected"),
    ],
)
def test_a_wrong_map_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    """Before anything is simulated, in one line that names the key and what stands there."""
    file = write_shell(tmp_path / "nimbus", {old: new})
    with pytest.raises(ConformError, match=message) as raised:
        find_dut(str(file)).build(tmp_path / "build")
    assert str(raised.value).startswith(str(file))
    assert "\n" not in str(raised.value)


def test_a_wrong_map_ends_with_exit_code_2(descring, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Nothing was judged, and nothing claims to have been."""
    file = write_shell(tmp_path / "nimbus", {'irq = "!alarm_n"': 'irq = "!alarm"'})
    actual = descring("conform", file)
    assert actual.returncode == 2
    assert "axi-device.ports.irq: nimbus_shell has no port 'alarm'; near: alarm_n" in actual.stderr
    assert "Traceback" not in actual.stderr
    assert actual.stdout == ""


def test_beats_that_are_no_lines_are_refused(tmp_path: Path) -> None:
    """A port that moves less than a line a beat reports it, and is not taken for a wrong device."""
    file = write_shell(tmp_path / "nimbus", {'"verilator"': '"icarus"'})
    source = file.parent / "rtl" / "desc_fetch.sv"
    text = source.read_text("utf-8")
    assert "m_axi_arsize  = 3'(SizeBits)" in text
    source.write_text(text.replace("m_axi_arsize  = 3'(SizeBits)", "m_axi_arsize  = 3'd5"), "utf-8")
    dut = find_dut(str(file))
    dut.build(tmp_path / "build")
    (test,) = select(["RING-004/nothing-but-slots"])
    result = run_test(dut, dut.describe(), test, 1, timeout_s=60.0, waves=False)
    assert result.status is Status.ERROR
    assert result.failure is not None
    assert "arsize 5 on the rings' port, expected 6" in result.failure.text


WRONG = [
    mutant
    for mutant in load(("shell",))
    if mutant.rule in ("RING-004", "DB-001", "LIFE-003", "REG-02C")
    or mutant.breaks == "a doorbell beyond the ring is accepted"
]


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(mutant, marks=[pytest.mark.nightly] * (mutant.rule == "LIFE-003"))
        for mutant in WRONG
    ],
    ids=lambda mutant: mutant.name,
)
def test_a_wrong_shell_is_rejected_under_its_rule(
    mutant: WrongImplementation, tmp_path: Path
) -> None:
    """Tails ahead of memory, doorbells beyond the ring, a wrong reset value, a STOP unseen."""
    trial = try_mutant(mutant, tmp_path)
    assert trial.rejected, (trial.problem, trial.named)
    # Not by a crash or for its time alone: something was compared, and was wrong.
    assert Status.FAILED in {result.status for result in trial.failures}


def test_the_example_is_described() -> None:
    """The file in the repository is the one that is tried here."""
    description = find_dut(str(NIMBUS)).describe()
    assert description.kind == "axi-device"
    assert description.capabilities.levels == {"stream", "device"}


@pytest.mark.parametrize(
    ("registers", "expected"),
    [
        ({"VERSION": 1, "CONTRACT_HASH": contract.EARLIER_HASHES[1]}, "present"),
        ({"VERSION": 7, "CONTRACT_HASH": 0x1234_5678}, "own"),
    ],
)
def test_a_queue_takes_a_device_of_an_earlier_version(
    registers: dict[str, int], expected: str
) -> None:
    """And only such a one; everything else is the device's."""
    values = {contract.OFFSET[name]: value for name, value in registers.items()}
    device = SimpleNamespace(read32=lambda offset: values.get(offset, 5), irq="line")
    seen = AsPresent(device)  # type: ignore[arg-type]
    present = {"VERSION": contract.VERSION, "CONTRACT_HASH": contract.CONTRACT_HASH}
    wanted = present if expected == "present" else registers
    assert {name: seen.read32(contract.OFFSET[name]) for name in registers} == wanted
    assert (seen.read32(contract.OFFSET["STATUS"]), seen.irq) == (5, "line")
