# SPDX-License-Identifier: Apache-2.0
"""``python -m descring_model``: the golden model at a prompt."""

from descring_model.program import run_program
from descring_model.repl import main

run_program("python -m descring_model", main)
