# SPDX-License-Identifier: Apache-2.0
"""``python -m descring_model``: the golden model at a prompt."""

# The model needs nothing of the simulation layer; its program ends as all others do.
from descring_sim.support.program import run_program

from descring_model.repl import main

run_program("python -m descring_model", main)
