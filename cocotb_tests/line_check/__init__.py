# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``line_check``, the verdict on a submitted line."""
