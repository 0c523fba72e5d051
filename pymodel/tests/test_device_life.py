# SPDX-License-Identifier: Apache-2.0
"""The device's life cycle: configuration, STOP, pause, reset, and memory that fails."""

import numpy as np
import pytest
from descring_model import GoldenDevice, ring_log2
from model_support import (
    BAD_CONFIG,
    BAD_DOORBELL,
    ENABLE,
    HALTED,
    IRQ_HALTED,
    PUBLISH_TAILS,
    READY,
    REG,
    REQUIRE_CHECKED,
    RESET,
    RESUME,
    RUNNING,
    SPLIT_REWARD,
    U32,
    Host,
    checked,
)
from scalar_reference import CHECKED, DONE, ERROR, STOP, Desc, unpack

WINDOW = 4096
PAUSING = Desc(max_tokens=64)


def enable(
    log2: tuple[int, int, int] = (2, 2, 2),
    bases: tuple[int, int, int] = (0, 256, 512),
    mode: int = 0,
    window: int = WINDOW,
) -> GoldenDevice:
    """A device on which this configuration was enabled."""
    device = GoldenDevice(window)
    device.write32(REG["RING_LOG2"], ring_log2(*log2))
    for name, base in zip(("CMD", "DONE", "REWARD"), bases, strict=True):
        device.write32(REG[f"{name}_BASE_LO"], base % U32)
        device.write32(REG[f"{name}_BASE_HI"], base >> 32)
    device.write32(REG["CTRL"], ENABLE | mode)
    return device


@pytest.mark.parametrize(
    ("log2", "bases"),
    [
        ((1, 1, 1), (0, 128, 256)),
        ((2, 2, 2), (0, 256, 512)),
        ((5, 2, 2), (0, 2048, 2304)),
        ((6, 2, 2), (0, 0, 0)),
        ((2, 2, 2), (WINDOW - 256, 256, 512)),
        ((2, 2, 2), (0, WINDOW - 256, 512)),
        ((2, 2, 2), (0, 256, WINDOW - 256)),
    ],
)
@pytest.mark.parametrize("mode", [0, SPLIT_REWARD, REQUIRE_CHECKED])
def test_good_configuration_is_enabled(
    log2: tuple[int, int, int], bases: tuple[int, int, int], mode: int
) -> None:
    """[LIFE-002] [REG-008] [REG-02C] [RING-001] To the last byte of the window."""
    device = enable(log2, bases, mode)
    assert device.read32(REG["CTRL"]) == ENABLE | mode
    assert device.read32(REG["STATUS"]) == READY | RUNNING


@pytest.mark.parametrize("ring", range(3))
@pytest.mark.parametrize(
    ("log2", "base"),
    [
        (0, 0),
        (17, 0),
        (0x42, 0),
        (255, 0),
        (2, 32),
        (2, 1),
        (2, WINDOW - 192),
        (2, WINDOW),
        (7, 0),
        (2, 1 << 32),
        (2, (1 << 64) - 64),
        (2, (1 << 64) - 256),
    ],
)
def test_bad_configuration_is_refused(ring: int, log2: int, base: int) -> None:
    """[LIFE-002] [RING-001] [REG-00C] Size, alignment, window; the reward ring only with SPLIT."""
    log2s, bases = [2, 2, 2], [0, 256, 512]
    log2s[ring], bases[ring] = log2, base
    window = WINDOW if log2 != 17 else (64 << 17) + WINDOW
    for mode in (0, SPLIT_REWARD):
        device = enable(
            (log2s[0], log2s[1], log2s[2]), (bases[0], bases[1], bases[2]), mode, window
        )
        if ring == 2 and not mode:
            assert device.read32(REG["CTRL"]) == ENABLE
            continue
        assert device.read32(REG["CTRL"]) == mode, "ENABLE reads 0"
        assert device.read32(REG["STATUS"]) == READY | BAD_CONFIG
        device.write32(REG["DOORBELL"], 1)
        assert device.read32(REG["CMD_TAIL"]) == 0
        assert not device.memory.any(), "nothing is written"


@pytest.mark.parametrize("ring", range(3))
@pytest.mark.parametrize("base", [0, 64, 128])
def test_words_before_the_ring_must_lie_in_the_window(ring: int, base: int) -> None:
    """[LIFE-002] [RING-013] Head and tail belong to a ring only with PUBLISH_TAILS."""
    bases = [512, 1024, 2048]
    bases[ring] = base
    for mode in (0, SPLIT_REWARD, PUBLISH_TAILS, SPLIT_REWARD | PUBLISH_TAILS):
        counts = ring < 2 or bool(mode & SPLIT_REWARD)
        refused = counts and bool(mode & PUBLISH_TAILS) and base < 128
        device = enable(bases=(bases[0], bases[1], bases[2]), mode=mode)
        assert device.read32(REG["CTRL"]) == mode | ENABLE * (not refused)
        assert device.read32(REG["STATUS"]) == (READY | BAD_CONFIG if refused else READY | RUNNING)


def test_refused_enable_can_be_repeated() -> None:
    """[LIFE-002] [LIFE-006] A refused ENABLE locks nothing; the error bit stays until cleared."""
    device = enable(log2=(0, 2, 2))
    device.write32(REG["RING_LOG2"], ring_log2(2, 2, 2))
    device.write32(REG["CTRL"], ENABLE)
    assert device.read32(REG["CTRL"]) == ENABLE
    assert device.read32(REG["STATUS"]) == READY | RUNNING | BAD_CONFIG


BASES = [f"{ring}_BASE_{half}" for ring in ("CMD", "DONE", "REWARD") for half in ("LO", "HI")]


@pytest.mark.parametrize("register", ["RING_LOG2", *BASES])
@pytest.mark.parametrize("paused", [False, True])
def test_configuration_is_locked_until_reset(register: str, paused: bool) -> None:
    """[LIFE-006] Also while ENABLE is cleared again."""
    device = enable()
    if paused:
        device.write32(REG["CTRL"], 0)
    before = device.read32(REG[register])
    device.write32(REG[register], before ^ 0x40)
    assert device.read32(REG[register]) == before
    device.write32(REG["CTRL"], RESET)
    device.write32(REG[register], 0x41)
    assert device.read32(REG[register]) == 0x41


@pytest.mark.parametrize("mode", range(0, 64, 8))
def test_modes_are_those_written_with_enable(mode: int) -> None:
    """[LIFE-006] [REG-008] [RING-013] Before it they may change, after it they are locked."""
    device = enable(bases=(128, 512, 1024), mode=mode)
    device.write32(REG["CTRL"], ENABLE | SPLIT_REWARD | REQUIRE_CHECKED | PUBLISH_TAILS)
    assert device.read32(REG["CTRL"]) == ENABLE | mode
    device.write32(REG["CTRL"], 0)
    assert device.read32(REG["CTRL"]) == mode
    device.write32(REG["CTRL"], ENABLE)
    assert device.read32(REG["CTRL"]) == ENABLE | mode


def test_modes_can_be_taken_back_before_enable() -> None:
    """[LIFE-006] Nothing is locked yet."""
    device = GoldenDevice(WINDOW)
    device.write32(REG["CTRL"], SPLIT_REWARD | REQUIRE_CHECKED)
    device.write32(REG["CTRL"], REQUIRE_CHECKED)
    assert device.read32(REG["CTRL"]) == REQUIRE_CHECKED


def test_required_checks_are_in_force() -> None:
    """[DESC-025] [DESC-023] [REG-008] A plain line is refused, a CHECKED one is not."""
    host = Host(mode=REQUIRE_CHECKED)
    host.submit(Desc(opcode=0), checked(Desc(opcode=0), 1))
    plain, good = host.poll()
    assert plain == checked(Desc(opcode=0, flags=ERROR | 0x0100), 0)
    assert good == checked(Desc(opcode=0, flags=DONE), 1)


def test_tag_names_the_command_index_though_rings_differ() -> None:
    """[DESC-022] [DESC-023] [RING-007] Submission and completion index part with SPLIT."""
    host = Host(mode=SPLIT_REWARD)
    host.submit(PAUSING, checked(Desc(opcode=0), 1), checked(Desc(opcode=0), 1))
    good, bad = host.poll("DONE")
    assert good == checked(Desc(opcode=0, flags=DONE), 0)
    assert unpack(bad).flags == CHECKED | ERROR | 0x0300


def test_stop_halts_and_later_lines_wait() -> None:
    """[LIFE-003] [OP-255] [RING-009] [REG-014] [REG-00C] Neither lost nor executed."""
    host = Host(cmd=3, done=3)
    host.submit(Desc(user_data=1), Desc(opcode=STOP), Desc(user_data=2), Desc(user_data=3))
    assert host.read("STATUS") == READY | HALTED
    assert (host.read("CMD_HEAD"), host.read("DONE_TAIL")) == (2, 2)
    before = host.device.memory.copy()
    host.write("IRQ_STATUS", IRQ_HALTED)
    host.ring()
    assert np.array_equal(host.device.memory, before)
    host.resume()
    assert [unpack(line).user_data for line in host.poll()] == [1, 0, 2, 3]
    assert host.read("STATUS") == READY | RUNNING
    assert host.read("IRQ_STATUS") & IRQ_HALTED == 0


def test_stops_in_a_row_want_a_resume_each() -> None:
    """[LIFE-003] [IRQ-001] Each halts and each is an event."""
    host = Host()
    host.submit(Desc(opcode=STOP), Desc(opcode=STOP))
    for head in (1, 2):
        assert (host.read("CMD_HEAD"), host.read("STATUS") & HALTED) == (head, HALTED)
        assert host.read("IRQ_STATUS") & IRQ_HALTED
        host.write("IRQ_STATUS", IRQ_HALTED)
        host.resume()
    assert host.read("STATUS") == READY | RUNNING


def test_stop_completes_before_it_halts() -> None:
    """[LIFE-003] [RING-005] Where there is no room for its completion, the device is not halted."""
    host = Host(cmd=2, done=1)
    host.submit(Desc(), Desc(), Desc(opcode=STOP))
    assert host.read("STATUS") == READY | RUNNING
    assert host.read("CMD_HEAD") == 2
    host.poll()
    assert host.read("STATUS") == READY | HALTED
    assert host.read("CMD_HEAD") == 3


@pytest.mark.parametrize("damage", [56, 40])
def test_refused_stop_does_not_halt(damage: int) -> None:
    """[ERR-011] [LIFE-003] A bad checksum, and an intact line of another index."""
    host = Host()
    line = checked(Desc(opcode=STOP), 1 if damage == 56 else 0)
    if damage == 40:
        line = line[:40] + bytes([line[40] ^ 1]) + line[41:]
    host.submit(line, Desc())
    assert host.read("STATUS") == READY | RUNNING
    assert host.read("CNT_ERRORS") == 1
    assert host.read("DONE_TAIL") == 2


@pytest.mark.parametrize("mode", [0, RESUME, SPLIT_REWARD, REQUIRE_CHECKED, PUBLISH_TAILS])
@pytest.mark.parametrize("log2", [(2, 2, 2), (0, 2, 2)])
def test_write_without_enable_locks_and_refuses_nothing(
    log2: tuple[int, int, int], mode: int
) -> None:
    """[LIFE-006] [LIFE-002] Whether the configuration is good or bad: that is ENABLE's business."""
    device = GoldenDevice(WINDOW)
    for name, base in (("CMD", 128), ("DONE", 512), ("REWARD", 1024)):
        device.write32(REG[f"{name}_BASE_LO"], base)
    device.write32(REG["RING_LOG2"], ring_log2(*log2))
    device.write32(REG["CTRL"], mode)
    assert (device.read32(REG["STATUS"]), device.read32(REG["IRQ_STATUS"])) == (READY, 0)
    device.write32(REG["RING_LOG2"], ring_log2(1, 1, 1))
    device.write32(REG["CTRL"], ENABLE | SPLIT_REWARD)
    assert device.read32(REG["RING_LOG2"]) == ring_log2(1, 1, 1)
    assert device.read32(REG["CTRL"]) == ENABLE | SPLIT_REWARD
    assert device.read32(REG["STATUS"]) == READY | RUNNING


def test_resume_without_halt_has_no_effect() -> None:
    """[LIFE-003] It is not kept for the next STOP."""
    host = Host()
    host.resume()
    host.submit(Desc(opcode=STOP), Desc())
    assert (host.read("STATUS"), host.read("CMD_HEAD")) == (READY | HALTED, 1)


def test_pause_keeps_everything_and_accepts_nothing() -> None:
    """[LIFE-007] [REG-00C] RUNNING clears; a published line waits; ENABLE resumes."""
    host = Host(cmd=3, done=1)
    host.submit(*[Desc(user_data=n) for n in range(4)])
    host.write("CTRL", 0)
    assert host.read("STATUS") == READY
    host.poll()
    assert (host.read("CMD_HEAD"), host.read("CMD_TAIL")) == (2, 4)
    assert host.read("RING_LOG2") == ring_log2(3, 1, 2)
    host.write("CTRL", ENABLE)
    assert host.read("CMD_HEAD") == 4
    assert [unpack(line).user_data for line in host.poll()] == [2, 3]


def test_pause_keeps_halted() -> None:
    """[LIFE-007] [LIFE-003] ENABLE is not RESUME, and RESUME is not ENABLE."""
    host = Host()
    host.submit(Desc(opcode=STOP), Desc())
    host.write("CTRL", 0)
    assert host.read("STATUS") == READY | HALTED
    host.write("CTRL", ENABLE)
    assert (host.read("STATUS"), host.read("CMD_HEAD")) == (READY | HALTED, 1)
    host.write("CTRL", RESUME)
    assert (host.read("STATUS"), host.read("CMD_HEAD")) == (READY, 1)
    host.write("CTRL", ENABLE)
    assert (host.read("STATUS"), host.read("CMD_HEAD")) == (READY | RUNNING, 2)


def test_reset_takes_the_state_after_reset() -> None:
    """[LIFE-004] [LIFE-001] [RING-012] From any state, and the write's other bits do nothing."""
    fresh = Host(first_index=U32 - 1).device
    fresh.write32(REG["CTRL"], RESET)
    expected = {name: fresh.read32(offset) for name, offset in REG.items()}
    assert expected["CMD_HEAD"] == U32 - 1
    assert expected["STATUS"] == READY

    host = Host(cmd=3, done=1, mode=SPLIT_REWARD | REQUIRE_CHECKED, first_index=U32 - 1)
    host.write("IRQ_MASK", 7)
    host.write("DOORBELL", 99)
    host.device._core.counters.tokens = 1 << 40  # more than a test can decode
    host.read("CNT_TOKENS_LO")
    stop = checked(Desc(opcode=STOP), U32 - 1)
    host.submit(stop, stop, stop, stop)
    host.resume()
    assert host.device.irq
    assert host.read("CNT_TOKENS_HI") == 1 << 8
    host.write("CTRL", RESET | ENABLE | RESUME | SPLIT_REWARD | REQUIRE_CHECKED)
    assert host.read("CNT_TOKENS_HI") == 0, "what was captured is gone too"
    assert {name: host.read(name) for name in REG} == expected
    assert not host.device.irq


def test_nothing_is_written_after_reset() -> None:
    """[LIFE-004] [DB-001] A completion that waited for room is abandoned, whole."""
    host = Host(cmd=2, done=1)
    host.submit(*[Desc(user_data=n) for n in range(4)])
    host.write("CTRL", RESET)
    before = host.device.memory.copy()
    host.write("DONE_HEAD", 2)
    host.write("CTRL", SPLIT_REWARD)
    assert np.array_equal(host.device.memory, before)
    assert (host.read("DONE_TAIL"), host.read("CMD_TAIL")) == (0, 0)


def test_device_works_again_after_reset() -> None:
    """[LIFE-004] [LIFE-001] With another configuration."""
    host = Host(cmd=2, done=2)
    host.submit(Desc(opcode=STOP))
    host.write("CTRL", RESET)
    host.log2["DONE"] = 1
    host.write("RING_LOG2", ring_log2(2, 1, 2))
    for name, base in host.base.items():
        host.write(f"{name}_BASE_LO", base)
    host.write("CTRL", ENABLE)
    host.tail = host.heads["DONE"] = 0
    host.submit(Desc(user_data=1), Desc(user_data=2), Desc(user_data=3))
    assert [unpack(line).user_data for line in host.poll()] == [1, 2]
    assert [unpack(line).user_data for line in host.poll()] == [3]


def test_bad_doorbell_is_not_a_halt() -> None:
    """[DB-002] [REG-00C] The device continues."""
    host = Host()
    host.write("DOORBELL", 77)
    host.submit(Desc())
    assert host.read("STATUS") == READY | RUNNING | BAD_DOORBELL
    assert host.read("DONE_TAIL") == 1
