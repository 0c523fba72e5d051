# SPDX-License-Identifier: Apache-2.0
"""Campaigns: the suite over many seeds, on all cores or on a Ray cluster, resumed where it ended.

The unit of work is a shard: a few seeds with all tests. A finished shard is one line of the state
file, so an interrupted campaign continues after the last of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descring_model import contract

from descring_sim.campaign.records import merge
from descring_sim.conform.errors import ConformError
from descring_sim.conform.records import from_record, to_record
from descring_sim.conform.status import TestResult
from descring_sim.conform.worker_pool import Halt, Task, run_all
from descring_sim.support.errors import SimulationError
from descring_sim.support.files import FileError, reason
from descring_sim.support.journal import Journal

SHARD_SEEDS = 4
_WHAT = "the state of a campaign, as this version writes it"
_ADVICE = "name another file, or remove it"


@dataclass(frozen=True)
class Campaign:
    """What is to be run: ``count`` seeds from ``first_seed``, each with all ``tests``.

    ``implementation`` is the hash of what it is made of; ``contract_version`` that by which it is
    judged. With ``sampled``, tests take covering sets instead of enumerating.
    """

    reference: str
    folder: Path
    tests: tuple[str, ...]
    first_seed: int
    count: int
    timeout_s: float
    implementation: str = ""
    contract_version: int = contract.VERSION
    sampled: bool = False

    @property
    def seeds(self) -> range:
        """All seeds."""
        return range(self.first_seed, self.first_seed + self.count)

    def identity(self) -> dict[str, Any]:
        """What results of another run must share to count for this one."""
        return {
            "reference": self.reference,
            "implementation": self.implementation,
            "contract": contract.CONTRACT_SHA256,
            "tests": list(self.tests),
            "sampled": self.sampled,
        }

    def shards(self, done: set[int]) -> list[tuple[int, ...]]:
        """The seeds that are not ``done``, a few at a time."""
        left = [seed for seed in self.seeds if seed not in done]
        return [
            tuple(left[start : start + SHARD_SEEDS]) for start in range(0, len(left), SHARD_SEEDS)
        ]


def run_shard(
    campaign: Campaign, seeds: Sequence[int], halt: Halt | None = None
) -> list[dict[str, Any]]:
    """Run all tests with ``seeds`` on one worker of this machine; merged, as records."""
    tasks = [
        Task(test, seed, contract_version=campaign.contract_version, sampled=campaign.sampled)
        for seed in seeds
        for test in campaign.tests
    ]
    results = run_all(
        campaign.reference,
        campaign.folder,
        tasks,
        jobs=1,
        timeout_s=campaign.timeout_s,
        halt=halt,
    )
    return [to_record(result) for result in merge(results)]


class State:
    """The state file: one line a finished shard, after one that identifies the campaign."""

    def __init__(self, path: Path | None, campaign: Campaign) -> None:
        """Read what is there.

        Raises:
            ConformError: the file is of another campaign, or none at all.
        """
        self.results: list[TestResult] = []
        self.done: set[int] = set()
        self._journal = None if path is None else Journal(path, _WHAT, _ADVICE)
        if self._journal is None:
            return
        head = {"campaign": campaign.identity()}
        entries: list[Any] = []

        def parse(entry: Any) -> None:
            if entries:
                self._take(entry, campaign)
            elif entry != head:
                raise ConformError(
                    f"--state {path}: it is of another implementation (or one that was changed "
                    "since), contract or choice of tests; name another file, or remove it"
                )
            entries.append(entry)

        try:
            self._journal.read(parse)
            if not entries and path is not None and path.is_file() and path.stat().st_size:
                raise SimulationError(f"{path}:1: expected {_WHAT}, got no whole line; {_ADVICE}")
            # Without the torn end of a run that was killed.
            self._journal.replace(entries or [head])
        except (FileError, SimulationError) as error:
            raise ConformError(f"--state {error}") from error

    def _take(self, entry: Any, campaign: Campaign) -> None:
        """Count an entry, if its seeds are of this campaign; ``ValueError`` if it is none."""
        if not isinstance(entry, dict) or set(entry) != {"seeds", "results"}:
            raise ValueError("a line that has not seeds and results")
        seeds, records = entry["seeds"], entry["results"]
        if not isinstance(seeds, list) or not all(type(seed) is int for seed in seeds):
            raise ValueError("seeds that are no numbers")
        if not isinstance(records, list):
            raise ValueError("results that are no list")
        results = [from_record(record) for record in records]
        if set(seeds) <= set(campaign.seeds):
            if {result.test for result in results} != set(campaign.tests):
                raise ValueError("results of other tests than the campaign's")
            self.done |= set(seeds)
            self.results += results

    def add(self, campaign: Campaign, seeds: Sequence[int], records: list[dict[str, Any]]) -> None:
        """A shard is finished.

        Raises:
            ConformError: the state file cannot be written.
        """
        entry = {"seeds": list(seeds), "results": records}
        self._take(entry, campaign)
        if self._journal is None:
            return
        try:
            self._journal.add(entry)
        except OSError as error:
            raise ConformError(
                f"--state {self._journal.path}: cannot be written: {reason(error)}; what is in it "
                "counts when the campaign is run again"
            ) from error


Finished = Generator[tuple[tuple[int, ...], Any], None, None]
"""Each shard as it is finished, with its records; closed, it ends those that run."""
Shards = Callable[[Campaign, list[tuple[int, ...]], int], Finished]
"""Runs shards somewhere, so many at a time."""


def local_shards(campaign: Campaign, shards: list[tuple[int, ...]], jobs: int) -> Finished:
    """Run shards on this machine; those that run when the caller leaves are lost."""
    halt = Halt()
    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(run_shard, campaign, shard, halt): shard for shard in shards}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            halt.now()
            pool.shutdown(cancel_futures=True)


def run_campaign(
    campaign: Campaign,
    state: State,
    *,
    jobs: int,
    shards: Shards = local_shards,
    progress: Callable[[int], None] = lambda _seeds: None,
) -> list[TestResult]:
    """Run what ``state`` lacks; one merged result a test, in the order of the tests.

    ``progress`` is called with the number of seeds that are done.
    """
    progress(len(state.done))
    with closing(shards(campaign, campaign.shards(state.done), jobs)) as finished:
        for seeds, records in finished:
            state.add(campaign, seeds, records)
            progress(len(state.done))
    found = {result.test: result for result in merge(state.results)}
    missing = [test for test in campaign.tests if test not in found]
    if missing or state.done != set(campaign.seeds):
        raise ConformError(f"the campaign lost results: {missing[:3] or 'of whole seeds'}")
    return [found[test] for test in campaign.tests]
