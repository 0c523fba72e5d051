# SPDX-License-Identifier: Apache-2.0
"""What a run did, in numbers that its log gives; for a terminal and for a report."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from descring_model.rollouts import contract
from descring_model.rollouts.records import Records, blocks_of, own_blocks
from descring_model.rollouts.run import OUTCOMES

from descring_rollouts.groups import Trajectories

_DECODE, _PREFILL = 1, 3


@dataclass(frozen=True)
class Summary:
    """Numbers of one run, all in logical time."""

    rollouts: int
    delivered: int
    cancelled: int
    failed: int
    tokens: int
    legs: int
    ticks: int
    windows: int
    mean_window: float
    prompts_ingested: int
    copies: int
    peak_blocks: int
    shared_blocks: int
    copied_blocks: int
    mean_completion: float
    p99_completion: float
    mean_reward: float
    version: int

    @property
    def saved(self) -> float:
        """Share of the blocks that sharing saves, were all rollouts live at once [COW-011]."""
        return 1 - self.shared_blocks / self.copied_blocks if self.copied_blocks else 0.0

    def rows(self) -> list[tuple[str, str]]:
        """Name and value of every number."""
        shown = []
        for item in fields(self):
            value = getattr(self, item.name)
            text = f"{value:.3f}" if isinstance(value, float) else str(value)
            shown.append((item.name.replace("_", " "), text))
        shown.append(("saved by sharing", f"{100 * self.saved:.1f} %"))
        return shown

    def line(self) -> str:
        """The run in two lines."""
        return (
            f"{self.rollouts} rollouts: {self.delivered} delivered, {self.cancelled} cancelled, "
            f"{self.failed} failed; {self.tokens} tokens in {self.legs} legs\n"
            f"{self.ticks} ticks, {self.windows} windows of {self.mean_window:.1f} lines, "
            f"{self.prompts_ingested} prompts ingested, {self.peak_blocks} KV blocks at most, "
            f"mean completion at tick {self.mean_completion:.1f}, mean reward "
            f"{self.mean_reward:.4f}"
        )

    def markdown(self, title: str) -> str:
        """A page with a table of the numbers."""
        rows = "".join(f"| {name} | {value} |\n" for name, value in self.rows())
        return f"# {title}\n\n| number | value |\n|---|---|\n{rows}"


def summarise(requests: Records, trajectories: Trajectories, records: Records) -> Summary:
    """The numbers of a run.

    Args:
        requests: ``(n,)`` of REQUEST_DTYPE.
        trajectories: of all its rollouts.
        records: its whole log.
    """
    code, low, place = records["code"], records["b"] & 0xFFFF, records["c"]
    event = contract.EVENT
    line = code == event["LINE"]
    decode = line & (low == _DECODE)
    outcome = np.bincount(trajectories.outcome, minlength=len(OUTCOMES))
    delivered = trajectories.outcome == OUTCOMES.index("delivered")
    ended = trajectories.ended[delivered].astype(float)
    reward = trajectories.reward[~np.isnan(trajectories.reward)]
    windows = records["b"][code == event["WINDOW"]]
    shared = copied = 0
    seen: set[int] = set()
    for request in requests[["group", "prompt_tokens", "max_tokens"]].tolist():
        group, prompt, end = request
        shared += own_blocks(prompt, end) + (0 if group in seen else blocks_of(prompt))
        copied += blocks_of(end)
        seen.add(group)
    versions = records["a"][code == event["VERSION"]]
    return Summary(
        rollouts=len(requests),
        delivered=int(outcome[1]),
        cancelled=int(outcome[2]),
        failed=int(outcome[3]),
        tokens=int(records["d"][code == event["END"]].sum()),
        legs=int(decode.sum()),
        ticks=int(records["tick"][-1]) + 1 if len(records) else 0,
        windows=len(windows),
        mean_window=float(windows.mean()) if len(windows) else 0.0,
        prompts_ingested=int((line & (low == _PREFILL)).sum()),
        copies=int((code == event["COPY"]).sum()),
        peak_blocks=_peak(records, decode & (place != contract.NONE)),
        shared_blocks=shared,
        copied_blocks=copied,
        mean_completion=float(ended.mean()) if len(ended) else 0.0,
        p99_completion=float(np.percentile(ended, 99)) if len(ended) else 0.0,
        mean_reward=float(reward.mean()) if len(reward) else float("nan"),
        version=int(versions[-1]) if len(versions) else 0,
    )


def _peak(records: Records, writes: np.ndarray) -> int:
    """The most blocks in use at once, from what each record takes and gives back."""
    code, event = records["code"], contract.EVENT
    change = np.zeros(len(records), dtype=np.int64)
    node = code == event["NODE"]
    change[node] = records["b"][node]
    freed = code == event["NODE_FREE"]
    change[freed] = -records["b"][freed].astype(np.int64)
    released = code == event["RELEASE"]
    change[released] = -records["a"][released].astype(np.int64)
    change[code == event["COPY"]] = 1
    # A leg that begins at a block's first token takes a block; a copy has its own record.
    length = records["d"] & np.uint64(contract.NONE)
    change[writes & (length % np.uint64(contract.BLOCK_TOKENS) == 0)] += 1
    return int(change.cumsum().max(initial=0))
