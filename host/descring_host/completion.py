# SPDX-License-Identifier: Apache-2.0
"""One completion as an object, for programs that take them one by one."""

from __future__ import annotations

import struct
from typing import NamedTuple

from descring_model import contract

_CODES = {2: "H", 4: "I", 8: "Q"}

LINE_STRUCT = struct.Struct("<" + "".join(_CODES[field.size] for field in contract.FIELDS))
"""A line as bytes, in the order of the contract's fields, which leaves no gaps."""


class _Fields(NamedTuple):
    """The names a type checker needs to see; checked against the contract below."""

    opcode: int
    flags: int
    rollout_id: int
    kv_arena_id: int
    prefix_id: int
    kv_offset: int
    delta_offset: int
    seq_len: int
    max_tokens: int
    reward_model_id: int
    reserved0: int
    user_data: int
    checksum_or_cookie: int


if _Fields._fields != tuple(field.name for field in contract.FIELDS):
    raise ImportError("descring_host.completion names other fields than the contract")

_NAMES = {value.value: value.name for value in contract.STATUSES}
_ERRORS = {value.value: value.name for value in contract.ERROR_CODES}


class Completion(_Fields):
    """A completion line; its attributes are the fields of the contract, as plain ints."""

    __slots__ = ()

    @property
    def status(self) -> int:
        """The status view of the flags: DONE 1, REWARD_NEEDED 2, ERROR 0x80, STOPPED 0xFF."""
        flags = self.flags
        if flags & contract.FLAG["ERROR"]:
            return contract.STATUS["ERROR"]
        if flags & contract.FLAG["STOPPED"]:
            return contract.STATUS["STOPPED"]
        if flags & contract.FLAG["NEEDS_REWARD"]:
            return contract.STATUS["REWARD_NEEDED"]
        return contract.STATUS["DONE"]

    @property
    def error(self) -> str | None:
        """Name of the error code; None unless the status is ERROR."""
        if not self.flags & contract.FLAG["ERROR"]:
            return None
        code = self.flags >> contract.ERROR_CODE_SHIFT
        return _ERRORS.get(code, f"unknown code {code}")

    @property
    def reward(self) -> float:
        """The score of a REWARD completion: ``reserved0`` as float32."""
        return float(struct.unpack("<f", struct.pack("<I", self.reserved0))[0])

    def __str__(self) -> str:
        return f"{_NAMES[self.status]} rollout {self.rollout_id} seq_len {self.seq_len}"
