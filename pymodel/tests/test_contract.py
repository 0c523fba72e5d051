# SPDX-License-Identifier: Apache-2.0
"""The contracts as data: layouts of memory, access to bit fields, sections of rules."""

from collections.abc import Callable, Sequence

import pytest
from descring_model import GoldenDevice, contract, rules
from descring_model.engine import rules as engine_rules
from descring_model.rollouts import rules as rollout_rules
from descring_model.rule import Rule
from model_support import U32

ACCESS = {
    "CTRL": {"RESET": "self-clearing", "RESUME": "self-clearing", "": "rw"},
    "STATUS": {"BAD_CONFIG": "w1c", "BAD_DOORBELL": "w1c", "BUS_ERROR": "w1c", "": "ro"},
    "RING_LOG2": {"": "rw"},
    "IRQ_STATUS": {"": "w1c"},
    "IRQ_MASK": {"": "rw"},
}
"""How the bit fields of each register are accessed, by name and those without an entry."""
FIELDS = [(item, bits) for item in contract.REGISTERS for bits in item.bits]


def test_lines_and_the_indices_of_a_ring_have_cache_lines_of_their_own() -> None:
    """[RING-004] [DESC-015] A descriptor is one; head, tail and slot 0 lie at the start of one."""
    size = contract.DESC_BYTES
    assert size == contract.CACHE_LINE_BYTES
    places = (contract.RING_HEAD_OFFSET, contract.RING_TAIL_OFFSET, contract.RING_SLOTS_OFFSET)
    assert [divmod(place, size) for place in places] == [(0, 0), (1, 0), (2, 0)]


def test_fields_of_the_descriptor_fill_it_without_padding() -> None:
    """[DESC-014] Each aligned to its size, one behind the other; tag and checksum are the last."""
    end = 0
    for item in contract.FIELDS:
        assert (item.offset, item.offset % item.size, item.bits) == (end, 0, 8 * item.size)
        end += item.size
    assert (end, 8 * end) == (contract.DESC_BYTES, contract.DESC_BITS)
    assert contract.CRC_BYTES == contract.CRC_OFFSET == end - 4
    assert contract.TAG_OFFSET == contract.CRC_OFFSET - 4


@pytest.mark.parametrize(("register", "bits"), FIELDS, ids=lambda item: item.name)
def test_access_of_a_bit_field_is_what_a_device_does(
    register: contract.Register, bits: contract.Bits
) -> None:
    """[DB-004] [REG-008] [REG-00C] [REG-02C] [REG-048] [REG-04C] Ones read back where it is rw."""
    known = ACCESS[register.name]
    access = register.access_of(bits)
    assert access == known.get(bits.name, known[""])
    device = GoldenDevice(4096)
    for name in ("CMD_BASE_LO", "DONE_BASE_LO", "REWARD_BASE_LO"):
        device.write32(contract.OFFSET[name], 1024)
    if register.name != "RING_LOG2":
        device.write32(contract.OFFSET["RING_LOG2"], 0x010101)
    before = device.read32(register.offset) & bits.mask
    device.write32(register.offset, bits.mask)
    assert device.read32(register.offset) & bits.mask == (bits.mask if access == "rw" else before)


@pytest.mark.parametrize(
    ("found", "sections", "prefixes"),
    [
        (
            rules.all_rules,
            rules.SECTIONS,
            {1: "DESC", 2: "OP", 3: "FLAG ERR STAT", 4: "DEC", 5: "RING", 6: "LIFE"}
            | {7: "DB REG IRQ CNT HASH"},
        ),
        (
            rollout_rules.all_rules,
            rollout_rules.SECTIONS,
            {1: "ROLL", 2: "PIPE", 3: "WIN", 4: "SCHED", 5: "KV", 6: "COW", 7: "RWD", 8: "LOG"}
            | {9: "MET", 10: "TRC"},
        ),
        (
            engine_rules.all_rules,
            engine_rules.SECTIONS,
            {1: "NUM", 2: "STATE", 3: "ATT", 4: "SAMP", 5: "REC"},
        ),
    ],
    ids=["hardware", "rollouts", "engine"],
)
def test_rules_stand_in_the_section_of_their_prefix(
    found: Callable[[], Sequence[Rule]], sections: dict[int, object], prefixes: dict[int, str]
) -> None:
    """Every one, in the order of the sections; a page has no section without a heading."""
    section_of = {name: number for number, names in prefixes.items() for name in names.split()}
    listed = found()
    assert {rule.rule: rule.section for rule in listed} == {
        rule.rule: section_of[rule.rule.split("-")[0]] for rule in listed
    }
    numbers = [rule.section for rule in listed]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(prefixes) <= set(sections)


def test_hash_is_of_32_bits_and_of_no_earlier_version() -> None:
    """[HASH-001] [REG-07C] A device of another version is told from one of this."""
    assert 0 <= contract.CONTRACT_HASH < U32
    assert contract.CONTRACT_HASH not in contract.EARLIER_HASHES.values()
    assert set(contract.EARLIER_HASHES) == set(range(1, contract.VERSION))
