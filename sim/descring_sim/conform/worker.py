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
from dataclasses import replace
from pathlib import Path

from descring_sim.conform.duts.find import find_dut
from descring_sim.conform.duts.fingerprint import fingerprint
from descring_sim.conform.errors import ConformError, DutError, DutUnavailable
from descring_sim.conform.execute import by_its_version, run_test
from descring_sim.conform.messages import Refused, Request, Start, receive, send
from descring_sim.conform.suite.catalogue import all_tests

_PR_SET_PDEATHSIG = 1


def _serve(requests: int, replies: int) -> None:
    start = receive(requests)
    assert isinstance(start, Start)
    try:
        dut = find_dut(start.dut)
        description = dut.describe()
        dut.build(Path(start.folder))
        description = replace(description, sha256=fingerprint(dut, start.dut))
        if start.identify:
            description = by_its_version(dut, description)
    except (ConformError, DutError) as error:
        send(replies, Refused(str(error), isinstance(error, DutUnavailable)))
        return
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"
        send(replies, Refused(text))
        return
    send(replies, description)
    tests = {test.id: test for test in all_tests()}
    while True:
        try:
            request = receive(requests)
        except EOFError:
            return
        assert isinstance(request, Request)
        own = description.capabilities
        claims = own.of_version(min(request.contract_version, own.contract_version))
        claims = replace(claims, exhaustive=claims.exhaustive and not request.sampled)
        result = run_test(
            dut,
            replace(description, capabilities=claims),
            tests[request.test],
            request.seed,
            timeout_s=request.timeout_s,
            waves=request.waves,
        )
        send(replies, result)


def main(arguments: list[str]) -> None:
    """Serve until the other end closes."""
    # A parent that is killed must not leave an implementation behind that hangs.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)
    reader, writer = (int(argument) for argument in arguments)
    # What the implementation starts has no business with the kit's pipes.
    for file in (reader, writer):
        os.set_inheritable(file, False)
    _serve(reader, writer)


if __name__ == "__main__":
    main(sys.argv[1:])
