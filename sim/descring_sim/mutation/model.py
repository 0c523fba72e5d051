# SPDX-License-Identifier: Apache-2.0
"""Breaks the golden model of the rollout runtime and checks that its suite kills every change.

``descring dev mutants-model`` applies each mutant of ``sim/mutants/model`` to a copy of
``pymodel/``; a run ``model@rollout_kv/digest`` is ``pymodel/tests/test_rollout_kv.py`` with
``-k digest`` of pytest. Otherwise as :mod:`descring_sim.mutation.host`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from descring_sim.mutation import session
from descring_sim.mutation.host import HostMutantRunner, host_dir
from descring_sim.support import paths
from descring_sim.support.click_program import run_module

FEWEST = 60
"""Fewer mutants than this prove little about the suite."""


def model_dir() -> Path:
    """``pymodel/`` of the checkout; ``MutantError`` if this is none."""
    return host_dir().parent / "pymodel"


@dataclass
class ModelMutantRunner(HostMutantRunner):
    """Apply mutants to copies of ``pymodel/``."""

    source: Path = field(default_factory=model_dir)
    root: Path = field(default_factory=lambda: paths.build_dir() / "mutants" / "model")
    suite: str = "model"


main = session.command(
    "Break the rollouts' golden model in many small ways; its suite must kill every break.",
    "model",
    ModelMutantRunner,
    session.Page(
        "mutants-model.md",
        "# Mutants of the rollout runtime's golden model",
        "`make mutants-model`",
        "Each is a small fault injected in a copy of the golden model; the known failures of "
        "other runtimes are among them. It counts as killed when a test fails that passes on "
        "the sources as they are.",
        ("pymodel", "sim"),
    ),
    FEWEST,
)


if __name__ == "__main__":
    run_module("descring_sim.mutation.model", main)
