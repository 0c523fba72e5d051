# SPDX-License-Identifier: Apache-2.0
"""The cpu device's registers and life cycle, held against the golden model's, step by step."""

import ctypes
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from descring_host import CpuDevice
from descring_host.native import ffi, lib, nanoseconds
from descring_model import DESC_DTYPE, GoldenDevice, contract, streams
from host_support import (
    CTRL,
    PATIENCE_S,
    REG,
    SHORT_S,
    assert_counts_all_tokens,
    eventually,
)
from hypothesis import given
from hypothesis import strategies as st

NATIVE = Path(__file__).resolve().parents[1] / "native"
MovingOf = Callable[[CpuDevice, int], ctypes.c_uint32]
FIRST = 0xFFFFFFF8
MEMORY = 16384
NOT_COMPARED = {"CNT_STALL_CYCLES"}
READABLE = [item.offset for item in contract.REGISTERS if item.name not in NOT_COMPARED]
BASES = {"CMD": 1024, "DONE": 4096, "REWARD": 8192}
POOL = streams.generate(256, seed=3, profile="mixed", first_index=FIRST)

U32 = st.integers(0, 0xFFFFFFFF)
NEARBY = st.integers(-3, 20).map(lambda distance: (FIRST + distance) & 0xFFFFFFFF)
CTRL_VALUES = st.one_of(st.sampled_from([0, 1, 1, 1, 2, 4, 5, 8, 9, 16, 17, 25, 33, 41, 57]), U32)
STEPS = st.one_of(
    st.tuples(st.just("CTRL"), CTRL_VALUES),
    st.tuples(st.just("DOORBELL"), NEARBY),
    st.tuples(st.sampled_from(["DONE_HEAD", "REWARD_HEAD"]), NEARBY),
    st.tuples(st.sampled_from(["STATUS", "IRQ_STATUS", "IRQ_MASK"]), U32),
    st.tuples(
        st.just("RING_LOG2"), st.sampled_from([0x020202, 0x010203, 0x030101, 0x11, 0, 0xFF020202])
    ),
    st.tuples(
        st.sampled_from(["CMD_BASE_LO", "DONE_BASE_LO", "REWARD_BASE_LO"]),
        st.sampled_from([0, 64, 65, 128, 1024, MEMORY - 256, MEMORY - 64, MEMORY]),
    ),
    st.tuples(st.sampled_from(["CMD_BASE_HI", "ID", "CMD_TAIL", "CNT_ERRORS"]), U32),
    st.tuples(st.just("lines"), st.integers(0, 200)),
)


def registers(device: Any) -> dict[int, int]:
    """All registers, unknown addresses among them; HI of the pair after its LO."""
    offsets = [*READABLE, 0x02, 0x68, 0x74, 0x80, 0xFFFFFFFC]
    return {offset: device.read32(offset) for offset in offsets}


def both(model: GoldenDevice, cpu: CpuDevice, name: str, value: int) -> None:
    """One step on both devices."""
    if name == "lines":
        for device in (model, cpu):
            slots = device.memory[BASES["CMD"] : BASES["CMD"] + 16 * 64].view(DESC_DTYPE)
            indices = (np.arange(16) + FIRST) % len(slots)
            slots[indices] = POOL[value : value + 16]
    else:
        model.write32(REG[name], value)
        cpu.write32(REG[name], value)


def compare_at_rest(model: GoldenDevice, cpu: CpuDevice) -> None:
    """All registers and all of the memory, once the worker has done what it can."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        expected, actual = registers(model), registers(cpu)
        if expected == actual and (model.memory == cpu.memory).all():
            return
        if time.monotonic() > deadline:
            assert actual == expected
            np.testing.assert_array_equal(cpu.memory, model.memory)
        time.sleep(0.0005)


def prepare(model: GoldenDevice, cpu: CpuDevice) -> None:
    """Reset both, same memory, a good configuration."""
    both(model, cpu, "CTRL", CTRL["RESET"])
    model.memory[:] = 0
    cpu.memory[:] = 0
    for ring, base in BASES.items():
        both(model, cpu, f"{ring}_BASE_LO", base)
    both(model, cpu, "RING_LOG2", 0x020304)
    both(model, cpu, "lines", 0)


@pytest.mark.parametrize("workers", [1, 3])
def test_any_register_program_leaves_both_devices_alike(workers: int) -> None:
    """[LIFE-001..LIFE-004] [LIFE-006] [LIFE-007] [DB-001..DB-004] [DB-006] [RING-008..RING-010]
    [RING-013].

    Also [IRQ-001] [CNT-001]: every register and every byte of memory, at rest after
    every step. As no native queue is attached, the worker stores its indices only when asked.
    """
    with CpuDevice(MEMORY, workers=workers, first_index=FIRST) as cpu:
        model = GoldenDevice(MEMORY, first_index=FIRST)

        @given(st.booleans(), st.lists(STEPS, max_size=25))
        def program(prepared: bool, steps: list[tuple[str, int]]) -> None:
            prepare(model, cpu)
            if prepared:
                both(model, cpu, "CTRL", CTRL["ENABLE"])
            else:
                both(model, cpu, "CTRL", CTRL["RESET"])
            for name, value in steps:
                both(model, cpu, name, value)
                compare_at_rest(model, cpu)

        program()


@pytest.mark.parametrize(
    "mode", [0, *(CTRL[name] for name in ("SPLIT_REWARD", "PUBLISH_TAILS")), 40]
)
@pytest.mark.parametrize("ring", ["CMD", "DONE", "REWARD"])
@pytest.mark.parametrize(
    "base", [0, 1, 32, 64, 65, 128, MEMORY - 256, MEMORY - 192, MEMORY, MEMORY + 64, 1 << 63]
)
@pytest.mark.parametrize("log2", [0, 2, 17, 255])
def test_configurations_are_refused_as_the_model_does(
    log2: int, base: int, ring: str, mode: int
) -> None:
    """[LIFE-002]: size out of range, base not aligned, ring outside the window."""
    with CpuDevice(MEMORY, first_index=FIRST) as cpu:
        model = GoldenDevice(MEMORY, first_index=FIRST)
        prepare(model, cpu)
        shift = {"CMD": 0, "DONE": 8, "REWARD": 16}[ring]
        both(model, cpu, "RING_LOG2", (0x020202 & ~(0xFF << shift)) | log2 << shift)
        both(model, cpu, f"{ring}_BASE_LO", base & 0xFFFFFFFF)
        both(model, cpu, f"{ring}_BASE_HI", base >> 32)
        both(model, cpu, "CTRL", CTRL["ENABLE"] | mode)
        compare_at_rest(model, cpu)


def test_reset_amid_a_burst_leaves_nothing_running() -> None:
    """[LIFE-004] [LIFE-001]: after CTRL.RESET returns, the device writes nothing more."""
    lines = streams.generate(1024, seed=4, profile="decode")
    with CpuDevice(1 << 18, workers=2) as cpu:
        for _ in range(50):
            for name, value in (
                ("RING_LOG2", 0x0A0A0A),
                ("CMD_BASE_LO", 0),
                ("DONE_BASE_LO", 1 << 17),
                ("CTRL", CTRL["ENABLE"]),
            ):
                cpu.write32(REG[name], value)
            cpu.memory[: 1 << 16] = lines.view(np.uint8)
            cpu.write32(REG["DOORBELL"], 1024)
            cpu.write32(REG["CTRL"], CTRL["RESET"] | CTRL["ENABLE"])
            before = cpu.memory.copy()
            assert cpu.read32(REG["DONE_TAIL"]) == cpu.read32(REG["CMD_HEAD"]) == 0
            assert cpu.read32(REG["CTRL"]) == 0
            assert cpu.read32(REG["CNT_DESCRIPTORS"]) == 0
            time.sleep(0.001)
            assert (cpu.memory == before).all()
            posted = cpu.memory[1 << 17 : (1 << 17) + (1 << 16)].view(DESC_DTYPE)
            written = (posted["flags"] & contract.DEVICE_OWNED_FLAGS) != 0
            assert (posted["rollout_id"][written] == lines["rollout_id"][written]).all()
            cpu.memory[1 << 17 :] = 0


@pytest.fixture(scope="module")
def moving_of(tmp_path_factory: pytest.TempPathFactory) -> MovingOf:
    """Find the word by which a queue of this process shows that it moves an index (segment.h)."""
    folder = tmp_path_factory.mktemp("moving")
    (folder / "moving.c").write_text(
        '#include "segment.h"\n'
        "hw_word_t *moving(hw_device_t *, int);\n"
        "hw_word_t *moving(hw_device_t *device, int which) {\n"
        "  return &device->index[which].moving;\n"
        "}\n"
    )
    flags = ["-std=c11", "-shared", "-fPIC", f"-I{NATIVE}", f"-I{NATIVE.parent / 'include'}"]
    command = ["cc", *flags, str(folder / "moving.c"), "-o", str(folder / "moving.so")]
    subprocess.run(command, check=True, timeout=60)
    library = ctypes.CDLL(str(folder / "moving.so"))
    library.moving.restype = ctypes.POINTER(ctypes.c_uint32)

    def find(device: CpuDevice, which: int) -> ctypes.c_uint32:
        handle = ctypes.c_void_p(int(ffi.cast("uintptr_t", device._handle())))
        found: ctypes.c_uint32 = library.moving(handle, which).contents
        return found

    return find


def enable(cpu: CpuDevice) -> None:
    """Rings of 16 lines."""
    for name, value in (
        ("RING_LOG2", 0x040404),
        ("CMD_BASE_LO", 0),
        ("DONE_BASE_LO", 4096),
        ("CTRL", CTRL["ENABLE"]),
    ):
        cpu.write32(REG[name], value)


def reset(cpu: CpuDevice) -> int:
    """What one write of CTRL.RESET returns."""
    result = lib.hd_write32(cpu._handle(), REG["CTRL"], CTRL["RESET"], nanoseconds(PATIENCE_S))
    return int(result)


@pytest.mark.parametrize("which", [0, 1], ids=["submitting", "taking"])
def test_a_reset_waits_for_a_queue_that_moves_an_index(moving_of: MovingOf, which: int) -> None:
    """[LIFE-004]: a thread that has begun to store an index stores it before the reset."""
    with CpuDevice(1 << 16) as cpu:
        enable(cpu)
        moving = moving_of(cpu, which)
        moving.value = 1
        end = threading.Timer(SHORT_S, setattr, (moving, "value", 0))
        end.start()
        assert reset(cpu) == 0
        assert moving.value == 0
        end.join()
        assert cpu.read32(REG["CTRL"]) == 0


def test_a_reset_that_a_queue_holds_up_changes_nothing(moving_of: MovingOf) -> None:
    """[LIFE-004]: it is refused after a second, and the device is still enabled."""
    with CpuDevice(1 << 16) as cpu:
        enable(cpu)
        moving = moving_of(cpu, 1)
        moving.value = 1
        start = time.monotonic()
        assert reset(cpu) == lib.HD_BUSY
        assert time.monotonic() - start >= 1.0
        assert cpu.read32(REG["CTRL"]) == CTRL["ENABLE"]
        moving.value = 0
        assert reset(cpu) == 0


def test_an_idle_device_sleeps_and_wakes() -> None:
    """[DB-003] [DB-001]: a worker that went to sleep runs what the next doorbell publishes."""
    with CpuDevice(1 << 16) as cpu:
        enable(cpu)
        for tail in range(1, 6):
            time.sleep(0.05)  # long enough to be asleep on any machine that lets it run
            cpu.write32(REG["DOORBELL"], tail)
            cpu.wait(PATIENCE_S)
            assert cpu.read32(REG["DONE_TAIL"]) == tail
            cpu.write32(REG["DONE_HEAD"], tail)


def test_wait_ends_empty_when_nothing_comes() -> None:
    """[RING-006]: no completion, no wake-up; the time is used up."""
    with CpuDevice(1 << 16) as cpu:
        start = time.monotonic()
        cpu.wait(0.05)
        assert time.monotonic() - start >= 0.05
        with pytest.raises(ValueError):
            cpu.wait(-1.0)


@pytest.mark.parametrize("offset, value", [(-1, 0), (0, -1), (1 << 32, 0), (0, 1 << 32)])
def test_register_accesses_that_are_no_u32_are_refused(offset: int, value: int) -> None:
    """[DB-004]: never narrowed into another register or value."""
    with CpuDevice(4096) as cpu, pytest.raises(ValueError, match="expected"):
        cpu.write32(offset, value)


def test_an_idle_device_costs_next_to_nothing() -> None:
    """[DB-003]: a worker without work sleeps; a tenth of a core is generous."""
    with CpuDevice(1 << 16) as cpu:
        cpu.wait(0.01)
        start, used = time.monotonic(), time.process_time()
        time.sleep(0.5)
        assert (time.process_time() - used) / (time.monotonic() - start) < 0.1


@pytest.mark.parametrize("process", [False, True])
def test_tokens_are_counted_in_64_bits(process: bool) -> None:
    """[CNT-001] [REG-054] [REG-058] [DEC-006] A ROLLOUT makes up to 2^32 - 1 tokens."""
    with CpuDevice(1 << 20, process=process) as device:
        assert_counts_all_tokens(device)


def test_a_completion_without_room_is_counted() -> None:
    """[RING-005]: the device says that it was held up, and carries on when there is room."""
    with CpuDevice(1 << 16) as cpu:
        for name, value in (
            ("RING_LOG2", 0x040104),
            ("CMD_BASE_LO", 0),
            ("DONE_BASE_LO", 4096),
            ("CTRL", CTRL["ENABLE"]),
            ("DOORBELL", 4),
        ):
            cpu.write32(REG[name], value)
        eventually(lambda: cpu.read32(REG["CNT_STALL_CYCLES"]) > 0, "a stall is counted")
        assert cpu.read32(REG["DONE_TAIL"]) == 2
        cpu.write32(REG["DONE_HEAD"], 2)
        eventually(lambda: cpu.read32(REG["DONE_TAIL"]) == 4, "it carries on")


@pytest.mark.parametrize("workers", [1, 3])
def test_a_stop_halts_both_devices_alike(workers: int) -> None:
    """[LIFE-003] [IRQ-001]: registers and memory behind the STOP, and behind the RESUME."""
    with CpuDevice(MEMORY, workers=workers, first_index=FIRST) as cpu:
        model = GoldenDevice(MEMORY, first_index=FIRST)
        prepare(model, cpu)
        for device in (model, cpu):
            slots = device.memory[BASES["CMD"] : BASES["CMD"] + 16 * 64].view(DESC_DTYPE)
            slots["opcode"] = contract.OPCODE["NOP"]
            slots["flags"] = 0
            slots["opcode"][(FIRST + 1) % 16] = contract.OPCODE["STOP"]
        both(model, cpu, "CTRL", CTRL["ENABLE"])
        both(model, cpu, "DOORBELL", (FIRST + 4) & 0xFFFFFFFF)
        compare_at_rest(model, cpu)
        assert cpu.read32(REG["CMD_HEAD"]) == FIRST + 2
        assert cpu.read32(REG["IRQ_STATUS"]) == 0b011
        both(model, cpu, "CTRL", CTRL["ENABLE"] | CTRL["RESUME"])
        compare_at_rest(model, cpu)
        assert cpu.read32(REG["CMD_HEAD"]) == FIRST + 4
