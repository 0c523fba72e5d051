# SPDX-License-Identifier: Apache-2.0
"""Rings in memory: slots, indices, room, and the doorbell."""

import numpy as np
import pytest
from model_support import BAD_DOORBELL, ENABLE, IRQ_ERROR, SPLIT_REWARD, U32, Host, checked
from scalar_reference import DONE, NEEDS_REWARD, STOP, Desc, complete, unpack

PAUSING = Desc(max_tokens=64)
SHORT = Desc(max_tokens=5)


def users(lines: list[bytes]) -> list[int]:
    """The user_data of every line."""
    return [unpack(line).user_data for line in lines]


@pytest.mark.parametrize("log2", [1, 2, 5, 16])
def test_every_slot_of_a_ring_is_usable(log2: int) -> None:
    """[RING-001] [RING-002] [RING-006] A full ring of 2^k lines, k from 1 to 16."""
    host = Host(cmd=log2, done=log2, first_index=U32 - 1)
    count = 1 << log2
    host.submit(*[Desc(opcode=0, user_data=n) for n in range(count)])
    assert host.read("CMD_TAIL") == count - 1
    assert users(host.poll()) == list(range(count))


def test_slot_is_the_index_modulo_the_size() -> None:
    """[RING-001] [REG-030] [REG-038] Lines are read and completions written at their slots."""
    host = Host(cmd=2, done=1, first_index=U32 - 3)
    memory = host.device.memory
    for number in range(8):
        slot = host.base["CMD"] + 64 * ((U32 - 3 + number) % 4)
        line = Desc(user_data=100 + number, max_tokens=1)
        memory[slot : slot + 64] = np.frombuffer(line.pack(), dtype=np.uint8)
        host.write("DOORBELL", (U32 - 3 + number + 1) % U32)
        slot = host.base["DONE"] + 64 * ((U32 - 3 + number) % 2)
        done = line._replace(seq_len=1, flags=DONE).pack()
        assert memory[slot : slot + 64].tobytes() == done
        host.write("DONE_HEAD", (U32 - 3 + number + 1) % U32)


def test_nothing_outside_the_completion_slots_is_written() -> None:
    """[RING-003] [RING-005] [DESC-014] The command ring and the memory around stay as they are."""
    host = Host(cmd=3, done=3, reward=3)
    host.device.memory[:] = 0xA5
    host.place([Desc(user_data=n).pack() for n in range(5)])
    before = host.device.memory.copy()
    host.ring()
    changed = np.flatnonzero(before != host.device.memory)
    start = host.base["DONE"]
    assert changed.min() >= start
    assert changed.max() < start + 5 * 64


def test_base_is_a_64_bit_address() -> None:
    """[REG-034] [REG-03C] [REG-044] [LIFE-002] The high words count: such a ring is not inside."""
    for name in ("CMD", "DONE", "REWARD"):
        host = Host(mode=SPLIT_REWARD)
        host.write("CTRL", 2)
        for ring, base in host.base.items():
            host.write(f"{ring}_BASE_LO", base)
        host.write("RING_LOG2", 0x020202)
        host.write(f"{name}_BASE_HI", 1)
        host.write("CTRL", ENABLE | SPLIT_REWARD)
        assert host.read("CTRL") == SPLIT_REWARD
        host.write(f"{name}_BASE_HI", 0)
        host.write("CTRL", ENABLE | SPLIT_REWARD)
        assert host.read("CTRL") == ENABLE | SPLIT_REWARD


def test_line_without_a_doorbell_is_not_run() -> None:
    """[DB-001] [DB-003] It waits, and the next doorbell covers it."""
    host = Host()
    host.place([SHORT.pack()])
    host.write("IRQ_MASK", 0)
    assert (host.read("CMD_HEAD"), host.read("DONE_TAIL")) == (0, 0)
    host.place([SHORT.pack()])
    host.ring()
    assert (host.read("CMD_HEAD"), host.read("DONE_TAIL")) == (2, 2)


def test_doorbell_publishes_only_what_is_below_it() -> None:
    """[DB-001] [REG-018] Of three lines, the first."""
    host = Host()
    host.place([SHORT.pack()] * 3)
    host.write("DOORBELL", 1)
    assert (host.read("CMD_HEAD"), host.read("CMD_TAIL"), host.read("DONE_TAIL")) == (1, 1, 1)


def test_repeated_doorbell_is_harmless() -> None:
    """[DB-003] [RING-006] No line runs twice, and nothing is an error."""
    host = Host()
    host.submit(SHORT)
    host.ring()
    host.ring()
    assert host.read("DONE_TAIL") == 1
    assert not host.read("STATUS") & BAD_DOORBELL


@pytest.mark.parametrize("first_index", [0, U32 - 2, U32 - 5, 1 << 31])
def test_doorbell_may_fill_the_ring_and_no_more(first_index: int) -> None:
    """[DB-002] [RING-002] 2^k by difference, wherever the indices are."""
    host = Host(cmd=2, done=1, first_index=first_index)
    host.place([SHORT.pack()] * 4)
    host.ring()  # two are completed, two wait for room: the ring holds two
    head = (first_index + 2) % U32
    assert host.read("CMD_HEAD") == head
    host.write("DOORBELL", (head + 5) % U32)
    assert host.read("CMD_TAIL") == (first_index + 4) % U32
    assert host.read("STATUS") & BAD_DOORBELL
    assert host.read("CNT_BAD_DOORBELLS") == 1
    host.write("STATUS", BAD_DOORBELL)
    host.write("DOORBELL", (head + 4) % U32)
    assert host.read("CMD_TAIL") == (head + 4) % U32
    assert not host.read("STATUS") & BAD_DOORBELL


@pytest.mark.parametrize("first_index", [0, U32 - 2, 1 << 31])
@pytest.mark.parametrize("back", [1, 2, 3, 1 << 31])
def test_doorbell_behind_the_accepted_tail_is_ignored(first_index: int, back: int) -> None:
    """[DB-002] [RING-002] Behind the tail but not the head, at the head, and behind both."""
    host = Host(cmd=2, done=1, first_index=first_index)
    host.submit(*[SHORT] * 4)
    tail = host.read("CMD_TAIL")
    host.write("DOORBELL", (tail - back) % U32)
    assert host.read("CMD_TAIL") == tail
    assert host.read("STATUS") & BAD_DOORBELL
    assert host.read("IRQ_STATUS") & IRQ_ERROR
    host.poll()
    assert len(host.poll()) == 2, "nothing is lost"


def test_doorbell_while_disabled_is_ignored() -> None:
    """[DB-006] But for one that repeats the accepted tail."""
    host = Host()
    host.submit(SHORT)
    host.write("CTRL", 0)
    host.place([SHORT.pack()])
    host.ring()
    assert (host.read("CMD_TAIL"), host.read("CNT_BAD_DOORBELLS")) == (1, 1)
    assert host.read("STATUS") & BAD_DOORBELL
    host.write("DOORBELL", 1)
    assert host.read("CNT_BAD_DOORBELLS") == 1


def test_doorbell_while_halted_is_accepted() -> None:
    """[DB-006] [LIFE-003] The lines wait for RESUME."""
    host = Host()
    host.submit(Desc(opcode=STOP))
    host.submit(SHORT)
    assert (host.read("CMD_TAIL"), host.read("CMD_HEAD")) == (2, 1)
    assert not host.read("STATUS") & BAD_DOORBELL
    host.resume()
    assert host.read("CMD_HEAD") == 2


def test_full_done_ring_holds_back_and_loses_nothing() -> None:
    """[RING-005] [RING-009] [REG-014] [REG-01C] CMD_HEAD names the oldest that was not posted."""
    host = Host(cmd=3, done=1)
    host.submit(*[Desc(user_data=n) for n in range(6)])
    assert (host.read("CMD_HEAD"), host.read("DONE_TAIL")) == (2, 2)
    assert users(host.poll(limit=1)) == [0]
    assert (host.read("CMD_HEAD"), host.read("DONE_TAIL")) == (3, 3)
    assert users(host.poll()) == [1, 2]
    assert users(host.poll()) == [3, 4]
    assert users(host.poll()) == [5]


def test_full_reward_ring_holds_back_the_done_ring() -> None:
    """[RING-008] [REG-024] [REG-028] A later completion never overtakes, also of the other ring."""
    host = Host(cmd=3, done=3, reward=1, mode=SPLIT_REWARD)
    host.submit(PAUSING, SHORT, PAUSING, PAUSING, SHORT)
    assert (host.read("REWARD_TAIL"), host.read("DONE_TAIL"), host.read("CMD_HEAD")) == (2, 1, 3)
    host.poll("REWARD", 1)
    assert (host.read("REWARD_TAIL"), host.read("DONE_TAIL"), host.read("CMD_HEAD")) == (3, 2, 5)


def test_full_done_ring_holds_back_the_reward_ring() -> None:
    """[RING-008] And the other way round."""
    host = Host(cmd=3, done=1, reward=3, mode=SPLIT_REWARD)
    host.submit(SHORT, SHORT, SHORT, PAUSING)
    assert (host.read("REWARD_TAIL"), host.read("DONE_TAIL"), host.read("CMD_HEAD")) == (0, 2, 2)
    host.poll("DONE", 1)
    assert (host.read("REWARD_TAIL"), host.read("DONE_TAIL"), host.read("CMD_HEAD")) == (1, 3, 4)


def test_split_sends_pauses_to_the_reward_ring() -> None:
    """[RING-008] [DESC-023] [REG-040] Each ring in submission order, with tags of its own."""
    host = Host(cmd=3, done=3, reward=3, mode=SPLIT_REWARD, first_index=U32 - 2)
    descs = [PAUSING, SHORT, PAUSING, SHORT, SHORT, PAUSING]
    lines = [checked(desc._replace(user_data=n), U32 - 2 + n) for n, desc in enumerate(descs)]
    host.submit(*lines)
    expected = complete(lines, first_index=U32 - 2, split_reward=True)
    assert host.poll("REWARD") == [expected[n] for n in (0, 2, 5)]
    assert host.poll("DONE") == [expected[n] for n in (1, 3, 4)]


def test_split_rings_count_on_over_doorbells() -> None:
    """[RING-008] [DESC-023] An index of a ring counts that ring's completions, not the lines."""
    host = Host(mode=SPLIT_REWARD)
    lines = [checked(desc, n) for n, desc in enumerate([PAUSING, SHORT, PAUSING, SHORT])]
    for line in lines:
        host.submit(line)
    expected = complete(lines, split_reward=True)
    assert host.poll("DONE") == [expected[1], expected[3]]
    assert host.poll("REWARD") == [expected[0], expected[2]]


def test_without_split_everything_goes_to_the_done_ring() -> None:
    """[RING-008] [RING-007] In submission order."""
    host = Host()
    host.submit(PAUSING, SHORT)
    assert [unpack(line).flags for line in host.poll()] == [NEEDS_REWARD, DONE]
    assert host.read("REWARD_TAIL") == 0


@pytest.mark.parametrize("ring", ["DONE", "REWARD"])
@pytest.mark.parametrize("first_index", [0, U32 - 1, U32 - 2])
def test_head_moves_forward_up_to_the_tail_only(ring: str, first_index: int) -> None:
    """[RING-010] [RING-002] [REG-020] [REG-028] By difference, through 2^32 too."""
    host = Host(mode=SPLIT_REWARD, first_index=first_index)
    host.submit(*[PAUSING if ring == "REWARD" else SHORT] * 3)

    def write(step: int) -> int:
        host.write(f"{ring}_HEAD", (first_index + step) % U32)
        return (host.read(f"{ring}_HEAD") - first_index) % U32

    assert [write(step) for step in (4, 1, 0, 1, 5, 3, 2, 4)] == [0, 1, 1, 1, 1, 3, 3, 3]


def test_other_ring_is_not_touched_by_a_head() -> None:
    """[RING-010] [RING-003] Each head frees its own ring."""
    host = Host(cmd=3, done=1, reward=1, mode=SPLIT_REWARD)
    host.submit(PAUSING, PAUSING, PAUSING, SHORT)
    host.write("DONE_HEAD", 2)
    assert (host.read("DONE_HEAD"), host.read("REWARD_TAIL")) == (0, 2)
    host.write("REWARD_HEAD", 2)
    assert (host.read("REWARD_TAIL"), host.read("DONE_TAIL")) == (3, 1)


def test_command_slots_are_free_once_answered() -> None:
    """[RING-009] [RING-003] A ring of two carries any number of lines."""
    host = Host(cmd=1, done=1)
    for number in range(0, 20, 2):
        host.submit(Desc(user_data=number), Desc(user_data=number + 1))
        assert users(host.poll()) == [number, number + 1]
    assert host.read("CMD_HEAD") == 20


def test_one_ring_of_65536_is_answered_in_one_doorbell() -> None:
    """[RING-001] [RING-006] More than a batch at once."""
    host = Host(cmd=16, done=16)
    host.place([Desc(user_data=n).pack() for n in range(10_000)])
    host.ring()
    assert users(host.poll()) == list(range(10_000))
