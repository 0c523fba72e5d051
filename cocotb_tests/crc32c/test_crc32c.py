# SPDX-License-Identifier: Apache-2.0
"""``crc32c``, on every simulator."""

from __future__ import annotations

import pytest
from descring_sim.cosim.pytest_plugin import Cosim

CONFIGS: dict[str, dict[str, int]] = {"default": {}}


@pytest.mark.parametrize("config", CONFIGS)
def test_crc32c(cosim: Cosim, config: str) -> None:
    """Every case of the block."""
    cosim.run(
        top="crc32c",
        cases="crc32c.crc32c_cases",
        config=config,
        parameters=CONFIGS[config],
    )
