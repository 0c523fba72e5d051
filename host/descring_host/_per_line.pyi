# SPDX-License-Identifier: Apache-2.0
"""Types of ``host/native/binding/per_line.c``, which lies in the library of ``_native``."""

from descring_host.completion import Completion

class PerLine:
    """What a queue does with one line at a time; see the C source and ``help()``."""

    timeout_s: float
    _submitted: int
    _taken: int
    _start: int

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
    def next_completion(self, timeout_s: float | None = None) -> Completion | None: ...
    def _bind(self, queue: int, completion: type[Completion], piece_s: float, /) -> None: ...
