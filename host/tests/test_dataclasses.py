# SPDX-License-Identifier: Apache-2.0
"""Values of the host runtime cannot be changed once they are made."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil

import descring_host
import descring_rollouts

HOLD_STATE = {
    "descring_host.taking.Taking": "completions arrive in it",
    "descring_host.taking.Kept": "a kind of it",
    "descring_host.taking.Unsent": "a kind of it",
    "descring_rollouts.block_maps.Branch": "blocks are added to it",
    "descring_rollouts.lane._Open": "completions arrive in it",
    "descring_rollouts.pool.DeviceReport": "shares and losses are added to it",
    "descring_rollouts.token_run._Rollout": "it learns whether it is delivered",
}
"""The others, and why."""


def test_dataclasses_are_frozen_unless_they_hold_state() -> None:
    """Whoever is given a report, a trajectory or a plan may keep it: nobody changes it later."""
    frozen: set[str] = set()
    changing: set[str] = set()
    for package in (descring_host, descring_rollouts):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            module = importlib.import_module(info.name)
            for name, kind in inspect.getmembers(module, inspect.isclass):
                if kind.__module__ == info.name and dataclasses.is_dataclass(kind):
                    is_frozen = kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
                    (frozen if is_frozen else changing).add(f"{info.name}.{name}")
    assert changing == set(HOLD_STATE)
    assert len(frozen) > 20
