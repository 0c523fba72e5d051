# SPDX-License-Identifier: Apache-2.0
"""A Ray cluster by its address, for what can be spread over machines."""

from __future__ import annotations

import importlib
import os
from typing import Any

RETRIES = 5
"""How often work is started again when the process or machine that ran it is lost."""

LOCAL = "local"
"""The address that means: a cluster of this machine alone, for as long as the command runs."""


def import_ray(error: type[Exception]) -> Any:
    """The module ``ray``; ``error`` where it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        # By name, so that the type checker does not read all of Ray.
        return importlib.import_module("ray")
    except ImportError as missing:
        raise error("--ray needs Ray; install it with: pip install 'descring[ray]'") from missing


def join(ray: Any, address: str, cpus: int, error: type[Exception]) -> None:
    """Join the cluster at ``address``, or start one on this machine; left with ``ray.shutdown()``.

    Args:
        ray: of :func:`import_ray`.
        address: of the cluster, or :data:`LOCAL`.
        cpus: of a cluster that is started here.
        error: is raised where there is no cluster.
    """
    try:
        if address == LOCAL:
            ray.init(num_cpus=cpus, include_dashboard=False, log_to_driver=False)
        else:
            ray.init(address=address, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as failed:
        raise error(f"--ray {address}: no cluster: {failed}") from failed
