# SPDX-License-Identifier: Apache-2.0
"""How long a result counts: a kill while its test is there, a survivor while the suite is the same.

A campaign of hours would else begin again with every new test, which can only kill more. That the
sources are the same is the journal's own condition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from descring_sim.mutation.sampled.campaign import Found
from descring_sim.mutation.sampled.suites import Area
from descring_sim.mutation.suite_run import node_of
from descring_sim.support import build_cache

_TEST = re.compile(r"\b(test_\w+)")
_PROPERTY = re.compile(r"\b(\w+_[AC])\b")
_READ = (".py", ".sv", ".svh", ".sby", ".toml", ".c", ".h")


def suite_key(*folders: Path) -> str:
    """Return a short name for the tests in ``folders`` as they are."""
    found = sorted(
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in _READ
    )
    return build_cache.key([path.name for path in found], found)[:12]


def tests_key(area: Area) -> str:
    """Return a short name for the tests of ``area`` as they are."""
    folders = ["tests", *([area.programs] if area.programs else [])]
    return suite_key(*(area.folder / name for name in folders))


def survived(text: str, key: str) -> str:
    """Return why a mutant survived, with the suite that it met."""
    return f"{text}, suite {key}"


def _met(found: Found, keys: set[str]) -> bool:
    return found.by.rpartition(" suite ")[2] in keys


def of_suites(areas: Sequence[Area]) -> Callable[[Found], bool]:
    """Return whether a result of a mutant of C or Python in ``areas`` counts."""
    tests = [path for area in areas for path in (area.folder / "tests").glob(area.tests)]
    texts = {path.stem: path.read_text(encoding="utf-8") for path in tests}
    keys = {tests_key(area) for area in areas}

    def counts(found: Found) -> bool:
        if found.status == "survived":
            return _met(found, keys)
        node = node_of(found.by)
        if node is None:
            return True
        path, _, name = node.partition("::")
        return f"def {name.rpartition('::')[2]}(" in texts.get(Path(path).stem, "")

    return counts


def of_benches(tests_dir: Path, formal_dir: Path) -> Callable[[Found], bool]:
    """Return whether a result of a mutant of the RTL counts.

    Args:
        tests_dir: the testbenches.
        formal_dir: the proofs.
    """
    key = suite_key(tests_dir, formal_dir)
    cases = "".join(path.read_text(encoding="utf-8") for path in tests_dir.rglob("*.py"))
    proofs = "".join(path.read_text(encoding="utf-8") for path in formal_dir.rglob("*.sv"))

    def counts(found: Found) -> bool:
        if found.status == "survived":
            return _met(found, {key})
        if found.status != "killed":
            return True
        if found.tier == "proof":
            return all(name in proofs for name in _PROPERTY.findall(found.by))
        # As block@config: block.test_case: why.
        test = _TEST.search(found.by.partition(": ")[2].partition(": ")[0])
        return test is None or f"def {test[1]}(" in cases

    return counts
