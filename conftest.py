# SPDX-License-Identifier: Apache-2.0
"""What holds for the tests of every suite."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Give the programs that tests start the usual signals.

    An ignored signal is inherited: SIGHUP under nohup, SIGINT in a shell's background job. A
    handler that does nothing ignores it for pytest as before, and is the default again in a child.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
