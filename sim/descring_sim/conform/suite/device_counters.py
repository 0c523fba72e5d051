# SPDX-License-Identifier: Apache-2.0
"""Device tests of counters: past 8, 10 and 16 bits, and with a high word that is not 0."""

from __future__ import annotations

from descring_model import contract

from descring_sim.conform.suite.bench import RULE_OF, Bench
from descring_sim.conform.suite.declare import device_test
from descring_sim.conform.suite.kinds import UNCHECKED, UNKNOWN, Kind, lines_of
from descring_sim.conform.suite.vector import U32

_COUNTERS = ("CNT_DESCRIPTORS", "CNT_ERRORS", "CNT_TOKENS_LO", "CNT_TOKENS_HI")
_LONGEST_S = 60.0
"""For a device that makes 2^32 tokens one by one."""
_BIG = 16 << 20
_MOST_TOKENS = 32
"""Of one DECODE."""
_PATIENT_S = 30.0
"""How long 2^32 tokens may take at 32 a line; it is not claimed of a slower implementation."""


def _same_counters(bench: Bench) -> None:
    for name in _COUNTERS:
        bench.same(name, RULE_OF[name], "CNT-001")


def _count_to(bench: Bench, counts: tuple[int, ...], log2: int) -> None:
    """Refuse lines until the counters have passed each of ``counts``."""
    bench.start(log2, log2, 1)
    refused = Kind(UNKNOWN, "done", UNCHECKED)
    done = 0
    for count in counts:
        while done < count:
            now = min(count - done, 1 << log2)
            bench.submit(lines_of(bench.draw, [refused] * now, first_index=bench.tail))
            bench.rest(memory=False, registers=("CMD_HEAD",))
            bench.take()
            done += now
        _same_counters(bench)
    bench.rest()


@device_test("CNT-001", smoke=True)
def counters_past_eight_bits(bench: Bench) -> None:
    """Descriptors and errors past 255, one by one around it."""
    _count_to(bench, (254, 255, 256, 257, 300), 8)


@device_test("CNT-001")
def counters_past_ten_bits(bench: Bench) -> None:
    """Descriptors and errors past 1023."""
    _count_to(bench, (1022, 1023, 1024, 1040), 10)


@device_test("CNT-001", "exhaustive", smoke=True, memory=_BIG)
def counters_past_sixteen_bits(bench: Bench) -> None:
    """Descriptors and errors past 1023, 4095, 65 535 and 2^18."""
    counts = (1023, 1024, 1030, 2048, 4096, 32768, 65535, 65536, 65537, 1 << 17, (1 << 18) + 5)
    _count_to(bench, counts, 16)


def _bad_doorbells(bench: Bench, counts: tuple[int, ...]) -> None:
    bench.start()
    done = 0
    for count in counts:
        for place in range(count - done):
            bench.write("DOORBELL", bench.tail - 1 - place % 7)
        done = count
        bench.same("CNT_BAD_DOORBELLS", "REG-064", "DB-002")
    bench.rest()


@device_test("REG-064", smoke=True)
def past_eight_bits(bench: Bench) -> None:
    """CNT_BAD_DOORBELLS past 255."""
    _bad_doorbells(bench, (1, 2, 255, 256, 258))


@device_test("REG-064")
def past_ten_bits(bench: Bench) -> None:
    """CNT_BAD_DOORBELLS past 1023."""
    _bad_doorbells(bench, (1023, 1024, 1026))


@device_test("REG-064", "exhaustive", smoke=True)
def past_sixteen_bits(bench: Bench) -> None:
    """CNT_BAD_DOORBELLS past 65 535."""
    _bad_doorbells(bench, (2048, 32769, 65535, 65536, 65540))


def _rollouts(bench: Bench, tokens: list[int]) -> None:
    lines = bench.draw.with_lengths("ROLLOUT", [0] * len(tokens), tokens)
    bench.submit(lines)
    bench.settle(least_s=_LONGEST_S)


@device_test("REG-054", "exhaustive", "opcode:ROLLOUT", smoke=True)
def tokens_past_every_byte(bench: Bench) -> None:
    """CNT_TOKENS past 2^8, 2^10, 2^16, 2^20 and 2^24."""
    bench.start()
    for bits in (8, 10, 16, 20, 24):
        _rollouts(bench, [1 << bits, 1])
        _same_counters(bench)
        bench.take()
    bench.rest()


@device_test("REG-058", "exhaustive", "opcode:DECODE", smoke=True, memory=_BIG)
def high_word_by_decodes(bench: Bench) -> None:
    """CNT_TOKENS past 2^32 by DECODE: over the carry, or by 2^27 lines if there is no ROLLOUT."""
    if "ROLLOUT" in bench.capabilities.opcodes:
        bench.start()
        _rollouts(bench, [U32 - 20])
        for _ in range(2):
            bench.submit(bench.draw.with_lengths("DECODE", [0] * 3, [9, 5, 8]))
            bench.settle()
            _same_counters(bench)
            bench.take()
        bench.rest()
        return
    slots = 1 << contract.RING_LOG2_MAX
    bench.start(16, 16, 1)
    bench.put(bench.draw.with_lengths("DECODE", [0] * slots, [_MOST_TOKENS] * slots))
    ring = slots * _MOST_TOKENS
    counted = 0
    # The last step is read with the high word that the one before it captured, then with its own.
    for count in (ring, 1 << 24, 1 << 28, (1 << 32) - ring, 1 << 32):
        bench.repeat_ring((count - counted) // ring, _PATIENT_S)
        _read(bench, "HI", counted >> 32)
        _read(bench, "LO", count & U32)
        _read(bench, "HI", count >> 32)
        counted = count
    lines = counted // _MOST_TOKENS
    bench.check("CNT_DESCRIPTORS", lines, bench.read("CNT_DESCRIPTORS"), "CNT-001")


def _read(bench: Bench, word: str, value: int) -> None:
    name = f"CNT_TOKENS_{word}"
    bench.check(name, value, bench.read(name), RULE_OF[name], "CNT-001")


@device_test("REG-058", "exhaustive", "opcode:ROLLOUT", smoke=True)
def high_word_of_tokens(bench: Bench) -> None:
    """CNT_TOKENS past 2^32 and 2^34; HI is what LO captured, whatever is counted after that."""
    bench.start(4, 4, 4)
    for most in ([U32], [2], [U32, U32, U32, U32, 5]):
        _rollouts(bench, most)
        bench.same("CNT_TOKENS_HI", "REG-058", "CNT-001")  # as LO was last read
        bench.same("CNT_TOKENS_LO", "REG-054", "CNT-001")
        _rollouts(bench, [U32])
        bench.same("CNT_TOKENS_HI", "REG-058", "CNT-001")
        bench.same("CNT_TOKENS_LO", "REG-054", "CNT-001")
        bench.same("CNT_TOKENS_HI", "REG-058", "CNT-001")
        bench.take()
    bench.reset()
    for name in ("CNT_TOKENS_HI", "CNT_TOKENS_LO", "CNT_TOKENS_HI"):
        bench.check(f"{name} after CTRL.RESET", contract.REGISTER[name].reset, bench.read(name))
