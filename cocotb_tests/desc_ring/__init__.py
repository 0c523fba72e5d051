# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``desc_ring``, the command ring on chip."""
