# SPDX-License-Identifier: Apache-2.0
"""The fixture ``cosim``, which builds and runs a design: ``pytest --import-mode=importlib``."""

pytest_plugins = ["descring_sim.cosim.pytest_plugin"]
