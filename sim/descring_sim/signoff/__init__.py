# SPDX-License-Identifier: Apache-2.0
"""Lint, synthesis and coverage of the RTL."""
