# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``rl_runtime_mmio``, the whole device with its rings on chip."""
