# SPDX-License-Identifier: Apache-2.0
"""``descring`` as a whole: what it refuses, how it reports errors, and what it leaves."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from descring_model import DESC_DTYPE, streams
from descring_sim.replay.stream_file import read_stream

Command = Callable[..., subprocess.CompletedProcess[str]]


def good(path: Path, count: int = 8) -> Path:
    """A stream of ``count`` lines at ``path``."""
    np.save(path, streams.generate(count, seed=3))
    return path


def refused(result: subprocess.CompletedProcess[str], *message: str) -> None:
    """Exit code 2, nothing on stdout, and one line on stderr that has all of ``message``."""
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("descring: error: ")
    assert len(result.stderr.splitlines()) == 1
    for text in message:
        assert text in result.stderr


def damaged(path: Path, kind: str) -> Path:
    """A file at ``path`` that is no stream, in the way that ``kind`` names."""
    if kind == "shape":
        np.save(path, np.zeros((4, 63), np.uint8))
    elif kind == "dimensions":
        np.save(path, np.zeros((2, 2), DESC_DTYPE))
    elif kind == "dtype":
        np.save(path, np.zeros((4, 64), np.int8))
    elif kind == "byte order":
        np.save(path, np.zeros(4, DESC_DTYPE.newbyteorder(">")))
    elif kind == "pickle in npy":
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps([1, 2]))
    elif kind == "text":
        path.write_text("these are no lines\n")
    elif kind == "zip":
        with path.open("wb") as file:
            np.savez(file, lines=np.zeros(4, DESC_DTYPE))
    elif kind == "empty":
        path.touch()
    elif kind == "directory":
        path.mkdir()
    elif kind == "truncated data":
        path.write_bytes(good(path).read_bytes()[:-1])
    elif kind == "truncated header":
        path.write_bytes(good(path).read_bytes()[:40])
    elif kind == "longer than its header":
        path.write_bytes(good(path).read_bytes() + bytes(64))
    else:
        assert kind == "missing"
    return path


DAMAGE = {
    "shape": "got shape (4, 63) and dtype uint8",
    "dimensions": "got shape (2, 2)",
    "dtype": "dtype int8",
    "byte order": "dtype",
    "pickle in npy": "pickled Python objects",
    "pickle": "expected a .npy file",
    "text": "expected a .npy file",
    "zip": "expected a .npy file",
    "empty": "expected a .npy file",
    "directory": "Is a directory",
    "truncated data": "truncated or damaged",
    "truncated header": "truncated or damaged",
    "longer than its header": "as its header states, but the file has",
    "missing": "No such file",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_replay_refuses_what_is_no_stream(kind: str, tmp_path: Path, descring: Command) -> None:
    """And writes nothing."""
    source = damaged(tmp_path / "in.npy", kind)
    before = sorted(tmp_path.iterdir())
    result = descring("replay", source, "--backend", "model", "-o", tmp_path / "out.npy")
    refused(result, str(source), DAMAGE[kind])
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("kind", DAMAGE)
def test_compare_refuses_what_is_no_stream(kind: str, tmp_path: Path, descring: Command) -> None:
    """On either side."""
    bad = damaged(tmp_path / "bad.npy", kind)
    fine = good(tmp_path / "good.npy")
    refused(descring("compare", bad, fine), str(bad), DAMAGE[kind])
    refused(descring("compare", fine, bad), str(bad), DAMAGE[kind])


def test_a_pickled_file_is_never_loaded(tmp_path: Path) -> None:
    """Loading it would run what it states."""
    flag = tmp_path / "ran"

    class Trap:
        def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
            return os.mkdir, (str(flag),)

    path = tmp_path / "trap.npy"
    np.save(path, np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(Exception, match="pickled"):
        read_stream(path)
    assert not flag.exists()


TARGETS = {
    "directory": ("", "got a directory"),
    "missing parent": ("no/such/out.npy", "does not exist"),
    "parent is a file": ("file/out.npy", "does not exist"),
    "device": ("/dev/null", "device"),
    "unwritable": ("/proc/out.npy", "cannot be written"),
}


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("command", ["stream", "replay", "replay second"])
def test_an_output_that_cannot_be_written_is_refused(
    command: str, kind: str, tmp_path: Path, descring: Command
) -> None:
    """Before the work, by name, and the other output is not written either."""
    source = good(tmp_path / "in.npy")
    (tmp_path / "file").touch()
    before = sorted(tmp_path.iterdir())
    name, message = TARGETS[kind]
    target = tmp_path / name
    replay = ["replay", source, "--backend", "model"]
    arguments = {
        "stream": ["stream", "--count", 4, "-o", target],
        "replay": [*replay, "-o", target],
        "replay second": [*replay, "-o", tmp_path / "out.npy", "--split-reward", target],
    }
    refused(descring(*arguments[command]), str(target), message)
    assert sorted(tmp_path.iterdir()) == before


ARGUMENTS = {
    "unknown command": (["unknown"], "unknown"),
    "unknown option": (["compare", "--fast", "a", "b"], "--fast"),
    "missing argument": (["compare", "a"], "Missing argument"),
    "negative count": (["stream", "--count", "-1", "-o", "out.npy"], "--count"),
    "no lines": (["stream", "--count", "0", "-o", "out.npy"], "--count"),
    "count is no number": (["stream", "--count", "many", "-o", "out.npy"], "--count"),
    "negative seed": (["stream", "--count", "1", "--seed", "-1", "-o", "out.npy"], "--seed"),
    "unknown profile": (
        ["stream", "--count", "1", "--profile", "typical", "-o", "out.npy"],
        "expected one of mixed",
    ),
    "index too large": (
        ["stream", "--count", "1", "--first-index", str(2**32), "-o", "out.npy"],
        "--first-index",
    ),
    "unknown backend": (
        ["replay", "in.npy", "--backend", "fpga", "-o", "out.npy"],
        "expected a backend out of model, cpu, cuda, cuda-latency, icarus, verilator, verilated",
    ),
    "replay index too large": (
        ["replay", "in.npy", "--backend", "model", "--first-index", "-1", "-o", "out.npy"],
        "--first-index",
    ),
    "no worker": (
        ["replay", "in.npy", "--backend", "icarus", "--workers", "0", "-o", "out.npy"],
        "--workers",
    ),
    "too many workers": (
        ["replay", "in.npy", "--backend", "icarus", "--workers", "17", "-o", "out.npy"],
        "--workers",
    ),
    "depth is no power of two": (
        ["replay", "in.npy", "--backend", "icarus", "--ring-depth", "12", "-o", "out.npy"],
        "power of two from 2 to 65536, but got 12",
    ),
    "depth 1": (
        ["replay", "in.npy", "--backend", "verilator", "--ring-depth", "1", "-o", "out.npy"],
        "power of two from 2 to 65536, but got 1",
    ),
    "depth too large": (
        ["replay", "in.npy", "--backend", "icarus", "--ring-depth", "131072", "-o", "out.npy"],
        "power of two",
    ),
    "model has no workers": (
        ["replay", "in.npy", "--backend", "model", "--workers", "2", "-o", "out.npy"],
        "--workers means nothing to the backend model",
    ),
    "model has no rings on chip": (
        ["replay", "in.npy", "--backend", "model", "--ring-depth", "4", "-o", "out.npy"],
        "--ring-depth means nothing",
    ),
    "model has no waves": (
        ["replay", "in.npy", "--backend", "model", "--waves", "-o", "out.npy"],
        "--waves means nothing",
    ),
    "model has no seed": (
        ["replay", "in.npy", "--backend", "model", "--seed", "0", "-o", "out.npy"],
        "--seed means nothing",
    ),
    "two outputs of one name": (
        ["replay", "in.npy", "--backend", "model", "-o", "a.npy", "--split-reward", "./a.npy"],
        "name the same",
    ),
    "output is the input": (
        ["replay", "in.npy", "--backend", "model", "-o", "./in.npy"],
        "would replace the input",
    ),
    "second output is the input": (
        ["replay", "in.npy", "--backend", "model", "-o", "o.npy", "--split-reward", "in.npy"],
        "would replace the input",
    ),
    "nothing to replay": (
        ["replay", "none.npy", "--backend", "model", "-o", "out.npy"],
        "none.npy: expected at least one line",
    ),
}


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_arguments_that_make_no_sense_are_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, descring: Command
) -> None:
    """With exit code 2 and no output file."""
    monkeypatch.chdir(tmp_path)
    source = good(Path("in.npy")).read_bytes()
    np.save("none.npy", np.zeros(0, DESC_DTYPE))
    arguments, message = ARGUMENTS[kind]
    refused(descring(*arguments), message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npy", "none.npy"]
    assert Path("in.npy").read_bytes() == source


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, descring: Command
) -> None:
    """A full disk in the middle of the second of two outputs touches neither."""
    source = good(tmp_path / "in.npy")
    old = good(tmp_path / "out.npy", 2).read_bytes()
    fsync, calls = os.fsync, []

    def fail_second(file: int) -> None:
        calls.append(file)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        fsync(file)

    monkeypatch.setattr(os, "fsync", fail_second)
    outputs = ["-o", tmp_path / "out.npy", "--split-reward", tmp_path / "reward.npy"]
    refused(descring("replay", source, "--backend", "model", *outputs), "No space left on device")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npy", "out.npy"]
    assert (tmp_path / "out.npy").read_bytes() == old
    assert len(calls) == 2


def test_an_output_may_replace_a_file_through_a_link(tmp_path: Path, descring: Command) -> None:
    """The link stays a link."""
    good(tmp_path / "old.npy", 2)
    link = tmp_path / "link.npy"
    link.symlink_to("old.npy")
    assert descring("stream", "--count", 5, "-o", link).returncode == 0
    assert link.is_symlink()
    assert len(read_stream(tmp_path / "old.npy")) == 5


def test_stream_writes_what_the_seed_says(tmp_path: Path, descring: Command) -> None:
    """Byte for byte what the model's generator gives, and prints how to have it again."""
    path = tmp_path / "a.npy"
    result = descring(
        "stream", "--count", 50, "--seed", 9, "--profile", "checked", "--first-index", 7, "-o", path
    )
    assert result.returncode == 0
    assert result.stderr == ""
    assert result.stdout == f"{path}: 50 lines, profile checked, seed 9, first index 7\n"
    expected = streams.generate(50, seed=9, profile="checked", first_index=7)
    assert read_stream(path).tobytes() == expected.tobytes()


def test_stream_draws_and_names_a_seed(tmp_path: Path, descring: Command) -> None:
    """Two without a seed differ; with the printed seed the first comes again."""
    first, second, again = (tmp_path / f"{name}.npy" for name in ("first", "second", "again"))
    printed = descring("stream", "--count", 20, "-o", first).stdout
    descring("stream", "--count", 20, "-o", second)
    assert first.read_bytes() != second.read_bytes()
    seed = printed.split("seed ")[1].split(",")[0]
    descring("stream", "--count", 20, "--seed", seed, "-o", again)
    assert first.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("order", ["C", "F"])
def test_plain_bytes_are_a_stream_too(order: str, tmp_path: Path) -> None:
    """Shape (n, 64) and dtype uint8, whatever order the file keeps them in."""
    lines = streams.generate(5, seed=1)
    data = np.asarray(lines.view(np.uint8).reshape(5, 64), order=order)  # type: ignore[call-overload]
    np.save(tmp_path / "bytes.npy", data)
    assert read_stream(tmp_path / "bytes.npy").tobytes() == lines.tobytes()


def test_help_names_every_command(descring: Command) -> None:
    """And asking for help is no error."""
    result = descring("--help")
    assert result.returncode == 0
    for name in ("stream", "replay", "compare", "gen", "gen-check", "requirements", "lint-rtl"):
        assert f"\n  {name} " in result.stdout
    for name in streams.PROFILES:
        assert name in descring("stream", "--help").stdout


def test_the_console_script_gives_the_exit_code(tmp_path: Path) -> None:
    """0, 1 and 2 reach the shell, and errors go to stderr."""
    script = Path(sys.executable).with_name("descring")
    a, b = good(tmp_path / "a.npy"), good(tmp_path / "b.npy", 7)
    for other, code in ((a, 0), (b, 1), (tmp_path / "c.npy", 2)):
        result = subprocess.run([script, "compare", a, other], capture_output=True, text=True)
        assert result.returncode == code
        assert bool(result.stderr) == (code == 2)
        assert bool(result.stdout) == (code != 2)


def test_a_terminated_command_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    """SIGTERM in the middle of the work."""
    program = (
        "import sys, time; from descring_model import streams; from descring_sim.cli import main\n"
        "streams.generate = lambda *a, **k: (print('busy', flush=True), time.sleep(60))\n"
        "sys.argv = ['descring', 'stream', '--count', '9', '-o', sys.argv[1]]; main.main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "out.npy"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "busy\n"
        assert list(tmp_path.iterdir()), "the temporary file should be open by now"
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM
        assert time.monotonic() - began < 30
    assert list(tmp_path.iterdir()) == []
