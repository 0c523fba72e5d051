# SPDX-License-Identifier: Apache-2.0
"""The one exception of the rollout runtime's golden model."""

from __future__ import annotations

from descring_model.rollouts import contract


class RolloutError(ValueError):
    """An error of the rollout contract; ``name`` is its name there, as ``"FREED"``.

    The text is ``NAME: expected X, got Y; what to do``.
    """

    def __init__(self, name: str, text: str) -> None:
        if name not in contract.ERROR:
            raise KeyError(f"{name} is no error of the rollout contract")
        super().__init__(f"{name}: {text}")
        self.name = name
