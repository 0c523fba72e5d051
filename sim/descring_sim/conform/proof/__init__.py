# SPDX-License-Identifier: Apache-2.0
"""Proof that the kit can say no: wrong implementations, each to be rejected under its rule."""
