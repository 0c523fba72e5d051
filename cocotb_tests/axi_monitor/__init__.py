# SPDX-License-Identifier: Apache-2.0
"""Self-test of the AXI protocol monitor, :mod:`descring_vip.axi.monitor`."""
