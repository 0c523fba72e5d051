# SPDX-License-Identifier: Apache-2.0
"""The files of a report, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from descring_sim.conform.errors import ConformError
from descring_sim.conform.report.against import Comparison
from descring_sim.conform.report.badge import badge
from descring_sim.conform.report.machine import to_json, to_junit
from descring_sim.conform.report.page import to_page
from descring_sim.conform.verdict import Verdict
from descring_sim.support.files import FileError, reason, write_files

FILES = ("report.html", "verdict.json", "junit.xml", "badge.svg")


def write_report(
    folder: Path, verdict: Verdict, comparison: Comparison | None = None
) -> list[Path]:
    """Write all files of a report into ``folder`` and return their paths.

    Page and JSON have the ``comparison`` with an earlier verdict too.

    Raises:
        ConformError: the folder cannot be written.
    """
    data = None if comparison is None else comparison.data()
    page, whole = to_page(verdict, comparison), to_json(verdict, data)
    texts = (page, whole, to_junit(verdict), badge(verdict))
    targets = [folder / name for name in FILES]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_files(dict(zip(targets, texts, strict=True)))
    except OSError as error:
        raise ConformError(f"--output {folder}: cannot be written: {reason(error)}") from error
    except FileError as error:
        raise ConformError(f"--output {error}") from error
    return targets
