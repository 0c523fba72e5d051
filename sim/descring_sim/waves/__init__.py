# SPDX-License-Identifier: Apache-2.0
"""Waves: which part is recorded, and the views that show them by name."""
