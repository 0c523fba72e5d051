# SPDX-License-Identifier: Apache-2.0
"""``axil_slave`` alone, on every simulator."""

from __future__ import annotations

from descring_sim.cosim.pytest_plugin import Cosim

CONFIGS: dict[str, dict[str, int]] = {"default": {}}


def test_axil_slave(cosim: Cosim) -> None:
    """Reads and writes at the same time, under every kind of pause."""
    cosim.run(top="axil_slave", cases="axil_slave.axil_slave_cases", config="default")
