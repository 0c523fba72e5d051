# SPDX-License-Identifier: Apache-2.0
"""The command works where only what a wheel brings is installed. `make ci-snippet` installs one."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

from descring_sim.support import paths

# What imports nothing of these is what a user has who did not ask for the extra "dev".
BLOCK = """
import importlib.metadata, sys
blocked = {{
    file.parts[0].partition(".")[0]
    for package in {packages!r}
    for file in importlib.metadata.files(package)
    if ".dist-info" not in file.parts[0] and file.suffix in (".py", ".so")
}}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"{{name}}: only the extra dev brings it")
sys.meta_path.insert(0, Blocker())
assert "bitwuzla" in blocked and "hypothesis" in blocked
from descring_sim.cli.main import run
sys.exit(run({arguments!r}))
"""


def _development_packages() -> set[str]:
    root = paths.checkout_root()
    assert root is not None
    extras = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*extras["optional-dependencies"]["dev"], *extras["optional-dependencies"]["ray"]]
    names = {re.split(r"[<>=\[]", requirement)[0] for requirement in wanted}
    # cocotb brings pytest, for its assertions.
    return names - {"descring", "pytest"}


def test_the_command_needs_no_development_package() -> None:
    """Every command is there, and the kit judges an implementation."""
    for arguments in (["--help"], ["conform", "model", "--only", "DEC-003", "--jobs", "1"]):
        code = BLOCK.format(packages=_development_packages(), arguments=arguments)
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
        )
        assert result.returncode == 0, result.stderr
