# SPDX-License-Identifier: Apache-2.0
"""``descring rollouts`` and ``descring trace``: files, comparison, and what is refused."""

from __future__ import annotations

import contextlib
import io
import json
import re
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from descring_host import HostError, open_device
from descring_model.rollouts.kv import Arena
from descring_model.rollouts.records import read_log
from descring_rollouts import Runtime
from descring_rollouts.model_core import ModelCore
from descring_rollouts.summary import Summary, summarise
from descring_sim.cli.main import cli, run

ROOT = Path(__file__).parents[2]
SMALL = ["--prompts", "5", "--samples", "3", "--seed", "9"]


def succeed(*arguments: str) -> str:
    """Run the command and return what it prints."""
    result = CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def fail(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run the command, which ends with exit code 2 and one line; that line."""
    assert run(list(arguments)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_files_and_summary_agree(tmp_path: Path) -> None:
    """All four outputs of one run, and the numbers on the terminal."""
    names = {name: tmp_path / f"run.{name}" for name in ("log", "npz", "json", "report")}
    text = succeed(
        "rollouts", *SMALL, "--boundary-rewards",
        *(part for name, path in names.items() for part in (f"--{name}", str(path))),
    )  # fmt: skip
    records, _ = read_log(names["log"].read_bytes())
    rows = [json.loads(line) for line in names["json"].read_text().splitlines()]
    with np.load(names["npz"]) as arrays:
        assert arrays["length"].tolist() == [row["length"] for row in rows]
        tokens = int((arrays["length"] - arrays["prompt_tokens"]).sum())
        legs = int(arrays["legs"].sum())
    assert (
        f"15 rollouts: 15 delivered, 0 cancelled, 0 failed; {tokens} tokens in {legs} legs" in text
    )
    assert f"{int(records['tick'][-1]) + 1} ticks" in text
    assert "seed 9, " in text
    assert f"| tokens | {tokens} |" in names["report"].read_text()


def test_peak_of_the_summary_is_the_arenas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted at every allocation of the golden model; and what sharing saves in a known case."""
    most = 0
    take = Arena._take

    def counted(arena: Arena) -> int:
        nonlocal most
        handle = take(arena)
        most = max(most, arena.in_use)
        return handle

    monkeypatch.setattr(Arena, "_take", counted)
    with open_device("model") as device:
        runtime = Runtime(device, slots=20, depth=2, core=ModelCore)
        list(runtime.run([4 * 32, 50, 7], samples=30, new_tokens=2 * 32))
        assert summary_of(runtime).peak_blocks == most > 40
        wide = Runtime(device, slots=250, window=256)
        list(wide.run([4 * 32], samples=250, new_tokens=2 * 32))
    found = summary_of(wide)
    assert (found.shared_blocks, found.copied_blocks) == (4 + 500, 1500)
    assert (found.peak_blocks, found.prompts_ingested, found.copies) == (504, 1, 0)
    assert found.saved == 1 - 504 / 1500


def summary_of(runtime: Runtime) -> Summary:
    """The numbers of the last run."""
    return summarise(runtime.requests, runtime.trajectories, runtime.log())


def test_logs_of_two_backends_match_and_of_two_seeds_do_not(tmp_path: Path) -> None:
    """Exit codes 0 and 1; the first difference is shown with both records."""
    for name, more in {
        "model": ["--core", "model"],
        "cpu": ["--backend", "cpu", "--checked"],
        "other": ["--seed", "10"],
        "narrow": ["--window", "4"],
    }.items():
        succeed("rollouts", *SMALL, *more, "--log", str(tmp_path / name))
    paths = {name: str(tmp_path / name) for name in ("model", "cpu", "other", "narrow")}
    text = succeed("trace", "diff", paths["model"], paths["cpu"])
    assert re.search(r"^matched \d+ records$", text, re.M)
    result = CliRunner().invoke(cli, ["trace", "diff", paths["model"], paths["narrow"]])
    assert result.exit_code == 1
    assert "the inputs differ" in result.output
    assert "first difference: record" in result.output
    first = re.search(r"^  (\d+) expected (tick.*)$", result.output, re.M)
    assert first is not None
    shown = succeed("trace", "show", paths["model"]).splitlines()
    assert shown[int(first.group(1))] == first.group(2)
    assert f"  {first.group(1)} actual" in result.output
    assert "fields that differ: " in result.output


def test_a_log_that_ends_early_differs(tmp_path: Path) -> None:
    """The place is the end of the shorter one; a rollout's own records can be shown alone."""
    whole = tmp_path / "whole"
    succeed("rollouts", *SMALL, "--log", str(whole))
    data = whole.read_bytes()
    records, _ = read_log(data)
    cut = tmp_path / "cut"
    shorter = (len(records) - 2).to_bytes(8, "little")
    cut.write_bytes(data[:16] + shorter + data[24:-64])
    result = CliRunner().invoke(cli, ["trace", "diff", str(whole), str(cut)])
    assert result.exit_code == 1
    assert f"first difference: record {len(records) - 2}" in result.output
    assert "actual   (the log ends)" in result.output
    shown = succeed("trace", "show", str(whole), "--rollout", "4").splitlines()
    assert len(shown) == int((records["rollout"] == 4).sum()) > 5
    assert all(" rollout 4 " in line for line in shown)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--slots", "0"], "expected slots of 1 to 65536, got 0"),
        (["--ring-slots", "48"], "power of two"),
        (["--window", "999"], "expected window of 1 to 256"),
        (["--kv-blocks", "3"], "expected at most the arena's 3 blocks"),
        (["--backend", "fpga"], "expected a backend out of model, cpu"),
        (["--policy", "RANDOM"], "'RANDOM' is not one of"),
        (["--new-tokens", "9:3"], "expected 0 <= LOW <= HIGH"),
        (["--prompt-tokens", "many"], "expected N or LOW:HIGH, got 'many'"),
        (["--prompt-tokens", "0"], "expected at least 1 prompt token"),
        (["--devices", "cpu,,model"], "--devices: expected NAME,NAME,..., got 'cpu,,model'"),
        (["--devices", "cpu,fpga"], "expected a backend out of model, cpu"),
        (["--devices", "cpu,cpu", "--trace", "x"], "--trace: expected one device"),
        (["--device-logs", "."], "--device-logs: expected --devices with it"),
        (["--devices", "cpu,cpu", "--device-logs", "no/folder"], "no/folder"),
        (["--npz", "same", "--json", "same"], "got one name twice"),
        (["--npz", "no/such/folder"], "no/such/folder"),
    ],
)
def test_bad_options_are_one_line_and_leave_no_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    text: str,
) -> None:
    """Exit code 2, what was expected, and no output file."""
    monkeypatch.chdir(tmp_path)
    assert text in fail(capsys, "rollouts", *SMALL, "--log", "run.log", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_log_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another file, a damaged one, none, and a rollout that the log lacks."""
    log = tmp_path / "log"
    succeed("rollouts", *SMALL, "--log", str(log))
    other = tmp_path / "other"
    other.write_bytes(b"text")
    assert "expected an event log" in fail(capsys, "trace", "diff", str(log), str(other))
    other.write_bytes(log.read_bytes()[:-1])
    assert "cut or damaged" in fail(capsys, "trace", "show", str(other))
    assert "nowhere" in fail(capsys, "trace", "show", str(tmp_path / "nowhere"))
    assert "rollout 99, found none" in fail(capsys, "trace", "show", str(log), "--rollout", "99")


@pytest.mark.parametrize("name", ["rollouts.md", "engine.md"])
def test_example_of_the_page_prints_what_the_page_shows(name: str) -> None:
    """The Python example of a page, as it is written there."""
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", page, re.S)
    shown = re.search(r"prints\n\n```\n(.*?)```", page, re.S)
    assert example is not None
    assert shown is not None
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(example.group(1), f"docs/{name}", "exec"), {})
    assert output.getvalue() == shown.group(1)


def test_tokens_are_those_of_the_options(tmp_path: Path) -> None:
    """The same on two backends and both cores; other with another temperature; ended by eos."""
    texts = []
    small = ("--prompts", "3", "--samples", "2", "--prompt-tokens", "5", "--new-tokens", "12")
    for number, more in enumerate(
        [
            ("--backend", "cpu"),
            ("--core", "model", "--no-share"),
            ("--temperature", "0"),
            ("--temperature", "0", "--eos", "3"),
        ]
    ):
        file = tmp_path / str(number)
        engine = ("--engine", "model", "--vocabulary", "4", "--seed", "5", "--json", str(file))
        output = succeed("rollouts", *small, *engine, *more)
        assert re.search(r"group 0 sample 0: \d(, \d){0,11}\n", output)
        texts.append([json.loads(line)["tokens"] for line in file.read_text().splitlines()])
    assert texts[0] == texts[1]
    assert texts[2] not in (texts[0], texts[3])
    assert texts[2][0][5:] == texts[2][1][5:]
    cut = [row[: row.index(3, 5) + 1] if 3 in row[5:] else row for row in texts[2]]
    assert texts[3] == cut != texts[2]


def test_devices_give_the_files_of_one(tmp_path: Path) -> None:
    """[LOG-004] [COW-010] Byte by byte; each device names what it did and has a log of its own."""
    making = ("--engine", "native", "--scorer", "2", "--boundary-rewards")
    for name, where in {"one": ("--backend", "model"), "more": ("--devices", "cpu,model")}.items():
        folder = tmp_path / name
        folder.mkdir()
        files = [
            part
            for output in ("log", "npz", "json")
            for part in (f"--{output}", str(folder / output))
        ]
        more = ("--device-logs", str(folder), "--report", str(folder / "report"))
        text = succeed(
            "rollouts", *SMALL, *making, *where, *files, *(more if name == "more" else ())
        )
    for output in ("log", "npz", "json"):
        assert (tmp_path / "one" / output).read_bytes() == (tmp_path / "more" / output).read_bytes()
    said = re.findall(r"^device (\d) \((cpu|model)\): (\d) groups, (\d+) rollouts", text, re.M)
    assert [row[:2] for row in said] == [("0", "cpu"), ("1", "model")]
    assert sum(int(row[2]) for row in said) == 5
    report = (tmp_path / "more" / "report").read_text()
    for number, name, groups, rollouts in said:
        assert f"| {number}: {name} | {groups} | {rollouts} | " in report
        records, _ = read_log((tmp_path / "more" / f"device-{number}.evlog").read_bytes())
        named = records["rollout"][records["rollout"] < 15]
        assert len(np.unique(named)) == int(rollouts)


def test_a_lost_device_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line on stderr; exit code 0, and the files are those of a run in which none was lost."""
    from descring_rollouts.shares import DeviceWorker

    succeed("rollouts", *SMALL, "--log", str(tmp_path / "whole"))
    work = DeviceWorker.run

    def fails(self: DeviceWorker, *arguments: Any) -> Any:
        if self.name == "ModelDevice":
            raise HostError("the cable is out")
        return work(self, *arguments)

    monkeypatch.setattr(DeviceWorker, "run", fails)
    command = ["rollouts", *SMALL, "--devices", "model,cpu", "--log", str(tmp_path / "log")]
    result = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert result.exit_code == 0
    assert re.fullmatch(
        r"device 0 \(ModelDevice\) was lost: HostError: the cable is out; groups [\d, ]+ were run "
        r"again\n",
        result.stderr,
    )
    assert "device 0 (model): 0 groups, 0 rollouts, 0 tokens in 0 legs, lost\n" in result.stdout
    assert (tmp_path / "log").read_bytes() == (tmp_path / "whole").read_bytes()


def test_options_of_an_engine_need_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Each is named, as are engines that there are not and members out of range."""
    for option in ("vocabulary", "temperature", "top-k", "top-p", "eos"):
        assert f"--{option}: expected --engine with it" in fail(
            capsys, "rollouts", *SMALL, f"--{option}", "1"
        )
    assert "engine: expected model" in fail(capsys, "rollouts", *SMALL, "--engine", "none")
    text = fail(capsys, "rollouts", *SMALL, "--engine", "model", "--top-p", "3")
    assert "top_p: expected" in text


def test_metrics_are_scraped_while_a_run_goes_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address is told, counters are there during the run, and a taken port is an error."""
    texts: list[str] = []
    run_on = Runtime.run

    def scraped(self: Runtime, *arguments: Any, **columns: Any) -> Iterator[Any]:
        told = re.search(r"metrics: (http://127\.0\.0\.1:\d+/metrics)", capsys.readouterr().err)
        assert told is not None
        for group in run_on(self, *arguments, **columns):
            with urllib.request.urlopen(told.group(1), timeout=10) as answer:
                texts.append(answer.read().decode())
            yield group

    monkeypatch.setattr(Runtime, "run", scraped)
    assert run(["rollouts", *SMALL, "--metrics", "0"]) == 0
    assert len(texts) == 5
    ticks = [float(re.findall(r"^descring_rollouts_ticks_total (\S+)$", t, re.M)[0]) for t in texts]
    assert ticks == sorted(ticks)
    assert "descring_rollouts_delivered_total 15.0" in texts[-1]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "give another port" in fail(capsys, "rollouts", *SMALL, "--metrics", port)
