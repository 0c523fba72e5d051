# SPDX-License-Identifier: Apache-2.0
"""Running cocotb: simulators, builds, runs, results, and the simulations that stay up."""
