# SPDX-License-Identifier: Apache-2.0
"""Where the project's sources and build products lie, in a checkout and in an installed wheel."""

from __future__ import annotations

import os
from pathlib import Path

from descring_sim.support.errors import SimulationError

_PACKAGE = Path(__file__).resolve().parents[1]
_WHEEL_DATA = _PACKAGE / "_data"

BUILD_DIR_VARIABLE = "DESCRING_BUILD_DIR"
"""Environment variable that moves build products away from their default place."""


def checkout_root() -> Path | None:
    """Return the root of the checkout this package is imported from, None for a wheel."""
    root = _PACKAGE.parents[1]
    if (root / "pyproject.toml").is_file() and (root / "sim" / _PACKAGE.name).is_dir():
        return root
    return None


def _source_dir(in_checkout: str, in_wheel: str) -> Path:
    root = checkout_root()
    path = _WHEEL_DATA / in_wheel if root is None else root / in_checkout
    if not path.is_dir():
        raise FileNotFoundError(
            f"expected the folder {path}, which belongs to descring; reinstall the package"
        )
    return path


def rtl_dir() -> Path:
    """Return the folder of the SystemVerilog sources."""
    return _source_dir("rtl", "rtl")


def cocotb_tests_dir() -> Path:
    """Return the folder of the testbenches, which only a checkout has."""
    root = checkout_root()
    if root is None:
        raise FileNotFoundError("expected a checkout of descring: the wheel has no testbenches")
    return root / "cocotb_tests"


def vip_root() -> Path:
    """Return the folder that ``descring_vip``, and so its servers, is imported from."""
    return _PACKAGE.parent


def include_dir() -> Path:
    """Return the folder of the C and CUDA headers."""
    return _source_dir("host/include", "include")


def verilated_dir() -> Path:
    """Return the folder of the C++ harness around the RTL that Verilator compiled."""
    return _source_dir("sim/verilated", "verilated")


def build_dir() -> Path:
    """Return the folder for build products.

    It is ``DESCRING_BUILD_DIR`` where that is set, else build/ in a checkout of this user's, else
    in the user's cache.

    Raises:
        SimulationError: it cannot be written.
    """
    chosen = os.environ.get(BUILD_DIR_VARIABLE)
    if chosen:
        folder = Path(chosen).resolve()
        if not writable(folder):
            raise SimulationError(
                f"{BUILD_DIR_VARIABLE}: expected a folder that can be written, got {folder}"
            )
        return folder
    root = checkout_root()
    if root is not None and writable(root / "build"):
        return root / "build"
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    except RuntimeError:  # neither HOME nor an entry in the list of users
        raise SimulationError(
            f"expected a home for build products, got none; set {BUILD_DIR_VARIABLE} to a folder "
            "that can be written"
        ) from None
    folder = cache.absolute() / "descring"
    if not writable(folder):
        raise SimulationError(
            f"expected a folder for build products, but {folder} cannot be written; set "
            f"{BUILD_DIR_VARIABLE} to one that can"
        )
    return folder


def writable(folder: Path) -> bool:
    """Whether ``folder`` can be written, or made."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
