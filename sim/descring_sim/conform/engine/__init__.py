# SPDX-License-Identifier: Apache-2.0
"""The level ``engine`` of the conformance kit: tokens, keys, values and states, bit by bit."""
