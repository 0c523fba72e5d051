# SPDX-License-Identifier: Apache-2.0
"""Building and running simulators, generators, and the command ``descring``."""
