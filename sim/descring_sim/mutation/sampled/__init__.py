# SPDX-License-Identifier: Apache-2.0
"""Mutants that nobody chose: drawn by a seed from all that a tool can change."""
