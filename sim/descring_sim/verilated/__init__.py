# SPDX-License-Identifier: Apache-2.0
"""The RTL as a C++ library that Verilator made: batches of lines, a device, a pin bridge."""
