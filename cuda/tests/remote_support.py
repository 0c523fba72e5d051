# SPDX-License-Identifier: Apache-2.0
"""Names that the tests of the cuda backend share."""

import functools
from collections.abc import Callable

from descring_cuda import CudaDevice, RemoteDevice
from descring_host import DeviceError

OpenRemote = Callable[..., RemoteDevice]
"""Opens the worker under test; see the fixture ``open_remote``."""


@functools.cache
def no_gpu() -> str:
    """Why the tests that need a GPU can't run here; empty if they can."""
    try:
        CudaDevice(1 << 16).close()
    except DeviceError as error:
        return str(error)
    return ""
