# SPDX-License-Identifier: Apache-2.0
"""A process that runs tests for the kit: the implementation lives and dies in here.

``python -m descring_sim.conform.worker IN OUT``: requests come through the pipe of file descriptor
IN, replies go through OUT. What the implementation prints goes to stderr, so it disturbs neither.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection

from descring_sim.conform.duts.find import find_dut
from descring_sim.conform.errors import ConformError, DutError, DutUnavailable
from descring_sim.conform.execute import refuse_earlier_version, run_test
from descring_sim.conform.messages import Refused, Request, Start
from descring_sim.conform.suite.catalogue import all_tests

_PR_SET_PDEATHSIG = 1


def _serve(requests: Connection, replies: Connection) -> None:
    start: Start = requests.recv()
    try:
        dut = find_dut(start.dut)
        description = dut.describe()
        dut.build(start.folder)
        if start.identify:
            refuse_earlier_version(dut, description)
    except (ConformError, DutError) as error:
        replies.send(Refused(str(error), isinstance(error, DutUnavailable)))
        return
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        replies.send(Refused(f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"))
        return
    replies.send(description)
    tests = {test.id: test for test in all_tests()}
    while True:
        try:
            request: Request = requests.recv()
        except EOFError:
            return
        replies.send(
            run_test(
                dut,
                description,
                tests[request.test],
                request.seed,
                timeout_s=request.timeout_s,
                waves=request.waves,
            )
        )


def main(arguments: list[str]) -> None:
    """Serve until the other end closes."""
    # A parent that is killed must not leave an implementation behind that hangs.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)
    reader, writer = (int(argument) for argument in arguments)
    _serve(Connection(reader, writable=False), Connection(writer, readable=False))


if __name__ == "__main__":
    main(sys.argv[1:])
