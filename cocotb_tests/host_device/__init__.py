# SPDX-License-Identifier: Apache-2.0
"""The device of a host program that runs outside the simulator."""
