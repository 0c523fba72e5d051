# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``crc32c``, the checksum of a line."""
