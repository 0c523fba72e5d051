# SPDX-License-Identifier: Apache-2.0
"""Device tests of section 5: sizes, slots, ownership, full rings, and the order of both rings."""

from __future__ import annotations

from descring_sim.conform.lockstep import REG
from descring_sim.conform.suite.bench import Bench
from descring_sim.conform.suite.declare import device_test
from descring_sim.conform.suite.vector import U32

_LOOK_S = 0.5
"""How long a tail is watched for the posting of a few lines."""


def _rounds(bench: Bench, rounds: int, *rules: str) -> None:
    """Fill the command ring, take all, and again."""
    slots = bench.layout.slots("CMD")
    for _ in range(rounds):
        bench.submit(bench.lines(slots))
        bench.rest(*rules)
        while bench.golden.read32(REG["CMD_HEAD"]) != bench.tail:
            _take_all(bench)
            bench.rest(*rules)
        _take_all(bench)


def _take_all(bench: Bench) -> None:
    bench.take()
    bench.take(ring="REWARD")


@device_test("RING-001", smoke=True)
def all_small_sizes(bench: Bench) -> None:
    """Rings of 2 to 32 slots, each filled to the last and several times round."""
    for log2 in (1, 2, 3, 5):
        bench.start(log2, log2, log2)
        _rounds(bench, 3)
        bench.reset()
        bench.rest()


@device_test("RING-001")
def sizes_that_differ(bench: Bench) -> None:
    """Three rings of three sizes do not share a mask."""
    for sizes in ((1, 4, 2), (4, 1, 3), (3, 2, 1), (2, 6, 4)):
        bench.start(*sizes)
        _rounds(bench, 3)
        bench.reset()
        bench.rest()


def _fill_reward_ring(bench: Bench, log2: int, more: int) -> None:
    """Submit as many pauses as the reward ring has slots, and ``more`` that must wait."""
    bench.start(6, 1, log2, "SPLIT_REWARD")
    boundaries = [32 * (k + 1) for k in range((1 << log2) + more)]
    bench.submit(bench.draw.decodes([at - 1 for at in boundaries], [at + 9 for at in boundaries]))
    bench.rest()


def _rewards_are(bench: Bench, count: int) -> None:
    posted = bench.read("REWARD_TAIL") - bench.first_index & U32
    bench.check("completions in the reward ring", count, posted)


@device_test("RING-001", "split_reward", "opcode:DECODE", smoke=True)
def reward_rings_to_the_last_slot(bench: Bench) -> None:
    """A reward ring of 2 to 32 slots holds as many completions."""
    for log2 in range(1, 6):
        _fill_reward_ring(bench, log2, 0)
        _rewards_are(bench, 1 << log2)
        bench.reset()


@device_test("RING-005", "split_reward", "opcode:DECODE", smoke=True)
def full_reward_ring(bench: Bench) -> None:
    """A reward ring that is not drained stalls the device; drained in steps, all arrive."""
    _fill_reward_ring(bench, 2, 5)
    for taken in range(6):
        _rewards_are(bench, 4 + min(taken, 5))
        bench.take(1, ring="REWARD")
        bench.rest()


@device_test("RING-001", memory=16 << 20)
def greatest_size(bench: Bench) -> None:
    """Rings of 65536 slots: the doorbell takes the whole ring at once."""
    bench.start(16, 16, 1)
    bench.submit(bench.lines(300))
    bench.rest()
    bench.ring(bench.tail + 65537)
    bench.rest(memory=False)


@device_test("RING-002", "first_index", smoke=True, first_index=U32 - 9)
def wrap_of_all_indices(bench: Bench) -> None:
    """All indices go through 2^32, with rings full and empty on the way."""
    bench.start(3, 3, 3)
    _rounds(bench, 4)


@device_test("RING-002", "first_index", "split_reward", "opcode:DECODE", first_index=U32 - 6)
def wrap_of_two_rings(bench: Bench) -> None:
    """Both completion rings go through 2^32, each at its own count."""
    bench.start(4, 2, 2, "SPLIT_REWARD")
    _rounds(bench, 4)


@device_test("RING-003", smoke=True)
def ownership(bench: Bench) -> None:
    """The device writes no command slot, and its own indices are not the host's to write."""
    bench.start(2, 2, 2)
    for _ in range(3):
        bench.submit(bench.lines(4))
        bench.rest()
        for name in ("CMD_HEAD", "CMD_TAIL", "DONE_TAIL", "REWARD_TAIL"):
            bench.write(name, bench.tail + 1)
        bench.rest()
        bench.take()


@device_test("RING-004", smoke=True)
def nothing_but_slots(bench: Bench) -> None:
    """BASE is slot 0: the device writes completion slots and no byte around them."""
    bench.start(2, 3, 1)
    _rounds(bench, 4)


@device_test("RING-004", smoke=True)
def lines_before_tails(bench: Bench) -> None:
    """Whenever the tail is read, every completion before it is in memory."""
    for _ in range(4):
        bench.start(4, 4, 4)
        bench.submit(bench.lines(16, [bench.draw.echo_opcode()]))
        seen = 0
        for _ in bench.watching(_LOOK_S):
            posted = bench.read("DONE_TAIL") - bench.first_index & U32
            for slot in range(seen, min(posted, 16)):
                at = bench.layout.slot("DONE", bench.first_index + slot)
                right = bench.device.memory[at].tobytes() == bench.golden.memory[at].tobytes()
                bench.check(f"completion {slot} lies before the tail and in memory", 1, int(right))
            seen = max(seen, posted)
            if seen >= 16:
                break
        bench.rest()
        bench.reset()


@device_test("RING-013", "publish_tails", smoke=True)
def indices_in_memory(bench: Bench) -> None:
    """With PUBLISH_TAILS the words hold the done ring's tail and the command ring's head."""
    bench.start(4, 3, 3, "PUBLISH_TAILS")
    bench.rest()
    _rounds(bench, 4)


@device_test("RING-013", "publish_tails", "split_reward", "opcode:DECODE")
def indices_of_both_rings(bench: Bench) -> None:
    """With SPLIT_REWARD the reward ring's tail is stored too, through the wrap as any index."""
    bench.start(4, 2, 2, "PUBLISH_TAILS", "SPLIT_REWARD")
    _rounds(bench, 4)


@device_test("RING-005", smoke=True)
def never_drained_then_drained(bench: Bench) -> None:
    """A done ring that is not drained stalls the device; drained in steps, all arrive in order."""
    bench.start(4, 1, 1)
    bench.submit(bench.lines(16, [bench.draw.echo_opcode()]))
    bench.rest()
    bench.quiet()
    for _ in range(14):
        bench.take(1)
        bench.rest()


@device_test("RING-006", smoke=True)
def one_completion_each(bench: Bench) -> None:
    """As many completions as descriptors, none twice: batches of every size."""
    bench.start(4, 4, 4)
    for count in (*range(1, 17), 16, 16):
        bench.submit(bench.lines(count))
        bench.rest()
        _take_all(bench)


@device_test("RING-007", "opcode:DECODE", smoke=True)
def order_of_long_and_short(bench: Bench) -> None:
    """Lines of 1 and of 32 tokens by turns are posted in the order of submission."""
    bench.start(5, 5, 5)
    for _ in range(4):
        lines = bench.draw.decodes([32 * k for k in range(32)], [32 * k + 1 for k in range(32)])
        lines["max_tokens"][::3] += 90
        bench.submit(lines)
        bench.rest()
        bench.take()


@device_test("RING-008", "split_reward", "opcode:DECODE", smoke=True)
def reward_ring_holds_back_done_ring(bench: Bench) -> None:
    """A full reward ring holds back later completions of the done ring, and the other way."""
    bench.start(4, 4, 1, "SPLIT_REWARD")
    lines = bench.draw.decodes([5] * 12, [9] * 12)
    lines["max_tokens"][:5] = 99
    bench.submit(lines)
    bench.rest()
    bench.quiet()
    for _ in range(6):
        bench.take(1, "REWARD")
        bench.rest()
    bench.take()
    bench.rest()
    bench.reset()
    bench.rest()
    bench.start(4, 1, 4, "SPLIT_REWARD")
    lines["max_tokens"][:5], lines["max_tokens"][5:] = 8, 77
    bench.submit(lines)
    bench.rest()
    for _ in range(4):
        bench.take(1)
        bench.rest()


@device_test("RING-009", smoke=True)
def head_counts_what_is_posted(bench: Bench) -> None:
    """CMD_HEAD at rest is the oldest line without a completion, whatever has been read ahead."""
    bench.start(4, 2, 2)
    bench.submit(bench.lines(16, [bench.draw.echo_opcode()]))
    for _ in range(7):
        bench.rest("RING-009", memory=False, registers=("CMD_HEAD",))
        bench.take(2)
    bench.rest()


@device_test("RING-009")
def slots_are_free_once_posted(bench: Bench) -> None:
    """A command slot can be written again once its completion is posted: reuse without a copy."""
    bench.start(1, 3, 3)
    for _ in range(8):
        bench.submit(bench.lines(1))
        bench.rest("RING-009")
        bench.submit(bench.lines(1))
        bench.rest("RING-009")
        bench.take()


@device_test("RING-010", smoke=True)
def illegal_heads(bench: Bench) -> None:
    """A head behind the present one or beyond the tail is ignored."""
    bench.start(4, 3, 3)
    bench.submit(bench.lines(6, [bench.draw.echo_opcode()]))
    bench.rest()
    bench.take(3)
    bench.same("DONE_HEAD")
    head, tail = bench.heads["DONE"], bench.golden.read32(REG["DONE_TAIL"])
    for value in (head - 1, head - 3, tail + 1, tail + 8, head + (1 << 31), head - (1 << 31)):
        bench.write("DONE_HEAD", value & U32)
        bench.same("DONE_HEAD", "RING-010")
    bench.write("REWARD_HEAD", bench.first_index + 1)
    bench.same("REWARD_HEAD", "RING-010")
    bench.rest()
    bench.take()
    bench.same("DONE_HEAD", "RING-010")


@device_test("RING-010", "first_index", first_index=U32 - 3)
def heads_through_the_wrap(bench: Bench) -> None:
    """Heads are compared by difference on both sides of 2^32."""
    bench.start(3, 3, 3)
    for _ in range(4):
        bench.submit(bench.lines(4, [bench.draw.echo_opcode()]))
        bench.rest()
        bench.write("DONE_HEAD", bench.heads["DONE"] - 1 & U32)
        bench.take(2)
        bench.same("DONE_HEAD", "RING-010")
        bench.take()
        bench.same("DONE_HEAD", "RING-010")


@device_test("RING-012", "first_index", first_index=0x1234_5678)
def indices_start_where_told(bench: Bench) -> None:
    """All indices have the given value after reset, and after CTRL.RESET."""
    names = ("CMD_HEAD", "CMD_TAIL", "DONE_TAIL", "DONE_HEAD", "REWARD_TAIL", "REWARD_HEAD")
    for _ in range(2):
        for name in names:
            bench.check(name, bench.first_index, bench.read(name))
        bench.start()
        bench.submit(bench.lines(5))
        bench.rest()
        bench.reset()
        bench.rest()
