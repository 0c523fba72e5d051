# SPDX-License-Identifier: Apache-2.0
"""One build or one run of cocotb's runner, in a process of its own.

cocotb's runner takes part of its settings from the environment, waits for the simulator without a
limit, and behaves differently under pytest. In a child process the environment is the one that
:mod:`descring_sim.cosim.runner` composes, and a run that hangs can be killed with all its
descendants. Standard input is a pipe that nothing is written to: it ends when the parent does,
whatever the reason, and then this process group ends too.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

import cocotb_tools.config
from cocotb_tools.runner import get_runner


def _end_with_parent() -> None:
    # Not through sys.stdin, whose lock this thread would hold when the interpreter ends.
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def main(specification: str) -> None:
    """Run the JSON file ``specification``: simulator, action (build or test), arguments of it.

    ``share`` of a build that records waves is the folder that replaces cocotb's own, with a
    main program for Verilator's model.
    """
    if os.getpgrp() == os.getpid():  # started by the runner, and not by hand in a shell's group
        threading.Thread(target=_end_with_parent, daemon=True).start()
    spec = json.loads(Path(specification).read_text(encoding="utf-8"))
    runner = get_runner(spec["simulator"])
    if spec["action"] == "build":
        if spec["share"] is not None:
            cocotb_tools.config.share_dir = Path(spec["share"])
        runner.build(**spec["arguments"])
    else:
        runner.test(**spec["arguments"])


if __name__ == "__main__":
    main(sys.argv[1])
