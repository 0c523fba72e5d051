# SPDX-License-Identifier: Apache-2.0
"""How the latency shape's scout hands over its polls, on two threads of the CPU."""

from pathlib import Path

from emulated import mailbox_faults


def test_every_poll_is_handed_over_whole_in_order_and_fresh(tmp_path: Path) -> None:
    """And scout and taker always end together; nothing is unordered by ThreadSanitizer's rules."""
    assert mailbox_faults(tmp_path) == ""
