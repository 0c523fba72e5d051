# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``axil_slave``, the AXI4-Lite port of the registers."""
