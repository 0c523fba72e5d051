# SPDX-License-Identifier: Apache-2.0
"""Views of wave files: every name in them is in the wave, and what one looks for is in them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from descring_model import contract, streams
from descring_sim.support import paths
from descring_sim.verilated.core import CoreConfig, VerilatedCore
from descring_sim.waves import views, wave_file

Command = Callable[..., subprocess.CompletedProcess[str]]
WORKERS = 3


@pytest.fixture(scope="module")
def verilated_wave(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wave of the whole device, from the library."""
    file = tmp_path_factory.mktemp("waves") / "waves.fst"
    with VerilatedCore(CoreConfig(depth=4, workers=WORKERS, waves=True)) as core:
        core.replay(streams.generate(20, seed=1), waves=(file, 0, 2**64 - 1))
    return file


def assert_names_exist(wave: Path) -> tuple[str, str]:
    """Every signal of both views is in the wave; the texts of the views."""
    known = {signal.path + signal.span for signal in wave_file.read(wave).signals}
    gtkwave, surfer = (file.read_text() for file in views.save(wave))
    shown = [line for line in gtkwave.splitlines() if re.match(r"[A-Za-z]", line)]
    assert len(shown) > 20
    assert set(shown) <= known
    added = re.findall(r"^variable_add (\S+)$", surfer, re.MULTILINE)
    assert added == [re.sub(r"\[\d+:\d+\]$", "", name) for name in shown]
    return gtkwave, surfer


def test_a_view_shows_rings_states_and_fields(verilated_wave: Path) -> None:
    """Of the real hierarchy, as Verilator writes it."""
    assert_names_exist(verilated_wave)
    view = views.groups(wave_file.read(verilated_wave).signals)
    assert {"clk_i", "rst_ni", "line_valid_i", "done_data_o"} <= {s.name for s in view["ports"]}
    rings = {signal.path.removeprefix("TOP.rl_runtime_mmio.") for signal in view["rings"]}
    assert {
        "u_core.u_desc_ring.occupancy",
        "u_core.u_done_ring.head_q",
        "u_core.u_reward_ring.tail_q",
        "u_core.u_desc_pipeline.u_worker_pool.retire_turn_q",
        "u_mmio_regs.cmd_tail_q",
    } <= rings
    assert len(view["states"]) == WORKERS
    decoded = {s.name for s in view["fields"] if s.scope.endswith("u_worker_pool.completion")}
    assert decoded == set(contract.FIELD)


def test_states_have_their_names(verilated_wave: Path) -> None:
    """From the RTL's own enumeration, in the order of its values."""
    names = views.state_names(paths.rtl_dir().resolve())
    assert names["rollout_worker_fsm"] == ("StIdle", "StDecode", "StComplete", "StError")
    gtkwave, _ = assert_names_exist(verilated_wave)
    table = verilated_wave.with_name("rollout_worker_fsm.states")
    assert table.read_text() == "00 StIdle\n01 StDecode\n10 StComplete\n11 StError\n"
    # The flag 2^32 is the file's own enumeration, without which GTKWave shows no name at all.
    assert gtkwave.count(f"@100002028\n^1 {table.resolve()}\n") == WORKERS


def test_every_machine_of_the_rtl_has_a_table() -> None:
    """A module with a register state_q declares its states as the view expects them."""
    names = views.state_names(paths.rtl_dir().resolve())
    machines = {f.stem for f in paths.rtl_dir().glob("*.sv") if "state_q" in f.read_text()}
    assert machines
    assert machines <= set(names)


def test_a_replay_on_icarus_leaves_views_beside_its_waves(
    tmp_path: Path, descring: Command
) -> None:
    """Also where structs are not recorded in parts."""
    np.save(tmp_path / "in.npy", streams.generate(20, seed=23))
    result = descring(
        *("replay", tmp_path / "in.npy", "--backend", "icarus", "-o", tmp_path / "out.npy"),
        "--waves",
    )
    assert result.returncode == 0, result.stderr
    waves = Path(re.findall(r"waves (\S+)", result.stdout)[0])
    assert waves.with_suffix(".gtkw").is_file()
    assert waves.with_suffix(".sucl").is_file()
    assert_names_exist(waves)
    view = views.groups(wave_file.read(waves).signals)
    assert view["ports"]
    assert view["rings"]
    assert view["states"]
    shutil.rmtree(waves.parents[1])


def test_the_command_writes_views_of_any_wave(
    verilated_wave: Path, tmp_path: Path, descring: Command
) -> None:
    """And refuses what is no wave."""
    wave = tmp_path / "my.fst"
    shutil.copy(verilated_wave, wave)
    result = descring("waves", wave)
    assert result.returncode == 0
    assert result.stdout == (
        f"surfer -c {tmp_path}/my.sucl {wave}\ngtkwave {wave} {tmp_path}/my.gtkw\n"
    )
    assert_names_exist(wave)
    wave.write_text("no wave")
    result = descring("waves", wave)
    assert result.returncode == 2
    assert "expected a whole wave file (FST), but it is none" in result.stderr
