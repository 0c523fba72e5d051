# SPDX-License-Identifier: Apache-2.0
"""``line_seal``, on every simulator."""

from __future__ import annotations

import pytest
from descring_sim.cosim.pytest_plugin import Cosim

CONFIGS: dict[str, dict[str, int]] = {"default": {}}


@pytest.mark.parametrize("config", CONFIGS)
def test_line_seal(cosim: Cosim, config: str) -> None:
    """Every case of the block."""
    cosim.run(
        top="line_seal",
        cases="line_seal.line_seal_cases",
        config=config,
        parameters=CONFIGS[config],
    )
