# SPDX-License-Identifier: Apache-2.0
"""Mutants that no author chose: drawn by a seed from all that a tool can change."""
