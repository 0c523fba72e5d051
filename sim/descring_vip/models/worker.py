# SPDX-License-Identifier: Apache-2.0
"""The golden model for blocks behind the checks: the verdict on a line arrives from outside, and
tag and checksum of the completion are set later.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from descring_model import as_lines, complete, contract, decoded_tokens
from descring_model.lines import Lines

_CHECKED = np.uint16(contract.FLAG["CHECKED"])
_ERROR = np.uint16(contract.FLAG["ERROR"])
_ECHOED = np.uint16(0xFFFF & ~contract.DEVICE_OWNED_FLAGS)
_STOP = contract.OPCODE["STOP"]


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
