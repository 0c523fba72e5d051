# SPDX-License-Identifier: Apache-2.0
"""Base seeds of random runs."""

from __future__ import annotations

import random


def new_seed() -> int:
    """Return a random base seed."""
    return random.SystemRandom().randrange(1, 2**31)
