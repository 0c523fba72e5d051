# SPDX-License-Identifier: Apache-2.0
"""Open, use, interrupt, kill and close devices at length: memory, files and threads stay flat.

python bench/host_soak.py --seconds 3600

Each round opens devices of each kind, sends lines through them and compares the completions with
the golden model. One device with a worker process lives as long as the run. Exit code 0: at the end
of every round there were as many open files and threads as after the warm-up, and the resident
memory of both processes grew by less than ``--grow`` MiB from the first quarter to the last.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import random
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from common.stamp import stamp
from descring_host import CommandQueue, CpuDevice, PeerDied, open_device
from descring_model import complete, first_difference, streams

WARM_UP_ROUNDS = 20
PATIENCE_S = 120.0
SETTLE_S = 5.0


def usage(pid: int) -> dict[str, int]:
    """Open files, threads and resident KiB of a process."""
    root = Path(f"/proc/{pid}")
    fields = dict(
        line.split(":", 1) for line in (root / "status").read_text().splitlines() if ":" in line
    )
    return {
        "files": len(list((root / "fd").iterdir())),
        "threads": int(fields["Threads"]),
        "resident_kib": int(fields["VmRSS"].split()[0]),
    }


class _Late(Exception):
    """What the timer raises."""


class Soak:
    """What a round does."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.lines = 0
        self.done: dict[str, int] = {}

    def count(self, what: str) -> None:
        """One more of these."""
        self.done[what] = self.done.get(what, 0) + 1

    def exchange(self, queue: CommandQueue, count: int) -> None:
        """Send lines and compare."""
        lines = streams.generate(count, seed=self.draw.getrandbits(30), profile="decode")
        difference = first_difference(complete(lines), queue.exchange(lines))
        if difference is not None:
            raise SystemExit(f"host_soak: wrong completion: {difference}")
        self.lines += count

    def interrupt(self, queue: CommandQueue) -> None:
        """Interrupt a call at a random moment, and drain what was in flight."""
        lines = streams.generate(400, seed=1, profile="decode")
        with contextlib.suppress(_Late):
            signal.setitimer(signal.ITIMER_REAL, 1e-5 + self.draw.random() * 1e-3)
            queue.exchange(lines)
            signal.setitimer(signal.ITIMER_REAL, 0)
        queue.drain()
        self.count("interrupted")

    def cancel(self, queue: CommandQueue) -> None:
        """Cancel a poll of an event loop."""

        async def poll() -> None:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(queue.apoll(timeout_s=PATIENCE_S), 0.002)

        asyncio.run(poll())
        self.count("cancelled")

    def short_lived(self) -> None:
        """Devices and queues that live for one round."""
        for name, options in (
            ("model", {}),
            ("cpu", {"workers": self.draw.randint(1, 4)}),
            ("cpu", {"process": True}),
        ):
            with open_device(name, memory=1 << 18, **options) as device:
                for split in (False, True):
                    queue = CommandQueue(
                        device, cmd_slots=64, split_reward=split, timeout_s=PATIENCE_S
                    )
                    self.exchange(queue, self.draw.randint(1, 500))
                    if split:
                        self.cancel(queue)
                    else:
                        self.interrupt(queue)
                    queue.close()
                if isinstance(device, CpuDevice) and options.get("process"):
                    self.kill(device)
            self.count(f"{name} {options.get('process', '')}".strip())

    def kill(self, device: CpuDevice) -> None:
        """Kill the worker process, and continue with another."""
        queue = CommandQueue(device, cmd_slots=64, timeout_s=PATIENCE_S)
        os.kill(device.peer.pid, signal.SIGKILL)
        try:
            queue.exchange(streams.generate(200, seed=2, profile="decode"))
        except PeerDied:
            self.count("killed")
        deadline = time.monotonic() + PATIENCE_S
        while device.peer.state == "alive" and time.monotonic() < deadline:
            time.sleep(0.001)
        device.restart_worker()
        queue.drain()
        queue.close()


@contextlib.contextmanager
def timer() -> Iterator[None]:
    """Let SIGALRM raise."""

    def late(_number: int, _frame: object) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, late)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def settled(expected: dict[str, int]) -> dict[str, int]:
    """Usage of this process once it is ``expected``, or what it still is after a while."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        gc.collect()
        now = usage(os.getpid())
        same = all(now[what] == expected[what] for what in ("files", "threads"))
        if same or time.monotonic() > deadline:
            return now
        time.sleep(0.01)


def growth(samples: list[int]) -> float:
    """MiB by which the median of the last quarter is above that of the first."""
    quarter = max(1, len(samples) // 4)
    return (statistics.median(samples[-quarter:]) - statistics.median(samples[:quarter])) / 1024


def main() -> int:
    """Run it and return the exit code: 0 flat, 1 something has grown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--grow", type=float, default=2.0, help="MiB that memory may grow")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr)
    soak = Soak(options.seed)
    start = time.monotonic()
    own: list[int] = []
    worker: list[int] = []
    first: dict[str, int] = {}
    faults: list[str] = []
    rounds = 0
    with timer(), open_device("cpu", process=True) as device:
        assert isinstance(device, CpuDevice)
        queue = CommandQueue(device, timeout_s=PATIENCE_S)
        while not faults and (time.monotonic() - start < options.seconds or len(own) < 8):
            soak.exchange(queue, 2000)
            soak.interrupt(queue)
            soak.short_lived()
            rounds += 1
            if rounds < WARM_UP_ROUNDS:
                continue
            first = first or {**usage(os.getpid()), **_of_worker(device)}
            now = {**settled(first), **_of_worker(device)}
            own.append(now["resident_kib"])
            worker.append(now["worker_resident_kib"])
            faults = [
                f"{what}: expected {first[what]}, got {now[what]} after round {rounds}"
                for what in ("files", "threads", "worker_files", "worker_threads")
                if now[what] != first[what]
            ]
        queue.close()
    grown = {"host_mib": round(growth(own), 2), "worker_mib": round(growth(worker), 2)}
    faults += [f"{what}: grew by {mib} MiB" for what, mib in grown.items() if mib > options.grow]
    result = {
        "seed": options.seed,
        "seconds": round(time.monotonic() - start, 1),
        "rounds": rounds,
        "lines": soak.lines,
        "done": soak.done,
        "after_the_warm_up": first,
        "grown": grown,
        "faults": faults,
        **stamp("host", "bench"),
    }
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 1 if faults else 0


def _of_worker(device: CpuDevice) -> dict[str, int]:
    return {f"worker_{what}": number for what, number in usage(device.peer.pid).items()}


if __name__ == "__main__":
    sys.exit(main())
