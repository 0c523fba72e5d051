# SPDX-License-Identifier: Apache-2.0
"""``descring replay`` on the RTL, simulated and as a library: the model's bytes, or an error."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from descring_model import complete, contract, status_of, streams
from descring_sim.cosim import simulators
from descring_sim.replay import cosim
from descring_sim.replay.stream_file import read_stream
from descring_sim.support import paths

Command = Callable[..., subprocess.CompletedProcess[str]]

COUNT = 400
NEAR_WRAP = 2**32 - 150
SMALL = ("--ring-depth", 4, "--workers", 3)


@pytest.fixture(params=["icarus", "verilator", "verilated"])
def simulator(request: pytest.FixtureRequest) -> str:
    """Each way to run the RTL in turn."""
    name: str = request.param
    return name


def replay_both(
    tmp_path: Path, descring: Command, simulator: str, options: list[object], rtl: list[object]
) -> list[tuple[Path, Path]]:
    """Replay ``in.npy`` on model and RTL, each into done and, with "SPLIT", reward files.

    ``rtl`` holds options for the simulator alone. Returns pairs of files to compare.
    """
    pairs = []
    for name in ("model", simulator):
        files = [tmp_path / f"{name}.npy", tmp_path / f"{name}-reward.npy"]
        words = [files[1] if option == "SPLIT" else option for option in options]
        result = descring(
            *("replay", tmp_path / "in.npy", "--backend", name, "-o", files[0]),
            *(words if name == "model" else [*words, *rtl]),
        )
        assert result.returncode == 0, result.stderr
        pairs.append(files)
    model, device = pairs
    return list(zip(model, device, strict=True))


OPTIONS: dict[str, list[object]] = {
    "as it is": [],
    "split rewards": ["--split-reward", "SPLIT"],
    "checked lines required": ["--require-checked"],
    "wrap, split, required": [
        *("--first-index", NEAR_WRAP, "--require-checked", "--split-reward", "SPLIT")
    ],
    "halt": ["--halt"],
    "halt and split near the wrap": [
        *("--halt", "--split-reward", "SPLIT", "--first-index", NEAR_WRAP)
    ],
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_the_rtl_answers_as_the_model(
    simulator: str, kind: str, tmp_path: Path, descring: Command
) -> None:
    """A mixed stream with STOPs, in every mode."""
    options = OPTIONS[kind]
    first = NEAR_WRAP if NEAR_WRAP in options else 0
    lines = streams.generate(COUNT, seed=21, first_index=first)
    np.save(tmp_path / "in.npy", lines)
    stops = status_of(complete(lines, first_index=first)) == contract.STATUS["STOPPED"]
    assert stops[1:-1].sum() > 1

    pairs = replay_both(tmp_path, descring, simulator, options, [])
    for model, device in pairs[: 1 + ("SPLIT" in options)]:
        result = descring("compare", model, device)
        assert result.returncode == 0, result.stdout
    answered = sum(len(read_stream(device)) for _, device in pairs if device.exists())
    assert answered == (int(stops.argmax()) + 1 if "--halt" in options else COUNT)


def test_small_rings_and_few_workers_change_nothing(tmp_path: Path, descring: Command) -> None:
    """Another depth, another number of workers, another seed for the doorbells."""
    np.save(tmp_path / "in.npy", streams.generate(COUNT, seed=22, profile="boundary"))
    rtl: list[object] = [*SMALL, "--seed", 5]
    ((model, device), _) = replay_both(tmp_path, descring, "icarus", [], rtl)
    assert descring("compare", model, device).returncode == 0


def test_a_run_names_its_seed_and_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, descring: Command
) -> None:
    """The seed decides when doorbells ring, and so how many cycles it takes."""
    np.save(tmp_path / "in.npy", streams.generate(COUNT, seed=23))
    monkeypatch.setenv(paths.BUILD_DIR_VARIABLE, str(tmp_path / "build"))
    arguments = ["replay", tmp_path / "in.npy", "--backend", "icarus", *SMALL]
    printed = [
        descring(*arguments, "-o", tmp_path / "out.npy", "--seed", seed).stdout
        for seed in (77, 77, 78)
    ]
    for text, seed in zip(printed, (77, 77, 78), strict=True):
        assert f"seed {seed}" in text
        assert "waves" not in text
    assert all("rl_runtime_mmio in icarus 11.0, seed " in text for text in printed)
    cycles = [re.findall(r"(\d+) cycles", text) for text in printed]
    assert cycles[0] == cycles[1] != cycles[2]
    assert list((tmp_path / "build" / "replay").iterdir()) == []


def test_fewer_workers_take_longer(tmp_path: Path, descring: Command) -> None:
    """The option reaches the RTL, which decodes a token a cycle and worker."""
    np.save(tmp_path / "in.npy", streams.generate(100, seed=24, profile="decode"))
    cycles = []
    for workers in (1, 3):
        result = descring(
            *("replay", tmp_path / "in.npy", "--backend", "icarus", "-o", tmp_path / "out.npy"),
            *("--ring-depth", 4, "--workers", workers, "--seed", 1),
        )
        cycles.append(int(re.findall(r"(\d+) cycles", result.stdout)[0]))
    assert cycles[0] > 1.5 * cycles[1]


def test_waves_are_written_and_named(tmp_path: Path, descring: Command) -> None:
    """In a format that wave viewers open."""
    np.save(tmp_path / "in.npy", streams.generate(20, seed=23))
    result = descring(
        *("replay", tmp_path / "in.npy", "--backend", "icarus", "-o", tmp_path / "out.npy"),
        "--waves",
    )
    assert result.returncode == 0, result.stderr
    waves = Path(re.findall(r"waves (\S+)", result.stdout)[0])
    assert waves.stat().st_size > 1000
    shutil.rmtree(waves.parents[1])


FAULTS = {
    "doorbell is lost": (
        "mmio_regs.sv",
        "cmd_tail_q <= new_index;",
        "cmd_tail_q <= cmd_tail_q;",
        r"no completion for 4128 cycles; 0 completions of 20 lines taken, 20 lines written, "
        r"20 published, .*CMD_HEAD=0x0 CMD_TAIL=0x0 DONE_HEAD=0x0 DONE_TAIL=0x0",
    ),
    "RESUME is lost": (
        "mmio_regs.sv",
        "assign resume_o = ",
        "assign resume_o = 1'b0 && ",
        r"no completion for 4128 cycles; 3 completions of 20 lines taken.*CMD_HEAD=0x3 ",
    ),
    "another contract": (
        "hw_desc_pkg.sv",
        f"{contract.CONTRACT_HASH:08x}",
        "12345678",
        rf"expected a device of contract hash 0x{contract.CONTRACT_HASH:08x}, but got "
        r"0x12345678; run `make gen`",
    ),
    "completions are miscounted": (
        "mmio_regs.sv",
        "descriptors_q <= descriptors_q + 32'(post_i);",
        "descriptors_q <= descriptors_q + 32'(post_i && !post_error_i);",
        r"CNT_DESCRIPTORS differs: expected 0x00000014",
    ),
    "an assertion ends it": (
        "mmio_regs.sv",
        "locked_q <= locked_q || (ask_enable && config_ok);",
        "locked_q <= 1'b0;",
        r"EnableLocks_A: an enabled device is locked",
    ),
    "sources do not compile": ("mmio_regs.sv", "endmodule", "endmodul", r"did not build"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_answer_that_is_not_whole_is_an_error(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, descring: Command
) -> None:
    """It states what was expected and where host and device stand, and no file is written."""
    name, old, new, message = FAULTS[fault]
    rtl = shutil.copytree(paths.rtl_dir(), tmp_path / "rtl")
    text = re.sub(r" +", " ", (rtl / name).read_text())
    assert re.search(re.escape(old), text, re.IGNORECASE), f"{name} has no {old!r} to break"
    (rtl / name).write_text(re.sub(re.escape(old), new, text, flags=re.IGNORECASE))
    monkeypatch.setattr(paths, "rtl_dir", lambda: rtl)
    monkeypatch.setenv(paths.BUILD_DIR_VARIABLE, str(tmp_path / "build"))

    lines = streams.generate(20, seed=3, profile="nop")
    lines["opcode"][2] = contract.OPCODE["STOP"]
    lines["opcode"][4] = 999
    np.save(tmp_path / "in.npy", lines)
    result = descring(
        *("replay", tmp_path / "in.npy", "--backend", "icarus", "-o", tmp_path / "out.npy")
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert re.search(message, result.stderr, re.DOTALL), result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["build", "in.npy", "rtl"]


def test_a_missing_simulator_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, descring: Command
) -> None:
    """It names the package to install."""
    np.save(tmp_path / "in.npy", streams.generate(2, seed=1))
    simulators._icarus.cache_clear()
    monkeypatch.setenv(paths.BUILD_DIR_VARIABLE, str(tmp_path / "build"))
    monkeypatch.setenv("PATH", str(tmp_path))
    result = descring(
        *("replay", tmp_path / "in.npy", "--backend", "icarus", "-o", tmp_path / "out.npy")
    )
    assert result.returncode == 2
    assert "apt-get install -y iverilog" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["build", "in.npy"]
    assert list((tmp_path / "build" / "replay").iterdir()) == []


def test_progress_is_passed_on(tmp_path: Path) -> None:
    """Numbers that the testbench writes arrive; a file half-written in between does no harm."""
    file = tmp_path / "progress"
    seen: list[int] = []
    arrived = threading.Event()

    def progress(number: int) -> None:
        seen.append(number)
        arrived.set()

    with cosim._reported(file, progress):
        for number in (1024, 2048):
            file.write_text("")
            arrived.clear()
            file.write_text(str(number))
            assert arrived.wait(10)
    assert {1024, 2048} <= set(seen)
