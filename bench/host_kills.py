# SPDX-License-Identifier: Apache-2.0
"""Kill worker and host processes at random moments and account for every descriptor.

Both are real processes, killed with SIGKILL while lines flow, or while they start. The survivor
must detect it within a second; a new process replaces the dead one on the same memory; every
completion taken is compared with the golden model at its index, by processes that know nothing but
the seed and the registers. Run: python bench/host_kills.py --kills 1000 --json out.json
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import selectors
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from common.stamp import stamp
from descring_host import CommandQueue, CpuDevice, PeerDied, server
from descring_host.segment import PREFIX, SHM_FOLDER
from descring_model import (
    Lines,
    complete,
    contract,
    decoded_tokens,
    first_difference,
    seal,
    streams,
)

FIRST_INDEX = 0xFFFF8000
"""Near 2^32, so that the indices wrap under fire."""
POOL = 4096
REG = contract.OFFSET
MASK = 0xFFFFFFFF
DETECT_S = 1.0
PATIENCE_S = 60.0
_PR_SET_PDEATHSIG = 1


def pool_of(seed: int) -> Lines:
    """Lines of all kinds but STOP and CHECKED, which :func:`stream_part` adds by index."""
    pool = streams.generate(POOL, seed=seed, profile="mixed")
    pool["opcode"][pool["opcode"] == contract.OPCODE["STOP"]] = contract.OPCODE["NOP"]
    pool["flags"] &= np.uint16(0xFFFF ^ contract.FLAG["CHECKED"])
    return pool


def stream_part(pool: Lines, start: int, count: int) -> Lines:
    """Lines ``start`` to ``start + count`` of the endless stream; every other one CHECKED."""
    sequence = np.arange(start, start + count, dtype=np.uint64)
    lines = pool[(sequence % np.uint64(POOL)).astype(np.int64)].copy()
    lines["user_data"] = sequence
    checked = sequence % 2 == 0
    tags = (sequence + np.uint64(FIRST_INDEX)).astype(np.uint32)
    lines[checked] = seal(lines[checked], tags[checked], set_flag=True)
    return lines


def emit(event: str, **facts: Any) -> None:
    """One JSON line on stdout."""
    print(json.dumps({"event": event, "time": time.monotonic(), **facts}), flush=True)


def host(name: str, pool: Lines, seed: int) -> None:
    """Stream and check from the indices in the registers, where the previous host ended."""
    leaving: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: leaving.append(number))
    draw = random.Random(seed)
    with CpuDevice(attach=name) as device:
        enabled = bool(device.read32(REG["CTRL"]) & contract.register_bit("CTRL", "ENABLE"))
        queue = CommandQueue(device, cmd_slots=512, when_full="short", adopt_running=enabled)
        sent = (device.read32(REG["CMD_TAIL"]) - FIRST_INDEX) & MASK
        taken = (device.read32(REG["DONE_HEAD"]) - FIRST_INDEX) & MASK
        worker = device.peer.pid
        emit("ready", sent=sent, taken=taken)
        while not leaving or queue.in_flight:
            if device.peer.pid != worker:
                worker = device.peer.pid
                emit("resumed", with_pid=worker)
            try:
                if not leaving:
                    sent += queue.submit(stream_part(pool, sent, draw.randint(1, 300)))
                lines = queue.poll(draw.randint(1, 400), timeout_s=0.2)
            except PeerDied as error:
                head = (device.read32(REG["CMD_HEAD"])) & MASK
                emit("peer_died", index=error.index, cmd_head=head)
                wait_for_worker(device)
                continue
            expected = complete(
                stream_part(pool, taken, len(lines)), first_index=(FIRST_INDEX + taken) & MASK
            )
            difference = first_difference(expected, lines)
            if difference is not None:
                emit("wrong", at=taken, what=str(difference))
                return
            taken += len(lines)
        low = device.read32(REG["CNT_TOKENS_LO"])
        emit(
            "final",
            sent=sent,
            taken=taken,
            descriptors=device.read32(REG["CNT_DESCRIPTORS"]),
            cmd_head=(device.read32(REG["CMD_HEAD"]) - FIRST_INDEX) & MASK,
            done_tail=(device.read32(REG["DONE_TAIL"]) - FIRST_INDEX) & MASK,
            tokens=device.read32(REG["CNT_TOKENS_HI"]) << 32 | low,
        )


def wait_for_worker(device: Any) -> None:
    """Until a worker is there again."""
    deadline = time.monotonic() + PATIENCE_S
    while device.peer.state != "alive":
        if time.monotonic() > deadline:
            raise TimeoutError("expected a restarted worker, got none")
        time.sleep(0.005)


def _die_with_parent(parent: int) -> None:
    """Let the kernel kill this process when its parent is gone."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(1)


class Child:
    """A forked process and its JSON lines; it dies with the campaign, however that ends."""

    living: ClassVar[set[Child]] = set()

    def __init__(self, role: str, body: Callable[[], None]) -> None:
        self.role = role
        self.text = b""
        self.events: list[dict[str, Any]] = []
        read, write = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                _die_with_parent(parent)
                os.close(read)
                os.dup2(write, 1)
                sys.stdout = os.fdopen(1, "w")
                body()
                sys.stdout.flush()
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(write)
        self.file = read
        Child.living.add(self)

    def next_event(self, kinds: set[str], timeout_s: float = PATIENCE_S) -> dict[str, Any]:
        """The next event of these kinds; ``RuntimeError`` if the process ends or is too slow."""
        deadline = time.monotonic() + timeout_s
        while True:
            while self.events:
                event = self.events.pop(0)
                if event["event"] in kinds:
                    return event
                if event["event"] in ("wrong", "refused"):
                    raise RuntimeError(f"{self.role}: {event}")
            with selectors.DefaultSelector() as selector:
                selector.register(self.file, selectors.EVENT_READ)
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise RuntimeError(f"{self.role} did not report {kinds} within {timeout_s} s")
            data = os.read(self.file, 65536)
            if not data:
                raise RuntimeError(f"{self.role} ended without reporting {kinds}")
            *lines, self.text = (self.text + data).split(b"\n")
            self.events += [json.loads(line) for line in lines]

    def kill(self) -> float:
        """SIGKILL; returns the moment."""
        moment = time.monotonic()
        os.kill(self.pid, signal.SIGKILL)
        self.reap()
        return moment

    def reap(self) -> int:
        """Wait for the end and return the status."""
        Child.living.discard(self)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.file)
        return status


class Campaign:
    """Kills, restarts, and the account of them."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.draw = random.Random(seed)
        self.pool = pool_of(seed)
        self.name = f"kills-{os.getpid()}"
        self.count: Counter[str] = Counter()
        self.delays: dict[str, list[float]] = {"worker": [], "host": []}

    def __enter__(self) -> Campaign:
        self.worker = self.start_worker(restart=False)
        self.worker.next_event({"ready"})
        self.host = self.start_host()
        self.host.next_event({"ready"})
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever happened: no process and no memory is left."""
        for child in list(Child.living):
            child.kill()
        for path in self.segments():
            path.unlink()

    def segments(self) -> list[Path]:
        """The shared memory that this campaign has made and not removed."""
        return sorted(SHM_FOLDER.glob(f"{PREFIX}{self.name}*"))

    def start_worker(self, *, restart: bool) -> Child:
        """A worker process on the memory."""
        threads = self.draw.choice((1, 1, 2))

        def body() -> None:
            server.run(
                self.name,
                memory=1 << 20,
                workers=threads,
                first_index=FIRST_INDEX,
                huge_pages=False,
                numa_node=None,
                restart=restart,
                exit_with_host=False,
            )

        return Child("worker", body)

    def start_host(self) -> Child:
        """A host process on the memory."""
        seed = self.draw.randrange(1 << 30)
        return Child("host", lambda: host(self.name, self.pool, seed))

    def kill_one(self) -> None:
        """One kill of a flowing process, its detection, and its successor."""
        time.sleep(self.draw.random() * 0.03)
        victim = self.draw.choice(("worker", "host"))
        if victim == "worker":
            killed = self.worker.kill()
            event = self.detection(self.host, "peer_died", killed)
            self.count["worker: index named is CMD_HEAD"] += event["index"] == event["cmd_head"]
            self.start_again("worker")
        else:
            killed = self.host.kill()
            event = self.detection(self.worker, "host", killed)
            self.start_again("host")
        self.count[f"{victim}: killed while lines flowed"] += 1
        delay = event["time"] - killed
        self.delays[victim].append(delay)
        self.count[f"{victim}: detected within a second"] += delay <= DETECT_S

    @staticmethod
    def detection(survivor: Child, kind: str, killed: float) -> dict[str, Any]:
        """The survivor's word on this death, not on that of an earlier one killed at its start."""
        while True:
            event = survivor.next_event({kind})
            if event["time"] >= killed and event.get("state", "died") == "died":
                return event

    def start_again(self, victim: str) -> None:
        """A successor; one time in five it is killed too, while it starts."""
        while True:
            child = self.start_worker(restart=True) if victim == "worker" else self.start_host()
            if self.draw.random() < 0.2:
                time.sleep(self.draw.random() * 0.02)
                child.kill()
                self.count[f"{victim}: killed while it started"] += 1
                continue
            if victim == "worker":
                self.worker = child
            else:
                self.host = child
            child.next_event({"ready"})
            while victim == "worker":
                # A worker killed before the host saw it live could not be missed by the host.
                if self.host.next_event({"resumed"})["with_pid"] == child.pid:
                    break
            self.count[f"{victim}: successor resumed"] += 1
            return

    @property
    def kills(self) -> int:
        """How many so far."""
        return sum(count for what, count in self.count.items() if ": killed while" in what)

    def finish(self) -> dict[str, Any]:
        """Drain, compare all accounts, end both processes, and look for leftovers."""
        os.kill(self.host.pid, signal.SIGTERM)
        final = self.host.next_event({"final"})
        self.host.reap()
        os.kill(self.worker.pid, signal.SIGTERM)
        self.worker.next_event({"bye"})
        self.worker.reap()
        period = decoded_tokens(self.pool, complete(self.pool)).astype(np.uint64)
        sent = final["sent"]
        tokens = int(period.sum()) * (sent // POOL) + int(period[: sent % POOL].sum())
        accounts = {
            "taken by hosts": final["taken"],
            "CMD_HEAD": final["cmd_head"],
            "DONE_TAIL": final["done_tail"],
            "CNT_DESCRIPTORS": final["descriptors"],
        }
        lost = {what: sent - value for what, value in accounts.items() if value != sent}
        if final["tokens"] != tokens:
            lost["CNT_TOKENS"] = tokens - final["tokens"]
        leftover = [path.name for path in self.segments()]
        return {
            "seed": self.seed,
            "kills": self.kills,
            "published": sent,
            "accounts_that_differ": lost,
            "leftover_segments": leftover,
            "what_happened": dict(sorted(self.count.items())),
            "detection_ms": {
                victim: {
                    "p50": round(1e3 * float(np.median(delays)), 1),
                    "max": round(1e3 * max(delays), 1),
                }
                for victim, delays in self.delays.items()
                if delays
            },
        }


def main() -> int:
    """Run a campaign; 0 only if nothing was lost, doubled, left over, or detected too late."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    start = time.monotonic()
    print(f"seed {options.seed}", file=sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    shown = 0
    with Campaign(options.seed) as campaign:
        while campaign.kills < options.kills:
            campaign.kill_one()
            if campaign.kills >= shown + 100:
                shown = campaign.kills
                seconds = time.monotonic() - start
                print(f"{shown} of {options.kills} kills, {seconds:.0f} s", file=sys.stderr)
        result = campaign.finish()
    result["seconds"] = round(time.monotonic() - start, 1)
    result.update(stamp("host", "bench"))
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    late = any(entry["max"] > 1e3 * DETECT_S for entry in result["detection_ms"].values())
    return 1 if result["accounts_that_differ"] or result["leftover_segments"] or late else 0


if __name__ == "__main__":
    sys.exit(main())
