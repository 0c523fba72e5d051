# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``comp_writer``, the writes of completions."""
