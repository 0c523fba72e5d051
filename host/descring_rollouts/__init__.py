# SPDX-License-Identifier: Apache-2.0
"""The rollout runtime over any device, by the rules of ``docs/rollout-contract.md``.

with open_device("cpu") as device:
    for group in Runtime(device).run([40, 55], samples=16, new_tokens=200):
        print(group.number, group.trajectories.reward)
"""

from descring_rollouts.engines import Sampling, open_engine
from descring_rollouts.errors import DeviceLostWarning, DevicesLost, ScorerError
from descring_rollouts.groups import Group, Trajectories
from descring_rollouts.pool import DeviceReport, Loss
from descring_rollouts.requests import make_requests
from descring_rollouts.runtime import Runtime

__all__ = [
    "DeviceLostWarning",
    "DeviceReport",
    "DevicesLost",
    "Group",
    "Loss",
    "Runtime",
    "Sampling",
    "ScorerError",
    "Trajectories",
    "make_requests",
    "open_engine",
]
