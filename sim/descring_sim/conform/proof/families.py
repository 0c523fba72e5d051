# SPDX-License-Identifier: Apache-2.0
"""The ways to get the contract's statements wrong that ``contract.c`` knows, family by family."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from descring_model import contract

_OUTCOMES = (
    *("NOP", "a pause", "a DECODE to its limit", "a DECODE with nothing to do", "REWARD"),
    *("PREFILL", "ROLLOUT", "STOP", "a bad checksum", "a bad tag", "a bad opcode"),
)
_FLAGS = (2, 1, 2, 2, 2, 2, 2, 8, 0x110, 0x310, 0x210)
"""The device-owned flags that each outcome sets: an echo of one of these is no fault."""
_CHANGED = {"seq_len": (1, 2, 5, 6), "reserved0": (4, 6)}
"""Outcomes that change a field, which then is not echoed."""
_OPCODES = ("NOP", "DECODE", "REWARD", "PREFILL", "ROLLOUT", "STOP")
_BOTH = ("stream", "device")


@dataclass(frozen=True)
class Statement:
    """One way to get a statement of the contract wrong, as the C source knows it."""

    family: str
    a: int
    b: int
    rule: str
    breaks: str
    level: str

    @property
    def choice(self) -> str:
        """The value of :data:`VARIABLE`."""
        return f"{self.family}:{self.a}:{self.b}"


Way = tuple[Any, ...]
"""The number of a way, a second one where there is one, and what is wrong."""


def _each(
    family: str,
    rule: str,
    levels: Sequence[str],
    ways: Sequence[Way],
) -> Iterator[Statement]:
    for way in ways:
        a, b, breaks = (way[0], -1, way[1]) if len(way) == 2 else way
        for level in levels:
            yield Statement(family, a, b, rule, str(breaks), level)


def _numbered(what: Sequence[str]) -> list[Way]:
    return [(k, name) for k, name in enumerate(what)]


def _lines() -> Iterator[Statement]:
    """What an implementation does with a line: both levels share it."""
    ways: list[Way]
    what: Sequence[str]
    owned = [bit for bit in range(16) if contract.DEVICE_OWNED_FLAGS >> bit & 1]
    for bit in owned:
        others = [o for o in range(len(_OUTCOMES)) if not _FLAGS[o] >> bit & 1]
        ways = [(bit, o, f"{_OUTCOMES[o]} echoes flag {bit}") for o in others]
        yield from _each("echoes", "FLAG-010", _BOTH[: 1 + (bit in (0, 4, 15))], ways)
    for bit, rule in ((2, "FLAG-002"), (6, "FLAG-006"), (7, "FLAG-006")):
        ways = [(bit, o, f"{name} loses flag {bit}") for o, name in enumerate(_OUTCOMES)]
        yield from _each("drops", rule, ("stream",), ways)
    aliases = [0x00FE, 0x0100, 0x01FF, 0x8001, 0xFFFF, 0xFF00, 0x4004, 0x1234, 0x7FFF, 5]
    ways = [(v, o, f"0x{v:04x} is taken for {o}") for v in aliases for o in (0, 2, 255)]
    yield from _each("alias", "OP-ERR", ("stream",), ways)
    yield from _each("alias", "OP-ERR", ("device",), [w for w in ways if w[0] in (0x00FE, 0x0100)])
    ways = [(bits, f"only {bits} bits of the opcode count") for bits in range(8, 16)]
    yield from _each("opcode-bits", "OP-ERR", ("stream",), ways)
    for name in _OPCODES:
        value = contract.OPCODE[name]
        rule = next(item.rule for item in contract.OPCODES if item.name == name)
        yield from _each("opcode-dropped", rule, ("stream",), [(value, f"{name} is unknown")])
    ways = [(value, f"byte {value} is not covered") for value in range(60)]
    yield from _each("crc-byte", "DESC-020", ("stream",), ways)
    ways = [(count, f"the checksum covers {count} bytes") for count in (56, 58, 59, 61)]
    yield from _each("crc-covers", "DESC-020", ("stream",), ways)
    yield from _each("crc-plain", "DESC-020", _BOTH, [(0, "the checksum is not inverted")])
    ways = [(bit, f"bit {bit} of the checksum is not compared") for bit in range(32)]
    yield from _each("crc-bit", "DESC-020", ("stream",), ways)
    what = ("0", "all ones", "the inverse", "bytes in reverse", "the tag", "one more")
    ways = [(k, f"{name} is taken for any checksum") for k, name in enumerate(what)]
    yield from _each("crc-accepts", "DESC-020", ("stream",), ways)
    ways = [(0, "a right checksum of 0 is refused"), (1, "one of all ones is refused")]
    yield from _each("crc-rejects", "DESC-020", ("stream",), ways)
    ways = [(bit, f"bit {bit} of the tag is not compared") for bit in range(32)]
    yield from _each("tag-bit", "DESC-022", ("stream",), ways)
    ways = [(1 << bit, f"a tag {1 << bit} behind is accepted") for bit in range(0, 31, 3)]
    yield from _each("tag-window", "DESC-022", ("stream",), ways)
    for family, rule in (("skips-crc", "DESC-020"), ("skips-tag", "DESC-022")):
        ways = [(contract.OPCODE[n], f"{family[6:]} of {n} is not checked") for n in _OPCODES]
        yield from _each(family, rule, _BOTH, ways)
    ways = [(contract.OPCODE[n], f"{n} need not be CHECKED") for n in _OPCODES]
    yield from _each("require-except", "DESC-025", _BOTH, ways)
    yield from _each("require-unsealed", "DESC-025", _BOTH, [(8, "a refused line is not sealed")])
    ways = [(k, f"the wrong code where CHECKED is missing, {k}") for k in range(4)]
    yield from _each("require-code", "ERR-011", _BOTH, ways)
    what = ("opcode before the rest", "tag before checksum", "opcode before tag")
    yield from _each("order", "ERR-011", _BOTH, _numbered(what))
    what = ("with a bad checksum", "with a bad tag", "without CHECKED where it is required")
    ways = [(k, f"a STOP {name} halts") for k, name in enumerate(what)]
    yield from _each("refused-halts", "ERR-011", _BOTH, ways)
    for field in contract.FIELDS:
        if field.name in ("opcode", "flags", "checksum_or_cookie"):
            continue
        at = field.offset + field.size - 1
        echoing = [o for o in range(8) if o not in _CHANGED.get(field.name, ())]
        ways = [(at, o, f"{_OUTCOMES[o]} loses the top bit of {field.name}") for o in echoing]
        yield from _each("field", field.rule, ("stream",), ways)
    ways = [(k, f"DECODE reads {k} bits of seq_len") for k in (8, 16, 24, 31)]
    yield from _each("decode-bits", "OP-001", _BOTH, ways)
    ways = [(k, f"DECODE reads {k} bits of max_tokens") for k in (8, 16, 24, 31)]
    yield from _each("limit-bits", "OP-001", _BOTH, ways)
    ways = [(k, f"the interval is {k}") for k in (16, 31, 33, 64)]
    yield from _each("interval", "DEC-002", _BOTH, ways)
    yield from _each("from-start", "DEC-002", _BOTH, [(0, "the interval counts from the start")])
    yield from _each("top-wraps", "DEC-004", _BOTH, [(0, "the boundary wraps")])
    yield from _each("decode-signed", "OP-001", ("stream",), [(0, "lengths are signed")])
    yield from _each("done-loses", "DEC-003", _BOTH, [(0, "a limit at a boundary pauses")])
    ways = [(0, "7 bits of the length"), (1, "of 256"), (2, "rounded down")]
    yield from _each("score", "OP-010", _BOTH, ways)
    yield from _each("score-of-limit", "OP-010", _BOTH, [(0, "of max_tokens")])
    what = ("max_tokens alone", "up to a boundary", "signed", "16 bits")
    yield from _each("prefill", "OP-011", _BOTH, _numbered(what))
    what = ("pauses", "16 bits of tokens", "max_tokens alone")
    yield from _each("rollout", "DEC-006", ("stream",), _numbered(what))
    ways = [(4, "no score"), (5, "the score of the first length")]
    yield from _each("rollout", "DEC-007", _BOTH, ways)
    what = (
        *("the submission's index", "one more", "one less behind the wrap"),
        *("one less behind the wrap in the reward ring", "16 bits", "another of a pause"),
    )
    yield from _each("seal-tag", "DESC-023", ("stream",), _numbered(what))
    yield from _each("seal-tag", "DESC-023", ("device",), _numbered(what))
    ways = [(o, f"{name} has a wrong checksum") for o, name in enumerate(_OUTCOMES)]
    yield from _each("seal-crc", "DESC-023", _BOTH, ways)
    ways = [(m, o, f"{_OUTCOMES[o]} in modes {m}") for m in range(4) for o in (1, 2, 8)]
    yield from _each("seal-in-mode", "DESC-023", ("stream",), ways)
    ways = [(m, 7, f"STOP that halts, in modes {m}") for m in range(4, 8)]
    yield from _each("seal-in-mode", "DESC-023", _BOTH, ways)


def _streams() -> Iterator[Statement]:
    """What an implementation does with a stream."""
    ways: list[Way]
    ways = [(o, c, f"{n} behind a STOP, {c}") for o, n in enumerate(_OUTCOMES[:8]) for c in (0, 1)]
    yield from _each("leaks", "LIFE-003", ("stream",), [w for w in ways if w[0] != 7])
    yield from _each("stop", "LIFE-003", _BOTH, [(0, "STOP does not halt")])
    ways = [(n, f"line {n} is lost") for n in (0, 99, 255, 4096, 65536)]
    yield from _each("lost", "RING-006", ("stream",), ways)
    ways = [(n, f"line {n} overtakes") for n in (1, 100, 255)]
    yield from _each("swapped", "RING-007", ("stream",), ways)
    ways = [(o, f"{n} goes to the reward ring") for o, n in enumerate(_OUTCOMES) if o != 1]
    yield from _each("split-too", "RING-008", _BOTH, ways)
    yield from _each("split-ignored", "RING-008", _BOTH, [(0, "pauses go to the done ring")])
    yield from _each("first-index", "RING-012", _BOTH, [(0, "indices start at 0")])


def _devices() -> Iterator[Statement]:
    """What a device does with its registers and rings."""
    ways: list[Way]
    what: Sequence[str]
    rules: Sequence[str]
    level = ("device",)
    for ring, name in enumerate(("command", "done", "reward")):
        ways = [(ring, k, f"{k} bits of a slot of the {name} ring") for k in range(1, 16)]
        yield from _each("slot-bits", "RING-001", level, ways)
    for ring, name in ((1, "done"), (2, "reward")):
        yield from _each("one-less", "RING-001", level, [(ring, f"a slot of the {name} ring")][:1])
        yield from _each("overwrites", "RING-005", level, [(ring, f"a full {name} ring")][:1])
    counters = {0x50: "REG-050", 0x54: "REG-054", 0x5C: "REG-05C", 0x64: "REG-064"}
    for at, rule in counters.items():
        ways = [(at, k, f"{k} bits of the counter at 0x{at:x}") for k in (6, 8, 10, 12, 16)]
        yield from _each("counter-bits", rule, level, ways)
    ways = [(0x58, k, f"{k} bits of the high word") for k in (0, 1)]
    yield from _each("counter-bits", "REG-058", level, ways)
    yield from _each("high-live", "REG-058", level, [(0, "HI is not what LO captured")])
    ways = [(o, f"tokens of {_OUTCOMES[o]} are not counted") for o in (1, 2, 6)]
    yield from _each("tokens", "CNT-001", level, ways)
    yield from _each("prefill", "CNT-001", level, [(4, "PREFILL counts tokens")])
    ways = [(o, f"{_OUTCOMES[o]} counts as an error") for o in range(8)]
    yield from _each("counts-as-error", "CNT-001", level, ways)
    early = {0: ("IRQ-001", "the event"), 1: ("LIFE-003", "HALTED"), 4: ("IRQ-001", "COMPLETION")}
    for k, (rule, name) in early.items():
        yield from _each("early", rule, level, [(k, f"{name} before there is room")])
    ways = [(2, "an error counts before there is room"), (3, "tokens before there is room")]
    yield from _each("early", "CNT-001", level, ways)
    for ring in (1, 2):
        for family, how in (("ignored", "ignored"), ("any", "any"), ("clamped", "clamped")):
            states = [s for s in range(5) if not (family == "ignored" and s == 0)]
            ways = [(ring, s, f"head of ring {ring} {how} in state {s}") for s in states]
            yield from _each(f"head-{family}", "RING-010", level, ways)
    rules = ("DB-002", "DB-006", "DB-006", "DB-006", "DB-002", "DB-002", "DB-002", "DB-002")
    what = (
        *(
            "one too far",
            "a repeated one while disabled",
            "while disabled",
            "while halted",
            "backward",
        ),
        *("signed and without a limit", "the last slot", "no BAD_DOORBELL"),
    )
    for k, (rule, name) in enumerate(zip(rules, what, strict=True)):
        yield from _each("doorbell", rule, level, [(k, f"doorbell: {name}")])
    yield from _each("doorbell", "IRQ-001", level, [(8, "no event of a bad doorbell")])
    ways = [(at, f"0x{at:x} is not locked") for at in (0x2C, 0x30, 0x34, 0x38, 0x3C, 0x40, 0x44)]
    yield from _each("unlocked", "LIFE-006", level, ways)
    ways = [(m, f"mode bit {m} is not locked") for m in (8, 16, 32)]
    yield from _each("unlocked-mode", "LIFE-006", level, ways)
    checks = ("size 0", "size 17", "alignment", "the window")
    ways = [(c, r, f"{n} of ring {r} is not checked") for c, n in enumerate(checks) for r in (0, 1)]
    yield from _each("config", "LIFE-002", level, ways)
    yield from _each("config", "LIFE-002", level, [(0, 2, "size 0 of ring 2 is not checked")])
    yield from _each("words-outside", "LIFE-002", level, [(0, "words outside of memory")])
    ways = [(0, "a refused ENABLE clears the modes"), (1, "a refused ENABLE locks")]
    yield from _each("refused", "LIFE-002", level, ways)
    for register in contract.REGISTERS:
        at = register.offset
        for bit in (1, 17, 31):
            if at != contract.OFFSET["CNT_STALL_CYCLES"]:
                ways = [(at, bit, f"bit {bit} of {register.name} reads wrong")]
                yield from _each("reads", register.rule, level, ways)
    for at in (0x0C, 0x1C, 0x2C, *range(0x30, 0x48, 4), 0x48, 0x4C, 0x50, 0x54, 0x5C, 0x64):
        ways = [(at, f"0x{at:x} outlives CTRL.RESET")]
        rule = next(item.rule for item in contract.REGISTERS if item.offset == at)
        yield from _each("not-reset", rule, level, ways)
    for at in (0x14, 0x18, 0x1C, 0x24, 0x50, 0x54, 0x5C, 0x64):
        yield from _each("writable", "DB-004", level, [(at, f"0x{at:x} can be written")])
    yield from _each("address-cut", "DB-004", level, [(0, "addresses are cut")])
    yield from _each("unknown-reads", "DB-004", level, [(0, "unknown addresses are not 0")])
    yield from _each("spare-bits", "DB-004", level, [(0, "spare bits of RING_LOG2 are kept")])
    what = ("STATUS: others are cleared", "STATUS: any write clears all")
    yield from _each("w1c", "REG-00C", level, _numbered(what))
    ways = [(2, "any write clears all"), (3, "cannot be cleared")]
    yield from _each("w1c", "IRQ-001", level, ways)
    yield from _each("w1c", "REG-04C", level, [(4, "IRQ_MASK is w1c")])
    ways = [(0, "the mask is ignored"), (1, "events are ignored"), (2, "COMPLETION alone")]
    yield from _each("irq", "IRQ-001", level, ways)
    ways = [(bit, f"no event {bit}") for bit in (1, 2, 4)]
    yield from _each("no-event", "IRQ-001", level, ways)
    what = ("done ring's", "reward ring's", "command ring's", "done ring's one behind", "a stray")
    yield from _each("word", "RING-013", level, [(k, f"{n} word") for k, n in enumerate(what)])
    resumes = [(0, "while disabled"), (1, "is remembered"), (2, "skips a line")]
    yield from _each("resume", "LIFE-003", level, [(k, f"RESUME {n}") for k, n in resumes])
    yield from _each("resume", "REG-008", level, [(3, "RESUME reads 1")])
    what = ("ends the halt", "drops lines", "unlocks")
    rules = ("LIFE-007", "LIFE-007", "LIFE-006")
    for k, (rule, name) in enumerate(zip(rules, what, strict=True)):
        yield from _each("pause", rule, level, [(k, f"a pause {name}")])
    yield from _each("pause-ignored", "LIFE-007", level, [(0, "a pause does nothing")])
    ways = [(0, "RESET does nothing"), (1, "the other bits of a RESET count")]
    yield from _each("reset", "LIFE-004", level, ways)
    yield from _each("no-stalls", "REG-060", level, [(0, "stalls are not counted")])


def statements() -> list[Statement]:
    """All of them."""
    return [*_lines(), *_streams(), *_devices()]
