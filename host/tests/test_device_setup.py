# SPDX-License-Identifier: Apache-2.0
"""What the host tells of a device that does not come out of its reset."""

from __future__ import annotations

import pytest
from descring_host import setup
from descring_host.errors import DeviceError
from descring_model import GoldenDevice, contract
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


class _Late:
    """The golden model, which takes a few looks at its STATUS to come out of reset."""

    def __init__(self) -> None:
        self.inner = GoldenDevice(1 << 16)
        self.waits = 0

    def read32(self, offset: int) -> int:
        busy = offset == _STATUS and self.waits < 3
        return 0 if busy else self.inner.read32(offset)

    def write32(self, offset: int, value: int) -> None:
        self.inner.write32(offset, value)

    def wait(self, seconds: float) -> None:
        self.waits += 1


def test_a_reset_may_take_its_time() -> None:
    """[LIFE-002] The host waits for READY, as long as it is not too long, and configures then."""
    late = _Late()
    geometry = setup.lay_out(4, 3, 4, split=True, memory_bytes=1 << 16)
    setup.configure(late, geometry, contract.MASK["CTRL"]["SPLIT_REWARD"])
    assert late.waits == 3
    assert setup.adopt(late) == (geometry, contract.MASK["CTRL"]["SPLIT_REWARD"])


@pytest.mark.parametrize("lost", [False, True])
def test_reset_without_an_end(lost: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """[LIFE-004] A response that is lost is named with what helps, only if the device shows it."""
    monkeypatch.setattr(setup, "_READY_S", 0.01)
    status = register_bit("STATUS", "RESET_TIMEOUT") * lost
    geometry = setup.lay_out(4, 4, 4, split=False, memory_bytes=1 << 20)
    with pytest.raises(DeviceError, match=f"not READY .*0x{status:08X}") as caught:
        setup.configure(_Stuck(status), geometry, 0)
    assert ("reset device and memory together" in str(caught.value)) == lost
