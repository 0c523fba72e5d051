# SPDX-License-Identifier: Apache-2.0
"""Generators of everything that repeats the contract, and the readers that check the outcome."""
