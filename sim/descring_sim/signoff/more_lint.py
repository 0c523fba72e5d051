# SPDX-License-Identifier: Apache-2.0
"""The RTL through the lint of others: every warning of slang, and verible's rules.

``descring dev lint-others`` elaborates both devices with slang's ``-Weverything``, against the
waivers of ``sim/slang.toml``, and checks the style with verible, by ``rtl/.rules.verible_lint``.

Exit codes: 0 all well; 1 a finding, or a waiver that nothing needs; 2 an error.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from descring_sim.formal import toolchain
from descring_sim.hdl import filelist
from descring_sim.support import environment, paths
from descring_sim.support.click_program import run_module
from descring_sim.support.errors import SimulationError

WAIVERS = "sim/slang.toml"
RULES = ".rules.verible_lint"
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Warned:
    """A warning of slang: place, its name without ``-W``, its text."""

    file: str
    line: int
    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text} [-W{self.name}]"


@dataclass(frozen=True)
class Waiver:
    """A warning that is accepted, in all files or in some, and why."""

    warning: str
    reason: str
    files: tuple[str, ...] = ()

    def covers(self, found: Warned) -> bool:
        """Whether a warning needs no attention."""
        return found.name == self.warning and (
            not self.files or Path(found.file).name in self.files
        )


def read_waivers(path: Path) -> list[Waiver]:
    """The waivers of a file.

    Raises:
        SimulationError: it cannot be read, or an entry lacks the warning or the reason.
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))["waiver"]
        found = [
            Waiver(entry["warning"], entry["reason"], tuple(entry.get("files", ())))
            for entry in entries
        ]
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise SimulationError(
            f"{path}: expected [[waiver]] entries with warning and reason, got {error!r}"
        ) from error
    for item in found:
        if not item.reason.strip():
            raise SimulationError(f"{path}: expected a reason to waive {item.warning}, got none")
    return found


def slang_warnings(rtl: Path) -> list[Warned]:
    """The warnings of slang over both devices, with all of them on.

    Raises:
        SimulationError: a device is missing, or slang finds an error.
    """
    from pyslang import analysis, driver

    files: dict[Path, None] = {}
    modules = filelist.modules(rtl)
    tops = [name for name in filelist.TOPS if name in modules] or modules
    for top in tops:
        files.update(dict.fromkeys(filelist.collect(rtl, top).sources))
    words = ["slang", "-Weverything", "-I", str(rtl)]
    for top in tops:
        words += ["--top", top]
    run = driver.Driver()
    run.addStandardArgs()
    command = " ".join(f'"{word}"' for word in [*words, *map(str, files)])
    if not (run.parseCommandLine(command) and run.processOptions() and run.parseAllSources()):
        raise SimulationError(f"slang cannot read {rtl}; run descring dev elaborate")
    compilation = run.createCompilation()
    diagnostics = list(compilation.getAllDiagnostics())
    compilation.freeze()
    manager = analysis.AnalysisManager(run.analysisOptions)
    manager.analyze(compilation)
    diagnostics += list(manager.getDiagnostics())
    engine, sources = run.diagEngine, run.sourceManager
    found = []
    for item in diagnostics:
        place = f"{sources.getFileName(item.location)}:{sources.getLineNumber(item.location)}"
        text = engine.formatMessage(item)
        if item.isError():
            raise SimulationError(f"{place}: error: {text}; run descring dev elaborate")
        # A note belongs to the warning before it, and has no name.
        if name := engine.getOptionName(item.code):
            file, line = sources.getFileName(item.location), sources.getLineNumber(item.location)
            found.append(Warned(str(file), int(line), str(name), str(text)))
    return found


def judge(found: Sequence[Warned], waivers: Sequence[Waiver]) -> list[str]:
    """The warnings that no waiver covers, and the waivers that cover none, a line each."""
    report = [str(item) for item in found if not any(waiver.covers(item) for waiver in waivers)]
    report += [
        f"{WAIVERS}: the waiver of {waiver.warning} covers nothing; remove it"
        for waiver in waivers
        if not any(waiver.covers(item) for item in found)
    ]
    return report


def verible_findings(rtl: Path, rules: Path) -> list[str]:
    """What verible finds, a line each.

    Raises:
        SimulationError: verible or its rules are missing, or it fails.
    """
    if not rules.is_file():
        raise SimulationError(f"expected verible's rules at {rules}, found none")
    files = sorted(str(path) for path in rtl.glob("*.sv"))
    done = subprocess.run(
        [toolchain.tool("verible-verilog-lint"), "--rules_config", str(rules), *files],
        env=environment.tools(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if done.returncode not in (0, 1) or (done.returncode == 1 and not lines):
        raise SimulationError(f"verible ended with {done.returncode}: {' '.join(lines)[-500:]}")
    return lines


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument(
    "rtl_dir", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)
)
def main(rtl_dir: Path | None) -> None:
    """Check RTL_DIR (default: descring's own) with slang -Weverything and verible.

    sim/slang.toml has the waivers of slang's warnings, rtl/.rules.verible_lint verible's rules.
    """
    root = paths.checkout_root()
    if root is None:
        raise click.ClickException("expected a checkout of descring, got an installed package")
    rtl = (rtl_dir or paths.rtl_dir()).resolve()
    try:
        found = slang_warnings(rtl)
        report = judge(found, read_waivers(root / WAIVERS))
        report += verible_findings(rtl, root / "rtl" / RULES)
    except SimulationError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    for line in report:
        click.echo(line, err=True)
    if report:
        sys.exit(1)
    click.echo(f"slang: {len(found)} warnings, each waived with a reason; verible: none")


if __name__ == "__main__":
    run_module("descring_sim.signoff.more_lint", main)
