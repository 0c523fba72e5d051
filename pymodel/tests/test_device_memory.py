# SPDX-License-Identifier: Apache-2.0
"""The memory window: accesses that fail, and what a device takes for memory."""

import numpy as np
import pytest
from descring_model import GoldenDevice
from model_support import (
    BUS_ERROR,
    ENABLE,
    HALTED,
    IRQ_COMPLETION,
    IRQ_ERROR,
    IRQ_HALTED,
    PUBLISH_TAILS,
    READY,
    RESUME,
    RUNNING,
    SPLIT_REWARD,
    U32,
    Host,
)
from scalar_reference import STOP, Desc, unpack

WINDOW = 4096
PAUSING = Desc(max_tokens=64)


@pytest.mark.parametrize("ring", ["CMD", "DONE", "REWARD"])
@pytest.mark.parametrize("bad_byte", [0, 63])
def test_memory_error_halts_at_the_descriptor_it_concerned(ring: str, bad_byte: int) -> None:
    """[LIFE-005] [RING-009] [REG-00C] Nothing is skipped, before or after."""
    host = Host(cmd=3, done=3, reward=3, mode=SPLIT_REWARD)
    desc = PAUSING if ring == "REWARD" else Desc()
    bad = host.slot(ring, 2).start + bad_byte
    host.device.inject_bus_error(bad, bad + 1)
    host.submit(*[desc._replace(user_data=n) for n in range(5)])
    assert host.read("STATUS") == READY | HALTED | BUS_ERROR
    assert host.read("IRQ_STATUS") & (IRQ_HALTED | IRQ_ERROR) == IRQ_HALTED | IRQ_ERROR
    assert (host.read("CMD_HEAD"), host.read("CNT_DESCRIPTORS")) == (2, 2)
    if ring != "CMD":
        assert not host.device.memory[host.slot(ring, 2)].any(), "no half of a completion"

    host.write("STATUS", BUS_ERROR)
    host.write("CTRL", ENABLE | RESUME | SPLIT_REWARD)
    assert host.read("STATUS") == READY | HALTED | BUS_ERROR, "it fails again"
    assert host.read("CMD_HEAD") == 2

    host.device.clear_bus_errors()
    host.write("STATUS", BUS_ERROR)
    host.resume()
    assert host.read("STATUS") == READY | RUNNING
    answered = host.poll("REWARD" if ring == "REWARD" else "DONE")
    assert [unpack(line).user_data for line in answered] == [0, 1, 2, 3, 4]


def test_memory_error_of_the_other_ring_keeps_the_order() -> None:
    """[LIFE-005] [RING-008] What follows the failed completion is not posted elsewhere."""
    host = Host(cmd=3, done=3, reward=3, mode=SPLIT_REWARD)
    where = host.slot("REWARD", 0)
    host.device.inject_bus_error(where.start, where.stop)
    host.submit(Desc(), PAUSING, Desc())
    assert (host.read("DONE_TAIL"), host.read("REWARD_TAIL"), host.read("CMD_HEAD")) == (1, 0, 1)


def test_memory_error_behind_a_stop_is_not_met_before_resume() -> None:
    """[LIFE-005] [LIFE-003] The descriptor that an error concerns is the oldest."""
    host = Host()
    where = host.slot("CMD", 1)
    host.device.inject_bus_error(where.start, where.stop)
    host.submit(Desc(opcode=STOP), Desc())
    assert host.read("STATUS") == READY | HALTED
    host.resume()
    assert host.read("STATUS") == READY | HALTED | BUS_ERROR
    assert host.read("CMD_HEAD") == 1


def test_unreadable_line_halts_though_the_done_ring_is_full() -> None:
    """[LIFE-005] Reading precedes posting, so room does not matter."""
    host = Host(cmd=2, done=1)
    where = host.slot("CMD", 2)
    host.device.inject_bus_error(where.start, where.stop)
    host.submit(Desc(), Desc(), Desc())
    assert host.read("STATUS") == READY | HALTED | BUS_ERROR


def test_memory_beside_a_failing_range_works() -> None:
    """[LIFE-005] Only accesses that touch it fail."""
    host = Host()
    where = host.slot("DONE", 0)
    host.device.inject_bus_error(where.start - 64, where.start)
    host.device.inject_bus_error(where.stop, where.stop + 64)
    host.place([Desc().pack()])
    host.ring()
    assert host.read("DONE_TAIL") == 1


@pytest.mark.parametrize("first_index", [0, U32 - 2])
def test_indices_are_published_in_memory(first_index: int) -> None:
    """[RING-013] [RING-004] Both tails and the head, in a word each, and nothing beside them."""
    host = Host(cmd=3, done=3, reward=3, mode=SPLIT_REWARD | PUBLISH_TAILS, first_index=first_index)
    assert not host.device.memory.any(), "nothing is stored before a completion is posted"
    host.device.memory[: host.base["CMD"]] = 0xEE
    host.submit(Desc(), PAUSING, Desc())
    index = {"done": 2, "reward": 1, "head": 3}
    where = {name: (first_index + count) % U32 for name, count in index.items()}
    assert host.word("DONE", "tail") == where["done"] == host.read("DONE_TAIL")
    assert host.word("REWARD", "tail") == where["reward"] == host.read("REWARD_TAIL")
    assert host.word("CMD", "head") == where["head"] == host.read("CMD_HEAD")
    before = host.device.memory[: host.base["CMD"]].tobytes()
    start = host.base["CMD"] - 128
    word = where["head"].to_bytes(4, "little")
    assert before == b"\xee" * start + word + b"\xee" * (len(before) - start - 4)


def test_reward_tail_is_published_with_split_reward_only() -> None:
    """[RING-013] [RING-008] Without it the reward ring owns no memory."""
    host = Host(mode=PUBLISH_TAILS)
    where = slice(host.base["REWARD"] - 128, host.base["REWARD"])
    host.device.memory[where] = 0xEE
    host.submit(PAUSING)
    assert (host.device.memory[where] == 0xEE).all()
    assert host.word("DONE", "tail") == 1


def test_indices_are_not_published_unasked() -> None:
    """[RING-013] This device leaves the words alone without the bit."""
    host = Host(mode=SPLIT_REWARD)
    host.submit(Desc(), PAUSING)
    words = [host.word(*which) for which in (("DONE", "tail"), ("REWARD", "tail"), ("CMD", "head"))]
    assert words == [0, 0, 0]


@pytest.mark.parametrize(("ring", "offset"), [("DONE", 64), ("REWARD", 64), ("CMD", 128)])
@pytest.mark.parametrize("bad_byte", [0, 3])
def test_memory_error_of_a_word_halts_and_resume_stores_it(
    ring: str, offset: int, bad_byte: int
) -> None:
    """[RING-013] [LIFE-005] Posted is posted; the event comes with the words, later lines wait."""
    host = Host(cmd=3, done=3, reward=3, mode=SPLIT_REWARD | PUBLISH_TAILS)
    bad = host.base[ring] - offset + bad_byte
    host.device.inject_bus_error(bad, bad + 1)
    host.submit(Desc(), PAUSING)
    assert host.read("STATUS") == READY | HALTED | BUS_ERROR
    assert host.read("IRQ_STATUS") == IRQ_HALTED | IRQ_ERROR
    assert (host.read("CMD_HEAD"), host.word("CMD", "head")) == (2, 0)
    host.submit(Desc())
    assert host.read("CMD_HEAD") == 2
    host.resume()
    assert host.read("CMD_HEAD") == 2, "it fails again"

    host.device.clear_bus_errors()
    host.resume()
    assert host.read("IRQ_STATUS") == IRQ_HALTED | IRQ_ERROR | IRQ_COMPLETION
    words = [host.word(*which) for which in (("DONE", "tail"), ("REWARD", "tail"), ("CMD", "head"))]
    assert words == [2, 1, 3]


def test_words_beside_a_failing_range_are_stored() -> None:
    """[RING-013] Only four bytes of the line are touched."""
    host = Host(mode=PUBLISH_TAILS)
    word = host.base["DONE"] - 64
    host.device.inject_bus_error(word - 1, word)
    host.device.inject_bus_error(word + 4, word + 64)
    host.submit(Desc())
    assert host.word("DONE", "tail") == 1


def test_repaired_write_is_an_error_without_a_halt() -> None:
    """[LIFE-005] [IRQ-001] The device continues."""
    host = Host()
    host.device.repaired_write()
    assert host.read("STATUS") == READY | RUNNING | BUS_ERROR
    assert host.read("IRQ_STATUS") == IRQ_ERROR
    host.submit(Desc())
    assert host.read("CMD_HEAD") == 1


@pytest.mark.parametrize(("start", "stop"), [(0, 0), (5, 4), (-1, 4), (0, WINDOW + 1)])
def test_failing_range_must_be_inside_the_memory(start: int, stop: int) -> None:
    """The message reports the actual value."""
    with pytest.raises(ValueError, match="expected a range inside the 4096 bytes"):
        GoldenDevice(WINDOW).inject_bus_error(start, stop)


@pytest.mark.parametrize(
    "memory",
    [-1, "4096", np.zeros(8, np.int8), np.zeros((2, 64), np.uint8), np.zeros(128, np.uint8)[::2]],
)
def test_memory_must_be_bytes(memory: object) -> None:
    """A device writes into it: no copy is made of anything."""
    with pytest.raises(ValueError, match="memory"):
        GoldenDevice(memory)  # type: ignore[arg-type]


def test_read_only_memory_is_refused() -> None:
    """Completions could not be posted."""
    memory = np.frombuffer(bytes(64), dtype=np.uint8)
    with pytest.raises(ValueError, match="writable"):
        GoldenDevice(memory)


def test_device_works_in_the_memory_it_was_given() -> None:
    """[DESC-015] [LIFE-002] No copy is made."""
    memory = np.zeros(WINDOW, dtype=np.uint8)
    assert GoldenDevice(memory).memory is memory
