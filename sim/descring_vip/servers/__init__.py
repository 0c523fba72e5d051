# SPDX-License-Identifier: Apache-2.0
"""Testbenches that stay up and serve a host program: streams, cores, whole devices."""
