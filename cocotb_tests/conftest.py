# SPDX-License-Identifier: Apache-2.0
"""Gives the tests in this folder the fixture ``cosim``."""

pytest_plugins = ["descring_sim.cosim.pytest_plugin"]
