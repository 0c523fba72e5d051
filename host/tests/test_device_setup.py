# SPDX-License-Identifier: Apache-2.0
"""What the host tells of a device that does not come out of its reset."""

from __future__ import annotations

import pytest
from descring_host import setup
from descring_host.errors import DeviceError
from descring_model import contract
from descring_model.contract import register_bit

_STATUS = contract.OFFSET["STATUS"]


class _Stuck:
    """A device whose STATUS never changes."""

    def __init__(self, status: int) -> None:
        self.status = status

    def read32(self, offset: int) -> int:
        assert offset == _STATUS
        return self.status

    def write32(self, offset: int, value: int) -> None:
        """Nothing comes of it."""

    def wait(self, seconds: float) -> None:
        """Time passes outside."""


@pytest.mark.parametrize("lost", [False, True])
def test_reset_without_an_end(lost: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """[LIFE-004] A response that is lost is named with what helps, only if the device shows it."""
    monkeypatch.setattr(setup, "_READY_S", 0.01)
    status = register_bit("STATUS", "RESET_TIMEOUT") * lost
    geometry = setup.lay_out(4, 4, 4, split=False, memory_bytes=1 << 20)
    with pytest.raises(DeviceError, match=f"not READY .*0x{status:08X}") as caught:
        setup.configure(_Stuck(status), geometry, 0)
    assert ("reset device and memory together" in str(caught.value)) == lost
