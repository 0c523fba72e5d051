# SPDX-License-Identifier: Apache-2.0
"""The single source of the hardware contract's names, numbers and layouts.

Everything that carries a descriptor gets its offsets, opcodes, flags, error codes and register
addresses from here: the NumPy dtype directly, the SystemVerilog package, the C/CUDA header and
the tables of the documentation through ``descring gen``. The *behaviour* is prose in
:mod:`descring_model.rules`, and every backend implements it independently.

The module is plain data. It imports nothing but the standard library, so that a generator or a
foreign tool can read it without NumPy.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field

VERSION = 2
"""Contract version, read back from REG VERSION. Raised with every change of meaning."""

DEVICE_ID = 0x474E5244
"""REG ID. Its four bytes in memory order spell ``DRNG``."""

DESC_BYTES = 64
DESC_BITS = 8 * DESC_BYTES
CACHE_LINE_BYTES = 64
REWARD_INTERVAL = 32
"""Tokens between reward boundaries, on absolute sequence length [DEC-002]."""

RING_LOG2_MIN = 1
RING_LOG2_MAX = 16
RING_HEAD_OFFSET = 0
RING_TAIL_OFFSET = 64
RING_SLOTS_OFFSET = 128
"""Layout of a ring in shared memory, in bytes from its start [RING-004]."""

CRC32C_POLY_REFLECTED = 0x82F63B78
CRC32C_INIT = 0xFFFFFFFF
CRC32C_XOR_OUT = 0xFFFFFFFF
CRC32C_CHECK = 0xE3069283
"""CRC-32C of the nine bytes ``123456789`` [DESC-020]."""
CRC_BYTES = 60
"""Bytes of a line that its checksum covers, from byte 0 [DESC-020]."""
TAG_OFFSET = 56
CRC_OFFSET = 60
"""Byte offsets of reference tag and checksum in a CHECKED line [DESC-020] [DESC-022]."""


@dataclass(frozen=True)
class Field:
    """One member of ``hw_desc_t``: little-endian unsigned, naturally aligned."""

    rule: str
    offset: int
    size: int
    name: str
    meaning: str

    @property
    def bits(self) -> int:
        """Width in bits."""
        return 8 * self.size


@dataclass(frozen=True)
class Value:
    """A named number: an opcode, an error code or a status."""

    rule: str
    value: int
    name: str
    meaning: str


@dataclass(frozen=True)
class Bits:
    """A named bit field ``[msb:lsb]`` of the flags or of a register."""

    rule: str
    msb: int
    lsb: int
    name: str
    owner: str
    meaning: str

    @property
    def width(self) -> int:
        """Width in bits."""
        return self.msb - self.lsb + 1

    @property
    def mask(self) -> int:
        """The field's ones, in place."""
        return ((1 << self.width) - 1) << self.lsb


@dataclass(frozen=True)
class Register:
    """One 32-bit register. ``access`` is ``ro``, ``rw``, ``wo``, ``w1c`` or ``mixed``."""

    rule: str
    offset: int
    name: str
    access: str
    reset: int
    meaning: str
    bits: tuple[Bits, ...] = field(default=())

    def access_of(self, bits: Bits) -> str:
        """How a bit field is accessed: as its register, unless that has bits of several sorts."""
        own = self.access == "mixed" or bits.owner == "self-clearing"
        return bits.owner if own else self.access


FIELDS: tuple[Field, ...] = (
    Field("DESC-001", 0, 2, "opcode", "what to do (section 2)"),
    Field("DESC-002", 2, 2, "flags", "section 3"),
    Field("DESC-003", 4, 4, "rollout_id", "rollout identity"),
    Field("DESC-004", 8, 4, "kv_arena_id", "KV arena selector"),
    Field("DESC-005", 12, 4, "prefix_id", "shared prefix; 0 = none (ids start at 1)"),
    Field("DESC-006", 16, 8, "kv_offset", "KV base offset"),
    Field("DESC-007", 24, 8, "delta_offset", "copy-on-write delta offset"),
    Field("DESC-008", 32, 4, "seq_len", "tokens present"),
    Field("DESC-009", 36, 4, "max_tokens", "sequence length at which decoding ends"),
    Field("DESC-010", 40, 4, "reward_model_id", "reward model selector"),
    Field(
        "DESC-011",
        44,
        4,
        "reserved0",
        "submission: GPU group id; completion of REWARD and ROLLOUT: float32 bits of the score",
    ),
    Field("DESC-012", 48, 8, "user_data", "the host's correlation value, always echoed"),
    Field("DESC-013", 56, 8, "checksum_or_cookie", "opaque cookie, or tag and checksum (DESC-020)"),
)

OPCODES: tuple[Value, ...] = (
    Value("OP-000", 0, "NOP", "DONE, nothing else changes"),
    Value("OP-001", 1, "DECODE", "generate tokens (section 4)"),
    Value("OP-002", 2, "REWARD", "score the sequence, DONE"),
    Value("OP-003", 3, "PREFILL", "ingest prompt tokens, DONE"),
    Value("OP-004", 4, "ROLLOUT", "generate every token, score the sequence, DONE (section 4)"),
    Value("OP-255", 255, "STOP", "STOPPED; halts the device (section 6)"),
)

FLAGS: tuple[Bits, ...] = (
    Bits("FLAG-000", 0, 0, "NEEDS_REWARD", "device", "decoding paused at a reward boundary"),
    Bits("FLAG-001", 1, 1, "DONE", "device", "finished"),
    Bits("FLAG-002", 2, 2, "COW_PREFIX", "host", "`prefix_id` names a shared prefix"),
    Bits("FLAG-003", 3, 3, "STOPPED", "device", "completion of STOP"),
    Bits("FLAG-004", 4, 4, "ERROR", "device", "refused; code in bits 15:8"),
    Bits("FLAG-005", 5, 5, "CHECKED", "host", "`checksum_or_cookie` is tag and checksum"),
    Bits("FLAG-006", 7, 6, "RESERVED", "host", "the host writes 0, the device echoes"),
    Bits("FLAG-008", 15, 8, "ERROR_CODE", "device", "0 unless ERROR"),
)

ERROR_CODES: tuple[Value, ...] = (
    Value("ERR-001", 1, "BAD_CHECKSUM", "the checksum is wrong, or required and missing"),
    Value("ERR-002", 2, "BAD_OPCODE", "the opcode is not one of section 2"),
    Value("ERR-003", 3, "BAD_TAG", "the line is intact but was written for another index"),
)

STATUSES: tuple[Value, ...] = (
    Value("STAT-001", 0x01, "DONE", "view of flag DONE"),
    Value("STAT-002", 0x02, "REWARD_NEEDED", "view of flag NEEDS_REWARD"),
    Value("STAT-080", 0x80, "ERROR", "view of flag ERROR"),
    Value("STAT-255", 0xFF, "STOPPED", "view of flag STOPPED"),
)

_CTRL = (
    Bits("REG-008", 0, 0, "ENABLE", "rw", "run; refused on a bad configuration (LIFE-002)"),
    Bits("REG-008", 1, 1, "RESET", "self-clearing", "back to the reset state (LIFE-004)"),
    Bits("REG-008", 2, 2, "RESUME", "self-clearing", "leave HALTED (LIFE-003)"),
    Bits("REG-008", 3, 3, "SPLIT_REWARD", "rw", "NEEDS_REWARD goes to the reward ring (RING-008)"),
    Bits("REG-008", 4, 4, "REQUIRE_CHECKED", "rw", "refuse lines without CHECKED (DESC-025)"),
    Bits("REG-008", 5, 5, "PUBLISH_TAILS", "rw", "keep the device's indices in memory (RING-013)"),
)

_STATUS = (
    Bits("REG-00C", 0, 0, "READY", "ro", "reset is over"),
    Bits("REG-00C", 1, 1, "RUNNING", "ro", "enabled and not halted, or still draining"),
    Bits("REG-00C", 2, 2, "HALTED", "ro", "stopped by STOP or by a bus error"),
    Bits("REG-00C", 3, 3, "RESET_TIMEOUT", "ro", "the reset lacks a response (LIFE-004)"),
    Bits("REG-00C", 8, 8, "BAD_CONFIG", "w1c", "ENABLE was refused (LIFE-002)"),
    Bits("REG-00C", 9, 9, "BAD_DOORBELL", "w1c", "a doorbell was ignored (DB-002)"),
    Bits("REG-00C", 10, 10, "BUS_ERROR", "w1c", "a memory access failed (LIFE-005)"),
)

_RING_LOG2 = (
    Bits("REG-02C", 7, 0, "CMD", "rw", "log2 of the command ring's slots"),
    Bits("REG-02C", 15, 8, "DONE", "rw", "log2 of the done ring's slots"),
    Bits("REG-02C", 23, 16, "REWARD", "rw", "log2 of the reward ring's slots"),
)

_IRQ = (
    Bits("REG-048", 0, 0, "COMPLETION", "w1c", "a completion was posted"),
    Bits("REG-048", 1, 1, "HALTED", "w1c", "the device halted"),
    Bits("REG-048", 2, 2, "ERROR", "w1c", "an error bit of STATUS was raised"),
)

REGISTERS: tuple[Register, ...] = (
    Register("REG-000", 0x00, "ID", "ro", DEVICE_ID, "constant magic, `DRNG` in memory order"),
    Register("REG-004", 0x04, "VERSION", "ro", VERSION, "contract version"),
    Register("REG-008", 0x08, "CTRL", "rw", 0, "control; self-clearing bits read 0", _CTRL),
    Register("REG-00C", 0x0C, "STATUS", "mixed", 1, "state; error bits are w1c", _STATUS),
    Register("REG-010", 0x10, "DOORBELL", "wo", 0, "new command tail; reads 0"),
    Register("REG-014", 0x14, "CMD_HEAD", "ro", 0, "oldest descriptor not completed (RING-009)"),
    Register("REG-018", 0x18, "CMD_TAIL", "ro", 0, "last accepted doorbell"),
    Register("REG-01C", 0x1C, "DONE_TAIL", "ro", 0, "next index of the done ring"),
    Register("REG-020", 0x20, "DONE_HEAD", "rw", 0, "the host's consumer index (RING-010)"),
    Register("REG-024", 0x24, "REWARD_TAIL", "ro", 0, "next index of the reward ring"),
    Register("REG-028", 0x28, "REWARD_HEAD", "rw", 0, "the host's consumer index (RING-010)"),
    Register("REG-02C", 0x2C, "RING_LOG2", "rw", 0, "log2 of the ring sizes", _RING_LOG2),
    Register("REG-030", 0x30, "CMD_BASE_LO", "rw", 0, "command ring, address of slot 0"),
    Register("REG-034", 0x34, "CMD_BASE_HI", "rw", 0, "high word of CMD_BASE"),
    Register("REG-038", 0x38, "DONE_BASE_LO", "rw", 0, "done ring, address of slot 0"),
    Register("REG-03C", 0x3C, "DONE_BASE_HI", "rw", 0, "high word of DONE_BASE"),
    Register("REG-040", 0x40, "REWARD_BASE_LO", "rw", 0, "reward ring, address of slot 0"),
    Register("REG-044", 0x44, "REWARD_BASE_HI", "rw", 0, "high word of REWARD_BASE"),
    Register("REG-048", 0x48, "IRQ_STATUS", "w1c", 0, "events since they were cleared", _IRQ),
    Register("REG-04C", 0x4C, "IRQ_MASK", "rw", 0, "1 lets the event reach the interrupt", _IRQ),
    Register("REG-050", 0x50, "CNT_DESCRIPTORS", "ro", 0, "completions posted"),
    Register("REG-054", 0x54, "CNT_TOKENS_LO", "ro", 0, "tokens decoded; reading captures HI"),
    Register("REG-058", 0x58, "CNT_TOKENS_HI", "ro", 0, "high word, as captured by LO"),
    Register("REG-05C", 0x5C, "CNT_ERRORS", "ro", 0, "ERROR completions posted"),
    Register("REG-060", 0x60, "CNT_STALL_CYCLES", "ro", 0, "cycles a completion waited for room"),
    Register("REG-064", 0x64, "CNT_BAD_DOORBELLS", "ro", 0, "doorbells ignored (DB-002)"),
    Register("REG-07C", 0x7C, "CONTRACT_HASH", "ro", 0, "first 32 bits of this contract's hash"),
)

FIELD = {item.name: item for item in FIELDS}
OPCODE = {item.name: item.value for item in OPCODES}
FLAG = {item.name: item.mask for item in FLAGS}
ERROR_CODE = {item.name: item.value for item in ERROR_CODES}
STATUS = {item.name: item.value for item in STATUSES}
REGISTER = {item.name: item for item in REGISTERS}
OFFSET = {item.name: item.offset for item in REGISTERS}
"""The byte address of each register."""
MASK = {item.name: {bits.name: bits.mask for bits in item.bits} for item in REGISTERS}
"""The bit fields of each register by name, in place."""

DEVICE_OWNED_FLAGS = sum(item.mask for item in FLAGS if item.owner == "device")
"""The flag bits a device clears on acceptance and then sets itself [FLAG-010]."""

ERROR_CODE_SHIFT = next(item.lsb for item in FLAGS if item.name == "ERROR_CODE")


def register_bit(register: str, name: str) -> int:
    """The mask of bit field ``name`` of ``register``, in place (``KeyError`` if there is none)."""
    return MASK[register][name]


def canonical() -> str:
    """The contract's data as canonical JSON: what the hash is taken over.

    Meanings are prose and are excluded: a corrected spelling must not make two devices
    refuse each other.
    """

    def plain(item: object) -> object:
        if isinstance(item, tuple):
            return [plain(part) for part in item]
        data = asdict(item)  # type: ignore[call-overload]
        data.pop("meaning", None)
        for part in data.get("bits", ()):
            part.pop("meaning")
        return data

    return json.dumps(
        {
            "version": VERSION,
            "device_id": DEVICE_ID,
            "desc_bytes": DESC_BYTES,
            "reward_interval": REWARD_INTERVAL,
            "ring": [
                RING_LOG2_MIN,
                RING_LOG2_MAX,
                RING_HEAD_OFFSET,
                RING_TAIL_OFFSET,
                RING_SLOTS_OFFSET,
            ],
            "crc": [CRC32C_POLY_REFLECTED, CRC32C_INIT, CRC32C_XOR_OUT, CRC_BYTES],
            "tag_and_crc_offset": [TAG_OFFSET, CRC_OFFSET],
            "fields": plain(FIELDS),
            "opcodes": plain(OPCODES),
            "flags": plain(FLAGS),
            "error_codes": plain(ERROR_CODES),
            "statuses": plain(STATUSES),
            "registers": plain(REGISTERS),
        },
        sort_keys=True,
        separators=(",", ":"),
    )


CONTRACT_SHA256 = hashlib.sha256(canonical().encode()).hexdigest()
CONTRACT_HASH = int(CONTRACT_SHA256[:8], 16)
"""What REG CONTRACT_HASH reads: the first 32 bits of SHA-256 over :func:`canonical` [REG-07C]."""


def reset_value(register: Register, version: int = VERSION) -> int:
    """What a register reads after reset in a device of that version of the contract.

    The hash is no part of the data that it is taken over.
    """
    if register.name == "CONTRACT_HASH":
        return EARLIER_HASHES.get(version, CONTRACT_HASH)
    return version if register.name == "VERSION" else register.reset


EARLIER_HASHES = {1: 0x95E8373E}
"""CONTRACT_HASH of each earlier version, so that a device of one can be told from a broken one."""
SINCE = {"ROLLOUT": 2}
"""Opcodes that are not of the first version, and the version that added them."""
