# SPDX-License-Identifier: Apache-2.0
"""``descring`` as a process: files, standard streams and signals of every kind end it in order.

Whatever goes wrong gives exit code 2 and one line, never 1 and never a traceback, and outputs are
whole or absent. ``DESCRING`` is the program as pip installed it; a few cases run another entry.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import descring_model
import numpy as np
import pytest
from descring_model import program, streams
from descring_sim.cli import main as cli
from descring_sim.replay.stream_file import read_stream
from descring_sim.support import memory

DESCRING = str(Path(sys.executable).with_name("descring"))
LIMIT = 512


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a stream, a mismatch to it, and one of each thing that is no regular file."""
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", streams.generate(50, seed=1))
    np.save("b.npy", streams.generate(50, seed=2))
    os.mkfifo("fifo")
    Path("loop").symlink_to("loop")
    Path("folder").mkdir()
    return tmp_path


def call(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run ``descring``; both of its outputs are kept unless ``options`` report otherwise."""
    kept = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run([DESCRING, *words], text=True, timeout=60, check=False, **kept)  # type: ignore[call-overload, no-any-return]


def told(stderr: str) -> str:
    """The one line that an error is."""
    assert stderr.startswith("descring: error: "), stderr
    assert len(stderr.splitlines()) == 1, stderr
    return stderr


def refused(result: subprocess.CompletedProcess[str], message: str) -> None:
    """Exit code 2 and one line that has ``message``."""
    assert result.returncode == 2, result
    assert message in told(result.stderr)


INPUTS = {
    "a pipe no_one writes": ("fifo", "got a pipe"),
    "a device": ("/dev/zero", "got a device"),
    "a loop of links": ("loop", "levels of symbolic links"),
    "a name too long": ("a" * 300, "File name too long"),
    "a folder": ("folder", "Is a directory"),
    "nothing": ("none", "No such file"),
    "below a file": ("a.npy/x", "Not a directory"),
}
READERS = {
    "compare": ["compare", "{}", "a.npy"],
    "replay": ["replay", "{}", "--backend", "model", "-o", "out.npy"],
    "check": ["check", "{}", "--backend", "model"],
    "conform": ["conform", "{}.toml"],
}


@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("reader", READERS)
def test_an_input_that_is_no_regular_file_is_refused(
    reader: str, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """At once, by every command that reads a file, and nothing is written."""
    name, message = INPUTS[kind]
    if reader == "conform":
        if kind in ("a device", "a name too long", "below a file"):
            pytest.skip("a description is called .toml")
        Path(name).rename(f"{name}.toml") if os.path.lexists(name) else None
        if kind == "a loop of links":
            Path("loop.toml").unlink()
            Path("loop.toml").symlink_to("loop.toml")
    before = sorted(Path().iterdir())
    assert cli.run([word.format(name) for word in READERS[reader]]) == 2
    assert message in told(capfd.readouterr().err)
    assert sorted(Path().iterdir()) == before


OUTPUTS = {
    "a pipe": ("fifo", "got a pipe"),
    "a device": ("/dev/full", "got a device"),
    "a loop of links": ("loop", "levels of symbolic links"),
    "a name too long": ("a" * 300, "File name too long"),
    "a folder": ("folder", "got a directory"),
    "in no folder": ("no/such", "does not exist"),
    "below a file": ("a.npy/x", "does not exist"),
    "a broken link into no folder": ("broken", "does not exist"),
}
WRITERS = {
    "stream": ["stream", "--count", "5", "--seed", "1", "-o", "{}"],
    "replay": ["replay", "a.npy", "--backend", "model", "-o", "{}"],
    "record": ["record", "{}", "--backend", "model", "--count", "5"],
    "campaign": ["campaign", "model", "--count", "1", "--only", "OP-000", "-j1", "--state", "{}"],
}


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("writer", [name for name in WRITERS if name != "campaign"])
def test_an_output_that_cannot_be_replaced_is_refused(
    writer: str, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """By every command that writes a file; what stood there stays what it was."""
    name, message = OUTPUTS[kind]
    Path("broken").symlink_to("no/such")
    before = {entry: os.lstat(entry).st_mode for entry in Path().iterdir()}
    assert cli.run([word.format(name) for word in WRITERS[writer]]) == 2
    assert message in told(capfd.readouterr().err)
    assert {entry: os.lstat(entry).st_mode for entry in Path().iterdir()} == before


@pytest.mark.parametrize("kind", ["a pipe", "a device", "in no folder", "a loop of links"])
def test_a_state_file_that_cannot_be_kept_is_refused(
    kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Before any seed is run."""
    name, _ = OUTPUTS[kind]
    assert cli.run([word.format(name) for word in WRITERS["campaign"]]) == 2
    assert "--state" in told(capfd.readouterr().err)


@pytest.mark.parametrize("writer", ["stream", "record"])
@pytest.mark.parametrize("target", ["new.npz", "n" * 250 + ".npz", "link.npz"])
def test_an_output_is_written_through_links_and_under_long_names(
    target: str, writer: str, here: Path
) -> None:
    """A link stays, the file that it names is replaced and keeps its mode; nothing else is left."""
    Path("old.npz").write_text("old")
    Path("old.npz").chmod(0o640)
    Path("link.npz").symlink_to("old.npz")
    before = set(Path().iterdir())
    assert cli.run([word.format(target) for word in WRITERS[writer]]) == 0
    assert set(Path().iterdir()) == before | {Path(target)}
    assert Path("link.npz").is_symlink()
    written = Path("old.npz") if target == "link.npz" else Path(target)
    assert written.stat().st_size > LIMIT
    assert Path("old.npz").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("writer", WRITERS)
def test_a_limit_on_the_size_of_files_leaves_no_part_of_one(writer: str, here: Path) -> None:
    """As a full disk does: exit code 2, and the old file is what it was."""
    Path("out").write_text("old" if writer != "campaign" else "")
    before = sorted(Path().iterdir())
    soft = LIMIT if writer != "campaign" else 64
    result = call(
        *(word.format("out") for word in WRITERS[writer]),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, soft)),
        env=os.environ | {"DESCRING_BUILD_DIR": str(here / "folder")},
    )
    refused(result, "File too large")
    assert sorted(Path().iterdir()) == before
    assert Path("out").read_text() in ("old", "")


def test_what_does_not_fit_is_refused_before_the_work(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither on the disk, nor in memory, nor under the limit on a file's size."""
    assert cli.run(["stream", "--count", str(10**12), "--seed", "1", "-o", "out.npy"]) == 2
    assert "free" in told(capfd.readouterr().err)
    monkeypatch.setattr(memory, "available", lambda: 10_000)
    for words in (WRITERS["stream"], WRITERS["replay"]):
        words = [word.format("out.npy").replace("5", "500") for word in words]
        assert cli.run(words) == 2
        assert "GiB of memory" in told(capfd.readouterr().err)
    assert not Path("out.npy").exists()


def test_available_memory_follows_the_limit_of_the_process() -> None:
    """And is a plausible figure without one."""
    assert 1 << 20 < memory.available() < 1 << 62
    command = "from descring_sim.support import memory; print(memory.available())"
    limit = 1 << 33
    result = subprocess.run(
        [sys.executable, "-c", command],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert int(result.stdout) <= limit


STDOUT = {
    "full": (">/dev/full", 2, 2),
    "closed": (">&-", 0, 1),
    "a pipe that no_one reads": ("| true", 0, 1),
}


@pytest.mark.parametrize("kind", STDOUT)
@pytest.mark.parametrize("other", ["a.npy", "b.npy"])
def test_standard_output_that_takes_nothing(kind: str, other: str) -> None:
    """A mismatch stays 1 and a match 0 where no one asks for the text; a full disk is an error."""
    redirection, match, mismatch = STDOUT[kind]
    script = f"'{DESCRING}' compare a.npy {other} {redirection}; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert result.returncode == (match if other == "a.npy" else mismatch)
    assert result.stdout == ""
    if kind == "full":
        assert "standard output: No space left on device" in told(result.stderr)
    else:
        assert result.stderr == ""


def test_standard_error_that_takes_nothing() -> None:
    """The exit code is all that is left to report."""
    for redirection in ("2>&-", "2>/dev/full", ">&- 2>&- <&-"):
        script = f"'{DESCRING}' compare a.npy none {redirection}"
        assert subprocess.run(["bash", "-c", script], timeout=60).returncode == 2


def test_a_closed_stream_is_no_file_that_is_written(here: Path) -> None:
    """The number of a closed standard output goes to no output file."""
    script = f"'{DESCRING}' stream --count 5 --seed 1 -o out.npy >&- 2>&-"
    assert subprocess.run(["bash", "-c", script], timeout=60).returncode == 0
    assert len(read_stream(here / "out.npy")) == 5


def test_a_file_name_that_no_locale_has(here: Path) -> None:
    """Is no reason to fail, in whatever encoding the terminal has."""
    name = os.fsdecode(b"\xff\xfe-\xc3\xa9.npy")
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    result = call("stream", "--count", "5", "--seed", "1", "-o", name, env=environment)
    assert (result.returncode, result.stderr) == (0, "")
    assert ".npy: 5 lines" in result.stdout
    result = call("compare", name, "none", env=environment)
    refused(result, "none: cannot be read")


USUAL_SIGNALS = """
import signal  # ignored ones are inherited: under nohup, in a background job
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
"""
SLOW = """
import sys, time
from descring_model import streams
streams.generate = lambda *a, **k: (print("busy", flush=True), time.sleep(60))
from descring_sim.cli import main as cli
sys.argv = ["descring", "stream", "--count", "9", "-o", "out.npy"]
cli.main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_it_in_order(number: signal.Signals, here: Path) -> None:
    """One line, an exit code that is not 1, and no part of a file, in the middle of the work."""
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            USUAL_SIGNALS + SLOW,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "busy\n"
        assert list(here.glob(".descring.*")), "the temporary file should be open by now"
        process.send_signal(number)
        code = process.wait(30)
        line = told(process.stderr.read().lstrip())
    interrupted = number is signal.SIGINT
    assert code == (2 if interrupted else 128 + number)
    assert ("interrupted" if interrupted else number.name) in line
    assert not list(here.glob("*out*")) and not list(here.glob(".*"))


def test_a_hang_up_that_the_parent_ignores_is_ignored() -> None:
    """As under nohup."""
    script = "import signal, time; from descring_model import program\n"
    script += "program.run_program('x', lambda: (signal.raise_signal(1), print('alive')) and 0)"
    result = subprocess.run(
        ["bash", "-c", 'trap "" HUP; exec "$@"', "-", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "alive\n", "")


ENDS = {
    "MemoryError": ("raise MemoryError", 2, "out of memory"),
    "RecursionError": ("f = lambda: f()\nf()", 2, "nested too deeply"),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", 2, "interrupted"),
    "OSError": ("open('none')", 2, "none: No such file or directory"),
    "OSError of two files": ("import os\nos.rename('x', 'y')", 2, "x: y: No such file"),
    "anything": ("1 / 0", 2, "internal error: ZeroDivisionError: division by zero"),
    "a text": ("raise SystemExit('no')", 2, "error: no"),
    "a thread": (
        "import threading\nt=threading.Thread(target=lambda: 1/0)\nt.start();t.join()",
        2,
        "ZeroDivisionError",
    ),
}


@pytest.mark.parametrize("kind", ENDS)
def test_no_end_is_a_traceback_or_a_mismatch(kind: str) -> None:
    """Every way in which Python gives up."""
    code, exit_code, message = ENDS[kind]
    body = "\n".join(f"    {line}" for line in code.splitlines())
    script = f"def work():\n{body}\nfrom descring_model.program import run_program\n"
    script += "run_program('descring', work)"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == exit_code
    assert message in told(result.stderr)


def test_the_traceback_is_there_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the line."""
    monkeypatch.setenv(program.DEBUG_VARIABLE, "1")
    script = "from descring_model.program import run_program\n"
    script += "run_program('descring', lambda: 1 / 0)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith("Traceback")
    assert result.stderr.splitlines()[-1].startswith("descring: error: internal error")


def test_every_module_that_is_a_program_ends_like_descring() -> None:
    """It is started through the same function; those that serve a parent do not."""
    root = Path(cli.__file__).parents[1]
    own = {"child.py", "worker.py", "smt_split.py"}
    found = {path for path in root.rglob("*.py") if '__name__ == "__main__"' in path.read_text()}
    good = {path for path in found if re.search(r"run_(program|module)\(", path.read_text())}
    assert {path for path in found if path.name not in own} == good
    assert len(good) > 8
    model = Path(descring_model.__file__).with_name("__main__.py")
    assert "run_program(" in model.read_text()


def test_the_golden_model_at_a_prompt_outlives_its_reader() -> None:
    """``python -m descring_model | head``."""
    script = f"yes help | head -2000 | '{sys.executable}' -m descring_model | true; "
    script += "exit ${PIPESTATUS[2]}"
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")


def test_help_does_not_import_the_commands() -> None:
    """The list of commands names all of them, and no package that takes long is loaded for it."""
    script = "import sys; from descring_sim.cli import main as cli; cli.run(['--help'])\n"
    script += "print([m for m in ('numpy', 'rich', 'jinja2', 'cocotb') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.stdout.splitlines()[-1] == "[]"
    for name in cli.COMMANDS:
        assert cli.cli.get_command(None, name).name == name  # type: ignore[arg-type, union-attr]


def test_an_output_is_held_against_its_size(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A disk that takes less than it was given, and does not reports it."""
    monkeypatch.setattr(os, "fsync", lambda file: os.ftruncate(file, 100))
    for words in (WRITERS["stream"], WRITERS["record"]):
        assert cli.run([word.format("out") for word in words]) == 2
        assert "bytes on the disk, got 100" in told(capfd.readouterr().err)
        assert not Path("out").exists()


def test_a_pipe_with_a_writer_is_refused_too(capfd: pytest.CaptureFixture[str]) -> None:
    """What leaves of it has no size to hold its header against."""
    pipe = os.open("fifo", os.O_RDWR)
    os.write(pipe, Path("a.npy").read_bytes())
    assert cli.run(["compare", "fifo", "a.npy"]) == 2
    assert "got a pipe" in told(capfd.readouterr().err)
    os.close(pipe)
