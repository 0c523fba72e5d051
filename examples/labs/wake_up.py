# SPDX-License-Identifier: Apache-2.0
"""Wake-up: a sleeper wakes later than who polls, by a change of thread and an interrupt.

One CPU stores a word, or calls the kernel; on the other a thread waits for it: by polling, by
sched_yield in a loop, by a futex, by an eventfd. The two parts of a wake-up are measured on their
own: the handover between two threads of one CPU, and an interrupt from one CPU to the other
(sys_membarrier). What an idle CPU adds is measured apart, after 30 us and 2 ms without work.

Run: python examples/labs/wake_up.py
"""

from __future__ import annotations

from labkit.driver import Lab, main
from labkit.lab import Claim, Control, Values
from labkit.native import BENCH, HERE, HOST, Loop, build

POLL, AGAIN, SLOW = "poll", "poll, again", "poll each 4 us"
YIELD = "sched_yield"
FUTEX, EVENTFD = "futex, CPU awake", "eventfd, CPU awake"
NAP, SLEEP = "futex, CPU idle 30 us", "futex, CPU idle 2 ms"
HANDOVER, INTERRUPT = "handover on one CPU", "interrupt to the other CPU"


def predicted(ns: Values) -> float:
    """The store's way there, an interrupt, and a change of thread, over the first."""
    return (ns[POLL] + ns[HANDOVER] + ns[INTERRUPT]) / ns[POLL]


LAB = Lab(
    name="wake-up",
    title="Wake-up: from the store to the waiter's next instruction",
    unit="ns",
    variants=(POLL, AGAIN, SLOW, YIELD, FUTEX, EVENTFD, NAP, SLEEP, HANDOVER, INTERRUPT),
    claims=(
        Claim(
            "a futex wakes later than a polled word, by an interrupt and a change of thread",
            *(FUTEX, POLL),
            at_least=3.0,
            predict=predicted,
            within=(0.4, 2.5),
        ),
        Claim(
            "so does an eventfd",
            *(EVENTFD, POLL),
            at_least=3.0,
            predict=predicted,
            within=(0.4, 2.5),
        ),
        Claim(
            "sched_yield in a loop sleeps no deeper than a poll: no interrupt is needed",
            *(YIELD, FUTEX),
            at_least=0.0,
            at_most=0.7,
        ),
    ),
    controls=(
        Control(
            "positive",
            "a word polled each 4 us is seen 2 us late",
            *(SLOW, POLL),
            at_least=1.5,
        ),
        Control(
            "negative",
            "the same poll measured twice is one figure",
            *(AGAIN, POLL),
            at_least=0.75,
            at_most=1.33,
        ),
    ),
    loops=(
        Loop("poll_loop", (r"^pause", r"^(cmp|mov)"), (r"^call", r"^syscall")),
        Loop("yield_loop", (r"^call.*<sched_yield",)),
        Loop("futex_loop", (r"^call.*<hw_futex_wait",)),
        Loop("eventfd_loop", (r"^call.*<read",)),
    ),
    build=lambda: build(
        "wake_up", [HERE / "wake_up.c", HERE / "lab.c", BENCH / "bench.c", HOST / "sync.c"]
    ),
)

if __name__ == "__main__":
    main(LAB, __doc__)
