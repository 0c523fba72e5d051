# SPDX-License-Identifier: Apache-2.0
"""Cases of the AXI protocol monitor."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.triggers import Combine
from cocotbext.axi import (  # type: ignore[import-untyped]
    AxiBus,
    AxiLiteBus,
    AxiLiteMaster,
    AxiLiteRam,
    AxiMaster,
    AxiRam,
)
from descring_vip.axi.rules import FIXED, INCR, RULES, WRAP, Burst
from descring_vip.x_checker import simulator_has_x

from axi_monitor import scenarios
from axi_monitor.tb_axi_monitor import MonitorTestbench


@cocotb.test()
async def test_each_rule_fires_on_a_bus_that_breaks_it_alone(dut: HierarchyObject) -> None:
    """Every rule of the table has a scenario, and the monitor names that rule and no other."""
    tb = MonitorTestbench(dut)
    await tb.start()
    fired = set()
    breaking = [*scenarios.BREAKING.items(), *scenarios.MORE_BREAKING]
    for rule, scenario in breaking:
        if rule.endswith("_X") and not simulator_has_x():
            continue
        await tb.expect(scenario, [rule, *scenarios.COMPANIONS.get(rule, [])])
        fired.add(rule)
    for rule, scenario in scenarios.LITE_BREAKING.items():
        await tb.expect(scenario, [rule], lite=True)
        fired.add(rule)
    fired |= await tb.expect_sources_that_wait()
    missing = {rule for rule in RULES.keys() - fired if simulator_has_x() or rule[-2:] != "_X"}
    assert not missing, f"rules without a scenario: {sorted(missing)}"
    tb.finish()


@cocotb.test()
async def test_legal_traffic_passes_in_silence(dut: HierarchyObject) -> None:
    """Early data, interleaved reads, exclusive accesses, errors, narrow and wrapping bursts."""
    tb = MonitorTestbench(dut)
    await tb.start()
    for scenario in scenarios.LEGAL:
        await tb.expect(scenario, [])
    tb.finish()


@cocotb.test()
async def test_the_default_is_to_fail_the_case_with_rule_section_and_cycle(
    dut: HierarchyObject,
) -> None:
    """The text names the rule, the section of the standard, and the cycle."""
    tb = MonitorTestbench(dut)
    await tb.start()
    await tb.expect_failure(
        scenarios.BREAKING["AXI4_ERRM_AWADDR_BOUNDARY"],
        r"AXI4_ERRM_AWADDR_BOUNDARY \(A3\.4\.1: .*4 KiB\).*address=8184.*cycle \d+, seed",
    )
    tb.finish()


def _pseudocode(burst: Burst, bus_bytes: int) -> Iterator[int]:
    """The strobes of each beat, as the standard's own pseudocode (A3.4.2) has it, lane by lane."""
    start, number_bytes, length = burst.address, burst.size, burst.beats
    aligned = start // number_bytes * number_bytes
    address = start
    lower = start // (number_bytes * length) * (number_bytes * length)
    upper = lower + number_bytes * length
    is_aligned = aligned == start
    for _ in range(length):
        low = address - address // bus_bytes * bus_bytes
        if is_aligned:
            high = low + number_bytes - 1
        else:
            high = aligned + number_bytes - 1 - address // bus_bytes * bus_bytes
        yield sum(1 << lane for lane in range(low, high + 1))
        if burst.kind != FIXED:
            if is_aligned:
                address += number_bytes
                if burst.kind == WRAP and address >= upper:
                    address = lower
            else:
                address = aligned + number_bytes
                is_aligned = True


@cocotb.test()
async def test_byte_lanes_agree_with_the_pseudocode_of_the_standard(dut: HierarchyObject) -> None:
    """All sizes, types and alignments of up to 8 beats."""
    tb = MonitorTestbench(dut)
    await tb.start()
    for size, kind, offset, beats in itertools.product(
        [1 << log2 for log2 in range(tb.bus_bytes.bit_length())],
        (FIXED, INCR, WRAP),
        range(2 * tb.bus_bytes),
        (1, 2, 3, 8),
    ):
        if kind == WRAP and (beats not in (2, 8) or offset % size):
            continue
        burst = Burst(0, 0x2000 + offset, beats, size, kind, False)
        for beat, expected in enumerate(_pseudocode(burst, tb.bus_bytes)):
            actual = burst.lanes(beat, tb.bus_bytes)
            tb.values.check(f"lanes of beat {beat} of {burst}", expected=expected, actual=actual)
    tb.finish()


def _pauses(rng: np.random.Generator) -> Iterator[bool]:
    """Pause half of the time, in runs."""
    while True:
        yield from [bool(rng.integers(2))] * int(rng.integers(1, 4))


@cocotb.test()
async def test_cocotbext_axi_keeps_the_rules(dut: HierarchyObject) -> None:
    """A master and a memory that others wrote, with random bursts and pauses on all channels."""
    tb = MonitorTestbench(dut)
    axi, lite = tb.monitors
    master = AxiMaster(AxiBus.from_prefix(dut, "m_axi"), dut.clk_i, dut.rst_ni, False)
    ram = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk_i, dut.rst_ni, False, size=1 << 16)
    lite_master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk_i, dut.rst_ni, False)
    lite_ram = AxiLiteRam(
        AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk_i, dut.rst_ni, False, size=1 << 12
    )
    for part in (master, ram, lite_master, lite_ram):
        for channel in (part.write_if, part.read_if):
            for name in ("aw", "w", "b", "ar", "r"):
                stream = getattr(channel, f"{name}_channel", None)
                if stream is not None:
                    stream.set_pause_generator(_pauses(tb.rng))
    await tb.start(drive=False)

    # Each transfer is a request, its beats and an answer at least, both ways.
    handshakes = {axi: 0, lite: 0}

    async def transfers(port: object, number: int) -> None:
        for _ in range(25):
            size = int(tb.rng.integers(tb.bus_bytes.bit_length())) if port is master else 2
            options = {"size": size} if port is master else {}
            at = 1024 * number + int(tb.rng.integers(512))
            data = tb.rng.bytes(int(tb.rng.integers(1, min(512, 24 << size))))
            width = 4 if port is lite_master else 1 << size
            beats = (at + len(data) - 1) // width - at // width + 1
            handshakes[axi if port is master else lite] += 2 * beats + 3
            await port.write(at, data, **options)  # type: ignore[attr-defined]
            back = await port.read(at, len(data), **options)  # type: ignore[attr-defined]
            tb.values.check("bytes read back", expected=hash(data), actual=hash(bytes(back.data)))

    tasks = [cocotb.start_soon(transfers(master, number)) for number in range(4)]
    tasks.append(cocotb.start_soon(transfers(lite_master, 0)))
    await Combine(*tasks)
    for monitor in (axi, lite):
        assert monitor.seen >= handshakes[monitor], (handshakes[monitor], monitor.state())
        assert monitor.matched == monitor.seen, monitor.state()
        for channel in ("aw", "w", "b", "ar", "r"):
            assert monitor.independent(channel), f"{channel} never offered ahead of ready"
    tb.finish()
