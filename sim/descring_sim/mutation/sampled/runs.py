# SPDX-License-Identifier: Apache-2.0
"""A run of pytest over a mutant, whose failure names a test wherever one was running."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from descring_sim.mutation.sampled import run_notes
from descring_sim.mutation.suite_run import Failure, first_failure


def failure_of(
    home: Path,
    arguments: Sequence[str],
    suite: str,
    *,
    seconds: float,
    variables: Mapping[str, str],
    memory_kib: int | None = None,
    left_out: Sequence[str] = (),
    limits: Mapping[str, float] | None = None,
) -> Failure | None:
    """Run pytest in the copy ``home`` and return its first failure, None for none.

    Args:
        home: the copy; one run at a time.
        arguments: of pytest.
        suite: names the run where no test was running.
        seconds: bound on the whole run.
        variables: added to its environment.
        memory_kib: bound on the address space of a process, None for none.
        left_out: tests that do not run, as ``tests/test_x.py::test_y``.
        limits: seconds that each of these tests may take, once for each of its parameters.

    Raises:
        MutantError: no test has run.
    """
    note, orders = home / "run-note.txt", home / "run-orders.json"
    note.unlink(missing_ok=True)
    wanted = {"note": str(note), "left_out": [*left_out], "limits": dict(limits or {})}
    orders.write_text(json.dumps(wanted), encoding="utf-8")
    failure = first_failure(
        home,
        ["-p", run_notes.__name__, *arguments],
        suite,
        seconds=seconds,
        variables={**variables, run_notes.ORDERS_VARIABLE: str(orders)},
        memory_kib=memory_kib,
    )
    if failure is None or failure.test is not None or not note.is_file():
        return failure
    return _located(failure, note.read_text(encoding="utf-8", errors="replace"), limits or {})


def _located(failure: Failure, note: str, limits: Mapping[str, float]) -> Failure:
    """``failure`` of a whole run, with the test that was running, if one was."""
    node, _, rest = note.partition("\n")
    file, _, test = node.partition("::")
    if not test:
        return failure
    why = failure.why
    if rest.startswith("Timeout"):
        why = f"no end in {limits[node.partition('[')[0]]:.0f} s"
    return Failure(Path(file).stem, test, why)
