# SPDX-License-Identifier: Apache-2.0
"""Shards of a campaign on a Ray cluster; a worker or machine that is lost is replaced."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from typing import Any

from descring_sim.campaign.seeds import Campaign, Shards, run_shard
from descring_sim.conform.errors import ConformError

RETRIES = 5
"""How often a shard is started again when the process or machine that ran it is lost."""

LOCAL = "local"
"""The address that means: a cluster of this machine alone, for as long as the campaign runs."""


def ray_shards(address: str) -> Shards:
    """Shards on the cluster at ``address``; ``local`` starts one on this machine.

    Raises:
        ConformError: Ray is not installed, or there is no cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        # By name, so that the type checker does not read all of Ray.
        ray: Any = importlib.import_module("ray")
    except ImportError as error:
        raise ConformError(
            "--ray needs Ray; install it with: pip install 'descring[ray]'"
        ) from error

    def run(
        campaign: Campaign, shards: list[tuple[int, ...]], jobs: int
    ) -> Iterator[tuple[tuple[int, ...], Any]]:
        try:
            if address == LOCAL:
                ray.init(num_cpus=jobs, include_dashboard=False, log_to_driver=False)
            else:
                ray.init(address=address, log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ConformError(f"--ray {address}: no cluster: {error}") from error
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(run_shard)
        try:
            pending = {remote.remote(campaign, shard): shard for shard in shards}
            while pending:
                ready, _ = ray.wait(list(pending))
                for reference in ready:
                    shard = pending.pop(reference)
                    try:
                        yield shard, ray.get(reference)
                    except ray.exceptions.RayError as error:
                        lost = f"seeds {shard[0]} to {shard[-1]} were lost {RETRIES + 1} times"
                        raise ConformError(f"{lost}: {error}") from error
        finally:
            ray.shutdown()

    return run
