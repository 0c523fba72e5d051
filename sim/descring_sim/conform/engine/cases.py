# SPDX-License-Identifier: Apache-2.0
"""The cases: which rule, and the rollouts that show it.

An engine shows tokens, keys, values and states, no scores or outputs. So the cases of attention,
query and logits are built to cancel: what remains of a sum is its rounding, which another order of
the sum changes, and a low temperature makes a token of it. The sum of a block's weights (ATT-003)
and the division (ATT-007) change an output by an ulp at most and can pass unseen.
"""

from __future__ import annotations

# Imported for the cases that they put into the table.
from descring_sim.conform.engine import model_cases as model_cases
from descring_sim.conform.engine import sampling_cases as sampling_cases
from descring_sim.conform.engine.stimuli import CASES as CASES
from descring_sim.conform.engine.stimuli import Case as Case
