# SPDX-License-Identifier: Apache-2.0
"""Drivers and monitors of 64-byte line streams."""
