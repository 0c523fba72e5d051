# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``axi_write_engine``, bursts and words on the AXI write channels."""
