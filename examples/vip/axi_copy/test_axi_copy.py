# SPDX-License-Identifier: Apache-2.0
"""Builds ``axi_copy`` and runs its cases, on every simulator."""

from __future__ import annotations

from pathlib import Path

from descring_sim.cosim.pytest_plugin import Cosim


def test_axi_copy(cosim: Cosim) -> None:
    """Copies under all pauses, and an error response."""
    cosim.run(
        top="axi_copy",
        cases="axi_copy.axi_copy_cases",
        rtl_dir=Path(__file__).parent / "rtl",
    )
