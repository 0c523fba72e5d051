# SPDX-License-Identifier: Apache-2.0
"""Host programs inside the simulation, through :mod:`descring_vip.bridged_device`."""
