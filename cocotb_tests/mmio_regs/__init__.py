# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``mmio_regs``, the register file."""
