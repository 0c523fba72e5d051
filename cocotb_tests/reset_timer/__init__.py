# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``reset_timer``, which tells a long reset from one that has lost a response."""
