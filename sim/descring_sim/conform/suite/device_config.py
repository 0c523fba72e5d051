# SPDX-License-Identifier: Apache-2.0
"""Device tests of section 6: configuration, ENABLE, its refusal, and the lock."""

from __future__ import annotations

from descring_model import ring_log2

from descring_sim.conform.lockstep import CTRL, STATUS, Layout
from descring_sim.conform.suite.bench import Bench
from descring_sim.conform.suite.declare import MODES, device_test
from descring_sim.conform.suite.vector import U32


def _refused(bench: Bench, what: str, modes: int = 0) -> None:
    bench.write("CTRL", CTRL["ENABLE"] | modes)
    bench.check(f"{what}: CTRL.ENABLE", 0, bench.read("CTRL") & CTRL["ENABLE"])
    bench.check(f"{what}: STATUS.BAD_CONFIG", STATUS["BAD_CONFIG"], bench.read("STATUS") & 0x700)
    bench.quiet()
    bench.write("STATUS", STATUS["BAD_CONFIG"])
    bench.same("STATUS")


@device_test("LIFE-002", smoke=True, memory=16 << 20)  # in which 2^17 slots would fit
def sizes_out_of_range(bench: Bench) -> None:
    """Ring sizes of 2^0 and 2^17 slots refuse ENABLE, for each ring that is in use."""
    good = bench.plan(3, 3, 3)
    bench.configure(good)
    for sizes in ((0, 3, 3), (3, 0, 3), (17, 3, 3), (3, 17, 3), (255, 3, 3), (3, 128, 3)):
        bench.write("RING_LOG2", ring_log2(*sizes))
        _refused(bench, f"sizes {sizes}")
    bench.configure(good)
    bench.write("CTRL", CTRL["ENABLE"])
    bench.submit(bench.lines(3))
    bench.rest()


@device_test("LIFE-002", smoke=True)
def bases_not_aligned(bench: Bench) -> None:
    """A base that is not 64-byte aligned refuses ENABLE, and locks nothing."""
    good = bench.plan(2, 2, 2)
    for ring in range(2):
        for away in (1, 4, 32, 63):
            bases = list(good.bases)
            bases[ring] += away
            bench.configure(Layout((bases[0], bases[1], bases[2]), good.log2))
            _refused(bench, f"base {bases[ring]:#x}")
    bench.start()
    bench.submit(bench.lines(2))
    bench.rest()


@device_test("LIFE-002", smoke=True)
def rings_outside_of_memory(bench: Bench) -> None:
    """A ring that does not lie wholly in the window refuses ENABLE: by one line, and by far."""
    good = bench.plan(3, 3, 3)
    size = len(bench.device.memory)
    for ring in range(2):
        for base in (size - 7 * 64, size, U32 & ~63, 1 << 32, 1 << 63, (1 << 64) - 64):
            bases = list(good.bases)
            bases[ring] = base
            bench.configure(Layout((bases[0], bases[1], bases[2]), good.log2))
            _refused(bench, f"base {base:#x}")


@device_test("LIFE-002")
def last_place_in_memory(bench: Bench) -> None:
    """A ring whose last byte is the window's last is good."""
    good = bench.plan(3, 3, 3)
    last = len(bench.device.memory) - (64 << 3)
    bench.configure(Layout((good.bases[0], last, good.bases[2]), good.log2))
    bench.write("CTRL", CTRL["ENABLE"])
    bench.submit(bench.lines(8))
    bench.rest()


@device_test("LIFE-002", "split_reward")
def reward_ring_only_if_it_is_used(bench: Bench) -> None:
    """A bad reward ring matters with SPLIT_REWARD only; the refused write keeps its mode bits."""
    good = bench.plan(3, 3, 3)
    bench.configure(good)
    bench.write("RING_LOG2", ring_log2(3, 3, 0))
    _refused(bench, "reward ring of 1 slot", CTRL["SPLIT_REWARD"] | CTRL["REQUIRE_CHECKED"])
    bench.same("CTRL")
    bench.write("CTRL", CTRL["ENABLE"])
    bench.same("CTRL")
    bench.submit(bench.lines(4))
    bench.rest()


@device_test("LIFE-002", "publish_tails")
def indices_outside_of_memory(bench: Bench) -> None:
    """With PUBLISH_TAILS the 128 bytes before slot 0 must lie in the window too."""
    good = bench.plan(3, 3, 3)
    for ring, base in ((0, 0), (1, 64), (1, 0), (0, 64)):
        bases = list(good.bases)
        bases[ring] = base
        bench.configure(Layout((bases[0], bases[1], bases[2]), good.log2))
        _refused(bench, f"base {base:#x}", CTRL["PUBLISH_TAILS"])


@device_test("LIFE-006", smoke=True)
def configuration_is_locked(bench: Bench) -> None:
    """From the first good ENABLE on, sizes, bases and modes ignore writes, also while paused."""
    bench.start()
    for ctrl in (CTRL["ENABLE"], 0):
        bench.write("CTRL", ctrl)
        for name in ("RING_LOG2", "CMD_BASE_LO", "CMD_BASE_HI", "DONE_BASE_LO", "DONE_BASE_HI"):
            bench.write(name, U32)
            bench.same(name)
        bench.write("REWARD_BASE_LO", 0x1000)
        bench.write("REWARD_BASE_HI", 7)
        granted = bench.capabilities.tokens()
        modes = sum(CTRL[mode] for mode, token in MODES.items() if token in granted)
        bench.write("CTRL", ctrl | modes)
        bench.rest()
    bench.write("CTRL", CTRL["ENABLE"])
    bench.submit(bench.lines(5))
    bench.rest()


@device_test("LIFE-006", "split_reward", "require_checked")
def modes_of_the_enabling_write(bench: Bench) -> None:
    """Mode bits that come with ENABLE are in force, and later writes do not change them."""
    bench.start(4, 4, 4, "SPLIT_REWARD", "REQUIRE_CHECKED")
    bench.write("CTRL", CTRL["ENABLE"])
    bench.same("CTRL")
    bench.submit(bench.lines(10))
    bench.rest()


@device_test("LIFE-006")
def reset_unlocks(bench: Bench) -> None:
    """After RESET the configuration can be written again."""
    bench.start()
    bench.reset()
    bench.rest()
    bench.start(2, 4, 1)
    bench.submit(bench.lines(4))
    bench.rest()


@device_test("LIFE-004", smoke=True)
def reset_ignores_the_other_bits(bench: Bench) -> None:
    """The other bits of a write with RESET are ignored."""
    bench.start()
    bench.submit(bench.lines(2))
    bench.rest()
    bench.write("CTRL", U32)
    bench.forget()
    bench.rest()
