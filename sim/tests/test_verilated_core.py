# SPDX-License-Identifier: Apache-2.0
"""The RTL as a library: the model's bytes, bounded failures, and builds that are kept."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from descring_model import Lines, as_lines, complete, first_difference, goes_to_reward, streams
from descring_sim.support import paths
from descring_sim.support.errors import SimulationError
from descring_sim.verilated import build as verilated_build
from descring_sim.verilated.core import (
    HANG_CYCLES,
    WINDOW_CYCLES,
    CoreConfig,
    RtlFault,
    Traffic,
    VerilatedCore,
    replay_parallel,
)

Command = Callable[..., subprocess.CompletedProcess[str]]

NEAR_WRAP = 2**32 - 1500
COUNT = 4000
SMALL = CoreConfig(depth=4, workers=3)
TRAFFIC = {
    "as fast as it will go": Traffic(1),
    "one line a doorbell": Traffic(2, doorbell_batch=1),
    "pauses": Traffic(3, pause_in=100, pause_out=100),
    "hardly read": Traffic(4, pause_out=240),
}


@pytest.fixture(scope="module")
def small() -> Iterator[VerilatedCore]:
    """One device for all tests that leave it whole: a replay begins with a reset."""
    with VerilatedCore(SMALL) as core:
        yield core


def assert_same(expected: Lines, actual: Lines) -> None:
    """Byte for byte, and of the same, positive length."""
    assert len(expected) > 0
    difference = first_difference(expected, actual)
    assert difference is None, str(difference)


@pytest.mark.parametrize("traffic", TRAFFIC)
@pytest.mark.parametrize("profile", list(streams.PROFILES))
def test_every_profile_comes_back_as_the_model_says(
    small: VerilatedCore, profile: str, traffic: str
) -> None:
    """[RING-006] [RING-007] [RING-011] [LIFE-003]: through the wrap, whatever the host does."""
    lines = streams.generate(COUNT, seed=31, profile=profile, first_index=NEAR_WRAP)
    result = small.replay(lines, first_index=NEAR_WRAP, traffic=TRAFFIC[traffic])
    assert_same(complete(lines, first_index=NEAR_WRAP), result.done)
    assert len(result.reward) == 0


def test_the_modes_of_the_device_reach_it(small: VerilatedCore) -> None:
    """[RING-008] [DESC-025]: two rings, and lines without CHECKED refused."""
    lines = streams.generate(COUNT, seed=32)
    result = small.replay(lines, split_reward=True, traffic=Traffic(5, pause_out=60))
    expected = complete(lines, split_reward=True)
    to_reward = goes_to_reward(expected)
    assert_same(expected[~to_reward], result.done)
    assert_same(expected[to_reward], result.reward)
    result = small.replay(lines, require_checked=True)
    assert_same(complete(lines, require_checked=True), result.done)


def test_a_stream_may_be_bytes_and_read_only(small: VerilatedCore) -> None:
    """As a mapped file is; and a view with gaps is no trouble either."""
    lines = streams.generate(64, seed=33)
    data = np.frombuffer(lines.tobytes(), dtype=np.uint8).reshape(-1, 64)
    assert_same(complete(lines), small.replay(as_lines(data)).done)
    assert_same(complete(lines[::2]), small.replay(lines[::2]).done)
    empty = small.replay(lines[:0])
    assert len(empty.done) == 0


def test_the_seed_decides_the_cycles(small: VerilatedCore) -> None:
    """Same seed, same cycles; another seed rings other doorbells."""
    lines = streams.generate(500, seed=34)
    cycles = [small.replay(lines, traffic=Traffic(seed)).cycles for seed in (7, 7, 8)]
    assert cycles[0] == cycles[1] != cycles[2]


@pytest.mark.parametrize("devices", [1, 3])
def test_devices_side_by_side_make_up_one_stream(devices: int) -> None:
    """[RING-007] [RING-012]: parts of a stream, STOPs and tags included, through the wrap."""
    lines = streams.generate(COUNT + 1, seed=37, first_index=NEAR_WRAP)
    result = replay_parallel(
        lines, SMALL, devices=devices, first_index=NEAR_WRAP, traffic=Traffic(1, pause_in=20)
    )
    assert_same(complete(lines, first_index=NEAR_WRAP), result.done)


def test_other_threads_run_meanwhile(small: VerilatedCore) -> None:
    """The interpreter's lock is released: a thread gets on while a replay is in flight."""
    ended = threading.Event()
    ticks = 0

    def count() -> None:
        nonlocal ticks
        while not ended.wait(0.001):
            ticks += 1

    thread = threading.Thread(target=count, daemon=True)
    seen: list[int] = []
    thread.start()
    try:
        small.replay(streams.generate(100_000, seed=35, profile="nop"), progress=seen.append)
    finally:
        ended.set()
        thread.join()
    assert ticks > 5
    assert seen[-1] == 100_000


@pytest.mark.parametrize(
    "wrong", [{"depth": 3}, {"depth": 1}, {"depth": 1 << 17}, {"workers": 0}, {"workers": 17}]
)
def test_a_device_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    """[RING-001]: before anything is compiled."""
    with pytest.raises(ValueError, match="expected"):
        CoreConfig(**wrong)  # type: ignore[arg-type]


def test_a_closed_device_says_so() -> None:
    """And closing twice is harmless."""
    core = VerilatedCore(SMALL)
    core.close()
    core.close()
    with pytest.raises(SimulationError, match="closed"):
        core.replay(streams.generate(1, seed=1))


def broken_rtl(tmp_path: Path, name: str, old: str, new: str) -> Path:
    """A copy of the RTL with a fault in it."""
    rtl = shutil.copytree(paths.rtl_dir(), tmp_path / "rtl")
    text = (rtl / name).read_text()
    assert text.count(old) == 1, f"{name} has no {old!r} to break"
    (rtl / name).write_text(text.replace(old, new))
    return rtl


def test_a_hang_is_bounded_and_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, descring: Command
) -> None:
    """It names indices, cycle and seed, and the waves of the cycles before it."""
    rtl = broken_rtl(tmp_path, "mmio_regs.sv", "cmd_tail_q <= new_index;", "cmd_tail_q <= '0;")
    monkeypatch.setattr(paths, "rtl_dir", lambda: rtl)
    np.save(tmp_path / "in.npy", streams.generate(20, seed=3, profile="nop"))
    result = descring(
        *("replay", tmp_path / "in.npy", "--backend", "verilated", "-o", tmp_path / "out.npy"),
        *("--ring-depth", 2, "--workers", 1, "--seed", 5),
    )
    assert result.returncode == 2
    assert not (tmp_path / "out.npy").exists()
    found = re.search(
        rf"no completion for {HANG_CYCLES + 32} cycles; 0 completions of 20 lines taken, 2 lines "
        r"written, 2 published, cycle (\d+), seed 5; STATUS=0x00000003 CMD_HEAD=0x00000000 "
        r"CMD_TAIL=0x00000000 .*waves of cycles (\d+) to (\d+): (\S+); repeat with --seed 5",
        result.stderr,
    )
    assert found, result.stderr
    cycle, start, end = map(int, found.groups()[:3])
    assert HANG_CYCLES < cycle == end == start + WINDOW_CYCLES
    waves = Path(found[4])
    assert waves.stat().st_size > 500
    shutil.rmtree(waves.parent)


def test_an_assertion_of_the_rtl_is_an_exception(tmp_path: Path, small: VerilatedCore) -> None:
    """It is named, this process lives on, and so do other devices."""
    rtl = broken_rtl(
        tmp_path,
        "mmio_regs.sv",
        "locked_q <= locked_q || (ask_enable && config_ok);",
        "locked_q <= 1'b0;",
    )
    core = VerilatedCore(CoreConfig(depth=2, workers=1, rtl_dir=rtl))
    lines = streams.generate(20, seed=3)
    with pytest.raises(RtlFault, match=r"EnableLocks_A: an enabled device is locked.*cycle \d+"):
        core.replay(lines)
    with pytest.raises(SimulationError, match="failed before"):
        core.replay(lines)
    assert_same(complete(lines), small.replay(lines).done)


def test_waves_change_nothing_and_show_a_window(tmp_path: Path, small: VerilatedCore) -> None:
    """A recording device evaluates both edges; it takes the same cycles to the same bytes."""
    lines = streams.generate(300, seed=36)
    plain = small.replay(lines, traffic=Traffic(9, pause_out=30))
    sizes = []
    for start, stop in ((0, 2**64 - 1), (100, 140)):
        file = tmp_path / f"{start}.fst"
        with VerilatedCore(CoreConfig(depth=4, workers=3, waves=True)) as core:
            result = core.replay(lines, traffic=Traffic(9, pause_out=30), waves=(file, start, stop))
        assert result.cycles == plain.cycles
        assert_same(plain.done, result.done)
        sizes.append(file.stat().st_size)
    assert sizes[0] > 2 * sizes[1] > 1000
    with pytest.raises(RtlFault, match="without waves"):
        VerilatedCore(SMALL).replay(lines, waves=(tmp_path / "no.fst", 0, 1))


def test_a_library_is_made_once_for_its_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RTL, parameters, harness, compiler: each change makes a new one, and nothing else does."""
    made: list[str] = []

    def compiled(_folder: Path, library: Path, *_: object, **__: object) -> None:
        library.touch()

    monkeypatch.setattr(verilated_build, "_run", lambda *_: None)
    monkeypatch.setattr(verilated_build, "_compile", compiled)
    monkeypatch.setenv(paths.BUILD_DIR_VARIABLE, str(tmp_path / "build"))
    rtl = shutil.copytree(paths.rtl_dir(), tmp_path / "rtl")
    own = shutil.copytree(paths.verilated_dir(), tmp_path / "verilated")
    monkeypatch.setattr(paths, "verilated_dir", lambda: own)

    def build(**options: object) -> Path:
        return CoreConfig(**({"rtl_dir": rtl} | options)).build(made.append)  # type: ignore[arg-type]

    first = build()
    assert build() == first
    assert len(made) == 1
    others = [build(workers=2), build(waves=True), build(assertions=False)]
    (rtl / "unused.sv").write_text("module unused; endmodule\n")
    assert build() == first
    for file in (rtl / "crc32c.sv", rtl / "hw_macros.svh", own / "core.cpp", own / "model.h"):
        file.write_text(file.read_text() + "\n")
        others.append(build())
    monkeypatch.setenv("DESCRING_CXX", str(fake_compiler(tmp_path / "g++", "g++ 99.1")))
    others.append(build())
    assert len({first, *others}) == 1 + len(others) == len(made)


def fake_compiler(file: Path, version: str) -> Path:
    """A compiler that can report its version and nothing else."""
    file.write_text(f"#!/bin/sh\necho '{version}'\n")
    file.chmod(0o755)
    return file


def test_clang_is_taken_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It makes faster libraries, with wide vectors where the processor has them all."""
    wide = frozenset({"fpu", *verilated_build._X86_64_V3})
    monkeypatch.setattr(verilated_build, "_processor_flags", lambda: wide)
    monkeypatch.delenv("DESCRING_CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    gcc = fake_compiler(tmp_path / "g++", "g++ 98.0")
    assert verilated_build.compiler().command == "g++"
    assert verilated_build.compiler().options == ("-fno-gnu-unique",)
    fake_compiler(tmp_path / "clang++", "clang version 98.0")
    assert verilated_build.compiler().command == "clang++"
    assert verilated_build.compiler().options == ("-march=x86-64-v3",)
    monkeypatch.setattr(verilated_build, "_processor_flags", lambda: wide - {"avx2"})
    assert verilated_build.compiler().options == ()
    monkeypatch.setenv("DESCRING_CXX", str(gcc))
    assert verilated_build.compiler().version == "g++ 98.0"
    monkeypatch.setenv("DESCRING_CXX", "no-such-compiler")
    with pytest.raises(SimulationError, match=r"DESCRING_CXX: .*no-such-compiler does not run"):
        verilated_build.compiler()


def test_a_compiler_that_refuses_is_a_clear_error(tmp_path: Path) -> None:
    """With the end of its log."""
    rtl = broken_rtl(tmp_path, "crc32c.sv", "endmodule", "endmodul")
    with pytest.raises(SimulationError, match=r"verilator did not build.*exit code"):
        CoreConfig(depth=2, rtl_dir=rtl).build()
