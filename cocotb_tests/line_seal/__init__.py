# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``line_seal``, tag and checksum of a completion."""
