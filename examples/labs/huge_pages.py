# SPDX-License-Identifier: Apache-2.0
"""Huge pages: a random chase through more pages than the TLB holds pays a page walk with each load.

A chain of pointers goes through a line of each of 10240 pages of 4 KiB; in huge pages the same
chain needs 20 entries of the TLB. What a walk costs is measured elsewhere: lines that all lie in
the L2 cache, spread over 6144 pages or side by side. The chase in small pages takes that much
longer. Which pages the kernel gave is read from /proc/self/smaps.

Run: python examples/labs/huge_pages.py
"""

from __future__ import annotations

from labkit.driver import Lab, main
from labkit.lab import Claim, Control, Values
from labkit.native import BENCH, HERE, HOST, Loop, build

MANY_SMALL, MANY_HUGE = "10240 pages, small", "10240 pages, huge"
FEW_SMALL, FEW_HUGE = "32 pages, small", "32 pages, huge"
SPREAD, PACKED = "6144 lines of as many pages", "6144 lines side by side"


def predicted(ns: Values) -> float:
    """The chase in huge pages and a walk with each load, over the chase in huge pages."""
    return (ns[MANY_HUGE] + ns[SPREAD] - ns[PACKED]) / ns[MANY_HUGE]


LAB = Lab(
    name="huge-pages",
    title="Huge pages and the TLB: a random chase",
    unit="ns of a load",
    variants=(MANY_SMALL, MANY_HUGE, FEW_SMALL, FEW_HUGE, SPREAD, PACKED),
    claims=(
        Claim(
            "in small pages each load of a random chase pays a page walk as well",
            MANY_SMALL,
            MANY_HUGE,
            at_least=1.15,
            predict=predicted,
            within=(0.65, 1.5),
        ),
    ),
    controls=(
        Control(
            "positive",
            "the same number of lines takes longer when each has a page of its own",
            SPREAD,
            PACKED,
            at_least=1.15,
        ),
        Control(
            "negative",
            "few pages fit the TLB, whatever their size",
            FEW_SMALL,
            FEW_HUGE,
            at_least=0.8,
            at_most=1.25,
        ),
    ),
    loops=(Loop("chase_loop", (r"^mov\s+\(%(r\w+)\),%\1",), (r"^prefetch",)),),
    build=lambda: build(
        "huge_pages",
        [
            *(HERE / "huge_pages.c", HERE / "lab.c", BENCH / "bench.c"),
            *(HOST / f"{name}.c" for name in ("sync", "segment", "fast_crc", "link")),
            HOST / "rollouts" / "memory.c",
        ],
    ),
    cpus=1,
)

if __name__ == "__main__":
    main(LAB, __doc__)
