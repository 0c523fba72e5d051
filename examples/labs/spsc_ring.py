# SPDX-License-Identifier: Apache-2.0
"""SPSC ring: what a line costs between two CPUs is how often an index crosses with it.

Four rings of one writer and one reader, every line checked: each side reads the other's index with
every line; each keeps the other's index as last seen, and reads it again only when it does not
suffice; an index a batch; and the product's queue, which returns lines as completions. An index
that crosses with every line adds about half of the time in which a word gets to the other CPU and
back, which is measured on its own; much less where the CPU overlaps crossings.

Run: python examples/labs/spsc_ring.py
"""

from __future__ import annotations

from pathlib import Path

from labkit.driver import Lab, main
from labkit.lab import Claim, Control, Values
from labkit.native import BENCH, HERE, HOST, Loop, build

PER_LINE, AGAIN = "an index a line", "an index a line, again"
CACHED, BATCHED = "cached indices", "an index a batch of 256"
OURS_1, OURS_64 = "ours, there and back, 1 a call", "ours, there and back, 64 a call"
TRIP = "a word there and back"
CORE = ("sync", "fast_crc", "segment", "link", "progress", "gate", "execute", "worker")
FENCES = (r"^lock", r"^mfence")
MORE = ("remote_worker", "peer", "registers", "queue", "submit", "completions", "device")


def predicted(ns: Values) -> float:
    """A line by batches, and one crossing, over the first."""
    return (ns[BATCHED] + ns[TRIP] / 2) / ns[BATCHED]


def product() -> list[Path]:
    """The product's queue and worker, and the rings of bench/."""
    core = [HOST / f"{name}.c" for name in CORE + MORE]
    names = ("bench", "rings", "queue", "reference_ring")
    return [HERE / "lab.c", HERE / "lab_queue.c", *core, *(BENCH / f"{name}.c" for name in names)]


LAB = Lab(
    name="spsc-ring",
    title="SPSC ring: 64-byte lines from one CPU to another",
    unit="ns of a line",
    variants=(PER_LINE, AGAIN, CACHED, BATCHED, OURS_1, OURS_64, TRIP),
    claims=(
        Claim(
            "an index that crosses with every line costs a crossing a line",
            *(PER_LINE, BATCHED),
            at_least=1.3,
            predict=predicted,
            within=(0.15, 2.5),
        ),
        Claim(
            "an index that is kept as last seen crosses no more often, and a batch's less",
            *(CACHED, PER_LINE),
            at_least=0.0,
            at_most=1.25,
        ),
    ),
    controls=(
        Control(
            "positive",
            "a word takes longer to the other CPU and back than a line of a batch",
            *(TRIP, BATCHED),
            at_least=2.0,
        ),
        Control(
            "negative",
            "the same ring measured twice is one figure",
            *(AGAIN, PER_LINE),
            at_least=0.75,
            at_most=1.33,
        ),
    ),
    loops=(
        # Two loads of indices, the line, one store of an index; and without a locked instruction.
        Loop(
            "push_all",
            (r"^call.*<reference_load", r"^call.*<reference_load", r"^call.*<reference_store"),
            whole=True,
        ),
        Loop("push_cached", (r"^mov.*0x80\(", r"^mov\s+%\w+,\S*\(%"), FENCES, whole=True),
        Loop("push_bare", (r"^mov.*0x80\(", r"^mov\s+%\w+,\S*\(%"), FENCES, whole=True),
    ),
    build=lambda: build("spsc_ring", [HERE / "spsc_ring.c", *product()]),
)

if __name__ == "__main__":
    main(LAB, __doc__)
