# SPDX-License-Identifier: Apache-2.0
"""The line from the clock of a device to the stamps of its host."""

from __future__ import annotations

import numpy as np
import pytest
from descring_host import DeviceError
from descring_host.trace_rings import ClockReading, DeviceClock


def test_a_clock_of_the_device_by_stamps_of_the_host() -> None:
    """[TRC-005] Through the closest readings; off by half of their width and the clock's step."""
    rate, offset = 2.5, 10**18  # stamps of one nanosecond of the device
    at = np.array([0, 64, 1_000_000, 123_456_768, 2_000_000_000])

    def reading(device: int, width: int) -> ClockReading:
        middle = 7_000 + round(rate * device)
        return ClockReading(middle - width // 2, middle + width // 2, offset + device)

    begin = [reading(0, 9000), reading(64, 1000), reading(128, 5000)]
    end = [reading(2_000_000_000, 2000), reading(2_000_000_032, 4000)]
    clock = DeviceClock.of(begin, end)
    assert (clock.first, clock.last, clock.step) == (begin[1], end[0], 32)
    stamps = clock.stamps((at + offset).astype(np.uint64)).astype(np.int64)
    assert np.abs(stamps - (7_000 + rate * at)).max() <= 1
    assert clock.error == pytest.approx(1000 + 32 * rate)
    assert abs(clock.device(int(stamps[3])) - offset - 123_456_768) <= 1
    with pytest.raises(DeviceError, match="advance"):
        DeviceClock.of(end, begin)
