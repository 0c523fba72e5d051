# SPDX-License-Identifier: Apache-2.0
"""The worker as a persistent GPU kernel: the backend ``cuda`` of :func:`descring_host.open_device`.

Importing this package needs no GPU and no CuPy; opening a device does.
"""

from descring_cuda.engine import CudaEngine
from descring_cuda.gpus import Shape
from descring_cuda.launch import CudaDevice
from descring_cuda.remote import Launcher, RemoteDevice
from descring_cuda.resident import Failure, ResidentDevice

__all__ = [
    "CudaDevice",
    "CudaEngine",
    "Failure",
    "Launcher",
    "RemoteDevice",
    "ResidentDevice",
    "Shape",
]
