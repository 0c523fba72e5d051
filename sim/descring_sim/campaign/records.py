# SPDX-License-Identifier: Apache-2.0
"""One result a test over all seeds of a campaign."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from descring_sim.conform.status import Bin, TestResult


def merge(results: Iterable[TestResult]) -> list[TestResult]:
    """One result a test, over all its seeds: the first bad one in order of seeds, or passed.

    Compared values, seconds and bins are sums.
    """
    by_test: dict[str, list[TestResult]] = {}
    for result in results:
        by_test.setdefault(result.test, []).append(result)
    merged = []
    for found in by_test.values():
        ordered = sorted(found, key=lambda result: result.seed)
        shown = next((result for result in ordered if result.status.bad), ordered[0])
        bins: Counter[Bin] = Counter()
        for result in ordered:
            bins.update(result.bins)
        merged.append(
            replace(
                shown,
                seconds=sum(result.seconds for result in ordered),
                compared=sum(result.compared for result in ordered),
                bins=dict(bins),
            )
        )
    return merged
