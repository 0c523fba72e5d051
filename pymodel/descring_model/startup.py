# SPDX-License-Identifier: Apache-2.0
"""Signals while a program imports what it is made of.

An exception raised inside an import may be lost there, in a destructor or an extension module, or
end in a traceback. So as long as a program has nothing to clean up, a signal ends it at once. This
module imports next to nothing itself: it comes first.
"""

import os
import signal

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a program to end."""


def set_handlers(handler: object) -> None:
    """Set ``handler`` for :data:`ENDING`, but not where the parent ignores one, as nohup does."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)  # type: ignore[arg-type]


def end_at_once(name: str) -> None:
    """From now on end the program ``name`` on a signal, with one line and its exit code.

    Also unblocks these signals, which sim/descring.sh blocks while Python starts.
    """

    def end(number: int, _frame: object) -> None:
        set_handlers(signal.SIG_IGN)
        interrupted = number == signal.SIGINT
        text = "interrupted" if interrupted else f"ended by {signal.Signals(number).name}"
        try:
            os.write(2, f"{name}: error: {text}\n".encode())
        finally:
            os._exit(2 if interrupted else 128 + number)

    set_handlers(end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
