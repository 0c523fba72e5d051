# SPDX-License-Identifier: Apache-2.0
"""The kinds of implementation that the kit knows, and how one is found by name or path."""
