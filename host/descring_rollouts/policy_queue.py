# SPDX-License-Identifier: Apache-2.0
"""The native queue in the order of a policy [SCHED-001..SCHED-004]."""

from __future__ import annotations

from descring_model.rollouts import contract

from descring_rollouts.native import check, check_u32, ffi, lib


class PolicyQueue:
    """Entries 0 to ``room - 1``; each is in it or not. One thread at a time."""

    def __init__(self, policy: int, overtake: int, *, room: int, groups: int = 1) -> None:
        """An empty queue.

        Args:
            policy: a number of SCHED-002.
            overtake: the bound K of SCHED-004; 2^32 - 1 is none.
            room: entries, 1 to 2^32 - 2.
            groups: groups are numbered 0 to ``groups - 1``.

        Raises:
            ValueError: an argument out of range.
        """
        if not 0 <= policy < len(contract.POLICIES):
            raise ValueError(f"policy: expected 0 to {len(contract.POLICIES) - 1}, got {policy}")
        if not 1 <= room < contract.NONE:
            raise ValueError(f"room: expected 1 to 2^32 - 2, got {room}")
        if check_u32("groups", groups) == 0:
            raise ValueError("groups: expected at least 1, got 0")
        handle = lib.hr_policy_open(policy, check_u32("overtake", overtake), room, groups)
        if handle == ffi.NULL:
            raise MemoryError(f"no memory for a queue of {room} entries")
        self.handle = ffi.gc(handle, lib.hr_policy_close)
        self._out = ffi.new("uint32_t *")

    def push(self, entry: int, *, group: int = 0, remaining: int = 0, rank: int = 0) -> None:
        """Add ``entry``, with what the policy ranks it by.

        Raises:
            RolloutError: BAD_SLOT, no such entry or group; QUEUE_FULL, it is in already.
        """
        if not -(1 << 63) <= rank < 1 << 63:
            raise ValueError(f"rank: expected a signed 64-bit number, got {rank}")
        code = lib.hr_policy_push(
            self.handle,
            check_u32("entry", entry),
            check_u32("group", group),
            check_u32("remaining", remaining),
            rank,
        )
        check(code, f"entry {entry} of group {group} to be outside the queue")

    def next(self) -> int | None:
        """The entry that the next pop returns, or None [SCHED-003]."""
        entry = int(lib.hr_policy_next(self.handle))
        return None if entry == contract.NONE else entry

    def pop(self) -> int:
        """Remove and return the next entry; ``RolloutError`` QUEUE_EMPTY."""
        check(lib.hr_policy_pop(self.handle, self._out), "an entry to pop")
        return int(self._out[0])

    def remove(self, entry: int) -> None:
        """Withdraw an entry; ``RolloutError`` QUEUE_EMPTY if it is not there."""
        check(
            lib.hr_policy_remove(self.handle, check_u32("entry", entry)),
            f"entry {entry} in the queue",
        )

    def overtakes_of_oldest(self) -> int:
        """Younger entries that left since the oldest one was pushed [SCHED-004]; 0 without one."""
        return int(lib.hr_policy_overtakes(self.handle))

    def __contains__(self, entry: int) -> bool:
        return bool(lib.hr_policy_contains(self.handle, check_u32("entry", entry)))

    def __len__(self) -> int:
        return int(lib.hr_policy_count(self.handle))
