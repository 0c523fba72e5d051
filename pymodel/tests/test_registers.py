# SPDX-License-Identifier: Apache-2.0
"""The register file: what each register reads, and which writes it takes."""

import hashlib
import json
from collections.abc import Callable

import pytest
from descring_model import GoldenDevice, GoldenLineDevice, contract, rules
from descring_model.registers import RegisterFile
from hypothesis import given
from hypothesis import strategies as st
from model_support import (
    BAD_CONFIG,
    BAD_DOORBELL,
    ENABLE,
    HALTED,
    IRQ_COMPLETION,
    IRQ_ERROR,
    IRQ_HALTED,
    PUBLISH_TAILS,
    READY,
    REQUIRE_CHECKED,
    RESET,
    RUNNING,
    SPLIT_REWARD,
    U32,
    Host,
)
from scalar_reference import NOP, PREFILL, STOP, Desc

# Offset and value after reset, from the table of section 7.
AT_RESET = {
    0x00: 0x474E5244,
    0x04: 2,
    0x08: 0,
    0x0C: 1,
    0x10: 0,
    0x14: 0,
    0x18: 0,
    0x1C: 0,
    0x20: 0,
    0x24: 0,
    0x28: 0,
    0x2C: 0,
    0x30: 0,
    0x34: 0,
    0x38: 0,
    0x3C: 0,
    0x40: 0,
    0x44: 0,
    0x48: 0,
    0x4C: 0,
    0x50: 0,
    0x54: 0,
    0x58: 0,
    0x5C: 0,
    0x60: 0,
    0x64: 0,
    0x7C: contract.CONTRACT_HASH,
}
CONFIG = (0x30, 0x34, 0x38, 0x3C, 0x40, 0x44)
INDICES = (0x14, 0x18, 0x1C, 0x20, 0x24, 0x28)
READ_ONLY = (0x00, 0x04, 0x14, 0x18, 0x1C, 0x24, 0x50, 0x54, 0x58, 0x5C, 0x60, 0x64, 0x7C)


def snapshot(device: GoldenDevice | GoldenLineDevice) -> dict[int, int]:
    """Every register's value."""
    return {offset: device.read32(offset) for offset in AT_RESET}


def test_registers_after_reset() -> None:
    """[LIFE-001] [REG-000] [REG-004] [REG-008] [REG-00C] [REG-010] Every register's value."""
    device = GoldenDevice(4096)
    assert snapshot(device) == AT_RESET
    assert not device.irq


def test_indices_after_reset_are_the_first_index() -> None:
    """[RING-012] [REG-014] [REG-018] [REG-01C] [REG-020] [REG-024] [REG-028] All six."""
    device = GoldenDevice(4096, first_index=U32 - 3)
    assert {offset: device.read32(offset) for offset in INDICES} == dict.fromkeys(INDICES, U32 - 3)


def test_identity() -> None:
    """[REG-000] [REG-004] The magic spells DRNG in memory order."""
    device = GoldenDevice(0)
    assert device.read32(0).to_bytes(4, "little") == b"DRNG"
    assert device.read32(4) == 2


def test_contract_hash() -> None:
    """[HASH-001] [REG-07C] The first 32 bits of SHA-256 over the canonical data."""
    data = contract.canonical()
    assert data == json.dumps(json.loads(data), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(data.encode()).digest()
    assert GoldenDevice(0).read32(0x7C) == int.from_bytes(digest[:4], "big")


def test_contract_hash_is_taken_over_the_meaning_of_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """[HASH-001] A number that changes changes the data; a word of prose does not."""
    before = contract.canonical()
    stop = contract.Value("OP-255", 255, "STOP", "in other words")
    monkeypatch.setattr(contract, "OPCODES", (*contract.OPCODES[:-1], stop))
    assert contract.canonical() == before
    monkeypatch.setattr(contract, "REWARD_INTERVAL", 64)
    assert contract.canonical() != before


def test_rule_ids_are_unique_and_complete() -> None:
    """Every rule of the data is a rule; ids are not given twice."""
    ids = [rule.rule for rule in rules.all_rules()]
    assert len(ids) == len(set(ids))
    assert {"DESC-001", "OP-255", "STAT-080", "REG-07C", "HASH-001"} <= set(ids)


@pytest.mark.parametrize("offset", READ_ONLY)
def test_read_only_register_ignores_writes(offset: int) -> None:
    """[DB-004] [REG-014] [REG-018] [REG-01C] [REG-024] Nothing changes anywhere."""
    host = Host()
    host.submit(Desc(), Desc(opcode=99))
    before = snapshot(host.device)
    for value in (0, 1, 0xFFFFFFFF):
        host.device.write32(offset, value)
        assert snapshot(host.device) == before


@given(st.one_of(st.integers(0, 0x200), st.integers(0, U32 - 1)), st.integers(0, U32 - 1))
def test_unknown_address_reads_0_and_ignores_writes(offset: int, value: int) -> None:
    """[DB-004] Also every address that is not a multiple of 4."""
    if offset in AT_RESET:
        offset += 1
    host = Host()
    host.submit(Desc())
    before = snapshot(host.device)
    assert host.device.read32(offset) == 0
    host.device.write32(offset, value)
    assert snapshot(host.device) == before
    assert host.device.read32(offset) == 0


@given(st.sampled_from(CONFIG), st.integers(0, U32 - 1))
def test_base_registers_hold_what_was_written(offset: int, value: int) -> None:
    """[REG-030] [REG-034] [REG-038] [REG-03C] [REG-040] [REG-044] Each of them alone."""
    device = GoldenDevice(4096)
    device.write32(offset, value)
    assert snapshot(device) == AT_RESET | {offset: value}


def test_bits_without_a_meaning_read_0() -> None:
    """[DB-004] [REG-02C] [REG-04C] [REG-008] Ones written read back where they mean something."""
    device = GoldenDevice(4096)
    for offset, bits in ((0x2C, 0x00FFFFFF), (0x4C, 0x7)):
        device.write32(offset, U32 - 1)
        assert device.read32(offset) == bits
    device.write32(0x08, (U32 - 1) & ~(ENABLE | RESET))
    assert device.read32(0x08) == SPLIT_REWARD | REQUIRE_CHECKED | PUBLISH_TAILS


def test_self_clearing_bits_read_0() -> None:
    """[REG-008] RESUME and RESET are gone at once, the modes stay."""
    host = Host(mode=SPLIT_REWARD)
    host.write("CTRL", ENABLE | SPLIT_REWARD | 4)
    assert host.read("CTRL") == ENABLE | SPLIT_REWARD


def test_doorbell_register_reads_0() -> None:
    """[REG-010] [REG-018] The accepted tail is read from CMD_TAIL."""
    host = Host()
    host.submit(Desc(), Desc())
    assert (host.read("DOORBELL"), host.read("CMD_TAIL")) == (0, 2)


def test_status_shows_running_and_halted() -> None:
    """[REG-00C] READY always, RUNNING while enabled and not halted."""
    host = Host()
    assert host.read("STATUS") == READY | RUNNING
    host.submit(Desc(opcode=STOP))
    assert host.read("STATUS") == READY | HALTED
    host.resume()
    assert host.read("STATUS") == READY | RUNNING
    host.write("CTRL", 0)
    assert host.read("STATUS") == READY


def test_error_bits_are_cleared_one_by_one() -> None:
    """[REG-00C] [IRQ-001] Writing 1 clears that bit, 0 none, and no other bit can be written."""
    host = Host()
    host.write("CTRL", RESET)
    host.write("DOORBELL", 5)
    host.write("CTRL", ENABLE)
    assert host.read("STATUS") == READY | BAD_CONFIG | BAD_DOORBELL
    host.write("STATUS", 0)
    host.write("STATUS", 0xF)
    assert host.read("STATUS") == READY | BAD_CONFIG | BAD_DOORBELL
    host.write("STATUS", BAD_CONFIG)
    assert host.read("STATUS") == READY | BAD_DOORBELL
    host.write("STATUS", BAD_DOORBELL)
    assert host.read("STATUS") == READY


def test_events_raise_their_interrupt_bits() -> None:
    """[IRQ-001] [REG-048] Completion, halt, error: each its own bit, cleared by writing 1."""
    host = Host()
    seen = []
    acts: list[Callable[[], None]] = [
        lambda: host.submit(Desc()),
        lambda: host.write("DOORBELL", 99),
        lambda: host.submit(Desc(opcode=STOP)),
    ]
    for act in acts:
        act()
        seen.append(host.read("IRQ_STATUS"))
        host.write("IRQ_STATUS", 0)
        assert host.read("IRQ_STATUS") == seen[-1]
        host.write("IRQ_STATUS", seen[-1])
        assert host.read("IRQ_STATUS") == 0
    assert seen == [IRQ_COMPLETION, IRQ_ERROR, IRQ_COMPLETION | IRQ_HALTED]


def test_every_error_event_counts_though_its_bit_is_set() -> None:
    """[IRQ-001] A second bad doorbell is an event, also while STATUS still shows the first."""
    host = Host()
    host.write("DOORBELL", 99)
    host.write("IRQ_STATUS", IRQ_ERROR)
    host.write("DOORBELL", 99)
    assert host.read("IRQ_STATUS") == IRQ_ERROR


def test_clearing_one_interrupt_keeps_the_others() -> None:
    """[IRQ-001] [REG-048] Only the bits that were written."""
    host = Host()
    host.submit(Desc(), Desc(opcode=STOP))
    host.write("IRQ_STATUS", IRQ_COMPLETION)
    assert host.read("IRQ_STATUS") == IRQ_HALTED


def test_refused_enable_is_an_error_event() -> None:
    """[IRQ-001] [LIFE-002] BAD_CONFIG raises the interrupt's error bit too."""
    device = GoldenDevice(4096)
    device.write32(0x08, ENABLE)
    assert device.read32(0x48) == IRQ_ERROR


@pytest.mark.parametrize("mask", range(8))
def test_interrupt_is_high_while_an_unmasked_event_is_set(mask: int) -> None:
    """[IRQ-001] [REG-04C] The mask gates the line, not the bits."""
    host = Host()
    host.write("IRQ_MASK", mask)
    assert not host.device.irq
    host.submit(Desc(opcode=STOP))
    assert host.read("IRQ_STATUS") == IRQ_COMPLETION | IRQ_HALTED
    assert host.device.irq == bool(mask & (IRQ_COMPLETION | IRQ_HALTED))
    host.write("IRQ_STATUS", IRQ_COMPLETION | IRQ_HALTED)
    assert not host.device.irq


def test_counters_count_what_was_posted() -> None:
    """[CNT-001] [REG-050] [REG-054] [REG-05C] Completions, decoded tokens, errors."""
    host = Host(cmd=3, done=3)
    host.submit(Desc(max_tokens=20), Desc(opcode=77), Desc(max_tokens=40), Desc(opcode=NOP))
    assert host.read("CNT_DESCRIPTORS") == 4
    assert host.read("CNT_TOKENS_LO") == 52
    assert host.read("CNT_ERRORS") == 1


def test_counters_wait_for_the_posting() -> None:
    """[CNT-001] [RING-005] [REG-060] What found no room has not been counted; the wait has."""
    host = Host(cmd=3, done=1)
    host.submit(*[Desc(max_tokens=3)] * 3, Desc(opcode=9))
    assert host.read("CNT_DESCRIPTORS") == 2
    assert host.read("CNT_TOKENS_LO") == 6
    assert host.read("CNT_ERRORS") == 0
    assert host.read("CNT_STALL_CYCLES") > 0
    host.poll()
    assert host.read("CNT_DESCRIPTORS") == 4
    assert host.read("CNT_ERRORS") == 1


def test_no_stall_is_counted_where_there_was_room() -> None:
    """[REG-060] [RING-005] Filling the last slot is no stall."""
    host = Host(cmd=2, done=2)
    host.submit(*[Desc()] * 4)
    assert host.read("CNT_STALL_CYCLES") == 0


def test_refused_and_prefilled_lines_count_no_tokens() -> None:
    """[CNT-001] [OP-011] Only DECODE makes tokens."""
    host = Host()
    host.submit(Desc(opcode=PREFILL, max_tokens=1000), Desc(opcode=77, max_tokens=1000))
    assert host.read("CNT_TOKENS_LO") == 0


def test_counters_wrap_and_token_pair_is_one_value() -> None:
    """[CNT-001] [REG-050] [REG-058] [REG-05C] [REG-064] Reading LO captures HI."""
    host = Host()
    counters = host.device._core.counters  # 2^32 descriptors would take an hour to post
    counters.descriptors = counters.errors = U32 - 1
    counters.tokens = U32 - 2
    counters.stalls = host.device._bad_doorbells = U32 - 1
    for name in ("DESCRIPTORS", "ERRORS", "STALL_CYCLES", "BAD_DOORBELLS"):
        assert host.read(f"CNT_{name}") == U32 - 1, "all 32 bits"
    host.write("DOORBELL", 99)
    assert host.read("CNT_BAD_DOORBELLS") == 0
    host.submit(Desc(opcode=9), Desc(max_tokens=1))
    assert host.read("CNT_DESCRIPTORS") == 1
    assert host.read("CNT_ERRORS") == 0
    assert host.read("CNT_TOKENS_LO") == U32 - 1
    host.submit(Desc(max_tokens=6))
    assert host.read("CNT_TOKENS_HI") == 0
    assert host.read("CNT_TOKENS_LO") == 5
    assert host.read("CNT_TOKENS_HI") == 1


def test_bad_doorbells_are_counted() -> None:
    """[REG-064] [DB-002] Good ones and repeated ones are not."""
    host = Host()
    host.submit(Desc())
    host.ring()
    for tail in (0, 6, U32 - 1):
        host.write("DOORBELL", tail)
    assert host.read("CNT_BAD_DOORBELLS") == 3


@pytest.mark.parametrize("missing", ["_make_port", "_config_is_good"])
def test_device_of_another_kind_must_say_what_it_is(missing: str) -> None:
    """Registers alone are no device: it has a port, and a check of its configuration."""
    own = {"_make_port": lambda _: None, "_config_is_good": lambda _: True}
    del own[missing]
    with pytest.raises(TypeError, match=f"abstract method '?{missing}"):
        type("Device", (RegisterFile,), own)(0)


@pytest.mark.parametrize("bad", [-1, U32, 1.5, "8"])
def test_accesses_are_u32(bad: object) -> None:
    """An address or a value that no bus could carry is the caller's error."""
    device = GoldenDevice(0)
    with pytest.raises(ValueError, match="register offset must be"):
        device.read32(bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="register value must be"):
        device.write32(0x4C, bad)  # type: ignore[arg-type]


def test_closed_device_refuses_accesses() -> None:
    """It raises an error; closing twice is harmless."""
    device = GoldenDevice(0)
    device.wait(0)
    with pytest.raises(ValueError, match="timeout_s must be 0 or more"):
        device.wait(-1)
    device.close()
    device.close()
    for act in (lambda: device.read32(0), lambda: device.write32(8, 0), lambda: device.wait(0)):
        with pytest.raises(RuntimeError, match="closed"):
            act()
