# SPDX-License-Identifier: Apache-2.0
"""Level 1 of the golden model: completions as a pure function of submissions (sections 1 to 4).

There is no loop over lines. Work goes through in chunks that stay in the cache, because a field of
a line costs a whole cache line once the chunk does not fit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from descring_model import contract
from descring_model.crc import crc32c
from descring_model.lines import (
    DESC_DTYPE,
    INDEX_MODULUS,
    Lines,
    as_lines,
    check_index,
    copy_lines,
    index_range,
    line_bytes,
)

_CHUNK = 4096
"""Lines a chunk: 256 KiB in, 256 KiB out and the checksum's gather stay within the second cache."""

_TAG = slice(contract.TAG_OFFSET, contract.CRC_OFFSET)
_CRC = slice(contract.CRC_OFFSET, contract.DESC_BYTES)

_DECODE = contract.OPCODE["DECODE"]
_REWARD = contract.OPCODE["REWARD"]
_PREFILL = contract.OPCODE["PREFILL"]
_ROLLOUT = contract.OPCODE["ROLLOUT"]
_STOP = contract.OPCODE["STOP"]
_OPCODES = np.array(sorted(contract.OPCODE.values()), dtype=np.uint16)

_CHECKED = contract.FLAG["CHECKED"]
_NEEDS_REWARD = contract.FLAG["NEEDS_REWARD"]
_DONE = contract.FLAG["DONE"]
_STOPPED = contract.FLAG["STOPPED"]
_ERROR = contract.FLAG["ERROR"]
_ECHOED_FLAGS = 0xFFFF & ~contract.DEVICE_OWNED_FLAGS

_SCORES = (np.arange(256, dtype=np.float32) / np.float32(255)).view(np.uint32)
"""float32 bits of k / 255: one correctly rounded division of two exact numbers [OP-010]."""


def _error_flags(name: str) -> int:
    return _ERROR | contract.ERROR_CODE[name] << contract.ERROR_CODE_SHIFT


def _words(data: npt.NDArray[np.uint8], place: slice) -> npt.NDArray[np.uint32]:
    """The little-endian u32 at ``place`` of every line, ``(n,)``, as a view onto ``data``."""
    return data[:, place].view("<u4")[:, 0]


def seal(
    lines: Lines,
    indices: npt.NDArray[np.integer] | int,
    *,
    set_flag: bool = False,
) -> Lines:
    """Write reference tag and checksum into a copy of every line [DESC-020] [DESC-022].

    Args:
        lines: ``(n,)`` of DESC_DTYPE or ``(n, 64)`` uint8.
        indices: the ring index of each line, ``(n,)`` integers or one for all; taken mod 2^32.
        set_flag: also set the flag CHECKED; without it the flags stay as they are.

    Returns:
        The sealed lines, a new array.

    Raises:
        ValueError: lines of another shape or dtype, or indices that do not fit to the lines.
    """
    sealed = as_lines(lines).copy()
    numbers = np.asarray(indices)
    if not np.issubdtype(numbers.dtype, np.integer):
        raise ValueError(f"ring indices must be integers, got dtype {numbers.dtype}")
    if numbers.shape not in ((), sealed.shape):
        raise ValueError(
            f"expected one ring index or {len(sealed)} of them, got shape {numbers.shape}"
        )
    if set_flag:
        sealed["flags"] |= _CHECKED
    tags = np.broadcast_to(numbers.astype(np.uint32), sealed.shape)
    for start in range(0, len(sealed), _CHUNK):
        part = slice(start, start + _CHUNK)
        _seal_in_place(sealed[part], tags[part])
    return sealed


def _seal_in_place(lines: Lines, tags: npt.NDArray[np.uint32]) -> None:
    data = line_bytes(lines)
    _words(data, _TAG)[:] = tags
    _words(data, _CRC)[:] = crc32c(data[:, : contract.CRC_BYTES])


def seal_checked(completions: Lines, tags: npt.NDArray[np.uint32]) -> None:
    """Write tag and checksum into the lines with the flag CHECKED, in place [DESC-023].

    Args:
        completions: ``(n,)`` lines, changed in place.
        tags: ``(n,)``, the index at which each completion is posted in its ring.
    """
    checked = completions["flags"] & _CHECKED != 0
    if checked.all():
        _seal_in_place(completions, tags)
    elif checked.any():
        rows = np.flatnonzero(checked)
        sealed = completions[rows]
        _seal_in_place(sealed, tags[rows])
        completions[rows] = sealed


def _verdicts(
    lines: Lines, indices: npt.NDArray[np.uint32], require_checked: bool
) -> npt.NDArray[np.uint16]:
    """The flags of the first failed check of every line, 0 where all pass [ERR-011]."""
    flags = lines["flags"]
    verdicts = np.zeros(len(lines), dtype=np.uint16)
    # Later checks are written first, so that an earlier one overwrites them.
    verdicts[~np.isin(lines["opcode"], _OPCODES)] = _error_flags("BAD_OPCODE")
    checked = flags & _CHECKED != 0
    if checked.any():
        rows = np.flatnonzero(checked)
        data = line_bytes(lines if len(rows) == len(lines) else lines[rows])
        verdicts[rows[_words(data, _TAG) != indices[rows]]] = _error_flags("BAD_TAG")
        wrong = crc32c(data[:, : contract.CRC_BYTES]) != _words(data, _CRC)
        verdicts[rows[wrong]] = _error_flags("BAD_CHECKSUM")
    if require_checked:
        verdicts[~checked] = _error_flags("BAD_CHECKSUM")
    return verdicts


def execute(lines: Lines, indices: npt.NDArray[np.uint32], *, require_checked: bool) -> Lines:
    """Execute lines, without the tag and checksum that posting gives to their completions.

    Args:
        lines: ``(n,)`` of DESC_DTYPE; small enough for the cache, see :func:`complete`.
        indices: ``(n,)``, each line's index in the command ring, which its tag must name.
        require_checked: CTRL.REQUIRE_CHECKED.

    Returns:
        The completions, a new array; those with CHECKED still want :func:`seal_checked`.
    """
    completions = np.empty(len(lines), dtype=DESC_DTYPE)
    copy_lines(completions, lines)
    opcode = lines["opcode"]
    verdicts = _verdicts(lines, indices, require_checked)
    accepted = verdicts == 0

    sets = np.where(accepted, np.uint16(_DONE), verdicts)
    decode = np.flatnonzero(accepted & (opcode == _DECODE))
    if len(decode):
        length = lines["seq_len"][decode]
        limit = lines["max_tokens"][decode]
        # A distance that is at most the way to the limit: the sum cannot wrap [DEC-004].
        left = np.where(length < limit, limit - length, np.uint32(0))
        interval = np.uint32(contract.REWARD_INTERVAL)
        reached = length + np.minimum(left, interval - length % interval)
        completions["seq_len"][decode] = reached
        sets[decode[reached < limit]] = _NEEDS_REWARD
    rollout = accepted & (opcode == _ROLLOUT)
    # Both end at the longer length; they differ in what counts as a token [OP-011] [DEC-006].
    to_limit = np.flatnonzero(rollout | (accepted & (opcode == _PREFILL)))
    if len(to_limit):
        completions["seq_len"][to_limit] = np.maximum(
            lines["seq_len"][to_limit], lines["max_tokens"][to_limit]
        )
    scored = np.flatnonzero(rollout | (accepted & (opcode == _REWARD)))
    if len(scored):
        completions["reserved0"][scored] = _SCORES[completions["seq_len"][scored] & 0xFF]
    sets[accepted & (opcode == _STOP)] = _STOPPED

    if require_checked:
        sets |= _CHECKED
    completions["flags"] = (lines["flags"] & _ECHOED_FLAGS) | sets
    return completions


def complete(
    lines: Lines,
    *,
    first_index: int = 0,
    require_checked: bool = False,
    split_reward: bool = False,
) -> Lines:
    """Return the completions of a descriptor stream, in submission order [RING-007].

    A STOP inside the stream completes and the stream continues, as if the host resumed at once.

    Args:
        lines: ``(n,)`` of DESC_DTYPE or ``(n, 64)`` uint8; line i has index ``first_index + i``.
        first_index: index of the first line in the command ring and of the first completion in
            each completion ring [RING-012].
        require_checked: CTRL.REQUIRE_CHECKED [DESC-025].
        split_reward: CTRL.SPLIT_REWARD: tags of the done ring and of the reward ring count
            separately, each from ``first_index`` [RING-008].

    Returns:
        ``(n,)`` of DESC_DTYPE, a new array.

    Raises:
        ValueError: lines of another shape or dtype, or a first index that is not a u32.
    """
    submitted = as_lines(lines)
    first = check_index(first_index, "first_index")
    completions = np.empty_like(submitted)
    done_tail = reward_tail = first
    for start in range(0, len(submitted), _CHUNK):
        part = slice(start, start + _CHUNK)
        chunk = submitted[part]
        indices = index_range((first + start) % INDEX_MODULUS, len(chunk))
        results = execute(chunk, indices, require_checked=require_checked)
        tags = indices
        if split_reward:
            to_reward = goes_to_reward(results)
            tags = post_indices(to_reward, done_tail, reward_tail)
            rewards = int(np.count_nonzero(to_reward))
            done_tail = (done_tail + len(chunk) - rewards) % INDEX_MODULUS
            reward_tail = (reward_tail + rewards) % INDEX_MODULUS
        seal_checked(results, tags)
        copy_lines(completions[part], results)
    return completions


def post_indices(
    to_reward: npt.NDArray[np.bool_], done_tail: int, reward_tail: int
) -> npt.NDArray[np.uint32]:
    """The index that each completion gets in its ring [RING-008].

    Args:
        to_reward: ``(n,)``, which completions go to the reward ring.
        done_tail: next index of the done ring.
        reward_tail: next index of the reward ring.

    Returns:
        ``(n,)`` uint32.
    """
    rewards = int(np.count_nonzero(to_reward))
    indices = np.empty(len(to_reward), dtype=np.uint32)
    indices[~to_reward] = index_range(done_tail, len(to_reward) - rewards)
    indices[to_reward] = index_range(reward_tail, rewards)
    return indices


def goes_to_reward(completions: Lines) -> npt.NDArray[np.bool_]:
    """Which completions CTRL.SPLIT_REWARD sends to the reward ring, ``(n,)`` bool [RING-008]."""
    mask: npt.NDArray[np.bool_] = as_lines(completions)["flags"] & _NEEDS_REWARD != 0
    return mask


def longest_decode(lines: Lines) -> int:
    """Tokens that one line makes at most, were every line accepted: the cycles it may take in RTL.

    Args:
        lines: ``(n,)`` of DESC_DTYPE or ``(n, 64)`` uint8, submissions.
    """
    submitted = as_lines(lines)
    rollouts = submitted[submitted["opcode"] == _ROLLOUT]
    open_ended = rollouts[rollouts["seq_len"] < rollouts["max_tokens"]]
    tokens = open_ended["max_tokens"] - open_ended["seq_len"]
    return max(contract.REWARD_INTERVAL, int(tokens.max(initial=0)))


def decoded_tokens(lines: Lines, completions: Lines) -> npt.NDArray[np.uint32]:
    """Tokens that each line decoded [CNT-001].

    Args:
        lines: ``(n,)``, the submissions.
        completions: ``(n,)``, their completions, in the same order.

    Returns:
        ``(n,)`` uint32, 0 for anything but an accepted DECODE or ROLLOUT.

    Raises:
        ValueError: arrays of another shape or dtype, or of unequal lengths.
    """
    submitted, completed = as_lines(lines), as_lines(completions)
    if len(submitted) != len(completed):
        raise ValueError(
            f"expected a completion for each of the {len(submitted)} lines, got {len(completed)}"
        )
    decodes = (submitted["opcode"] == _DECODE) | (submitted["opcode"] == _ROLLOUT)
    decoded = decodes & (completed["flags"] & _ERROR == 0)
    tokens: npt.NDArray[np.uint32] = np.where(
        decoded, completed["seq_len"] - submitted["seq_len"], np.uint32(0)
    )
    return tokens
