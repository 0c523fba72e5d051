# SPDX-License-Identifier: Apache-2.0
"""The state words of rollouts, for any number of threads [ROLL-001..ROLL-005]."""

from __future__ import annotations

from descring_rollouts.native import check, check_u32, check_unsigned, ffi, lib, state_name

SLOTS_MAX = 1 << 24


class SlabCache:
    """Free slots that one thread keeps for itself; most of its calls touch no shared list."""

    def __init__(self, slab: Slab) -> None:
        handle = lib.hr_slab_cache_open(slab.handle)
        if handle == ffi.NULL:
            raise MemoryError("no memory for a slab's cache")
        self.slab = slab
        # The slab must not go first.
        self.handle = ffi.gc(
            handle, lambda cache, _slab=slab.handle: lib.hr_slab_cache_close(cache)
        )


class Slab:
    """``slots`` state words; a handle is ``generation * 2^32 + slot``.

    A slab has either callers of :meth:`alloc` and :meth:`release`, or one that picks slots itself
    and takes them through :meth:`admit` and :meth:`move`.
    """

    def __init__(self, slots: int) -> None:
        """``ValueError`` unless ``slots`` is 1 to 2^24."""
        if not 1 <= check_u32("slots", slots) <= SLOTS_MAX:
            raise ValueError(f"slots: expected 1 to {SLOTS_MAX}, got {slots}")
        handle = lib.hr_slab_open(slots)
        if handle == ffi.NULL:
            raise MemoryError(f"no memory for {slots} slots")
        self.slots = slots
        self.handle = ffi.gc(handle, lib.hr_slab_close)
        self._out = ffi.new("uint64_t *")

    def word(self, slot: int) -> int:
        """The word of a slot as it is now; ``IndexError`` beyond the slab."""
        if not 0 <= slot < self.slots:
            raise IndexError(f"expected a slot below {self.slots}, got {slot}")
        return int(lib.hr_slab_word(self.handle, slot))

    def admit(self, slot: int) -> int:
        """FREE -> PREFILL_READY of a given slot: the handle; errors as :meth:`move`."""
        number = check_u32("slot", slot)
        handle = (self.word(number) >> 32 if number < self.slots else 1) << 32 | number
        self.move(handle, 0, 1)
        return handle

    def move(self, handle: int, start: int, end: int) -> None:
        """One edge, by one compare-and-swap; ``RolloutError`` as ROLL-005."""
        number = check_unsigned("handle", handle, 64)
        states = check_unsigned("start", start, 31), check_unsigned("end", end, 31)
        code = lib.hr_slab_move(self.handle, number, *states)
        check(code, f"{state_name(start)} -> {state_name(end)} of handle {handle:#x}")

    def cancel(self, handle: int) -> None:
        """From any live state to DONE, with CANCELLED; errors as :meth:`move` [ROLL-004]."""
        code = lib.hr_slab_cancel(self.handle, check_unsigned("handle", handle, 64))
        check(code, f"cancel of handle {handle:#x}")

    def fail(self, handle: int) -> None:
        """From any live state to DONE, with FAILED; errors as :meth:`move` [ROLL-004]."""
        code = lib.hr_slab_fail(self.handle, check_unsigned("handle", handle, 64))
        check(code, f"failure of handle {handle:#x}")

    def alloc(self, cache: SlabCache | None = None) -> int:
        """The handle of a free slot, now PREFILL_READY; ``RolloutError`` QUEUE_EMPTY if none is.

        With a cache a slot in another thread's cache is not free for this call.
        """
        code = lib.hr_slab_alloc(self.handle, cache.handle if cache else ffi.NULL, self._out)
        check(code, f"a free slot of {self.slots}")
        return int(self._out[0])

    def release(self, handle: int, cache: SlabCache | None = None) -> None:
        """DONE -> FREE of what :meth:`alloc` gave; errors as :meth:`move`."""
        number = check_unsigned("handle", handle, 64)
        code = lib.hr_slab_release(self.handle, cache.handle if cache else ffi.NULL, number)
        check(code, f"DONE -> FREE of handle {handle:#x}")
