# SPDX-License-Identifier: Apache-2.0
"""Which rule a wrong completion breaks: from submission, expected and actual completion.

A difference has an *aspect*, the field it lies in or ``order``, ``count`` or ``ring``, and the
rules that it breaks, the most telling first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from descring_model import Lines, contract

from descring_sim.conform.suite.vector import FLAG, OPCODE, U32

_RESULTS = {
    "NEEDS_REWARD": "FLAG-000",
    "DONE": "FLAG-001",
    "STOPPED": "FLAG-003",
    "ERROR": "FLAG-004",
}
_RESULT_MASK = sum(FLAG[name] for name in _RESULTS)
_OPCODE_RULE = {item.value: item.rule for item in contract.OPCODES}
_CODES = {item.value: item for item in contract.ERROR_CODES}
_CHECK_RULE = {"BAD_CHECKSUM": "DESC-020", "BAD_TAG": "DESC-022", "BAD_OPCODE": "OP-ERR"}
_FIELD_RULE = {item.name: item.rule for item in contract.FIELDS}


@dataclass(frozen=True)
class Diagnosis:
    """Where a difference lies, and the rules that it breaks."""

    aspect: str
    rules: tuple[str, ...]


def _code(flags: int) -> int:
    return flags >> contract.ERROR_CODE_SHIFT


def decode_rule(seq_len: int, max_tokens: int) -> str:
    """The rule of section 4 that decides a DECODE of these lengths."""
    if seq_len >= max_tokens:
        return "DEC-001"
    boundary = (seq_len // contract.REWARD_INTERVAL + 1) * contract.REWARD_INTERVAL
    if boundary > U32:
        return "DEC-004"
    return "DEC-003" if boundary == max_tokens else "DEC-002"


def _behaviour(submitted: np.void) -> tuple[str, ...]:
    """The rules that decide the outcome of an accepted line."""
    opcode = int(submitted["opcode"])
    rules = [_OPCODE_RULE.get(opcode, "OP-ERR")]
    if opcode == OPCODE["DECODE"]:
        rules.insert(0, decode_rule(int(submitted["seq_len"]), int(submitted["max_tokens"])))
    if opcode == OPCODE["ROLLOUT"]:
        rules.insert(0, "DEC-006")
    if opcode == OPCODE["REWARD"]:
        rules.insert(0, "OP-010")
    if opcode == OPCODE["PREFILL"]:
        rules.insert(0, "OP-011")
    return tuple(rules)


def _refusal(submitted: np.void, wanted: int, got: int) -> tuple[str, ...]:
    """One or both of the flags have ERROR, and they differ in that or in the code."""
    checked = int(submitted["flags"]) & FLAG["CHECKED"]
    expected, actual = _code(wanted), _code(got)
    both = wanted & got & FLAG["ERROR"]
    if both and actual & ~expected & _code(int(submitted["flags"])):
        return "FLAG-010", "FLAG-008", _CODES[expected].rule
    if both and actual not in _CODES:
        return _CODES[expected].rule, "FLAG-008"
    if wanted & FLAG["ERROR"]:
        name = _CODES[expected].name
        rule = "DESC-025" if name == "BAD_CHECKSUM" and not checked else _CHECK_RULE[name]
        return ("ERR-011", rule) if both else (rule, "ERR-011")
    if actual not in _CODES:
        return "FLAG-004", "FLAG-008"
    name = _CODES[actual].name
    if name == "BAD_OPCODE":
        return _OPCODE_RULE.get(int(submitted["opcode"]), "OP-ERR"), "FLAG-004"
    if not checked:
        return "DESC-021", "FLAG-005"
    return (_CHECK_RULE[name],)


def _flags(submitted: np.void, wanted: int, got: int) -> tuple[str, ...]:
    differs = wanted ^ got
    results = [name for name in _RESULTS if got & FLAG[name]]
    expected = next(name for name in _RESULTS if wanted & FLAG[name])
    if not results:
        return _RESULTS[expected], "FLAG-011"
    if len(results) > 1:
        stale = got & ~wanted & int(submitted["flags"]) & contract.DEVICE_OWNED_FLAGS
        return ("FLAG-010", "FLAG-011") if stale else ("FLAG-011", _RESULTS[expected])
    if differs & FLAG["ERROR"] or (wanted & got & FLAG["ERROR"] and _code(differs)):
        return _refusal(submitted, wanted, got)
    if differs & _RESULT_MASK:
        return _behaviour(submitted)
    if _code(differs):
        stale = _code(got) & _code(int(submitted["flags"]))
        return ("FLAG-010", "FLAG-008", "FLAG-011") if stale else ("FLAG-008", "FLAG-011")
    if differs & FLAG["CHECKED"]:
        given = int(submitted["flags"]) & FLAG["CHECKED"]
        return ("FLAG-005", "FLAG-010") if given or not wanted & FLAG["CHECKED"] else ("DESC-025",)
    rule = "FLAG-002" if differs & FLAG["COW_PREFIX"] else "FLAG-006"
    return rule, "FLAG-010", "DESC-014"


def diagnose_line(submitted: np.void, expected: np.void, actual: np.void) -> Diagnosis:
    """Diagnose a completion that is not the expected one; the two must differ."""
    wanted, got = int(expected["flags"]), int(actual["flags"])
    opcode = int(submitted["opcode"])
    error = wanted & FLAG["ERROR"]
    if _is_shuffled(expected, actual):
        return Diagnosis("bytes", ("DESC-015",))
    if wanted != got:
        return Diagnosis("flags", _flags(submitted, wanted, got))
    name = next(n for n in expected.dtype.names or () if expected[n] != actual[n])
    field = _FIELD_RULE[name]
    if error and name != "checksum_or_cookie":
        return Diagnosis(name, ("ERR-010", field, "DESC-014"))
    if name == "seq_len" and opcode in (OPCODE["DECODE"], OPCODE["PREFILL"], OPCODE["ROLLOUT"]):
        return Diagnosis(name, _behaviour(submitted))
    if name == "reserved0" and opcode == OPCODE["REWARD"]:
        return Diagnosis(name, _behaviour(submitted))
    if name == "reserved0" and opcode == OPCODE["ROLLOUT"]:
        return Diagnosis(name, ("DEC-007", "OP-010", "OP-004"))
    if name == "checksum_or_cookie":
        if not wanted & FLAG["CHECKED"]:
            rules = ("ERR-010", "DESC-021") if error else ("DESC-021",)
            return Diagnosis(name, (*rules, field, "DESC-014"))
        given = int(submitted["flags"]) & FLAG["CHECKED"]
        return Diagnosis(name, ("DESC-023",) if given else ("DESC-025", "DESC-023"))
    return Diagnosis(name, (field, "DESC-014"))


def _is_shuffled(expected: np.void, actual: np.void) -> bool:
    """Whether the bytes are those expected, at other places: an endianness or lane error."""
    wanted = np.frombuffer(expected.tobytes(), np.uint8)
    got = np.frombuffer(actual.tobytes(), np.uint8)
    moved = np.count_nonzero(wanted != got)
    same = np.array_equal(np.sort(wanted), np.sort(got))
    return bool(same and moved >= 8 and len(np.unique(wanted)) > 8)


def diagnose_stream(
    submitted: Lines, expected: Lines, actual: Lines, row: int, other_ring: Lines
) -> Diagnosis:
    """Diagnose the first differing line of a ring.

    Args:
        submitted: the submissions that belong to ``expected``, line by line.
        expected: what the ring should hold.
        actual: what it held.
        row: where they first differ; it may be behind the end of one of them.
        other_ring: the completions of the other ring.
    """
    here = expected[row] if row < len(expected) else None
    there = actual[row] if row < len(actual) else None
    if here is not None and there is not None and _same_line(here, there):
        return diagnose_line(submitted[row], here, there)
    wanted_ids, actual_ids = expected["user_data"], actual["user_data"]
    if len(wanted_ids) == len(actual_ids) and np.array_equal(
        np.sort(wanted_ids), np.sort(actual_ids)
    ):
        return Diagnosis("order", ("RING-007",))
    if here is not None and here["user_data"] in other_ring["user_data"]:
        return Diagnosis("ring", ("RING-008",))
    if there is not None and there["user_data"] not in wanted_ids:
        if len(wanted_ids) != len(actual_ids):
            return Diagnosis("ring", ("RING-008",))
        return diagnose_line(submitted[row], expected[row], there)
    return Diagnosis("count", ("RING-006",))


def _same_line(expected: np.void, actual: np.void) -> bool:
    """Whether both are the same line at all, right or wrong, and not one in another's place."""
    differing = differing_bytes(expected.tobytes(), actual.tobytes())
    return len(differing) <= contract.DESC_BYTES // 2 or _is_shuffled(expected, actual)


def differing_bytes(expected: bytes, actual: bytes) -> list[int]:
    """The offsets at which two lines differ."""
    pair = np.frombuffer(expected + actual, np.uint8).reshape(2, -1)
    return [int(offset) for offset in np.flatnonzero(pair[0] != pair[1])]
