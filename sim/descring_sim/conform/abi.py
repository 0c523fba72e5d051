# SPDX-License-Identifier: Apache-2.0
"""The C interface of a core that the kit loads as a library."""

from __future__ import annotations

ABI = 1
"""Raised when a library of the present ABI could not be used any more."""


STREAM_FLAGS = {"require_checked": 1, "split_reward": 2, "halt": 4}
"""Bits of ``descring_stream_t.flags``, by the option of the kit that sets them."""
