# SPDX-License-Identifier: Apache-2.0
"""The slab: one word a rollout, and the transitions of its state [ROLL-001..ROLL-005]."""

from __future__ import annotations

from descring_model.rollouts import contract
from descring_model.rollouts.errors import RolloutError

_GENERATIONS = 1 << 32
_STATE_MASK = 0xFF
_CANCELLED = 1 << 8
_FAILED = 1 << 9
_FREE = contract.STATE["FREE"]
_DONE = contract.STATE["DONE"]
_EDGES = frozenset((contract.STATE[a], contract.STATE[b]) for a, b in contract.EDGES)
_LIVE = frozenset(contract.STATE[name] for name in contract.LIVE)
_NAMES = {item.value: item.name for item in contract.STATES}


def successor(generation: int) -> int:
    """The generation after ``generation``; 0 is left out [ROLL-001]."""
    return generation + 1 if generation + 1 < _GENERATIONS else 1


def check_generation(kind: str, handle: int, current: int, in_use: bool) -> None:
    """Raise REUSED, FREED or STALE unless ``handle`` has the generation ``current``.

    Args:
        kind: what the handle names, for the text.
        handle: generation in its upper half, place in its lower.
        current: the place's generation now.
        in_use: whether something live is there now.
    """
    generation, place = handle >> 32, handle & contract.NONE
    if generation == current:
        return
    text = f"expected generation {current} of {kind} {place}, got {generation}"
    if in_use and (current - generation) % _GENERATIONS < _GENERATIONS // 2:
        raise RolloutError("REUSED", f"{text}: it has been freed and given out again")
    if not in_use and current == successor(generation):
        raise RolloutError("FREED", f"{text}: it has been freed already")
    raise RolloutError("STALE", text)


class Slab:
    """``slots`` slot words.

    Attributes:
        words: one 64-bit word a slot.
    """

    def __init__(self, slots: int) -> None:
        self.words = [1 << 32 | _FREE] * slots

    def state(self, handle: int) -> int:
        """The state of the rollout behind ``handle``; errors as :meth:`move`."""
        return self._word(handle) & _STATE_MASK

    def flags(self, slot: int) -> int:
        """Bits 15:8 of the slot's word."""
        return self.words[slot] >> 8 & 0xFF

    def admit(self, slot: int) -> int:
        """FREE -> PREFILL_READY; return the handle of the new rollout."""
        if not 0 <= slot < len(self.words):
            raise self._bad_slot(slot)
        handle = (self.words[slot] >> 32) << 32 | slot
        self.move(handle, _FREE, contract.STATE["PREFILL_READY"])
        return handle

    def move(self, handle: int, start: int, end: int) -> None:
        """Move the rollout from state ``start`` to ``end`` [ROLL-003].

        Raises:
            RolloutError: as ROLL-005; nothing changed.
        """
        word = self._word(handle)
        if (start, end) not in _EDGES:
            raise RolloutError(
                "BAD_EDGE",
                f"expected an edge of ROLL-003, got {_NAMES.get(start, start)} -> "
                f"{_NAMES.get(end, end)}",
            )
        if word & _STATE_MASK != start:
            raise RolloutError(
                "WRONG_STATE",
                f"expected slot {handle & contract.NONE} in {_NAMES[start]}, got "
                f"{_NAMES.get(word & _STATE_MASK, word & _STATE_MASK)}",
            )
        if end == _FREE:
            word = successor(word >> 32) << 32
        self._write(handle, word & ~_STATE_MASK | end)

    def cancel(self, handle: int) -> None:
        """Move a live rollout to DONE as cancelled [ROLL-004]; errors as :meth:`move`."""
        self._end(handle, _CANCELLED)

    def fail(self, handle: int) -> None:
        """Move a live rollout to DONE as failed [ROLL-004]; errors as :meth:`move`."""
        self._end(handle, _FAILED)

    def _end(self, handle: int, flag: int) -> None:
        word = self._word(handle)
        state = word & _STATE_MASK
        if state not in _LIVE:
            raise RolloutError(
                "BAD_EDGE", f"expected a live rollout to end, got one in {_NAMES[state]}"
            )
        self._write(handle, word & ~_STATE_MASK | _DONE | flag)

    def _bad_slot(self, slot: int) -> RolloutError:
        return RolloutError("BAD_SLOT", f"expected a slot below {len(self.words)}, got {slot}")

    def _word(self, handle: int) -> int:
        slot = handle & contract.NONE
        if slot >= len(self.words):
            raise self._bad_slot(slot)
        word = self.words[slot]
        check_generation("slot", handle, word >> 32, word & _STATE_MASK != _FREE)
        return word

    def _write(self, handle: int, word: int) -> None:
        self.words[handle & contract.NONE] = word
