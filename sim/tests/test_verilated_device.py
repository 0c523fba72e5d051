# SPDX-License-Identifier: Apache-2.0
"""The device ``verilated`` beyond what the host suite asks of every backend: bus, time, waves."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from descring_host import CommandQueue, DeviceClosed, DeviceError
from descring_model import Lines, complete, contract, first_difference, streams
from descring_sim.support import paths
from descring_sim.verilated.device import VerilatedDevice
from descring_sim.waves import views, wave_file

REG = contract.OFFSET
STATUS = contract.MASK["STATUS"]
CTRL = contract.MASK["CTRL"]
MEMORY = 1 << 18
BUSES = {
    "ideal": {"latency": 0},
    "slow": {"latency": 100},
    "uneven": {"latency": (1, 60)},
    "reluctant": {"latency": (0, 8), "backpressure": 0.7},
}


def exchanged(device: VerilatedDevice, lines: Lines) -> Lines:
    """The completions of a stream without STOP, through a queue."""
    with CommandQueue(device, cmd_slots=64, done_slots=32) as queue:
        return queue.exchange(lines)


@pytest.mark.parametrize("bus", BUSES)
def test_any_memory_gives_the_models_bytes(bus: str) -> None:
    """[RING-006] [RING-007] [DESC-023]: latencies and pauses on every channel change no byte."""
    lines = streams.generate(1500, seed=51, profile="checked")
    with VerilatedDevice(MEMORY, seed=7, **BUSES[bus]) as device:  # type: ignore[arg-type]
        done = exchanged(device, lines)
        assert first_difference(complete(lines), done) is None
        traffic = device.traffic
        assert traffic["lines_read"] >= 1500
        assert traffic["lines_written"] >= 1500
        assert traffic["errors"] == 0


def test_the_seed_decides_the_cycles() -> None:
    """The same program takes the same cycles again, and others with another seed."""
    lines = streams.generate(300, seed=52, profile="boundary")
    cycles = []
    for seed in (1, 1, 2):
        with VerilatedDevice(MEMORY, seed=seed, latency=(1, 30), backpressure=0.3) as device:
            exchanged(device, lines)
            cycles.append(device.cycles)
    assert cycles[0] == cycles[1] != cycles[2]


def test_the_greatest_rings_are_full_at_once() -> None:
    """[RING-001] [RING-005] [RING-010] [DB-002] [REG-060]: 65536 lines by one doorbell.

    No completion is taken until all of them fill the done ring; what then waits for room completes
    once there is some.
    """
    slots = 1 << contract.RING_LOG2_MAX
    lines = streams.generate(slots + 8, seed=58, profile="nop")
    with (
        VerilatedDevice(1 << 24, first_index=0xFFFF_FFF0) as device,
        CommandQueue(device, cmd_slots=slots, done_slots=slots) as queue,
    ):
        assert queue.submit(lines[:slots]) == slots
        for tail, more in ((slots, lines[slots:]), (slots, lines[:0])):
            for _ in range(400):
                device.step(1000)
                if (device.read32(REG["DONE_TAIL"]) - 0xFFFF_FFF0) % (1 << 32) == tail:
                    break
            assert queue.answered == tail
            assert queue.submit(more) == len(more)
        device.step(1000)
        assert queue.answered == slots
        assert device.read32(REG["CNT_STALL_CYCLES"]) > 0
        done = queue.poll(slots)
        rest = queue.drain()
        taken = np.concatenate([done, rest])
        assert first_difference(complete(lines, first_index=0xFFFF_FFF0), taken) is None


def test_time_passes_only_when_asked() -> None:
    """step() lets exactly so many cycles pass; reads of memory none."""
    with VerilatedDevice(MEMORY) as device:
        before = device.cycles
        device.step(123)
        assert device.cycles == before + 123
        device.memory[:64] = 1
        assert device.cycles == before + 123
        with pytest.raises(ValueError, match="0 or more"):
            device.step(-1)


def test_wait_sees_a_long_rollout_through() -> None:
    """[OP-004] [DEC-006] The bus is quiet for a cycle a token; a full ring ends the wait."""
    lines = streams.generate(3, seed=57, profile="rollouts")
    lines["opcode"] = contract.OPCODE["ROLLOUT"]
    lines["seq_len"], lines["max_tokens"] = 1, (20_001, 5, 30)
    with (
        VerilatedDevice(MEMORY) as device,
        CommandQueue(device, cmd_slots=8, done_slots=2) as queue,
    ):
        queue.submit(lines)
        for _ in range(2):  # the first ends behind the reads of the lines
            device.wait(60.0)
        assert device.read32(REG["DONE_TAIL"]) == 2
        assert 20_000 < device.cycles < 25_000
        started = time.monotonic()
        device.wait(60.0)
        assert time.monotonic() - started < 30.0, "the third waits for room"
        done = queue.poll(2)
        assert first_difference(complete(lines), np.concatenate([done, queue.drain(10.0)])) is None


def test_an_interrupt_is_seen() -> None:
    """[IRQ-001]: a completion raises it where the mask lets it."""
    with VerilatedDevice(MEMORY) as device, CommandQueue(device, cmd_slots=16) as queue:
        device.write32(REG["IRQ_MASK"], 1)
        assert not device.irq
        queue.exchange(streams.generate(1, seed=53, profile="nop"))
        assert device.irq
        device.write32(REG["IRQ_STATUS"], 1)
        device.step(2)
        assert not device.irq


def test_a_failing_memory_halts_the_device() -> None:
    """[LIFE-005]: STATUS reports it, nothing is skipped, and RESUME tries again."""
    lines = streams.generate(8, seed=54, profile="nop")
    with VerilatedDevice(MEMORY) as device, CommandQueue(device, cmd_slots=16) as queue:
        slot = queue.geometry.cmd_base + 3 * contract.DESC_BYTES
        device.inject_bus_error(slot, slot + 1)
        queue.submit(lines)
        device.wait(5)
        assert device.read32(REG["STATUS"]) & STATUS["BUS_ERROR"]
        assert device.read32(REG["CMD_HEAD"]) == 3
        device.clear_bus_errors()
        device.write32(REG["CTRL"], device.read32(REG["CTRL"]) | CTRL["RESUME"])
        device.wait(5)
        assert first_difference(complete(lines), queue.poll()) is None
        with pytest.raises(ValueError, match="inside"):
            device.inject_bus_error(5, 5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"workers": 0}, "workers: expected 1 to 16"),
        ({"prefetch_depth": 3}, "prefetch_depth: expected a power of two"),
        ({"memory": 100}, "memory: expected a multiple of 64"),
        ({"backpressure": 1.0}, "backpressure: expected 0 to 0.95"),
        ({"latency": (5, 4)}, "latency: expected 0 to 10000"),
        ({"seed": -1}, "seed: expected"),
        ({"first_index": 1 << 32}, "first_index"),
    ],
)
def test_options_out_of_range_are_refused(wrong: dict[str, object], message: str) -> None:
    """Before anything is compiled."""
    with pytest.raises(ValueError, match=message):
        VerilatedDevice(**wrong)  # type: ignore[arg-type]


def test_a_closed_device_says_so() -> None:
    """And closing twice is harmless."""
    device = VerilatedDevice(MEMORY)
    device.close()
    device.close()
    with pytest.raises(DeviceClosed):
        device.read32(REG["ID"])


BREAKS = {
    "assertion": (
        "mmio_regs.sv",
        "locked_q <= locked_q || (ask_enable && config_ok);",
        "locked_q <= 1'b0;",
        r"EnableLocks_A: an enabled device is locked .*cycle \d+, seed 5",
    ),
    "protocol": (
        "axi_write_engine.sv",
        "assign m_axi_awburst = 2'b01;",
        "assign m_axi_awburst = 2'b00;",
        r"AXI protocol: AW at \d+: burst type 0, expected INCR; cycle \d+, seed 5; STATUS=",
    ),
}


@pytest.mark.parametrize(
    "kind",
    # Each is a library of its own to compile.
    [pytest.param(kind, marks=[pytest.mark.nightly] * (kind != "protocol")) for kind in BREAKS],
)
def test_a_failure_is_named_and_its_last_cycles_are_kept(tmp_path: Path, kind: str) -> None:
    """An assertion of the RTL, or what AXI forbids; this process lives on."""
    name, old, new, message = BREAKS[kind]
    rtl = shutil.copytree(paths.rtl_dir(), tmp_path / "rtl")
    text = (rtl / name).read_text()
    assert text.count(old) == 1, f"{name} has no {old!r} to break"
    (rtl / name).write_text(text.replace(old, new))
    wave = tmp_path / "last.fst"
    with VerilatedDevice(MEMORY, seed=5, rtl_dir=rtl, workers=1, waves=True) as device:
        device.record(wave, last=100)
        device.step(1000)
        with pytest.raises(DeviceError, match=message):
            exchanged(device, streams.generate(20, seed=55, profile="nop"))
        with pytest.raises(DeviceError, match="stays failed"):
            device.read32(0)
    older = wave.with_name("last.fst.older")
    for file in (wave, older):
        assert any(signal.name == "state_q" for signal in wave_file.read(file).signals)
    assert views.groups(wave_file.read(wave).signals)["rings"]


def test_memory_lies_on_whole_lines() -> None:
    """What the library copies is aligned, whatever NumPy gives."""
    with VerilatedDevice(MEMORY) as device:
        assert device.memory.ctypes.data % contract.DESC_BYTES == 0
        assert device.memory.dtype == np.uint8
