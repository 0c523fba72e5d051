# SPDX-License-Identifier: Apache-2.0
"""Measurements: their statistics, the one format of their results, comparison and charts."""
