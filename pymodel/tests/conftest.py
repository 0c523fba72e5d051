# SPDX-License-Identifier: Apache-2.0
"""What the golden model's tests share: the path to their helpers, and Hypothesis' settings."""

import os
import sys
from pathlib import Path

from hypothesis import Phase, settings

# pytest runs with --import-mode=importlib, which puts no test folder on the path.
sys.path.insert(0, str(Path(__file__).parent))

PHASES = [
    phase
    for phase in Phase
    if phase is not Phase.shrink or os.environ.get("DESCRING_SHRINK", "1") != "0"
]
"""With DESCRING_SHRINK=0 a failing example is not made smaller: a mutant is killed by any."""

settings.register_profile(
    "descring", max_examples=60, deadline=None, print_blob=True, phases=PHASES
)
settings.load_profile("descring")
