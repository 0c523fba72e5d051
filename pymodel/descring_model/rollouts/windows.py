# SPDX-License-Identifier: Apache-2.0
"""The lines of a window, and the check of what returns for it [WIN-003..WIN-005]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from descring_model import contract as line_contract
from descring_model.lines import DESC_DTYPE, Lines
from descring_model.rollouts import contract
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.state import Rollout

PREFILL = line_contract.OPCODE["PREFILL"]
DECODE = line_contract.OPCODE["DECODE"]
REWARD = line_contract.OPCODE["REWARD"]
NEEDS_REWARD = line_contract.FLAG["NEEDS_REWARD"]
DONE = line_contract.FLAG["DONE"]
OWNED = line_contract.DEVICE_OWNED_FLAGS
_COW_PREFIX = line_contract.FLAG["COW_PREFIX"]
_LSB = {item.name: item.lsb for item in contract.USER_DATA}


@dataclass(frozen=True)
class Draft:
    """A line before its window is closed; ``block`` is what a DECODE line writes, or None."""

    rollout: Rollout
    opcode: int
    seq_len: int
    max_tokens: int
    first_block: int
    block: int | None = None


def user_data(rollout: Rollout, window: int, index: int, lines: int) -> int:
    """``user_data`` of a line [WIN-003]."""
    generation = rollout.handle >> 32
    return (
        rollout.slot << _LSB["SLOT"]
        | (generation & 0xFFFF) << _LSB["GENERATION"]
        | (window & 0xFFFF) << _LSB["WINDOW"]
        | index << _LSB["INDEX"]
        | (lines - 1) << _LSB["LAST"]
    )


def build(drafts: list[Draft], window: int, scorer: int) -> Lines:
    """The lines of a window, ``(n,)`` of DESC_DTYPE [WIN-004]."""
    lines = np.zeros(len(drafts), dtype=DESC_DTYPE)
    for index, draft in enumerate(drafts):
        kv = draft.first_block * contract.BLOCK_BYTES
        delta = 0 if draft.block is None else draft.block * contract.BLOCK_BYTES
        request = draft.rollout.request
        line = lines[index]
        line["opcode"] = draft.opcode
        line["flags"] = _COW_PREFIX
        line["rollout_id"] = request
        line["prefix_id"] = draft.rollout.node
        line["kv_offset"] = kv
        line["delta_offset"] = delta
        line["seq_len"] = draft.seq_len
        line["max_tokens"] = draft.max_tokens
        line["reward_model_id"] = scorer
        line["user_data"] = user_data(draft.rollout, window, index, len(drafts))
        line["checksum_or_cookie"] = kv ^ delta ^ request << 32
    return lines


def check(window: int, lines: Lines, completions: Lines) -> None:
    """Raise ``RolloutError`` BAD_COMPLETION unless all of a window returned as it may [WIN-005].

    Args:
        window: its number, for the text.
        lines: ``(n,)``, as submitted.
        completions: in the order of the index.
    """
    for index, line in enumerate(lines):
        if index >= len(completions):
            raise _bad(window, index, f"{len(lines)} completions", f"{len(completions)}")
        _check_one(window, index, line, completions[index])
    if len(completions) > len(lines):
        raise _bad(window, len(lines), f"{len(lines)} completions", f"{len(completions)}")


def _check_one(window: int, index: int, line: Any, completion: Any) -> None:
    for name in ("user_data", "opcode", "rollout_id", "max_tokens"):
        if completion[name] != line[name]:
            raise _bad(
                window, index, f"{name} 0x{int(line[name]):x}", f"0x{int(completion[name]):x}"
            )
    result = int(completion["flags"]) & OWNED
    start, end = int(line["seq_len"]), int(line["max_tokens"])
    got = int(completion["seq_len"])
    if result not in (DONE, NEEDS_REWARD):
        raise _bad(window, index, "DONE or NEEDS_REWARD", f"flags 0x{result:04x}")
    if line["opcode"] == DECODE:
        boundary = (start // contract.BLOCK_TOKENS + 1) * contract.BLOCK_TOKENS
        legal = start <= got <= min(boundary, end)
        if result == NEEDS_REWARD:
            legal = got == boundary < end
        expected = f"a length of {start} to {min(boundary, end)} with the flag that belongs to it"
    else:
        legal = result == DONE and got == (end if line["opcode"] == PREFILL else start)
        expected = f"DONE with length {end if line['opcode'] == PREFILL else start}"
    if not legal:
        raise _bad(window, index, expected, f"length {got} with flags 0x{result:04x}")


def _bad(window: int, index: int, expected: str, got: str) -> RolloutError:
    return RolloutError(
        "BAD_COMPLETION", f"window {window}, index {index}: expected {expected}, got {got}"
    )
