# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``rl_runtime_axi``, the whole device with its rings in memory."""
