# SPDX-License-Identifier: Apache-2.0
"""Devices for the suites of the rollout runtime: seen through their registers, and silent ones."""

from typing import Any

from descring_host import Device
from descring_model import contract

DONE_TAIL = contract.OFFSET["DONE_TAIL"]


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
