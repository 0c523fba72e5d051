# SPDX-License-Identifier: Apache-2.0
"""Damaged input files for every command that reads one, and what became of the command.

``python sim/tests/reader_fuzz.py --count 20000`` is the long run. Its commands run in processes
that are forked from one that has imported everything, under a limit on memory and with a deadline;
so a crash, a hang or a leak of one file is its own.
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import mmap
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fst_samples
import numpy as np
from descring_model import line_bytes, program, streams
from descring_sim.campaign import soak_journal
from descring_sim.campaign.seeds import Campaign, State
from descring_sim.cli import main as cli
from descring_sim.conform.duts import find
from descring_sim.conform.records import to_record
from descring_sim.conform.report.against import read_earlier
from descring_sim.conform.status import Failure, LineDiff, Status, TestResult
from descring_sim.faults import report as fault_report
from descring_sim.mutation import session
from descring_sim.replay import cosim
from descring_sim.support import paths
from descring_sim.support.mutant import Mutant

MEMORY = 384 << 20
"""Bytes that a command may add to the 128 MiB or so of Python and all libraries."""
DEADLINE_S = 20
SEEDS = 7


@dataclass(frozen=True)
class Reader:
    """A kind of input: good files of it, and what reads one."""

    name: str
    samples: tuple[bytes, ...]
    suffix: str
    read: Callable[[Path], object]


@dataclass(frozen=True)
class Outcome:
    """What became of one file: exit code or minus the signal, standard error, bytes of memory."""

    code: int
    printed: str
    memory: int

    @property
    def problem(self) -> str | None:
        """What is wrong with it; None if it is one of the ends that a command may have."""
        lines = self.printed.splitlines()
        if self.code == -signal.SIGALRM:
            return f"no end after {DEADLINE_S} s"
        if self.code not in (0, 1, 2):
            return f"exit code {self.code}"
        if self.code == 2 and (len(lines) != 1 or not lines[0].startswith("descring: error: ")):
            return f"{len(lines)} lines: {self.printed[-300:]}"
        if "Traceback" in self.printed or "internal error" in self.printed:
            return lines[-1][:300]
        if self.memory > MEMORY:
            return f"{self.memory >> 20} MiB of memory"
        return None


def _cli(*words: str) -> Callable[[Path], object]:
    return lambda path: cli.run([word.replace("{}", str(path)) for word in words])


def _campaign() -> Campaign:
    return Campaign("model", Path("folder"), ("OP-000/x", "OP-001/y"), 1, SEEDS, 1.0)


def _state() -> bytes:
    plan = _campaign()
    entries: list[dict[str, object]] = [{"campaign": plan.identity()}]
    diff = LineDiff(3, "done", bytes(64), bytes(64), None)
    for seed in (1, 2, 3):
        good = TestResult("OP-000/x", "OP-000", Status.PASSED, seed, 0.5, 9, bins={("a",) * 5: 3})
        bad = TestResult(
            "OP-001/y", "OP-001", Status.FAILED, seed, 0.1, failure=Failure("f", ("OP-1",), diff)
        )
        entries.append({"seeds": [seed], "results": [to_record(good), to_record(bad)]})
    return "".join(json.dumps(entry) + "\n" for entry in entries).encode()


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


_FAULTS = {
    **{"commit": "c", "simulator": "icarus", "kind": "k", "seed": 1, "first": 0, "seeds": 2},
    "counts": {"a": 1},
}
_SOAK = {
    **{"simulator": "icarus", "suite": "s", "digest": "d", "seeds": [1, 2], "cases": 3},
    **{"matched": 4, "wall_s": 0.5},
    "failures": [{"seed": 1, "case": "c", "text": "t", "rerun": "r", "log": "l"}],
}
_SESSIONS = b'{"version": 1, "sessions": {"all": {"first": 5, "seeds": 2, "finished": false}}}'
_EARLIER = json.dumps(
    {
        "format": 1,
        "implementation": {"name": "n", "version": "v"},
        "versions": {"python": "3"},
        "started": "2026-01-01",
        "seed": 1,
        "tests": [
            {"test": "a/b", "status": "passed"},
            {"test": "a/c", "status": "failed", "failure": {"rules": ["OP-001"]}},
        ],
    }
).encode()
_VERDICT = {"contents": "c", "name": "m", "status": "killed", "by": "b", "seconds": "1.5"}


def _lines(entry: dict[str, Any]) -> bytes:
    """A journal of three entries."""
    return (json.dumps(entry) + "\n").encode() * 3


def _soak(path: Path) -> soak_journal.Journal:
    """The state of a soak of which ``path`` is a file, in a folder of its own."""
    folder = path.parent / "soak"
    folder.mkdir(exist_ok=True)
    name = "journal.jsonl" if path.suffix == ".jsonl" else "sessions.json"
    shutil.copyfile(path, folder / name)
    return soak_journal.Journal(folder)


def _verdicts(path: Path) -> int:
    """What a run over mutants has noted; nothing is tried."""
    session.Resumed(_NoRunner(), path, "c")
    return 0


class _NoRunner:
    def try_mutant(self, mutant: Mutant) -> session.Verdict:
        raise AssertionError(mutant.name)


def readers(folder: Path) -> list[Reader]:
    """Every kind of file that a command reads; ``folder`` gets what they are read together with."""
    lines = streams.generate(20, seed=1)
    (folder / "a.npy").write_bytes(_npy(lines))
    bundle = folder / "good.npz"
    assert cli.run(["record", str(bundle), "--backend", "model", "--count", "3"]) == 0
    root = paths.checkout_root()
    assert root is not None
    described = sorted((root / "examples" / "conform").glob("*/*.toml"))
    waves = [fst_samples.write(folder / f"{name}.fst", name) for name in fst_samples.LAYOUTS]
    samples = (_npy(lines), _npy(line_bytes(lines)), _npy(np.asfortranarray(line_bytes(lines))))
    return [
        Reader("compare", samples, ".npy", _cli("compare", "{}", str(folder / "a.npy"))),
        Reader(
            "replay",
            samples,
            ".npy",
            _cli("replay", "{}", "--backend", "model", "-o", str(folder / "out.npy")),
        ),
        Reader("waves", tuple(file.read_bytes() for file in waves), ".fst", _cli("waves", "{}")),
        Reader("check", (bundle.read_bytes(),), ".npz", _cli("check", "{}", "--backend", "model")),
        Reader("state", (_state(),), ".jsonl", lambda path: State(path, _campaign()) and 0),
        Reader(
            "description",
            tuple(path.read_bytes() for path in described),
            ".toml",
            lambda path: find.find_dut(str(path)) and 0,
        ),
        Reader(
            "journal",
            (_lines(_FAULTS),),
            ".jsonl",
            lambda path: fault_report.read_journal(path, "c") and 0,
        ),
        Reader("soak", (_lines(_SOAK),), ".jsonl", lambda path: _soak(path).records() and 0),
        Reader("sessions", (_SESSIONS,), ".json", lambda path: _soak(path).session("all") and 0),
        Reader("verdicts", (_lines(_VERDICT),), ".jsonl", _verdicts),
        Reader("against", (_EARLIER,), ".json", lambda path: read_earlier(path) and 0),
        Reader(
            "summary",
            (b'{"done": 3, "reward": 2, "halted": false, "cycles": 90}',),
            ".json",
            lambda path: cosim.read_summary(path) and 0,
        ),
    ]


def mutated(data: bytes, draw: random.Random, suffix: str) -> bytes:
    """``data`` with a few changes: of bytes, of numbers in a text, of the parts of an archive."""
    if suffix == ".npz" and draw.random() < 0.6:
        return _archive(data, draw)
    for _ in range(draw.choice((1, 1, 1, 2, 4, 16))):
        data = _CHANGES[draw.randrange(len(_CHANGES))](data, draw)
    return data


def _flip(data: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(max(1, min(len(data), draw.choice((12, 160, 1 << 30)))))
    return data[:place] + bytes([draw.randrange(256)]) + data[place + 1 :]


def _cut(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data) + 1)]


def _grow(data: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(data) + 1)
    piece = draw.choice(
        (bytes(1), bytes(64), b"(" * 3000, b"[" * 3000, b'{"a":' * 999, b"\xff" * 9)
    )
    return data[:place] + piece + data[place:]


def _swap(data: bytes, draw: random.Random) -> bytes:
    if len(data) < 2:
        return data
    start, end = sorted(draw.sample(range(len(data)), 2))
    place = draw.randrange(len(data))
    return data[:place] + data[start:end][:4096] + data[place:]


_WORDS = (
    *(b"-1", b"0", b"1e999", b"9" * 30, b"9" * 5000, b"null", b"true", b"[]", b"{}", b'""', b"NaN"),
    *(b"'|O'", b"'|V0'", b"'>u1'", b"(0, 4611686018427387904)", b"(4611686018427387904,)"),
    *(
        b"(-1, 64)",
        b"(True, 64)",
        b"'<M8[as]'",
        b"'\\d'",
        b"1L",
        b'"\\ud800"',
        b'"\\u0000"',
        b"\xff\xfe",
    ),
)


def _word(data: bytes, draw: random.Random) -> bytes:
    """Put another value for one in a text."""
    ends = [place for place, byte in enumerate(data[:4096]) if byte in b" ,:[]{}()=\n'\""]
    if len(ends) < 2:
        return data
    at = draw.randrange(len(ends) - 1)
    after = ends[min(len(ends) - 1, at + draw.choice((1, 1, 2, 3)))]
    return data[: ends[at] + 1] + draw.choice(_WORDS) + data[after:]


_CHANGES = (_flip, _cut, _grow, _swap, _word, _word)


def _archive(data: bytes, draw: random.Random) -> bytes:
    """An archive with changes in the files that are packed in it."""
    result = io.BytesIO()
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(result, "w") as target:
        names = source.namelist()
        hit = draw.choice((*names, "manifest.npy", "manifest.npy"))
        for name in names:
            content = source.read(name)
            if name == hit:
                content = bytes(40 << 20) if draw.random() < 0.05 else mutated(content, draw, "")
            if name != hit or draw.random() < 0.9:
                target.writestr(name, content, draw.choice(kinds) if name == hit else kinds[1])
    return result.getvalue()


def run(reader: Reader, path: Path) -> Outcome:
    """Read ``path`` in a process of its own."""
    printed = os.memfd_create("stderr")
    # A suite's process has grown by all the tests before: what counts is what the command adds.
    idle = mmap.mmap(-1, 8)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            idle[:] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss.to_bytes(8, "little")
            data = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 1)
            os.dup2(printed, 2)
            program.prepare_streams()  # under pytest Python's own are others
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_DATA, (data + 2 * MEMORY,) * 2)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(DEADLINE_S)
            code = program.guarded("descring", lambda: reader.read(path))
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    _, status, usage = os.wait4(child, 0)
    size = os.lseek(printed, 0, os.SEEK_END)
    text = os.pread(printed, size, 0).decode(errors="replace")
    os.close(printed)
    added = usage.ru_maxrss - int.from_bytes(idle[:], "little")
    return Outcome(os.waitstatus_to_exitcode(status), text, added * 1024)


def cases(folder: Path, count: int, seed: int) -> Iterator[tuple[Reader, bytes, Outcome]]:
    """Read ``count`` damaged files, the readers by turns."""
    every = readers(folder)
    for number in range(count):
        reader = every[number % len(every)]
        draw = random.Random(f"{seed} {number}")
        data = mutated(draw.choice(reader.samples), draw, reader.suffix)
        path = folder / f"damaged{reader.suffix}"
        path.write_bytes(data)
        yield reader, data, run(reader, path)


def main(arguments: list[str] | None = None) -> int:
    """Run, print the counts, and keep the files with which a command did not end as it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="files  [default: %(default)s]")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--keep", type=Path, default=paths.build_dir() / "reader-fuzz")
    options = parser.parse_args(arguments)
    ends: collections.Counter[str] = collections.Counter()
    most, problems = 0, 0
    with tempfile.TemporaryDirectory(prefix="descring-fuzz-") as name:
        for number, (reader, data, actual) in enumerate(
            cases(Path(name), options.count, options.seed)
        ):
            ends[f"{reader.name} {actual.code}"] += 1
            most = max(most, actual.memory)
            if actual.problem is not None:
                problems += 1
                options.keep.mkdir(parents=True, exist_ok=True)
                file = options.keep / f"{options.seed}-{number}{reader.suffix}"
                file.write_bytes(data)
                print(f"{reader.name} {file}: {actual.problem}", flush=True)
            if sys.stderr.isatty():
                print(f"\r{number + 1}/{options.count}", end="", file=sys.stderr)
    print(", ".join(f"{end}: {count}" for end, count in sorted(ends.items())))
    print(
        f"{options.count} files, seed {options.seed}, {problems} problems, {most >> 20} MiB at most"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
