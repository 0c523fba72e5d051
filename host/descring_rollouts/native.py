# SPDX-License-Identifier: Apache-2.0
"""The rollout core of the native library: its functions, and its numbers as exceptions."""

from __future__ import annotations

from typing import Any, NoReturn

import descring_host.native as _host
from descring_model.rollouts import contract
from descring_model.rollouts.errors import RolloutError

_core = _host.load_part("descring_rollouts._core")


lib: Any
"""The functions of ``host/native/rollouts/rollouts.h``."""
ffi: Any
lib, ffi = _core.lib, _core.ffi

check_u32 = _host.check_u32
check_unsigned = _host.check_unsigned

_ERRORS = {-item.value: item for item in contract.ERRORS}
_STATE_NAMES = {item.value: item.name for item in contract.STATES}


def fail(code: int, expected: str) -> NoReturn:
    """Raise what a call returned: ``RolloutError`` by its name in the contract, or the system's.

    Args:
        code: the negative number.
        expected: what the call expected and got, for the text.
    """
    if code == lib.HR_NO_MEMORY:
        raise MemoryError(expected)
    if code == lib.HR_TORN_TAG:
        raise AssertionError(f"the key and the value of a KV slot carry different tags: {expected}")
    item = _ERRORS[code]
    raise RolloutError(item.name, f"expected {expected}: {item.meaning}")


def check(code: int, expected: str) -> int:
    """``code`` where it is no error, else :func:`fail`."""
    if code < 0:
        fail(code, expected)
    return code


def state_name(state: int) -> str:
    """A state by name, or its number where it has none."""
    return _STATE_NAMES.get(state, str(state))
