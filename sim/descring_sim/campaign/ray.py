# SPDX-License-Identifier: Apache-2.0
"""Shards of a campaign on a Ray cluster; a worker or machine that is lost is replaced."""

from __future__ import annotations

from descring_sim.campaign.seeds import Campaign, Finished, Shards, run_shard
from descring_sim.conform.errors import ConformError
from descring_sim.support.ray_cluster import RETRIES, import_ray, join


def ray_shards(address: str) -> Shards:
    """Shards on the cluster at ``address``; ``local`` starts one on this machine.

    Raises:
        ConformError: Ray is not installed, or there is no cluster.
    """
    ray = import_ray(ConformError)

    def run(campaign: Campaign, shards: list[tuple[int, ...]], jobs: int) -> Finished:
        join(ray, address, jobs, ConformError)
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
