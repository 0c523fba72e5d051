# SPDX-License-Identifier: Apache-2.0
"""The proofs that take seconds; `make formal` runs all of them."""

from __future__ import annotations

import pytest
from descring_sim.formal import proofs, properties, tasks
from descring_sim.formal.session import failure_text, out_dir
from descring_sim.formal.tasks import Task

ALL = tasks.load(tasks.formal_dir())
QUICK = [task for task in ALL if "quick" in task.tags]


@pytest.mark.parametrize("task", QUICK, ids=str)
def test_quick_proof_passes(task: Task) -> None:
    """Every property is proven, or every case reached; what passed once is not run again."""
    outcome = proofs.prove(task, out_dir())
    assert outcome.status == "pass", failure_text(task, outcome)


def test_every_block_with_properties_is_proven_covered_and_tried() -> None:
    """A block without covers could be proven of nothing; one without faults, by nothing."""
    assert QUICK
    for block in {task.block for task in ALL}:
        own = [task for task in ALL if task.block == block]
        kinds = {task.kind for task in own}
        assert kinds - {"trace"} in ({"prove", "cover"}, {"linear"}), block
        configs = {task.config for task in own if task.kind == "prove"}
        assert {task.config for task in own if task.kind == "trace"} <= configs, block
        assert any("mutants" in task.tags for task in own), block
        for config in {task.config for task in own if task.kind == "prove"}:
            assert config in {task.config for task in own if task.kind == "cover"} or (
                config == "depth65536"  # too deep to be filled step by step
            ), f"{block}/{config} has no cover"


def test_every_file_of_properties_goes_into_a_proof() -> None:
    """A property in a file that no task takes would never be examined."""
    taken = {path.name for task in ALL if task.kind != "cover" for path in task.files}
    stated = {item.file for item in properties.read_all(tasks.formal_dir())}
    assert stated <= taken
