# SPDX-License-Identifier: Apache-2.0
"""The ranges of pyproject.toml, the versions of requirements/tested.txt, and what is installed."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

from descring_sim.support import paths
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NOT_INSTALLED = {"cupy-cuda13x", "matplotlib"}
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
