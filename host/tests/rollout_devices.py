# SPDX-License-Identifier: Apache-2.0
"""For the suites of the rollout runtime: devices seen through their registers, what a run holds."""

from typing import Any

from descring_host import Device
from descring_model import contract
from descring_rollouts import Runtime

DONE_TAIL = contract.OFFSET["DONE_TAIL"]
ZERO = (0, 0, 0, 0, 0, 0, 0)


def held(runtime: Runtime) -> tuple[int, ...]:
    """What the runtime's core holds; ``ZERO``: nothing."""
    usage = runtime.usage()
    names = ("blocks", "reserved", "decode", "reward", "trajectory", "live", "nodes")
    return tuple(getattr(usage, name) for name in names)


class Wrapped:
    """A device that passes everything on, through its registers only."""

    def __init__(self, device: Device) -> None:
        self._device = device

    def __getattr__(self, name: str) -> Any:
        if name == "native_port":
            raise AttributeError(name)
        return getattr(self._device, name)


class Silent(Wrapped):
    """Accepts lines and never shows a completion."""

    def read32(self, offset: int) -> int:
        """Hold the done ring's tail at 0."""
        return 0 if offset == DONE_TAIL else int(self._device.read32(offset))
