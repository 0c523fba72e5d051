# SPDX-License-Identifier: Apache-2.0
"""Waiting for another thread, with an exception of a signal handler at every single step."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from descring_host.wakeup import Wakeup

NATIVE = Path(__file__).resolve().parents[1] / "native"
SHORT_S = 0.05
SOON_S = 30.0


class Interrupt(BaseException):
    """What the signal handler raises."""


def interrupted(call: Callable[[], object], step: int) -> bool:
    """Call, and raise before the bytecode number ``step``; whether it had as many."""
    left = step

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != Wakeup.__init__.__code__.co_filename:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            if not left:
                sys.settrace(None)
                raise Interrupt
            left -= 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except Interrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def works(wakeup: Wakeup) -> None:
    """A thread that waits is woken, and no other is."""
    mark = wakeup.mark
    assert not wakeup.wait(mark, 0.001)
    woken: list[bool] = []
    waiting = threading.Thread(target=lambda: woken.append(wakeup.wait(mark, SOON_S)), daemon=True)
    waiting.start()
    wakeup.ring()
    waiting.join(SOON_S)
    assert woken == [True]
    assert wakeup.wait(mark, 0.0)


@pytest.mark.parametrize("what", ["ring", "wait", "wait after a ring"])
def test_an_interrupt_at_any_step_leaves_it_whole(what: str) -> None:
    """The steps are bytecodes, between which signal handlers run."""
    step = 0
    while True:
        wakeup = Wakeup()
        mark = wakeup.mark
        if what == "wait after a ring":
            wakeup.ring()
        call = wakeup.ring if what == "ring" else partial(wakeup.wait, mark, 0.001)
        hit = interrupted(call, step)
        works(wakeup)
        if not hit:
            break
        step += 1
    assert step > 10


def test_a_ring_before_the_wait_counts() -> None:
    """Between the last look and the sleep."""
    wakeup = Wakeup()
    mark = wakeup.mark
    wakeup.ring()
    start = time.monotonic()
    assert wakeup.wait(mark, SOON_S)
    assert time.monotonic() - start < SOON_S / 2


def test_every_waiter_wakes() -> None:
    """One ring is for all."""
    wakeup = Wakeup()
    mark = wakeup.mark
    woken: list[bool] = []
    threads = [
        threading.Thread(target=lambda: woken.append(wakeup.wait(mark)), daemon=True)
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    time.sleep(SHORT_S)
    wakeup.ring()
    for thread in threads:
        thread.join(SOON_S)
    assert woken == [True] * 4


def test_no_ring_is_missed() -> None:
    """Two threads by turns: a mark that is taken before the look makes each ring count."""
    ping, pong = Wakeup(), Wakeup()
    rounds, served = 20_000, 0
    asked = 0

    def serve() -> None:
        nonlocal served
        while served < rounds:
            mark = ping.mark
            if asked > served:
                served += 1
                pong.ring()
            elif not ping.wait(mark, SOON_S):
                return

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    for number in range(1, rounds + 1):
        asked = number
        ping.ring()
        while True:
            mark = pong.mark
            if served == number:
                break
            assert pong.wait(mark, SOON_S), number
    server.join(SOON_S)
    assert served == rounds


def test_of_two_threads_that_store_and_look_one_sees_the_other(tmp_path: Path) -> None:
    """[DB-003] [RING-006]: else a sleeper misses what it waits for. Each pair of fences in turn."""
    flags = ["-std=c11", "-O2", "-pthread", f"-I{NATIVE}", f"-I{NATIVE.parent / 'include'}"]
    sources = [str(NATIVE / "check" / "fences.c"), str(NATIVE / "sync.c")]
    program = str(tmp_path / "fences")
    subprocess.run(["cc", *flags, *sources, "-o", program], check=True, timeout=60)
    run = subprocess.run([program, "0.05"], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(run.stdout.splitlines()) == 5
