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
        yield from _each("echoes", "FLAG-010", _BOTH, ways)
    for bit, rule in ((2, "FLAG-002"), (6, "FLAG-006"), (7, "FLAG-006")):
        ways = [(bit, o, f"{name} loses flag {bit}") for o, name in enumerate(_OUTCOMES)]
        yield from _each("drops", rule, _BOTH, ways)
        ways = [(bit, o, f"{name} sets flag {bit}") for o, name in enumerate(_OUTCOMES)]
        yield from _each("sets", rule, _BOTH, ways)
    aliases = [0x00FE, 0x0100, 0x01FF, 0x8001, 0xFFFF, 0xFF00, 0x4004, 0x1234, 0x7FFF, 5]
    ways = [(v, o, f"0x{v:04x} is taken for {o}") for v in aliases for o in (0, 2, 255)]
    yield from _each("alias", "OP-ERR", _BOTH, ways)
    ways = [(bits, f"only {bits} bits of the opcode count") for bits in range(8, 16)]
    yield from _each("opcode-bits", "OP-ERR", _BOTH, ways)
    for name in _OPCODES:
        value = contract.OPCODE[name]
        rule = next(item.rule for item in contract.OPCODES if item.name == name)
        yield from _each("opcode-dropped", rule, _BOTH, [(value, f"{name} is unknown")])
    ways = [(value, f"byte {value} is not covered") for value in range(60)]
    yield from _each("crc-byte", "DESC-020", _BOTH, ways)
    ways = [(count, f"the checksum covers {count} bytes") for count in (56, 58, 59, 61)]
    yield from _each("crc-covers", "DESC-020", _BOTH, ways)
    yield from _each("crc-plain", "DESC-020", _BOTH, [(0, "the checksum is not inverted")])
    ways = [(bit, f"bit {bit} of the checksum is not compared") for bit in range(32)]
    yield from _each("crc-bit", "DESC-020", _BOTH, ways)
    what = ("0", "all ones", "the inverse", "bytes in reverse", "the tag", "one more")
    ways = [(k, f"{name} is taken for any checksum") for k, name in enumerate(what)]
    yield from _each("crc-accepts", "DESC-020", _BOTH, ways)
    ways = [(0, "a right checksum of 0 is refused"), (1, "one of all ones is refused")]
    yield from _each("crc-rejects", "DESC-020", _BOTH, ways)
    ways = [(bit, f"bit {bit} of the tag is not compared") for bit in range(32)]
    yield from _each("tag-bit", "DESC-022", _BOTH, ways)
    ways = [(1 << bit, f"a tag {1 << bit} behind is accepted") for bit in range(0, 31, 3)]
    yield from _each("tag-window", "DESC-022", _BOTH, ways)
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
        yield from _each("field", field.rule, _BOTH, ways)
    ways = [(k, f"DECODE reads {k} bits of seq_len") for k in (8, 16, 24, 31)]
    yield from _each("decode-bits", "OP-001", _BOTH, ways)
    ways = [(k, f"DECODE reads {k} bits of max_tokens") for k in (8, 16, 24, 31)]
    yield from _each("limit-bits", "OP-001", _BOTH, ways)
    ways = [(k, f"the interval is {k}") for k in (16, 31, 33, 64)]
    yield from _each("interval", "DEC-002", _BOTH, ways)
    yield from _each("from-start", "DEC-002", _BOTH, [(0, "the interval counts from the start")])
    yield from _each("top-wraps", "DEC-004", _BOTH, [(0, "the boundary wraps")])
    yield from _each("decode-signed", "OP-001", _BOTH, [(0, "lengths are signed")])
    yield from _each("done-loses", "DEC-003", _BOTH, [(0, "a limit at a boundary pauses")])
    ways = [(0, "7 bits of the length"), (1, "of 256"), (2, "rounded down")]
    yield from _each("score", "OP-010", _BOTH, ways)
    yield from _each("score-of-limit", "OP-010", _BOTH, [(0, "of max_tokens")])
    what = ("max_tokens alone", "up to a boundary", "signed", "16 bits")
    yield from _each("prefill", "OP-011", _BOTH, _numbered(what))
    what = ("pauses", "16 bits of tokens", "max_tokens alone")
    yield from _each("rollout", "DEC-006", _BOTH, _numbered(what))
    ways = [(4, "no score"), (5, "the score of the first length")]
    yield from _each("rollout", "DEC-007", _BOTH, ways)
    what = (
        *("the submission's index", "one more", "one less behind the wrap"),
        *("one less behind the wrap in the reward ring", "16 bits", "another of a pause"),
    )
    yield from _each("seal-tag", "DESC-023", _BOTH, _numbered(what))
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
        ways = [(ring, f"the second half of the {name} ring is the first")]
        yield from _each("slot-bit-lost", "RING-001", level, ways)
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
            # Before ENABLE a head is at its tail, where it cannot move.
            states = [s for s in range(5) if family == "any" or s != 0]
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
    yield from _each("words-outside", "LIFE-002", level, [(0, "words of ring 0 outside of memory")])
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


def _rare_streams() -> Iterator[Statement]:
    """What only some lines, or only some histories of a stream, show."""
    ways: list[Way]
    fields = [field for field in contract.FIELDS if field.offset >= 4]
    ways = [(f.offset, f.size, f"a line with the {f.name} of the one before it") for f in fields]
    yield from _each("again", "RING-006", _BOTH, [(0, 64, "a line like the one before it"), *ways])
    name = _OUTCOMES.__getitem__
    pairs = [(9, 9, 1), (8, 8, 7), (1, 1, 1), (7, 10, 6), (4, 6, 2), (10, 0, 5)]
    ways = [(16 * a + b, c, f"{name(c)} behind {name(a)} and {name(b)}") for a, b, c in pairs]
    yield from _each("third", "RING-006", ("stream",), ways)
    ways = [(o, 65536, f"more than 65536 of {name(o)}") for o in (1, 8, 9)]
    yield from _each("many", "RING-006", ("stream",), [*ways, (7, 255, "more than 255 STOPs")])
    ways = [(1, 1000, "more than 1000 pauses"), (1, 65536, "more than 65536 pauses")]
    yield from _each("many", "RING-006", ("device",), ways)
    ways = [(n, f"the last line of {n}") for n in (1, 2, 64, 255, 256, 257, 1024, 4096)]
    yield from _each("length", "RING-006", ("stream",), ways)
    ways = [
        (k, f"the order with a seed {what}") for k, what in enumerate(("> 1", "> 2^32", "even"))
    ]
    yield from _each("seed", "RING-007", ("stream",), ways)
    ways = [(n, f"the order from stream {n + 1} on") for n in (1, 3)]
    yield from _each("calls", "RING-007", ("stream",), ways)
    pairs_of_words = ((4, 8), (16, 24), (20, 28), (32, 48), (12, 40), (44, 56))
    ways = [(a, b, f"the words at {a} and {b} are equal") for a, b in pairs_of_words]
    yield from _each("equal", "DESC-014", ("stream",), ways)
    ways = [(v, 0, f"flags 0x{v:04x} of a NOP") for v in (0x9203, 0x0449, 0x7F00)]
    ways += [(v, o, f"flags 0x{v:04x} of {name(o)}") for v, o in ((0xC4, 6), (0xC0, 7), (0x80, 9))]
    yield from _each("flags", "FLAG-006", ("stream",), ways)


def _rare_devices() -> Iterator[Statement]:
    """What a device gets wrong after a history, in one state, or with one configuration."""
    ways: list[Way]
    what: Sequence[str]
    rules: Sequence[str]
    level = ("device",)
    what = ("halt", "RESET", "refused ENABLE", "pause", "RESUME")
    rules = ("LIFE-003", "LIFE-004", "LIFE-002", "LIFE-007", "LIFE-003")
    for k, (rule, name) in enumerate(zip(rules, what, strict=True)):
        yield from _each("nth", rule, level, [(k, n, f"the {n + 1}th {name}") for n in (19, 255)])
    what = ("a full ring", "a halt", "an idle device", "a pause")
    rules = ("RING-005", "LIFE-003", "RING-006", "LIFE-007")
    for k, (rule, name) in enumerate(zip(rules, what, strict=True)):
        times = [(k, 64, f"{name}, after 64 waits"), (k, 500, f"{name}, after 500 waits")]
        in_time = [] if k == 2 else [(k, -200, f"{name}, after 200 ms")]
        yield from _each("gives-up", rule, level, [*times, *in_time])
    ways = [(bit, f"bit {bit} of a base does not count") for bit in (6, 7)]
    yield from _each("base-bit", "RING-004", level, ways)
    ways = [(n, f"{n} bits of a base count") for n in (32, 34, 40, 48, 56, 62)]
    yield from _each("base-bits", "LIFE-002", level, ways)
    ways = [(0, "rings in another order are refused"), (1, "rings without a gap are refused")]
    yield from _each("ring-order", "LIFE-002", level, ways)
    ways = [(n, f"{n} bits of a size count") for n in (5, 6, 7)]
    yield from _each("size-bits", "LIFE-002", level, ways)
    checks = ("size 17", "alignment", "the window")
    ways = [(c + 1, 2, f"{n} of ring 2 is not checked") for c, n in enumerate(checks)]
    yield from _each("config", "LIFE-002", level, ways)
    ways = [(r, f"words of ring {r} outside of memory") for r in (1, 2)]
    yield from _each("words-outside", "LIFE-002", level, ways)
    ways = [(n, f"{n} bits of an address count") for n in (7, 8, 9, 10, 11)]
    yield from _each("address-bits", "DB-004", level, ways)
    states = {2: "paused", 3: "halted", 4: "without room"}
    for family, how in (("far", "without a limit"), ("back", "backward"), ("lost", "not noted")):
        ways = [(s, f"doorbell {how} while {n}") for s, n in states.items()]
        ways = [way for way in ways if (family, way[0]) not in (("back", 2), ("lost", 4))]
        yield from _each(f"doorbell-{family}", "DB-002", level, ways)
    ways = [(s, f"the lock is open while {n}") for s, n in states.items()]
    yield from _each("unlocked-in", "LIFE-006", level, ways)
    yield from _each("irq", "IRQ-001", level, [(3, "not of an error"), (4, "not of a halt")])
    ways = [(o, f"no event of {name}") for o, name in enumerate(_OUTCOMES)]
    yield from _each("no-completion-of", "IRQ-001", level, ways)
    pairs = [(0x30, 0x34), (0x34, 0x30), (0x38, 0x3C), (0x3C, 0x40), (0x2C, 0x30), (0x4C, 0x48)]
    for a, b in (*pairs, (0x20, 0x2C), (0x10, 0x4C)):
        rule = next(item.rule for item in contract.REGISTERS if item.offset == b)
        rule = "IRQ-001" if b == contract.OFFSET["IRQ_STATUS"] else rule
        yield from _each("clears", rule, level, [(a, b, f"writing 0x{a:x} clears 0x{b:x}")])
    ways = [(0x50, "REG-050"), (0x5C, "REG-05C")]
    for at, rule in ways:
        yield from _each("counter-bits", rule, level, [(at, 17, f"17 bits of 0x{at:x}")])


def statements() -> list[Statement]:
    """All of them."""
    return [*_lines(), *_streams(), *_devices(), *_rare_streams(), *_rare_devices()]
