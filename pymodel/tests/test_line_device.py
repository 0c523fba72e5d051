# SPDX-License-Identifier: Apache-2.0
"""The device with its rings on chip: lines through ports."""

import re
from itertools import chain

import numpy as np
import pytest
from descring_model import (
    DESC_DTYPE,
    GoldenCore,
    GoldenLineDevice,
    complete,
    goes_to_reward,
    line_bytes,
    streams,
)
from hypothesis import given
from hypothesis import strategies as st
from model_support import (
    BAD_CONFIG,
    ENABLE,
    HALTED,
    READY,
    REG,
    REQUIRE_CHECKED,
    RESET,
    RESUME,
    RUNNING,
    SPLIT_REWARD,
    U32,
    checked,
    first_indices,
    generated,
    lines_of,
    packed,
)
from scalar_reference import STOP, Desc

PAUSING = Desc(max_tokens=64)


class LineHost:
    """Reads and writes registers of a device with small rings by name."""

    def __init__(self, ring: int = 4, done: int = 4, reward: int = 4, first_index: int = 0) -> None:
        self.device = GoldenLineDevice(
            ring_depth=ring, done_depth=done, reward_depth=reward, first_index=first_index
        )

    def read(self, register: str) -> int:
        """Read a register by name."""
        return self.device.read32(REG[register])

    def write(self, register: str, value: int) -> None:
        """Write a register by name."""
        self.device.write32(REG[register], value)


def users(host: LineHost) -> list[int]:
    """The user_data of the lines in the done ring."""
    return [int(line["user_data"]) for line in host.device.peek_done()]


def test_sizes_reset_to_those_that_were_built() -> None:
    """[REG-02C] [LIFE-001] log2 of each ring's depth."""
    host = LineHost(16, 2, 65536)
    assert host.read("RING_LOG2") == 0x100104
    host.write("RING_LOG2", 0x010101)
    host.write("CTRL", RESET)
    assert host.read("RING_LOG2") == 0x100104


@pytest.mark.parametrize(
    ("log2", "mode", "good"),
    [
        (0x020202, SPLIT_REWARD, True),
        (0x010101, SPLIT_REWARD, True),
        (0x020203, 0, False),
        (0x020302, 0, False),
        (0x030202, 0, True),
        (0x030202, SPLIT_REWARD, False),
        (0x020200, 0, False),
        (0x020002, 0, False),
        (0x000202, 0, True),
        (0x000202, SPLIT_REWARD, False),
    ],
)
def test_sizes_above_those_that_were_built_are_refused(log2: int, mode: int, good: bool) -> None:
    """[LIFE-002] [REG-02C] Smaller ones are not; bases mean nothing on chip."""
    host = LineHost()
    host.write("DONE_BASE_LO", 1)
    host.write("RING_LOG2", log2)
    host.write("CTRL", ENABLE | mode)
    assert host.read("STATUS") == (READY | RUNNING if good else READY | BAD_CONFIG)


def test_smaller_size_is_in_force() -> None:
    """[RING-005] [RING-001] [DB-002] In the done ring and for the doorbell."""
    host = LineHost(ring=8, done=8)
    host.write("RING_LOG2", 0x020102)
    host.write("CTRL", ENABLE)
    host.device.write_line(lines_of(*[Desc(user_data=n) for n in range(8)]))
    host.write("DOORBELL", 5)
    assert host.read("CMD_TAIL") == 0
    host.write("DOORBELL", 4)
    assert users(host) == [0, 1]
    assert host.read("CMD_HEAD") == 2


@pytest.mark.parametrize("first_index", [0, U32 - 2])
def test_doorbell_may_run_ahead_of_the_lines(first_index: int) -> None:
    """[RING-011] [RING-012] A descriptor runs once it is both written and published."""
    host = LineHost(first_index=first_index)
    host.write("CTRL", ENABLE)
    host.write("DOORBELL", (first_index + 3) % U32)
    assert host.read("CMD_TAIL") == (first_index + 3) % U32
    for number in range(4):
        host.device.write_line(checked(Desc(opcode=0, user_data=number), first_index + number))
        assert users(host) == list(range(min(number + 1, 3)))
    host.write("DOORBELL", (first_index + 4) % U32)
    assert users(host) == [0, 1, 2, 3]
    assert host.read("CNT_ERRORS") == 0, "line n is the line of index n"


def test_line_without_a_doorbell_is_not_run() -> None:
    """[DB-001] [RING-011] Nor one that was written while the device was disabled."""
    host = LineHost()
    host.device.write_line(Desc().pack())
    host.write("CTRL", ENABLE)
    assert users(host) == []
    host.write("DOORBELL", 1)
    assert users(host) == [0]


def test_taking_lines_moves_the_head() -> None:
    """[RING-010] [RING-003] [REG-020] The register counts lines taken and ignores writes."""
    host = LineHost(ring=8, done=2, first_index=U32 - 1)
    host.write("CTRL", ENABLE)
    host.device.write_line(lines_of(*[Desc(user_data=n) for n in range(5)]))
    host.write("DOORBELL", 4)
    host.write("DONE_HEAD", 0)
    assert host.read("DONE_HEAD") == U32 - 1
    assert users(host) == [0, 1]
    assert host.device.take_done()["user_data"].tolist() == [0]
    assert host.read("DONE_HEAD") == 0
    assert users(host) == [1, 2]
    assert host.device.take_done(2)["user_data"].tolist() == [1, 2]
    assert (host.read("DONE_HEAD"), host.read("DONE_TAIL")) == (2, 4)


def test_taking_reward_lines_moves_their_head() -> None:
    """[RING-010] [RING-008] [REG-028] The other ring is not touched."""
    host = LineHost()
    host.write("CTRL", ENABLE | SPLIT_REWARD)
    host.device.write_line(lines_of(PAUSING, Desc(), PAUSING))
    host.write("DOORBELL", 3)
    host.write("REWARD_HEAD", 2)
    assert (host.read("REWARD_HEAD"), host.read("REWARD_TAIL")) == (0, 2)
    assert len(host.device.peek_reward()) == 2
    assert host.device.take_reward(2)["seq_len"].tolist() == [32, 32]
    assert (host.read("REWARD_HEAD"), host.read("DONE_HEAD")) == (2, 0)


@pytest.mark.parametrize("count", [3, -1])
def test_taking_more_than_is_posted_takes_nothing(count: int) -> None:
    """[RING-003] The message reports how many there are."""
    host = LineHost()
    host.write("CTRL", ENABLE)
    host.device.write_line(lines_of(Desc(), Desc()))
    host.write("DOORBELL", 2)
    with pytest.raises(ValueError, match=f"expected 0 to 2 lines .* got {count}; head 0, tail 2"):
        host.device.take_done(count)
    assert len(host.device.take_done(2)) == 2


def test_reset_empties_every_ring() -> None:
    """[LIFE-004] [LIFE-001] [RING-011] The next line is the line of the first index again."""
    host = LineHost(first_index=9)
    host.write("CTRL", ENABLE)
    host.device.write_line(lines_of(Desc(), Desc(opcode=STOP), Desc(), Desc()))
    host.write("DOORBELL", 12)
    host.write("CTRL", RESET)
    assert len(host.device.peek_done()) == 0
    assert host.device.line_room == 4
    host.write("CTRL", ENABLE)
    host.device.write_line(checked(Desc(user_data=5), 9))
    host.write("DOORBELL", 10)
    assert users(host) == [5]
    assert host.read("CNT_ERRORS") == 0


def test_room_for_lines_is_freed_by_their_completions() -> None:
    """[RING-009] [RING-005] Published or not, a line that is not completed holds its slot."""
    host = LineHost(ring=4, done=2)
    host.write("CTRL", ENABLE)
    host.device.write_line(lines_of(*[Desc()] * 4))
    assert host.device.line_room == 0
    host.write("DOORBELL", 3)
    assert host.device.line_room == 2
    host.device.take_done()
    assert host.device.line_room == 3


def test_lines_are_taken_in_every_form() -> None:
    """[DESC-015] Bytes, an element, an array of lines or of bytes: the same 64 bytes."""
    host = LineHost(ring=8, done=8)
    lines = streams.generate(4, seed=4, profile="nop")
    host.write("CTRL", ENABLE)
    host.write("DOORBELL", 4)
    host.device.write_line(lines[0])
    host.device.write_line(lines[1].tobytes())
    host.device.write_line(lines[2:3])
    host.device.write_line(line_bytes(lines[3:]))
    assert packed(host.device.peek_done()) == packed(complete(lines))


@pytest.mark.parametrize("bad", [b"", bytes(63), bytes(128), np.zeros(64, np.uint8), 5])
def test_lines_of_another_size_are_refused(bad: bytes) -> None:
    """The message reports the actual value."""
    with pytest.raises(ValueError, match="expected"):
        LineHost().device.write_line(bad)


@pytest.mark.parametrize("depth", [0, 1, 3, 6, 1 << 17, -4])
@pytest.mark.parametrize("name", ["ring_depth", "done_depth", "reward_depth"])
def test_depths_are_powers_of_two(name: str, depth: int) -> None:
    """[RING-001] From 2 to 65536."""
    depths = {"ring_depth": 4, "done_depth": 4, "reward_depth": 4} | {name: depth}
    text = f"{name} must be a power of two from 2 to 65536, got {depth}"
    with pytest.raises(ValueError, match=re.escape(text)):
        GoldenLineDevice(**depths)


def test_closed_device_takes_and_gives_no_lines() -> None:
    """It raises an error."""
    device = LineHost().device
    device.close()
    with pytest.raises(RuntimeError, match="closed"):
        device.write_line(Desc().pack())
    with pytest.raises(RuntimeError, match="closed"):
        device.take_done(0)


@given(
    st.data(),
    first_indices,
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 3),
    st.sampled_from([0, SPLIT_REWARD, REQUIRE_CHECKED, SPLIT_REWARD | REQUIRE_CHECKED]),
)
def test_any_interleaving_gives_the_bytes_of_complete(
    data: st.DataObject, first_index: int, ring: int, done: int, reward: int, mode: int
) -> None:
    """[RING-007] [RING-006] [RING-011] [RING-010] [RING-005] [LIFE-003] Lines, bells and takes."""
    lines = lines_of(*data.draw(generated(first_index, max_size=24)))
    host = LineHost(1 << ring, 1 << done, 1 << reward, first_index)
    host.write("CTRL", ENABLE | mode)
    split = bool(mode & SPLIT_REWARD)
    expected = complete(
        lines,
        first_index=first_index,
        require_checked=bool(mode & REQUIRE_CHECKED),
        split_reward=split,
    )
    to_reward = goes_to_reward(expected) & split
    written = published = 0
    done_lines, reward_lines = np.empty(0, DESC_DTYPE), np.empty(0, DESC_DTYPE)
    # A drawn script, and then the plain loop of a host until everything is completed.
    script = data.draw(st.lists(st.sampled_from(["write", "ring", "take"]), max_size=80))
    drawn = ((act, False) for act in script)
    plain = ((act, True) for act in ["write", "ring", "take"] * 100)
    for act, drain in chain(drawn, plain):
        if len(done_lines) + len(reward_lines) == len(lines):
            break
        head = (host.read("CMD_HEAD") - first_index) % U32
        if act == "write":
            room = min(host.device.line_room, len(lines) - written)
            count = room if drain else data.draw(st.integers(0, room))
            host.device.write_line(lines[written : written + count])
            written += count
        elif act == "ring":
            limit = min(len(lines), head + (1 << ring))
            published = limit if drain else data.draw(st.integers(published, limit))
            host.write("DOORBELL", (first_index + published) % U32)
        else:
            posted = len(host.device.peek_done())
            got = host.device.take_done(posted if drain else data.draw(st.integers(0, posted)))
            done_lines = np.concatenate([done_lines, got])
            reward_lines = np.concatenate(
                [reward_lines, host.device.take_reward(len(host.device.peek_reward()))]
            )
            if host.read("STATUS") & HALTED:
                host.write("CTRL", ENABLE | RESUME | mode)
    assert packed(done_lines) == packed(expected[~to_reward])
    assert packed(reward_lines) == packed(expected[to_reward])
    assert host.read("CNT_BAD_DOORBELLS") == 0
    assert (host.read("CMD_HEAD") - first_index) % U32 == len(lines)


def test_core_runs_without_registers() -> None:
    """[RING-012] [DB-001] Enabled and published by hand, as a testbench of the core does."""
    port = GoldenLineDevice(ring_depth=4, done_depth=2, reward_depth=2, first_index=7)._port
    core = GoldenCore(port, done_log2=1, reward_log2=1, first_index=7)
    port.written.append(Desc(user_data=3).pack())
    core.enabled = True
    core.run()
    assert core.head == 7
    core.publish(8)
    core.run()
    assert core.head == 8
    assert core.take_events().completion
    assert not core.take_events().completion
