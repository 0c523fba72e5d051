# SPDX-License-Identifier: Apache-2.0
"""False sharing: two words of one cache line cost what one word costs, if the CPU must own it.

Two CPUs write words of their own: on one line or padded apart, by a plain store or by a locked
addition. A locked addition must own the line while it executes, so words that share a line take the
time of one shared word. A plain store retires into the store buffer, and the loop does not wait for
the line: a benchmark of plain stores reports no false sharing.

Run: python examples/labs/false_sharing.py
"""

from __future__ import annotations

from labkit.driver import Lab, main
from labkit.lab import Claim, Control
from labkit.native import BENCH, HERE, HOST, Loop, build

LAB = Lab(
    name="false-sharing",
    title="False sharing: two CPUs, two words",
    unit="ns of an operation",
    variants=(
        "locked, same word",
        "locked, shared line",
        "locked, padded",
        "locked, padded twice",
        "store, same word",
        "store, shared line",
        "store, padded",
    ),
    claims=(
        Claim(
            "locked additions to two words of one line take as long as to one word",
            "locked, shared line",
            "locked, padded",
            at_least=1.5,
            predict=lambda ns: ns["locked, same word"] / ns["locked, padded"],
            within=(0.6, 1.7),
        ),
        Claim(
            "plain stores hide it: they retire into the store buffer",
            "store, shared line",
            "store, padded",
            at_least=0.0,
            at_most=1.5,
            predict=lambda ns: ns["store, same word"] / ns["store, padded"],
        ),
    ),
    controls=(
        Control(
            "positive",
            "two CPUs that add to one word hold each other up",
            "locked, same word",
            "locked, padded",
            at_least=1.5,
        ),
        Control(
            "negative",
            "more padding than a line changes nothing",
            "locked, padded twice",
            "locked, padded",
            at_least=0.8,
            at_most=1.25,
        ),
    ),
    loops=(
        Loop("locked_loop", (r"^lock (add|inc)",)),
        Loop("store_loop", (r"^mov\s+%r\w+,\(%r\w+\)",), (r"^lock", r"^xchg")),
    ),
    build=lambda: build(
        "false_sharing",
        [HERE / "false_sharing.c", HERE / "lab.c", BENCH / "bench.c", HOST / "sync.c"],
    ),
)

if __name__ == "__main__":
    main(LAB, __doc__)
