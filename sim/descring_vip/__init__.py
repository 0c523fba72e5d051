# SPDX-License-Identifier: Apache-2.0
"""Verification parts for cocotb: AXI memory and monitor, line streams, scoreboard, servers."""
