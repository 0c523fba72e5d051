# SPDX-License-Identifier: Apache-2.0
"""What the host runtime's tests share: the path to their helpers, and the list of backends."""

import functools
import sys
from collections.abc import Callable, Iterator
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

BACKENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "model": ("model", {}),
    "cpu": ("cpu", {}),
    "cpu-3-workers": ("cpu", {"workers": 3}),
    "cpu-process": ("cpu", {"process": True}),
    "cuda-latency": ("cuda", {"shape": "latency"}),
    "cuda-throughput": ("cuda", {"shape": "throughput"}),
}
"""The suite runs unchanged over these; a further backend adds one line."""

OpenBackend = Callable[..., Device]


@functools.cache
def _no_gpu() -> str:
    """Why the backend cuda cannot be tested here; empty if it can."""
    try:
        open_device("cuda", memory=1 << 16).close()
    except DeviceError as error:
        return str(error)
    return ""


@pytest.fixture(params=list(BACKENDS))
def open_backend(request: pytest.FixtureRequest) -> Iterator[OpenBackend]:
    """Opens the backend under test, as often as a test likes; closes what it opened."""
    name, fixed = BACKENDS[request.param]
    if name == "cuda" and _no_gpu():
        pytest.skip(_no_gpu())
    opened: list[Device] = []

    def opener(**options: Any) -> Device:
        opened.append(open_device(name, **fixed, **{"memory": 1 << 20, **options}))
        return opened[-1]

    yield opener
    for device in opened:
        device.close()


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
