# SPDX-License-Identifier: Apache-2.0
"""One build or one run of cocotb's runner, in a process of its own.

cocotb's runner takes part of its settings from the environment, waits for the simulator without a
limit, and behaves differently under pytest. In a child process the environment is the one that
:mod:`descring_sim.runner` composes, and a run that hangs can be killed with all its descendants.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cocotb_tools.runner import get_runner


def main(specification: str) -> None:
    """Run the JSON file ``specification``: simulator, action (build or test), arguments of it."""
    spec = json.loads(Path(specification).read_text(encoding="utf-8"))
    runner = get_runner(spec["simulator"])
    if spec["action"] == "build":
        runner.build(**spec["arguments"])
    else:
        runner.test(**spec["arguments"])


if __name__ == "__main__":
    main(sys.argv[1])
