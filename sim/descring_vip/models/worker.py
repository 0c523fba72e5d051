# SPDX-License-Identifier: Apache-2.0
"""The golden model for blocks behind the checks: the verdict on a line arrives from outside, and
tag and checksum of the completion are set later.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from descring_model import as_lines, complete, contract, crc32c, decoded_tokens
from descring_model.lines import Lines, line_bytes

_CHECKED = np.uint16(contract.FLAG["CHECKED"])
_ERROR = np.uint16(contract.FLAG["ERROR"])
_ECHOED = np.uint16(0xFFFF & ~contract.DEVICE_OWNED_FLAGS)
_STOP = contract.OPCODE["STOP"]


CHANGED_FIELDS = ("flags", "seq_len", "reserved0", "checksum_or_cookie")
"""Fields that a completion may change; of the last the checksum covers the tag, its lower half."""


class Verdicts(NamedTuple):
    """Verdicts of the checks on lines: ``(n,)`` error codes, 0 if accepted, and accepted STOPs."""

    error_codes: npt.NDArray[np.uint8]
    stops: npt.NDArray[np.bool_]


class Answers(NamedTuple):
    """What workers make of lines: ``(n,)`` completions without tag and checksum, and tokens."""

    completions: Lines
    tokens: npt.NDArray[np.uint32]


def verdicts_on(lines: Lines, *, first_index: int = 0, require_checked: bool = False) -> Verdicts:
    """The outcome of the checks on ``(n,)`` lines, the first of which has ring index
    ``first_index`` [ERR-011].
    """
    flags = complete(lines, first_index=first_index, require_checked=require_checked)["flags"]
    codes = (flags >> contract.ERROR_CODE_SHIFT).astype(np.uint8)
    return Verdicts(codes, (codes == 0) & (as_lines(lines)["opcode"] == _STOP))


def worker_answers(
    lines: Lines, error_codes: npt.NDArray[np.uint8], *, require_checked: bool = False
) -> Answers:
    """What workers make of ``(n,)`` lines with the verdicts ``error_codes``, ``(n,)``.

    An accepted line is what :func:`descring_model.complete` makes of it without the checks:
    without CHECKED. A refused one keeps everything but its flags [ERR-010].
    """
    submitted = as_lines(lines)
    unchecked = submitted.copy()
    unchecked["flags"] &= ~_CHECKED
    refused = error_codes != 0
    completions = np.where(refused, unchecked, complete(unchecked))
    flags = unchecked["flags"] & _ECHOED | _ERROR
    flags |= error_codes.astype(np.uint16) << np.uint16(contract.ERROR_CODE_SHIFT)
    completions["flags"] = np.where(refused, flags, completions["flags"])
    completions["flags"] |= _CHECKED if require_checked else submitted["flags"] & _CHECKED
    return Answers(completions, decoded_tokens(submitted, completions))


def crc_without(lines: Lines, *fields: str) -> list[int]:
    """The checksums of ``(n,)`` lines with zeros in ``fields``: what all others have in them.

    The checksum is affine: zeros have no share in it but for its constant [DESC-020].
    """
    rest = as_lines(lines).copy()
    for field in fields:
        rest[field] = 0
    sums: list[int] = crc32c(line_bytes(rest)[:, : contract.CRC_BYTES]).tolist()
    return sums


def limit_comparisons(lines: Lines) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether the length of each of ``(n,)`` lines is below its limit, and is one below it."""
    rest = lines["max_tokens"].astype(np.int64) - lines["seq_len"].astype(np.int64)
    # Modulo 2^32: the limit 0 is one above the greatest length, and no token is made of it.
    return rest > 0, rest % (1 << 32) == 1
