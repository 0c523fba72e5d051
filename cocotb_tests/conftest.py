# SPDX-License-Identifier: Apache-2.0
"""Collects the blocks in this folder."""

pytest_plugins = ["descring_sim.cosim.pytest_plugin"]
