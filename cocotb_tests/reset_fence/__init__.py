# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``reset_fence``, which keeps what was requested before a reset apart."""
