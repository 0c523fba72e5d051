# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``rl_runtime_top``, the core without registers."""
