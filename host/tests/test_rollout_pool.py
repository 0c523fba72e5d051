# SPDX-License-Identifier: Apache-2.0
"""The pool of devices by itself, over workers that do what a test says."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from descring_host import HostError
from descring_model import DESC_DTYPE, contract
from descring_model.rollouts.records import make_config
from descring_rollouts import DevicesLost, make_requests
from descring_rollouts.pool import DevicePool, PoolLane
from descring_rollouts.shares import Share, ShareResult, shares_of
from host_support import PATIENCE_S

REQUESTS = make_requests([4] * 6)
FLAG = contract.FLAG


class Working:
    """A worker that works until it is told to stop, or is lost at once."""

    def __init__(self, name: str, error: HostError | None = None) -> None:
        self.name = name
        self.error = error
        self.closed = 0

    def run(self, share: Share, check: Callable[[], None]) -> ShareResult:
        """See :class:`descring_rollouts.shares.Worker`."""
        if self.error is not None:
            raise self.error
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            check()
            time.sleep(0.001)
        raise AssertionError("expected to be told to stop")

    def replace(self) -> bool:
        """A worker that is lost stays lost."""
        return False

    def close(self) -> None:
        """Count."""
        self.closed += 1


def pool_of(*workers: Working) -> DevicePool:
    """A pool that gives each share one group."""
    return DevicePool(workers, make_config(), REQUESTS, shares_of(REQUESTS, {}, 1))


def test_closing_ends_the_runs_and_closes_every_worker() -> None:
    """[PIPE-013] Lost or not: what a worker holds elsewhere is given back."""
    workers = [Working("a"), Working("b", HostError("gone")), Working("c")]
    pool = pool_of(*workers)
    pool.start()
    pool.close()
    assert [worker.closed for worker in workers] == [1, 1, 1]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_loss_of_all_devices_is_caused_by_the_last(count: int) -> None:
    """[PIPE-013] The error names each, and its cause is an error of a device."""
    workers = [Working(f"kind {n}", HostError(f"reason {n}")) for n in range(count)]
    pool = pool_of(*workers)
    pool.start()
    with pytest.raises(DevicesLost, match=f"all {count} devices were lost: ") as raised:
        pool.wait_for(5)
    pool.close()
    for number in range(count):
        assert f"device {number} (kind {number}) was lost: HostError: reason {number}; groups " in (
            str(raised.value)
        )
    assert raised.value.__cause__ is workers[-1].error


class Results:
    """A pool whose devices have returned everything."""

    def __init__(self, flags: int) -> None:
        self._flags = flags

    def start(self) -> None:
        """Nothing is left to run."""

    def completion(self, opcode: int, request: int, group: int, length: int) -> tuple[int, ...]:
        """As :meth:`DevicePool.completion`."""
        return self._flags, length + opcode, 1000 * group + request


@pytest.mark.parametrize("flags", [FLAG["DONE"], FLAG["NEEDS_REWARD"], FLAG["ERROR"] | 0x0300])
def test_a_line_gets_the_results_flags_and_keeps_its_own(flags: int) -> None:
    """[DESC-014] [LOG-003] Of the flags of a line only those change that a completion states."""
    own = FLAG["COW_PREFIX"] | FLAG["CHECKED"] | FLAG["RESERVED"]
    lines = np.zeros(3, dtype=DESC_DTYPE)
    lines["opcode"], lines["rollout_id"], lines["seq_len"] = [1, 0, 1], [0, 2, 5], [4, 8, 9]
    lines["flags"] = [0, 0xFFFF, FLAG["CHECKED"]]
    lines["user_data"] = [7, 8, 9]
    results: Any = Results(flags)
    lane = PoolLane(results, REQUESTS)
    lane.submit(lines)
    taken = lane.take()
    assert taken["flags"].tolist() == [flags, own | flags, FLAG["CHECKED"] | flags]
    assert taken["seq_len"].tolist() == [5, 8, 10]
    assert taken["reserved0"].tolist() == [0, 2002, 5005]
    assert taken["user_data"].tolist() == [7, 8, 9]
