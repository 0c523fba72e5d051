# SPDX-License-Identifier: Apache-2.0
"""Device tests of section 7's registers: values after reset, access, and use."""

from __future__ import annotations

from descring_model import contract

from descring_sim.conform.lockstep import COMPARED, CTRL, IRQ, REG, STATUS
from descring_sim.conform.suite.bench import RULE_OF, Bench
from descring_sim.conform.suite.declare import MODES, device_test
from descring_sim.conform.suite.vector import U32

_PATTERNS = (U32, 0, 0xA5A5_5A5A, 0x0F0F_F0F0)
_BY_NAME = contract.REGISTER
_STALL_ROUNDS = 20


def _work(bench: Bench) -> None:
    """A little of everything: completions in both rings, an error, an ignored doorbell, a STOP."""
    bench.start(4, 4, 4, "SPLIT_REWARD")
    lines = bench.lines(10)
    if "DECODE" in bench.capabilities.opcodes:
        lines["opcode"][:4] = contract.OPCODE["DECODE"]
        lines["seq_len"][:4], lines["max_tokens"][:4] = (7, 31, 64, 90), (99, 32, 70, 91)
        lines["flags"][:4] = 0
    lines["opcode"][4], lines["flags"][4] = 0x0D0D, 0
    bench.submit(lines)
    bench.rest(registers=())
    bench.ring(bench.tail + 100)
    bench.take(3)


def _unclaimed_modes(bench: Bench) -> int:
    granted = bench.capabilities.tokens()
    return sum(CTRL[mode] for mode, token in MODES.items() if token not in granted)


def _declare_register(name: str) -> None:
    register = _BY_NAME[name]

    def after_reset(bench: Bench) -> None:
        wanted = bench.capabilities.reset_value(register)
        if name in ("CMD_HEAD", "CMD_TAIL") or name.endswith(("_TAIL", "_HEAD")):
            wanted = bench.first_index
        bench.check(f"{name} after power-up", wanted, bench.read(name))
        if name != "CTRL":
            bench.write(name, 0xA5A5_A5A4)
            bench.reset()
            bench.check(f"{name} after a write and CTRL.RESET", wanted, bench.read(name))
        _work(bench)
        bench.reset()
        bench.rest(registers=())
        bench.check(f"{name} after CTRL.RESET", wanted, bench.read(name))

    after_reset.__doc__ = f"{name} has its reset value at first and after CTRL.RESET"
    device_test(register.rule, "split_reward", smoke=True)(after_reset)

    def access(bench: Bench) -> None:
        for pattern in (*_PATTERNS, int(bench.rng.integers(0, 1 << 32))):
            if name == "CTRL":
                pattern &= U32 ^ CTRL["RESET"] ^ _unclaimed_modes(bench)
            bench.write(name, pattern)
            bench.same(name, register.rule)
        for other in COMPARED:
            bench.same(other, register.rule, RULE_OF[other])

    access.__doc__ = f"{name} keeps, clears or ignores what is written, and moves no other register"
    device_test(register.rule)(access)

    def in_use(bench: Bench) -> None:
        _work(bench)
        bench.rest(memory=False, registers=("CMD_HEAD", "DONE_TAIL"))
        bench.same(name, register.rule)

    in_use.__doc__ = f"{name} reads what it must after completions, an error and a bad doorbell"
    if name not in ("CNT_STALL_CYCLES", "DOORBELL"):
        device_test(register.rule, "split_reward", smoke=True)(in_use)


for _register in contract.REGISTERS:
    _declare_register(_register.name)


@device_test("REG-010", smoke=True)
def doorbell_is_taken(bench: Bench) -> None:
    """A write to DOORBELL publishes lines, and reads 0."""
    bench.start()
    bench.submit(bench.lines(3))
    bench.rest("REG-010", "DB-001")
    bench.check("DOORBELL", 0, bench.read("DOORBELL"))


@device_test("REG-060", smoke=True)
def stalls_are_counted(bench: Bench) -> None:
    """CNT_STALL_CYCLES is above 0 once a completion has waited for room."""
    bench.start(3, 1, 1)
    for _ in range(_STALL_ROUNDS):
        bench.submit(bench.lines(5, [bench.draw.echo_opcode()]))
        # A device that is slow, or shares its processor, may not have begun to wait when the host
        # takes; and it may count a completion's waiting only once that is over.
        bench.quiet()
        for _ in range(3):
            bench.take()
            bench.rest()
        if bench.read("CNT_STALL_CYCLES"):
            break
    bench.check("CNT_STALL_CYCLES > 0", 1, int(bench.read("CNT_STALL_CYCLES") > 0))


@device_test("LIFE-001", smoke=True)
def all_at_reset(bench: Bench) -> None:
    """After reset the device is disabled, READY, with all indices and counters at their start."""
    for name in COMPARED:
        bench.same(name, "LIFE-001", RULE_OF[name])
    bench.check("CNT_STALL_CYCLES", 0, bench.read("CNT_STALL_CYCLES"))


@device_test("DB-004", smoke=True)
def unknown_addresses(bench: Bench) -> None:
    """Unknown and odd addresses read 0 and ignore writes; no register moves."""
    known = set(REG.values())
    free = [offset for offset in range(0, 0x100) if offset not in known]
    chosen = bench.rng.choice(free, 60, replace=False).tolist()
    for offset in (*chosen, 0x68, 0x6C, 0x70, 0x74, 0x78, 0xFFC, 0x2D, 0x09, 0x12):
        bench.write(int(offset), U32)
        bench.check(f"address 0x{int(offset):x}", 0, bench.read(int(offset)))
    bench.rest()


@device_test("DB-004")
def read_only_registers(bench: Bench) -> None:
    """Read-only registers ignore writes, at rest and with work done."""
    for _ in range(2):
        for register in contract.REGISTERS:
            if register.access == "ro":
                bench.write(register.name, int(bench.rng.integers(0, 1 << 32)))
        bench.rest("DB-004")
        bench.start()
        bench.submit(bench.lines(4))
        bench.rest(registers=())


@device_test("DB-004")
def bits_without_a_meaning(bench: Bench) -> None:
    """Bits that have no meaning read 0, whatever is written."""
    for register in contract.REGISTERS:
        if register.access in ("rw", "w1c", "mixed") and register.bits:
            value = U32
            if register.name == "CTRL":
                value ^= CTRL["RESET"] | _unclaimed_modes(bench)
            bench.write(register.name, value)
            meant = sum(field.mask for field in register.bits)
            actual = bench.read(register.name) & ~meant & U32
            bench.check(f"{register.name}, bits without a meaning", 0, actual)


@device_test("HASH-001", smoke=True)
def hash_of_the_contract(bench: Bench) -> None:
    """CONTRACT_HASH is the hash of the contract by which the device is judged."""
    wanted = bench.capabilities.reset_value(contract.REGISTER["CONTRACT_HASH"])
    bench.check("CONTRACT_HASH", wanted, bench.read("CONTRACT_HASH"))


@device_test("REG-00C", smoke=True)
def status_bits_one_by_one(bench: Bench) -> None:
    """A write clears the error bits that are 1 in it, and leaves the others as they are."""
    both = STATUS["BAD_CONFIG"] | STATUS["BAD_DOORBELL"]
    for cleared in (0, STATUS["BAD_CONFIG"], STATUS["BAD_DOORBELL"], both, U32, both ^ U32):
        bench.write("RING_LOG2", 0)
        bench.write("CTRL", CTRL["ENABLE"])
        bench.ring(bench.tail + 1)
        bench.same("STATUS", "REG-00C", "LIFE-002", "DB-002")
        bench.write("STATUS", cleared)
        bench.same("STATUS")
        bench.write("STATUS", U32)
        bench.same("STATUS")


@device_test("IRQ-001", smoke=True)
def events_and_clearing(bench: Bench) -> None:
    """Completion, halt and error set their bits; writing 1 clears that bit and no other."""
    bench.start()
    bench.submit(bench.lines(2))
    bench.rest("IRQ-001", memory=False, registers=("IRQ_STATUS",))
    bench.ring(bench.tail - 1)
    bench.same("IRQ_STATUS")
    for mask in (IRQ["HALTED"], IRQ["ERROR"], U32):
        bench.write("IRQ_STATUS", mask)
        bench.same("IRQ_STATUS")


@device_test("IRQ-001", "opcode:STOP")
def halt_is_an_event(bench: Bench) -> None:
    """A STOP sets the bit HALTED, which stays clear once it is cleared."""
    bench.start()
    bench.submit(bench.lines(1, ["STOP"]))
    bench.rest("IRQ-001", memory=False, registers=("IRQ_STATUS",))
    bench.write("IRQ_STATUS", IRQ["HALTED"] | IRQ["COMPLETION"])
    bench.same("IRQ_STATUS")


@device_test("IRQ-001")
def repeated_events(bench: Bench) -> None:
    """Each ignored doorbell and refused ENABLE is an event, also while its STATUS bit stands."""
    bench.write("CTRL", CTRL["ENABLE"])
    for _ in range(3):
        bench.same("IRQ_STATUS")
        bench.check("STATUS.BAD_CONFIG", STATUS["BAD_CONFIG"], bench.read("STATUS") & 0x700)
        bench.write("IRQ_STATUS", U32)
        bench.same("IRQ_STATUS")
        bench.write("CTRL", CTRL["ENABLE"])
    bench.start()
    for _ in range(2):
        bench.write("IRQ_STATUS", U32)
        bench.ring(bench.tail - 5)
        bench.same("IRQ_STATUS")


@device_test("IRQ-001", "interrupt", smoke=True)
def level_of_the_interrupt(bench: Bench) -> None:
    """The interrupt is high while a bit is set in both IRQ_STATUS and IRQ_MASK."""
    bench.start()
    bench.submit(bench.lines(2))
    bench.rest(memory=False, registers=("IRQ_STATUS",))
    for mask in (0, IRQ["HALTED"], IRQ["COMPLETION"], U32, 0):
        bench.write("IRQ_MASK", mask)
        bench.interrupt()
    bench.write("IRQ_MASK", U32)
    bench.write("IRQ_STATUS", U32)
    bench.interrupt()


@device_test("CNT-001", smoke=True)
def counters_at_rest(bench: Bench) -> None:
    """Descriptors, tokens and errors are those of the stream."""
    bench.start(5, 5, 5)
    for _ in range(3):
        lines = bench.lines(24)
        lines["opcode"][::6], lines["flags"][::6] = 0x0B0B, 0
        bench.submit(lines)
        bench.rest(registers=())
        bench.take()
    for name in ("CNT_DESCRIPTORS", "CNT_TOKENS_LO", "CNT_TOKENS_HI", "CNT_ERRORS"):
        bench.same(name, "CNT-001", RULE_OF[name])


@device_test("CNT-001", "opcode:PREFILL", "opcode:REWARD")
def only_decode_counts_tokens(bench: Bench) -> None:
    """PREFILL, REWARD and refused lines count no tokens."""
    bench.start(4, 4, 4)
    lines = bench.draw.lines(12, ["PREFILL", "REWARD"])
    lines["seq_len"], lines["max_tokens"] = 3, 77
    bench.submit(lines)
    bench.rest(registers=())
    bench.check("CNT_TOKENS_LO", 0, bench.read("CNT_TOKENS_LO"), "CNT-001", "OP-011")
