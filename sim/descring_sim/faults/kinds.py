# SPDX-License-Identifier: Apache-2.0
"""The fault table: what can go wrong between a host and a device, many seeds of each kind.

A seed draws rings, modes, first index and the faults themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
from descring_model import line_bytes, seal
from descring_model.lines import index_range

from descring_sim.conform.lockstep import CTRL, LINE
from descring_sim.faults.lockstep_host import FaultError, FaultHost, FaultyDevice, Setting

Fault = Callable[[FaultHost], None]


def _doorbells(host: FaultHost, ring: Callable[[bool], None]) -> None:
    """Submit in small batches; ``ring(needed)`` is the doorbell of each."""
    host.enable()
    lines = host.stream(int(host.rng.integers(6, 30)))
    placed = 0
    while placed < len(lines):
        count = min(host.room(), len(lines) - placed, int(host.rng.integers(1, 6)))
        host.put(lines[placed : placed + count])
        placed += count
        ring(placed == len(lines) or host.room() == 0)
        host.take()
    host.drain(len(lines))


def _lost(host: FaultHost) -> None:
    def ring(needed: bool) -> None:
        if needed or host.rng.random() < 0.3:
            host.ring()
        else:
            host.counts["faults"] += 1

    _doorbells(host, ring)


def _duplicated(host: FaultHost) -> None:
    def ring(needed: bool) -> None:
        del needed
        host.ring()
        for _ in range(int(host.rng.integers(1, 4))):
            host.ring()
            host.counts["faults"] += 1

    _doorbells(host, ring)


def _backward(host: FaultHost) -> None:
    def ring(needed: bool) -> None:
        del needed
        host.ring()
        for step in host.rng.choice([1, 2, 5, 1 << 16, 1 << 30], 2).tolist():
            host.write("DOORBELL", host.tail - step)
            host.counts["faults"] += 1

    _doorbells(host, ring)


def _too_far(host: FaultHost) -> None:
    def ring(needed: bool) -> None:
        del needed
        slots = host.layout.slots("CMD")
        for step in host.rng.choice([1, 2, slots, 1 << 16, 1 << 30], 2).tolist():
            host.write("DOORBELL", host.tail + slots + step)
            host.counts["faults"] += 1
        host.ring()

    _doorbells(host, ring)


def _damaged(host: FaultHost, damage: Callable[[bytes, bytes], bytes]) -> None:
    """CHECKED lines, some of which reach the memory as ``damage(new, old)`` makes them."""
    host.enable(CTRL["REQUIRE_CHECKED"] * int(host.rng.random() < 0.7))
    total, placed = int(host.rng.integers(6, 30)), 0
    while placed < total:
        count = min(host.room(), total - placed, int(host.rng.integers(1, 9)))
        lines = seal(host.stream(count), index_range(host.tail, count), set_flag=True)
        for row in line_bytes(lines):
            new = row.tobytes()
            if host.rng.random() < 0.4:
                old = host.device.memory[host.layout.slot("CMD", host.tail)].tobytes()
                new = damage(new, old)
                host.counts["faults"] += 1
            host.place([new])
        placed += count
        host.ring()
        host.take()
        host.clear_and_resume()
    host.drain(total)


def _stale(host: FaultHost) -> None:
    _damaged(host, lambda new, old: old)


def _cut(number: int) -> int:
    """How many bytes of a torn line are new: seed by seed 1 to 63."""
    return 1 + number % (LINE - 1)


def _torn(host: FaultHost) -> None:
    cut = _cut(host.number)
    _damaged(host, lambda new, old: new[:cut] + old[cut:])


def _bits(number: int) -> int:
    """How many bits of a line are flipped: seed by seed 1 to 4."""
    return 1 + number % 4


def _bit_flips(host: FaultHost) -> None:
    def flip(new: bytes, old: bytes) -> bytes:
        del old
        line = bytearray(new)
        for place in host.rng.choice(8 * LINE, _bits(host.number), replace=False).tolist():
            line[place // 8] ^= 1 << place % 8
        return bytes(line)

    _damaged(host, flip)


def _bus_errors(host: FaultHost) -> None:
    host.enable()
    for _ in range(2):
        ring = ("CMD", *host.rings)[int(host.rng.integers(1 + len(host.rings)))]
        # At rest, so that nothing has been fetched that fails only now.
        host.settle()
        host.fail(host.layout.slot(ring, int(host.rng.integers(64))))
        host.counts["faults"] += 1
        goal = host.taken + host.room()
        host.put(host.stream(host.room(), "mixed"))
        host.ring()
        host.drain(goal)
        host.clear_bus_errors()


def _resets(host: FaultHost) -> None:
    for _ in range(2):
        host.enable()
        host.remember()
        host.put(host.stream(host.room()))
        host.ring()
        host.device.step(int(host.rng.integers(0, 60 + 2 * host.setting.latency)))
        host.counts["faults"] += 1
        host.soft_reset()
    host.enable()
    host.serve(host.stream(int(host.rng.integers(6, 30)), "mixed"))


def _never_drained(host: FaultHost) -> None:
    host.enable()
    lines = host.stream(int(host.rng.integers(40, 80)))
    placed = 0
    while count := min(host.room(), len(lines) - placed):
        host.put(lines[placed : placed + count])
        placed += count
        host.ring()
        host.settle()
    host.counts["faults"] += 1
    host.take()
    host.serve(lines[placed:])


KINDS: dict[str, Fault] = {
    "lost_doorbells": _lost,
    "duplicated_doorbells": _duplicated,
    "backward_doorbells": _backward,
    "too_far_doorbells": _too_far,
    "stale_lines": _stale,
    "torn_lines": _torn,
    "bit_flips": _bit_flips,
    "bus_errors": _bus_errors,
    "resets": _resets,
    "done_ring_never_drained": _never_drained,
}

PARTS: dict[str, Callable[[int], int]] = {"torn_lines": _cut, "bit_flips": _bits}
"""Kinds that are counted in parts too: the part of a seed, from its number."""

COUNTED_IN_PARTS = ("seeds", "faults", "refused")

Opener = Callable[[Setting, int], FaultyDevice]
"""A device out of reset for this setting, and what it draws for itself from a seed."""


def run_seed(kind: str, seed: int, number: int, opener: Opener, counts: Counter[str]) -> None:
    """Run seed ``number`` of ``kind`` on a device that ``opener`` gives; adds to ``counts``.

    Of a kind in :data:`PARTS`, :data:`COUNTED_IN_PARTS` are also added as ``part:name``.

    Raises:
        FaultError: the device and the golden device differ; the text names the seed.
    """
    rng = np.random.default_rng((seed, list(KINDS).index(kind), number))
    setting = Setting.draw(rng)
    device = opener(setting, int(rng.integers(1 << 32)))
    found: Counter[str] = Counter()
    host = FaultHost(device, setting, rng, number, found)
    try:
        KINDS[kind](host)
        host.finish()
    except FaultError as error:
        raise FaultError(f"{kind}, seed {seed}, number {number}, {setting}: {error}") from error
    counts.update(found)
    if kind in PARTS:
        for name in COUNTED_IN_PARTS:
            counts[f"{PARTS[kind](number)}:{name}"] += found[name]
