# SPDX-License-Identifier: Apache-2.0
"""The registers over AXI4-Lite: whatever a host writes, both devices are alike."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from descring_vip.stream.patterns import Idle, Ready
from descring_vip.tier import sweep
from mmio_regs.register_reference import BAD_CONFIG, ENABLE, MODES, PUBLISH_TAILS, SPLIT_REWARD, U32
from rl_runtime_mmio.device_scoreboard import OFFSET

from rl_runtime_axi.layout import Layout
from rl_runtime_axi.tb_rl_runtime_axi import ShellTestbench

_STEPS = 40
_READ_ONLY = (
    *("ID", "VERSION", "CMD_HEAD", "CMD_TAIL", "DONE_TAIL", "REWARD_TAIL", "CONTRACT_HASH"),
    *(name for name in OFFSET if name.startswith("CNT_")),
)
_BASES = tuple(name for name in OFFSET if "_BASE_" in name)


@cocotb.test()
@cocotb.parametrize(first_index=[0, U32 - 1])
async def test_device_after_reset(dut: HierarchyObject, first_index: int) -> None:
    """[LIFE-001] [RING-012] [HASH-001] [REG-000] [REG-004] [REG-07C] Every register."""
    tb = ShellTestbench(dut, first_index=first_index)
    await tb.start()
    await tb.settle()
    await tb.finish()


@cocotb.test()
async def test_unknown_and_read_only_registers(dut: HierarchyObject) -> None:
    """[DB-004] Unknown ones read 0; writes to them and to read-only ones change nothing: OKAY.

    An address inside a register is unknown too.
    """
    tb = ShellTestbench(dut)
    await tb.start()
    inside = tuple(OFFSET[name] + byte for name in ("CTRL", "IRQ_MASK") for byte in (1, 2, 3))
    for address in (*inside, *range(0x68, 0x7C, 4), *range(0x80, 0x1000, 0x7C), 0xFFC):
        await tb.host.read(address)
        await tb.host.write(address, U32 - 1)
        await tb.host.read(address)
    for name in _READ_ONLY:
        await tb.write(name, U32 - 1)
        await tb.settle()
    await tb.finish()


@cocotb.test()
async def test_bases_keep_every_bit(dut: HierarchyObject) -> None:
    """[REG-030] [REG-034] [REG-038] [REG-03C] [REG-040] [REG-044] One bit after the other."""
    tb = ShellTestbench(dut)
    await tb.start()
    for name in _BASES:
        for place in range(32):
            await tb.write(name, 1 << place)
            await tb.read(name)
    await tb.settle()
    await tb.finish()


@cocotb.test()
async def test_partial_writes_change_nothing(dut: HierarchyObject) -> None:
    """[DB-007] [DB-004] One, two or three bytes of any register, or none: OKAY, no effect."""
    tb = ShellTestbench(dut)
    await tb.start()
    await tb.configure()
    names = ("CTRL", "IRQ_MASK", "DONE_BASE_LO", "RING_LOG2", "DOORBELL", "CMD_BASE_HI")
    for name in names:
        for strobes in range(15):
            await tb.host.write(OFFSET[name], U32 - 1, strobes)
        await tb.settle()
    await tb.write("CTRL", ENABLE)
    for name in names:
        await tb.host.write(OFFSET[name], 0, strobes=1)
        await tb.settle()
    await tb.serve(tb.stream(20))
    await tb.finish()


@cocotb.test()
@sweep(ring=["CMD", "DONE", "REWARD"], modes=[SPLIT_REWARD, PUBLISH_TAILS])
async def test_bad_configurations_are_refused(dut: HierarchyObject, ring: str, modes: int) -> None:
    """[LIFE-002] [LIFE-006] [REG-02C] Sizes, alignment, window; nothing is read or written.

    After a refused ENABLE a good configuration is accepted.
    """
    tb = ShellTestbench(dut)
    await tb.start()
    place, end = tb.places[ring], len(tb.memory)
    good = OFFSET["RING_LOG2"]
    shift = {"CMD": 0, "DONE": 8, "REWARD": 16}[ring]
    fits = end - 64 * place.slots
    bases = (place.base + 32, fits + 64, 64, fits, 128, place.base + 1, end, 0, 1 << 63)
    for base in bases[: tb.share(9, least=4)]:
        await tb.configure()
        await tb.write(f"{ring}_BASE_LO", base % U32)
        await tb.write(f"{ring}_BASE_HI", base // U32)
        await _try(tb, modes)
    for log2 in (0, 17, 33, 255, 1)[: tb.share(5, least=2)]:
        await tb.configure()
        sizes = (await tb.host.read(good)) & ~(0xFF << shift)
        await tb.write("RING_LOG2", sizes | log2 << shift)
        await _try(tb, modes)
    tb.scoreboard.writes.check("bus reads", expected=0, actual=len(tb.bus.reads))
    await tb.enable(modes)
    await tb.serve(tb.stream(20))
    await tb.finish()


async def _try(tb: ShellTestbench, modes: int) -> None:
    await tb.write("CTRL", ENABLE | modes)
    await tb.settle()
    if (await tb.read("CTRL")) & ENABLE:
        await tb.soft_reset()
    else:
        await tb.write("DOORBELL", 1)
        await tb.settle()
        await tb.write("STATUS", BAD_CONFIG)


@cocotb.test()
@cocotb.parametrize(modes=[0, SPLIT_REWARD, MODES])
async def test_configuration_is_locked(dut: HierarchyObject, modes: int) -> None:
    """[LIFE-006] [REG-008] From the first ENABLE to RESET, also while paused."""
    tb = ShellTestbench(dut)
    await tb.start()
    await tb.write("CTRL", modes ^ MODES)
    await tb.settle()
    await tb.enable(modes)
    for control in (ENABLE | modes ^ MODES, modes ^ MODES, 0, ENABLE):
        await tb.write("CTRL", control)
        for name in ("RING_LOG2", *_BASES):
            await tb.write(name, int(tb.rng.integers(U32)))
        await tb.settle()
    await tb.serve(tb.stream(30))
    await tb.soft_reset()
    await tb.write("RING_LOG2", 0x030201)
    await tb.settle()
    await tb.finish()


@cocotb.test()
@sweep(first_index=[0, U32 - 4], prepared=[False, True])
async def test_any_register_program(dut: HierarchyObject, first_index: int, prepared: bool) -> None:
    """[REG-008] [REG-00C] [REG-010] [REG-014] [REG-018] [REG-01C] [REG-020] [REG-024] [REG-028]
    [REG-02C] [REG-030] [REG-034] [REG-038] [REG-03C] [REG-040] [REG-044] [REG-048] [REG-04C]
    [REG-050] [REG-054] [REG-058] [REG-05C] [REG-064] [IRQ-001] [CNT-001] [DB-002] [DB-006]

    Random writes, at rest after each: every register, the interrupt and all of the memory.
    """
    tb = ShellTestbench(dut, first_index=first_index, layout=Layout(4, 3, 2))
    await tb.start()
    await tb.configure()
    await tb.settle()
    commands, model = tb.places["CMD"], tb.scoreboard.model
    for step in range(tb.share(_STEPS)):
        if prepared and step % 12 == 0:
            await tb.write("CTRL", ENABLE | int(tb.rng.integers(8)) * 8)
            await tb.settle()
        name, value = _draw(tb)
        if name == "lines":
            # A host may not touch a line that is published and not answered.
            tb.tail = model.read32(OFFSET["CMD_TAIL"])
            tb.place_lines(tb.stream((model.read32(OFFSET["CMD_HEAD"]) - tb.tail) % commands.slots))
        else:
            await tb.write(name, value % U32)
            if name == "CTRL" and value & 2:
                await tb.until_status(1, 1)
        await tb.settle()
    await tb.finish()


def _draw(tb: ShellTestbench) -> tuple[str, int]:
    """A register that does something, and a value near where its rules turn."""
    model, draw = tb.scoreboard.model, tb.rng
    near = int(draw.integers(-2, 6))
    kind = draw.random()
    if kind < 0.35:
        return "DOORBELL", model.read32(OFFSET["CMD_TAIL"]) + near
    if kind < 0.5:
        ring = ("DONE", "REWARD")[int(draw.integers(2))]
        tail, head = (model.read32(OFFSET[f"{ring}_{end}"]) for end in ("TAIL", "HEAD"))
        return f"{ring}_HEAD", (head if near % 2 else tail) + near // 2
    if kind < 0.7:
        reset = 2 * int(draw.random() < 0.1)
        # What was accepted before a pause and waits for room is no matter of the contract.
        waits = tb.scoreboard.running and model.read32(OFFSET["CMD_HEAD"]) != model.read32(
            OFFSET["CMD_TAIL"]
        )
        return "CTRL", int(draw.integers(64)) & ~2 | reset | int(waits or draw.random() < 0.7)
    if kind < 0.8:
        return ("STATUS", "IRQ_STATUS", "IRQ_MASK")[int(draw.integers(3))], int(draw.integers(U32))
    if kind < 0.9:
        return "lines", 0
    names = ("RING_LOG2", *_BASES, "ID", "CMD_TAIL", "CNT_ERRORS")
    name = names[int(draw.integers(len(names)))]
    return name, int(draw.integers(U32)) if name not in _BASES else int(draw.integers(64)) * 32


@cocotb.test()
@sweep(idle=[Idle.NONE, Idle.RANDOM], ready=[Ready.RANDOM])
async def test_interrupt_masks(dut: HierarchyObject, idle: Idle, ready: Ready) -> None:
    """[IRQ-001] [REG-048] [REG-04C] Every mask against every event; clearing one keeps others."""
    tb = ShellTestbench(dut, layout=Layout(done=6), idle=idle, ready=ready)
    await tb.start()
    await tb.write("CTRL", ENABLE)
    await tb.enable()
    for mask in range(0, 8, 4 // tb.share(4)):
        await tb.write("IRQ_MASK", mask)
        lines = tb.stream(2, "decode")
        lines[1] = tb.stops(1)[0]
        await tb.submit(lines)
        await tb.write("DOORBELL", (tb.tail + 99) % U32)
        await tb.settle()
        for clear in (mask, 1, 2, 4):
            await tb.write("IRQ_STATUS", clear)
            await tb.settle()
        await tb.resume()
        await tb.settle()
        await tb.take_all()
    await tb.finish()
