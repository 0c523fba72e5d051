# SPDX-License-Identifier: Apache-2.0
"""The stress programs of the rollout core, small; `make rollouts-stress` is the long run."""

import subprocess
from pathlib import Path

import pytest

CHECK = Path(__file__).resolve().parents[1] / "native" / "check"


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["kv 200000", "rollouts 50000 7", "slab 50000"])
def test_stress_program_holds(arguments: str) -> None:
    """[COW-001..COW-009] [KV-002..KV-008] [PIPE-003..PIPE-012] [ROLL-003] [ROLL-005]

    Nothing is lost, nothing is there twice, nothing is held at the end.
    """
    command = [str(CHECK / "plain.sh"), *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
