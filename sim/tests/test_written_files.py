# SPDX-License-Identifier: Apache-2.0
"""Results go through the one writer of whole files; in place only what a run keeps to itself."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from descring_sim.support import paths

IN_PLACE = {
    "conform/duts/core.py": "requests to a simulator, in the folder of its run",
    "conform/duts/dut_file.py": "the stamp of a build, under the build's lock",
    "conform/duts/rtl_source.py": "sources of a build, whose folder is renamed when it is whole",
    "conform/proof/accepted.py": "variants of examples, in the folder of a proof",
    "conform/proof/mutants.py": "copies with an error, in the folder of a proof",
    "conform/suite/device_bus.py": "no file: bytes of a register, by strobes",
    "cosim/build.py": "inputs of a build, which counts from its stamp on",
    "gen/readers.py": "probes in a temporary folder",
    "mutation/formal.py": "mutated sources, in a folder of their own",
    "protocol/device.py": "the standard library only; what a parent hands to its child",
    "protocol/stream.py": "the standard library only; what a parent hands to its child",
    "replay/cosim.py": "requests to a simulator, in the folder of its run",
    "signoff/coverage.py": "counts in the folder of a run, from which the pages are made",
    "formal/toolchain.py": "the script of a tool, in a folder of its own",
    "mutation/sampled/c_build.py": "compiled sources and a compiler, in a folder of its own",
    "mutation/sampled/line_counts.py": "the tests of a counted run, in the folder of that run",
    "mutation/sampled/netlist.py": "the script and sources of a tool, in a build under its lock",
    "mutation/sampled/proof.py": "a copy of a proof, in a folder of its own",
    "mutation/sampled/runs.py": "what a run of tests is asked, in the folder of that run",
    "mutation/sampled/suites.py": "mutated sources, in a folder of their own",
    "signoff/formal_axi.py": "the task of a proof, in a folder of its own",
    "signoff/fvip_proofs.py": "a copy of a proof, in a folder of its own",
    "signoff/peers.py": "sources of a build, in a folder of their own",
    "support/mutant.py": "mutated sources, in a folder of their own",
    "verilated/build.py": "a source of a build, which is renamed when it is whole",
}
"""Modules that call ``write_text`` or ``write_bytes``, and on what."""


def writers(folder: Path) -> set[str]:
    """The modules below ``folder`` that write a file in place."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("write_text", "write_bytes"):
                found.add(path.relative_to(folder).as_posix())
    return found


def test_nothing_else_is_written_in_place() -> None:
    """A page, a report, a drawing or a journal that is cut off would pass for a whole one."""
    assert writers(Path(paths.__file__).parents[1]) == set(IN_PLACE)


@pytest.mark.parametrize("call", ["write_text", "write_bytes"])
def test_a_writer_is_found(call: str, tmp_path: Path) -> None:
    """Whatever it is called on."""
    (tmp_path / "page.py").write_text(f"def f(folder):\n    (folder / 'x').{call}(b'')\n")
    assert writers(tmp_path) == {"page.py"}
