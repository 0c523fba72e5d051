# SPDX-License-Identifier: Apache-2.0
"""The files of a report, written whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import quote

from descring_sim.conform.errors import ConformError
from descring_sim.conform.report.against import Comparison
from descring_sim.conform.report.badge import badge
from descring_sim.conform.report.machine import to_json, to_junit
from descring_sim.conform.report.page import to_page
from descring_sim.conform.verdict import Verdict
from descring_sim.support.files import FileError, reason, write_files

FILES = ("report.html", "verdict.json", "junit.xml", "badge.svg")
WAVES = "waves"
"""Folder beside them, with the waves of tests that failed."""


def write_report(
    folder: Path, verdict: Verdict, comparison: Comparison | None = None
) -> list[Path]:
    """Write all files of a report into ``folder`` and return their paths.

    Page and JSON have the ``comparison`` with an earlier verdict too. Waves of failures are copied,
    so that the folder can be moved, or sent elsewhere.

    Raises:
        ConformError: the folder cannot be written.
    """
    data = None if comparison is None else comparison.data()
    targets = [folder / name for name in FILES]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        page = to_page(verdict, comparison, _copy_waves(folder / WAVES, verdict))
        texts = (page, to_json(verdict, data), to_junit(verdict), badge(verdict))
        write_files(dict(zip(targets, texts, strict=True)))
    except OSError as error:
        raise ConformError(f"--output {folder}: cannot be written: {reason(error)}") from error
    except FileError as error:
        raise ConformError(f"--output {error}") from error
    return targets


def _copy_waves(folder: Path, verdict: Verdict) -> dict[str, str]:
    """Copy the waves that the run has kept; their addresses by test, as seen from the page."""
    addresses = {}
    for result in verdict.failures:
        waves = Path(result.failure.waves) if result.failure and result.failure.waves else None
        if waves is not None and waves.is_file():
            folder.mkdir(exist_ok=True)
            name = result.test.replace("/", "-") + waves.suffix
            shutil.copyfile(waves, folder / name)
            addresses[result.test] = f"{WAVES}/{quote(name)}"
    return addresses
