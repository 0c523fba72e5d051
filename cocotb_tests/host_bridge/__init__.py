# SPDX-License-Identifier: Apache-2.0
"""Host programs inside the simulation, through :mod:`lib.host_bridge`."""
