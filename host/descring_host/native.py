# SPDX-License-Identifier: Apache-2.0
"""The native core, checked: built from the same contract. Make rebuilds it when it is stale."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from typing import Any

from descring_model import contract

_BUILD_SCRIPT = Path(__file__).resolve().parents[1] / "native" / "build.py"


_FAST_QUEUE = "descring_host._fast_queue"


def load_part(name: str) -> Any:
    """Another module of the one native library, so that all of them see the same queues.

    Args:
        name: of the module, as ``"descring_rollouts._core"``.

    Raises:
        ImportError: the library was built without it.
    """
    library = sys.modules["descring_host._native"].__file__
    assert library is not None
    loader = ExtensionFileLoader(name, library)
    spec = importlib.util.spec_from_file_location(name, library, loader=loader)
    assert spec is not None
    try:
        part = importlib.util.module_from_spec(spec)
    except ImportError as error:
        raise ImportError(f"the native library has no {name} ({error}); run: make setup") from error
    loader.exec_module(part)
    sys.modules[name] = part
    return part


def _load() -> tuple[Any, Any]:
    remedy = f"run: python {_BUILD_SCRIPT}" if _BUILD_SCRIPT.exists() else "reinstall descring"
    try:
        _native = importlib.import_module("descring_host._native")
    except ImportError as error:
        raise ImportError(
            f"the native core of descring_host is not built ({error}); {remedy}"
        ) from error
    lib, ffi = _native.lib, _native.ffi
    if lib.hd_contract_hash() != contract.CONTRACT_HASH:
        raise ImportError(
            f"the native core was built for contract {lib.hd_contract_hash():08x}, but this is "
            f"{contract.CONTRACT_HASH:08x}; run make gen, then {remedy}"
        )
    load_part(_FAST_QUEUE)
    return lib, ffi


lib: Any
"""The functions of ``host/native/api.h``."""
ffi: Any
lib, ffi = _load()

# Only now: it was not there before.
from descring_host._fast_queue import FastQueue as FastQueue  # noqa: E402

NANOSECONDS = 1_000_000_000


def nanoseconds(timeout_s: float) -> int:
    """A time in seconds as the native core takes it; ``ValueError`` if it is negative or NaN."""
    if not timeout_s >= 0:
        raise ValueError(f"expected a time of 0 seconds or more, got {timeout_s}")
    return int(min(timeout_s, 1e9) * NANOSECONDS)


def check_u32(name: str, value: int) -> int:
    """``value`` as a plain int; ``ValueError`` naming it where it is no unsigned 32-bit number."""
    return check_unsigned(name, value, 32)


def check_unsigned(name: str, value: object, bits: int) -> int:
    """``value`` as a plain int; ``ValueError`` naming it where it does not fit in ``bits``."""
    if not hasattr(value, "__index__") or isinstance(value, bool):
        raise ValueError(f"{name}: expected an integer, got {value!r}")
    number = value.__index__()
    if not 0 <= number < 1 << bits:
        raise ValueError(f"{name}: expected 0 to 2^{bits} - 1, got {number}")
    return int(number)
