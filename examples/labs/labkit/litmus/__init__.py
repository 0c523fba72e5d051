# SPDX-License-Identifier: Apache-2.0
"""Litmus tests: as data, what memory models allow of them, and as programs."""
