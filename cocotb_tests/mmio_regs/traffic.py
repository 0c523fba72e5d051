# SPDX-License-Identifier: Apache-2.0
"""Constrained random register accesses: near the edges where the rules of the registers turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from descring_model import contract
from descring_vip.register_port import Access

from mmio_regs.register_reference import ENABLE, RESET, U32
from mmio_regs.tb_mmio_regs import ADDRESSES, OFFSET, RegistersTestbench

_NAMES = list(OFFSET)
_LINE = contract.DESC_BYTES


def random_accesses(tb: RegistersTestbench, count: int) -> Iterator[Access]:
    """``count`` accesses, each drawn when it is about to be made, from what the pins show then."""
    draw = tb.rng
    for _ in range(count):
        kind = draw.random()
        if kind < 0.35:
            yield Access(OFFSET[_NAMES[draw.integers(len(_NAMES))]])
        elif kind < 0.4:
            yield Access(int(draw.integers(ADDRESSES)))
        elif kind < 0.43:
            yield Access(int(draw.integers(ADDRESSES)) | 1, int(draw.integers(U32)))
        else:
            names = list(_VALUES)
            name = names[draw.choice(len(names), p=_WEIGHTS)]
            yield Access(OFFSET[name], _VALUES[name](tb) % U32)


def _control(tb: RegistersTestbench) -> int:
    value = int(tb.rng.integers(64)) & ~RESET
    if tb.rng.random() < 0.6:
        value |= ENABLE
    return value | (RESET if tb.rng.random() < 0.12 else 0)


def _doorbell(tb: RegistersTestbench) -> int:
    size = 1 << min(tb.max_log2[0], 2)
    head, tail = tb.core.value("cmd_head_i"), tb.tail()
    origin = (tail, head, head + size, head + (1 << tb.max_log2[0]))[tb.rng.choice(4, p=_ORIGINS)]
    return origin + int(tb.rng.integers(-1, 3))


def _head(ring: str) -> Callable[[RegistersTestbench], int]:
    def near(tb: RegistersTestbench) -> int:
        tail = tb.core.value(f"{ring}_tail_i")
        return tail + int(tb.rng.integers(-3, 2))

    return near


def _sizes(tb: RegistersTestbench) -> int:
    value = int(tb.rng.integers(1 << 8)) << 24
    for number, greatest in enumerate(tb.max_log2):
        size = int(tb.rng.integers(1, min(greatest, 4) + 1))
        if tb.rng.random() < 0.2:
            size = (0, greatest, greatest + 1, 255)[tb.rng.integers(4)]
        value |= size << 8 * number
    return value


def _base_low(tb: RegistersTestbench) -> int:
    value = int(tb.rng.integers(0, 60)) * _LINE
    return value | (1 << int(tb.rng.integers(6)) if tb.rng.random() < 0.1 else 0)


def _base_high(tb: RegistersTestbench) -> int:
    return int(tb.rng.integers(U32)) if tb.rng.random() < 0.1 else 0


def _few_bits(tb: RegistersTestbench) -> int:
    return int(tb.rng.integers(U32)) & int(tb.rng.integers(U32))


_ORIGINS = (0.55, 0.2, 0.15, 0.1)
_BASES = {f"{ring}_BASE_LO": _base_low for ring in ("CMD", "DONE", "REWARD")} | {
    f"{ring}_BASE_HI": _base_high for ring in ("CMD", "DONE", "REWARD")
}
_VALUES: dict[str, Callable[[RegistersTestbench], int]] = {
    "CTRL": _control,
    "DOORBELL": _doorbell,
    "DONE_HEAD": _head("done"),
    "REWARD_HEAD": _head("reward"),
    "RING_LOG2": _sizes,
    "STATUS": _few_bits,
    "IRQ_STATUS": _few_bits,
    "IRQ_MASK": _few_bits,
    **_BASES,
}
_SHARES = {"CTRL": 5.0, "DOORBELL": 12.0, "RING_LOG2": 2.0} | dict.fromkeys(_BASES, 0.4)
_TOTAL = sum(_SHARES.get(name, 2.0) for name in _VALUES)
_WEIGHTS = [_SHARES.get(name, 2.0) / _TOTAL for name in _VALUES]
