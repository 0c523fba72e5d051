# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``completion_ring``, the completion ring on chip."""
