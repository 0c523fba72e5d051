# SPDX-License-Identifier: Apache-2.0
"""The plugin that builds and runs a block: ``pytest --import-mode=importlib``."""

pytest_plugins = ["descring_sim.cosim.pytest_plugin"]
