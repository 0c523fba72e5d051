# SPDX-License-Identifier: Apache-2.0
"""What is read from the SystemVerilog sources without a simulator."""
