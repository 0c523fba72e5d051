# SPDX-License-Identifier: Apache-2.0
"""Types of ``host/native/binding/fast_queue.c``, which lies in the library of ``_native``."""

from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model import Lines

from descring_host.completion import Completion

class FastQueue:
    timeout_s: float
    _last: Lines | Completion | None
    _last_ring: int
    _held: list[tuple[int, Lines | Completion]]
    _under_way: Any
    def submit(self, lines: npt.NDArray[Any], *, timeout_s: float | None = None) -> int: ...
    def submit_decode(
        self,
        rollout_id: int,
        kv_offset: int,
        delta_offset: int,
        prefix_id: int,
        seq_len: int,
        max_tokens: int,
        *,
        user_data: int | None = None,
    ) -> int | None: ...
    def _next(self, timeout_s: float | None, ring: bool, /) -> Completion | None: ...
    def _poll(
        self, max_lines: int, timeout_s: float, reward: bool, out: npt.NDArray[Any] | None, /
    ) -> Lines: ...
    def _put_back(self) -> None: ...
    def _bind(
        self,
        queue: int,
        completion: type[Completion],
        dtype: np.dtype[Any],
        split: bool,
        piece_s: float,
        /,
    ) -> None: ...
