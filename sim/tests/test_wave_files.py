# SPDX-License-Identifier: Apache-2.0
"""``descring waves`` on wave files of every layout and on what is none; the fuzz damages more."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import fst_samples
import pytest
from descring_sim.support import files
from descring_sim.waves import child, views, wave_file

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def wave(tmp_path: Path) -> Path:
    """A good file in a folder of its own."""
    folder = tmp_path / "waves"
    folder.mkdir()
    return fst_samples.write(folder / "w.fst", "lz4")


@pytest.mark.parametrize("layout", fst_samples.LAYOUTS)
def test_every_layout_is_read(layout: str, tmp_path: Path) -> None:
    """Times, names, ranges and widths, in the order of the file."""
    found = wave_file.read(fst_samples.write(tmp_path / "w.fst", layout, instances=2))
    assert (found.start, found.end) == (0, (fst_samples.TIMES - 1) * 5000)
    names = [name for name, _ in fst_samples.SIGNALS]
    assert [signal.name for signal in found.signals] == names * 2
    scopes = ["rl_runtime_mmio"] * len(names) + ["rl_runtime_mmio.u_worker_0"] * len(names)
    assert [signal.scope for signal in found.signals] == scopes
    assert {s.name: (s.span, s.bits) for s in found.signals}["line_data_i"] == ("[511:0]", 512)


def _run(wave: Path, descring: Command) -> str:
    """The one line of an error of ``descring waves``."""
    before = {path.name: path.lstat().st_size for path in wave.parent.iterdir()}
    result = descring("waves", wave)
    assert result.returncode == 2, result
    assert {path.name: path.lstat().st_size for path in wave.parent.iterdir()} == before
    (line,) = result.stderr.splitlines()
    return line


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused(share: float, wave: Path, descring: Command) -> None:
    """As a killed simulator leaves it; there is no view of it then."""
    wave.write_bytes(wave.read_bytes()[: int(share * wave.stat().st_size)])
    assert f"{wave}: expected a whole wave file (FST)" in _run(wave, descring)


CHILDREN = {
    "a crash": ("import os; os.abort()", "reading it ended by SIGABRT"),
    "an exception": ("raise KeyError('scope')", "its reader failed: KeyError: 'scope'"),
    "too much memory": (f"x = bytes({2 * child.MEMORY})", "it needs more memory"),
    "no end": ("import time; time.sleep(60)", "reading it had no end after 1 s"),
    "too much processor": ("while True: pass", "reading it ended by SIGKILL"),
    "a file without end": (
        "import sys\nwhile True: open(sys.argv[1] + '.unpacked', 'ab').write(bytes(1 << 16))",
        "its reader failed: OSError: [Errno 27] File too large",
    ),
    "other signals": (
        'print(\'{"times": [0, 1], "signals": [["a", "b"]]}\')\nsys.stdout.flush(); os._exit(0)',
        "reading it gave not enough values",
    ),
}
"""What a damaged file can have the library do, in its place; and how it is reported."""


@pytest.mark.parametrize("kind", CHILDREN)
def test_whatever_the_library_does_is_one_line(
    kind: str, wave: Path, descring: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within limits on memory, time and disk, and nothing stays beside the file."""
    does, message = CHILDREN[kind]
    monkeypatch.setattr(wave_file, "TIMEOUT_S", 1.0 if kind == "no end" else 60.0)
    script = f"import os, sys\nfrom {child.__name__} import *\nimport {child.__name__} as child\n"
    script += "child.CPU_S, child.FILE_BYTES = 1, 1 << 20\n"
    script += f"def read(file):\n{textwrap.indent(does, '    ')}\n"
    script += "child.read = read\nsys.exit(child.main(sys.argv[1]))\n"
    monkeypatch.setattr(
        wave_file, "command", lambda file: [sys.executable, "-P", "-c", script, str(file)]
    )
    assert message in _run(wave, descring)


def test_views_are_written_together_or_not_at_all(
    wave: Path, descring: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the one writer of whole files: a disk that loses bytes leaves what was there."""
    assert descring("waves", wave).returncode == 0
    written = {path.name for path in wave.parent.iterdir()}
    assert {"w.fst", "w.gtkw", "w.sucl", "opcodes"} <= written
    wave.with_suffix(".sucl").write_text("old")
    monkeypatch.setattr(os, "fsync", lambda file: os.ftruncate(file, 10))
    assert "bytes on the disk, got 10" in _run(wave, descring)
    assert wave.with_suffix(".sucl").read_text() == "old"
    assert {path.name for path in wave.parent.iterdir()} == written


@pytest.mark.parametrize("name", ["w.gtkw", "w.sucl", "opcodes"])
def test_a_view_does_not_replace_its_wave(name: str, wave: Path, descring: Command) -> None:
    """Nor the file that a link with an innocent name leads to."""
    moved = wave.rename(wave.with_name(name))
    wave.symlink_to(name)
    for path in (moved, wave):
        assert "got the name of a view" in _run(path, descring)


def test_a_name_of_any_bytes_is_shown_for_a_shell(tmp_path: Path, descring: Command) -> None:
    """The printed commands open the file and the views, whatever the folder is called."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/it's a \xff $x #%"))
    folder.mkdir()
    wave = fst_samples.write(tmp_path / "w.fst", "lz4").rename(folder / "w.fst")
    gtkwave, surfer = views.save(wave)
    assert os.fsencode(folder) in gtkwave.read_bytes()
    for command, words in zip(views.commands(wave), ([surfer, wave], [wave, gtkwave]), strict=True):
        shown = subprocess.run(
            [
                "bash",
                "-c",
                f"surfer() {{ printf '%s\\0' \"${{@:2}}\"; }}; "
                f"gtkwave() {{ printf '%s\\0' \"$@\"; }}; {command}",
            ],
            capture_output=True,
            check=True,
        ).stdout
        assert shown.split(b"\0")[:-1] == [os.fsencode(word) for word in words]
    assert descring("waves", wave).returncode == 0


def test_a_wave_that_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """Before any process is started for it."""
    os.mkfifo(tmp_path / "w.fst")
    with pytest.raises(files.FileError, match="got a pipe"):
        wave_file.read(tmp_path / "w.fst")
