# SPDX-License-Identifier: Apache-2.0
"""The records of the rollout contract as NumPy dtypes, their checks, and the event log's file."""

from __future__ import annotations

import hashlib
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from descring_model.rollouts import contract
from descring_model.rollouts.errors import RolloutError

Records: TypeAlias = npt.NDArray[np.void]
"""A 1-D array of one of the dtypes below."""


def dtype_of(members: tuple[contract.Member, ...]) -> np.dtype[np.void]:
    """A record of the contract as a NumPy type, without padding."""
    return np.dtype([(item.name, item.code) for item in members])


CONFIG_DTYPE = dtype_of(contract.CONFIG)
REQUEST_DTYPE = dtype_of(contract.REQUEST)
RECORD_DTYPE = dtype_of(contract.RECORD)
HEADER_DTYPE = dtype_of(contract.HEADER)

_LIMITS = (
    "decode_credits",
    "reward_credits",
    "trajectory_credits",
    "deliver",
    "seats",
)
"""Members of the configuration that are limits: at least 1, NONE = no limit [PIPE-002]."""

_DEFAULTS: dict[str, int] = {
    "slots": 256,
    **dict.fromkeys(_LIMITS, contract.NONE),
    "kv_blocks": 1 << 16,
    "window": 32,
    "depth": 1,
    "ring_slots": 1024,
    "policy": contract.POLICY["FIFO"],
    "overtake": contract.NONE,
    "scorer": contract.SCORER_OP_010,
    "score_ticks": 1,
    "staleness": 0,
    "options": contract.OPTION["SHARE"]
    | contract.OPTION["FINAL_REWARD"]
    | contract.OPTION["CHECK_KV"],
}

_RANGES: dict[str, tuple[int, int]] = {
    "slots": (1, contract.SLOTS_MAX),
    **dict.fromkeys(_LIMITS, (1, contract.NONE)),
    "kv_blocks": (1, contract.REQUESTS_MAX),
    "window": (1, contract.WINDOW_MAX),
    "depth": (1, contract.DEPTH_MAX),
    "ring_slots": (2, 1 << 16),
    "policy": (0, len(contract.POLICIES) - 1),
    "overtake": (0, contract.NONE),
    "scorer": (0, contract.NONE),
    "score_ticks": (1, contract.DEPTH_MAX),
    "staleness": (0, contract.REQUESTS_MAX),
    "options": (0, sum(contract.OPTION.values())),
}


def make_config(**values: int) -> Records:
    """A configuration, ``(1,)`` of :data:`CONFIG_DTYPE`; members not given have their default.

    Raises:
        RolloutError: BAD_CONFIG, an unknown member or one out of range.
    """
    unknown = sorted(set(values) - set(_DEFAULTS))
    if unknown:
        raise RolloutError(
            "BAD_CONFIG", f"expected members out of {', '.join(_DEFAULTS)}, got {unknown[0]!r}"
        )
    merged = {**_DEFAULTS, **values}
    for name, value in merged.items():
        low, high = _RANGES[name]
        if not low <= value <= high:
            raise RolloutError("BAD_CONFIG", f"expected {name} of {low} to {high}, got {value}")
    config = np.zeros(1, dtype=CONFIG_DTYPE)
    for name, value in merged.items():
        config[name] = value
    check_config(config)
    return config


def check_config(config: Records) -> None:
    """Raise ``RolloutError`` BAD_CONFIG unless ``config`` is ``(1,)`` and in range [PIPE-001]."""
    if config.dtype != CONFIG_DTYPE or config.shape != (1,):
        raise RolloutError(
            "BAD_CONFIG",
            f"expected shape (1,) of CONFIG_DTYPE, got {config.shape} of {config.dtype}; "
            "use make_config",
        )
    for name, (low, high) in _RANGES.items():
        value = int(config[name][0])
        if not low <= value <= high:
            raise RolloutError("BAD_CONFIG", f"expected {name} of {low} to {high}, got {value}")
    ring = int(config["ring_slots"][0])
    if ring & (ring - 1):
        raise RolloutError("BAD_CONFIG", f"expected ring_slots to be a power of two, got {ring}")
    scorer = int(config["scorer"][0])
    if contract.SCORER_ADVANTAGE < scorer < contract.SCORER_CUSTOM:
        raise RolloutError(
            "BAD_CONFIG",
            f"expected scorer 0, 1, 2, or {contract.SCORER_CUSTOM} and up, got {scorer}",
        )


def blocks_of(tokens: int) -> int:
    """Blocks that hold ``tokens`` tokens [KV-001]."""
    return -(-tokens // contract.BLOCK_TOKENS)


def own_blocks(prefix_tokens: int, max_tokens: int) -> int:
    """The need of a branch: blocks beyond the full ones of its prefix [COW-003]."""
    if max_tokens == prefix_tokens:
        return 0
    return blocks_of(max_tokens) - prefix_tokens // contract.BLOCK_TOKENS


def _refuse(requests: Records, wrong: npt.NDArray[np.bool_], expected: str, name: str) -> None:
    if wrong.any():
        place = int(np.argmax(wrong))
        raise RolloutError(
            "BAD_REQUEST", f"request {place}: expected {expected}, got {int(requests[name][place])}"
        )


def check_requests(config: Records, requests: Records) -> None:
    """Raise ``RolloutError`` BAD_REQUEST where a request cannot be run [PIPE-001].

    Args:
        config: ``(1,)`` of CONFIG_DTYPE, in range.
        requests: ``(n,)`` of REQUEST_DTYPE.
    """
    if requests.dtype != REQUEST_DTYPE or requests.ndim != 1:
        raise RolloutError(
            "BAD_REQUEST",
            f"expected a 1-D array of REQUEST_DTYPE, got {requests.ndim}-D of {requests.dtype}",
        )
    if len(requests) > contract.REQUESTS_MAX:
        raise RolloutError("BAD_REQUEST", f"expected fewer than 2^31, got {len(requests)}")
    prompt, longest = requests["prompt_tokens"], requests["max_tokens"]
    _refuse(requests, requests["group"] > contract.REQUESTS_MAX, "a group below 2^31", "group")
    _refuse(requests, prompt < 1, "at least 1 prompt token", "prompt_tokens")
    _refuse(requests, longest < prompt, "max_tokens of at least the prompt's", "max_tokens")
    wide_prompt, wide_longest = prompt.astype(np.int64), longest.astype(np.int64)
    tokens = contract.BLOCK_TOKENS
    own = np.where(
        wide_longest > wide_prompt, -(-wide_longest // tokens) - wide_prompt // tokens, 0
    )
    need = -(-wide_prompt // tokens) + own
    blocks = int(config["kv_blocks"][0])
    too_many = need > blocks
    if too_many.any():
        place = int(np.argmax(too_many))
        raise RolloutError(
            "BAD_REQUEST",
            f"request {place}: expected at most the arena's {blocks} blocks, needs "
            f"{int(need[place])}; lower max_tokens or raise kv_blocks",
        )
    names = requests["group"].astype(np.uint64) << np.uint64(32) | requests["sample"]
    values, counts = np.unique(names, return_counts=True)
    if (counts > 1).any():
        twice = int(values[np.argmax(counts > 1)])
        raise RolloutError(
            "BAD_REQUEST",
            f"expected one request a sample, got sample {twice & contract.NONE} of group "
            f"{twice >> 32} {int(counts.max())} times",
        )
    if not len(requests):
        return
    order = np.lexsort((prompt, requests["group"]))
    same = requests["group"][order][1:] == requests["group"][order][:-1]
    differ = same & (prompt[order][1:] != prompt[order][:-1])
    if differ.any():
        place = int(order[1:][np.argmax(differ)])
        raise RolloutError(
            "BAD_REQUEST",
            f"request {place}: expected the prompt of group {int(requests['group'][place])} to "
            f"have one length, got {int(prompt[place])} and another",
        )


def inputs_digest(config: Records, requests: Records) -> int:
    """The number that names a run's inputs in its log [LOG-005]."""
    digest = hashlib.sha256(config.tobytes() + requests.tobytes()).digest()
    return int.from_bytes(digest[:8], "little")


def log_bytes(records: Records, inputs: int) -> bytes:
    """A log file: header and records [LOG-001]."""
    header = np.zeros(1, dtype=HEADER_DTYPE)
    header["magic"] = contract.LOG_MAGIC
    header["version"] = contract.LOG_VERSION
    header["record_bytes"] = contract.LOG_RECORD_BYTES
    header["records"] = len(records)
    header["inputs"] = inputs
    return header.tobytes() + records.tobytes()


def read_log(data: bytes) -> tuple[Records, int]:
    """Records and inputs digest of a log file's bytes.

    Raises:
        ValueError: it is no log of this version, or not whole.
    """
    size = contract.LOG_HEADER_BYTES
    if len(data) < size or data[:8] != contract.LOG_MAGIC:
        raise ValueError(
            f"expected an event log that begins with {contract.LOG_MAGIC.decode()}, got "
            f"{data[:8]!r}"
        )
    header: Any = np.frombuffer(data[:size], dtype=HEADER_DTYPE)[0]
    found = int(header["version"]), int(header["record_bytes"])
    if found != (contract.LOG_VERSION, contract.LOG_RECORD_BYTES):
        raise ValueError(
            f"expected log version {contract.LOG_VERSION} with records of "
            f"{contract.LOG_RECORD_BYTES} bytes, got version {found[0]} with {found[1]}"
        )
    expected = int(header["records"]) * contract.LOG_RECORD_BYTES
    if len(data) - size != expected:
        raise ValueError(
            f"expected {int(header['records'])} records of {contract.LOG_RECORD_BYTES} bytes, got "
            f"{len(data) - size} bytes; the file is cut or damaged"
        )
    return np.frombuffer(data[size:], dtype=RECORD_DTYPE), int(header["inputs"])


_EVENT_NAMES = {item.value: item.name for item in contract.EVENTS}
_STATE_NAMES = {item.value: item.name for item in contract.STATES}


def describe_record(record: Any) -> str:
    """One record as a line for people; states by name."""
    name = _EVENT_NAMES.get(int(record["code"]), f"event {int(record['code'])}")
    who = "" if record["rollout"] == contract.NONE else f" rollout {int(record['rollout'])}"
    where = f" slot {int(record['slot'])}" if who else ""
    a, b, c, d = (int(record[key]) for key in "abcd")
    if name == "STATE":
        text = f"{_STATE_NAMES.get(a, a)} -> {_STATE_NAMES.get(b, b)} flags {c}"
    else:
        text = f"a={a} b=0x{b:x} c={c} d=0x{d:x}"
    return f"tick {int(record['tick'])} {name}{who}{where}: {text}"
