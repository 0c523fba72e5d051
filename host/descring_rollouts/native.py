# SPDX-License-Identifier: Apache-2.0
"""The rollout core of the native library: its functions, and its numbers as exceptions."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ExtensionFileLoader
from typing import Any, NoReturn

import descring_host.native as _host
from descring_model.rollouts import contract
from descring_model.rollouts.errors import RolloutError

_CORE = "descring_rollouts._core"


def _load() -> tuple[Any, Any]:
    # The module lies in the library of descring_host, whose queues it drives.
    library = sys.modules["descring_host._native"].__file__
    assert library is not None
    loader = ExtensionFileLoader(_CORE, library)
    spec = importlib.util.spec_from_file_location(_CORE, library, loader=loader)
    assert spec is not None
    try:
        core = importlib.util.module_from_spec(spec)
    except ImportError as error:
        raise ImportError(
            f"the native library has no rollout core ({error}); run: make setup"
        ) from error
    loader.exec_module(core)
    sys.modules[_CORE] = core
    return core.lib, core.ffi


lib: Any
"""The functions of ``host/native/rollouts/rollouts.h``."""
ffi: Any
lib, ffi = _load()

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
    raise RolloutError(item.name, f"{expected}: {item.meaning}")


def check(code: int, expected: str) -> int:
    """``code`` where it is no error, else :func:`fail`."""
    if code < 0:
        fail(code, expected)
    return code


def state_name(state: int) -> str:
    """A state by name, or its number where it has none."""
    return _STATE_NAMES.get(state, str(state))
