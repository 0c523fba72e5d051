# SPDX-License-Identifier: Apache-2.0
"""Negative tests of the kit: wrong implementations, each to be rejected under its rule."""
