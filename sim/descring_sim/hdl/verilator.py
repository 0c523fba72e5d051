# SPDX-License-Identifier: Apache-2.0
"""What Verilator reads in sources."""

from __future__ import annotations


def lint_off(*rules: str) -> str:
    """Return the comments that switch ``rules`` off for what follows, for text of others."""
    return "".join(f"/* verilator lint_off {rule} */\n" for rule in rules)
