# SPDX-License-Identifier: Apache-2.0
"""The golden model of the descriptor ring: the contract as NumPy, without simulator or GPU."""

from descring_model import contract, streams
from descring_model.compare import Difference, describe, first_difference, status_of
from descring_model.completion import complete, decoded_tokens, goes_to_reward, seal
from descring_model.core import CompletionRing, GoldenCore, Ring
from descring_model.crc import crc32c
from descring_model.device import GoldenDevice, GoldenLineDevice
from descring_model.lines import DESC_DTYPE, Lines, as_lines, line_bytes
from descring_model.registers import ring_log2

__all__ = [
    "DESC_DTYPE",
    "CompletionRing",
    "Difference",
    "GoldenCore",
    "GoldenDevice",
    "GoldenLineDevice",
    "Lines",
    "Ring",
    "as_lines",
    "complete",
    "contract",
    "crc32c",
    "decoded_tokens",
    "describe",
    "first_difference",
    "goes_to_reward",
    "line_bytes",
    "ring_log2",
    "seal",
    "status_of",
    "streams",
]
