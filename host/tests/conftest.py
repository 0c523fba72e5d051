# SPDX-License-Identifier: Apache-2.0
"""What the host runtime's tests share: the path to their helpers, and the list of backends."""

import functools
import math
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# pytest runs with --import-mode=importlib, which puts no test folder on the path.
sys.path.insert(0, str(Path(__file__).parent))

from descring_host import Device, DeviceError, open_device
from descring_host.segment import PREFIX, SHM_FOLDER

settings.register_profile("descring", max_examples=60, deadline=None, print_blob=True)
settings.load_profile("descring")


def pytest_configure() -> None:
    """Give the programs that tests start the usual signals.

    An ignored signal is inherited: SIGHUP under nohup, SIGINT in a shell's background job. A
    handler that does nothing ignores it for pytest as before, and is the default again in a child.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


BACKENDS: dict[str, tuple[str, dict[str, Any], float]] = {
    "model": ("model", {}, 1.0),
    "cpu": ("cpu", {}, 1.0),
    "cpu-3-workers": ("cpu", {"workers": 3}, 1.0),
    "cpu-process": ("cpu", {"process": True}, 1.0),
    "verilator": ("verilator", {"monitor": True, "latency": 20, "backpressure": 0.2}, 0.2),
    "icarus": ("icarus", {}, 0.1),
    "verilated": ("verilated", {"latency": (1, 20), "backpressure": 0.1}, 1.0),
    "cuda-latency": ("cuda", {"shape": "latency"}, 1.0),
    "cuda-throughput": ("cuda", {"shape": "throughput"}, 1.0),
}
"""The suite runs unchanged over these; a further backend adds one line: its name, its options, and
the share of the streams' lengths that it gets, for simulators take milliseconds a line."""

_SIMULATORS = ("verilator", "icarus", "verilated")
_SHARED = ("verilator", "icarus")
"""Backends whose devices pass from test to test: a library, as ``verilated``, costs nothing."""
_FEW_PROFILES = ("mixed", "checked", "stops")
_SLOW = frozenset(
    f"test_{name}"
    for name in (
        *("closing", "interrupts", "processes", "signals"),
        *("rollout_devices", "rollout_failures", "rollout_losses"),
    )
)
"""Files whose tests wait for processes, deadlines or signals."""

WHOLE_STREAMS = "DESCRING_WHOLE_STREAMS"
"""Environment variable that gives every backend the whole streams."""


class Simulators:
    """Simulators that tests have left open, for the next test that wants the same device.

    Starting one takes a second of processor time, most of what many tests need. A test that
    closes its device, or fails, gets none of another's and leaves none.
    """

    MOST = 3

    def __init__(self) -> None:
        self._idle: list[tuple[str, Device]] = []

    def take(self, key: str, first_index: int) -> Device | None:
        """One of this backend and these options, as after its reset, its memory zero."""
        for place, (its_key, device) in enumerate(self._idle):
            if its_key == key:
                del self._idle[place]
                device.reset(first_index)  # type: ignore[attr-defined]
                return device
        return None

    def give(self, key: str, device: Device) -> None:
        """Keep a device, unless it has been closed or is at fault."""
        try:
            device.reset()  # type: ignore[attr-defined]
            device.check_peer()  # type: ignore[attr-defined]
        except DeviceError:
            device.close()
            return
        device.memory[:] = 0
        self._idle.append((key, device))
        while len(self._idle) > self.MOST:
            self._idle.pop(0)[1].close()

    def close(self) -> None:
        """End them all."""
        while self._idle:
            self._idle.pop()[1].close()


@pytest.fixture(scope="session")
def simulators() -> Iterator[Simulators]:
    """The simulators of this process."""
    kept = Simulators()
    yield kept
    kept.close()


class OpenBackend:
    """Opens the backend under test, as often as a test likes."""

    def __init__(
        self,
        param: str,
        name: str,
        options: dict[str, Any],
        share: float,
        simulators: Simulators,
    ) -> None:
        self.name = param
        self._name = name
        self._options = options
        self._share = 1.0 if os.environ.get(WHOLE_STREAMS) else share
        self._simulators = simulators
        self._keys: dict[int, str] = {}
        self.opened: list[Device] = []

    def __call__(self, **options: Any) -> Device:
        """A device with a window of 1 MiB, unless the options say otherwise."""
        chosen = {**self._options, "memory": 1 << 20, **options}
        first_index = chosen.get("first_index", 0)
        key = f"{self._name} {sorted({**chosen, 'first_index': 0}.items())}"
        device = None
        if self._name in _SHARED:
            device = self._simulators.take(key, first_index)
        if device is None:
            device = open_device(self._name, **chosen)
        self._keys[id(device)] = key
        self.opened.append(device)
        return device

    def close(self, *, passed: bool) -> None:
        """Close what was opened; a simulator is kept for another test if this one has passed."""
        for device in self.opened:
            if passed and self._name in _SHARED:
                self._simulators.give(self._keys[id(device)], device)
            else:
                device.close()

    def lines(self, count: int) -> int:
        """How long a stream of ``count`` lines is to be on this backend."""
        return math.ceil(count * self._share)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests over a simulator, and those that wait; ``make check`` leaves them out.

    What a profile does in the RTL is the testbenches' matter, so a few suffice for the host's way
    to a simulator; nightly runs all.
    """
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        here = item.path.parent == Path(__file__).parent
        backend = params.get("open_backend")
        if here and (backend in _SIMULATORS or item.path.stem in _SLOW):
            item.add_marker(pytest.mark.slow)
        if here and backend in _SHARED and params.get("profile", "mixed") not in _FEW_PROFILES:
            item.add_marker(pytest.mark.nightly)


@functools.cache
def _no_gpu() -> str:
    """Why the backend cuda cannot be tested here; empty if it can."""
    try:
        open_device("cuda", memory=1 << 16).close()
    except DeviceError as error:
        return str(error)
    return ""


@pytest.fixture(params=list(BACKENDS))
def open_backend(request: pytest.FixtureRequest, simulators: Simulators) -> Iterator[OpenBackend]:
    """The backend under test; what it opened is closed behind the test."""
    name, options, share = BACKENDS[request.param]
    if name == "cuda" and _no_gpu():
        pytest.skip(_no_gpu())
    backend = OpenBackend(request.param, name, options, share, simulators)
    failed = request.session.testsfailed
    yield backend
    backend.close(passed=request.session.testsfailed == failed)


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """No test may leave a shared-memory segment of its own behind."""
    before = set(SHM_FOLDER.glob(f"{PREFIX}*"))
    yield
    left = {path for path in SHM_FOLDER.glob(f"{PREFIX}*") if path not in before}
    left = {path for path in left if f"test-{_worker_id()}" in path.name}
    assert not left, f"left behind: {left}"


def _worker_id() -> str:
    """Tests running at the same time have their own names; see host_support.shm_name."""
    from host_support import RUN

    return RUN
