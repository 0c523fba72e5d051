# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of masses, apart: quotients and fixed point to the last bit."""

from pathlib import Path

import pytest
from emulated_machine import scaled_faults


@pytest.mark.parametrize("seed", [1, 2])
def test_scaled_logits_are_rounded_quotients(tmp_path: Path, seed: int) -> None:
    """For logits of every exponent [SAMP-003]; a GPU was compared at all of them."""
    assert scaled_faults(tmp_path, seed=seed) == ""
