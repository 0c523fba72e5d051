# SPDX-License-Identifier: Apache-2.0
"""The tests of the kit: vectors and device programs for every rule, made from a seed."""
