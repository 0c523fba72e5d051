# SPDX-License-Identifier: Apache-2.0
"""What the tests of the cuda backend share: the workers they run over, with and without a GPU."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# pytest runs with --import-mode=importlib, which puts no test folder on the path.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "host" / "tests"))

from descring_cuda import RemoteDevice
from descring_cuda.launch import open_cuda
from emulated import open_emulated
from emulated_resident import open_emulated_resident
from hypothesis import settings
from remote_support import OpenRemote, no_gpu

settings.register_profile("descring", max_examples=40, deadline=None, print_blob=True)
settings.load_profile("descring")


SLOW = (
    "compile",
    "engine",
    "resident",
    "resident_command",
    "resident_runtime",
    "remote_closing",
    "remote_life",
    "remote_registers",
    "remote_streams",
    "trace",
)
"""Files whose tests compile kernels, or run them on the CPU; ``make check`` leaves them out."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder that take seconds."""
    for item in items:
        here = item.path.parent == Path(__file__).parent
        if here and item.path.stem.removeprefix("test_") in SLOW:
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def gpu() -> None:
    """Skips, with the reason, where there is no usable GPU."""
    if no_gpu():
        pytest.skip(no_gpu())


@pytest.fixture(
    params=[
        "latency-on-cpu",
        "throughput-on-cpu",
        "resident-on-cpu",
        "latency-on-gpu",
        "throughput-on-gpu",
        "resident-on-gpu",
    ]
)
def open_remote(request: pytest.FixtureRequest) -> Iterator[OpenRemote]:
    """Opens the worker under test, as often as a test likes; closes what it opened."""
    shape, _, where = request.param.split("-")
    if where == "gpu" and no_gpu():
        pytest.skip(no_gpu())
    opened: list[RemoteDevice] = []

    def opener(memory: int = 1 << 20, **options: object) -> RemoteDevice:
        chosen: dict[str, Any] = {"memory": memory, "heartbeat_s": 20.0, **options}
        if where == "gpu":
            opened.append(open_cuda(shape=shape, **chosen))
        elif shape == "resident":
            opened.append(open_emulated_resident(**chosen))
        else:
            opened.append(open_emulated(shape=shape, **chosen))
        return opened[-1]

    yield opener
    for device in opened:
        device.close()
