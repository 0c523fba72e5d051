# SPDX-License-Identifier: Apache-2.0
"""The set-up script, in a small checkout of its own and on a PATH that the test composes."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from descring_sim.support import paths

TOOLS = (
    *("bash", "env", "cat", "dirname", "flock", "id", "mkdir", "rm", "sha256sum", "tail", "tr"),
    *("g++", "make", "perl"),
)

# Installs without a registry: the editable install is made by a backend inside the checkout.
PYPROJECT = """[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "toy"
version = "1"
"""

BACKEND = """
import zipfile
INFO = "toy-1.dist-info"
def build_editable(directory, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{directory}/toy-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{INFO}/METADATA", "Metadata-Version: 2.1\\nName: toy\\nVersion: 1\\n"
                       "Provides-Extra: dev\\nProvides-Extra: sim\\n")
        wheel.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n"
                       "Tag: py3-none-any\\n")
        wheel.writestr("toy.py", "")
        wheel.writestr(f"{INFO}/RECORD", "")
    return "toy-1-py3-none-any.whl"
"""


class Machine:
    """A checkout and the commands that its PATH holds."""

    def __init__(self, root: Path) -> None:
        self.root = root / "checkout"
        self.commands = root / "bin"
        self.home = root / "home"
        for folder in (self.root / "sim", self.commands, self.home):
            folder.mkdir(parents=True)
        checkout = paths.checkout_root()
        assert checkout is not None, "these tests belong to a checkout"
        shutil.copy(checkout / "sim" / "bootstrap.sh", self.root / "sim")
        support = Path("sim", "descring_sim", "support")
        (self.root / support).mkdir(parents=True)
        shutil.copy(checkout / support / "foreign_variables.txt", self.root / support)
        (self.root / "pyproject.toml").write_text(PYPROJECT)
        (self.root / "requirements").mkdir()
        (self.root / "requirements" / "tested.txt").write_text("toy==1\n")
        (self.root / "backend.py").write_text(BACKEND)
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None, f"the tests of the set-up need {tool}"
            (self.commands / tool).symlink_to(found)

    def command(self, name: str, text: str) -> None:
        """Put the shell script ``text`` on PATH as ``name``, in place of what is there."""
        path = self.commands / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def bootstrap(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script with an empty home and nothing but this machine's commands."""
        return subprocess.run(
            ["bash", str(self.root / "sim" / "bootstrap.sh"), *arguments],
            env={"PATH": str(self.commands), "HOME": str(self.home), "LC_ALL": "C"}
            | {name: value for name, value in os.environ.items() if name.startswith("PIP_")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine that lacks Icarus and apt, and whose user may not become root."""
    result = Machine(tmp_path)
    result.command("id", "echo 1000")
    return result


def test_what_is_missing_and_cannot_be_installed_is_one_line(machine: Machine) -> None:
    """Exit code 2, the names, the command that installs them, and nothing half-made."""
    (machine.commands / "perl").unlink()
    done = machine.bootstrap()
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "descring: missing: perl iverilog; install with: sudo apt-get install -y perl iverilog\n"
    )
    assert not (machine.root / ".venv").exists()


def test_a_tool_of_one_target_is_installed_or_named(machine: Machine) -> None:
    """Before anything else, and not where it is there already."""
    done = machine.bootstrap("dev", "perl", "spin")
    assert (done.returncode, done.stderr) == (
        2,
        "descring: missing: spin; install with: sudo apt-get install -y spin\n",
    )
    machine.command("id", "echo 0")
    machine.command("apt-get", 'echo "$*" >> "$HOME/apt"; exit 100')
    assert "spin (apt-get failed; log:" in machine.bootstrap("dev", "perl", "spin").stderr
    install = "install -y -q --no-install-recommends spin"
    assert (machine.home / "apt").read_text().splitlines() == [install, "update -q"]


def test_a_sudo_that_asks_for_a_password_is_not_used(machine: Machine) -> None:
    """The script never waits for an result."""
    machine.command("sudo", 'printf "%s " "$@" >> "$HOME/sudo"; exit 1')
    machine.command("apt-get", 'echo "$@" >> "$HOME/apt"')
    done = machine.bootstrap()
    assert done.returncode == 2
    assert "missing: iverilog; install with: sudo apt-get install -y iverilog" in done.stderr
    assert (machine.home / "sudo").read_text() == "-n true "
    assert not (machine.home / "apt").exists()


def test_missing_packages_are_installed_and_a_failing_apt_is_told(machine: Machine) -> None:
    """As root apt runs without questions, again after an update; when it fails, so does all."""
    machine.command("id", "echo 0")
    machine.command("apt-get", 'echo "$DEBIAN_FRONTEND $*" >> "$HOME/apt"; exit 100')
    done = machine.bootstrap()
    assert done.returncode == 2
    assert "installing system packages: iverilog" in done.stderr
    assert "apt-get failed" in done.stderr
    calls = (machine.home / "apt").read_text().splitlines()
    install = "noninteractive install -y -q --no-install-recommends iverilog"
    optional = "ccache chromium chromium-driver"
    assert calls == [f"{install} {optional}", " update -q", f"{install} {optional}", install]
    machine.command("apt-get", "exit 0")
    assert "still missing after apt-get: iverilog" in machine.bootstrap().stderr
    assert not (machine.root / ".venv").exists()


def test_the_environment_is_made_once_and_again_when_its_inputs_change(machine: Machine) -> None:
    """A python3 first on PATH that lacks venv does not matter; a second run is silent."""
    machine.command("id", "echo 0")
    machine.command(
        "python3", 'case $* in *venv*) echo no >&2; exit 127 ;; esac; exec /usr/bin/python3 "$@"'
    )
    machine.command(
        "apt-get",
        'printf "#!/bin/bash\\n" > "${0%/*}/iverilog"; /bin/chmod +x "${0%/*}/iverilog"',
    )
    first = machine.bootstrap()
    assert first.returncode == 0, first.stderr
    assert "installing system packages: iverilog" in first.stderr
    assert "Python packages ready" in first.stderr
    assert all(line.startswith("descring: ") for line in first.stderr.splitlines())
    python = machine.root / ".venv" / "bin" / "python"
    subprocess.run([python, "-c", "import toy"], check=True)
    second = machine.bootstrap()
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")

    (machine.root / "pyproject.toml").write_text(PYPROJECT.replace('"1"', '"1"\ndescription = "d"'))
    assert "installing Python packages" in machine.bootstrap().stderr
    assert machine.bootstrap().stderr == ""
    (machine.root / "pyproject.toml").write_text("[build-system")
    broken = machine.bootstrap()
    assert broken.returncode == 2
    assert "pip could not install the packages" in broken.stderr
    (machine.root / "pyproject.toml").write_text(PYPROJECT)
    tested = machine.root / "requirements" / "tested.txt"
    tested.write_text("toy==2\n")
    constrained = machine.bootstrap()
    assert (constrained.returncode, "toy" in constrained.stderr) == (2, True)
    tested.write_text("toy==1\n")
    python.unlink()
    assert "rebuilding it" in machine.bootstrap().stderr
    subprocess.run([python, "-c", "import toy"], check=True)


def test_the_simulations_alone_need_less_than_everything(machine: Machine) -> None:
    """What is ready for everything is ready for the simulations, and not the reverse."""
    assert machine.bootstrap("all").stderr == "descring: expected sim, docs or dev, got 'all'\n"
    machine.command("id", "echo 0")
    machine.command(
        "apt-get",
        'echo "$*" >> "$HOME/apt"\n'
        'printf "#!/bin/bash\n" > "${0%/*}/iverilog"; /bin/chmod +x "${0%/*}/iverilog"',
    )
    assert machine.bootstrap("sim").returncode == 0
    assert machine.bootstrap("sim").stderr == ""
    assert "Python packages ready" in machine.bootstrap("dev").stderr
    for level in ("sim", "dev"):
        assert machine.bootstrap(level).stderr == ""
    install = "install -y -q --no-install-recommends "
    assert (machine.home / "apt").read_text().splitlines() == [
        f"{install}iverilog ccache",
        f"{install}ccache chromium chromium-driver",
    ]
