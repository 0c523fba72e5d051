# SPDX-License-Identifier: Apache-2.0
"""Lines for the command ring, from its tail on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from descring_model import contract, seal
from descring_model.lines import Lines, index_range
from descring_model.streams import generate

_STOP = contract.OPCODE["STOP"]


class Stimulus:
    """Draws lines for the next indices.

    Attributes:
        rng: what they are drawn from.
        tail: the index of the next line.
    """

    rng: np.random.Generator
    tail: int

    def stream(self, count: int, profile: str = "mixed") -> Lines:
        """Draw lines of ``profile`` for the indices from the tail on."""
        seed = int(self.rng.integers(1 << 32))
        return generate(count, seed=seed, profile=profile, first_index=self.tail)

    def stops(self, count: int) -> Lines:
        """Lines of STOP."""
        lines = self.stream(count, "nop")
        lines["opcode"] = _STOP
        return lines

    def decodes(self, tokens: Sequence[int], *, to_reward: Sequence[bool] | bool = False) -> Lines:
        """DECODE lines of so many tokens each, 1 to 32, that end DONE or with NEEDS_REWARD."""
        lines = self.stream(len(tokens), "decode")
        lines["seq_len"] = 96 - np.array(tokens)
        lines["max_tokens"] = 96 + np.broadcast_to(to_reward, len(tokens))
        return lines

    def sealed(self, lines: Lines) -> Lines:
        """The lines as CHECKED ones for the indices from the tail on."""
        return seal(lines, index_range(self.tail, len(lines)), set_flag=True)
