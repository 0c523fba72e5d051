# SPDX-License-Identifier: Apache-2.0
"""Helpers of the golden model's tests: lines from descriptors, Hypothesis strategies, a host."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from descring_model import DESC_DTYPE, GoldenDevice, Lines, contract, line_bytes, ring_log2, streams
from hypothesis import strategies as st
from scalar_reference import CHECKED, Desc, sealed, unpack

REG = contract.OFFSET
U32 = 1 << 32

ENABLE, RESET, RESUME, SPLIT_REWARD, REQUIRE_CHECKED, PUBLISH_TAILS = 1, 2, 4, 8, 16, 32
READY, RUNNING, HALTED = 1, 2, 4
BAD_CONFIG, BAD_DOORBELL, BUS_ERROR = 0x100, 0x200, 0x400
IRQ_COMPLETION, IRQ_HALTED, IRQ_ERROR = 1, 2, 4


def lines_of(*parts: Desc | bytes) -> Lines:
    """Descriptors and packed lines as an array."""
    packed = b"".join(part if isinstance(part, bytes) else part.pack() for part in parts)
    return np.frombuffer(packed, dtype=DESC_DTYPE).copy()


def packed(lines: Lines) -> list[bytes]:
    """The 64 bytes of every line."""
    return [row.tobytes() for row in line_bytes(lines)]


def checked(desc: Desc, index: int) -> bytes:
    """``desc`` as a CHECKED line for ring index ``index``, sealed by the scalar reference."""
    return sealed(desc._replace(flags=desc.flags | CHECKED).pack(), index)


def one(lines: Lines) -> Desc:
    """The only line of ``lines``, unpacked."""
    (line,) = packed(lines)
    return unpack(line)


_U16S = st.integers(0, 0xFFFF)
_U64S = st.integers(0, (1 << 64) - 1)
_U32S = st.integers(0, U32 - 1)
_EDGES = st.sampled_from([0, 1, 31, 32, 33, 63, 64, 65, 255, 256, U32 - 33, U32 - 32, U32 - 31])
lengths = st.one_of(_EDGES, _U32S, st.integers(U32 - 70, U32 - 1), st.integers(0, 200))
opcodes = st.one_of(
    st.sampled_from([0, 1, 1, 1, 1, 2, 3, 4, 4, 255]),
    st.sampled_from([5, 254, 256, 257, 0xFF01]),
    _U16S,
)
first_indices = st.one_of(st.just(0), st.integers(U32 - 40, U32 - 1), _U32S)


@st.composite
def descs(draw: st.DrawFn, opcode: st.SearchStrategy[int] = opcodes) -> Desc:
    """Any descriptor without CHECKED, its lengths drawn to the interesting places."""
    length = draw(lengths)
    limit = draw(st.one_of(lengths, st.integers(-40, 40).map(lambda step: (length + step) % U32)))
    return Desc(
        draw(opcode),
        draw(_U16S) & ~CHECKED,
        draw(_U32S),
        draw(_U32S),
        draw(_U32S),
        draw(_U64S),
        draw(_U64S),
        length,
        limit,
        draw(_U32S),
        draw(_U32S),
        draw(_U64S),
        draw(_U64S),
    )


@st.composite
def submissions(draw: st.DrawFn, first_index: int, max_size: int = 40) -> list[bytes]:
    """A stream of lines: plain, sealed, sealed for a foreign index, and sealed and then damaged."""
    lines = []
    for number, desc in enumerate(draw(st.lists(descs(), max_size=max_size))):
        index = (first_index + number) % U32
        kind = draw(st.sampled_from(["plain", "checked", "checked", "foreign", "damaged"]))
        if kind == "plain":
            lines.append(desc.pack())
            continue
        if kind == "foreign":
            index = (index + draw(st.sampled_from([1, 2, 256, U32 - 1, 1 << 31]))) % U32
        line = bytearray(checked(desc, index))
        if kind == "damaged":
            bit = draw(st.integers(0, 511))
            line[bit // 8] ^= 1 << bit % 8
        lines.append(bytes(line))
    return lines


@st.composite
def generated(draw: st.DrawFn, first_index: int, max_size: int = 40) -> list[bytes]:
    """A stream of a profile: longer and with more pauses and STOPs than one drawn bit by bit."""
    profile = draw(st.sampled_from(["mixed", "stops", "checked", "decode"]))
    count, seed = draw(st.integers(0, max_size)), draw(st.integers(0, 1000))
    return packed(streams.generate(count, seed=seed, profile=profile, first_index=first_index))


class Host:
    """A small host over a :class:`GoldenDevice`: rings in its memory, one after the other.

    It keeps its own indices and knows of the device what a host can read.
    """

    def __init__(
        self, cmd: int = 2, done: int = 2, reward: int = 2, *, mode: int = 0, first_index: int = 0
    ) -> None:
        self.log2 = {"CMD": cmd, "DONE": done, "REWARD": reward}
        self.base = {}
        end = 256  # not 0, so that a base that is not added shows
        for name, log2 in self.log2.items():
            self.base[name] = end + 128  # behind head and tail
            end += 128 + (64 << log2)
        self.device = GoldenDevice(end, first_index=first_index)
        self.tail = first_index
        self.heads = {"DONE": first_index, "REWARD": first_index}
        self.mode = mode
        for name, base in self.base.items():
            self.write(f"{name}_BASE_LO", base)
        self.write("RING_LOG2", ring_log2(cmd, done, reward))
        self.write("CTRL", ENABLE | mode)

    def read(self, register: str) -> int:
        """Read a register by name."""
        return self.device.read32(REG[register])

    def write(self, register: str, value: int) -> None:
        """Write a register by name."""
        self.device.write32(REG[register], value)

    def slot(self, ring: str, index: int) -> slice:
        """The bytes of the slot of ``index`` [RING-001]."""
        start = self.base[ring] + 64 * (index % (1 << self.log2[ring]))
        return slice(start, start + 64)

    def word(self, ring: str, which: str) -> int:
        """The ``head`` or the ``tail`` of a ring in memory [RING-004]."""
        start = self.base[ring] - {"head": 128, "tail": 64}[which]
        return int.from_bytes(self.device.memory[start : start + 4].tobytes(), "little")

    def room(self) -> int:
        """Free slots of the command ring, from CMD_HEAD [RING-009]."""
        return (1 << self.log2["CMD"]) - (self.tail - self.read("CMD_HEAD")) % U32

    def place(self, lines: Sequence[bytes]) -> None:
        """Write lines at the tail without a doorbell; there must be room."""
        assert len(lines) <= self.room(), "a host must not overwrite a line that is not completed"
        for line in lines:
            self.device.memory[self.slot("CMD", self.tail)] = np.frombuffer(line, dtype=np.uint8)
            self.tail = (self.tail + 1) % U32

    def ring(self) -> None:
        """Publish what was placed."""
        self.write("DOORBELL", self.tail)

    def submit(self, *parts: bytes | Desc) -> None:
        """Place lines and ring the doorbell."""
        self.place([part if isinstance(part, bytes) else part.pack() for part in parts])
        self.ring()

    def poll(self, ring: str = "DONE", limit: int | None = None) -> list[bytes]:
        """Take up to ``limit`` completions, all of them by default."""
        count = (self.read(f"{ring}_TAIL") - self.heads[ring]) % U32
        count = count if limit is None else min(limit, count)
        taken = []
        for _ in range(count):
            taken.append(self.device.memory[self.slot(ring, self.heads[ring])].tobytes())
            self.heads[ring] = (self.heads[ring] + 1) % U32
        self.write(f"{ring}_HEAD", self.heads[ring])
        return taken

    def resume(self) -> None:
        """Leave HALTED."""
        self.write("CTRL", ENABLE | RESUME | self.mode)
