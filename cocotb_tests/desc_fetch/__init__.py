# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``desc_fetch``, the reads of descriptor lines."""
