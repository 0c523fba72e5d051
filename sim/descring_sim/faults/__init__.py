# SPDX-License-Identifier: Apache-2.0
"""Faults between host and device, and what the device must make of each."""
