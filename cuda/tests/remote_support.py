# SPDX-License-Identifier: Apache-2.0
"""Names that the tests of the cuda backend share."""

from collections.abc import Callable

from descring_cuda import RemoteDevice

OpenRemote = Callable[..., RemoteDevice]
"""Opens the worker under test; see the fixture ``open_remote``."""
