# SPDX-License-Identifier: Apache-2.0
"""The files of a report, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from descring_sim.conform.errors import ConformError
from descring_sim.conform.report.badge import badge
from descring_sim.conform.report.machine import to_json, to_junit
from descring_sim.conform.report.page import to_page
from descring_sim.conform.verdict import Verdict

FILES = ("report.html", "verdict.json", "junit.xml", "badge.svg")


def write_report(folder: Path, verdict: Verdict) -> list[Path]:
    """Write all files of a report into ``folder`` and return their paths.

    Raises:
        ConformError: the folder cannot be written.
    """
    texts = (to_page(verdict), to_json(verdict), to_junit(verdict), badge(verdict))
    targets = [folder / name for name in FILES]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(targets, texts)
    except OSError as error:
        raise ConformError(f"--output {folder}: cannot be written: {error.strerror}") from error
    return targets


def _replace(targets: Sequence[Path], texts: Sequence[str]) -> None:
    parts = [target.with_name(f".{target.name}.{os.getpid()}") for target in targets]
    try:
        for part, text in zip(parts, texts, strict=True):
            part.write_text(text, encoding="utf-8")
        for part, target in zip(parts, targets, strict=True):
            part.replace(target)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
