# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``worker_pool``: workers in turn, retirement in order, STOP."""
