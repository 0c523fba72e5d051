# SPDX-License-Identifier: Apache-2.0
"""Comparing lines byte by byte, and rendering them for people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from descring_model import contract
from descring_model.lines import Lines, as_lines, line_bytes

_OPCODE_NAMES = {item.value: item.name for item in contract.OPCODES}
_ERROR_NAMES = {item.value: item.name for item in contract.ERROR_CODES}
_COMPARE_CHUNK = 65536
_LENGTH = "length"


@dataclass(frozen=True)
class Difference:
    """Where two streams first differ.

    ``field`` is a field of the contract and ``offset`` the first differing byte of the line; or
    ``field`` is ``length``, and the values are the lengths of the streams.
    """

    index: int
    field: str
    offset: int
    expected: int
    actual: int

    def __str__(self) -> str:
        if self.field == _LENGTH:
            return (
                f"line {self.index}: the streams end at different places: "
                f"expected {self.expected} lines, actual {self.actual}"
            )
        digits = 2 * contract.FIELD[self.field].size
        return (
            f"line {self.index}: {self.field} differs from byte {self.offset} on: "
            f"expected 0x{self.expected:0{digits}x}, actual 0x{self.actual:0{digits}x}"
        )


def first_difference(expected: Lines, actual: Lines) -> Difference | None:
    """The first byte in which two streams differ, or None; a missing line is a difference.

    Args:
        expected: ``(n,)`` of DESC_DTYPE or ``(n, 64)`` uint8.
        actual: ``(m,)`` likewise.

    Raises:
        ValueError: arrays of another shape or dtype.
    """
    wanted, got = as_lines(expected), as_lines(actual)
    common = min(len(wanted), len(got))
    for start in range(0, common, _COMPARE_CHUNK):
        part = slice(start, min(start + _COMPARE_CHUNK, common))
        differs = line_bytes(wanted[part]) != line_bytes(got[part])
        rows = differs.any(axis=1)
        if not rows.any():
            continue
        row = int(np.argmax(rows))
        offset = int(np.argmax(differs[row]))
        field = next(
            item for item in contract.FIELDS if item.offset <= offset < item.offset + item.size
        )
        index = start + row
        return Difference(
            index, field.name, offset, int(wanted[index][field.name]), int(got[index][field.name])
        )
    if len(wanted) != len(got):
        return Difference(common, _LENGTH, 0, len(wanted), len(got))
    return None


def status_of(completions: Lines) -> npt.NDArray[np.uint8]:
    """The status of every completion, ``(n,)`` uint8: a view of its flags.

    A line in which not exactly one of the four result flags is set is no completion [FLAG-011];
    its status is 0.
    """
    flags = as_lines(completions)["flags"]
    status = np.zeros(len(flags), dtype=np.uint8)
    results = np.zeros(len(flags), dtype=np.uint8)
    for flag, name in (
        ("DONE", "DONE"),
        ("NEEDS_REWARD", "REWARD_NEEDED"),
        ("ERROR", "ERROR"),
        ("STOPPED", "STOPPED"),
    ):
        present = flags & contract.FLAG[flag] != 0
        status[present] = contract.STATUS[name]
        results += present
    status[results != 1] = 0
    return status


def describe(line: np.void | Lines) -> str:
    """Format one line (a submission or a completion) as one line of text, for logs and prompts.

    Args:
        line: an element of an array of DESC_DTYPE, or an array that holds exactly one line.

    Raises:
        ValueError: anything else.
    """
    one = as_lines(np.atleast_1d(np.asarray(line)))
    if len(one) != 1:
        raise ValueError(f"expected one line, got {len(one)}; describe them one by one")
    item = {name: int(one[name][0]) for name in one.dtype.names or ()}
    flags = item["flags"]
    names = [field.name for field in contract.FLAGS if field.width == 1 and flags & field.mask]
    reserved = flags & contract.FLAG["RESERVED"]
    if reserved:
        names.append(f"RESERVED:0x{reserved:02x}")
    code = (flags & contract.FLAG["ERROR_CODE"]) >> contract.ERROR_CODE_SHIFT
    if code:
        names.append(f"code={_ERROR_NAMES.get(code, 'unknown')}({code})")
    trailer = item["checksum_or_cookie"]
    if flags & contract.FLAG["CHECKED"]:
        end = f"tag={trailer & 0xFFFFFFFF} crc=0x{trailer >> 32:08x}"
    else:
        end = f"cookie=0x{trailer:016x}"
    opcode = item["opcode"]
    return (
        f"{_OPCODE_NAMES.get(opcode, f'opcode {opcode}'):<7} "
        f"rollout={item['rollout_id']} seq={item['seq_len']}/{item['max_tokens']} "
        f"flags={'|'.join(names) or 'none'} "
        f"arena={item['kv_arena_id']} prefix={item['prefix_id']} "
        f"kv=0x{item['kv_offset']:x} delta=0x{item['delta_offset']:x} "
        f"model={item['reward_model_id']} reserved0=0x{item['reserved0']:08x} "
        f"user=0x{item['user_data']:x} {end}"
    )
