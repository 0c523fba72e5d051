# SPDX-License-Identifier: Apache-2.0
"""The report of a run of rollouts: what it draws, and the page in a real browser."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from descring_host import open_device
from descring_model.rollouts import contract
from descring_model.rollouts.records import make_config
from descring_model.rollouts.run import results
from descring_model.rollouts.run import run as model_run
from descring_rollouts import Runtime, make_requests
from descring_rollouts.perfetto_file import read_perfetto
from descring_rollouts.summary import Summary
from descring_sim.cli.main import cli, run
from descring_sim.rollout_report.charts import Series, lines, stacked, ticks_of
from descring_sim.rollout_report.page import COLUMNS, Samples, compare_policies, run_policy

RUN = ["rollouts", "--prompts", "9", "--samples", "4", "--seed", "5", "--slots", "8",
       "--kv-blocks", "90", "--boundary-rewards", "--policy", "PREFIX"]  # fmt: skip


def succeed(*arguments: str) -> str:
    """Run the command and return what it prints."""
    result = CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_samples_are_the_gauges_of_every_tick() -> None:
    """States add up to the slots, and KV blocks never pass their most."""
    samples = Samples()
    with open_device("model") as device:
        runtime = Runtime(device, slots=6, kv_blocks=40, watchers=[samples])
        list(runtime.run([40, 50], samples=5, new_tokens=70))
    states = [samples.of(f"state_{item.name.lower()}") for item in contract.STATES]
    assert (np.sum(states, axis=0) == 6).all()
    assert len(states[0]) == int(runtime.log()["tick"][-1]) + 1
    releases = runtime.log()[runtime.log()["code"] == contract.EVENT["RELEASE"]]
    assert samples.of("blocks").max() >= releases["c"].max()
    assert samples.of("blocks")[-1] == samples.of("reserved")[-1] == 0


@pytest.mark.parametrize("scorer", [0, 1])
def test_policies_are_compared_on_the_golden_models_numbers(scorer: int) -> None:
    """Every policy's mean completion, makespan and prompts, as the golden model's log has them."""
    new = np.array([[5, 60, 90, 31, 8]] * 3)
    requests = make_requests([40, 90, 33], samples=5, new_tokens=new)
    config = make_config(slots=4, window=3, policy=contract.POLICY["PREFIX"], scorer=scorer)
    rows = compare_policies(config, requests)
    assert [row.name for row in rows] == [name for name in contract.POLICY if name != "CUSTOM"]
    assert [row.name for row in rows if row.chosen] == ["PREFIX"]
    for row in rows:
        config["policy"] = contract.POLICY[row.name]
        records = model_run(config, requests).log.records()
        found = results(requests, records)
        assert row.values["mean completion"] == found["ended"].mean()
        assert row.values["makespan"] == int(records["tick"][-1]) + 1
        prompts = (records["code"] == contract.EVENT["LINE"]) & (records["b"] & 0xFFFF == 3)
        assert row.values["prompts ingested"] == prompts.sum()
    for title in COLUMNS:
        best = [row for row in rows if title in row.best]
        assert best
        assert all(row.values[title] == min(r.values[title] for r in rows) for row in best)
    assert isinstance(run_policy(config, requests), Summary)


@pytest.mark.parametrize(
    ("largest", "expected"),
    [(48, [0, 10, 20, 30, 40]), (8, [0, 2, 4, 6, 8]), (0, [0]), (1, [0, 0.2, 0.4, 0.6, 0.8, 1])],
)
def test_axes_have_round_numbers_up_to_the_greatest(largest: float, expected: list[float]) -> None:
    """And none beyond, which would be drawn outside."""
    assert ticks_of(largest) == pytest.approx(expected)


def test_charts_keep_the_greatest_value_of_a_long_run() -> None:
    """A peak of one tick in 100 000 is drawn; areas end where the sum is."""
    values = np.zeros(100_000)
    values[77_777] = 50
    svg = ElementTree.fromstring(lines("peak", [Series("x", "green", values)], limit=60))
    line = next(item for item in svg if item.tag == "polyline")
    heights = [float(point.split(",")[1]) for point in line.attrib["points"].split()]
    assert len(heights) == 480
    limit = next(item for item in svg if item.get("class") == "limit")
    assert min(heights) > float(limit.attrib["y1"])
    assert sum(height < max(heights) - 100 for height in heights) == 1
    halves = [Series("a", "green", np.full(9, 2.0)), Series("b", "blue", np.full(9, 3.0))]
    areas = [
        item for item in ElementTree.fromstring(stacked("two", halves)) if item.tag == "polygon"
    ]
    tops = [min(float(p.split(",")[1]) for p in area.attrib["points"].split()) for area in areas]
    ends = [max(float(p.split(",")[1]) for p in area.attrib["points"].split()) for area in areas]
    assert tops[0] == ends[1] > tops[1]
    assert (ends[0] - tops[0]) / (ends[1] - tops[1]) == pytest.approx(2 / 3, rel=1e-2)


def test_files_of_one_run_agree(tmp_path: Path) -> None:
    """Page, Perfetto file and picture; the page's own command writes the same log again."""
    page, perfetto, picture = (tmp_path / name for name in ("r.html", "r.perfetto-trace", "r.svg"))
    succeed(*RUN, "--backend", "cpu", "--report", str(page), "--trace", str(perfetto),
            "--log", str(tmp_path / "a.log"))  # fmt: skip
    slices, _ = read_perfetto(perfetto.read_bytes())
    text = succeed("trace", "picture", str(perfetto), "-o", str(picture), "--rollouts", "3")
    assert f"{len(slices)} slices" in text
    svg = ElementTree.fromstring(picture.read_text())
    labels = [item.text or "" for item in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert [label for label in labels if label.startswith("rollout ")] == [
        f"rollout {number}" for number in (0, 1, 2)
    ]
    assert "worker 0 0" in labels
    html = page.read_text()
    assert "http" not in html.replace("http://www.w3.org", "")
    command = re.search(r'class="repeat">([^<]*)<', html)
    assert command is not None
    words = shlex.split(command.group(1))
    succeed(*words[1:], "--log", str(tmp_path / "b.log"))
    assert (tmp_path / "a.log").read_bytes() == (tmp_path / "b.log").read_bytes()


def test_a_page_of_the_golden_models_core_has_no_latencies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A trace file that is asked for is an error there, and nothing is written."""
    page = tmp_path / "r.html"
    succeed(*RUN, "--core", "model", "--report", str(page))
    assert "Not traced" in page.read_text()
    page.unlink()
    assert (
        run([*RUN, "--core", "model", "--report", str(page), "--trace", str(tmp_path / "t")]) == 2
    )
    assert "expected the native core to be traced" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "t").write_bytes(b"text")
    assert run(["trace", "picture", str(tmp_path / "t"), "-o", str(page)]) == 2
    assert "expected a Perfetto file" in capsys.readouterr().err


@pytest.mark.slow
def test_the_page_in_a_browser(tmp_path: Path) -> None:
    """It fits two widths in light and dark, asks for nothing, and logs no error."""
    if shutil.which("chromedriver") is None or shutil.which("chromium") is None:
        pytest.skip("no browser here: sudo apt-get install -y chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.common.by import By

    page = tmp_path / "r.html"
    succeed(*RUN, "--backend", "cpu", "--report", str(page))
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    browser = webdriver.Chrome(options=options, service=service)
    try:
        papers = set()
        for theme in ("light", "dark"):
            browser.execute_cdp_cmd(
                "Emulation.setEmulatedMedia",
                {"features": [{"name": "prefers-color-scheme", "value": theme}]},
            )
            for width in (420, 1280):
                browser.execute_cdp_cmd(
                    "Emulation.setDeviceMetricsOverride",
                    {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
                )
                browser.get(page.as_uri())
                wide = browser.execute_script("return document.documentElement.scrollWidth")
                assert wide <= width, f"the page is {wide} wide at {width}"
            body = browser.find_element(By.TAG_NAME, "body")
            papers.add(body.value_of_css_property("background-color"))
        assert len(papers) == 2
        assert "36 of 36 rollouts delivered" in browser.find_element(By.ID, "verdict").text
        assert len(browser.find_elements(By.CSS_SELECTOR, "#latencies tbody tr")) == 8
        assert len(browser.find_elements(By.CSS_SELECTOR, "#policies tbody tr")) == 4
        assert len(browser.find_elements(By.CSS_SELECTOR, ".wide > svg")) == 4
        assert browser.find_elements(By.CSS_SELECTOR, "#timeline rect")
        asked = browser.execute_script("return performance.getEntriesByType('resource').length")
        assert asked == 0
        log = browser.get_log("browser")  # type: ignore[no-untyped-call]
        assert [entry["message"] for entry in log] == []
    finally:
        browser.quit()
