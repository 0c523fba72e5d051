# SPDX-License-Identifier: Apache-2.0
"""The verdict's files: JUnit XML, JSON, badge, and the page in a real browser."""

from __future__ import annotations

import datetime
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from conform_support import plugin
from descring_sim.conform.duts.find import find_dut
from descring_sim.conform.execute import run_test
from descring_sim.conform.report.write import FILES, write_report
from descring_sim.conform.suite.catalogue import all_tests
from descring_sim.conform.verdict import Verdict, skipped, versions

BODY = "result.done['kv_offset'][7:8] ^= np.uint64(0xFF00) if isinstance(job, StreamJob) else 0"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Verdict]:
    """The report on an implementation that spoils one field, by the rules of sections 1 and 2."""
    folder = tmp_path_factory.mktemp("report")
    reference = plugin(folder, BODY)
    dut = find_dut(reference)
    description = dut.describe()
    tests = tuple(test for test in all_tests() if test.rule[:2] in ("DE", "OP", "RI"))
    results = tuple(
        skipped(test, description, 1)
        or run_test(dut, description, test, 1, timeout_s=30.0, waves=False)
        for test in tests
    )
    began = datetime.datetime.now(datetime.UTC)
    verdict = Verdict(reference, description, results, tests, 1, 1.0, began, versions())
    write_report(folder / "out", verdict)
    return folder / "out", verdict


def test_json_and_junit_agree(report: tuple[Path, Verdict]) -> None:
    """Both have every test once, with its outcome, and what breaks is named."""
    folder, verdict = report
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    data = json.loads((folder / "verdict.json").read_text())
    suite = ElementTree.parse(folder / "junit.xml").getroot()
    assert len(data["tests"]) == len(verdict.results) == len(suite.findall("testcase"))
    assert int(suite.get("failures", "0")) == data["counts"]["failed"] > 0
    assert (
        int(suite.get("skipped", "0"))
        == data["counts"]["not claimed"] + (data["counts"]["not applicable"])
    )
    assert next(iter(data["broken_rules"])) == "DESC-006"
    failed = next(test for test in data["tests"] if test["status"] == "failed")
    assert failed["failure"]["repeat"].startswith(f"descring conform {verdict.reference} --only")
    differing = failed["failure"]["diff"]
    assert bytes.fromhex(differing["expected"]) != bytes.fromhex(differing["actual"])


def test_the_badge_is_red_svg(report: tuple[Path, Verdict]) -> None:
    """An implementation that does not conform gets no green badge."""
    text = (report[0] / "badge.svg").read_text()
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg")
    assert "rules broken" in text
    assert "#c62828" in text
    assert "#2e7d32" not in text


def test_the_page_in_a_browser(report: tuple[Path, Verdict]) -> None:
    """It shows verdict, difference and rules, filters them, asks for nothing, and logs no error."""
    if shutil.which("chromedriver") is None or shutil.which("chromium") is None:
        pytest.skip("no browser here: sudo apt-get install -y chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.common.by import By

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    browser = webdriver.Chrome(options=options, service=service)
    try:
        browser.get((report[0] / "report.html").as_uri())
        assert "does not conform" in browser.find_element(By.ID, "verdict").text
        differing = browser.find_element(By.CSS_SELECTOR, "details[open] tr.differs")
        assert "kv_offset" in differing.text
        assert len(differing.find_elements(By.CSS_SELECTOR, ".b.x")) == 1
        rows = browser.find_elements(By.CSS_SELECTOR, "#rules tbody tr[data-status]")
        button = browser.find_element(By.CSS_SELECTOR, "button[data-status='failed']")
        button.click()
        shown = [row for row in rows if row.is_displayed()]
        assert 0 < len(shown) < len(rows)
        assert {row.get_attribute("data-status") for row in shown} == {"failed"}
        asked = browser.execute_script("return performance.getEntriesByType('resource').length")
        assert asked == 0
        log = browser.get_log("browser")  # type: ignore[no-untyped-call]
        assert [entry["message"] for entry in log] == []
    finally:
        browser.quit()
