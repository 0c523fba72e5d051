# SPDX-License-Identifier: Apache-2.0
"""What the golden model's tests share: the path to their helpers, and Hypothesis' settings."""

import sys
from pathlib import Path

from hypothesis import settings

# pytest runs with --import-mode=importlib, which puts no test folder on the path.
sys.path.insert(0, str(Path(__file__).parent))

settings.register_profile("descring", max_examples=60, deadline=None, print_blob=True)
settings.load_profile("descring")
