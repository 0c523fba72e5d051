# SPDX-License-Identifier: Apache-2.0
"""The golden model of the descriptor ring: the contract as NumPy, without simulator or GPU.

Names are imported when they are first used, so that what needs no array does not wait for NumPy.
"""

from descring_model.lazy import attribute_of

TYPE_CHECKING = False
"""As in :mod:`typing`, whose import would take longer than everything else here."""

if TYPE_CHECKING:
    from descring_model import contract, streams
    from descring_model.compare import Difference, describe, first_difference, status_of
    from descring_model.completion import (
        complete,
        decoded_tokens,
        goes_to_reward,
        longest_decode,
        seal,
    )
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
    "longest_decode",
    "ring_log2",
    "seal",
    "status_of",
    "streams",
]

_HOMES = {
    "Difference": "compare",
    "describe": "compare",
    "first_difference": "compare",
    "status_of": "compare",
    "complete": "completion",
    "decoded_tokens": "completion",
    "goes_to_reward": "completion",
    "longest_decode": "completion",
    "seal": "completion",
    "CompletionRing": "core",
    "GoldenCore": "core",
    "Ring": "core",
    "crc32c": "crc",
    "GoldenDevice": "device",
    "GoldenLineDevice": "device",
    "DESC_DTYPE": "lines",
    "Lines": "lines",
    "as_lines": "lines",
    "line_bytes": "lines",
    "ring_log2": "registers",
}
"""The module of each name that is not a module itself."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = attribute_of(__name__, name, _HOMES.get(name))
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
