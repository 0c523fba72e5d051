# SPDX-License-Identifier: Apache-2.0
"""Which records of the package can be changed once they are made."""

import dataclasses
import importlib
import pkgutil
from collections.abc import Iterator

import descring_model

STATEFUL = {
    "core.CompletionRing",
    "core.Counters",
    "core.Events",
    "core.GoldenCore",
    "rollouts.prefixes.Branch",
    "rollouts.prefixes.Node",
    "rollouts.state.Rollout",
}
"""Those that hold the state of a device or of a run."""


def records() -> Iterator[tuple[str, type]]:
    """Every dataclass of the package, by the name that it has in it."""
    prefix = f"{descring_model.__name__}."
    for info in pkgutil.walk_packages(descring_model.__path__, prefix):
        if info.name.endswith(".__main__"):
            continue
        for item in vars(importlib.import_module(info.name)).values():
            if dataclasses.is_dataclass(item) and getattr(item, "__module__", "") == info.name:
                assert isinstance(item, type)
                yield f"{info.name.removeprefix(prefix)}.{item.__qualname__}", item


def test_all_records_but_those_of_a_state_are_frozen() -> None:
    """What is shared, a key, or part of a contract cannot be changed by whoever gets it."""
    found = dict(records())
    assert len(found) > len(STATEFUL) + 10, "the package is walked whole"
    frozen = {name for name, item in found.items() if item.__dataclass_params__.frozen}  # type: ignore[attr-defined]
    assert set(found) - frozen == STATEFUL
